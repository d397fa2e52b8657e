"""Simulated years into a lake by one command, killed twice on the way, and every sum reconciled.

`python -m benchmarks.decade [--wide] [--years 2000-2025 --quotes 1000 --tickers 120]`. A simulated B3 serves
annual files, `python -m scraper backfill` loads them into an emulated AWS in a process of its own, which is
killed twice without warning and begun again with the same arguments; the third time it goes to its end, with
one range run of the Glue job on Spark. Then what lies in the buckets is compared, session by session and to
the cent, with what the market made.
"""

from __future__ import annotations

import argparse
import io
import math
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.config import Config

from benchmarks.environments import REPOSITORY
from benchmarks.figures import Report, describe, machine, table, write
from benchmarks.process_tree import ProcessTree
from sandbox.b3.columns import Columns
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import QUOTES_PATH, B3Server
from sandbox.b3.sources import SimulatedSource
from sandbox.b3.years import annual_zip_name
from sandbox.console import Show, Step
from sandbox.ministack import MiniStack
from scraper.b3.calendar import sessions_between
from stacks.bundling import refinement_bundle

YEARS = (2015, 2024)
TICKERS, QUOTES = 40, 300  # a session
KILLED_AT = (0.25, 0.6)
"""When the load is killed: shares of all sessions that lie in the raw bucket by then."""

DATABASE = "history"
TABLE = "bovespa_daily"
_JOB_MINUTES = 120
_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_BETWEEN_PEAKS = 1
_CONNECTIONS = 8

Seen = Callable[[str], None]
"""Is told what is going on."""


class LoadError(RuntimeError):
    """The load did not go as it was meant to; the message ends with what it printed."""


