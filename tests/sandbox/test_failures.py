"""Failures are told in one paragraph, which says what was wrong, what to do, and where to read more."""

from __future__ import annotations

import errno
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from botocore.exceptions import EndpointConnectionError

from sandbox import __main__, commands, environment, kept
from sandbox.deploy import DeployError, _reason
from sandbox.failures import explain, require_b3
from sandbox.ministack import REPOSITORY
from sandbox.pipeline import StageError
from sandbox.request import RequestError

DISK_FULL = OSError(errno.ENOSPC, "No space left on device", "/somewhere/x.parquet")


def explained(error: Exception, log: Path) -> str:
    try:
        raise error
    except type(error) as raised:
        return explain(raised, log)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (DISK_FULL, "the disk is full: "),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "could not be used: .*'/x'.*run the same"),
        (
            EndpointConnectionError(endpoint_url="http://127.0.0.1:1"),
            "emulator did not do what .*begin anew by",
        ),
        (
            ZeroDivisionError("a\nb"),
            "ZeroDivisionError: a. Run the same command again.*report it with the log",
        ),
        (StageError("the job failed", details="at length"), "the job failed"),
    ],
)
def test_the_paragraph_names_the_log_in_which_the_rest_lies(
    tmp_path: Path, error: Exception, told: str
) -> None:
    log = tmp_path / "folder" / "failure.log"
    said = explained(error, log)
    assert re.search(told, said)
    assert said.endswith(f"The log: {log}")
    assert "Traceback" not in said
    details = log.read_text(encoding="utf-8")
    assert ("at length" in details) if isinstance(error, StageError) else ("Traceback" in details)


def test_a_log_that_cannot_be_written_is_no_second_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = explained(DISK_FULL, tmp_path / "file" / "failure.log")
    assert said.startswith("the disk is full")
    assert "No log could be written" in said


def test_paths_of_the_project_are_told_as_they_are_from_there() -> None:
    error = DeployError(
        f"cdk deploy failed. What the CDK said: {REPOSITORY}/.sandbox/simulated/cdk-deploy.log"
    )
    assert explained(error, Path("unused")).endswith("What the CDK said: .sandbox/simulated/cdk-deploy.log")


def test_a_refused_setting_is_what_a_failed_synthesis_is_told_as() -> None:
    said = [
        "warning",
        "Setting refused: index_codes is 'IBXX', without IBOV",
        "python3 app.py: exited with error 1",
    ]
    assert _reason("synth", said) == "Setting refused: index_codes is 'IBXX', without IBOV"
    assert _reason("deploy", ["Deploying", "ERROR: no such role", "", "done"]) == (
        "cdk deploy failed: ERROR: no such role"
    )
    assert _reason("deploy", []) == "cdk deploy failed: it said nothing"


def test_without_a_network_b3_itself_is_refused_before_anything_is_set_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise requests.exceptions.ConnectionError("Name or service not known")

    monkeypatch.setattr(requests, "head", no_network)
    with pytest.raises(RequestError, match=r"cannot be reached from here .*B3=simulated or B3=<folder>"):
        require_b3()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "--date", "yesterday"], "argument --date: found 'yesterday', expected a day as YYYY-MM-DD"),
        (["run", "-c", "index_codes=IBOV", "SMLL"], "write -c index_codes=IBOV,SMLL"),
        (["run", "--sessions", "many"], "invalid int value: 'many'"),
        (["exec"], "exec needs a command after --"),
    ],
)
def test_arguments_that_cannot_be_read_are_told_so_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["sandbox", *arguments])
    with pytest.raises(SystemExit) as end:
        __main__.main()
    assert end.value.code == 2
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 2)  # an empty line, and the paragraph
    assert said.err.lstrip().startswith("FAILED  ")
    assert told in said.err


def test_an_error_that_nobody_has_thought_of_is_told_without_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of order\nsecond line")

    for module in (environment, kept, commands):
        monkeypatch.setattr(module, "HOME", tmp_path)
    monkeypatch.setattr(commands, "start", broken)
    monkeypatch.setattr(sys, "argv", ["sandbox", "run"])
    assert __main__.main() == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-1].startswith("FAILED  an error that nobody has thought of, RuntimeError: out of order.")
    log = tmp_path / "simulated" / "failure.log"
    assert said[-1].endswith(f"The log: {log}")
    assert "second line" in log.read_text(encoding="utf-8")


def test_a_folder_without_files_ends_the_command_with_a_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", "run", "--b3", str(tmp_path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.strip().startswith(f"FAILED  {tmp_path} has no COTAHIST_DDDMMYYYY.ZIP")
