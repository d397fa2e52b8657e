"""Simulated years into a lake by one command, killed twice on the way, and every sum reconciled.

`python -m benchmarks.decade [--years 2000-2039]`. A simulated B3 serves annual files, `python -m scraper
backfill` loads them into an emulated AWS in a process of its own, which is killed twice without warning and
begun again with the same arguments; the third time it goes to its end, with one range run of the Glue job on
Spark. Then what lies in the buckets is compared, session by session and to the cent, with what the market
made.
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
from dataclasses import dataclass
from datetime import date, timedelta
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
from benchmarks.figures import describe, machine, table
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
# Years that are to come are loaded by the same command, which is told that it is the day after them
_ON_ANOTHER_DAY = """\
import sys
from datetime import date
from operating import backfill
from scraper.__main__ import main
day = date.fromisoformat(sys.argv.pop(1))
backfill.day_in_sao_paulo = lambda _now: day
sys.exit(main(sys.argv[1:]))
"""
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


BySession = Mapping[date, Figures]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the lake keeps figures: a prefix, what its keys look like, and how to read a session's file."""

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
        return sum(item["Size"] for item in _objects(bucket, place.prefix))

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

        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            return dict(pool.map(read, list(_keys(bucket, place.prefix))))

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


def _objects(bucket: str, prefix: str) -> Iterator[Any]:
    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return (item for page in pages for item in page.get("Contents", []))


def _keys(bucket: str, prefix: str) -> Iterator[str]:
    return (item["Key"] for item in _objects(bucket, prefix))


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
    killed_at: Sequence[float],
    scratch: Path,
    seen: Seen,
) -> list[Attempt]:
    """Load the sessions by the command, killing it when these shares of them lie in the raw bucket.

    Args:
        lake: Where to.
        b3: Where from.
        sessions: All sessions that B3 has, ascending.
        killed_at: Shares of the sessions, ascending.
        scratch: Folder for the command's temporary files, and for what it prints.
        seen: Is told how many sessions are loaded.

    Returns:
        An attempt for each kill, and the one that went to its end.

    Raises:
        LoadError: The command ended before it was killed, or ended with an error.
    """
    scraper = ["-m", "scraper"]
    if (day_after := sessions[-1] + timedelta(days=1)) > date.today():  # noqa: DTZ011 - a day more or less
        scraper = ["-c", _ON_ANOTHER_DAY, str(day_after)]
    command = [sys.executable, *scraper, "backfill", "--bucket", lake.raw, "--job", lake.job]
    command += ["--from", str(sessions[0]), "--to", str(sessions[-1]), "--compact-only"]
    environment = {**os.environ, "QUOTES_BASE_URL": b3.base_url, "TMPDIR": str(scratch)}
    attempts: list[Attempt] = []
    for share in (*killed_at, None):
        # The attempt before may have got further than it was to
        further = lake.sessions_loaded() + 1
        kill_at = None if share is None else max(math.ceil(share * len(sessions)), further)
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
                killed=share is not None,
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


def main(years: tuple[int, int] = YEARS) -> None:
    """Measure, and print the table.

    Args:
        years: The first and the last.

    Raises:
        AssertionError: A sum does not reconcile, a session is missing, or there was not one job run.
        LoadError: The load failed.
    """
    show = Show(sys.stderr)
    first, last = years
    sessions = sessions_between(date(first, 1, 1), date(last, 12, 31))
    market = CountingMarket(tickers=TICKERS, quotes=QUOTES)
    source = SimulatedSource(sessions, market)
    with show.step("Annual files of the simulated B3", slow=True) as step:
        _generate(source, range(first, last + 1), step)
        step.outcome = f"{len(sessions):,} sessions"
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
            attempts = load(lake, b3, sessions, killed_at=KILLED_AT, scratch=scratch, seen=step.doing)
            step.outcome = f"{attempts[-1].sessions:,} sessions"
        with show.step("Reconcile", slow=True) as step:
            _reconcile(lake, market.figures, step)
            step.outcome = "every session adds up to what the market made"
        ((_, refined),) = lake.job_runs()
        loaded = sum(attempt.seconds for attempt in attempts) - refined
        load_peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        stages = [
            ("load, its three attempts together", loaded, load_peak, lake.stored(RAW)),
            ("range run, compact", refined, tree.peak_bytes["job"], lake.stored(COMPACT)),
        ]
        rows = [
            [stage, f"{seconds:.0f}", f"{peak / 1e6:,.0f}", f"{stored / 1e6:,.0f}"]
            for stage, seconds, peak, stored in stages
        ]
        print(table(["stage", "seconds", "peak MB", "stored MB"], rows))
        asked = Counter(year for attempt in attempts for year in attempt.downloads)
        left = sum(path.stat().st_size for path in scratch.rglob("*.*") if path.is_file())
        print(
            f"\nYears {first} to {last}: {len(sessions):,} sessions. Repeated after the kills: "
            f"{sum(times > 1 for times in asked.values())} downloads, {lake.written_twice()} uploads of a "
            f"session. Temporary files that the killed loads left: {left / 1e6:.1f} MB. "
            f"{describe(machine())}."
        )


def _generate(source: SimulatedSource, years: Iterable[int], step: Step) -> None:
    """Have B3 make its annual files."""
    for year in years:
        step.doing(str(year))
        assert source.quotes(annual_zip_name(year)), f"the simulated B3 has no file of {year}"


def _reconcile(lake: Lake, expected: BySession, step: Step) -> None:
    """Compare each place's files, and the partitions, with what is expected."""
    runs = lake.job_runs()
    assert [state for state, _ in runs] == ["SUCCEEDED"], f"expected one job run that succeeded, found {runs}"
    for place in (RAW, COMPACT):
        step.doing(place.name)
        figures = lake.figures(place)
        assert figures == expected, "\n".join([place.name, *differences(expected, figures)])
    partitions = lake.registered(f"{TABLE}_compact")
    assert partitions == dict.fromkeys(expected, 1), "the catalog has other partitions than the bucket"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.decade", description=__doc__)
    parser.add_argument("--years", default="{}-{}".format(*YEARS), help="first and last year (%(default)s)")
    first_year, last_year = map(int, parser.parse_args().years.split("-"))
    main((first_year, last_year))
