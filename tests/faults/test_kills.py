"""The job killed, at moments of chance and at chosen ones, and run again: the lake of clean runs, each time.

A run that is killed is a process of its own, with its JVM and its workers; the signal is SIGKILL, to all of
them. One that is to end well takes a JVM that is warm, as in the sandbox.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pyarrow.parquet as pq
import pytest

from lake import keys
from refinement.adjustment.state import EVENTS_KEY, FACTORS_KEY, refresh
from sandbox.b3.formats import encode_session, encode_supplement
from sandbox.b3.market import SimulatedMarket
from sandbox.ministack import REPOSITORY, SPARK_GATEWAY, MiniStack
from sandbox.spark_java import SparkJavas
from scraper.b3.corporate_actions.reader import read_supplement
from scraper.b3.cotahist.reader import read_session
from scraper.raw.bucket import Lineage, RawBucket
from tests.faults.proxy import Proxy
from tests.leading import lead_to

pytestmark = [pytest.mark.faults, pytest.mark.xdist_group("kills")]

MARKET = SimulatedMarket(seed=5, tickers=120, quotes=500)
KILLS, KILLS_EACH_TIME = 20, 2
DAYS = [date(2025, 9, 5) + timedelta(days=number) for number in range(KILLS // 2)]
"""Each session's run is killed twice, its rerun in the midst of what the first has left.

`.ci/run` has the first session alone: on a slow machine each kill takes half a minute. Between each of them
and `TIMED`, whose run is before, papers went ex."""
BETWEEN_FILES_AND_CATALOG, TWICE_AT_ONCE, TIMED = (date(2025, 10, day) for day in (1, 2, 3))
_SECONDS = 300
_NAME = uuid4().hex[:8]
RAW = f"raw-{_NAME}"

TABLES = (EVENTS_KEY, FACTORS_KEY)
Tables = dict[str, bytes | None]
"""The objects of `TABLES`; None of one that is not there."""

State = tuple[dict[str, str], set[tuple[str, ...]], set[tuple[str, ...]]]
"""ETag of each refined file; the partitions of the wide table; those of the compact one."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Buckets, a catalog, and the job on them.

    Attributes:
        aws: The emulator.
        name: Of the database, and in those of the buckets.
        folder: For the mirror of the raw bucket.
        javas: For the runs that end well.
        seconds: How long a run with a JVM of its own takes.
    """

    aws: MiniStack
    name: str
    folder: Path
    javas: SparkJavas
    seconds: float = 0.0

    @property
    def refined(self) -> str:
        """The refined bucket."""
        return f"refined-{self.name}"

    def start(
        self,
        first: date,
        last: date | None = None,
        *,
        glue: str | None = None,
        java: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a run in a process group of its own."""
        dates = (
            ["--trade_date", str(first)]
            if last is None
            else ["--start_date", str(first), "--end_date", str(last)]
        )
        arguments = {
            "--job": "refine",
            "--script": f"s3://{RAW}/refine.py",
            "--mirror": str(self.folder),
            "--raw_bucket": RAW,
            "--refined_bucket": self.refined,
            "--refined_database": self.name,
            "--refined_table": "bovespa_daily",
        }
        command = [sys.executable, "-m", "sandbox.spark_runner", *dates]
        command += [part for pair in arguments.items() for part in pair]
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPOSITORY),  # also where Java was started elsewhere
            **({"AWS_ENDPOINT_URL_GLUE": glue} if glue else {}),
            **({SPARK_GATEWAY: str(java)} if java else {}),
        }
        return subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def run(self, first: date, last: date | None = None) -> None:
        """Run to the end."""
        number, gateway = self.javas.take(self.folder / "java.log")
        ended = self.start(first, last, java=gateway).wait(timeout=_SECONDS)
        self.javas.give_back(number, ended_well=ended == 0)
        assert ended == 0

    def files(self, day: date) -> dict[str, str]:
        """ETag of each refined file of a session, by key."""
        s3 = boto3.client("s3")
        return {
            item["Key"]: item["ETag"]
            for folder in ("refined", "refined_compact")
            for page in s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.refined, Prefix=f"{folder}/trade_date={day}/"
            )
            for item in page.get("Contents", [])
        }

    def partitions(self, day: date, suffix: str = "") -> set[tuple[str, ...]]:
        """The partitions of a session."""
        glue = boto3.client("glue")
        pages = glue.get_paginator("get_partitions").paginate(
            DatabaseName=self.name,
            TableName=f"bovespa_daily{suffix}",
            Expression=f"trade_date = '{day}'",
            ExcludeColumnSchema=True,
        )
        try:
            return {tuple(each["Values"]) for page in pages for each in page["Partitions"]}
        except glue.exceptions.EntityNotFoundException:
            return set()

    def tables(self) -> Tables:
        """What the last run has made of events and factors."""
        return {key: _content(self.refined, key) for key in TABLES}

    def state(self, day: date) -> State:
        """All that a run leaves of a session."""
        return self.files(day), self.partitions(day), self.partitions(day, "_compact")


