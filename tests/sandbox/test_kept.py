"""Commands on the lake of the last run: which AWS they get, and how they end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from io import StringIO
from pathlib import Path

import pytest

from sandbox import __main__, commands, environment, kept
from sandbox.arguments import SIMULATED
from sandbox.console import Show
from sandbox.kept import KeptLake, NoLakeError, execute
from sandbox.ministack import MARK, REPOSITORY, MiniStack
from sandbox.request import Request
from tests.sandbox.deployed import SESSIONS, Deployed

Executed = list[tuple[Sequence[str], Mapping[str, str]]]
"""Commands, each with its environment."""

BUCKETS = """
import boto3, os
print(os.environ["STACK_NAME"], *(bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]))
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for module in (environment, kept):
        monkeypatch.setattr(module, "HOME", tmp_path)
    return tmp_path


def keep_lake(home: Path, name: str, sessions: int) -> Path:
    """Leave behind what a run of a sandbox leaves, less AWS; return the sandbox's folder."""
    for day in range(sessions):
        session = date(2025, 3, 1) + timedelta(days=day)
        for part in ("raw/cotahist", "refined_compact"):
            (home / name / "lake" / part / f"trade_date={session}").mkdir(parents=True)
    (home / name / "outputs.json").write_text(json.dumps({"Kept": {"RawBucket": "raw"}}))
    (home / "lake").symlink_to(Path(name, "lake"))
    return home / name


