"""A range of sessions: in batches, in two tables, begun again, and disturbed."""

from __future__ import annotations

import string
import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pytest
from botocore.stub import ANY, Stubber
from pyspark.sql import DataFrame, SparkSession

from lake.keys import partition_folder
from refinement import raw, run
from refinement.catalog import Catalog
from refinement.errors import RefineError
from refinement.log import Phases
from refinement.members import members_table
from refinement.publish import Published, finish
from refinement.raw import batches_of_sessions, portfolios_in_force
from refinement.transform import transform
from sandbox.b3.formats import Quote
from sandbox.b3.market import SimulatedMarket
from sandbox.mirror import BucketMirror
from tests.spark.raw_files import (
    AA,
    BB,
    COMPACT_LOCATION,
    LOCATION,
    RAW,
    REFINED,
    Lake,
    compact_key,
    empty,
    keys,
)
from tests.spark.rows import SESSION, cash

pytestmark = pytest.mark.xdist_group("spark")

D = Decimal
MEMBERS = "bovespa_index_members"
DAYS = [SESSION + timedelta(days=ahead) for ahead in range(5)]
SHIFTED = [cash(voltot=D("30.00")), cash("ZZCC3", codisi="BRZZCCACNOR0", voltot=D("0.01"))]


def without_versions(state: Any) -> tuple[Any, ...]:
    """All files and the partitions of the rows, of `Lake.state`."""
    files, others, *partitions, _ = state
    return {file: body for file, (_, body) in (files | others).items()}, *partitions


def test_compact_only_leaves_the_wide_table_as_it_is_where_there_is_one(lake: Lake) -> None:
    lake.put_session([*AA, *BB])
    lake.run("--compact_only", "true")
    assert [table["Name"] for table in lake.tables()] == ["bovespa_daily_compact"]
    assert lake.files().keys() == {compact_key()}

    lake.run()  # which fills in what is missing
    assert lake.files().keys() == keys("ZZAA3", "ZZBB4")
    assert lake.partitions().keys() == {(str(SESSION), "ZZAA3"), (str(SESSION), "ZZBB4")}

    before, (wide, _) = lake.state(), lake.tables()
    lake.put_session(SHIFTED)
    lake.put_session(SHIFTED, DAYS[1])
    lake.run_range(DAYS[0], DAYS[1], "--compact_only", "true")

    files, _, partitions, sessions, _ = lake.state()
    changed = {compact_key(day) for day in DAYS[:2]}
    assert {file for file, content in files.items() if before[0].get(file) != content} == changed
    assert [row["volume"] for row in lake.rows(compact_key())] == [D("30.00"), D("0.01")]
    assert (partitions, lake.tables()[0]) == (before[2], wide)
    assert sessions == {(str(day),): f"{COMPACT_LOCATION}/trade_date={day}/" for day in DAYS[:2]}