class Figures(NamedTuple):
    """What a session adds up to: B3's lines, the stocks that they are of, and their volume in cents."""

    lines: int
    stocks: int
    cents: int

    def __add__(self, other: object) -> Figures:
        """The figures of both; a tuple's own addition would append them."""
        if not isinstance(other, Figures):
            return NotImplemented
        return Figures(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


BySession = Mapping[date, Figures]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the lake keeps figures: a prefix, what its keys look like, and how to read a file of it."""

    name: str
    prefix: str
    key: re.Pattern[str]
    figures_of: Callable[[io.BytesIO], Figures]


def _raw_figures(file: io.BytesIO) -> Figures:
    quotes = pq.read_table(file, columns=["codisi", "voltot"])
    return Figures(len(quotes), pc.count_distinct(quotes["codisi"]).as_py(), _cents(quotes["voltot"]))


def _refined_figures(file: io.BytesIO) -> Figures:
    rows = pq.read_table(file, columns=["lines", "volume"])
    return Figures(pc.sum(rows["lines"]).as_py(), len(rows), _cents(rows["volume"]))


def _cents(volumes: pa.ChunkedArray[Any]) -> int:
    return int(Decimal(pc.sum(volumes).as_py()).scaleb(2))


_SESSION = r"trade_date=(\d{4}-\d\d-\d\d)"
RAW = Place("raw", "raw/", re.compile(rf"raw/cotahist/{_SESSION}/backfill\.parquet"), _raw_figures)
COMPACT = Place(
    "refined, compact",
    "refined_compact/",
    re.compile(rf"refined_compact/{_SESSION}/part-00000\.parquet"),
    _refined_figures,
)
WIDE = Place(
    "refined, wide",
    "refined/",
    re.compile(rf"refined/{_SESSION}/ticker=[^/]+/part-00000\.parquet"),
    _refined_figures,
)


@dataclass(frozen=True, slots=True)
class Lake:
    """Two buckets and a Glue job in the emulated AWS that the environment leads to."""

    raw: str
    refined: str
    job: str

    @classmethod
    def make(cls, name: str) -> Lake:
        """Make the buckets, and the job that runs `glue_scripts/refine.py`; their names begin with `name`."""
        lake = cls(f"{name}-raw", f"{name}-refined", f"{name}-refine")
        s3 = boto3.client("s3")
        for bucket in (lake.raw, lake.refined):
            s3.create_bucket(Bucket=bucket)
        # Each time that an object is written leaves a version
        s3.put_bucket_versioning(Bucket=lake.raw, VersioningConfiguration={"Status": "Enabled"})
        script = "scripts/refine.py"
        s3.put_object(
            Bucket=lake.refined,
            Key=script,
            Body=(REPOSITORY / "glue_scripts" / "refine.py").read_bytes(),
        )
        with tempfile.TemporaryDirectory() as scratch:
            archive = shutil.make_archive(str(Path(scratch, "packages")), "zip", refinement_bundle())
            s3.upload_file(archive, lake.refined, "scripts/packages.zip")
        boto3.client("glue").create_job(
            Name=lake.job,
            Role="refine",
            Command={
                "Name": "glueetl",
                "PythonVersion": "3",
                "ScriptLocation": f"s3://{lake.refined}/{script}",
            },
            DefaultArguments={
                "--extra-py-files": f"s3://{lake.refined}/scripts/packages.zip",
                "--raw_bucket": lake.raw,
                "--refined_bucket": lake.refined,
                "--refined_database": DATABASE,
                "--refined_table": TABLE,
            },
            ExecutionProperty={"MaxConcurrentRuns": 1},
            Timeout=_JOB_MINUTES,
        )
        return lake

    def sessions_loaded(self) -> int:
        """How many sessions lie in the raw bucket."""
        return sum(RAW.key.fullmatch(key) is not None for key in _keys(self.raw, RAW.prefix))

    def finished_years(self) -> list[int]:
        """The years whose manifest has been written."""
        names = (re.search(r"COTAHIST_A(\d{4})\.json", key) for key in _keys(self.raw, "backfill/"))
        return sorted(int(name[1]) for name in names if name)

    def stored(self, place: Place) -> int:
        """The bytes of the objects in a place."""
        bucket = self.raw if place is RAW else self.refined
        pages = (
            boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=place.prefix)
        )
        return sum(item["Size"] for page in pages for item in page.get("Contents", []))

    def written_twice(self) -> int:
        """How many sessions were put into the raw bucket more than once."""
        pages = (
            boto3.client("s3")
            .get_paginator("list_object_versions")
            .paginate(Bucket=self.raw, Prefix=RAW.prefix)
        )
        versions = Counter(version["Key"] for page in pages for version in page.get("Versions", []))
        return sum(count > 1 for count in versions.values())

    def figures(self, place: Place) -> dict[date, Figures]:
        """What each session's files in a place add up to.

        Raises:
            AssertionError: There is another object in the place.
        """
        bucket = self.raw if place is RAW else self.refined
        s3 = boto3.client("s3", config=Config(max_pool_connections=_CONNECTIONS))

        def read(key: str) -> tuple[date, Figures]:
            session = place.key.fullmatch(key)
            assert session, f"s3://{bucket}/{key} is no file of a session"
            body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            return date.fromisoformat(session[1]), place.figures_of(io.BytesIO(body))

        found: dict[date, Figures] = {}
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            for session, figures in pool.map(read, list(_keys(bucket, place.prefix))):
                found[session] = found[session] + figures if session in found else figures
        return found

    def registered(self, table: str) -> Counter[date]:
        """How many partitions of each session the catalog has of a table."""
        pages = (
            boto3.client("glue")
            .get_paginator("get_partitions")
            .paginate(DatabaseName=DATABASE, TableName=table)
        )
        return Counter(
            date.fromisoformat(partition["Values"][0]) for page in pages for partition in page["Partitions"]
        )

    def job_runs(self) -> list[tuple[str, int]]:
        """State and seconds of each run of the job."""
        runs = boto3.client("glue").get_job_runs(JobName=self.job)["JobRuns"]
        return [(run["JobRunState"], run.get("ExecutionTime", 0)) for run in runs]


def _keys(bucket: str, prefix: str) -> Iterator[str]:
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return (item["Key"] for page in pages for item in page.get("Contents", []))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One start of the load.

    Attributes:
        seconds: From its start to its end, less what this benchmark held it up.
        killed: Whether it was killed; else it went to its end.
        sessions: Sessions in the raw bucket after it.
        finished: Years that were finished after it.
        downloads: Years that it asked B3 for.
    """

    seconds: float
    killed: bool
    sessions: int
    finished: tuple[int, ...]
    downloads: tuple[int, ...]


class CountingMarket(SimulatedMarket):
    """A simulated market that adds up what it makes.

    Attributes:
        figures: What each session that was asked for adds up to.
    """

    def __init__(self, *, tickers: int, quotes: int) -> None:
        super().__init__(tickers=tickers, quotes=quotes)
        self.figures: dict[date, Figures] = {}

    def columns(self, trade_date: date) -> Columns:
        """The session's quotes in columns."""
        quotes = super().columns(trade_date)
        stocks, volumes = np.unique(quotes["codisi"]), quotes["voltot"].tolist()
        self.figures[trade_date] = Figures(len(volumes), len(stocks), sum(volumes))
        return quotes


def load(
    lake: Lake,
    b3: B3Server,
    sessions: Sequence[date],
    *,
    compact_only: bool,
    killed_at: Sequence[float],
    scratch: Path,
    seen: Seen,
) -> list[Attempt]:
    """Load the sessions by the command, killing it when these shares of them lie in the raw bucket.

    Args:
        lake: Where to.
        b3: Where from.
        sessions: All sessions that B3 has, ascending.
        compact_only: Whether only the compact table is made.
        killed_at: Shares of the sessions, ascending.
        scratch: Folder for the command's temporary files, and for what it prints.
        seen: Is told how many sessions are loaded.

    Returns:
        An attempt for each kill, and the one that went to its end.

    Raises:
        LoadError: The command ended before it was killed, or ended with an error.
    """
    command = [sys.executable, "-m", "scraper", "backfill", "--bucket", lake.raw, "--job", lake.job]
    command += ["--from", str(sessions[0]), "--to", str(sessions[-1])]
    command += ["--compact-only"] if compact_only else []
    environment = {**os.environ, "QUOTES_BASE_URL": b3.base_url, "TMPDIR": str(scratch)}
    attempts: list[Attempt] = []
    for kill_at in [*(math.ceil(share * len(sessions)) for share in killed_at), None]:
        asked_before = len(b3.requests_seen)
        log = scratch / f"attempt-{len(attempts) + 1}.log"
        started = time.monotonic()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=REPOSITORY, env=environment, stdout=output, stderr=subprocess.STDOUT
            )
        held = _watch(
            process, lake, kill_at, lambda loaded: seen(f"{loaded:,} of {len(sessions):,} sessions")
        )
        if process.returncode != (0 if kill_at is None else -signal.SIGKILL):
            raise LoadError(f"the load ended with {process.returncode}:\n{log.read_text()[-4000:]}")
        attempts.append(
            Attempt(
                seconds=time.monotonic() - started - held,
                killed=kill_at is not None,
                sessions=lake.sessions_loaded(),
                finished=tuple(lake.finished_years()),
                downloads=tuple(_years_asked_for(b3, asked_before)),
            )
        )
    return attempts


