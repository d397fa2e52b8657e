"""The Glue job over a day, a month and a year of simulated sessions: how fast, in how much memory, why.

`python -m benchmarks.range_run`. The real job, started as on AWS by StartJobRun, runs on local Spark and
writes to the emulator's S3 and Glue. Those work on the same processors, which on AWS they do not: their
share is told apart, in processor seconds.
"""

from __future__ import annotations

import argparse
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from uuid import uuid4

import boto3
import pyarrow as pa

from benchmarks import figures
from benchmarks.process_tree import PROCESSES, ProcessTree
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.years import write_year
from sandbox.ministack import REPOSITORY, MiniStack
from scraper.b3.calendar import sessions_between
from scraper.b3.cotahist.reader import read_year
from scraper.raw.bucket import Lineage, encode_session
from stacks.bundling import refinement_bundle

SCRIPT = REPOSITORY / "glue_scripts" / "refine.py"

YEAR = 2024
TICKERS, QUOTES = 300, 3_000  # a session
SPANS = {
    "a day": (date(YEAR, 3, 1), date(YEAR, 3, 1)),
    "a month": (date(YEAR, 3, 1), date(YEAR, 3, 31)),
    "a year": (date(YEAR, 1, 1), date(YEAR, 12, 31)),
}
JOB, RAW_BUCKET = "range-run", "range-run-raw"
_POLL_SECONDS = 0.25
_TIMEOUT_MINUTES = 120
_PHASE = re.compile(r"(\w+) ([\d.]+) s")


@dataclass(kw_only=True)
class Run:
    """One run of the job, and what it took.

    Attributes:
        span: Which sessions, in words.
        compact_only: Whether the wide table was left alone.
        sessions: How many sessions.
        quotes: Their quotes.
        files: Objects that it wrote.
        partitions: Partitions that it registered.
        seconds: From the script's first line to its last, the start of Spark included.
        phases: Seconds by phase, some of them beside others.
        processor_seconds: By process: the driver's Python, the JVM, the workers' Python, the emulator.
        peak_bytes: Most memory at one time (proportional set size), by process, and of all the job's.
        peak_by_quarter: The latter in each quarter of the run's time: whether memory grows as it goes on.
    """

    span: str
    compact_only: bool
    sessions: int
    quotes: int
    files: int = 0
    partitions: int = 0
    seconds: float = 0
    phases: dict[str, float] = field(default_factory=dict)
    processor_seconds: dict[str, float] = field(default_factory=dict)
    peak_bytes: dict[str, int] = field(default_factory=dict)
    peak_by_quarter: list[int] = field(default_factory=list)


def main(spans: tuple[str, ...] = tuple(SPANS)) -> None:
    """Measures, prints Markdown tables and writes `build/benchmarks/range_run.json`.

    Args:
        spans: Which of `SPANS`.

    Raises:
        RuntimeError: A run failed; the message is the job's.
        AssertionError: A run did not write a file and a partition for each session, and session and ticker.
    """
    runs = []
    with tempfile.TemporaryDirectory(prefix="range-run-") as scratch, MiniStack.start() as aws:
        aws.enter()
        quotes = _load_raw(Path(scratch))
        _make_job()
        for compact_only in (False, True):
            for span in spans:
                first, last = SPANS[span]
                wanted = {day: count for day, count in quotes.items() if first <= day <= last}
                run = Run(
                    span=span, compact_only=compact_only, sessions=len(wanted), quotes=sum(wanted.values())
                )
                _measure(aws, run)
                runs.append(run)
    report = {
        "market": {"tickers": TICKERS, "quotes": QUOTES},
        "machine": figures.machine(),
        "runs": [asdict(run) for run in runs],
    }
    figures.write("range_run", report)
    _print_tables(runs)


