"""The visual job's graph makes the rows, files and partitions of the script: neither can change alone."""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from glue_scripts.visual import build_nodes
from lake import keys
from refinement import columns as refined
from refinement import raw as raw_files
from refinement.adjustment.state import EVENTS_KEY, FACTORS_KEY
from refinement.catalog import glue_columns, wide_table
from refinement.transform import transform
from sandbox.b3.formats import Quote
from sandbox.b3.market import SimulatedMarket
from sandbox.ministack import MiniStack
from sandbox.visual.glue import DynamicFrame, GlueContext, GlueError
from sandbox.visual.interpreter import Interpreter, run
from scraper.b3.arrow import arrow_schema
from scraper.b3.columns import Column
from scraper.b3.cotahist.layout import COTAHIST_COLUMNS
from scraper.b3.cotahist.reader import read_session
from scraper.b3.index_portfolio.layout import PORTFOLIO_COLUMNS
from scraper.b3.index_portfolio.reader import read_portfolio
from tests.leading import lead_to
from tests.spark.raw_files import RAW, REFINED, empty_buckets, empty_s3, run_job
from tests.spark.rows import SESSION, Members, cash, odd_lot, option
from tests.spark.test_refine_property import DAYS, LINES, PORTFOLIOS
from tests.spark.test_refine_real import SESSIONS as REAL_SESSIONS

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import TableTypeDef

pytestmark = pytest.mark.xdist_group("visual rows")

D = Decimal
Nodes = dict[str, dict[str, Any]]
Row = dict[str, Any]

BUCKET_ARGUMENTS = ("--raw_bucket", RAW, "--refined_bucket", REFINED)
_WRAPPED = date(2026, 5, 13)  # two papers have so few trades left that their volume tells


def nodes_for(database: str = "default") -> Nodes:
    """The graph, after the way through JSON to Glue and back."""
    nodes = build_nodes(
        raw_bucket=RAW, refined_bucket=REFINED, refined_database=database, refined_table="bovespa_daily"
    )
    return dict(json.loads(json.dumps(nodes)))


@contextmanager
def as_the_job_finds_it(spark: SparkSession) -> Iterator[None]:
    """Spark with the settings that it has before the job; but quick to begin a small query."""
    wanted = {
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.ansi.enabled": "false",
    }
    before = {name: spark.conf.get(name, None) for name in wanted}
    for name, value in wanted.items():
        spark.conf.set(name, value)
    yield
    for name, setting in before.items():
        spark.conf.unset(name) if setting is None else spark.conf.set(name, setting)


@pytest.fixture
def raw(buckets: Path, spark: SparkSession) -> Iterator[Path]:
    """The raw bucket, empty; and Spark as the job finds it."""
    with as_the_job_finds_it(spark):
        yield buckets / RAW


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
    """The job's arguments, but for the buckets."""
    dates = ["--start_date", str(first), "--end_date", str(last)] if last else ["--trade_date", str(first)]
    names = ("--refined_database", database, "--refined_table", "bovespa_daily")
    return [*dates, *names, "--index_codes", "IBOV,SMLL"]


def graph_results(spark: SparkSession, first: date, last: date | None = None) -> dict[str, Any]:
    """What each node makes up to the rows that the graph would write."""
    argv = [*arguments(first, last), *BUCKET_ARGUMENTS]
    return Interpreter(nodes_for(), argv, spark).results("node-refined")


def script_rows(spark: SparkSession, raw: Path, first: date, last: date | None = None) -> DataFrame:
    """What the script would write."""

    def files(table: str, key: str, pattern: str) -> dict[date, str]:
        # By name, so that a daily file takes the place of a backfill
        found = sorted((raw / "raw" / table).glob(f"{key}=*/{pattern}"))
        paths = {date.fromisoformat(file.parent.name.partition("=")[2]): file for file in found}
        return {day: f"s3://{RAW}/{paths[day].relative_to(raw)}" for day in sorted(paths)}

    last = last or first
    quotes = {
        day: path
        for day, path in files("cotahist", "trade_date", "*.parquet").items()
        if first <= day <= last
    }
    repeating = [
        day
        for day, path in quotes.items()
        if raw_files.added_up(raw / path.removeprefix(f"s3://{RAW}/"))["repeats"]
    ]
    dated = files("index_portfolio", "portfolio_date", f"{refined.INDEX}.parquet")
    by_text = {str(day): path for day, path in dated.items()}
    portfolios = raw_files.portfolios_in_force(by_text, first, last)
    return transform(
        raw_files.read_raw(
            spark, [*quotes.values()], f"s3://{RAW}/raw/cotahist", "trade_date", refined.QUOTE_COLUMNS
        ),
        raw_files.read_raw(
            spark,
            [*portfolios.values()],
            f"s3://{RAW}/raw/index_portfolio",
            "portfolio_date",
            refined.PORTFOLIO_COLUMNS,
        ),
        map(date.fromisoformat, portfolios),
        repeating,
    )


