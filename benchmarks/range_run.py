"""The Glue job over a day, a month and a year of simulated sessions: how fast, in how much memory, why.

`python -m benchmarks range_run`. The real job, started as on AWS by StartJobRun, runs on local Spark and
writes to the emulator's S3 and Glue. Those work on the same processors, which on AWS they do not: their
share is told apart, in processor seconds. Each run has a new emulator, and in it a Java that has refined the
first of the sessions before, as a sandbox's next run has; of a day also that first run counts, whose Java has
just started, as on AWS. The tables go to the screen and into
`docs/benchmarks.md`.

`python -m benchmarks.range_run --former COMMIT` has the job of another commit take turns with this one, and
compares every object that the two leave.
"""

from __future__ import annotations

import argparse
import io
import re
import shutil
import statistics
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import figures
from benchmarks.process_tree import PROCESSES, ProcessTree
from lake import keys
from sandbox.b3.formats import encode_session as encode_text
from sandbox.b3.market import SimulatedMarket
from sandbox.ministack import REPOSITORY, MiniStack
from scraper.b3.calendar import sessions_between
from scraper.b3.cotahist.reader import COTAHIST_SCHEMA, read_text
from scraper.b3.index_portfolio.reader import PORTFOLIO_SCHEMA
from scraper.raw.bucket import Lineage, encode_session
from stacks.bundling import refinement_bundle

NAME = "range_run"
SCRIPT = "glue_scripts/refine.py"

YEAR = 2024
OURS = "this commit"
JOB, RAW_BUCKET = "range-run", "range-run-raw"
_POLL_SECONDS = 0.25
_TIMEOUT_MINUTES = 120
_PHASE = re.compile(r"(\w+) ([\d.]+) s")
_QUARTERS = ("first", "second", "third", "last")
_ENDED = {"SUCCEEDED", "FAILED", "TIMEOUT"}
_MARKETS = ("ZX", "ZY", "ZW")
"""What the codes of a simulated market's papers begin with, and those of others beside it: one market has
names for 600 papers."""


@dataclass(frozen=True, slots=True)
class Span:
    """Sessions to refine.

    Attributes:
        first: The first.
        last: The last.
        markets: Of how many simulated markets.
        tickers: How many each of them has.
        quotes: How many lines of a session each has.
        rounds: How often the sessions are refined.
    """

    first: date
    last: date
    markets: int = 1
    tickers: int = 300
    quotes: int = 3_000
    rounds: int = 1


SPANS = {
    # As many as B3's session of 2024-11-08 had: 1,383 tickers, 12,226 quotes
    "a day": Span(date(YEAR, 3, 1), date(YEAR, 3, 1), markets=3, tickers=461, quotes=4_075, rounds=3),
    "a month": Span(date(YEAR, 3, 1), date(YEAR, 3, 31), rounds=2),
    "a year": Span(date(YEAR, 1, 1), date(YEAR, 12, 31)),
}


@dataclass(kw_only=True)
class Run:
    """One run of the job, and what it took.

    Attributes:
        job: Whose job: of this commit, or of which.
        span: Which sessions, in words.
        compact_only: Whether the wide table was left alone.
        sessions: How many sessions.
        quotes: The quotes of all.
        files: Objects of rows that it wrote.
        partitions: Partitions that it registered.
        seconds: From the script's first line to its last, the start of Spark included.
        phases: Seconds by phase, some of them beside others.
        processor_seconds: By process: the driver's Python, the JVM, the emulator, others.
        peak_megabytes: Most memory at one time (proportional set size), by process, and of all the job's.
        peak_by_quarter: The latter in each quarter of the run's time: whether memory grows as it goes on.
    """

    job: str
    span: str
    compact_only: bool
    sessions: int
    quotes: int
    files: int = 0
    partitions: int = 0
    seconds: float = 0
    phases: dict[str, float] = field(default_factory=dict)
    processor_seconds: dict[str, float] = field(default_factory=dict)
    peak_megabytes: dict[str, float] = field(default_factory=dict)
    peak_by_quarter: list[float] = field(default_factory=list)


