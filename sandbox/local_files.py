"""Java for Spark on this machine: the file system that its `s3://` paths lead to, and Arrow's buffers.

Hadoop without its native library starts a `chmod` for each file that it makes and an `ls` for each one that
it lists: for a session of a thousand tickers that is most of the job's time. Arrow in Spark 3.5 hands rows to
Python through a constructor that Java 21 has changed, and Linux on ARM has no older Java on PyPI. What does
without either is Java, because Hadoop and Arrow load it; it is compiled once, into a JAR in `build/`.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from sandbox import java
from sandbox.ministack import REPOSITORY

SOURCES = [Path(__file__).parent / name for name in ("PlainLocalFileSystem.java", "MemoryUtil.java")]


def spark_settings() -> dict[str, str]:
    """Spark's settings for local files at `file://`, which also leave no checksum files behind."""
    return {
        "spark.driver.extraClassPath": str(class_path()),
        "spark.hadoop.fs.file.impl": "sandbox.PlainLocalFileSystem",
    }


def class_path() -> Path:
    """The JAR with the compiled classes; it is named by their sources."""
    digest = hashlib.sha256(b"".join(source.read_bytes() for source in SOURCES)).hexdigest()[:16]
    jar = REPOSITORY / "build" / f"spark-local-files-{digest}.jar"
    if not jar.is_file():
        jar.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=jar.parent) as scratch:
            made = Path(scratch, "classes.jar")
            with java.started() as gateway:
                java.compile_jar(gateway, SOURCES, made)
            made.rename(jar)  # another process may be first, with the same classes
    return jar