def _load_raw(scratch: Path) -> dict[date, int]:
    """Put a year of backfilled sessions into the raw bucket; return how many quotes each has."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=RAW_BUCKET)
    market, file = SimulatedMarket(tickers=TICKERS, quotes=QUOTES), scratch / f"COTAHIST_A{YEAR}.ZIP"
    days = sessions_between(date(YEAR, 1, 1), date(YEAR, 12, 31))
    write_year(file, ((day, market.columns(day)) for day in days), year=YEAR)
    lineage = Lineage(source=file.name, sha256="0" * 64)
    quotes = {}
    for day, batch in read_year(file, year=YEAR, source=file.name):
        key = f"raw/cotahist/trade_date={day}/backfill.parquet"
        s3.put_object(
            Bucket=RAW_BUCKET, Key=key, Body=encode_session(pa.Table.from_batches([batch]), lineage)
        )
        quotes[day] = batch.num_rows
        print(f"\rgenerating sessions: {len(quotes)} of {len(days)}", end="", flush=True)
    print()
    return quotes


def _make_job() -> None:
    boto3.client("s3").put_object(Bucket=RAW_BUCKET, Key="refine.py", Body=SCRIPT.read_bytes())
    with tempfile.TemporaryDirectory() as scratch:
        archive = shutil.make_archive(str(Path(scratch, "packages")), "zip", refinement_bundle())
        boto3.client("s3").upload_file(archive, RAW_BUCKET, "packages.zip")
    boto3.client("glue").create_job(
        Name=JOB,
        Role="range-run",
        Command={"Name": "glueetl", "ScriptLocation": f"s3://{RAW_BUCKET}/refine.py"},
        DefaultArguments={"--extra-py-files": f"s3://{RAW_BUCKET}/packages.zip"},
        GlueVersion="5.1",
        Timeout=_TIMEOUT_MINUTES,
    )


def _measure(aws: MiniStack, run: Run) -> None:
    """Run the job into a bucket and a database of its own, watch its processes, and look what it left."""
    glue, s3 = boto3.client("glue"), boto3.client("s3")
    name = f"range-run-{uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    first, last = SPANS[run.span]
    arguments = {
        "--start_date": str(first),
        "--end_date": str(last),
        "--raw_bucket": RAW_BUCKET,
        "--refined_bucket": name,
        "--refined_database": name,
        "--refined_table": "daily",
        "--compact_only": str(run.compact_only).lower(),
    }
    tree = ProcessTree(aws.pid)
    run_id = glue.start_job_run(JobName=JOB, Arguments=arguments)["JobRunId"]
    log = aws.job_run_log(run_id)
    while (state := glue.get_job_run(JobName=JOB, RunId=run_id)["JobRun"])["JobRunState"] not in {
        "SUCCEEDED",
        "FAILED",
        "TIMEOUT",
    }:
        tree.look()
        last_line = (log.read_text().splitlines() or [""])[-1] if log.exists() else ""
        kind = "compact only" if run.compact_only else "wide and compact"
        print(f"\r{f'{run.span}, {kind}: {last_line.strip()}'[:100]:100}", end="", flush=True)
        time.sleep(_POLL_SECONDS)
    print()
    if state["JobRunState"] != "SUCCEEDED":
        raise RuntimeError(f"the job run failed: {state.get('ErrorMessage')}; see {log}")
    run.processor_seconds, run.peak_bytes = tree.processor_seconds(), tree.peak_bytes
    looks = len(tree.job_bytes)
    quarters = [tree.job_bytes[looks * n // 4 : looks * (n + 1) // 4] for n in range(4)]
    run.peak_by_quarter = [max(quarter, default=0) for quarter in quarters]
    (done,) = (line for line in log.read_text().splitlines() if "  done: " in line)
    run.seconds = float(done.split()[0])
    run.phases = {phase: float(seconds) for phase, seconds in _PHASE.findall(done.partition(";")[2])}
    run.files = sum(1 for _ in _keys(name))
    run.partitions = sum(_partitions(name, table) for table in ("daily", "daily_compact"))
    assert run.files == run.partitions, (run.files, run.partitions)
    assert run.compact_only == (run.files == run.sessions), (run.files, run.sessions)


def _keys(bucket: str) -> Iterator[str]:
    for page in boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from (item["Key"] for item in page.get("Contents", []))


def _partitions(database: str, table: str) -> int:
    glue = boto3.client("glue")
    pages = glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=table)
    try:
        return sum(len(page["Partitions"]) for page in pages)
    except glue.exceptions.EntityNotFoundException:
        return 0


def _print_tables(runs: Sequence[Run]) -> None:
    print(f"### The job over a range: {TICKERS} tickers and about {QUOTES:,} quotes a session\n")
    headings = ("sessions", "quotes", "files", "seconds", "quotes/s", "files/s", "peak memory")
    _print_table(
        headings,
        runs,
        lambda run: (
            f"{run.sessions:,}",
            f"{run.quotes:,}",
            f"{run.files:,}",
            f"{run.seconds:.1f}",
            f"{run.quotes / run.seconds:,.0f}",
            f"{run.files / run.seconds:,.1f}",
            _mebibytes(run.peak_bytes["job"]),
        ),
    )
    print("Seconds of each phase; catalog and deletions go on beside the next sessions' rows and files:\n")
    phases = list(dict.fromkeys(phase for run in runs for phase in run.phases))
    _print_table(phases, runs, lambda run: [f"{run.phases.get(phase, 0):.1f}" for phase in phases])
    print("Processor seconds of each process; the emulator's are not the job's:\n")
    _print_table(
        PROCESSES, runs, lambda run: [f"{run.processor_seconds.get(each, 0):.1f}" for each in PROCESSES]
    )
    print("Most memory of each process, and of the whole job in each quarter of its time:\n")
    _print_table(
        (*PROCESSES[1:], "first quarter", "second", "third", "last"),
        runs,
        lambda run: [
            *(_mebibytes(run.peak_bytes.get(each, 0)) for each in PROCESSES[1:]),
            *map(_mebibytes, run.peak_by_quarter),
        ],
    )


def _print_table(headings: Sequence[str], runs: Sequence[Run], row: Callable[[Run], Sequence[str]]) -> None:
    rows = [(run.span, "compact" if run.compact_only else "wide and compact", *row(run)) for run in runs]
    print(figures.table(("range", "tables", *headings), rows, left=2), end="\n\n")


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.range_run", description=__doc__)
    parser.add_argument("spans", nargs="*", choices=[[], *SPANS], metavar=f"{{{','.join(SPANS)}}}")
    main(tuple(parser.parse_args().spans) or tuple(SPANS))
