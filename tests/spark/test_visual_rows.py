"""The visual job's graph makes the rows, files and partitions of the script: neither can change alone."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from glue_scripts import refine
from glue_scripts.visual import build_nodes
from sandbox.b3.formats import Quote
from sandbox.b3.market import SimulatedMarket
from sandbox.ministack import MiniStack
from sandbox.visual.glue import DynamicFrame, GlueContext, GlueError
from sandbox.visual.interpreter import Interpreter, run
from scraper.arrow import arrow_schema
from scraper.cotahist import read_session
from scraper.portfolio import read_portfolio
from scraper.schema import COTAHIST_COLUMNS, PORTFOLIO_COLUMNS, Column
from tests.spark.rows import SESSION, Members, cash, odd_lot, option
from tests.spark.test_refine_property import DAYS, LINES, PORTFOLIOS

pytestmark = pytest.mark.xdist_group("spark")

D = Decimal
Nodes = dict[str, dict[str, Any]]
Row = dict[str, Any]

RAW, REFINED = "raw-bucket", "refined-bucket"
NEXT_DAY = SESSION + timedelta(days=1)

# Refined tickers, sum of VOLTOT [BRL]
REAL_SESSIONS = {
    date(2003, 2, 12): (216, D("777444601.48")),
    date(2016, 1, 4): (440, D("5144986511.88")),
    date(2021, 6, 25): (1_129, D("33577581321.31")),
    date(2024, 11, 8): (1_383, D("30013494912.34")),
}


def nodes_for(database: str = "default", table: str = "bovespa_daily") -> Nodes:
    """The graph, after the way through JSON to Glue and back."""
    nodes = build_nodes(
        raw_bucket=RAW,
        refined_bucket=REFINED,
        refined_database=database,
        refined_table=table,
    )
    return dict(json.loads(json.dumps(nodes)))


@pytest.fixture
def raw(buckets: Path, spark: SparkSession) -> Iterator[Path]:
    """The raw bucket, empty; and Spark as the job finds it, but quick to begin a small query."""
    wanted = {
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.ansi.enabled": "false",
        # To compile a query of a few rows, and to plan it anew on its way, takes longer than to run it
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
    }
    before = {name: spark.conf.get(name, None) for name in wanted}
    for name, value in wanted.items():
        spark.conf.set(name, value)
    yield buckets / RAW
    for name, setting in before.items():
        spark.conf.unset(name) if setting is None else spark.conf.set(name, setting)


def write_quotes(raw: Path, sessions: Mapping[date, Iterable[Quote]], file: str = "daily") -> None:
    for session, quotes in sessions.items():
        rows = [asdict(quote) for quote in quotes]
        _write(raw / f"raw/cotahist/trade_date={session}/{file}.parquet", rows, COTAHIST_COLUMNS)


def write_portfolios(raw: Path, portfolios: Mapping[date, Members], index: str = "IBOV") -> None:
    for portfolio_date, members in portfolios.items():
        rows = [
            {"index_code": index, "ticker": ticker, "weight": Decimal(weight), "sector": sector}
            for ticker, (weight, sector) in members.items()
        ]
        file = raw / f"raw/index_portfolio/portfolio_date={portfolio_date}/{index}.parquet"
        _write(file, rows, PORTFOLIO_COLUMNS)


def _write(file: Path, rows: list[Row], columns: Iterable[Column]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(columns)), file)


def arguments(first: date, last: date | None = None, database: str = "default") -> list[str]:
    dates = ["--start_date", str(first), "--end_date", str(last)] if last else ["--trade_date", str(first)]
    return [
        *dates,
        *("--raw_bucket", RAW, "--refined_bucket", REFINED),
        *("--refined_database", database, "--refined_table", "bovespa_daily"),
    ]


def graph_rows(spark: SparkSession, nodes: Nodes, first: date, last: date | None = None) -> DataFrame:
    """What the graph would write."""
    made = Interpreter(nodes, arguments(first, last), spark).results("node-refined")
    frame: DataFrame = made["node-refined"].toDF()
    return frame


def script_rows(spark: SparkSession, first: date, last: date | None = None) -> DataFrame:
    """What the script would write, from the same files."""
    storage, last = refine.Storage(spark), last or first
    quotes = refine.read_raw(
        spark,
        refine.find_quotes(storage, RAW, first, last).values(),
        f"s3://{RAW}/raw/cotahist",
        "trade_date",
        refine.QUOTE_COLUMNS,
    )
    portfolios = refine.read_raw(
        spark,
        refine.find_portfolios(storage, RAW, first, last),
        f"s3://{RAW}/raw/index_portfolio",
        "portfolio_date",
        refine.PORTFOLIO_COLUMNS,
    )
    return refine.transform(quotes, portfolios)


def contents(frame: DataFrame) -> tuple[list[tuple[str, str]], list[Row]]:
    """Columns and types in order, and the rows by session and ticker."""
    rows = [row.asDict() for row in frame.collect()]
    return frame.dtypes, sorted(rows, key=lambda row: (row["trade_date"], row["ticker"]))


def assert_equal(spark: SparkSession, first: date, last: date | None = None) -> list[Row]:
    """The rows of both, which are the same."""
    columns, rows = contents(script_rows(spark, first, last))
    found_columns, found_rows = contents(graph_rows(spark, nodes_for(), first, last))
    assert found_columns == columns
    assert found_rows == rows
    return rows


class TestRows:
    def test_of_a_simulated_week_are_those_of_the_script(self, spark: SparkSession, raw: Path) -> None:
        market = SimulatedMarket(tickers=40, quotes=600)
        days = [date(2031, 3, day) for day in range(10, 15)]
        write_quotes(raw, {day: market.session(day) for day in days})
        write_portfolios(
            raw,
            {
                day: {row.ticker: (str(row.weight), row.sector) for row in market.portfolio(day)}
                for day in (days[1], days[3])
            },
        )
        rows = assert_equal(spark, days[0], days[-1])
        assert {row["trade_date"] for row in rows} == set(days)
        assert {row["portfolio_age_days"] for row in rows} == {None, 0, 1}

    @pytest.mark.real
    @pytest.mark.parametrize("session", REAL_SESSIONS)
    def test_of_a_real_session_are_those_of_the_script(
        self, spark: SparkSession, raw: Path, b3_files: Path, session: date
    ) -> None:
        archive = b3_files / f"InstDados/SerHist/COTAHIST_D{session:%d%m%Y}.ZIP"
        quotes = read_session(archive.read_bytes(), session=session, source=archive.name)
        file = raw / f"raw/cotahist/trade_date={session}/daily.parquet"
        file.parent.mkdir(parents=True)
        quotes.to_parquet(file)
        answer = b3_files / "indexProxy/GetPortfolioDay_IBOV_segment2_16-07-24.json"
        portfolio = read_portfolio([answer.read_bytes()], index="IBOV", source=answer.name)
        file = raw / f"raw/index_portfolio/portfolio_date={portfolio.portfolio_date}/IBOV.parquet"
        file.parent.mkdir(parents=True)
        portfolio.frame.to_parquet(file)

        rows = assert_equal(spark, session)

        assert (len(rows), sum(row["volume"] for row in rows)) == REAL_SESSIONS[session]
        traded = set(quotes.loc[quotes["tpmerc"] == "010", "codneg"])
        members = set(portfolio.frame["ticker"]) if portfolio.portfolio_date <= session else set()
        assert {row["ticker"] for row in rows if row["index_weight"]} == traded & members

    @settings(
        max_examples=5,
        deadline=None,
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.function_scoped_fixture,  # the bucket is emptied by each example itself
        ],
    )
    @given(
        sessions=st.dictionaries(DAYS, st.lists(LINES, min_size=1, max_size=25), min_size=1, max_size=8),
        portfolios=PORTFOLIOS,
    )
    def test_whatever_is_traded_are_those_of_the_script(
        self,
        spark: SparkSession,
        raw: Path,
        sessions: dict[date, list[Quote]],
        portfolios: dict[date, Members],
    ) -> None:
        shutil.rmtree(raw)
        write_quotes(raw, sessions)
        write_portfolios(raw, portfolios)
        assert_equal(spark, min(sessions), max(sessions))

    def test_are_of_the_sessions_that_the_arguments_name(self, spark: SparkSession, raw: Path) -> None:
        days = [SESSION + timedelta(days=ahead) for ahead in range(4)]
        for day, file in zip(days, ("daily", "daily", "backfill", "backfill"), strict=True):
            write_quotes(raw, {day: [cash(totneg=day.day)]}, file)
        (row,) = assert_equal(spark, days[1])
        assert row["trades"] == days[1].day
        rows = assert_equal(spark, days[1], days[2])
        assert [row["trade_date"] for row in rows] == days[1:3]

    def test_know_no_index_but_the_ibov(self, spark: SparkSession, raw: Path) -> None:
        write_quotes(raw, {SESSION: [cash()]})
        write_portfolios(raw, {SESSION - timedelta(days=2): {"ZZAA3": ("1.000", "A")}})
        write_portfolios(raw, {SESSION: {"ZZAA3": ("2.000", "B")}}, index="IBOVX")
        (row,) = assert_equal(spark, SESSION)
        assert (row["index_weight"], row["portfolio_age_days"]) == (D("1.000"), 2)

    def test_do_not_need_a_value_in_every_column(self, spark: SparkSession, raw: Path) -> None:
        """Of such a column Glue knows no type: no portfolio has a sector, no line an expiry or an ISIN."""
        write_quotes(raw, {SESSION: [odd_lot(codisi=None), odd_lot("ZZBB4F", codisi=None)]})
        write_portfolios(raw, {SESSION: {"ZZBB4": ("100.000", None)}})
        rows = assert_equal(spark, SESSION)
        assert [(row["ticker"], row["index_weight"], row["close"]) for row in rows] == [
            ("ZZAA3", None, None),
            ("ZZBB4", D("100.000"), None),
        ]

    def test_have_at_each_node_the_columns_that_it_declares(self, spark: SparkSession, raw: Path) -> None:
        _write_sample(raw)
        nodes = nodes_for()
        results = Interpreter(nodes, arguments(SESSION), spark).results("node-refined")
        declared = {
            node: properties["OutputSchemas"]
            for node in results
            for properties in nodes[node].values()
            if "OutputSchemas" in properties
        }
        assert len(declared) == 11
        for node, schemas in declared.items():
            made = results[node]
            frames = [made] if isinstance(made, DynamicFrame) else list(map(made.select, made.keys()))
            for frame, schema in zip(frames, schemas, strict=True):
                declared_types = [(column["Name"], column["Type"]) for column in schema["Columns"]]
                found = frame.toDF().dtypes
                if node in (
                    "node-rawquotes",
                    "node-rawportfolios",
                ):  # whose files hold more than the job reads
                    found = [column for column in found if column in declared_types]
                assert sorted(found) == sorted(declared_types), node


def _write_sample(raw: Path) -> None:
    """A session in which every refined column has a value, and the two jobs meet every expression."""
    lines = [
        cash(fatcot=3, preult=D("10.01"), preofc=D("9.99"), preofv=D("10.02"), voltot=D("70.00"), totneg=5),
        odd_lot(totneg=2, voltot=D("1.00")),
        Quote(codneg="ZZAA3T", tpmerc="030", voltot=D("5.00")),
        option("ZZAAC10", voltot=D("8.00"), datven=NEXT_DAY),
        option("ZZAAO10", "080", voltot=D("2.00")),
        Quote(codneg="ZZAA3L", tpmerc="017", voltot=D("0.50")),
        cash("ZZBB4", codisi="BRZZBBACNPR0", voltot=D("3.00"), premed=D("2.00")),
        odd_lot("ZZCC5F", codisi=None, voltot=D("4.00")),
        option("ZINDC9", codisi="BRZINDINDM18", voltot=D("6.00")),
    ]
    write_quotes(raw, {SESSION: lines})
    day_before = SESSION - timedelta(days=1)
    write_portfolios(raw, {day_before: {"ZZAA3": ("60.000", "A"), "ZZBB4": ("40.000", "B")}})


def _replace_in_sql(node: str, old: str, new: str) -> Callable[[Nodes], object]:
    def change(nodes: Nodes) -> None:
        query = nodes[node]["SparkSQL"]["SqlQuery"]
        assert old in query
        nodes[node]["SparkSQL"]["SqlQuery"] = query.replace(old, new, 1)

    return change


def _set(node: str, kind: str, **properties: object) -> Callable[[Nodes], object]:
    return lambda nodes: nodes[node][kind].update(properties)


CHANGES: dict[str, Callable[[Nodes], object]] = {
    "days not counted": _replace_in_sql("node-dates", "(next_expiry, ", "(trade_date, "),
    "a price not divided": _replace_in_sql("node-unit", "preult / NULLIF(fatcot, 0)", "preult"),
    "an odd lot's F kept": _replace_in_sql("node-stocks", "'F$'", "'X$'"),
    "a narrower type": _replace_in_sql("node-refined", "DECIMAL(18,6)", "DECIMAL(18,5)"),
    "another column renamed": _set("node-close", "RenameField", SourcePath=["premed"]),
    "a column renamed otherwise": _set("node-average", "RenameField", TargetPath=["average"]),
    "every line names": _set("node-naming", "Filter", Filters=[]),
    "an aggregate dropped": lambda nodes: nodes["node-sum"]["Aggregate"]["Aggs"].pop(),
    "a count for a sum": lambda nodes: nodes["node-sum"]["Aggregate"]["Aggs"][0].update(AggFunc="count"),
}


class TestAChangeOfOneSideAlone:
    """Shows in the comparison: by other rows, or because the graph runs no longer."""

    def test_in_a_node_shows(self, spark: SparkSession, raw: Path) -> None:
        _write_sample(raw)
        script = contents(script_rows(spark, SESSION))
        assert contents(graph_rows(spark, nodes_for(), SESSION)) == script

        def shows(change: Callable[[Nodes], object]) -> bool:
            nodes = nodes_for()
            change(nodes)
            assert nodes != nodes_for()
            try:
                return contents(graph_rows(spark, nodes, SESSION)) != script
            except (GlueError, PySparkException):
                return True

        assert [name for name, change in CHANGES.items() if not shows(change)] == []

    def test_in_the_script_shows(
        self, spark: SparkSession, raw: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _write_sample(raw)
        graph = contents(graph_rows(spark, nodes_for(), SESSION))
        transform = refine.transform

        def shows(column: str, expression: str) -> bool:
            monkeypatch.setattr(
                refine, "transform", lambda *raw: transform(*raw).withColumn(column, F.expr(expression))
            )
            return contents(script_rows(spark, SESSION)) != graph

        changes = {
            "close": "cast(close + 0.000001 as decimal(18,6))",
            "days_to_expiry": "days_to_expiry + 1",
            "lines": "cast(lines as bigint)",
            "sector": "lower(sector)",
        }
        assert not shows("close", "close")
        assert [column for column, expression in changes.items() if not shows(column, expression)] == []


class Job:
    """The visual job with a database of its own, which does not exist at first."""

    def __init__(self, spark: SparkSession, buckets: Path) -> None:
        self.database = f"refined_{uuid.uuid4().hex}"
        self.table = buckets / REFINED / "refined"
        self.glue = boto3.client("glue")
        self._spark = spark

    def run(self, first: date, last: date | None = None) -> None:
        run(nodes_for(self.database), arguments(first, last, self.database), self._spark)

    def run_script(self, first: date, last: date | None = None) -> None:
        refine.main(arguments(first, last, self.database))

    def files(self) -> dict[str, int]:
        """How many files each partition's folder holds."""
        files = [file.relative_to(self.table) for file in self.table.rglob("*") if file.is_file()]
        assert all(file.suffix == ".parquet" for file in files)
        return dict(Counter(str(file.parent) for file in files))

    def rows(self) -> list[Row]:
        rows = [
            {**row, **dict(part.split("=") for part in file.relative_to(self.table).parts[:-1])}
            for file in self.table.rglob("*.parquet")
            for row in pq.read_table(file, partitioning=None).to_pylist()
        ]
        return sorted(rows, key=lambda row: (row["trade_date"], row["ticker"]))

    def types(self) -> set[tuple[tuple[str, str], ...]]:
        """The columns of each file; whether a column may hold nulls is the writers' own affair."""
        schemas = map(pq.read_schema, self.table.rglob("*.parquet"))
        return {tuple((field.name, str(field.type)) for field in schema) for schema in schemas}

    def catalogued(self) -> dict[str, Any]:
        """The table's columns and keys, and the folder of each partition."""
        table = self.glue.get_table(DatabaseName=self.database, Name="bovespa_daily")["Table"]
        pages = self.glue.get_paginator("get_partitions").paginate(
            DatabaseName=self.database, TableName="bovespa_daily"
        )
        root = f"s3://{REFINED}/refined/"
        assert table["StorageDescriptor"]["Location"].rstrip("/") + "/" == root
        return {
            "columns": [(each["Name"], each["Type"]) for each in table["StorageDescriptor"]["Columns"]],
            "keys": [(each["Name"], each["Type"]) for each in table["PartitionKeys"]],
            "partitions": {
                tuple(each["Values"]): each["StorageDescriptor"]["Location"].removeprefix(root).rstrip("/")
                for page in pages
                for each in page["Partitions"]
            },
        }


