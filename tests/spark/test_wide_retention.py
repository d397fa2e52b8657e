"""The bound of the wide table: which sessions it keeps, what is taken out of it, and what must not be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from pyspark.sql import SparkSession

from refinement.catalog import Catalog, wide_table
from refinement.retention import newest, wide_sessions
from refinement.run import parse_arguments
from sandbox.ministack import MiniStack
from tests.spark.raw_files import REFINED, Lake, compact_key, key
from tests.spark.rows import cash

pytestmark = pytest.mark.xdist_group("spark")

# A week's sessions, from Monday to Friday
DAYS = MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY = tuple(
    date(2031, 3, 10) + timedelta(days) for days in range(5)
)
TICKERS = ("ZZAA3", "A/B=C%")
QUOTES = [cash("ZZAA3", voltot=Decimal("10.00")), cash("A/B=C%", codisi="BRZZABACNPR0")]


class BoundLake(Lake):
    """A lake in which each session has two tickers, one of them with a name that folders escape."""

    def put_days(self, days: Iterable[date]) -> None:
        for day in days:
            self.put_session(QUOTES, day)

    def keep(self, bound: int, first: date, last: date | None = None, *argv: str) -> None:
        """Run the job over a session or a range, with the wide table bound to so many sessions."""
        self.run_range(first, last or first, "--wide_sessions", str(bound), *argv)

    def wide_days(self) -> set[date]:
        """The sessions of the wide table, each of which has both tickers' files and their partitions."""
        files = {file for file in self.files() if file.startswith("refined/")}
        registered = self.partitions()
        days = {date.fromisoformat(day) for day, _ in registered}
        assert files == {key(name, day) for name in ("ZZAA3", "A%2FB%3DC%25") for day in days}
        assert registered.keys() == {(str(day), ticker) for day in days for ticker in TICKERS}
        return days

    def compact_days(self) -> set[date]:
        """The sessions of the compact table, each of which has its file and its partition."""
        files = {file for file in self.files() if file.startswith("refined_compact/")}
        days = {date.fromisoformat(day) for (day,) in self.partitions("_compact")}
        assert files == {compact_key(day) for day in days}
        return days

    def compact(self) -> Any:
        """Versions and bytes of the compact files, and the compact table's partitions."""
        files = {file: body for file, body in self.files().items() if file.startswith("refined_compact/")}
        return files, self.partitions("_compact")

    def versions(self, day: date) -> int:
        """How many objects were ever written into or deleted from a session's wide folder."""
        found = boto3.client("s3").list_object_versions(Bucket=REFINED, Prefix=f"refined/trade_date={day}/")
        return len(found.get("Versions", [])) + len(found.get("DeleteMarkers", []))


@pytest.fixture
def lake(spark: SparkSession, s3_buckets: Path) -> BoundLake:
    return BoundLake(folder=s3_buckets, glue=boto3.client("glue"))


