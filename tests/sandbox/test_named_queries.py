"""The named queries over 250 simulated sessions, saved and prepared: their answers, and what they open.

Answers come from the deployed stack's Athena and are held against `tests.sandbox.answers`. What they open is
seen on DuckDB, which prunes partitions as Athena does: every file that a query should not need is not a
Parquet file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pandas as pd
import pytest
import sqlglot

from benchmarks import partitions
from lake import keys
from refinement import columns
from sandbox.b3.sources import SimulatedSource
from sandbox.environment import Sandbox
from sandbox.pipeline import Pipeline, QueryResult
from scraper.b3.calendar import sessions_between
from scraper.b3.cotahist.layout import COTAHIST_COLUMNS, REVISION_COLUMNS
from scraper.b3.index_level.layout import LEVEL_COLUMNS
from stacks.named_query import BY_DEFAULT, NAMED_QUERIES, NamedQuery
from tests.leading import lead_to
from tests.sandbox import answers
from tests.sandbox.answers import Lake
from tests.sandbox.deployed import MARKET, SESSIONS, Deployed
from tests.sandbox.history import actions_known, levels_known, loaded

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

HISTORY = [day for day in sessions_between(date(2024, 1, 1), SESSIONS[0]) if day < SESSIONS[0]][-248:]
YEAR = [*HISTORY, *SESSIONS]
STEMS = [path.stem for path in sorted(NAMED_QUERIES.glob("*.sql"))]

THEN, BEFORE = date(2025, 2, 13), SESSIONS[0]
EVERY = "share, unit, right, fund, etf, bdr, index, other"
PREPARED: dict[str, dict[str, Any]] = {
    "data_quality": {"first_date": date(2024, 3, 1), "last_date": date(2024, 3, 22)},
    "dividend_yield": {"trade_date": BEFORE, "security_types": EVERY, "minimum_volume": 0},
    "ex_events": {"trade_date": THEN, "sessions_back": 60},
    "highs_and_lows_52_weeks": {
        "trade_date": THEN,
        "prices": "total_return",
        "security_types": "share, fund",
        "minimum_volume": 5_000_000,
        "within_percent": 10,
    },
    "index_changes": {"first_date": SESSIONS[0], "last_date": SESSIONS[1], "index_code": "IBOV"},
    "index_concentration": {"trade_date": BEFORE},
    "index_contribution": {"trade_date": BEFORE, "index_code": "IBOV", "prices": "adjusted"},
    "index_moves": {"trade_date": THEN},
    "most_traded": {"trade_date": THEN},
    "odd_lot_share": {"trade_date": THEN, "minimum_volume": 0},
    "opening_gaps": {
        "trade_date": THEN,
        "prices": "traded",
        "security_types": "share, bdr",
        "minimum_volume": 10_000_000,
    },
    "option_expiries": {"trade_date": THEN, "days_ahead": 60},
    "paper_events": {"ticker": "ZXAA3"},
    "put_call_by_ticker": {"trade_date": THEN, "minimum_premiums": 0},
    "put_call_market": {"trade_date": THEN},
    "returns_and_volatility": {
        "trade_date": THEN,
        "prices": "adjusted",
        "security_types": EVERY,
        "minimum_average_volume": 0,
    },
    "sector_turnover": {"trade_date": BEFORE},
    "sector_weights": {"trade_date": BEFORE},
    "session_overview": {"trade_date": THEN, "security_types": "etf, fund", "prices": "adjusted"},
    "stock_against_index": {
        "trade_date": THEN,
        "index_code": "IBOV",
        "prices": "adjusted",
        "ticker": "ZXAA3",
    },
    "stocks_without_trades": {"trade_date": THEN},
    "ticker_averages": {"trade_date": THEN, "prices": "traded", "ticker": "ZXAA3"},
    "ticker_last_sessions": {"trade_date": THEN, "prices": "traded", "ticker": "ZXAA3"},
    "ticker_session": {"trade_date": BEFORE, "ticker": "ZXAA3"},
    "top_gainers_and_losers": {
        "trade_date": THEN,
        "prices": "traded",
        "security_types": EVERY,
        "minimum_volume": 20_000_000,
    },
    "total_return": {
        "first_date": date(2024, 6, 3),
        "last_date": THEN,
        "security_types": EVERY,
        "minimum_volume": 0,
    },
    "unusual_volume": {"trade_date": THEN, "security_types": "share", "minimum_volume": 10_000_000},
    "volume_by_market": {"trade_date": THEN},
    "volume_concentration": {"trade_date": THEN},
}
"""Values that are not the defaults. Only the sessions of the daily path have a portfolio and a wide table."""


MAY_BE_EMPTY = {"ex_events", "paper_events", "index_changes"}
"""Nothing may have happened in a session, to a paper, or to a portfolio."""

FINDS_A_TICKER = {
    "paper_events",
    "stock_against_index",
    "ticker_averages",
    "ticker_last_sessions",
    "ticker_session",
}
"""As they are saved, they look for the most traded one."""

SPANS = {
    "dividend_yield": 1,
    "index_contribution": 2,
    "most_traded": 1,
    "odd_lot_share": 1,
    "opening_gaps": 2,
    "option_expiries": 1,
    "put_call_by_ticker": 1,
    "put_call_market": 20,
    "returns_and_volatility": 22,
    "sector_turnover": 21,
    "sector_weights": 1,
    "session_overview": 2,
    "stock_against_index": 251,
    "stocks_without_trades": 21,
    "ticker_averages": 249,
    "ticker_last_sessions": 21,
    "top_gainers_and_losers": 2,
    "unusual_volume": 21,
    "volume_by_market": 1,
    "volume_concentration": 20,
}
"""How many sessions of the compact table a question is about; of the others, `needed` tells."""

QUERIES = {query.stem: query for query in NamedQuery.read_all(BY_DEFAULT)}
WIDE, COMPACT, RAW, REVISIONS = (
    ("default", "bovespa_daily"),
    ("default", "bovespa_daily_compact"),
    ("bovespa", "cotahist"),
    ("bovespa", "cotahist_revisions"),
)
MEMBERS = ("default", "bovespa_index_members")
EVENTS, FACTORS = ("default", "bovespa_events"), ("default", "bovespa_factors")
"""Of one object each."""
LEVELS = ("bovespa", "index_level")
"""Of an object a year."""
COLUMNS = {
    "default": {
        "bovespa_daily": {field.name: field.type for field in (*columns.COLUMNS, *columns.PARTITION_KEYS)},
        "bovespa_daily_compact": {
            field.name: field.type for field in (*columns.COMPACT_COLUMNS, *columns.COMPACT_KEYS)
        },
        MEMBERS[1]: {field.name: field.type for field in (*columns.MEMBER_COLUMNS, *columns.MEMBER_KEYS)},
        EVENTS[1]: {field.name: field.type for field in columns.EVENT_COLUMNS},
        FACTORS[1]: {field.name: field.type for field in columns.FACTOR_COLUMNS},
    },
    "bovespa": {
        "cotahist": {column.name: column.glue_type for column in COTAHIST_COLUMNS} | {"trade_date": "date"},
        LEVELS[1]: {column.name: column.glue_type for column in LEVEL_COLUMNS},
        "cotahist_revisions": {column.name: column.glue_type for column in REVISION_COLUMNS}
        | {"trade_date": "date"},
    },
}

Table = tuple[str, str]
Values = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Year:
    """The pipeline with 250 sessions.

    Attributes:
        sandbox: Where it is deployed.
        pipeline: The pipeline.
        saved: The workgroup's saved queries, by name.
        lake: What was generated.
        folders: Where the tables' files lie.
        objects: The tables of an object or a few.
    """

    sandbox: Sandbox
    pipeline: Pipeline
    saved: dict[str, str]
    lake: Lake
    folders: dict[Table, Path]
    objects: dict[Table, list[Path]]
    _expected: dict[tuple[str, bool], pd.DataFrame] = field(default_factory=dict)

    def values(self, stem: str, *, prepared: bool) -> Values:
        return PREPARED[stem] if prepared else _defaults(self.lake, QUERIES[stem])

    def expected(self, stem: str, *, prepared: bool) -> pd.DataFrame:
        """The answer, worked out once: several tests ask for it."""
        if (stem, prepared) not in self._expected:
            values = self.values(stem, prepared=prepared)
            self._expected[stem, prepared] = getattr(answers, stem)(self.lake, **values)
        return self._expected[stem, prepared]


def year_of(sandbox: Sandbox) -> Year:
    """The year in a sandbox that has it, to which the environment leads."""
    sandbox.refresh_lake()
    lake, pipeline = sandbox.lake, Pipeline(sandbox.deployment)
    folders = {
        WIDE: lake / "refined",
        COMPACT: lake / "refined_compact",
        MEMBERS: lake / keys.MEMBERS_FOLDER,
        RAW: lake / "raw" / "cotahist",
    }
    objects = {
        EVENTS: [lake / keys.EVENTS_FOLDER / keys.REFINED_FILE],
        FACTORS: [lake / keys.FACTORS_FOLDER / keys.REFINED_FILE],
        LEVELS: sorted((lake / keys.INDEX_LEVELS).glob("*.parquet")),
    }
    events, factors = (pd.read_parquet(objects[table][0], partitioning=None) for table in (EVENTS, FACTORS))
    return Year(
        sandbox=sandbox,
        pipeline=pipeline,
        saved=dict(pipeline.named_queries()),
        lake=replace(Lake.of(MARKET, YEAR, SESSIONS[0]), events=events, factors=factors),
        folders=folders,
        objects=objects,
    )


@pytest.fixture(scope="module")
def year(deployed: Deployed) -> Iterator[Year]:
    """History is loaded before the sessions of the daily path, and taken out again at the end."""
    known = actions_known(deployed, SimulatedSource(YEAR, MARKET))
    with pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        with known, loaded(deployed, HISTORY), levels_known(deployed, YEAR):
            yield year_of(deployed.sandbox)
        deployed.sandbox.refresh_lake()


def literal(value: Any) -> str:
    """A value as it stands in EXECUTE ... USING."""
    if isinstance(value, date):
        return f"DATE '{value}'"
    return f"'{value}'" if isinstance(value, str) else str(value)


def _defaults(lake: Lake, query: NamedQuery) -> Values:
    last = lake.sessions[-1]
    known = {
        "${last_session}": last,
        "${session_20_before}": lake.window(last, 21)[-1],
        "${first_index}": "IBOV",
        "${most_traded_ticker}": lake.at(last)["volume"].idxmax(),
    }
    return {each.name: known.get(each.default) or _value(each.default) for each in query.parameters}


def _value(text: str) -> str | int:
    return text.strip("'") if text.startswith("'") else int(text)


DIGITS = {
    "beta": 4,
    "contributions_points": 4,
    "correlation": 4,
    "difference_points": 4,
    "cash_per_share": 6,
    "contribution_points": 4,
    "herfindahl_hirschman_index": 0,
    "index_change_percent": 4,
    "split_factor": 12,
    "total_return_factor": 12,
}
"""Decimals of a rounded column; of the others it is two, of prices four."""

PRICES = {
    *answers.PRICES,
    *("reference_price", "previous_close", "high_52_weeks", "low_52_weeks"),
    *("close_before", "first_close", "close_adjusted"),
    *("average_5", "average_20", "average_200"),
}


def difference(columns: Sequence[str], rows: Sequence[Sequence[str | None]], expected: pd.DataFrame) -> str:
    """The first difference between an answer and what it should be, or nothing."""
    if list(columns) != list(expected.columns):
        return f"columns {list(columns)}, expected {list(expected.columns)}"
    if len(rows) != len(expected):
        return f"{len(rows)} rows, expected {len(expected)}"
    for number, (row, wanted) in enumerate(zip(rows, expected.itertuples(index=False), strict=True)):
        for column, found, value in zip(columns, row, wanted, strict=True):
            if not _is_rounding(found, value, column):
                return f"row {number}, {column}: {found}, expected {value}"
    return ""


def _is_rounding(found: str | None, value: Any, column: str) -> bool:
    if value is None or value != value or value is pd.NaT:  # noqa: PLR0124 - not a number
        return found is None
    if found is None:
        return False
    if isinstance(value, Decimal):
        return Decimal(found) == value
    if isinstance(value, float):
        digits = DIGITS.get(column, 4 if column in PRICES else 2)
        return abs(float(found) - value) <= 0.51 * 10.0**-digits
    return found == str(value)


def found(result: QueryResult) -> tuple[list[str], list[list[str | None]]]:
    return [name for name, _ in result.columns], result.rows


def test_the_stack_has_every_query_twice(year: Year) -> None:
    athena, group = boto3.client("athena"), year.sandbox.deployment.work_group
    assert year.saved.keys() == {query.name for query in QUERIES.values()}
    statements = athena.list_prepared_statements(WorkGroup=group)["PreparedStatements"]
    assert sorted(statement["StatementName"] for statement in statements) == STEMS


@pytest.mark.parametrize("stem", STEMS)
def test_a_saved_query_answers_of_the_last_session(year: Year, stem: str) -> None:
    columns, rows = found(year.pipeline.query(year.saved[QUERIES[stem].name]))

    assert rows or stem in MAY_BE_EMPTY
    assert difference(columns, rows, year.expected(stem, prepared=False)) == ""


@pytest.mark.parametrize("stem", STEMS)
def test_a_prepared_statement_answers_of_what_it_is_asked(year: Year, stem: str) -> None:
    using = ", ".join(map(literal, year.values(stem, prepared=True).values()))

    columns, rows = found(year.pipeline.query(f"EXECUTE {stem} USING {using}"))

    assert rows or stem in MAY_BE_EMPTY
    assert difference(columns, rows, year.expected(stem, prepared=True)) == ""


def needed(lake: Lake, stem: str, values: Values, *, prepared: bool) -> dict[Table, list[date]]:
    """The sessions of each table that a question is about."""
    if stem == "data_quality":
        days = [day for day in lake.sessions if values["first_date"] <= day <= values["last_date"]]
        return {RAW: days, COMPACT: days}
    if stem in {"ex_events", "index_moves", "index_changes", "index_concentration"}:
        # The first session of the defaults has no portfolio
        of_members = {"index_changes": SESSIONS if prepared else SESSIONS[-1:]}
        of_members["index_concentration"] = (values.get("trade_date", SESSIONS[-1]),)
        return {MEMBERS: [*of_members[stem]]} if stem in of_members else {}
    if stem in {"paper_events", "total_return"}:  # the one is about the last session
        ends = [values.get(name, lake.sessions[-1]) for name in ("first_date", "last_date")]
        return {COMPACT: [lake.window(end, 1)[0] for end in ends]}
    day = values["trade_date"]
    if stem == "ticker_session":
        # Without a ticker, the most traded one has to be found
        return {WIDE: [day]} if prepared else {WIDE: [day], COMPACT: [day]}
    if stem == "highs_and_lows_52_weeks":
        return {COMPACT: [each for each in lake.sessions if 0 <= (day - each).days < 364]}
    members = {MEMBERS: [day]} if stem == "index_contribution" else {}
    return members | {COMPACT: lake.window(day, SPANS[stem])}


def filled(stem: str, values: Values, *, prepared: bool) -> str:
    query = QUERIES[stem]
    if not prepared:
        return query.sql
    sql = query.statement
    for value in values.values():
        sql = sql.replace("?", literal(value), 1)
    return sql


@pytest.mark.parametrize("prepared", [False, True], ids=["saved", "prepared"])
@pytest.mark.parametrize("stem", STEMS)
def test_a_query_asks_for_the_sessions_that_it_needs_by_the_catalog_alone(
    year: Year, stem: str, prepared: bool
) -> None:
    values = year.values(stem, prepared=prepared)
    wanted = needed(year.lake, stem, values, prepared=prepared)
    every = {**dict.fromkeys((WIDE, COMPACT, RAW, REVISIONS), YEAR), MEMBERS: SESSIONS}
    if stem == "data_quality":
        wanted[REVISIONS] = wanted[RAW]  # in this lake they are of no session

    left: dict[str, list[date]] = {}
    for reading in partitions.readings(filled(stem, values, prepared=prepared), COLUMNS):
        left.setdefault(reading.table, []).extend(partitions.sessions_read(reading, every))

    assert {table: set(days) for table, days in left.items()} == {
        table: set(days) for (_, table), days in wanted.items()
    }
    # A member of a WITH is read as often as it is named: Athena asks, and bills, for each
    twice = stem in FINDS_A_TICKER and not prepared
    assert max((max(Counter(days).values()) for days in left.values() if days), default=0) <= 1 + twice


class Engine:
    """DuckDB on the tables' files, of which some are not Parquet.

    Args:
        folders: Where the tables' files lie.
        objects: The tables of an object or a few, which stay as they are.
        scratch: A folder to write in.
    """

    def __init__(self, folders: dict[Table, Path], objects: dict[Table, list[Path]], scratch: Path) -> None:
        self._folders, self._objects = folders, objects
        self._files: dict[Table, list[Path]] = {}
        self._not_parquet: dict[Path, Path] = {}
        self._of_no_session: dict[Table, Path] = {}
        for table, folder in folders.items():
            files = self._files[table] = sorted(folder.rglob("*.parquet"))
            for file in files:
                name = scratch / "not-parquet" / file.relative_to(folder)
                name.parent.mkdir(parents=True, exist_ok=True)
                name.write_bytes(b"not Parquet")
                self._not_parquet[file] = name
            # DuckDB takes the columns from the first file
            keys = "trade_date=1900-01-01/ticker=NONE" if table == WIDE else "trade_date=1900-01-01"
            first = self._of_no_session[table] = scratch / "/".join(table) / keys / "part.parquet"
            first.parent.mkdir(parents=True)
            first.write_bytes(files[0].read_bytes())

    def answer(self, sql: str, readable: dict[Table, list[Path]]) -> tuple[list[str], list[list[str | None]]]:
        """A query's answer.

        Args:
            sql: The query.
            readable: The files that are left as they are.

        Raises:
            duckdb.Error: It opened another one.
        """
        with duckdb.connect() as connection:
            for database in COLUMNS:
                connection.execute(f'CREATE SCHEMA "{database}"')
            days = ", ".join(f"(DATE '{day}')" for day in YEAR)
            connection.execute(
                f'CREATE VIEW "default"."{COMPACT[1]}$partitions" (trade_date) AS VALUES {days}'
            )
            days = ", ".join(f"(DATE '{day}')" for day in SESSIONS)
            connection.execute(
                f'CREATE VIEW "default"."{MEMBERS[1]}$partitions" (trade_date) AS VALUES {days}'
            )
            connection.execute(f'CREATE TABLE "{REVISIONS[0]}"."{REVISIONS[1]}" (trade_date date)')
            for table in (table for table in self._files if table[1] in sql):
                left = set(readable.get(table, []))
                paths = [file if file in left else self._not_parquet[file] for file in self._files[table]]
                connection.execute(_view(table, [self._of_no_session[table], *paths]))
            for (database, name), paths in self._objects.items():
                names = [str(path) for path in paths]
                connection.execute(f'CREATE VIEW "{database}"."{name}" AS FROM read_parquet({names})')
            result = connection.execute(_translated(sql))
            names = [name for name, *_ in result.description or []]
            return names, [[_text(value) for value in row] for row in result.fetchall()]

    def every(self, table: Table) -> list[Path]:
        """All files of a table."""
        return self._files[table]

    def files(self, table: Table, day: date, ticker: str | None) -> list[Path]:
        """A table's files of a session; of a ticker, where there is one for each."""
        folder = self._folders[table] / f"trade_date={day}"
        return sorted((folder / f"ticker={ticker}" if table == WIDE else folder).glob("*.parquet"))