def contents(frame: DataFrame) -> tuple[list[tuple[str, str]], list[Row]]:
    """Columns and types in order, and the rows by session and ticker."""
    rows = [row.asDict() for row in frame.collect()]
    return frame.dtypes, sorted(rows, key=lambda row: (row["trade_date"], row["ticker"]))


def assert_equal(spark: SparkSession, raw: Path, first: date, last: date | None = None) -> list[Row]:
    """The rows of both, which are the same."""
    columns, rows = contents(script_rows(spark, raw, first, last))
    found_columns, found_rows = contents(graph_results(spark, first, last)["node-refined"].toDF())
    assert found_columns == columns
    assert found_rows == rows
    return rows


class TestRows:
    def test_of_simulated_sessions_are_those_of_the_script(self, spark: SparkSession, raw: Path) -> None:
        """Of a week, and of a session in which counts have wrapped; none of those before and after them."""
        market, wide = SimulatedMarket(tickers=40, quotes=600), SimulatedMarket(quotes=500)
        *days, after = (date(2031, 3, day) for day in range(10, 16))
        write_quotes(raw, {day: market.session(day) for day in (*days[1:], after)})
        write_quotes(raw, {days[0]: market.session(days[0])}, "backfill")
        write_quotes(raw, {_WRAPPED: wide.session(_WRAPPED), _WRAPPED - timedelta(days=1): [cash()]})
        write_portfolios(
            raw,
            {
                day: {row.ticker: (str(row.weight), row.sector) for row in market.portfolio(day)}
                for day in (days[1], days[3])
            },
        )
        rows = assert_equal(spark, raw, _WRAPPED, days[-1])
        assert {row["trade_date"] for row in rows} == {_WRAPPED, *days}
        assert {row["portfolio_age_days"] for row in rows if row["trade_date"] in days} == {None, 0, 1}
        rows = [row for row in rows if row["trade_date"] == _WRAPPED]
        assert {row["security_type"] for row in rows} == {
            "share",
            "unit",
            "right",
            "fund",
            "etf",
            "bdr",
            "index",
        }
        busy = {
            quote.codneg
            for quote, trades in zip(wide.session(_WRAPPED), wide.trades(_WRAPPED), strict=True)
            if trades != quote.totneg
        }
        assert len(busy) == 2
        assert {row["ticker"] for row in rows if row["trades"] is None} == busy

    @pytest.mark.real
    def test_of_real_sessions_are_those_of_the_script(
        self, spark: SparkSession, raw: Path, b3_files: Path
    ) -> None:
        answer = b3_files / "indexProxy/GetPortfolioDay_IBOV_segment2_16-07-24.json"
        portfolio = read_portfolio([answer.read_bytes()], index="IBOV", source=answer.name)
        file = raw / f"raw/index_portfolio/portfolio_date={portfolio.portfolio_date}/IBOV.parquet"
        file.parent.mkdir(parents=True)
        portfolio.frame.to_parquet(file)
        traded: dict[date, set[str]] = {}
        for session in REAL_SESSIONS:
            archive = b3_files / f"InstDados/SerHist/COTAHIST_D{session:%d%m%Y}.ZIP"
            quotes = read_session(archive.read_bytes(), session=session, source=archive.name)
            file = raw / f"raw/cotahist/trade_date={session}/daily.parquet"
            file.parent.mkdir(parents=True)
            quotes.to_parquet(file)
            traded[session] = set(quotes.loc[quotes["tpmerc"] == "010", "codneg"])

        rows = assert_equal(spark, raw, min(REAL_SESSIONS), max(REAL_SESSIONS))

        assert {row["trade_date"] for row in rows} == set(REAL_SESSIONS)
        for session in REAL_SESSIONS:
            weighed = {row["ticker"] for row in rows if row["trade_date"] == session and row["index_weight"]}
            members = set(portfolio.frame["ticker"]) if portfolio.portfolio_date <= session else set()
            assert weighed == traded[session] & members

    @settings(
        max_examples=3,
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
        assert_equal(spark, raw, min(sessions), max(sessions))

    def test_are_of_the_session_that_the_arguments_name_and_know_no_index_but_the_ibov(
        self, spark: SparkSession, raw: Path
    ) -> None:
        days = [SESSION + timedelta(days=ahead) for ahead in (-1, 0, 1)]
        write_quotes(raw, {day: [cash(totneg=day.day)] for day in days})
        write_portfolios(raw, {SESSION - timedelta(days=2): {"ZZAA3": ("1.000", "A")}})
        write_portfolios(raw, {SESSION: {"ZZAA3": ("2.000", "B")}}, index="IBOVX")
        (row,) = assert_equal(spark, raw, SESSION)
        assert row["trades"] == SESSION.day
        assert (row["index_weight"], row["portfolio_age_days"]) == (D("1.000"), 2)

    def test_do_not_need_a_value_in_every_column(self, spark: SparkSession, raw: Path) -> None:
        """Of such a column Glue knows no type: no portfolio has a sector, no line an expiry or an ISIN."""
        write_quotes(raw, {SESSION: [odd_lot(codisi=None), odd_lot("ZZBB4F", codisi=None)]})
        write_portfolios(raw, {SESSION: {"ZZBB4": ("100.000", None)}})
        rows = assert_equal(spark, raw, SESSION)
        assert [(row["ticker"], row["index_weight"], row["close"]) for row in rows] == [
            ("ZZAA3", None, None),
            ("ZZBB4", D("100.000"), None),
        ]


def _write_sample(raw: Path) -> None:
    """A session in which every refined column has a value, and the two jobs meet every expression."""
    lines = [
        cash(fatcot=3, preult=D("10.01"), preofc=D("9.99"), preofv=D("10.02"), voltot=D("70.00"), totneg=5),
        odd_lot(totneg=2, voltot=D("1.00")),
        Quote(codneg="ZZAA3T", tpmerc="030", voltot=D("5.00")),
        option("ZZAAC10", voltot=D("8.00"), datven=SESSION + timedelta(days=1)),
        option("ZZAAO10", "080", voltot=D("2.00")),
        Quote(codneg="ZZAA3L", tpmerc="017", voltot=D("0.50")),
        cash("ZZBB4", codisi="BRZZBBACNPR0", voltot=D("3.00"), premed=D("2.00")),
        odd_lot("ZZCC5F", codisi=None, voltot=D("4.00")),
        option("ZINDC9", codisi="BRZINDINDM18", voltot=D("6.00")),
    ]
    write_quotes(raw, {SESSION: lines})
    day_before = SESSION - timedelta(days=1)
    write_portfolios(raw, {day_before: {"ZZAA3": ("60.000", "A"), "ZZBB4": ("40.000", "B")}})
    write_portfolios(raw, {SESSION: {"ZZCC5": ("100.000", None)}}, index="SMLL")


Change = Callable[[dict[str, Any]], object]  # of a node's properties


def _replace_in_sql(old: str, new: str) -> Change:
    def change(properties: dict[str, Any]) -> None:
        assert old in properties["SqlQuery"]
        properties["SqlQuery"] = properties["SqlQuery"].replace(old, new, 1)

    return change


def _set(**properties: object) -> Change:
    return lambda of_node: of_node.update(properties)


# One for each type of node that calculates
CHANGES: dict[str, tuple[str, Change]] = {
    "a narrower type": ("node-refined", _replace_in_sql("DECIMAL(18,6)", "DECIMAL(18,5)")),
    "another column renamed": ("node-close", _set(SourcePath=["premed"])),
    "every line names": ("node-naming", _set(Filters=[])),
    "a count for a sum": ("node-sum", lambda properties: properties["Aggs"][0].update(AggFunc="count")),
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The sample, refined by the script and by the graph.

    Attributes:
        raw: The raw bucket.
        script: Columns and rows by the script.
        made: What each node of the graph has made.
    """

    spark: SparkSession
    raw: Path
    script: tuple[Any, ...]
    made: Mapping[str, Any]

    def changed(self, node: str, change: Change) -> DataFrame:
        """The rows after a change of a node."""
        nodes = nodes_for()
        (properties,) = nodes[node].values()
        change(properties)
        assert nodes != nodes_for()
        interpreter = Interpreter(nodes, [], self.spark)
        made = interpreter.results("node-refined", known=up_to(node, nodes, self.made))
        frame: DataFrame = made["node-refined"].toDF()
        return frame


def up_to(node: str, nodes: Nodes, made: Mapping[str, Any]) -> dict[str, Any]:
    """What nodes have made, but for one of them and those after it: these are to run again."""
    again = {node}
    for name, of_type in nodes.items():  # each comes after those that it takes its input from
        (properties,) = of_type.values()
        if not again.isdisjoint(properties.get("Inputs", ())):
            again.add(name)
    return {name: result for name, result in made.items() if name not in again}


@pytest.fixture(scope="class")
def sample(spark: SparkSession, buckets_root: Path) -> Iterator[Sample]:
    empty_buckets(buckets_root)
    raw = buckets_root / RAW
    with as_the_job_finds_it(spark):
        _write_sample(raw)
        script = contents(script_rows(spark, raw, SESSION))
        yield Sample(spark=spark, raw=raw, script=script, made=graph_results(spark, SESSION))


class TestSample:
    """A change of one side alone shows: by other rows, or because the graph runs no longer."""

    def test_is_the_same_by_graph_and_by_script(self, sample: Sample) -> None:
        assert contents(sample.made["node-refined"].toDF()) == sample.script

    def test_has_at_each_node_the_columns_that_it_declares(self, sample: Sample) -> None:
        nodes = nodes_for()
        declared = {
            node: properties["OutputSchemas"]
            for node in sample.made
            for properties in nodes[node].values()
            if "OutputSchemas" in properties
        }
        assert len(declared) == 13
        for node, schemas in declared.items():
            made = sample.made[node]
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

    @pytest.mark.parametrize("change", CHANGES)
    def test_shows_a_change_in_a_node(self, sample: Sample, change: str) -> None:
        try:
            rows = contents(sample.changed(*CHANGES[change]))
        except (GlueError, PySparkException):  # the graph runs no longer
            return
        assert rows != sample.script

    @pytest.mark.parametrize(
        ("column", "expression"),
        [("close", "cast(close + 0.000001 as decimal(18,6))"), ("lines", "cast(lines as bigint)")],
    )
    def test_shows_a_change_in_the_script(
        self, sample: Sample, monkeypatch: pytest.MonkeyPatch, column: str, expression: str
    ) -> None:
        unchanged = transform

        def changed(*given: Any) -> DataFrame:
            return unchanged(*given).withColumn(column, F.expr(expression))

        monkeypatch.setitem(globals(), "transform", changed)
        assert contents(script_rows(sample.spark, sample.raw, SESSION)) != sample.script

    @pytest.mark.parametrize(
        ("node", "properties"),
        [
            ("node-withsums", {"JoinType": "equijoin"}),
            ("node-naming", {"LogicalOperator": "OR"}),
            ("node-close", {"SourcePath": ["`sum(voltot)`"]}),
        ],
    )
    def test_is_not_made_by_a_node_that_is_not_known_to_run_as_on_glue(
        self, sample: Sample, node: str, properties: dict[str, object]
    ) -> None:
        with pytest.raises(GlueError):
            sample.changed(node, _set(**properties))


class Lake:
    """A table's files and what the catalog says of it."""

    def __init__(self, glue: GlueClient, buckets: Path, *, database: str, table: str, folder: str) -> None:
        self.root = buckets / REFINED / folder
        self._database, self._table = database, table
        self._glue = glue
        self._location = f"s3://{REFINED}/{folder}/"

    def files(self) -> dict[str, int]:
        """How many files each partition's folder holds."""
        files = [file.relative_to(self.root) for file in self.root.rglob("*") if file.is_file()]
        assert all(file.suffix == ".parquet" for file in files)
        return dict(Counter(str(file.parent) for file in files))

    def contents(self) -> dict[Path, bytes]:
        """Every file, byte by byte."""
        return {file: file.read_bytes() for file in self.root.rglob("*") if file.is_file()}

    def rows(self) -> list[Row]:
        rows = [
            {**row, **dict(part.split("=") for part in file.relative_to(self.root).parts[:-1])}
            for file in self.root.rglob("*.parquet")
            for row in pq.read_table(file, partitioning=None).to_pylist()
        ]
        return sorted(rows, key=lambda row: (row["trade_date"], row["ticker"]))

    def types(self) -> set[tuple[tuple[str, str], ...]]:
        """The columns of each file; whether a column may hold nulls is the writers' own affair."""
        schemas = map(pq.read_schema, self.root.rglob("*.parquet"))
        return {tuple((field.name, str(field.type)) for field in schema) for schema in schemas}

    def table(self) -> TableTypeDef:
        return self._glue.get_table(DatabaseName=self._database, Name=self._table)["Table"]

    def update(self, **changes: Any) -> None:
        """Change the table as somebody could by hand."""
        table: Any = self.table()
        fields = ("Name", "Description", "PartitionKeys", "TableType", "Parameters", "StorageDescriptor")
        table_input: Any = {**{field: table[field] for field in fields}, **changes}
        self._glue.update_table(DatabaseName=self._database, TableInput=table_input)

    @contextmanager
    def changed(self, **of_storage: Any) -> Iterator[None]:
        """Where and how the table's rows are stored changed by hand; then as it was."""
        storage: Any = self.table()["StorageDescriptor"]
        self.update(StorageDescriptor={**storage, **of_storage})
        yield
        self.update(StorageDescriptor=storage)

    def indexes(self) -> list[list[str]]:
        """The keys of each index of partitions."""
        indexes = self._glue.get_partition_indexes(DatabaseName=self._database, TableName=self._table)
        return [[key["Name"] for key in each["Keys"]] for each in indexes["PartitionIndexDescriptorList"]]

    def catalogued(self) -> dict[str, Any]:
        """The table's columns and keys, and the folder of each partition."""
        table = self.table()
        pages = self._glue.get_paginator("get_partitions").paginate(
            DatabaseName=self._database, TableName=self._table, ExcludeColumnSchema=True
        )
        assert table["StorageDescriptor"]["Location"].rstrip("/") + "/" == self._location
        return {
            "columns": [(each["Name"], each["Type"]) for each in table["StorageDescriptor"]["Columns"]],
            "keys": [(each["Name"], each["Type"]) for each in table["PartitionKeys"]],
            "partitions": {
                tuple(each["Values"]): each["StorageDescriptor"]["Location"]
                .removeprefix(self._location)
                .rstrip("/")
                for page in pages
                for each in page["Partitions"]
            },
        }


class Job:
    """The visual job with a database of its own, which does not exist at first."""

    def __init__(self, spark: SparkSession, buckets: Path) -> None:
        self.database = f"refined_{uuid.uuid4().hex}"
        self.glue = boto3.client("glue")
        self._buckets = buckets
        self.wide = Lake(
            self.glue, buckets, database=self.database, table="bovespa_daily", folder=keys.WIDE_FOLDER
        )
        self.compact = Lake(
            self.glue,
            buckets,
            database=self.database,
            table=f"bovespa_daily{refined.COMPACT_SUFFIX}",
            folder=keys.COMPACT_FOLDER,
        )
        self.raw = buckets / RAW
        self._spark = spark

    def run(self, first: date, last: date | None = None, *, compact_only: bool | None = None) -> None:
        options = [] if compact_only is None else ["--compact_only", str(compact_only).lower()]
        self.run_nodes(nodes_for(self.database), *arguments(first, last, self.database), *options)

    def run_nodes(
        self, nodes: Nodes, *argv: str, wanted: Iterable[str] = (), known: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What nodes have made: some and their ancestors, or all, but for those of which it is known."""
        return Interpreter(nodes, [*argv, *BUCKET_ARGUMENTS], self._spark).results(*wanted, known=known)

    def run_script(self, first: date, last: date | None = None) -> None:
        run_job(self._buckets, *arguments(first, last, self.database))

    def file_names(self) -> set[str]:
        """The names of the files of both tables."""
        return {file.name for table in (self.wide, self.compact) for file in table.contents()}

    def state(self) -> Any:
        """All that graph and script leave alike: columns, keys and partitions, files, rows and types."""
        s3 = boto3.client("s3")
        adjustment = [
            s3.get_object(Bucket=REFINED, Key=key)["Body"].read() for key in (EVENTS_KEY, FACTORS_KEY)
        ]
        members = Lake(
            self.glue,
            self._buckets,
            database=self.database,
            table="bovespa_index_members",
            folder=keys.MEMBERS_FOLDER,
        )
        view = self.glue.get_table(DatabaseName=self.database, Name="bovespa_daily_adjusted")["Table"]
        return [
            *(
                (table.catalogued(), table.files(), table.rows(), table.types())
                for table in (self.wide, self.compact)
            ),
            adjustment,
            (members.catalogued(), members.contents()),
            view["ViewOriginalText"],
        ]


@pytest.fixture
def job(spark: SparkSession, s3_buckets: Path, raw: Path) -> Job:
    return Job(spark, s3_buckets)


class TestRun:
    def test_leaves_what_the_script_leaves_takes_over_from_it_and_hands_back(
        self, job: Job, raw: Path
    ) -> None:
        _write_sample(raw)
        job.run_script(SESSION)
        script = job.state()
        job.run(SESSION)
        assert job.state() == script
        assert job.wide.files() == {
            f"trade_date={SESSION}/ticker={ticker}": 1 for ticker in ("ZZAA3", "ZZBB4", "ZZCC5", "ZIND")
        }
        assert keys.REFINED_FILE not in job.file_names()

        job.glue.delete_database(Name=job.database)
        shutil.rmtree(job.wide.root)
        shutil.rmtree(job.compact.root)
        job.run(SESSION, compact_only=True)

        # The wide table is there all the same, without rows: Glue's target never has to make one
        assert job.wide.contents() == {}
        assert job.wide.catalogued() == {
            "columns": [(field.name, field.type) for field in refined.COLUMNS],
            "keys": [("trade_date", "date"), ("ticker", "string")],
            "partitions": {},
        }
        assert job.wide.indexes() == [["trade_date", "ticker"], ["ticker", "trade_date"]]
        assert job.wide.table()["Parameters"]["partition_filtering.enabled"] == "true"
        assert job.compact.files() == {f"trade_date={SESSION}": 1}
        assert job.compact.catalogued() == {
            "columns": [(field.name, field.type) for field in refined.COMPACT_COLUMNS],
            "keys": [("trade_date", "date")],
            "partitions": {(str(SESSION),): f"trade_date={SESSION}"},
        }
        assert job.compact.indexes() == []
        assert "partition_filtering.enabled" not in job.compact.table()["Parameters"]
        assert job.state()[1:] == script[1:]
        assert (
            len(pq.read_table(next((job.compact.root.parent / keys.MEMBERS_FOLDER).rglob("*.parquet")))) == 3
        )

        job.run_script(SESSION)
        assert job.state() == script
        assert job.file_names() == {keys.REFINED_FILE}

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
        self, job: Job, raw: Path, dates: list[str], message: str
    ) -> None:
        write_quotes(raw, {SESSION: [cash()]})
        with pytest.raises(ValueError, match=message):
            job.run_nodes(nodes_for(job.database), *dates, *arguments(SESSION, database=job.database)[2:])

    def test_refuses_an_empty_raw_bucket(self, job: Job) -> None:
        with pytest.raises(ValueError, match="no raw quotes"):
            job.run(SESSION)

    @pytest.mark.parametrize("value", ["yes", "True", ""])
    def test_writes_the_compact_table_alone_if_it_is_told_so_in_one_way(
        self, job: Job, raw: Path, value: str
    ) -> None:
        write_quotes(raw, {SESSION: [cash()]})
        with pytest.raises(ValueError, match=f"--compact_only is '{value}', expected true or false"):
            job.run_nodes(
                nodes_for(job.database), *arguments(SESSION, database=job.database), "--compact_only", value
            )


MARKET = SimulatedMarket(tickers=40, quotes=200)
REFINED_DAYS = [date(2031, 3, day) for day in range(10, 14)]
OLD_TABLE: Any = {
    "Name": "bovespa_daily",
    "Description": "An old one",
    "TableType": "EXTERNAL_TABLE",
    "Parameters": {"classification": "parquet", "owner": "research"},
    "PartitionKeys": [{"Name": field.name, "Type": field.type} for field in refined.PARTITION_KEYS],
    "StorageDescriptor": {
        "Columns": [
            {"Name": field.name, "Type": field.type, "Comment": field.comment}
            for field in refined.COLUMNS[:-2]
        ],
        "Location": f"s3://{REFINED}/refined",
    },
}


@pytest.fixture(scope="class")
def filled(spark: SparkSession, buckets_root: Path, emulator: MiniStack) -> Iterator[Job]:
    """The job once it has refined four sessions, of which the wide table was there before."""
    with pytest.MonkeyPatch.context() as patch, as_the_job_finds_it(spark):
        lead_to(emulator, patch)
        empty_buckets(buckets_root)
        empty_s3(buckets_root)
        job = Job(spark, buckets_root)
        job.glue.create_database(DatabaseInput={"Name": job.database})
        job.glue.create_table(DatabaseName=job.database, TableInput=OLD_TABLE)
        write_quotes(job.raw, {day: MARKET.session(day) for day in REFINED_DAYS})
        job.run(REFINED_DAYS[0], REFINED_DAYS[-1], compact_only=False)
        yield job


class TestLake:
    """A lake that is filled."""

    def test_has_the_rows_of_the_wide_table_in_a_sorted_compact_file_a_session(self, filled: Job) -> None:
        assert filled.compact.files() == {f"trade_date={day}": 1 for day in REFINED_DAYS}
        for day in REFINED_DAYS:
            (file,) = (filled.compact.root / f"trade_date={day}").iterdir()
            tickers = pq.read_table(file, partitioning=None)["ticker"].to_pylist()
            assert tickers == sorted(market_tickers(filled.wide.files(), day))
        assert filled.compact.rows() == filled.wide.rows()
        assert len(filled.compact.rows()) > 4 * 30
        (wide,), (compact,) = filled.wide.types(), filled.compact.types()
        assert compact == (("ticker", "string"), *wide)

    def test_gives_a_table_what_it_lacks_and_keeps_what_somebody_has_added(self, filled: Job) -> None:
        made, ours = filled.wide.table(), wide_table("bovespa_daily", REFINED)
        assert made["Description"] == ours.description
        assert made["Parameters"]["owner"] == "research"
        assert made["Parameters"]["partition_filtering.enabled"] == "true"
        assert made["StorageDescriptor"]["Columns"] == glue_columns(ours.columns)
        assert filled.wide.indexes() == [["trade_date", "ticker"], ["ticker", "trade_date"]]
        assert set(filled.wide.catalogued()["partitions"].values()) == filled.wide.files().keys()

    def test_is_as_it_was_where_something_is_not_as_it_should_be(
        self, filled: Job, subtests: pytest.Subtests
    ) -> None:
        before, catalogued = (filled.wide.contents(), filled.compact.contents()), filled.wide.catalogued()
        day = REFINED_DAYS[0]
        nodes, argv = nodes_for(filled.database), arguments(day, database=filled.database)
        made = filled.run_nodes(nodes, *argv, wanted=["node-reconciled"])

        def refuses(message: str, again: str, nodes: Nodes = nodes) -> None:
            with subtests.test(message), pytest.raises(RuntimeError, match=message):
                filled.run_nodes(nodes, *argv, known=up_to(again, nodes, made))
            assert before == (filled.wide.contents(), filled.compact.contents())

        changed = nodes_for(filled.database)
        _replace_in_sql("CAST(volume AS", "CAST(volume + 1 AS")(changed["node-refined"]["SparkSQL"])
        refuses(r"^invariant broken: .* do not reconcile", "node-refined", changed)
        write_quotes(filled.raw, {day: [cash(), odd_lot("F", codisi="B")]})
        refuses(r"^invariant broken: .*expected 2 rows with a ticker of their own, found 1", "node-rawquotes")
        write_quotes(filled.raw, {day: MARKET.session(day)})
        assert filled.wide.catalogued() == catalogued

        with filled.wide.changed(Location="s3://elsewhere/"):
            refuses(r"found s3://elsewhere.*stacks\.tables --drop", "node-prepare")
        with filled.compact.changed(Location="s3://elsewhere/"):
            refuses(
                r"bovespa_daily_compact is .*: location: .*found s3://elsewhere.*stacks\.tables --drop",
                "node-prepare",
            )
        columns = [
            {**column, "Type": "bigint"} if column["Name"] == "lines" else column
            for column in filled.compact.table()["StorageDescriptor"]["Columns"]
        ]
        with filled.compact.changed(Columns=columns):
            refuses("column lines: expected int, found bigint", "node-prepare")
        partition_keys = filled.compact.table()["PartitionKeys"]
        filled.compact.update(PartitionKeys=[])
        refuses(r"partition keys: expected \[\('trade_date', 'date'\)\], found \[\]", "node-prepare")
        filled.compact.update(PartitionKeys=partition_keys)

    def test_has_a_session_replaced_and_the_others_as_they_were(self, filled: Job) -> None:
        day, *others = REFINED_DAYS
        wide, compact = filled.wide.contents(), filled.compact.contents()
        catalogued = filled.compact.catalogued()

        write_quotes(filled.raw, {day: [cash("ZZAA3", totneg=77), cash("ZZCC5", codisi="C")]})
        filled.run(day)

        def of_others(contents: Mapping[Path, bytes]) -> dict[Path, bytes]:
            return {file: body for file, body in contents.items() if f"trade_date={day}" not in str(file)}

        assert of_others(filled.wide.contents()) == of_others(wide)
        assert of_others(filled.compact.contents()) == of_others(compact)
        own = {f"trade_date={day}/ticker={ticker}" for ticker in ("ZZAA3", "ZZCC5")}
        folders = filled.wide.files()
        assert {folder for folder in folders if f"trade_date={day}/" in folder} == own
        assert set(folders.values()) == {1}
        assert set(filled.wide.catalogued()["partitions"].values()) == folders.keys()
        assert filled.compact.catalogued() == catalogued
        assert filled.compact.files() == {f"trade_date={each}": 1 for each in (day, *others)}
        for table in (filled.wide, filled.compact):
            rows = [(row["ticker"], row["trades"]) for row in table.rows() if row["trade_date"] == str(day)]
            assert rows == [("ZZAA3", 77), ("ZZCC5", 50)]

    def test_has_the_compact_table_alone_changed_if_the_job_is_told_so(self, filled: Job) -> None:
        day, new = REFINED_DAYS[-1], REFINED_DAYS[-1] + timedelta(days=1)
        wide = filled.wide.contents(), filled.wide.table(), filled.wide.catalogued()
        write_quotes(filled.raw, {each: [cash("ZZAA3", totneg=78)] for each in (day, new)})

        filled.run(day, new, compact_only=True)

        assert (filled.wide.contents(), filled.wide.table(), filled.wide.catalogued()) == wide
        rows = [(row["trade_date"], row["ticker"], row["trades"]) for row in filled.compact.rows()]
        assert [row for row in rows if row[0] >= str(day)] == [
            (str(day), "ZZAA3", 78),
            (str(new), "ZZAA3", 78),
        ]
        assert set(filled.compact.catalogued()["partitions"]) == {
            (str(each),) for each in (*REFINED_DAYS, new)
        }


def market_tickers(files: Iterable[str], session: date) -> list[str]:
    """The tickers that have a folder of their own in a session."""
    prefix = f"trade_date={session}/ticker="
    return [folder.removeprefix(prefix) for folder in files if folder.startswith(prefix)]


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

    def test_a_target_that_would_change_its_table_is_refused(self, spark: SparkSession) -> None:
        nodes = nodes_for()
        nodes["node-target"]["S3GlueParquetTarget"]["SchemaChangePolicy"]["UpdateBehavior"] = (
            "UPDATE_IN_DATABASE"
        )
        rows = DynamicFrame(spark.range(0))
        with pytest.raises(GlueError, match=r"UPDATE_IN_DATABASE.* cannot be run here"):
            Interpreter(nodes, [], spark).results("node-target", known={"node-rows": rows})

    def test_a_node_of_an_unknown_type_is_refused(self, spark: SparkSession, raw: Path) -> None:
        with pytest.raises(GlueError, match="a node of type Union"):
            run({"node-1": {"Union": {"Name": "U", "Inputs": [], "UnionType": "ALL"}}}, [], spark)
