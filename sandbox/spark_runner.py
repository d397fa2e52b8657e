"""Runs a Glue job on Spark in this process, which the emulator has for each job run.

A job with a graph runs by its nodes, as GetJob returns them: on AWS by the script that Glue generates from
them, here by `sandbox.visual`. Any other job runs by its script, unchanged.

Spark is the version inside the job's Glue, its Java comes from PyPI, and `s3://` is a local mirror of the
buckets: pulled before the job runs and pushed after it, also after it has failed, since what a failed job
wrote stays written on S3 too. A script's `--refined_bucket` has none: it is reached by S3's own API.

Standard output carries one thing, the error message that Glue shows for the run (empty after success); all
else goes to standard error. The process ends when its standard input does: no job outlives the emulator.

With `--serve` it runs none: it imports what all runs need, and becomes a process for each that is asked of it
(`sandbox.spark_java`).
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import secrets
import select
import signal
import socketserver
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from sandbox import local_spark
from sandbox.ministack import FAILED, FAILED_IN_SPARK, ROLE_PREFIX, SPARK_GATEWAY, new_session
from sandbox.mirror import BucketMirror, Transfer
from sandbox.owner import when_owner_ends
from sandbox.spark_java import SERVE

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_RAW_PREFIX = "raw/"  # what a job reads of the raw bucket


def main() -> int:
    """Run the job of the command line; 0 after success, else `FAILED` or `FAILED_IN_SPARK`."""
    if sys.argv[1:2] == [SERVE]:
        _serve(Path(sys.argv[2]))
        return 0
    message_to_emulator = os.dup(1)
    os.dup2(2, 1)  # whatever the script or its JVM prints goes to the log
    when_owner_ends(lambda: os._exit(FAILED_IN_SPARK))
    code, message = _outcome(sys.argv[1:])
    os.write(message_to_emulator, message.encode())
    return code


def _serve(told: Path) -> None:
    """Run what is asked for, each in a process of its own, until standard input ends; where, a file tells.

    Not a socket's own file: of its path a system takes a hundred characters, and a lake may lie deeper.
    """
    for name in ("pyarrow.compute", "pyarrow.parquet", "pyspark.sql"):  # which script and Spark will import
        import_module(name)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with its owner, and in order
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has asked for a run is told how it has ended
    with _Runs(("127.0.0.1", 0), _Run) as runs:
        whole = told.with_suffix(".whole")
        whole.write_text(f"{runs.server_address[1]} {_Runs.KEY}")
        whole.rename(told)
        # A thread that watched standard input would be lost to those that are made of this process
        while 0 not in select.select([runs.fileno(), 0], [], [])[0]:
            runs.handle_request()


class _Runs(socketserver.ForkingMixIn, socketserver.TCPServer):
    """Where runs are asked for, with the key that only who may read the file has."""

    KEY = secrets.token_hex()


class _Run(socketserver.StreamRequestHandler):
    """A run, in a process that was made for it: asked for by a line, it tells its id and how it has ended."""

    def handle(self) -> None:
        asked = json.loads(self.rfile.readline())
        if not secrets.compare_digest(asked["key"], _Runs.KEY):
            return
        self._tell(os.getpid())
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with Path(asked["log"]).open("ab") as log:
            for stream, stands_for in ((self.connection, 0), (log, 1), (log, 2)):
                os.dup2(stream.fileno(), stands_for)
        os.environ.clear()
        os.environ.update(asked["environment"])
        when_owner_ends(lambda: os._exit(FAILED_IN_SPARK))
        outcome = _outcome(asked["command"])
        sys.stdout.flush()
        sys.stderr.flush()
        self._tell(outcome)

    def _tell(self, what: object) -> None:
        self.wfile.write(json.dumps(what).encode() + b"\n")


def _outcome(command: Sequence[str]) -> tuple[int, str]:
    """Run the job of a command line: 0, or `FAILED` or `FAILED_IN_SPARK` and the message that tells why."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--job", required=True, help="the job's name")
    parser.add_argument("--script", required=True, help="s3:// address of the job's script")
    parser.add_argument("--mirror", type=Path, required=True, help="folder with the buckets' mirrors")
    arguments, job_arguments = parser.parse_known_args(command)
    try:
        _run(arguments.job, arguments.script, arguments.mirror, job_arguments)
    except BaseException as error:  # noqa: BLE001  # whatever ends the job is the run's outcome
        traceback.print_exc()
        code = FAILED_IN_SPARK if _is_of_spark(error) else FAILED
        return code, traceback.format_exception_only(error)[-1].strip()
    return 0, ""