def _view(table: Table, files: list[Path]) -> str:
    keys = "{'trade_date': DATE, 'ticker': VARCHAR}" if table == WIDE else "{'trade_date': DATE}"
    names = [str(file) for file in files]
    read = f"read_parquet({names}, hive_partitioning = true, hive_types = {keys})"
    return f'CREATE VIEW "{table[0]}"."{table[1]}" AS FROM {read}'


@cache
def _translated(sql: str) -> str:
    (translated,) = sqlglot.transpile(sql, read="athena", write="duckdb")
    return translated


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


@pytest.fixture(scope="module")
def engine(year: Year, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(year.folders, year.objects, tmp_path_factory.mktemp("engine"))


@pytest.mark.parametrize("prepared", [False, True], ids=["saved", "prepared"])
@pytest.mark.parametrize("stem", STEMS)
def test_a_query_opens_the_files_of_the_sessions_that_it_needs_and_no_other(
    year: Year, engine: Engine, stem: str, prepared: bool
) -> None:
    values = year.values(stem, prepared=prepared)
    wanted = needed(year.lake, stem, values, prepared=prepared)
    # DuckDB takes no filter that comes from a subquery into a UNION: there, the defaults as constants
    sql = filled(stem, values, prepared=prepared or stem == "data_quality")
    readable = {
        table: [file for day in days for file in engine.files(table, day, values.get("ticker"))]
        for table, days in wanted.items()
    }

    columns, rows = engine.answer(sql, readable)

    assert rows or stem in MAY_BE_EMPTY
    assert difference(columns, rows, year.expected(stem, prepared=prepared)) == ""
    for table, files in readable.items():
        oldest = min(files)
        with pytest.raises(duckdb.Error, match="Parquet"):
            engine.answer(sql, {**readable, table: [file for file in files if file != oldest]})