def main(spans: Iterable[str] = tuple(SPANS), former: str | None = None) -> None:
    """Measures, prints Markdown tables, writes the report and, if it is whole, the document.

    Args:
        spans: Which of `SPANS`.
        former: A commit whose job takes turns with this one.

    Raises:
        RuntimeError: A run failed; the message is the job's.
        AssertionError: A run did not write a file and a partition for each session, and session and ticker,
            or not the same bytes as the former job.
        subprocess.CalledProcessError: There is no such commit.
    """
    jobs = {OURS: _job()} | ({former: _job(former)} if former else {})
    runs: list[Run] = []
    for name in spans:
        raw, quotes = _raw(SPANS[name])
        days = sessions_between(SPANS[name].first, SPANS[name].last)
        for compact_only in (False, True):
            for turn in range(SPANS[name].rounds):
                left: dict[str, dict[str, str]] = {}
                for job in list(jobs) if turn % 2 else [*reversed(jobs)]:
                    run = Run(
                        job=job, span=name, compact_only=compact_only, sessions=len(days), quotes=quotes
                    )
                    before, left[job] = _measure(run, jobs[job], raw, days)
                    runs += [run] if len(days) > 1 else [before, run]
                assert not (different := _differences(left)), different
    report = {"machine": figures.machine(), "runs": [asdict(run) for run in runs]}
    figures.write(NAME, report)
    print(markdown(report))
    if former is None and set(spans) == set(SPANS):
        figures.update(figures.DOCS / "benchmarks.md", {NAME: markdown(figures.keep(NAME))})


def _job(commit: str | None = None) -> dict[str, bytes]:
    """The job's script as it is, or as it was in a commit, and the ZIP with its packages."""
    with tempfile.TemporaryDirectory(prefix="job-") as scratch:
        folder = Path(scratch, "packages")
        if commit is None:
            script = (REPOSITORY / SCRIPT).read_bytes()
            shutil.copytree(refinement_bundle(), folder)
        else:
            script = _git("show", f"{commit}:{SCRIPT}")
            with tarfile.open(fileobj=io.BytesIO(_git("archive", commit, "refinement", "lake"))) as packed:
                packed.extractall(folder, filter="data")
        packages = Path(shutil.make_archive(str(folder), "zip", folder)).read_bytes()
    return {"refine.py": script, "packages.zip": packages}


def _git(*command: str) -> bytes:
    return subprocess.run(["git", *command], check=True, capture_output=True, cwd=REPOSITORY).stdout


def _raw(span: Span) -> tuple[dict[str, bytes], int]:
    """The raw objects of a span's sessions, as a backfill writes them, and how many quotes they have."""
    markets = [
        (names, SimulatedMarket(seed=number, tickers=span.tickers, quotes=span.quotes))
        for number, names in enumerate(_MARKETS[: span.markets])
    ]
    lineage = Lineage(source="simulated", sha256="0" * 64)
    found, quotes = {}, 0
    for day in sessions_between(span.first, span.last):
        session = pa.concat_tables(_session(market, names, day) for names, market in markets)
        quotes += session.num_rows
        found[keys.backfill(day)] = encode_session(session, lineage)
        members = [asdict(row) | {"index_code": "IBOV"} for row in markets[0][1].portfolio(day)]
        portfolio = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(members, schema=PORTFOLIO_SCHEMA), portfolio)
        found[keys.portfolio("IBOV", day)] = portfolio.getvalue().to_pybytes()
        print(f"\rgenerating sessions: {day}", end="", flush=True)
    print()
    return found, quotes


def _session(market: SimulatedMarket, names: str, day: date) -> pa.Table:
    """A session of a market, whose papers' codes begin with these letters."""
    frame = read_text(encode_text(day, market.session(day)), session=day, source="simulated")
    table = pa.Table.from_pandas(frame, schema=COTAHIST_SCHEMA, preserve_index=False)
    for name in ("codneg", "codisi"):
        renamed = pc.replace_substring(table[name], pattern=_MARKETS[0], replacement=names)
        table = table.set_column(table.schema.get_field_index(name), name, renamed)
    return table