def _watch(
    process: subprocess.Popen[bytes], lake: Lake, kill_at: int | None, seen: Callable[[int], None]
) -> float:
    """Wait for a load's end, or kill it when so many sessions are loaded.

    Returns:
        Seconds during which it was held. A load that is to be killed is held during each look at the bucket:
        in the time that a look takes it might load the rest of a year.
    """
    held = 0.0
    try:
        while process.poll() is None:
            looked = time.monotonic()
            if kill_at is not None:
                process.send_signal(signal.SIGSTOP)
            loaded = lake.sessions_loaded()
            seen(loaded)
            if kill_at is not None:
                held += time.monotonic() - looked
                if loaded >= kill_at:
                    break
                process.send_signal(signal.SIGCONT)
            time.sleep(_SECONDS_BETWEEN_LOOKS if kill_at is not None else 1)
    finally:
        process.kill()
        process.wait()
    return held


def _years_asked_for(b3: B3Server, before: int) -> Iterator[int]:
    for request in b3.requests_seen[before:]:
        if name := re.fullmatch(rf"{QUOTES_PATH}COTAHIST_A(\d{{4}})\.ZIP", request.path):
            yield int(name[1])


def differences(expected: BySession, found: BySession) -> list[str]:
    """The sessions whose figures are not as expected, in words."""
    return [
        f"{session}: expected {expected.get(session)}, found {found.get(session)}"
        for session in sorted(expected.keys() | found.keys())
        if expected.get(session) != found.get(session)
    ]