class TestMembers:
    def test_of_each_index_are_of_the_portfolio_in_force_whether_they_traded_or_not(self, lake: Lake) -> None:
        lake.put_session([*AA, *BB])
        lake.put_portfolio(SESSION - timedelta(days=9), {"ZZAA3": ("100.000", None)})
        lake.put_portfolio(
            SESSION - timedelta(days=4), {"ZZQQ3": ("40.000", "Saúde"), "ZZAA3": ("60.000", "Financeiro")}
        )
        lake.put_portfolio(SESSION + timedelta(days=1), {"ZZAA3": ("1.000", None)})
        lake.put_portfolio(SESSION, {"ZZBB4": ("100.000", "Consumo")}, index="SMLL")
        lake.put_portfolio(SESSION, {"ZZBB4": ("100.000", "Consumo")}, index="IDIV")  # which nobody asks for
        lake.run("--index_codes", "SMLL,IBOV")

        names = ("index_code", "ticker", "isin", "weight", "sector", "portfolio_date", "portfolio_age_days")
        before = SESSION - timedelta(days=4)
        isin = {name: lake.row(name)["isin"] for name in ("ZZAA3", "ZZBB4")}
        assert lake.members() == [
            dict(zip(names, row, strict=True))
            for row in (
                ("SMLL", "ZZBB4", isin["ZZBB4"], D("100.000"), "Consumo", SESSION, 0),
                ("IBOV", "ZZAA3", isin["ZZAA3"], D("60.000"), "Financeiro", before, 4),
                ("IBOV", "ZZQQ3", None, D("40.000"), "Saúde", before, 4),
            )
        ]
        assert lake.partitions(table=MEMBERS) == {
            (str(SESSION),): f"s3://{REFINED}/refined_index_members/trade_date={SESSION}/"
        }
        # The rows have the weights of the first, and say so
        weights = {row["ticker"]: row["index_weight"] for row in lake.rows(compact_key())}
        assert weights == {"ZZAA3": None, "ZZBB4": D("100.000")}
        adjusted = lake.glue.get_table(DatabaseName=lake.database, Name="bovespa_daily_adjusted")["Table"]
        for table in (*lake.tables(), adjusted):
            comments = {
                column["Name"]: column.get("Comment") for column in table["StorageDescriptor"]["Columns"]
            }
            assert comments["index_weight"] == "Weight in the SMLL [percent]; null outside the index"
            assert not any("IBOV" in str(comment) for comment in comments.values())

    def test_of_a_session_that_has_no_portfolio_any_more_go(self, lake: Lake) -> None:
        lake.put_session(AA)
        lake.put_portfolio(SESSION, {"ZZAA3": ("100.000", None)})
        lake.run()
        assert len(lake.member_files()) == len(lake.partitions(table=MEMBERS)) == 1
        lake.run("--index_codes", "SMLL")
        assert (lake.member_files(), lake.partitions(table=MEMBERS)) == ({}, {})
        adjusted = lake.glue.get_table(DatabaseName=lake.database, Name="bovespa_daily_adjusted")["Table"]
        assert "Weight in the SMLL" in str(adjusted["StorageDescriptor"]["Columns"])