@pytest.fixture
def job(aws: MiniStack, spark: SparkSession, buckets: Path, raw: Path) -> Job:
    return Job(spark, buckets)


class TestRun:
    def test_leaves_what_the_script_leaves(self, job: Job, raw: Path) -> None:
        _write_sample(raw)
        job.run_script(SESSION)
        script = job.catalogued(), job.files(), job.rows(), job.types()
        job.glue.delete_database(Name=job.database)
        shutil.rmtree(job.table)

        job.run(SESSION)

        assert (job.catalogued(), job.files(), job.rows(), job.types()) == script
        assert job.files() == {
            f"trade_date={SESSION}/ticker={ticker}": 1 for ticker in ("ZZAA3", "ZZBB4", "ZZCC5", "ZIND")
        }

    def test_replaces_a_session_and_leaves_the_others(self, job: Job, raw: Path) -> None:
        write_quotes(raw, {day: [cash("ZZAA3"), cash("ZZBB4", codisi="B")] for day in (SESSION, NEXT_DAY)})
        job.run(SESSION, NEXT_DAY)
        before = job.files(), job.catalogued()
        job.run(SESSION)
        assert (job.files(), job.catalogued()) == before

        write_quotes(raw, {SESSION: [cash("ZZAA3", totneg=77), cash("ZZCC5", codisi="C")]})
        job.run(SESSION)

        folders = {
            f"trade_date={day}/ticker={ticker}"
            for day, ticker in [
                (SESSION, "ZZAA3"),
                (SESSION, "ZZCC5"),
                (NEXT_DAY, "ZZAA3"),
                (NEXT_DAY, "ZZBB4"),
            ]
        }
        assert job.files() == dict.fromkeys(folders, 1)
        assert set(job.catalogued()["partitions"].values()) == folders
        assert [row["trades"] for row in job.rows() if row["trade_date"] == str(SESSION)] == [77, 50]

    def test_takes_over_from_the_script_and_hands_back(self, job: Job, raw: Path) -> None:
        _write_sample(raw)
        job.run_script(SESSION)
        script = job.catalogued(), job.files(), job.rows()
        job.run(SESSION)
        assert (job.catalogued(), job.files(), job.rows()) == script
        job.run_script(SESSION)
        assert (job.catalogued(), job.files(), job.rows()) == script
        assert {file.name for file in job.table.rglob("*.parquet")} == {refine.FILE_NAME}

    @pytest.mark.parametrize(
        ("dates", "message"),
        [
            ([], "give either --trade_date, or --start_date and --end_date"),
            (["--trade_date", "2031-03-14", "--end_date", "2031-03-14"], "give either --trade_date"),
            (["--start_date", "2031-03-15", "--end_date", "2031-03-14"], "is after"),
            (["--trade_date", "2031-03-01"], "no raw quotes of 2031-03-01"),
        ],
    )
    def test_refuses_arguments_that_name_no_session(
        self, job: Job, raw: Path, spark: SparkSession, dates: list[str], message: str
    ) -> None:
        write_quotes(raw, {SESSION: [cash()]})
        with pytest.raises(ValueError, match=message):
            run(nodes_for(job.database), [*dates, *arguments(SESSION)[2:]], spark)

    def test_refuses_an_empty_raw_bucket(self, job: Job) -> None:
        with pytest.raises(ValueError, match="no raw quotes"):
            job.run(SESSION)

    def test_clears_nothing_when_the_rows_do_not_reconcile(
        self, job: Job, raw: Path, spark: SparkSession
    ) -> None:
        write_quotes(raw, {SESSION: [cash(), cash("ZZBB4", codisi="B")]})
        job.run(SESSION)
        before = job.rows(), job.catalogued()
        nodes = nodes_for(job.database)
        _replace_in_sql("node-refined", "CAST(volume AS", "CAST(volume + 1 AS")(nodes)
        with pytest.raises(RuntimeError, match="do not reconcile"):
            run(nodes, arguments(SESSION, database=job.database), spark)
        assert (job.rows(), job.catalogued()) == before

    def test_clears_nothing_when_a_stock_has_no_ticker(self, job: Job, raw: Path) -> None:
        write_quotes(raw, {SESSION: [cash()]})
        job.run(SESSION)
        before = job.rows(), job.catalogued()
        write_quotes(raw, {SESSION: [cash(), odd_lot("F", codisi="B")]})
        with pytest.raises(RuntimeError, match="expected 2 rows with a ticker of their own, found 1"):
            job.run(SESSION)
        assert (job.rows(), job.catalogued()) == before

    def test_clears_nothing_when_the_table_lies_elsewhere(self, job: Job, raw: Path) -> None:
        write_quotes(raw, {SESSION: [cash()]})
        job.run(SESSION)
        before = job.rows()
        job.glue.update_table(
            DatabaseName=job.database,
            TableInput={
                "Name": "bovespa_daily",
                "StorageDescriptor": {"Location": "s3://elsewhere/refined/"},
            },
        )
        with pytest.raises(RuntimeError, match="lies in s3://elsewhere/refined/"):
            job.run(SESSION)
        assert job.rows() == before


