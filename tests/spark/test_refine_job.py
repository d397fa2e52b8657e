"""The whole job, on an emulated S3 and Glue Data Catalog: what each run leaves."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.stub import Stubber
from pyspark.sql import DataFrame, SparkSession

from refinement.catalog import Catalog, wide_table
from refinement.columns import COLUMNS, COMPACT_COLUMNS
from refinement.errors import InvariantBroken, RefineError
from refinement.run import parse_arguments
from refinement.transform import transform
from sandbox.ministack import MiniStack
from tests.leading import lead_to
from tests.spark.raw_files import (
    AA,
    BB,
    COMPACT_LOCATION,
    LOCATION,
    RAW,
    REFINED,
    Lake,
    compact_key,
    empty_buckets,
    empty_s3,
    key,
    keys,
)
from tests.spark.rows import SESSION, cash, option

pytestmark = pytest.mark.xdist_group("spark")

D = Decimal
CC = cash("ZZCC3", codisi="BRZZCCACNOR0")


def test_a_correction_changes_the_files_of_its_tickers_alone(lake: Lake) -> None:
    other_day = SESSION - timedelta(days=1)
    for day in (other_day, SESSION):
        lake.put_session([*AA, *BB], day)
    lake.run_range(other_day, SESSION)
    before = lake.files()
    lake.put_session([*AA, cash("ZZBB4", codisi="BRZZBBACNPR0", voltot=D("21.00"))])
    lake.run()
    after = lake.files()
    assert {file for file in after if after[file] != before[file]} == {key("ZZBB4"), compact_key()}
    assert lake.row("ZZBB4")["volume"] == D("21.00")


def test_whatever_lies_in_a_session_s_folders_its_files_are_there_alone_and_whole(lake: Lake) -> None:
    """As a run leaves them that has died in their midst, or another writer, or a disk."""
    lake.put_session([*AA, *BB, CC])
    lake.run()
    before = lake.state()
    s3, (_, published) = boto3.client("s3"), before[0][key("ZZAA3")]
    s3.delete_object(Bucket=REFINED, Key=key("ZZCC3"))
    for file in (key("ZZBB4"), compact_key()):  # of which only the bytes differ
        s3.put_object(Bucket=REFINED, Key=file, Body=before[0][file][1][:-1] + b"!")
    session = f"trade_date={SESSION}"
    other_day = key("ZZAA3", SESSION + timedelta(days=1))
    for file in (
        f"refined/{session}/ticker=ZZAA3/part-of-another-writer.parquet",
        f"refined/{session}/ticker=ZZAA3/_temporary/0/part",
        f"refined/{session}/_SUCCESS",
        f"refined_compact/{session}/part-00001.parquet",
        other_day,
    ):
        s3.put_object(Bucket=REFINED, Key=file, Body=published)
    lake.run()
    after = lake.state()
    assert after[1:] == before[1:]
    assert after[0].pop(other_day)[1] == published
    assert {file: body for file, (_, body) in after[0].items()} == {
        file: body for file, (_, body) in before[0].items()
    }
    assert after[0][key("ZZAA3")] == before[0][key("ZZAA3")]


def test_a_ticker_that_is_gone_from_raw_goes_from_the_catalog_and_then_its_files(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_day = SESSION - timedelta(days=1)
    for day in (other_day, SESSION):
        lake.put_session([*AA, *BB], day)
    lake.run_range(other_day, SESSION)
    of_other_day = keys("ZZAA3", "ZZBB4", day=other_day)
    lake.put_session([*AA, CC])
    with monkeypatch.context() as crash:
        crash.setattr(Catalog, "synchronise", _raise)
        with pytest.raises(ConnectionError, match="the catalog is away"):
            lake.run()
    # New and old files, none lost; the catalog as it was
    assert lake.files().keys() == keys("ZZAA3", "ZZBB4", "ZZCC3") | of_other_day
    assert {(day, ticker) for day, ticker in lake.partitions()} == {
        (str(day), ticker) for day in (other_day, SESSION) for ticker in ("ZZAA3", "ZZBB4")
    }

    synchronise = Catalog.synchronise
    seen: list[tuple[bool, bool]] = []

    def look(one: Catalog, rows: Any, *sessions: Any) -> Any:
        changes = synchronise(one, rows, *sessions)
        seen.append((key("ZZBB4") in lake.files(), (str(SESSION), "ZZBB4") in lake.partitions()))
        return changes

    monkeypatch.setattr(Catalog, "synchronise", look)
    lake.run()
    # The turns of compact and wide table, of members
    assert seen == [(True, True), (True, False), (True, False)]
    assert lake.files().keys() == keys("ZZAA3", "ZZCC3") | of_other_day
    assert lake.partitions().keys() == {
        ("2031-03-14", "ZZAA3"),
        ("2031-03-14", "ZZCC3"),
        ("2031-03-13", "ZZAA3"),
        ("2031-03-13", "ZZBB4"),
    }
    assert [row["ticker"] for row in lake.rows(compact_key())] == ["ZZAA3", "ZZCC3"]


def _raise(*_: object) -> None:
    raise ConnectionError("the catalog is away")


def test_an_option_series_counts_once_however_often_a_file_has_it_and_is_told(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    later = SESSION + timedelta(days=3)
    calls = [option("ZZAAC20"), option("ZZAAC21")]
    lake.put_session([*AA, *calls, calls[0]])
    lake.put_session([*AA, *calls], later)
    lake.run_range(SESSION, later)
    found = [lake.row("ZZAA3", day) for day in (SESSION, later)]
    assert [(row["option_series"], row["lines"]) for row in found] == [(3, 6), (3, 5)]
    assert "more than once, which counts once: 2031-03-14  [" in capsys.readouterr().out


def test_tickers_with_blanks_and_separators_are_escaped_in_folders_alone(
    lake: Lake, spark: SparkSession
) -> None:
    lake.put_session([cash("ACE 2", codisi=""), cash("A/B=C%", codisi="")])
    lake.run()
    assert lake.files().keys() == keys("ACE 2", "A%2FB%3DC%25")
    assert lake.partitions() == {
        ("2031-03-14", "ACE 2"): f"{LOCATION}/trade_date=2031-03-14/ticker=ACE 2/",
        ("2031-03-14", "A/B=C%"): f"{LOCATION}/trade_date=2031-03-14/ticker=A%2FB%3DC%25/",
    }
    read_back = spark.read.parquet(LOCATION).select("ticker").collect()
    assert {row["ticker"] for row in read_back} == {"ACE 2", "A/B=C%"}
    assert [row["ticker"] for row in lake.rows(compact_key())] == ["A/B=C%", "ACE 2"]


class TestRange:
    def test_takes_its_sessions_from_daily_or_else_backfill_files_and_skips_other_days(
        self, lake: Lake, capsys: pytest.CaptureFixture[str]
    ) -> None:
        friday, monday = date(2031, 2, 28), date(2031, 3, 3)
        lake.put_session(AA, friday, "backfill")
        lake.put_session(AA, monday, "backfill")
        lake.put_session(BB, monday)
        lake.put_session(BB, monday + timedelta(days=1))  # outside
        lake.put_portfolio(date(2031, 2, 25), {"ZZAA3": ("1.000", "OLD")})
        lake.put_portfolio(date(2031, 2, 26), {"ZZAA3": ("2.000", "NEWER")})
        lake.put_portfolio(date(2031, 2, 27), {"ZZAA3": ("9.000", "OTHER INDEX")}, index="SMLL")
        lake.put_portfolio(monday, {"ZZBB4": ("3.000", "NEWEST")})
        for no_date in ("2031-02-30", "2031-02-28-old", "today"):
            folder = lake.folder / RAW / f"raw/cotahist/trade_date={no_date}"
            folder.mkdir()
            (folder / "daily.parquet").write_bytes(b"no Parquet")

        lake.run_range(friday, monday)

        assert lake.files().keys() == keys("ZZAA3", day=friday) | keys("ZZBB4", day=monday)
        assert lake.partitions().keys() == {(str(friday), "ZZAA3"), (str(monday), "ZZBB4")}
        rows = (lake.row("ZZAA3", friday), lake.row("ZZBB4", monday))
        assert [(row["sector"], row["portfolio_age_days"]) for row in rows] == [("NEWER", 2), ("NEWEST", 0)]
        assert "taken for days without a session: 2031-03-01, 2031-03-02" in capsys.readouterr().out

    def test_without_any_session_is_an_error(self, lake: Lake) -> None:
        with pytest.raises(
            RefineError, match=r"expected daily\.parquet or backfill\.parquet in .* to s3://raw-"
        ):
            lake.run_range(date(2031, 3, 15), date(2031, 3, 16))


def _drop_a_row(transform: Callable[..., DataFrame]) -> Callable[..., DataFrame]:
    return lambda *frames, **how: transform(*frames, **how).where("ticker <> 'ZZBB4'")


@pytest.fixture(scope="class")
def published(spark: SparkSession, buckets_root: Path, emulator: MiniStack) -> Iterator[Lake]:
    """A lake in which a session is published."""
    with pytest.MonkeyPatch.context() as patch:
        lead_to(emulator, patch)
        empty_buckets(buckets_root)
        empty_s3(buckets_root)
        lake = Lake(folder=buckets_root, glue=boto3.client("glue"))
        lake.put_session([*BB, *AA])
        lake.put_portfolio(date(2031, 3, 10), {"ZZAA3": ("12.345", "Financeiro")})
        lake.run()
        yield lake


class TestPublishedRows:
    """What there is of a session, which none of these tests changes."""

    @pytest.fixture
    def lake(self, published: Lake, aws: MiniStack) -> Iterator[Lake]:
        published.put_session([*BB, *AA])
        before = published.state()
        yield published
        published.table = "bovespa_daily"
        assert published.state() == before

    def test_are_one_file_per_ticker_and_catalogued(self, lake: Lake) -> None:
        assert lake.files().keys() == keys("ZZAA3", "ZZBB4")
        assert lake.partitions() == {
            ("2031-03-14", "ZZAA3"): f"{LOCATION}/trade_date=2031-03-14/ticker=ZZAA3/",
            ("2031-03-14", "ZZBB4"): f"{LOCATION}/trade_date=2031-03-14/ticker=ZZBB4/",
        }
        table, _ = lake.tables()
        descriptor = table["StorageDescriptor"]
        assert descriptor["Columns"] == [
            {"Name": name, "Type": kind, "Comment": comment} for name, kind, comment in COLUMNS
        ]
        assert [(column["Name"], column["Type"]) for column in table["PartitionKeys"]] == [
            ("trade_date", "date"),
            ("ticker", "string"),
        ]
        assert descriptor["Location"] == f"{LOCATION}/"
        assert descriptor["SerdeInfo"]["SerializationLibrary"].endswith("ParquetHiveSerDe")
        assert (table["TableType"], table["Parameters"]["classification"]) == ("EXTERNAL_TABLE", "parquet")

    def test_are_once_more_in_a_compact_file_sorted_by_ticker_with_a_table_of_its_own(
        self, lake: Lake
    ) -> None:
        rows = lake.rows(compact_key())
        assert rows == [{"ticker": ticker, **lake.row(ticker)} for ticker in ("ZZAA3", "ZZBB4")]
        assert lake.partitions("_compact") == {("2031-03-14",): f"{COMPACT_LOCATION}/trade_date=2031-03-14/"}
        wide, compact = lake.tables()
        assert (wide["Name"], compact["Name"]) == ("bovespa_daily", "bovespa_daily_compact")
        assert [column["Name"] for column in compact["PartitionKeys"]] == ["trade_date"]
        assert compact["StorageDescriptor"]["Location"] == f"{COMPACT_LOCATION}/"
        columns = compact["StorageDescriptor"]["Columns"]
        assert columns[0]["Name"] == "ticker"
        assert columns[1:] == wide["StorageDescriptor"]["Columns"]

    def test_are_in_tables_that_say_what_each_of_them_is_for(self, lake: Lake) -> None:
        wide, compact = (table["Description"] for table in lake.tables())
        assert "about 330,000 a year" in wide
        assert "For more sessions use bovespa_daily_compact" in wide
        assert "for whatever spans sessions" in compact
        for description in (wide, compact):
            assert "--compact_only" in description

    def test_are_found_by_an_index_where_there_is_a_file_a_ticker(self, lake: Lake) -> None:
        assert lake.indexes() == [["trade_date", "ticker"], ["ticker", "trade_date"]]
        wide, compact = lake.tables()
        assert wide["Parameters"]["partition_filtering.enabled"] == "true"
        assert lake.indexes("_compact") == []
        assert compact["Parameters"] == {"EXTERNAL": "TRUE", "classification": "parquet"}

    def test_have_the_declared_columns_as_parquet_types(self, lake: Lake) -> None:
        arrow_types = {"bigint": "int64", "int": "int32", "date": "date32[day]"}
        files = lake.files()
        for file, columns in ((key("ZZAA3"), COLUMNS), (compact_key(), COMPACT_COLUMNS)):
            parquet = pq.read_schema(pa.BufferReader(files[file][1]))
            assert [(field.name, str(field.type)) for field in parquet] == [
                (
                    name,
                    f"decimal128({kind[8:-1].replace(',', ', ')})"
                    if kind.startswith("decimal")
                    else arrow_types.get(kind, kind),
                )
                for name, kind, _ in columns
            ]
        row = lake.row("ZZAA3")
        assert (row["close"], row["volume"], row["lines"]) == (D("7.770000"), D("11.50"), 3)
        index = (row["index_weight"], row["sector"], row["portfolio_age_days"])
        assert index == (D("12.345"), "Financeiro", 4)

    def test_are_as_they_were_after_a_second_run_whose_log_says_of_which_run_and_session_each_line_is(
        self, lake: Lake, capsys: pytest.CaptureFixture[str]
    ) -> None:
        lake.run("--JOB_RUN_ID", "jr_0f3a")
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) >= 4
        for line in lines:
            assert re.fullmatch(r" *[\d.]+ s  .+  \[run=jr_0f3a session_date=2031-03-14\]", line), line

        lake.run_range(date(2031, 3, 14), date(2031, 3, 17))
        lines = capsys.readouterr().out.splitlines()
        assert all(line.endswith("  [session_date=2031-03-14/2031-03-17]") for line in lines)

    def test_stay_where_there_are_no_raw_quotes(self, lake: Lake) -> None:
        folder = r"s3://raw-bucket/raw/cotahist/trade_date=2031-03-15/\. Ingest the session first"
        with pytest.raises(RefineError, match=rf"expected daily\.parquet or backfill\.parquet in {folder}"):
            lake.run("--trade_date", "2031-03-15")

    def test_stay_where_a_raw_file_is_empty(self, lake: Lake) -> None:
        path = lake.put_session(AA)
        pq.write_table(pq.read_table(path, partitioning=None).slice(0, 0), path)
        with pytest.raises(RefineError, match=r"trade_date=2031-03-14/daily\.parquet holds no quotes"):
            lake.run()

    def test_stay_where_rows_do_not_reconcile(self, lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
        lake.put_session([cash(voltot=D("3.00")), *BB])
        monkeypatch.setattr("refinement.run.transform", _drop_a_row(transform))
        expected = r"2031-03-14: volume: expected 23\.00, found 3\.00"
        with pytest.raises(InvariantBroken, match=expected) as refusal:
            lake.run()
        # What the alarm's rule looks for; of several lines Glue may show but one
        assert str(refusal.value).startswith("invariant broken: ")
        assert "\n" not in str(refusal.value)

    def test_stay_where_a_raw_file_has_another_schema(self, lake: Lake) -> None:
        path = lake.put_session(AA)
        table = pq.read_table(path, partitioning=None)
        prices = table["preult"].cast(pa.float64())
        table = table.set_column(table.schema.get_field_index("preult"), "preult", prices).drop(["fatcot"])
        pq.write_table(table, path)
        with pytest.raises(RefineError) as refusal:
            lake.run()
        message = str(refusal.value)
        assert "s3://raw-bucket/raw/cotahist/trade_date=2031-03-14/daily.parquet" in message
        assert "column preult: expected decimal(13,2), found double" in message
        assert "column fatcot: expected bigint, found none" in message

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                {"Columns": [{"Name": "volume", "Type": "double"}]},
                r"column volume: expected decimal\(24,2\), found",
            ),
            (
                {"Location": "s3://elsewhere/"},
                "location: expected s3://refined-bucket/refined, found s3://elsewhere",
            ),
            (
                {"PartitionKeys": [{"Name": "day", "Type": "string"}]},
                "partition keys: expected .* found .*day",
            ),
        ],
    )
    def test_stay_where_a_table_is_not_the_jobs(
        self, lake: Lake, change: dict[str, Any], message: str
    ) -> None:
        lake.table = f"another_{uuid.uuid4().hex}"
        keys = [{"Name": "trade_date", "Type": "date"}, {"Name": "ticker", "Type": "string"}]
        descriptor: Any = {"Columns": [], "Location": f"{LOCATION}/", **change}
        lake.glue.create_table(
            DatabaseName=lake.database,
            TableInput={
                "Name": lake.table,
                "PartitionKeys": descriptor.pop("PartitionKeys", keys),
                "StorageDescriptor": descriptor,
            },
        )
        with pytest.raises(RefineError, match=message):
            lake.run()
        lake.glue.delete_table(DatabaseName=lake.database, Name=lake.table)


class TestCatalog:
    def test_grows_by_the_columns_that_a_table_lacks_and_keeps_those_of_others(self, lake: Lake) -> None:
        lake.put_session(AA)
        lake.catalog().prepare()
        (table,) = lake.tables()
        descriptor: Any = table["StorageDescriptor"]
        descriptor["Columns"] = [*descriptor["Columns"][:3], {"Name": "remark", "Type": "string"}]
        lake.glue.update_table(
            DatabaseName=lake.database,
            TableInput={
                "Name": lake.table,
                "Owner": "somebody",
                "StorageDescriptor": descriptor,
                "PartitionKeys": table["PartitionKeys"],
                "Parameters": {**table["Parameters"], "note": "kept"},
            },
        )
        # As registered by a job that knew three columns
        values = ["2031-03-14", "ZZAA3"]
        location = f"{LOCATION}/trade_date=2031-03-14/ticker=ZZAA3/"
        partition: Any = {"Values": values, "StorageDescriptor": {**descriptor, "Location": location}}
        where: Any = {"DatabaseName": lake.database, "TableName": lake.table}
        lake.glue.create_partition(**where, PartitionInput=partition)

        lake.run()

        expected = [name for name, _, _ in COLUMNS[:3]] + ["remark"] + [name for name, _, _ in COLUMNS[3:]]
        table, _ = lake.tables()
        assert [column["Name"] for column in table["StorageDescriptor"]["Columns"]] == expected
        assert (table["Owner"], table["Parameters"]["note"]) == ("somebody", "kept")
        found = lake.glue.get_partition(**where, PartitionValues=values)["Partition"]
        assert [column["Name"] for column in found["StorageDescriptor"]["Columns"]] == expected

    def test_registers_and_unregisters_more_partitions_than_a_call_takes(self, lake: Lake) -> None:
        catalog = lake.catalog()
        catalog.prepare()
        rows = [(str(SESSION), f"ZZ{number:03d}") for number in range(250)]
        assert catalog.synchronise(rows) == {"registered": 250, "updated": 0, "unregistered": 0}
        assert len(lake.partitions()) == 250
        assert catalog.synchronise(rows[:1]) == {
            "registered": 0,
            "updated": 0,
            "unregistered": 249,
        }
        assert lake.partitions().keys() == {("2031-03-14", "ZZ000")}

    def test_uses_a_database_that_is_there(self, lake: Lake) -> None:
        lake.glue.create_database(DatabaseInput={"Name": lake.database, "Description": "ours"})
        lake.catalog().prepare()
        assert lake.glue.get_database(Name=lake.database)["Database"]["Description"] == "ours"

    def test_takes_a_table_that_another_run_has_created_since_it_looked(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        create = lake.glue.create_table

        def create_after_another(**table: Any) -> Any:
            create(**table)
            return create(**table)

        monkeypatch.setattr(lake.glue, "create_table", create_after_another)
        catalog = lake.catalog()
        catalog.prepare()
        assert catalog.synchronise([("2031-03-14", "ZZAA3")])["registered"] == 1

    def test_raises_what_a_batch_answers_with_unless_the_partition_is_there_already(
        self, aws: MiniStack
    ) -> None:
        glue = boto3.client("glue")
        catalog = Catalog(glue, database="d", table=wide_table("t", REFINED))
        answer = {"PartitionValues": ["2031-03-14", "ZZAA3"]}
        there = {**answer, "ErrorDetail": {"ErrorCode": "AlreadyExistsException", "ErrorMessage": "there"}}
        full = {**answer, "ErrorDetail": {"ErrorCode": "ResourceNumberLimitExceededException"}}
        with Stubber(glue) as stub:
            stub.add_response("get_partitions", {"Partitions": []})
            stub.add_response("batch_create_partition", {"Errors": [there]})
            catalog.synchronise([("2031-03-14", "ZZAA3")])

            stub.add_response("get_partitions", {"Partitions": []})
            stub.add_response("batch_create_partition", {"Errors": [there, full]})
            with pytest.raises(RefineError, match=r"1 partitions .* in d\.t, .*ResourceNumberLimitExceeded"):
                catalog.synchronise([("2031-03-14", "ZZAA3")])
            stub.assert_no_pending_responses()

    def test_asks_for_the_partitions_of_its_sessions_page_by_page(self, aws: MiniStack) -> None:
        glue = boto3.client("glue")
        catalog = Catalog(glue, database="d", table=wide_table("t", REFINED))
        query = {
            "DatabaseName": "d",
            "TableName": "t",
            "Expression": "trade_date >= '2031-03-14' AND trade_date <= '2031-03-17'",
        }
        rows = [("2031-03-14", "ZZAA3"), ("2031-03-17", "ZZBB4")]

        def registered(trade_date: str, ticker: str) -> Any:
            location = f"{LOCATION}/trade_date={trade_date}/ticker={ticker}/"
            descriptor = {"Location": location, "Columns": []}
            return {"Values": [trade_date, ticker], "StorageDescriptor": descriptor}

        # A session in between that is none of the run's
        first, second, other = (registered(*values) for values in [*rows, ("2031-03-15", "ZZAA3")])
        with Stubber(glue) as stub:
            stub.add_response("get_partitions", {"Partitions": [other, first], "NextToken": "more"}, query)
            stub.add_response("get_partitions", {"Partitions": [second]}, {**query, "NextToken": "more"})
            assert catalog.synchronise(rows) == {"registered": 0, "updated": 0, "unregistered": 0}
            stub.assert_no_pending_responses()


class TestArguments:
    NAMES = (
        *("--raw_bucket", "r", "--refined_bucket", "f"),
        *("--refined_database", "d", "--refined_table", "t"),
    )

    def test_those_of_glue_itself_are_passed_over(self) -> None:
        argv = ["--JOB_NAME", "refine", "--trade_date", "2031-03-14", *self.NAMES, "--enable-metrics", "true"]
        arguments = parse_arguments(argv)
        assert (arguments.start_date, arguments.end_date, arguments.refined_table) == (SESSION, SESSION, "t")

    @pytest.mark.parametrize(
        ("dates", "message"),
        [
            ([], "give either --trade_date, or --start_date and --end_date"),
            (["--start_date", "2031-03-14"], "give either"),
            (["--trade_date", "2031-03-14", "--end_date", "2031-03-14"], "give either"),
            (
                ["--start_date", "2031-03-15", "--end_date", "2031-03-14"],
                "2031-03-15 is after --end_date 2031-03-14",
            ),
            (
                ["--trade_date", "14/03/2031"],
                "argument --trade_date: invalid fromisoformat value: '14/03/2031'",
            ),
        ],
    )
    def test_dates_that_name_no_session_or_range_end_the_job(
        self, dates: list[str], message: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as end:
            parse_arguments([*dates, *self.NAMES])
        assert end.value.code == 2
        assert message in capsys.readouterr().err