def _content(bucket: str, key: str) -> bytes | None:
    s3 = boto3.client("s3")
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None


def _made_at_once(
    bench: Bench, other: Bench | None = None, day: date | None = None
) -> dict[str, bytes | None]:
    """The tables of events and factors made in one go of the sessions of a lake, and of one of another."""
    s3, bucket = boto3.client("s3"), f"made-{uuid4().hex}"
    s3.create_bucket(Bucket=bucket)
    found = s3.list_objects_v2(Bucket=bench.refined, Prefix=keys.COMPACT).get("Contents", [])
    sources = {item["Key"]: bench.refined for item in found}
    if other is not None:
        sources[f"{keys.COMPACT}{day}/{keys.REFINED_FILE}"] = other.refined
    for key, source in sources.items():
        s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": source, "Key": key})
    refresh(s3, raw_bucket=RAW, refined_bucket=bucket)
    return {key: _content(bucket, key) for key in TABLES}


def _proven(tables: Tables) -> list[tuple[str, date]]:
    """Kind and ex-date of the events that count."""
    body = tables[EVENTS_KEY]
    assert body is not None
    rows = pq.read_table(BytesIO(body)).to_pylist()
    return [(row["kind"], row["ex_date"]) for row in rows if row["status"] == "proven"]


def _kill(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _make_bench(aws: MiniStack, folder: Path, name: str, javas: SparkJavas) -> Bench:
    bench = Bench(aws=aws, name=f"{name}{_NAME}", folder=folder / name, javas=javas)
    bench.folder.mkdir()
    boto3.client("s3").create_bucket(Bucket=bench.refined)
    return bench


@pytest.fixture(scope="module")
def benches(
    emulator: MiniStack, javas: SparkJavas, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Bench, Bench]]:
    """A lake of clean runs, and one without any yet."""
    folder = tmp_path_factory.mktemp("kills")
    with pytest.MonkeyPatch.context() as environment:
        lead_to(emulator, environment)
        s3, glue = boto3.client("s3"), boto3.client("glue")
        s3.create_bucket(Bucket=RAW)
        s3.upload_file(str(REPOSITORY / "glue_scripts" / "refine.py"), RAW, "refine.py")
        glue.create_job(
            Name="refine",
            Role="arn:aws:iam::000000000000:role/refine",
            Command={"Name": "glueetl", "ScriptLocation": f"s3://{RAW}/refine.py"},
        )
        for day in (*DAYS, BETWEEN_FILES_AND_CATALOG, TWICE_AT_ONCE, TIMED):
            frame = read_session(encode_session(day, MARKET.session(day)), session=day, source="simulated")
            RawBucket(RAW).write_session(frame, session=day, lineage=Lineage("simulated", str(day)))
        _put_actions()
        clean = _make_bench(emulator, folder, "clean", javas)
        clean.run(DAYS[0], TWICE_AT_ONCE)
        killed = _make_bench(emulator, folder, "killed", javas)
        started = time.monotonic()
        assert killed.start(TIMED).wait(timeout=_SECONDS) == 0
        yield clean, replace(killed, seconds=time.monotonic() - started)


def _put_actions() -> None:
    """What B3 states of the market's issuers, into the raw bucket."""
    issuers = {quote.codneg[:4] for day in DAYS for quote in MARKET.session(day) if quote.tpmerc == "010"}
    for issuer in sorted(issuers):
        actions = MARKET.corporate_actions(issuer, TIMED)
        if actions is None or not actions.is_listed:
            continue
        body = json.dumps(encode_supplement(actions)).encode()
        is_fund = actions.is_fund
        said = read_supplement(body, issuer=issuer, is_fund=is_fund, seen=TIMED, source="simulated")
        if said.table.num_rows:
            RawBucket(RAW).merge_actions(issuer, said.table, lineage=Lineage("simulated", issuer))