def test_the_newest_sessions_are_wide_from_a_range_to_a_day_to_a_correction(
    lake: BoundLake, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.put_days(DAYS)
    before = {day: lake.versions(day) for day in DAYS}
    lake.keep(2, MONDAY, WEDNESDAY)
    assert lake.wide_days() == {TUESDAY, WEDNESDAY}
    assert lake.compact_days() == {MONDAY, TUESDAY, WEDNESDAY}
    # Not first written and then removed
    assert {day for day in DAYS if lake.versions(day) != before[day]} == {TUESDAY, WEDNESDAY}
    assert "those older than the newest 2" in lake.tables()[0]["Description"]
    assert "taken out" not in capsys.readouterr().out

    # A daily run takes out one session and leaves all else as it is
    files = lake.files()
    lake.keep(2, THURSDAY)
    assert lake.wide_days() == {WEDNESDAY, THURSDAY}
    assert lake.compact_days() == {MONDAY, TUESDAY, WEDNESDAY, THURSDAY}
    after = lake.files()
    assert {file: after.get(file) for file in files if after.get(file) != files[file]} == {
        key("ZZAA3", TUESDAY): None,
        key("A%2FB%3DC%25", TUESDAY): None,
    }
    name = f"{lake.database}.bovespa_daily"
    assert (
        f"2031-03-11  taken out of {name}: 2 partitions, 2 files; its rows are in {name}_compact"
        in capsys.readouterr().out
    )

    # An old session that is refined again is corrected in the compact table alone
    lake.put_session([cash("ZZAA3", voltot=Decimal("99.00"))], MONDAY)
    lake.keep(2, MONDAY)
    assert [(row["ticker"], row["volume"]) for row in lake.rows(compact_key(MONDAY))] == [
        ("ZZAA3", Decimal("99.00"))
    ]
    assert lake.wide_days() == {WEDNESDAY, THURSDAY}
    assert lake.versions(MONDAY) == before[MONDAY]

    # A run with compact only leaves the wide table as it is, whatever its bound
    wide = lake.partitions(), lake.tables()[0]
    lake.keep(1, FRIDAY, None, "--compact_only", "true")
    assert lake.wide_days() == {WEDNESDAY, THURSDAY}
    assert (lake.partitions(), lake.tables()[0]) == wide
    assert lake.compact_days() == set(DAYS)


def test_all_are_wide_by_default_and_a_bound_takes_out_the_older_ones_wherever_runs_have_died(
    lake: BoundLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run ends what was begun; in between no partition is without its file."""
    lake.put_days(DAYS)
    lake.run_range(MONDAY, TUESDAY)
    lake.run_range(WEDNESDAY, FRIDAY)
    assert lake.wide_days() == lake.compact_days() == set(DAYS)
    assert "older than the newest" not in lake.tables()[0]["Description"]
    compact = lake.compact()

    # In the midst of a session's partitions
    unregister = Catalog._unregister

    def fail_on_the_second(catalog: Catalog, values: tuple[str, ...]) -> None:
        if values[1] == "ZZAA3":
            raise ConnectionError("the catalog is away")
        unregister(catalog, values)

    with monkeypatch.context() as crash:
        crash.setattr(Catalog, "_unregister", fail_on_the_second)
        with pytest.raises(ConnectionError, match="the catalog is away"):
            lake.keep(2, FRIDAY)
    assert (str(MONDAY), "ZZAA3") in lake.partitions()
    assert (str(MONDAY), "A/B=C%") not in lake.partitions()
    assert key("ZZAA3", MONDAY) in lake.files()

    # Between catalog and files
    with monkeypatch.context() as crash:
        crash.setattr("refinement.retention.delete", _fail_on_objects)
        with pytest.raises(ConnectionError, match="2 objects of 2031-03-10"):
            lake.keep(2, FRIDAY)
    # Monday is out of the catalog with its files still there, Tuesday is as it was
    assert {day for day, _ in lake.partitions()} == {str(day) for day in DAYS[1:]}
    assert {key("ZZAA3", day) for day in DAYS} < lake.files().keys()

    lake.keep(2, FRIDAY)
    assert lake.wide_days() == {THURSDAY, FRIDAY}
    assert lake.compact() == compact


def test_sessions_that_the_compact_table_lacks_stay_wide_until_they_are_refined_again(
    lake: BoundLake, capsys: pytest.CaptureFixture[str]
) -> None:
    lake.put_days(DAYS)
    lake.keep(0, MONDAY, FRIDAY)
    s3 = boto3.client("s3")
    # Monday's compact folder has no Parquet file, Tuesday no partition
    s3.delete_object(Bucket=REFINED, Key=compact_key(MONDAY))
    for name in ("_SUCCESS", "_temporary/0/part-00000.parquet", ".part-00000.parquet"):
        s3.put_object(Bucket=REFINED, Key=f"refined_compact/trade_date={MONDAY}/{name}", Body=b"")
    lake.glue.delete_partition(
        DatabaseName=lake.database, TableName="bovespa_daily_compact", PartitionValues=[str(TUESDAY)]
    )
    # The visual job has named Wednesday's compact file
    other_name = f"refined_compact/trade_date={WEDNESDAY}/run-1-part-block-0-0-r-00000-snappy.parquet"
    s3.copy_object(Bucket=REFINED, Key=other_name, CopySource=f"{REFINED}/{compact_key(WEDNESDAY)}")
    s3.delete_object(Bucket=REFINED, Key=compact_key(WEDNESDAY))
    # A run has died in the midst of taking Thursday out: it has no partition, and one file of two
    for ticker in TICKERS:
        lake.glue.delete_partition(
            DatabaseName=lake.database, TableName=lake.table, PartitionValues=[str(THURSDAY), ticker]
        )
    s3.delete_object(Bucket=REFINED, Key=key("ZZAA3", THURSDAY))

    lake.keep(1, FRIDAY)
    assert lake.wide_days() == {MONDAY, TUESDAY, FRIDAY}
    assert (
        f"2031-03-10 to 2031-03-11 (2 sessions)  not taken out of {lake.database}.bovespa_daily: "
        "no file or no partition in" in capsys.readouterr().out
    )

    lake.keep(1, MONDAY, WEDNESDAY)
    assert lake.wide_days() == {FRIDAY}
    assert lake.compact_days() == set(DAYS)


def _fail_on_objects(_s3: Any, _bucket: str, keys: list[str], span: str) -> None:
    if keys:
        raise ConnectionError(f"{len(keys)} objects of {span}")


def test_wide_sessions_are_found_by_their_folders_page_by_page(aws: MiniStack) -> None:
    s3 = boto3.client("s3")
    query = {"Bucket": REFINED, "Prefix": "refined/trade_date=", "Delimiter": "/"}

    def folders(*names: str) -> Any:
        return [{"Prefix": f"refined/trade_date={name}/"} for name in names]

    first: Any = {"CommonPrefixes": folders("2031-03-10", "2031-02-30", "20310312"), "IsTruncated": True}
    second: Any = {
        "CommonPrefixes": folders("2031-03-11", "__HIVE_DEFAULT_PARTITION__"),
        "IsTruncated": False,
    }
    with Stubber(s3) as stub:
        stub.add_response("list_objects_v2", {**first, "NextContinuationToken": "more"}, query)
        stub.add_response("list_objects_v2", second, {**query, "ContinuationToken": "more"})
        assert wide_sessions(s3, REFINED) == {MONDAY, TUESDAY}
        stub.assert_no_pending_responses()


@pytest.mark.parametrize(
    ("count", "kept"),
    [
        (0, {MONDAY, WEDNESDAY, FRIDAY}),
        (1, {FRIDAY}),
        (2, {WEDNESDAY, FRIDAY}),
        (9, {MONDAY, WEDNESDAY, FRIDAY}),
    ],
)
def test_the_newest_are_by_date_and_0_is_all(count: int, kept: set[date]) -> None:
    assert newest({WEDNESDAY, FRIDAY, MONDAY}, count) == kept


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("-1", "--wide_sessions is -1, expected 0 or more"),
        ("many", "argument --wide_sessions: invalid int value: 'many'"),
    ],
)
def test_a_bound_that_is_no_number_of_sessions_ends_the_job(
    value: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("raw_bucket", "refined_bucket", "refined_database", "refined_table")
    argv = ["--trade_date", "2031-03-10", *(text for name in names for text in (f"--{name}", "x"))]
    assert parse_arguments(argv).wide_sessions == 0
    with pytest.raises(SystemExit) as end:
        parse_arguments([*argv, "--wide_sessions", value])
    assert end.value.code == 2
    assert message in capsys.readouterr().err


def test_the_wide_tables_description_says_its_bound_and_where_the_older_sessions_are() -> None:
    bound, boundless = (wide_table("t", REFINED, count).description for count in (250, 0))
    assert bound.endswith(
        "use t_compact, which alone has those that were refined with --compact_only, and those older than "
        "the newest 250."
    )
    assert boundless.endswith("which alone has those that were refined with --compact_only.")
