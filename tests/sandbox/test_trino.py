"""The named queries on a real Trino, over 250 simulated sessions: their answers, and what they read of files.

Answers come through the deployed stack's Athena and are held against `tests.sandbox.answers`, by value and by
order. What is read comes from Trino's own statistics. Its scans wait up to 20 s for dynamic filters
(`hive.dynamic-filtering.wait-timeout`, in `sandbox.trino.server`): without, what it reads is a matter of
luck; whether AWS's Athena waits, AWS does not say.
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import awswrangler as wr
import boto3
import pyarrow.parquet as pq
import pytest

from benchmarks import partitions
from sandbox.arguments import TRINO
from sandbox.b3.sources import SimulatedSource
from sandbox.deploy import OUTPUTS, Deployment, digest_of
from sandbox.deployed import Images
from sandbox.environment import AWS, HOME, Sandbox
from sandbox.ministack import MiniStack
from sandbox.shims.trino_engine import CUT_OFF, STOPPED
from sandbox.trino.installation import installed
from sandbox.trino.server import ADDRESS
from tests.leading import lead_to
from tests.sandbox.deployed import MARKET, deploying
from tests.sandbox.history import ask_for_actions, ask_for_levels, load
from tests.sandbox.test_named_queries import (
    COLUMNS,
    COMPACT,
    FINDS_A_TICKER,
    HISTORY,
    MAY_BE_EMPTY,
    QUERIES,
    RAW,
    STEMS,
    YEAR,
    Engine,
    Table,
    Year,
    difference,
    filled,
    literal,
    needed,
    year_of,
)

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.trino,
    pytest.mark.xdist_group("trino"),
    pytest.mark.skipif(installed() is None, reason="Trino is not installed here: make test-trino does it"),
]

_AT_ONCE = 3
"""Queries: while one waits, for a filter or for the emulator, another is planned."""

BOTH = [pytest.param(False, id="saved"), pytest.param(True, id="prepared")]
Ask = tuple[str, bool]
"""A query, and whether it is asked by its prepared statement."""


@dataclass(frozen=True)
class Found:
    """What Athena says of a query.

    Attributes:
        execution: What GetQueryExecution tells.
        columns: The names of the answer's columns; none if it failed.
        rows: Its rows.
        types: Type, precision and scale of each column.
    """

    execution: Mapping[str, Any]
    columns: list[str]
    rows: list[list[str | None]]
    types: list[tuple[str, int, int]]

    @property
    def state(self) -> tuple[str, str]:
        status = self.execution["Status"]
        return status["State"], status["StateChangeReason"]


@dataclass(frozen=True)
class Read:
    """What Trino has physically read of a table."""

    bytes: int
    rows: int


class Athena:
    """The deployed pipeline's Athena, and the Trino behind it.

    Args:
        sandbox: Where it is deployed, and the environment leads.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._names = sandbox.deployment
        self._client = boto3.client("athena")
        self._trino = (sandbox.aws.folder / TRINO / ADDRESS).read_text()

    def start(self, sql: str, work_group: str = "") -> str:
        query: str = self._client.start_query_execution(
            QueryString=sql,
            WorkGroup=work_group or self._names.work_group,
            QueryExecutionContext={"Database": self._names.refined_database},
        )["QueryExecutionId"]
        return query

    def stop(self, query: str) -> None:
        self._client.stop_query_execution(QueryExecutionId=query)

    def execution(self, query: str) -> Mapping[str, Any]:
        return self._client.get_query_execution(QueryExecutionId=query)["QueryExecution"]

    def end(self, query: str) -> Found:
        while (execution := self.execution(query))["Status"]["State"] in {"QUEUED", "RUNNING"}:
            time.sleep(0.05)
        if execution["Status"]["State"] != "SUCCEEDED":
            return Found(execution, [], [], [])
        result = self._client.get_query_results(QueryExecutionId=query)["ResultSet"]
        information = result["ResultSetMetadata"]["ColumnInfo"]
        header, *rows = [[datum.get("VarCharValue") for datum in row["Data"]] for row in result["Rows"]]
        assert header == [column["Name"] for column in information]
        types = [(column["Type"], column["Precision"], column["Scale"]) for column in information]
        return Found(execution, [str(name) for name in header], rows, types)

    def ask(self, sql: str) -> Found:
        return self.end(self.start(sql))

    def rows_read(self, query: str) -> Mapping[str, int]:
        statistics = self._client.get_query_runtime_statistics(QueryExecutionId=query)
        rows: Mapping[str, int] = statistics["QueryRuntimeStatistics"]["Rows"]  # type: ignore[assignment] # numbers
        return rows

    def state_in_trino(self, query: str) -> str:
        """The state of a query there; empty if it knows of none."""
        states = [
            each["state"]
            for each in self._of_trino("/v1/query")
            if each["session"].get("traceToken") == query
        ]
        return states[-1] if states else ""

    def read(self, found: Found) -> dict[Table, Read]:
        """What Trino has read of each table with files, by its own statistics of the query's scans."""
        (query,) = (
            each
            for each in self._of_trino("/v1/query")
            if each["session"].get("traceToken") == found.execution["QueryExecutionId"]
            and each["state"] == "FINISHED"  # not one that came before Trino knew its node
        )
        sums: dict[Table, Counter[str]] = {}
        for stage in _stages(self._of_trino(f"/v1/query/{query['queryId']}")["outputStage"]):
            tables = {info["tableName"] for info in stage["tables"].values()}
            assert len(tables) <= 1  # so that what a stage has read is of a table
            for _, database, name in (table.split(".") for table in tables if "$" not in table):
                of_table = sums.setdefault((database, name), Counter())
                for operator in stage["stageStats"]["operatorSummaries"]:
                    of_table["bytes"] += int(operator["physicalInputDataSize"].removesuffix("B"))
                    of_table["rows"] += operator["physicalInputPositions"]
        return {table: Read(**of_table) for table, of_table in sums.items()}

    def _of_trino(self, path: str) -> Any:
        request = urllib.request.Request(f"{self._trino}{path}", headers={"X-Trino-User": "tests"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)


def _stages(stage: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield stage
    for below in stage["subStages"]:
        yield from _stages(below)


@dataclass(frozen=True)
class Asked:
    """Every named query, asked of Trino, some at once.

    Attributes:
        year: The pipeline with 250 sessions.
        athena: Its Athena.
        answers: What came, or will.
    """

    year: Year
    athena: Athena
    answers: Mapping[Ask, Future[Found]]

    def of(self, stem: str, *, prepared: bool) -> Found:
        found = self.answers[stem, prepared].result()
        assert found.state == ("SUCCEEDED", "")
        return found


def year_in(folder: Path) -> Path:
    """Have the pipeline with 250 sessions in a folder, made anew unless it was made of the same files before.

    Returns:
        The file of the stack's outputs.
    """
    images = Images(HOME / "years", (AWS, OUTPUTS))
    ours = {name: f"tests/sandbox/{name}.py" for name in ("deployed", "history")}
    digest = digest_of({**ours, "sessions": f"{len(YEAR)} from {YEAR[0]}"})
    if not images.restore(digest, folder):
        with deploying(folder) as deployed, pytest.MonkeyPatch.context() as environment:
            lead_to(deployed.sandbox.aws, environment)
            ask_for_actions(deployed, SimulatedSource(YEAR, MARKET))
            ask_for_levels(deployed, YEAR)
            load(deployed, HISTORY)
        images.keep(digest, folder)
    return folder / OUTPUTS


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    folder = tmp_path_factory.mktemp("trino")
    (outputs,) = json.loads(year_in(folder).read_text()).values()
    with (
        MiniStack.start(folder / AWS, enforce_permissions=True, engine=TRINO) as aws,
        pytest.MonkeyPatch.context() as environment,
        ThreadPoolExecutor(_AT_ONCE) as threads,
    ):
        lead_to(aws, environment)
        sandbox = Sandbox(folder=folder, aws=aws, deployment=Deployment.from_outputs(outputs))
        athena, year = Athena(sandbox), year_of(sandbox)
        answers = {
            (stem, prepared): threads.submit(athena.ask, text(year, stem, prepared=prepared))
            for stem in STEMS
            for prepared in (False, True)
        }
        yield Asked(year, athena, answers)


@pytest.fixture
def athena(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> Athena:
    """Athena, when every named query has been answered; boto3 leads there, too."""
    lead_to(asked.year.sandbox.aws, monkeypatch)
    for answer in asked.answers.values():
        answer.result()
    return asked.athena


def text(year: Year, stem: str, *, prepared: bool) -> str:
    """What a user sends."""
    if not prepared:
        return year.saved[QUERIES[stem].name]
    return f"EXECUTE {stem} USING {', '.join(map(literal, year.values(stem, prepared=True).values()))}"


@pytest.mark.parametrize("prepared", BOTH)
@pytest.mark.parametrize("stem", STEMS)
def test_a_query_answers_as_pandas_does(asked: Asked, stem: str, prepared: bool) -> None:
    found = asked.of(stem, prepared=prepared)

    assert found.rows or stem in MAY_BE_EMPTY
    expected = asked.year.expected(stem, prepared=prepared)
    assert difference(found.columns, found.rows, expected) == ""


def files_needed(engine: Engine, year: Year, stem: str, *, prepared: bool) -> dict[Table, list[Path]]:
    """The files that a query may read by its header and `docs/queries.md`, as often as it may."""
    values = year.values(stem, prepared=prepared)
    wanted = needed(year.lake, stem, values, prepared=prepared)
    files = {
        table: [file for day in days for file in engine.files(table, day, values.get("ticker"))]
        for table, days in wanted.items()
    }
    if stem in FINDS_A_TICKER and not prepared and stem != "ticker_session":
        # The session's file once more, to find the most traded ticker
        files.setdefault(COMPACT, []).extend(engine.files(COMPACT, year.lake.sessions[-1], None))
    # What a query names several times, it reads as often
    sql = filled(stem, values, prepared=prepared)
    named = Counter(reading.table for reading in partitions.readings(sql, COLUMNS, with_objects=True))
    return files | {table: paths * named[table[1]] for table, paths in year.objects.items()}


@pytest.fixture(scope="module")
def engine(asked: Asked, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(asked.year.folders, asked.year.objects, tmp_path_factory.mktemp("engine"))


def too_much(read: Mapping[Table, Read], files: Mapping[Table, list[Path]]) -> list[str]:
    """What was read beyond some files."""
    found = []
    for table, of_table in read.items():
        may = files.get(table, [])
        size, rows = sum(file.stat().st_size for file in may), sum(map(_rows, may))
        if of_table.bytes > size or of_table.rows > rows:
            found.append(f"{table}: {of_table}, expected at most {size} bytes, {rows} rows")
    return found


def _rows(file: Path) -> int:
    rows: int = pq.ParquetFile(file).metadata.num_rows
    return rows


@pytest.mark.parametrize("prepared", BOTH)
@pytest.mark.parametrize("stem", STEMS)
def test_a_query_reads_at_most_what_its_header_says(
    asked: Asked, engine: Engine, stem: str, prepared: bool
) -> None:
    found = asked.of(stem, prepared=prepared)

    read = asked.athena.read(found)

    assert sum(of_table.rows for of_table in read.values()) > 0
    assert too_much(read, files_needed(engine, asked.year, stem, prepared=prepared)) == []
    # Besides, the statistics count eight bytes for each partition that the catalog lists
    assert found.execution["Statistics"]["DataScannedInBytes"] >= sum(each.bytes for each in read.values())


def test_an_order_by_a_rounded_column_is_found_out(asked: Asked, athena: Athena) -> None:
    """`ORDER BY abs(gap_percent)` takes what the SELECT has made of it, with two digits."""
    sql = asked.year.saved[QUERIES["opening_gaps"].name]
    by_gap = "ORDER BY abs(gaps.gap) DESC NULLS LAST, gaps.cash_volume DESC"
    assert by_gap in sql

    found = athena.ask(sql.replace(by_gap, "ORDER BY abs(gap_percent) DESC NULLS LAST, gaps.cash_volume"))

    assert found.state == ("SUCCEEDED", "")
    assert difference(found.columns, found.rows, asked.year.expected("opening_gaps", prepared=False)) != ""


@pytest.fixture
def narrow_projection(athena: Athena) -> Iterator[None]:
    """The raw table's days begin with the lake's last year: to look for 7,000 more takes a minute."""
    glue = boto3.client("glue")
    table: Any = glue.get_table(DatabaseName=RAW[0], Name=RAW[1])["Table"]
    kept: Any = {
        name: table[name]
        for name in ("Name", "TableType", "StorageDescriptor", "PartitionKeys", "Parameters")
    }
    given = kept["Parameters"].items()  # of which MiniStack keeps one as no text
    kept["Parameters"] = {name: "false" if value is False else value for name, value in given}
    (name,) = (each for each in kept["Parameters"] if each.endswith(".range"))
    narrow: Any = {**kept["Parameters"], name: "2025-01-01,2025-03-31"}
    glue.update_table(DatabaseName=RAW[0], TableInput=kept | {"Parameters": narrow})
    yield
    glue.update_table(DatabaseName=RAW[0], TableInput=kept)


@pytest.mark.usefixtures("narrow_projection")
def test_a_span_that_the_planner_halves_is_found_out(asked: Asked, athena: Athena, engine: Engine) -> None:
    """Of `BETWEEN (subquery) AND (subquery)` only the upper bound became a filter."""
    sql = asked.year.saved[QUERIES["data_quality"].name]
    start = sql.index("    WHERE trade_date >=")
    end = sql.index("    GROUP BY trade_date, ticker")
    bounds = sql[start:end].replace("WHERE trade_date >=", "WHERE trade_date BETWEEN")

    found = athena.ask(sql[:start] + bounds.replace("AND trade_date <=", "AND") + sql[end:])

    assert found.state == ("SUCCEEDED", "")
    expected = asked.year.expected("data_quality", prepared=False)
    assert difference(found.columns, found.rows, expected) == ""
    assert too_much(athena.read(found), files_needed(engine, asked.year, "data_quality", prepared=False))


DIFFERENT: Mapping[Ask, str] = {}
"""Where the sandbox's DuckDB answers otherwise than Trino, and why: the table in `docs/queries.md`."""


@pytest.mark.parametrize("prepared", BOTH)
@pytest.mark.parametrize("stem", STEMS)
def test_both_engines_answer_the_same_to_the_letter(
    asked: Asked, engine: Engine, stem: str, prepared: bool
) -> None:
    every = {table: engine.every(table) for table in asked.year.folders}
    sql = filled(stem, asked.year.values(stem, prepared=prepared), prepared=prepared)

    columns, rows = engine.answer(sql, every)

    found = asked.of(stem, prepared=prepared)
    assert ((columns, rows) == (found.columns, found.rows)) is ((stem, prepared) not in DIFFERENT)


def test_decimals_come_with_their_digits_and_reach_pandas_whole(asked: Asked, athena: Athena) -> None:
    names = asked.year.sandbox.deployment
    sql = "SELECT DECIMAL '1234567890.55' AS amount, DATE '2026-11-19' AS day, CAST(NULL AS double) AS none"

    found = athena.ask(sql)

    assert found.types[0] == ("decimal", 12, 2)
    assert [kind for kind, _, _ in found.types] == ["decimal", "date", "double"]
    frame = wr.athena.read_sql_query(
        sql, database=names.refined_database, workgroup=names.work_group, ctas_approach=False
    )
    assert frame["amount"].item() == Decimal("1234567890.55")


def test_statistics_are_of_what_was_read(asked: Asked, athena: Athena) -> None:
    day = asked.year.lake.sessions[-1]
    sql = "SELECT count(*), sum(volume) FROM bovespa_daily_compact WHERE trade_date"
    query = athena.start(f"{sql} = DATE '{day}'")
    found = athena.end(query)

    (file,) = sorted((asked.year.folders[COMPACT] / f"trade_date={day}").glob("*.parquet"))
    statistics = found.execution["Statistics"]
    assert statistics["DataScannedInBytes"] == file.stat().st_size  # a small file is read whole
    assert 0 < statistics["EngineExecutionTimeInMillis"] <= statistics["TotalExecutionTimeInMillis"]
    rows = athena.rows_read(query)
    assert rows == {
        "InputRows": _rows(file),
        "InputBytes": statistics["DataScannedInBytes"],
        "OutputRows": 1,
    }
    assert found.rows[0][0] == str(_rows(file))


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT 1 +", "SYNTAX_ERROR: line 1:"),
        (
            "SELECT nothing FROM bovespa_daily",
            "COLUMN_NOT_FOUND: line 1:8: Column 'nothing' cannot be resolved",
        ),
        ("SELECT 1 FROM nowhere", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog.default.nowhere'"),
        ("SELECT 1 / (SELECT 0)", "DIVISION_BY_ZERO: "),
    ],
)
def test_a_bad_query_fails_with_what_trino_says(athena: Athena, sql: str, reason: str) -> None:
    found = athena.ask(sql)

    state, why = found.state
    assert state == "FAILED"
    assert why.startswith(reason)
    assert found.execution["Status"]["AthenaError"]["ErrorCategory"] == 2
    with pytest.raises(boto3.client("athena").exceptions.InvalidRequestException, match="Query has failed"):
        boto3.client("athena").get_query_results(QueryExecutionId=found.execution["QueryExecutionId"])


def test_a_query_that_is_stopped_is_cancelled_and_ends(asked: Asked, athena: Athena) -> None:
    ends_never = (
        "SELECT count(*) FROM bovespa.cotahist a, bovespa.cotahist b, bovespa.cotahist c, bovespa.cotahist d"
    )
    query = athena.start(f"{ends_never} WHERE a.voltot + b.voltot = c.voltot + d.voltot")
    while athena.execution(query)["Status"]["State"] == "QUEUED":
        time.sleep(0.05)
    time.sleep(1)

    athena.stop(query)

    assert athena.end(query).state == ("CANCELLED", STOPPED)
    deadline = time.monotonic() + 30
    while (state := athena.state_in_trino(query)) not in {"FAILED", ""}:
        assert time.monotonic() < deadline, state
        time.sleep(0.2)


def test_a_query_over_the_cut_off_is_cancelled(asked: Asked, athena: Athena) -> None:
    names, client = asked.year.sandbox.deployment, boto3.client("athena")
    results = client.get_work_group(WorkGroup=names.work_group)["WorkGroup"]["Configuration"]
    client.create_work_group(
        Name="narrow",
        Configuration={
            "ResultConfiguration": results["ResultConfiguration"],
            "BytesScannedCutoffPerQuery": 10_000_000,  # the least that Athena takes
        },
    )
    (day,) = asked.year.lake.window(asked.year.lake.sessions[-1], 1)
    sql = "SELECT count(DISTINCT company) FROM bovespa_daily_compact"
    times = 10_000_000 // sum(file.stat().st_size for file in asked.year.folders[COMPACT].rglob("*.parquet"))

    found = athena.end(athena.start(" UNION ALL ".join([sql] * (times + 2)), "narrow"))
    one_session = athena.end(athena.start(f"{sql} WHERE trade_date = DATE '{day}'", "narrow"))

    assert found.state == ("CANCELLED", CUT_OFF)
    assert one_session.state == ("SUCCEEDED", "")


def test_a_parameter_may_come_beside_the_query(asked: Asked, athena: Athena) -> None:
    names, client = asked.year.sandbox.deployment, boto3.client("athena")
    where: Any = {
        "WorkGroup": names.work_group,
        "QueryExecutionContext": {"Database": names.refined_database},
    }
    day, count = asked.year.lake.sessions[-1], len(asked.year.lake.at(asked.year.lake.sessions[-1]))
    sql = "SELECT count(*) FROM bovespa_daily_compact WHERE trade_date = ?;"

    beside = client.start_query_execution(QueryString=sql, ExecutionParameters=[f"DATE '{day}'"], **where)
    saved = client.start_query_execution(
        QueryString="EXECUTE most_traded", ExecutionParameters=[f"DATE '{day}'"], **where
    )

    assert athena.end(beside["QueryExecutionId"]).rows == [[str(count)]]
    most_traded = asked.of("most_traded", prepared=False)
    assert athena.end(saved["QueryExecutionId"]).rows == most_traded.rows