def test_without_a_lake_a_command_says_what_to_run_first(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sandbox", "report"])
    assert __main__.main() == 1
    assert "there is no lake yet: run `make sandbox` first" in capsys.readouterr().err


def test_a_command_finds_what_was_kept_and_aws_ends_with_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = keep_lake(home, "simulated", 2)
    with MiniStack.start(folder / "aws") as aws:
        aws.client("s3").create_bucket(Bucket="kept-bucket")
    monkeypatch.setenv("AWS_PROFILE", "one-of-the-users")
    monkeypatch.setattr(sys, "argv", ["sandbox", "exec", "--", sys.executable, "-c", BUCKETS])
    assert __main__.main() == 0
    said = capfd.readouterr()
    assert said.out == "Kept kept-bucket\n"
    assert "AWS emulator (2 sessions, 2025-03-01 to 2025-03-02, simulated): http://127.0.0.1:" in said.err
    assert MiniStack.endpoint_at_work(folder / "aws") is None


@pytest.mark.sandbox
@pytest.mark.xdist_group("sandbox")
def test_where_a_sandbox_is_up_a_command_works_in_that_one(
    deployed: Deployed, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox = deployed.sandbox
    lake = KeptLake(folder=sandbox.folder, sessions=SESSIONS)
    assert lake.is_up
    with lake.open(Show(StringIO())) as variables:
        assert variables["AWS_ENDPOINT_URL"] == sandbox.aws.endpoint
        assert variables["STACK_NAME"] == sandbox.deployment.work_group
        assert execute([sys.executable, "-c", BUCKETS], variables) == 0
    assert sandbox.deployment.raw_bucket in capfd.readouterr().out.split()
    # It has not ended what it did not start
    assert lake.is_up


def test_a_lake_whose_emulator_was_killed_is_refused(home: Path) -> None:
    folder = keep_lake(home, "simulated", 1)
    (folder / "aws").mkdir()
    (folder / "aws" / MARK).touch()
    lake = KeptLake.find()
    with pytest.raises(NoLakeError, match="state of its lake is lost"), lake.open(Show(StringIO())):
        pass


def test_a_command_ends_with_its_own_exit_code() -> None:
    assert execute([sys.executable, "-c", "raise SystemExit(3)"], os.environ) == 3
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert execute([sys.executable, "-c", killed], os.environ) == 128 + signal.SIGKILL


def test_a_command_that_there_is_not_is_named() -> None:
    with pytest.raises(NoLakeError, match="cannot run no-such-command: No such file"):
        execute(["no-such-command"], os.environ)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_command_answers_ctrl_c_itself_and_is_told_to_end(ending: signal.Signals) -> None:
    """Ctrl-C goes to the whole group; a request to end goes to the sandbox alone."""
    command = (
        "import signal, sys, time\n"
        f"signal.signal({int(ending)}, lambda *_: sys.exit(5))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)"
    )
    outer = (
        f"import os, sys; from sandbox.kept import execute; "
        f"sys.exit(execute([sys.executable, '-c', {command!r}], os.environ))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", outer], cwd=REPOSITORY, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        (os.killpg if ending == signal.SIGINT else os.kill)(process.pid, ending)
        assert process.wait(timeout=30) == 5


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> Executed:
    """What the sandbox would execute; it does not."""
    given: Executed = []

    def run(command: Sequence[str], environment: Mapping[str, str]) -> int:
        given.append((command, environment))
        return 0

    monkeypatch.setattr(commands, "execute", run)
    monkeypatch.setattr(commands, "find_spec", lambda _name: True)
    return given


@pytest.fixture(scope="module")
def enough(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a lake of as many sessions as any command needs, on which a sandbox is up."""
    home = tmp_path_factory.mktemp("enough")
    with MiniStack.start(keep_lake(home, "simulated", commands.NOTEBOOK_SESSIONS) / "aws"):
        yield home


@pytest.fixture
def lake_of_enough(enough: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (environment, kept):
        monkeypatch.setattr(module, "HOME", enough)


@pytest.mark.usefixtures("lake_of_enough")
@pytest.mark.parametrize(
    ("command", "runs"),
    [
        (["report"], ["analysis.report"]),
        (["report", "--date", "2026-11-19"], ["analysis.report", "--date", "2026-11-19"]),
        (["report", "--language", "pt"], ["analysis.report", "--language", "pt"]),
        (["report", "--", "--language", "pt"], ["analysis.report", "--language", "pt"]),
        (["pictures", "--", "--out", "docs"], ["analysis.pictures", "--out", "docs"]),
    ],
)
def test_report_and_pictures_are_names_for_modules_with_arguments_passed_on(
    executed: Executed, monkeypatch: pytest.MonkeyPatch, command: list[str], runs: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sandbox", *command])
    assert __main__.main() == 0
    assert [command for command, _ in executed] == [[sys.executable, "-m", *runs]]


@pytest.mark.usefixtures("lake_of_enough")
def test_the_notebook_is_told_its_language_by_the_environment(
    executed: Executed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LANGUAGE", raising=False)
    for arguments in (["--language", "pt"], []):
        monkeypatch.setattr(sys, "argv", ["sandbox", "notebook", *arguments])
        assert __main__.main() == 0
    assert [environment.get("LANGUAGE") for _, environment in executed] == ["pt", None]


@pytest.mark.usefixtures("lake_of_enough")
@pytest.mark.parametrize(("user", "is_let"), [(0, True), (1000, False)])
def test_the_notebook_lets_nobody_but_root_be_root(
    executed: Executed, monkeypatch: pytest.MonkeyPatch, user: int, is_let: bool
) -> None:
    """JupyterLab does not start for root unless it is told to, and in a container there is nobody else."""
    monkeypatch.setattr("os.geteuid", lambda: user)
    monkeypatch.setattr(sys, "argv", ["sandbox", "notebook"])
    assert __main__.main() == 0
    assert ["--allow-root" in command for command, _ in executed] == [is_let]


def test_a_lake_whose_stack_was_not_deployed_is_refused(home: Path) -> None:
    (keep_lake(home, "simulated", 1) / "outputs.json").unlink()
    with (
        pytest.raises(NoLakeError, match="before its stack was deployed"),
        KeptLake.find().open(Show(StringIO())),
    ):
        pass


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What the pipeline is asked to run; it does not."""
    asked: list[dict[str, object]] = []

    def run(request: partial[Request], _show: Show) -> int:
        assert request.args == (SIMULATED,)
        asked.append(request.keywords)
        return 7

    monkeypatch.setattr(commands, "_run_pipeline", run)
    return asked


@pytest.mark.parametrize(
    "kept",
    [
        ("simulated", "script", False),
        ("simulated-visual", "visual", False),
        ("simulated-lab", "script", True),
        ("simulated-lab-visual", "visual", True),
    ],
)
def test_pictures_have_history_loaded_into_a_simulated_lake_that_is_too_small(
    home: Path,
    runs: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    kept: tuple[str, str, bool],
) -> None:
    name, job, lab = kept
    keep_lake(home, name, 3)
    monkeypatch.setattr(sys, "argv", ["sandbox", "pictures"])
    assert __main__.main() == 7
    assert runs == [{"session": date(2025, 3, 3), "history": 64, "job": job, "lab": lab}]


def test_pictures_have_a_simulated_lake_made_where_there_is_none(
    home: Path, runs: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["sandbox", "pictures"])
    assert __main__.main() == 7
    assert runs == [{"history": 64}]


def test_a_lake_that_is_too_small_is_left_alone_if_it_is_not_simulated(
    home: Path,
    runs: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keep_lake(home, "recorded", 3)
    monkeypatch.setattr(sys, "argv", ["sandbox", "pictures"])
    assert __main__.main() == 1
    assert "64 sessions are needed: run `make sandbox HISTORY=64`" in capsys.readouterr().err
    assert runs == []


def test_a_lake_that_is_too_small_is_left_alone_while_a_sandbox_is_up_on_it(
    home: Path,
    runs: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = keep_lake(home, "simulated", 3)
    monkeypatch.setattr(sys, "argv", ["sandbox", "pictures"])
    with MiniStack.start(folder / "aws"):
        assert __main__.main() == 1
    assert "end the sandbox that is up, or start it with --history 64" in capsys.readouterr().err
    assert runs == []