def _measure(
    run: Run, job: Mapping[str, bytes], raw: Mapping[str, bytes], days: Sequence[date]
) -> tuple[Run, dict[str, str]]:
    """Run the job in an emulator of its own, once before for Java to load and compile what it needs.

    Returns:
        The run before, of the first session, and the objects that the run leaves, with their ETags.
    """
    before = replace(run, span=f"{run.span}, in a new Java")
    with MiniStack.start() as aws:
        aws.enter()
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket=RAW_BUCKET)
        for key, body in {**raw, **job}.items():
            s3.put_object(Bucket=RAW_BUCKET, Key=key, Body=body)
        boto3.client("glue").create_job(
            Name=JOB,
            Role="range-run",
            Command={"Name": "glueetl", "ScriptLocation": f"s3://{RAW_BUCKET}/refine.py"},
            DefaultArguments={"--extra-py-files": f"s3://{RAW_BUCKET}/packages.zip"},
            GlueVersion="5.1",
            Timeout=_TIMEOUT_MINUTES,
        )
        _look_on(aws, before, days[:1])
        objects = _look_on(aws, run, days)
    return before, objects


def _look_on(aws: MiniStack, run: Run, days: Sequence[date]) -> dict[str, str]:
    """Run the job into a bucket and a database of its own, and watch its processes; return what it leaves."""
    name = f"{JOB}-{uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    dates = {"--trade_date": str(days[0])}
    if len(days) > 1:
        dates = {"--start_date": str(days[0]), "--end_date": str(days[-1])}
    arguments = {
        **dates,
        "--raw_bucket": RAW_BUCKET,
        "--refined_bucket": name,
        "--refined_database": name,
        "--refined_table": "daily",
        "--compact_only": str(run.compact_only).lower(),
    }
    glue = boto3.client("glue")
    tree = ProcessTree(aws.pid)
    run_id = glue.start_job_run(JobName=JOB, Arguments=arguments)["JobRunId"]
    log = aws.job_run_log(run_id)
    while (state := glue.get_job_run(JobName=JOB, RunId=run_id)["JobRun"])["JobRunState"] not in _ENDED:
        tree.look()
        last_line = (log.read_text().splitlines() or [""])[-1] if log.exists() else ""
        kind = "compact only" if run.compact_only else "wide and compact"
        print(f"\r{f'{run.job}, {run.span}, {kind}: {last_line.strip()}'[:100]:100}", end="", flush=True)
        time.sleep(_POLL_SECONDS)
    print()
    if state["JobRunState"] != "SUCCEEDED":
        raise RuntimeError(f"the job run failed: {state.get('ErrorMessage')}; see {log}")
    run.processor_seconds = tree.processor_seconds()
    run.peak_megabytes = {process: size / 1e6 for process, size in tree.peak_bytes.items()}
    looks = len(tree.job_bytes)
    quarters = [tree.job_bytes[looks * n // 4 : looks * (n + 1) // 4] for n in range(4)]
    run.peak_by_quarter = [max(quarter, default=0) / 1e6 for quarter in quarters]
    (done,) = (line for line in log.read_text().splitlines() if "  done: " in line)
    run.seconds = float(done.split()[0])
    run.phases = {phase: float(seconds) for phase, seconds in _PHASE.findall(done.partition(";")[2])}
    objects = dict(_objects(name))
    run.files = sum(key.startswith((keys.WIDE, keys.COMPACT)) for key in objects)
    run.partitions = sum(_partitions(name, table) for table in ("daily", "daily_compact"))
    assert run.files == run.partitions, (run.files, run.partitions)
    assert run.compact_only == (run.files == len(days)), (run.files, len(days))
    return objects


def _objects(bucket: str) -> Iterator[tuple[str, str]]:
    for page in boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket):
        yield from ((item["Key"], item["ETag"]) for item in page.get("Contents", []))


def _partitions(database: str, table: str) -> int:
    glue = boto3.client("glue")
    pages = glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=table)
    try:
        return sum(len(page["Partitions"]) for page in pages)
    except glue.exceptions.EntityNotFoundException:
        return 0