def _is_of_spark(error: BaseException | None) -> bool:
    """Whether an error, or one that led to it, is one of Spark or of what connects Python with its Java."""
    while error is not None:
        if type(error).__module__.partition(".")[0] in {"py4j", "pyspark"}:
            return True
        error = error.__cause__ or error.__context__
    return False


def _run(job: str, script: str, mirror: Path, job_arguments: list[str]) -> None:
    _begin_session()
    nodes = boto3.client("glue").get_job(JobName=job)["Job"].get("CodeGenConfigurationNodes")
    buckets = {bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]}
    _take_role()
    s3 = boto3.client("s3", config=Config(max_pool_connections=16))
    # What a job reads and writes, its arguments name; a bucket that Spark leaves alone may be large
    by_api = () if nodes else _values_of("--refined_bucket", job_arguments)
    mirrored = (buckets & set(job_arguments)).difference(by_api)
    raw = _values_of("--raw_bucket", job_arguments)
    mirrors = [
        BucketMirror(s3, bucket, mirror, prefix=_RAW_PREFIX if bucket in raw else "")
        for bucket in sorted(mirrored)
    ]
    with tempfile.TemporaryDirectory(prefix="spark-") as scratch:
        _take_packages(s3, _values_of("--extra-py-files", job_arguments), Path(scratch))
        folders = {one.root.name: one.root for one in mirrors}
        settings = local_spark.settings_for(one_session=bool(_values_of("--trade_date", job_arguments)))
        if gateway := os.environ.get(SPARK_GATEWAY):
            local_spark.connect(Path(gateway), folders, settings)
        else:
            local_spark.configure(Path(scratch), folders, settings=settings)
        local_script = Path(scratch) / "script.py"
        if not nodes:
            where = urlsplit(script)
            s3.download_file(where.netloc, where.path.lstrip("/"), str(local_script))
        for one in mirrors:
            _timed(f"pulled {one.root.name}", one.pull)
        try:
            if nodes:
                _run_graph(nodes, job_arguments)
            else:
                _run_script(local_script, job_arguments)
        finally:
            local_spark.disconnect()
            for one in mirrors:
                _timed(f"pushed {one.root.name}", one.push)


def _take_role() -> None:
    """From here on call AWS as the job's role, whose credentials the emulator has put beside its own."""
    for name in [name for name in os.environ if name.startswith(ROLE_PREFIX)]:
        os.environ[name.removeprefix(ROLE_PREFIX)] = os.environ.pop(name)
    _begin_session()  # another one has the credentials of before


def _begin_session() -> None:
    """Have clients from here on use the environment as it is now."""
    boto3.DEFAULT_SESSION = new_session()


def _take_packages(s3: S3Client, named: Sequence[str], folder: Path) -> None:
    """Put the packages of `--extra-py-files` before all others, here and where Spark runs Python.

    Args:
        s3: A client of S3.
        named: The argument's values: `s3://` addresses of ZIPs, with commas between them.
        folder: Where to download them.
    """
    archives = []
    for number, address in enumerate(one for value in named for one in value.split(",")):
        where = urlsplit(address)
        archive = folder / f"{number}-{Path(where.path).name}"
        s3.download_file(where.netloc, where.path.lstrip("/"), str(archive))
        archives.append(str(archive))
    if archives:
        sys.path[:0] = archives
        os.environ["PYTHONPATH"] = os.pathsep.join(archives)


def _values_of(name: str, job_arguments: list[str]) -> list[str]:
    return [value for argument, value in pairwise(job_arguments) if argument == name]


def _run_script(script: Path, job_arguments: list[str]) -> None:
    sys.argv = [str(script), *job_arguments]
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        if end.code not in (None, 0):
            raise


def _run_graph(nodes: dict[str, Any], job_arguments: list[str]) -> None:
    # Spark reads its settings, which are in place only now, when it is imported
    from pyspark.sql import SparkSession  # noqa: PLC0415

    from sandbox.visual import interpreter  # noqa: PLC0415  # imports Spark

    interpreter.run(nodes, job_arguments, SparkSession.builder.getOrCreate())


def _timed(what: str, action: Callable[[], Transfer]) -> None:
    started = time.monotonic()
    transfer = action()
    seconds = time.monotonic() - started
    print(f"{what}: {transfer.copied} copied, {transfer.deleted} deleted, {seconds:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