class TestStandIns:
    def test_a_purge_keeps_what_is_younger_than_a_week_unless_told_otherwise(
        self, spark: SparkSession, buckets: Path
    ) -> None:
        folder = buckets / REFINED / "refined/trade_date=2031-03-14"
        folder.mkdir(parents=True)
        new, old = folder / "new.parquet", folder / "old.parquet"
        for file, days in ((new, 6), (old, 8)):
            file.touch()
            then = time.time() - days * 86_400
            os.utime(file, (then, then))
        glue, path = GlueContext(spark), f"s3://{REFINED}/refined/trade_date=2031-03-14/"
        glue.purge_s3_path(path)
        assert (new.exists(), old.exists()) == (True, False)
        glue.purge_s3_path(path, {"retentionPeriod": 0})
        assert not new.exists()

    @pytest.mark.parametrize(
        ("node", "properties"),
        [
            ("node-withsums", {"JoinType": "equijoin"}),
            ("node-naming", {"LogicalOperator": "OR"}),
            ("node-close", {"SourcePath": ["`sum(voltot)`"]}),
        ],
    )
    def test_what_is_not_known_to_run_as_on_glue_is_refused(
        self, spark: SparkSession, raw: Path, node: str, properties: dict[str, object]
    ) -> None:
        _write_sample(raw)
        nodes = nodes_for()
        (kind,) = nodes[node]
        nodes[node][kind].update(properties)
        with pytest.raises(GlueError):
            graph_rows(spark, nodes, SESSION)

    def test_a_node_of_an_unknown_type_is_refused(self, spark: SparkSession, raw: Path) -> None:
        with pytest.raises(GlueError, match="a node of type Union"):
            run({"node-1": {"Union": {"Name": "U", "Inputs": [], "UnionType": "ALL"}}}, [], spark)
