"""The Python that becomes a process for each job run, and what it does where a run does not end by itself."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.ministack import FAILED, REPOSITORY
from sandbox.spark_java import SERVE, Run, RunDiedError

_SECONDS = 60


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where a Java's gateway would be, beside a Python that waits for runs."""
    folder = tmp_path_factory.mktemp("spark") / "deeper-than-a-socket-may-lie" / ("x" * 100)
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "sandbox.spark_runner", SERVE, str(folder / "runs")]
    python = subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE)
    yield folder / "gateway"
    assert python.stdin is not None
    python.stdin.close()
    assert python.wait(_SECONDS) == 0  # it ends with its owner


@pytest.fixture
def silence() -> Iterator[str]:
    """The address of an AWS that takes calls and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def begun(gateway: Path, endpoint: str) -> Run:
    """A run that asks an AWS for its job."""
    command = [
        "--job",
        "job",
        "--script",
        "s3://bucket/script.py",
        "--mirror",
        str(gateway.parent / "mirror"),
    ]
    environment = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
        "PATH": os.defpath,
    }
    return Run(gateway, command, environment, gateway.with_name("log"))


def is_at_work(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def assert_ends(process: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while is_at_work(process):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_tells_why_it_has_failed_and_its_log_has_the_rest(gateway: Path) -> None:
    run = begun(gateway, "http://127.0.0.1:1")
    code, message = run.wait(_SECONDS)
    run.close()
    assert code == FAILED
    assert message.startswith("botocore.exceptions.EndpointConnectionError: Could not connect")
    assert "Traceback" in gateway.with_name("log").read_text()


def test_a_run_that_takes_too_long_ends(gateway: Path, silence: str) -> None:
    run = begun(gateway, silence)
    with pytest.raises(TimeoutError):
        run.wait(0.1)
    assert is_at_work(run._process)
    run.close()
    assert_ends(run._process)


def test_nobody_else_has_a_run(gateway: Path, tmp_path: Path) -> None:
    begun(gateway, "http://127.0.0.1:1").close()  # it is ready
    port, _ = gateway.with_name("runs").read_text().split()
    (tmp_path / "runs").write_text(f"{port} guessed")
    with pytest.raises(RunDiedError):
        begun(tmp_path / "gateway", "http://127.0.0.1:1")
    assert not (tmp_path / "log").exists()


def test_a_run_whose_process_dies_says_so(gateway: Path, silence: str) -> None:
    run = begun(gateway, silence)
    os.kill(run._process, signal.SIGKILL)
    with pytest.raises(RunDiedError, match="before the job"):
        run.wait(_SECONDS)
    run.close()


def test_no_run_outlives_who_has_begun_it(gateway: Path, silence: str) -> None:
    run = begun(gateway, silence)
    run._answers.close()  # as the kernel does with what a process has open that is killed
    run._socket.close()
    assert_ends(run._process)