@contextmanager
def _looked_at(tree: ProcessTree) -> Iterator[None]:
    """Look at processes again and again meanwhile."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(_SECONDS_BETWEEN_PEAKS):
            tree.look()

    with ThreadPoolExecutor(1) as beside:
        looking = beside.submit(look)
        try:
            yield
        finally:
            ended.set()
        looking.result()


def main(
    *, wide: bool = False, years: tuple[int, int] = YEARS, tickers: int = TICKERS, quotes: int = QUOTES
) -> None:
    """Measures, prints Markdown tables and writes `build/benchmarks/decade.json`.

    Args:
        wide: Whether the job makes the wide table too, a file for each session and ticker.
        years: The first and the last.
        tickers: Stocks of the market.
        quotes: Quotes of a session, about.

    Raises:
        AssertionError: A sum does not reconcile, a session is missing, or there was not one job run.
        LoadError: The load failed.
    """
    show = Show(sys.stderr)
    first, last = years
    sessions = sessions_between(date(first, 1, 1), date(last, 12, 31))
    market = CountingMarket(tickers=tickers, quotes=quotes)
    source = SimulatedSource(sessions, market)
    seconds: dict[str, float] = {}
    with show.step("Annual files of the simulated B3", slow=True) as step, _timed(seconds, "generation"):
        zip_bytes = _generate(source, range(first, last + 1), step)
        step.outcome = f"{len(sessions):,} sessions, {zip_bytes / 1e6:.0f} MB"
    assert sorted(market.figures) == sessions, "the annual files have other sessions than were asked for"
    with (
        tempfile.TemporaryDirectory(prefix="decade-") as folder,
        B3Server(source) as b3,
        MiniStack.start(Path(folder) / "aws") as aws,
    ):
        aws.enter()
        scratch = Path(folder) / "scratch"
        scratch.mkdir()
        lake = Lake.make("decade")
        tree = ProcessTree(aws.pid)
        with show.step("Load, killed twice, and range run", slow=True) as step, _looked_at(tree):
            attempts = load(
                lake,
                b3,
                sessions,
                compact_only=not wide,
                killed_at=KILLED_AT,
                scratch=scratch,
                seen=step.doing,
            )
            step.outcome = f"{attempts[-1].sessions:,} sessions"
        with show.step("Reconcile", slow=True) as step, _timed(seconds, "reconciliation"):
            found = _reconcile(lake, market.figures, wide=wide, step=step)
            step.outcome = "every session adds up to what the market made"
        (run,) = lake.job_runs()
        peak = {"load": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024}
        report = {
            "machine": machine(),
            "years": years,
            "peak_bytes": peak | {"range run": tree.peak_bytes["job"]},
            "stored_bytes": {place.name: lake.stored(place) for place in (RAW, COMPACT, WIDE)},
            "zip_bytes": zip_bytes,
            "sums": {
                name: _total(figures)._asdict() | {"sessions": len(figures)}
                for name, figures in (("market", market.figures), *found.items())
            },
            "seconds": seconds | {"range run": run[1]},
            "attempts": [asdict(attempt) for attempt in attempts],
            "sessions_written_twice": lake.written_twice(),
            "bytes_left_behind": sum(path.stat().st_size for path in scratch.rglob("*.*") if path.is_file()),
        }
    write("decade", report)
    _print(report)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    seconds[name] = time.monotonic() - started


def _generate(source: SimulatedSource, years: Iterable[int], step: Step) -> int:
    """Have B3 make its annual files; their bytes."""
    size = 0
    for year in years:
        step.doing(str(year))
        document = source.quotes(annual_zip_name(year))
        assert document, f"the simulated B3 has no file of {year}"
        size += len(document.body)
    return size


def _reconcile(
    lake: Lake, expected: BySession, *, wide: bool, step: Step
) -> dict[str, Mapping[date, Figures]]:
    """Compare each place's files and partitions with what is expected; what was found, by place."""
    runs = lake.job_runs()
    assert [state for state, _ in runs] == ["SUCCEEDED"], f"expected one job run that succeeded, found {runs}"
    found: dict[str, Mapping[date, Figures]] = {}
    for place in (RAW, COMPACT, WIDE) if wide else (RAW, COMPACT):
        step.doing(place.name)
        figures = found[place.name] = lake.figures(place)
        assert figures == expected, "\n".join([place.name, *differences(expected, figures)])
    partitions = {f"{TABLE}_compact": dict.fromkeys(expected, 1)}
    if wide:
        partitions[TABLE] = {session: figures.stocks for session, figures in expected.items()}
    for name, wanted in partitions.items():
        assert lake.registered(name) == wanted, f"{name}: the catalog has other partitions than the bucket"
    return found