def _differences(left: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Keys of objects that jobs have not left alike, but for the memory, which says whose code it is of."""
    keyed = {key for objects in left.values() for key in objects} - {keys.ADJUSTMENT_MEMORY}
    return sorted(key for key in keyed if len({objects.get(key) for objects in left.values()}) > 1)


def markdown(report: figures.Report) -> str:
    """The report's tables, of medians, and what was measured."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    jobs = {run["job"] for run in report["runs"]}
    for run in report["runs"]:
        name = f"{run['span']}, {'compact only' if run['compact_only'] else 'wide and compact'}"
        groups.setdefault((name, run["job"]) if len(jobs) > 1 else (name,), []).append(run)
    phases = dict.fromkeys(phase for run in report["runs"] for phase in run["phases"])
    speed: dict[str, Callable[[dict[str, Any]], float]] = {
        "CPU seconds": _own_processor_seconds,
        **{f"{phase}, s": partial(_of, "phases", phase) for phase in phases},
    }
    processes: dict[str, Callable[[dict[str, Any]], float]] = {
        **{f"CPU of {each}, s": partial(_of, "processor_seconds", each) for each in PROCESSES},
        **{f"{each}, peak MB": partial(_of, "peak_megabytes", each) for each in ("job", *PROCESSES[1:])},
        **{f"{each} quarter": partial(_of, "peak_by_quarter", n) for n, each in enumerate(_QUARTERS)},
    }
    left = ["run", "job"][: len(next(iter(groups)))]
    fast = [
        (
            *name,
            f"{runs[0]['sessions']:,}",
            f"{runs[0]['quotes']:,}",
            f"{runs[0]['files']:,}",
            _with_spread([_own_seconds(run) for run in runs]),
            f"{runs[0]['files'] / statistics.median(run['phases']['files'] for run in runs):,.0f}",
            *(f"{statistics.median(map(of, runs)):.2f}" for of in speed.values()),
        )
        for name, runs in groups.items()
    ]
    large = [
        (*name, *(f"{statistics.median(map(of, runs)):,.1f}" for of in processes.values()))
        for name, runs in groups.items()
    ]
    headings = ("sessions", "quotes", "files", "seconds", "files/s")
    return "\n\n".join(
        (
            figures.table((*left, *headings, *speed), fast, left=len(left)),
            figures.table((*left, *processes), large, left=len(left)),
            f"Medians of {', '.join(f'{span.rounds} of {name}' for name, span in SPANS.items())}. "
            f"Measured {figures.describe(report['machine'])}.",
        )
    )


def _of(what: str, name: Any, run: Mapping[str, Any]) -> float:
    found = run[what]
    return float(found[name] if isinstance(found, list) else found.get(name, 0))


def _with_spread(seconds: Sequence[float]) -> str:
    median = f"{statistics.median(seconds):.2f}"
    return median if len(seconds) == 1 else f"{median} ({min(seconds):.2f} to {max(seconds):.2f})"


def _own_seconds(run: dict[str, Any]) -> float:
    """Those of the job itself, without the start of Spark."""
    return float(run["seconds"] - run["phases"]["start"])


def _own_processor_seconds(run: dict[str, Any]) -> float:
    """Those of all processes, without the emulator's."""
    return float(sum(run["processor_seconds"].values()) - run["processor_seconds"]["emulator"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.range_run", description=__doc__)
    parser.add_argument("spans", nargs="*", choices=[[], *SPANS], metavar=f"{{{','.join(SPANS)}}}")
    parser.add_argument("--former", metavar="COMMIT", help="a commit whose job takes turns with this one")
    arguments = parser.parse_args()
    main(tuple(arguments.spans) or tuple(SPANS), arguments.former)