def _at_a_time(chance: random.Random) -> Callable[[Bench, date], bool]:
    share = chance.random()

    def reached(bench: Bench, _day: date) -> bool:
        time.sleep(share * bench.seconds)
        return True

    return reached


def _at_a_file(chance: random.Random) -> Callable[[Bench, date], bool]:
    count, s3 = chance.randint(1, 115), boto3.client("s3")

    def reached(bench: Bench, day: date) -> bool:
        time.sleep(0.02)  # otherwise to ask would take as much of the machine as the run
        listed = s3.list_objects_v2(Bucket=bench.refined, Prefix=f"refined/trade_date={day}/")
        return listed["KeyCount"] >= count

    return reached


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, marks=[pytest.mark.long_faults] if number >= KILLS_EACH_TIME else [])
        for number in range(KILLS)
    ],
)
def test_a_run_killed_at_a_moment_of_chance_and_run_again_leaves_the_lake_of_a_clean_run(
    benches: tuple[Bench, Bench], number: int
) -> None:
    clean, bench = benches
    day, chance = DAYS[number // 2], random.Random(number)  # noqa: S311 - the same moments each time
    before, is_rerun = bench.state(day), bool(number % 2)
    tables_before, tables_after = bench.tables(), _made_at_once(bench, clean, day)
    reached = (_at_a_time if is_rerun else _at_a_file)(chance)
    process = bench.start(day)
    while process.poll() is None and not reached(bench, day):
        pass
    _kill(process)

    files, partitions, compact = bench.state(day)
    expected = clean.state(day)
    assert files.items() <= expected[0].items(), "whatever is there is whole"
    assert partitions <= expected[1]
    assert compact <= expected[2]
    assert all(_has_its_file(files, values) for values in partitions), "no partition leads nowhere"
    assert before[0].items() <= files.items(), "nothing that was there is lost"
    for key, found in bench.tables().items():
        assert found in (tables_before[key], tables_after[key]), "each table is as before, or as it should be"

    if is_rerun:
        bench.run(day)
        assert bench.state(day) == expected
        assert bench.tables() == tables_after
        assert _proven(tables_after)


def _has_its_file(files: dict[str, str], values: tuple[str, ...]) -> bool:
    trade_date, ticker = values
    return f"refined/trade_date={trade_date}/ticker={ticker}/part-00000.parquet" in files


def test_a_run_killed_between_files_and_catalog_shows_no_half_session_and_ends_as_a_clean_one(
    benches: tuple[Bench, Bench],
) -> None:
    clean, bench = benches
    day = BETWEEN_FILES_AND_CATALOG
    expected: Any = clean.state(day)
    with Proxy(bench.aws.endpoint) as glue:
        glue.hold("BatchCreatePartition")
        process = bench.start(day, glue=glue.endpoint)
        assert glue.held.wait(_SECONDS)
        _kill(process)
    assert bench.state(day) == (expected[0], set(), set()), "every file, and no partition"
    bench.run(day)
    assert bench.state(day) == expected
    assert bench.tables() == _made_at_once(bench)


def test_two_runs_of_one_session_at_once_leave_the_lake_of_one(benches: tuple[Bench, Bench]) -> None:
    clean, bench = benches
    both = [bench.start(TWICE_AT_ONCE), bench.start(TWICE_AT_ONCE)]
    assert [process.wait(timeout=_SECONDS) for process in both] == [0, 0]
    assert bench.state(TWICE_AT_ONCE) == clean.state(TWICE_AT_ONCE)
    tables = bench.tables()
    assert tables == _made_at_once(bench)
    assert ("dividend", TWICE_AT_ONCE) in _proven(tables)


def test_the_lake_of_clean_runs_holds_every_quote(benches: tuple[Bench, Bench]) -> None:
    clean, _ = benches
    s3 = boto3.client("s3")
    for day in (*DAYS, BETWEEN_FILES_AND_CATALOG, TWICE_AT_ONCE):
        key = f"refined_compact/trade_date={day}/part-00000.parquet"
        body = s3.get_object(Bucket=clean.refined, Key=key)["Body"].read()
        rows = pq.read_table(BytesIO(body)).to_pylist()
        quotes = MARKET.session(day)
        assert sum(row["volume"] for row in rows) == sum(quote.voltot for quote in quotes)
        assert sum(row["lines"] for row in rows) == len(quotes)
    tables = clean.tables()
    assert tables == _made_at_once(clean)
    assert {("dividend", DAYS[4]), ("split", BETWEEN_FILES_AND_CATALOG)} <= {*_proven(tables)}