def _total(figures: BySession) -> Figures:
    return sum(figures.values(), Figures(0, 0, 0))


def _print(report: Report) -> None:
    sums, seconds = report["sums"], report["seconds"]
    first, last = report["years"]
    print(
        f"### Years {first} to {last}, simulated: {sums['market']['sessions']:,} sessions, "
        f"{sums['market']['lines']:,} quotes, killed twice on the way\n"
    )
    tables = "wide and compact" if WIDE.name in sums else "compact"
    stages = [
        ("B3 generates its files", seconds["generation"], f"{report['zip_bytes'] / 1e6:.0f} MB zipped"),
        *(_stage(attempt, seconds["range run"]) for attempt in report["attempts"]),
        (f"one range run of the job, {tables}", seconds["range run"], ""),
        ("reconciliation", seconds["reconciliation"], "every session adds up to what the market made"),
    ]
    print(
        table(
            ["stage", "after it", "seconds"], [[what, then, f"{s:.1f}"] for what, s, then in stages], left=2
        )
    )
    places = [
        [
            name,
            *(f"{total[column]:,}" for column in ("sessions", "lines", "stocks")),
            f"{Decimal(total['cents']).scaleb(-2):,}",
        ]
        for name, total in sums.items()
    ]
    print("\n" + table(["place", "sessions", "lines", "stocks", "volume, BRL"], places))
    stored = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in report["stored_bytes"].items() if size)
    peaks = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in report["peak_bytes"].items())
    print(f"\nStored: {stored}. Peak memory: {peaks}.")
    asked = Counter(year for attempt in report["attempts"] for year in attempt["downloads"])
    repeated = [str(year) for year, times in sorted(asked.items()) if times > 1]
    print(
        f"\nRepeated after the kills: {len(repeated)} downloads ({', '.join(repeated)}), "
        f"{report['sessions_written_twice']} uploads of a session. Temporary files that the killed loads "
        f"left: {report['bytes_left_behind'] / 1e6:.1f} MB. {describe(report['machine'])}.\n"
    )


def _stage(attempt: Mapping[str, Any], range_run: float) -> tuple[str, float, str]:
    then = f"{attempt['sessions']:,} sessions in raw, {len(attempt['finished'])} years finished"
    if attempt["killed"]:
        return "load, killed", attempt["seconds"], then
    return "load, to its end", attempt["seconds"] - range_run, then


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decade", description=__doc__)
    parser.add_argument("--wide", action="store_true", help="also a file for each session and ticker")
    parser.add_argument("--years", default="{}-{}".format(*YEARS), help="first and last year (%(default)s)")
    parser.add_argument("--tickers", type=int, default=TICKERS, help="stocks of the market (%(default)s)")
    parser.add_argument("--quotes", type=int, default=QUOTES, help="quotes of a session (%(default)s)")
    asked = parser.parse_args()
    first_year, last_year = map(int, asked.years.split("-"))
    main(wide=asked.wide, years=(first_year, last_year), tickers=asked.tickers, quotes=asked.quotes)
