"""The Java that job runs share: Spark's, kept from one run to the next, as Glue keeps instances warm.

A Java that has just started loads Spark's classes and interprets them, which takes longer than a session's
rows. In one that has refined before they are there, and compiled. Each run has a Python process and a Spark
of its own in it; a run that does not end well takes it along, so that no run inherits another's fault.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

import pyspark

from sandbox import local_spark

_GATEWAY = "gateway"


class SparkJava:
    """A Java process that PySpark processes connect to, one after another.

    Args:
        process: Its process, which ends with its standard input.
        scratch: Its folder, removed with it.
    """

    def __init__(self, process: subprocess.Popen[bytes], scratch: Path) -> None:
        self._process = process
        self._scratch = scratch
        self._log: IO[bytes] | None = None
        self._logging = threading.Lock()
        threading.Thread(target=self._follow, name="spark-java-log", daemon=True).start()

    @classmethod
    def start(cls) -> Self:
        """Start one; it gets ready by itself."""
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
        """Whether its process still runs."""
        return self._process.poll() is None

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

    def stop(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def _follow(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        while said := self._process.stdout.readline():
            with self._logging:
                if self._log is not None:
                    self._log.write(said)
                    self._log.flush()