class TestBatches:
    def test_make_the_same_files_and_partitions_as_a_run_a_session(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        market = SimulatedMarket(tickers=40, quotes=200)
        for number, day in enumerate(DAYS):
            lake.put_session(market.session(day), day, "backfill" if number < 3 else "daily")
            lake.put_portfolio(
                day - timedelta(days=2),
                {row.ticker: (str(row.weight), row.sector) for row in market.portfolio(day)},
            )
        lake.put_portfolio(DAYS[2], {"ZXAA3": ("100.000", None)}, index="SMLL")
        for day in DAYS:
            lake.run("--trade_date", str(day), "--index_codes", "IBOV,SMLL")
        by_session = without_versions(lake.state())
        of_members = lake.partitions(table=MEMBERS)
        # Of each session a file a ticker, the compact one, and one of the members
        traded = [len({quote.codisi for quote in market.session(day)}) for day in DAYS]
        folders = Counter(file.partition("/")[0] for file in by_session[0])
        assert folders["refined"] == sum(traded) > 5 * 35
        assert folders["refined_compact"] == folders["refined_index_members"] == len(of_members) == 5
        indices = [{row["index_code"] for row in lake.members(day)} for day in DAYS]
        assert indices == [{"IBOV"}, {"IBOV"}, *[{"IBOV", "SMLL"}] * 3]

        empty(boto3.client("s3"), REFINED)
        lake.database += "_again"
        monkeypatch.setattr(raw, "_BATCH_SESSIONS", 2)
        lake.run_range(DAYS[0], DAYS[-1], "--index_codes", "IBOV,SMLL")
        before = lake.state()
        assert without_versions(before) == by_session
        assert lake.partitions(table=MEMBERS) == of_members

        lake.run_range(DAYS[0], DAYS[-1], "--index_codes", "IBOV,SMLL")
        assert lake.state() == before

    def test_end_where_rows_do_not_reconcile_with_the_batches_before_published_whole(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for day in DAYS:
            lake.put_session([*AA, *BB], day)
        monkeypatch.setattr(raw, "_BATCH_SESSIONS", 2)
        monkeypatch.setattr("refinement.run.transform", _without("ZZBB4", DAYS[3], transform))
        with pytest.raises(RefineError) as refusal:
            lake.run_range(DAYS[0], DAYS[-1])

        message = str(refusal.value)
        assert message.startswith("invariant broken: ")  # also of a range, so that the alarm knows it
        assert f"nothing of these sessions, {DAYS[2]} to {DAYS[3]}, was written" in message
        assert f"{DAYS[3]}: volume: expected 31.50, found 11.50" in message
        assert f"The sessions up to {DAYS[1]} are published" in message
        assert lake.files().keys() == keys("ZZAA3", "ZZBB4", day=DAYS[0]) | keys(
            "ZZAA3", "ZZBB4", day=DAYS[1]
        )
        assert lake.partitions("_compact").keys() == {(str(day),) for day in DAYS[:2]}
        assert len(lake.partitions()) == 4

    def test_end_where_the_catalog_refuses_and_the_next_run_goes_on(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for day in DAYS:
            lake.put_session([*AA, *BB], day)
        with monkeypatch.context() as patch:
            patch.setattr(raw, "_BATCH_SESSIONS", 2)
            patch.setattr(Catalog, "synchronise", _refusing(str(DAYS[2]), Catalog.synchronise))
            with pytest.raises(RefineError, match=f"the catalog is away. The sessions up to {DAYS[1]} are"):
                lake.run_range(DAYS[0], DAYS[-1])
        assert {day for (day,) in lake.partitions("_compact")} == {str(day) for day in DAYS[:2]}
        lake.run_range(DAYS[0], DAYS[-1])
        assert {day for (day,) in lake.partitions("_compact")} == {str(day) for day in DAYS}
        assert len(lake.partitions()) == 10

    def test_hold_so_many_quotes_and_so_many_sessions(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(raw, "_BATCH_QUOTES", 100)
        monkeypatch.setattr(raw, "_BATCH_SESSIONS", 3)

        def sizes(*quotes: int) -> list[int]:
            sessions = {SESSION + timedelta(days=day): count for day, count in enumerate(quotes)}
            batches = list(batches_of_sessions(sessions))
            assert [day for batch in batches for day in batch] == sorted(sessions)
            return [len(batch) for batch in batches]

        assert sizes(50, 50, 1, 99, 100, 1) == [2, 2, 1, 1]
        assert sizes(1, 1, 1, 1, 1, 1, 1) == [3, 3, 1]
        assert sizes(500, 500) == [1, 1]


def _without(ticker: str, day: date, transform: Callable[..., DataFrame]) -> Callable[..., DataFrame]:
    return lambda *frames, **how: transform(*frames, **how).where(
        f"ticker <> '{ticker}' OR trade_date <> '{day}'"
    )


def _refusing(day: str, synchronise: Callable[..., Any]) -> Callable[..., Any]:
    def refuse(catalog: Catalog, rows: list[tuple[str, str]], *sessions: Any) -> Any:
        if day in {trade_date for trade_date, _ in rows}:
            raise ConnectionError("the catalog is away")
        return synchronise(catalog, rows, *sessions)

    return refuse


class TestFiles:
    def test_that_s3_does_not_delete_are_told(self, aws: object) -> None:
        s3 = boto3.client("s3")
        refused: Any = [{"Key": "refined/a", "Code": "AccessDenied"}]
        published = [Published(SESSION, ["ZZAA3"], 1, 0, ["refined/a", "refined/b"], 0, pa.table({}), "")]
        of_members = Catalog(
            boto3.client("glue"), database=f"test_{uuid.uuid4().hex}", table=members_table("t", REFINED)
        )
        of_members.prepare()
        with Stubber(s3) as stub:
            stub.add_response("delete_objects", {"Errors": refused}, {"Bucket": REFINED, "Delete": ANY})
            with pytest.raises(RefineError, match=r"1 objects of s3://refined-bucket .*AccessDenied"):
                finish(s3, REFINED, published, Phases(), catalogs=[], of_members=of_members)

    def test_lie_where_spark_itself_would_put_them(self, spark: SparkSession, tmp_path: Path) -> None:
        printable = [char for char in map(chr, range(1, 128)) if char not in "\n\r"]
        tickers = [f"A{char}" for char in [*printable, "ç", "漢"]]
        frame = spark.createDataFrame([(ticker, 1) for ticker in tickers], "ticker string, n int")
        frame.coalesce(1).write.partitionBy("ticker").parquet(str(tmp_path / "table"))
        folders = {folder.name for folder in (tmp_path / "table").glob("ticker=*")}
        assert {partition_folder("", ["ticker"], [ticker])[1:] for ticker in tickers} == folders
        assert set(string.ascii_letters) < {name.removeprefix("ticker=A") for name in folders}


class TestTwoRunsAtOnce:
    def test_of_one_session_end_in_the_lake_of_one(self, lake: Lake) -> None:
        lake.put_session([*AA, cash("ZZDD3", codisi="BRZZDDACNOR0")])
        lake.run()
        lake.put_session([*AA, *BB])
        BucketMirror(boto3.client("s3"), RAW, lake.folder).push()
        argv = [
            *("--trade_date", str(SESSION), "--raw_bucket", RAW, "--refined_bucket", REFINED),
            *("--refined_database", lake.database, "--refined_table", lake.table),
        ]
        with ThreadPoolExecutor(2) as runs:
            list(runs.map(run.main, [argv, argv]))
        assert lake.files().keys() == keys("ZZAA3", "ZZBB4")
        assert lake.partitions() == {
            (str(SESSION), ticker): f"{LOCATION}/trade_date={SESSION}/ticker={ticker}/"
            for ticker in ("ZZAA3", "ZZBB4")
        }
        before = lake.state()
        lake.run()
        assert lake.state() == before


class TestTable:
    def test_that_was_made_without_them_gets_them_and_keeps_what_it_has(self, lake: Lake) -> None:
        lake.catalog().prepare()
        (table,) = lake.tables()
        lake.glue.delete_table(DatabaseName=lake.database, Name=lake.table)
        lake.glue.create_table(
            DatabaseName=lake.database,
            TableInput={
                "Name": lake.table,
                "Description": "One row per stock",
                "PartitionKeys": table["PartitionKeys"],
                "StorageDescriptor": table["StorageDescriptor"],
                "Parameters": {"classification": "parquet", "note": "kept"},
            },
        )
        lake.catalog().prepare()
        (now,) = lake.tables()
        assert now["Parameters"] == {
            "classification": "parquet",
            "note": "kept",
            "partition_filtering.enabled": "true",
        }
        assert now["Description"] == table["Description"]
        assert lake.indexes() == [["trade_date", "ticker"], ["ticker", "trade_date"]]

        version = now["VersionId"]
        lake.catalog().prepare()
        assert lake.tables()[0]["VersionId"] == version
        assert lake.indexes() == [["trade_date", "ticker"], ["ticker", "trade_date"]]


class TestRawFiles:
    @pytest.mark.parametrize("content", [b"", b"no Parquet", b"PAR1" * 5])
    def test_that_are_no_parquet_are_named(self, lake: Lake, content: bytes) -> None:
        lake.put_session(AA).write_bytes(content)
        with pytest.raises(RefineError, match=r"daily\.parquet cannot be read as Parquet: .*Ingest it again"):
            lake.run()
        assert lake.files() == {}

    def test_larger_than_what_is_fetched_of_them_are_told_by_their_end(
        self, lake: Lake, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        quotes = [Quote(codneg=f"ZZ{number:04d}", codisi="") for number in range(4_000)]
        assert lake.put_session(quotes).stat().st_size > 16_000
        monkeypatch.setattr(raw, "_FOOTER_BYTES", 16_000)
        lake.run("--compact_only", "true")
        assert len(lake.rows(compact_key())) == 4_000

    def test_of_portfolios_are_those_in_force(self) -> None:
        dated = {f"2031-03-{day:02}": f"of {day}" for day in (1, 5, 9, 12, 20)}

        def needed(first: date, last: date) -> list[str]:
            return [*portfolios_in_force(dated, first, last).values()]

        assert needed(date(2031, 3, 10), date(2031, 3, 12)) == ["of 9", "of 12"]
        assert needed(date(2031, 3, 9), date(2031, 3, 9)) == ["of 9"]
        assert needed(date(2031, 2, 20), date(2031, 3, 5)) == ["of 1", "of 5"]
        assert needed(date(2031, 2, 20), date(2031, 2, 25)) == []
