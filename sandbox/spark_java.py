"""The Java that job runs share: Spark's, kept from one run to the next, as Glue keeps instances warm.

A Java that has just started loads Spark's classes and interprets them, which takes longer than a session's
rows. In one that has refined before they are there, and compiled. Beside it is a Python that has imported
what runs need, a second's work, and becomes a process of its own for each (`sandbox.spark_runner`). Each run
has a Spark of its own, too; a run that does not end well takes both along, so that no run inherits another's
fault.

An emulator has its own. Several that follow one another, as in the tests, may borrow them from a process that
outlives them (`lend`).
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import IO, Any, Self

from sandbox.ministack import REPOSITORY

LENDER = "SPARK_JAVAS"
"""The variable that leads an emulator to a process that lends: a port and a key."""

SERVE = "--serve"
"""What a `sandbox.spark_runner` is started with that is to become a process for each run."""

_GATEWAY, _RUNS = "gateway", "runs"
_SECONDS = 60


class RunDiedError(RuntimeError):
    """The process of a run has ended without telling how."""


class Run:
    """A run of a job, in a process that a warm Python becomes for it.

    Args:
        gateway: Of the Java that it is to take (`SparkJavas.take`).
        command: The arguments of `sandbox.spark_runner`.
        environment: The variables that it is to have.
        log: Where to add what it prints.

    Raises:
        RunDiedError, OSError: The warm Python is not there.
    """

    def __init__(
        self, gateway: Path, command: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        told = gateway.with_name(_RUNS)
        deadline = time.monotonic() + _SECONDS
        while not told.exists():  # it may still be getting ready
            if time.monotonic() > deadline:
                raise RunDiedError("Spark's Python did not start")
            time.sleep(0.02)
        port, key = told.read_text().split()
        self._socket = socket.create_connection(("127.0.0.1", int(port)))
        asked = {"key": key, "command": [*command], "environment": {**environment}, "log": str(log)}
        self._socket.sendall(json.dumps(asked).encode() + b"\n")
        self._answers = self._socket.makefile()
        self._has_ended = False
        self._process: int = self._answer()

    def wait(self, seconds: float) -> tuple[int, str]:
        """Wait until it has ended.

        Returns:
            0, or `FAILED` or `FAILED_IN_SPARK` and the message that tells why.

        Raises:
            RunDiedError: Its process has ended before.
            TimeoutError: It takes longer.
        """
        self._socket.settimeout(seconds)
        code, message = self._answer()
        self._has_ended = True
        return code, message

    def kill(self) -> None:
        """End it, whatever it does, if it has not ended."""
        if not self._has_ended:
            with suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)

    def close(self) -> None:
        """Let go of it; if it has not ended, it ends."""
        self.kill()
        self._has_ended = True
        self._answers.close()
        self._socket.close()

    def _answer(self) -> Any:
        answer = self._answers.readline()
        if not answer:
            self._has_ended = True
            raise RunDiedError("the job's process has ended before the job")
        return json.loads(answer)


class SparkJava:
    """A Java process that PySpark processes connect to, one after another, and the Python that becomes these.

    Args:
        process: Java's, which ends with its standard input.
        scratch: Its folder, removed with it.
    """

    def __init__(self, process: subprocess.Popen[bytes], scratch: Path) -> None:
        self._process = process
        self._python: subprocess.Popen[bytes] | None = None
        self._scratch = scratch
        self._log: IO[bytes] | None = None
        self._logging = threading.Lock()
        threading.Thread(target=self._follow, name="spark-java-log", daemon=True).start()

    @classmethod
    def start(cls) -> Self:
        """Start one; it gets ready by itself."""
        # A second of imports, which who borrows does without
        import pyspark  # noqa: PLC0415

        from sandbox import local_spark  # noqa: PLC0415

        scratch = Path(tempfile.mkdtemp(prefix="spark-java-"))
        environment = {name: value for name, value in os.environ.items() if not local_spark.is_of_spark(name)}
        environment |= local_spark.java_environment(scratch)
        submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
        process = subprocess.Popen(
            [submit, *shlex.split(environment["PYSPARK_SUBMIT_ARGS"])],
            env={**environment, "_PYSPARK_DRIVER_CONN_INFO_PATH": str(scratch / _GATEWAY)},
            cwd=scratch,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return cls(process, scratch)

    @property
    def gateway(self) -> Path:
        """The file that says how to connect to it, as soon as it is ready (`local_spark.connect`)."""
        return self._scratch / _GATEWAY

    @property
    def is_alive(self) -> bool:
        """Whether its processes still run."""
        return all(process.poll() is None for process in self._processes)

    @contextmanager
    def logging_to(self, log: IO[bytes]) -> Iterator[None]:
        """Have what it says during the block go to a run's log; what it says between runs is read and let go.

        Unread it would fill its pipe, and Java would wait for ever.
        """
        with self._logging:
            self._log = log
        try:
            yield
        finally:
            with self._logging:
                self._log = None

    def begin_python(self) -> None:
        """Start Python, unless it has been; it gets ready by itself."""
        if self._python is None:
            self._python = subprocess.Popen(
                [sys.executable, "-m", "sandbox.spark_runner", SERVE, str(self._scratch / _RUNS)],
                cwd=REPOSITORY,
                stdin=subprocess.PIPE,
            )

    @property
    def _processes(self) -> list[subprocess.Popen[bytes]]:
        return [self._process, *([self._python] if self._python else [])]

    def stop(self) -> None:
        """End it, whatever it does."""
        for process in self._processes:
            process.kill()
            process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _follow(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        while said := self._process.stdout.readline():
            with self._logging:
                if self._log is not None:
                    self._log.write(said)
                    self._log.flush()


class SparkJavas:
    """Javas that job runs take in turn; one is started where none is idle."""

    def __init__(self) -> None:
        self._idle: list[SparkJava] = []
        self._taken: dict[int, tuple[SparkJava, ExitStack]] = {}
        self._numbers = itertools.count()
        self._changing = threading.Lock()

    def begin(self) -> None:
        """Start one, which gets ready while something else is done: first Java, which takes longer."""
        with self._changing:
            java = SparkJava.start()
            self._idle.append(java)
        deadline = time.monotonic() + _SECONDS
        while not java.gateway.exists() and java.is_alive and time.monotonic() < deadline:
            time.sleep(0.05)
        with self._changing:
            if java in self._idle:
                java.begin_python()

    def take(self, log: Path) -> tuple[int, Path]:
        """Take one for a run.

        Args:
            log: The run's log, to which goes what Java says meanwhile.

        Returns:
            Its number, by which to give it back, and its gateway.
        """
        with self._changing:
            while self._idle and not self._idle[-1].is_alive:
                self._idle.pop().stop()
            java = self._idle.pop() if self._idle else SparkJava.start()
            java.begin_python()
            number, until_given_back = next(self._numbers), ExitStack()
            until_given_back.enter_context(java.logging_to(until_given_back.enter_context(log.open("ab"))))
            self._taken[number] = (java, until_given_back)
        return number, java.gateway

    def give_back(self, number: int, *, ended_well: bool) -> None:
        """Give one back after a run, for the next one to use; it ends if the run has not ended well."""
        with self._changing:
            java, until_given_back = self._taken.pop(number)
            until_given_back.close()
            if ended_well:
                self._idle.append(java)
            else:
                java.stop()

    def stop(self) -> None:
        """End all, whatever they do."""
        with self._changing:
            for java in (*self._idle, *(java for java, _ in self._taken.values())):
                java.stop()
            self._idle.clear()


class _Lender(BaseManager):
    """Between a process that lends its Javas and those that borrow them."""


class _Borrowed(SparkJavas):
    """Javas of another process; they stay with it."""

    def __init__(self, lender: Any) -> None:
        self._lender = lender

    def take(self, log: Path) -> tuple[int, Path]:
        taken: tuple[int, Path] = self._lender.take(log)
        return taken

    def give_back(self, number: int, *, ended_well: bool) -> None:
        self._lender.give_back(number, ended_well=ended_well)

    def stop(self) -> None:
        """Leave them as they are."""


@contextmanager
def lend() -> Iterator[SparkJavas]:
    """Lend Javas, during the block, to every emulator that is started from this process."""
    javas = SparkJavas()
    _Lender.register("javas", callable=lambda: javas, exposed=("take", "give_back"))
    key = secrets.token_hex()
    server: Any = _Lender(("127.0.0.1", 0), key.encode()).get_server()
    threading.Thread(target=server.serve_forever, name="spark-javas", daemon=True).start()
    os.environ[LENDER] = f"{server.address[1]}:{key}"
    try:
        yield javas
    finally:
        del os.environ[LENDER]
        javas.stop()


@contextmanager
def one_begun() -> Iterator[None]:
    """Lend a Java that starts now to the emulators of the block, unless another process lends some."""
    if LENDER in os.environ:
        yield
        return
    with lend() as javas, ThreadPoolExecutor(1) as beside:
        beside.submit(javas.begin)  # where it fails, the first run fails so, too
        yield


def available() -> SparkJavas:
    """Those of the process that lends, if there is one; else some of one's own."""
    if LENDER not in os.environ:
        return SparkJavas()
    port, _, key = os.environ[LENDER].partition(":")
    _Lender.register("javas")
    lender: Any = _Lender(("127.0.0.1", int(port)), key.encode())
    lender.connect()
    return _Borrowed(lender.javas())
