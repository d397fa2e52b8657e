"""The named queries: their headers, their dialect, and their answers on rows worked out by hand.

The answers come from DuckDB, to which sqlglot translates Athena's SQL. What they answer on a simulated
market, and which sessions they read, is in `tests/sandbox/test_named_queries.py`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from lake.currency import FIRST_IN_BRL
from refinement.columns import (
    COLUMNS,
    COMPACT_COLUMNS,
    COMPACT_KEYS,
    EVENT_COLUMNS,
    FACTOR_COLUMNS,
    MEMBER_COLUMNS,
    MEMBER_KEYS,
    PARTITION_KEYS,
)
from scraper.b3.calendar import sessions_between
from scraper.b3.index_level.layout import LEVEL_COLUMNS, NEW_BASE
from stacks.named_query import BY_DEFAULT, DEFAULTS, NamedQuery, QueryFileError

WIDE, COMPACT = "bovespa_daily", "bovespa_daily_compact"
EVENTS, FACTORS, MEMBERS = "bovespa_events", "bovespa_factors", "bovespa_index_members"
REFINED = {
    WIDE: (*COLUMNS, *PARTITION_KEYS),
    COMPACT: (*COMPACT_COLUMNS, *COMPACT_KEYS),
    EVENTS: EVENT_COLUMNS,
    FACTORS: FACTOR_COLUMNS,
    MEMBERS: (*MEMBER_COLUMNS, *MEMBER_KEYS),
}
NAMES = [field.name for field in REFINED[COMPACT]]
QUERIES = {query.stem: query for query in NamedQuery.read_all(BY_DEFAULT)}

# The three sessions around Easter; Friday the 29th is a holiday
FIRST, SECOND, LAST = dt.date(2024, 3, 27), dt.date(2024, 3, 28), dt.date(2024, 4, 1)
ON_LAST = f"DATE '{LAST}'"
KINDS = "'share, unit'"

_TRINO = "https://trino.io/docs/current/functions"
FUNCTIONS = {
    "abs": f"{_TRINO}/math.html#abs",
    "approx_percentile": f"{_TRINO}/aggregate.html#approx_percentile",
    "avg": f"{_TRINO}/aggregate.html#avg",
    "cast": f"{_TRINO}/conversion.html#cast",
    "coalesce": f"{_TRINO}/conditional.html#coalesce",
    "contains": f"{_TRINO}/array.html#contains",
    "corr": f"{_TRINO}/aggregate.html#corr",
    "count": f"{_TRINO}/aggregate.html#count",
    "day_of_week": f"{_TRINO}/datetime.html#day_of_week",
    "dense_rank": f"{_TRINO}/window.html#dense_rank",
    "first_value": f"{_TRINO}/window.html#first_value",
    "lag": f"{_TRINO}/window.html#lag",
    "last_value": f"{_TRINO}/window.html#last_value",
    "least": f"{_TRINO}/comparison.html#least",
    "ln": f"{_TRINO}/math.html#ln",
    "max": f"{_TRINO}/aggregate.html#max",
    "max_by": f"{_TRINO}/aggregate.html#max_by",
    "min": f"{_TRINO}/aggregate.html#min",
    "min_by": f"{_TRINO}/aggregate.html#min_by",
    "nullif": f"{_TRINO}/conditional.html#nullif",
    "regr_slope": f"{_TRINO}/aggregate.html#regr_slope",
    "replace": f"{_TRINO}/string.html#replace",
    "round": f"{_TRINO}/math.html#round",
    "row_number": f"{_TRINO}/window.html#row_number",
    "sequence": f"{_TRINO}/array.html#sequence",
    "split": f"{_TRINO}/string.html#split",
    "sqrt": f"{_TRINO}/math.html#sqrt",
    "stddev_samp": f"{_TRINO}/aggregate.html#stddev_samp",
    "sum": f"{_TRINO}/aggregate.html#sum",
}
"""The functions that the queries use, with the page of Trino's documentation on which each was found."""

_NO_FUNCTIONS = {
    *("and", "as", "between", "from", "in", "join", "or", "over", "select"),
    *("unnest", "values", "where"),
}
"""What else can stand before a bracket."""

MAX_BYTES = 262_144
"""Of a query's text, of a prepared statement's too:
https://docs.aws.amazon.com/athena/latest/APIReference/API_NamedQuery.html"""


def _row(ticker: str, trade_date: dt.date = LAST, **values: Any) -> dict[str, Any]:
    """A stock that traded 1,000.00 BRL in the cash market at 10.00, unless said otherwise."""
    row: dict[str, Any] = dict.fromkeys(NAMES)
    row |= {
        "trade_date": trade_date,
        "ticker": ticker,
        "isin": f"BR{ticker}",
        "company": f"{ticker} SA",
        "trades": 1,
        "quantity": 100,
        "security_type": "share",
        "currency": "BRL",
    }
    row |= dict.fromkeys(("open", "high", "low", "close"), Decimal("10.00"))
    row |= dict.fromkeys((name for name in NAMES if name.endswith("_volume")), Decimal(0))
    row |= {"volume": Decimal(1000), "cash_volume": Decimal(1000), "option_series": 0, "lines": 1}
    return row | values


def _without_cash(ticker: str, trade_date: dt.date = LAST, **values: Any) -> dict[str, Any]:
    """A stock without a cash line: it has no prices."""
    prices = dict.fromkeys(("open", "high", "low", "close"))
    return _row(ticker, trade_date, **{**prices, "cash_volume": Decimal(0), **values})


@cache
def _tree(sql: str) -> exp.Expr:
    """The one statement of a text."""
    (tree,) = sqlglot.parse(sql, read="athena")
    assert tree is not None
    return tree


@cache
def _for_duckdb(sql: str) -> str:
    return _tree(sql).sql(dialect="duckdb")


class Athena:
    """The tables, of given rows, and the named queries on them."""

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        self._connection.execute('CREATE SCHEMA "default"')
        self._connection.execute('CREATE SCHEMA "bovespa"')
        for table, fields in REFINED.items():
            columns = ", ".join(f'"{field.name}" {field.type}' for field in fields)
            self._connection.execute(f'CREATE TABLE "default"."{table}" ({columns})')
        for table in (COMPACT, MEMBERS):
            sessions = f'SELECT DISTINCT trade_date FROM "default"."{table}"'  # noqa: S608 - as below
            self._connection.execute(f'CREATE VIEW "default"."{table}$partitions" AS {sessions}')
        columns = ", ".join(f'"{column.name}" {column.glue_type}' for column in LEVEL_COLUMNS)
        self._connection.execute(f'CREATE TABLE "bovespa"."index_level" ({columns})')
        self._connection.execute('CREATE TABLE "bovespa"."cotahist" (voltot decimal(18,2), trade_date date)')
        self._connection.execute(
            'CREATE TABLE "bovespa"."cotahist_revisions" (file varchar, trade_date date)'
        )

    def begin(self) -> None:
        self._connection.begin()

    def rollback(self) -> None:
        """Take back all that was added since `begin`."""
        self._connection.rollback()

    def add(self, *rows: dict[str, Any], compact_only: bool = False) -> None:
        marks = ", ".join("?" * len(NAMES))
        names = ", ".join(f'"{name}"' for name in NAMES)
        for table in (COMPACT,) if compact_only else (WIDE, COMPACT):
            self._connection.executemany(
                f'INSERT INTO "default"."{table}" ({names}) VALUES ({marks})',  # noqa: S608 - nothing of it from outside
                [[row[name] for name in NAMES] for row in rows],
            )

    def add_events(self, *rows: dict[str, Any]) -> None:
        self._insert(EVENTS, [[row.get(field.name) for field in EVENT_COLUMNS] for row in rows])

    def add_members(self, trade_date: dt.date, index: str = "IBOV", **weights: str) -> None:
        """Members of an index in a session by the portfolio of that day, all of which traded."""
        self._insert(
            MEMBERS,
            [
                [index, ticker, f"BR{ticker}", Decimal(weight), None, trade_date, 0, trade_date]
                for ticker, weight in weights.items()
            ],
        )

    def add_levels(self, index: str = "IBOV", **levels: str) -> None:
        """Levels by day, as D20240401="126990.45"; of a level with a `*` behind it the base is new."""
        rows = [
            [
                index,
                dt.datetime.strptime(day, "D%Y%m%d").date(),  # noqa: DTZ007 - a day
                Decimal(level.rstrip("*")),
                NEW_BASE if level.endswith("*") else None,
            ]
            for day, level in levels.items()
        ]
        self._insert("index_level", rows, database="bovespa")

    def add_factors(self, *spans: tuple[Any, ...]) -> None:
        """Spans: ISIN, first and last session, split factor, total return factor, reason.

        Their base is the newest session, where there are factors; of the others, each span's own last one.
        """
        newest = max(span[2] for span in spans)
        rows = []
        for isin, first, last, split, total, reason in spans:
            bases = [each for one in (split, total) for each in ((newest, one) if one else (last, 1))]
            rows.append((isin, first, last, split, total, *bases, reason))
        self._insert(FACTORS, rows)

    def _insert(self, table: str, rows: Sequence[Sequence[Any]], *, database: str = "default") -> None:
        marks = ", ".join("?" * len(rows[0]))
        self._connection.executemany(f'INSERT INTO "{database}"."{table}" VALUES ({marks})', rows)  # noqa: S608 - as above

    def add_raw(self, trade_date: dt.date, *volumes: str) -> None:
        for volume in volumes:
            self._connection.execute(
                'INSERT INTO "bovespa"."cotahist" VALUES (?, ?)', [Decimal(volume), trade_date]
            )

    def add_revised(self, trade_date: dt.date, *files: str) -> None:
        for file in files:
            self._connection.execute(
                'INSERT INTO "bovespa"."cotahist_revisions" VALUES (?, ?)', [file, trade_date]
            )

    def answer(self, stem: str, *values: str, prices: str = "", index: str = "") -> list[dict[str, Any]]:
        """Rows of a named query: as it is saved, or, with values, of its prepared statement.

        Of papers without a span of factors nothing left. What has a weight is a member of the IBOV, if
        nothing else was said of the session. `prices` and `index` stand where the query asks which, if they
        are not to be its default.
        """
        self._connection.execute(
            f"""INSERT INTO "default"."{MEMBERS}"
            SELECT 'IBOV', ticker, isin, index_weight, sector, portfolio_date, portfolio_age_days, trade_date
            FROM "default"."{COMPACT}"
            WHERE index_weight IS NOT NULL
                AND trade_date NOT IN (SELECT trade_date FROM "default"."{MEMBERS}")"""  # noqa: S608 - as above
        )
        self._connection.execute(
            f"""INSERT INTO "default"."{FACTORS}"
            SELECT isin, min(trade_date), max(trade_date), 1, 1, max(trade_date), 1, max(trade_date), 1, NULL
            FROM "default"."{COMPACT}"
            WHERE isin NOT IN (SELECT isin FROM "default"."{FACTORS}")
            GROUP BY isin"""  # noqa: S608 - as above
        )
        query, parameters = QUERIES[stem], QUERIES[stem].parameters
        sql = _for_duckdb(query.statement if values or prices or index else query.sql)
        asked = {each.name: each.default for each in parameters if each.name in ("prices", "index_code")}
        if "index_code" in asked:
            asked["index_code"] = index or "'IBOV'"
        if prices:
            asked["prices"] = prices
        if values or prices or index:
            left = list(values)
            filled = [asked[each.name] if each.name in asked else left.pop(0) for each in parameters]
            assert (sql.count("?"), left) == (len(filled), [])
            for value in filled:
                sql = sql.replace("?", value, 1)
        result = self._connection.execute(sql)
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@pytest.fixture(scope="session")
def empty() -> Athena:
    return Athena()


@pytest.fixture
def athena(empty: Athena) -> Iterator[Athena]:
    """Tables without rows; what a test adds is taken back."""
    empty.begin()
    yield empty
    empty.rollback()


each_query = pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())


def test_there_are_the_questions_that_an_analyst_asks() -> None:
    assert len(QUERIES) >= 15
    assert len({query.name for query in QUERIES.values()}) == len(QUERIES)


@each_query
def test_a_query_says_what_it_answers_in_both_languages(query: NamedQuery) -> None:
    assert 10 < len(query.name) <= 128  # the limit of Athena
    assert query.title.en != query.title.pt
    assert query.question.en.rstrip(".") != query.question.pt.rstrip(".")
    assert "?" in query.question.en
    assert "?" in query.question.pt
    assert len(query.description) <= 1024
    assert query.scans.en != query.scans.pt
    assert 1 <= query.needs_sessions <= 250
    for parameter in query.parameters:
        assert parameter.meaning.en != parameter.meaning.pt
        assert parameter.default.strip("${}") in DEFAULTS or _is_literal(parameter.default)


def _is_literal(text: str) -> bool:
    return re.fullmatch(r"\d+|'[^']+'", text) is not None


@each_query
def test_a_text_is_one_that_athena_takes(query: NamedQuery) -> None:
    for text in (query.sql, query.statement):
        assert 0 < len(text.encode()) <= MAX_BYTES
        assert isinstance(_tree(text), exp.Select)
    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_@:]{1,256}", query.stem)


def test_every_function_is_one_that_trino_documents() -> None:
    used = set()
    for query in QUERIES.values():
        tokens = sqlglot.tokenize(query.sql, read="athena")
        tables = {name.name for name in _tree(query.sql).find_all(exp.TableAlias)}
        used |= {
            token.text.lower()
            for token, bracket in itertools.pairwise(tokens)
            if bracket.text == "(" and token.text.isidentifier()
            if token.text not in {*tables, "decimal"}
        }
    assert used - _NO_FUNCTIONS - {name.upper() for name in _NO_FUNCTIONS} == FUNCTIONS.keys()


@each_query
def test_a_prepared_statement_asks_for_each_parameter_once_and_in_a_where(query: NamedQuery) -> None:
    marks = list(_tree(query.statement).find_all(exp.Placeholder))
    assert len(marks) == query.statement.count("?") == len(query.parameters) >= 1
    # The only place that Athena's documentation allows
    for mark in marks:
        assert mark.find_ancestor(exp.Where, exp.Select) is mark.find_ancestor(exp.Where)


@each_query
def test_a_saved_query_has_no_question_mark_and_shows_where_its_defaults_are(query: NamedQuery) -> None:
    assert "?" not in query.sql
    for parameter in query.parameters:
        assert query.sql.count(f"/* {parameter.name} */ ") == 1
        assert f"-- {parameter.name} ({parameter.type}): " in query.sql
    assert re.search(r"^-- Needs sessions: \d+$", query.sql, re.MULTILINE)


def test_the_table_of_a_file_a_ticker_is_read_for_one_ticker_of_one_session() -> None:
    readings = [
        (query.stem, table.find_ancestor(exp.Select))
        for query in QUERIES.values()
        for table in _tree(query.statement).find_all(exp.Table)
        if table.name == WIDE
    ]
    ((stem, select),) = readings
    assert stem == "ticker_session"
    assert select is not None
    demands = select.args["where"].this.flatten()
    assert [demand.sql() for demand in demands] == ["trade_date = ?", "ticker = ?"]


def test_one_session_is_demanded_as_a_constant() -> None:
    """So that Athena prunes when it plans; what spans sessions has them from the catalog by a join."""
    constant = {
        stem for stem, query in QUERIES.items() if re.search(r"WHERE trade_date = \?\n", query.statement)
    }
    assert constant == {
        "most_traded",
        "index_concentration",
        "odd_lot_share",
        "option_expiries",
        "put_call_by_ticker",
        "sector_weights",
        "ticker_session",
        "volume_by_market",
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("SELECT 1\n", "expected comment lines first"),
        (
            "-- A title\n-- EN: Q?\n-- PT: P?\n-- Scans: a | b\n-- Needs sessions: 1\nSELECT 1",
            "expected English",
        ),
        ("-- A title | Um título\nSELECT 1\n", "expected one comment line `-- EN: ...`"),
        ("{header}-- Note: this\nSELECT 1\n", "1 comment lines before the SQL are none of"),
        ("{header}-- Parameter: a | date | 1 | what\nSELECT 1\n", "expected Parameter: name"),
        ("{header}-- Parameter: a | day | 1 | what | o\nSELECT 1\n", "expected Parameter: name"),
        ("{header}-- Parameter: a | date | 1 | what | o\nSELECT 1\n", "has the parameters []"),
        ("{header}-- Parameter: a | date | 1 | what | o\nSELECT ${{a}} + ${{a}}\n", "each once"),
        ("{header}SELECT 1 WHERE 1 = ?\n", "a question mark in the SQL"),
        (
            "-- A | B\n-- EN: Q?\n-- PT: P?\n-- Scans: a file\n-- Needs sessions: 1\nSELECT 1",
            "expected English",
        ),
        (
            "-- A | B\n-- EN: Q?\n-- PT: P?\n-- Scans: a | b\n-- Needs sessions: one\nSELECT 1",
            "expected a number",
        ),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    header = "-- A title | Um título\n-- EN: Q?\n-- PT: P?\n-- Scans: a | b\n-- Needs sessions: 1\n"
    path = tmp_path / "query.sql"
    path.write_text(text.format(header=header))

    with pytest.raises(QueryFileError, match=re.escape(reason)) as refusal:
        NamedQuery.read(path, BY_DEFAULT)
    assert "query.sql: " in str(refusal.value)


def test_a_placeholder_that_nobody_fills_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "query.sql"
    path.write_text(
        "-- A | B\n-- EN: Q?\n-- PT: P?\n-- Scans: a | b\n-- Needs sessions: 1\nSELECT 1 FROM ${raw_table}\n"
    )

    with pytest.raises(KeyError, match="raw_table"):
        NamedQuery.read(path, BY_DEFAULT)


def test_a_ticker_s_sessions_are_found_where_history_was_refined_compactly(athena: Athena) -> None:
    athena.add(_row("MANY3", FIRST), _row("MANY3", SECOND), compact_only=True)
    athena.add(_row("MANY3"))

    rows = athena.answer("ticker_last_sessions")

    assert [row["trade_date"] for row in rows] == [LAST, SECOND, FIRST]


def test_gainers_and_losers_move_against_the_previous_close(athena: Athena) -> None:
    athena.add(
        _row("RISE3", FIRST, close=Decimal("99")),  # two sessions ago: of no matter
        _row("RISE3", SECOND, close=Decimal("20")),
        _row("FALL4", SECOND, close=Decimal("50")),
        _row("FLAT3", SECOND, close=Decimal("10")),
        _row("RISE3", close=Decimal("23"), open=Decimal("30")),
        _row("FALL4", close=Decimal("49.95"), open=Decimal("40")),
        _row("FLAT3", close=Decimal("10")),
    )

    rows = athena.answer("top_gainers_and_losers", ON_LAST, KINDS, "0")

    assert [(row["side"], row["place"], row["ticker"]) for row in rows] == [
        ("gainer", 1, "RISE3"),
        ("loser", 1, "FALL4"),
    ]
    assert rows[0]["change_percent"] == Decimal("15.00")  # 23 / 20 - 1
    assert rows[1]["change_percent"] == Decimal("-0.10")  # 49.95 / 50 - 1
    assert [row["reference"] for row in rows] == ["previous close", "previous close"]
    assert {row["trade_date"] for row in rows} == {LAST}


def test_a_stock_without_previous_close_moves_against_the_open(athena: Athena) -> None:
    athena.add(
        _row("BACK3", FIRST, close=Decimal("1")),  # it did not trade in the session between
        _row("ELSE3", SECOND),
        _row("ODDS3", SECOND, close=Decimal("5"), cash_volume=Decimal(0)),  # odd lots alone: no close
        _row("BACK3", open=Decimal("8"), close=Decimal("10")),
        _row("ODDS3", open=Decimal("10"), close=Decimal("9")),
    )

    rows = athena.answer("top_gainers_and_losers", ON_LAST, KINDS, "0")

    assert [(row["ticker"], row["change_percent"], row["reference"]) for row in rows] == [
        ("BACK3", Decimal("25.00"), "open"),
        ("ODDS3", Decimal("-10.00"), "open"),
    ]


def test_only_the_first_ten_gainers_are_named_and_only_cash_trades_count(athena: Athena) -> None:
    athena.add(
        *(_row(f"UP{number:02}3", open=Decimal(100), close=Decimal(100 + number)) for number in range(1, 13))
    )
    athena.add(_row("ODDS3", open=Decimal(1), close=Decimal(99), cash_volume=Decimal(0)))

    rows = athena.answer("top_gainers_and_losers", ON_LAST, KINDS, "0")

    assert [row["ticker"] for row in rows] == [f"UP{number:02}3" for number in range(12, 2, -1)]
    assert [row["place"] for row in rows] == list(range(1, 11))


def test_the_most_traded_share_the_session_s_volume(athena: Athena) -> None:
    athena.add(
        _row("MANY3", SECOND, volume=Decimal(999_999)),
        _row("MANY3", volume=Decimal(600), put_call_ratio=0.126),
        _row("LESS3", volume=Decimal(300)),
        _row("LEAST3", volume=Decimal(100)),
    )

    rows = athena.answer("most_traded")

    assert [(row["ticker"], row["volume"], row["share_of_session_percent"]) for row in rows] == [
        ("MANY3", Decimal(600), Decimal("60.00")),
        ("LESS3", Decimal(300), Decimal("30.00")),
        ("LEAST3", Decimal(100), Decimal("10.00")),
    ]
    assert rows[0]["put_call_ratio"] == Decimal("0.13")
    assert {row["trade_date"] for row in rows} == {LAST}


def test_the_twenty_most_traded_are_named_and_the_rest_counts(athena: Athena) -> None:
    athena.add(*(_row(f"ZX{number:02}3", volume=Decimal(number)) for number in range(1, 26)))

    rows = athena.answer("most_traded")

    assert [row["ticker"] for row in rows] == [f"ZX{number:02}3" for number in range(25, 5, -1)]
    assert rows[0]["share_of_session_percent"] == Decimal("7.69")  # 25 of 1 + 2 + ... + 25 = 325


def test_the_last_sessions_are_those_of_the_most_traded_ticker_by_default(athena: Athena) -> None:
    athena.add(
        _row("MANY3", FIRST, close=Decimal("10")),
        _row("LESS3", SECOND, volume=Decimal(9_000)),
        _row("MANY3", SECOND, close=Decimal("12")),
        _row("LESS3", LAST),
        _row("MANY3", LAST, close=Decimal("9"), volume=Decimal(2_000), days_to_expiry=18),
    )

    rows = athena.answer("ticker_last_sessions")

    assert [(row["trade_date"], row["ticker"], row["change_percent"]) for row in rows] == [
        (LAST, "MANY3", Decimal("-25.00")),
        (SECOND, "MANY3", Decimal("20.00")),
        (FIRST, "MANY3", None),
    ]
    assert rows[0]["days_to_expiry"] == 18


def test_the_last_sessions_are_those_of_the_ticker_that_is_asked_for(athena: Athena) -> None:
    athena.add(_row("MANY3", volume=Decimal(2_000)), _row("LESS3"))

    rows = athena.answer("ticker_last_sessions", ON_LAST, "'LESS3'")

    assert [row["ticker"] for row in rows] == ["LESS3"]


def test_the_last_twenty_sessions_are_listed(athena: Athena) -> None:
    days = [LAST - dt.timedelta(days=number) for number in range(30)]
    athena.add(*(_row("MANY3", day) for day in days))

    assert [row["trade_date"] for row in athena.answer("ticker_last_sessions")] == days[:20]


def test_the_volume_of_a_session_is_split_by_market(athena: Athena) -> None:
    one: dict[str, Any] = {
        "volume": Decimal("210.00"),
        "cash_volume": Decimal(100),
        "odd_lot_volume": Decimal(50),
        "forward_volume": Decimal(30),
        "call_volume": Decimal(20),
        "put_volume": Decimal(9),
        "other_volume": Decimal(1),
    }
    athena.add(
        _row("OLD3", SECOND, volume=Decimal(5), cash_volume=Decimal(5)),
        _row("ONE3", **one),
        _row("TWO3", volume=Decimal("190.50"), cash_volume=Decimal("190.50")),
    )

    rows = athena.answer("volume_by_market")

    assert [(row["market"], row["volume"], row["share_of_session_percent"]) for row in rows] == [
        ("Cash", Decimal("290.50"), Decimal("72.53")),  # of 400.50
        ("Odd lot", Decimal(50), Decimal("12.48")),
        ("Forward", Decimal(30), Decimal("7.49")),
        ("Calls", Decimal(20), Decimal("4.99")),
        ("Puts", Decimal(9), Decimal("2.25")),
        ("Other", Decimal(1), Decimal("0.25")),
    ]


def test_sectors_add_up_weights_and_volumes_of_the_index(athena: Athena) -> None:
    portfolio: dict[str, Any] = {"portfolio_date": LAST - dt.timedelta(days=4), "portfolio_age_days": 4}
    athena.add(
        _row("BANK4", SECOND, index_weight=Decimal("99.000"), sector="Financeiro", **portfolio),
        _row("BANK3", index_weight=Decimal("20.125"), sector="Financeiro", volume=Decimal(300), **portfolio),
        _row("BANK4", index_weight=Decimal("30.875"), sector="Financeiro", volume=Decimal(400), **portfolio),
        _row("MINE3", index_weight=Decimal("49.000"), sector=None, volume=Decimal(100), **portfolio),
        _row("SMALL3", volume=Decimal(7_777)),  # not in the index
    )

    rows = athena.answer("sector_weights")

    assert [
        (
            row["sector"],
            row["stocks"],
            row["index_weight_percent"],
            row["volume"],
            row["share_of_index_volume_percent"],
        )
        for row in rows
    ] == [
        ("Financeiro", 2, Decimal("51.000"), Decimal(700), Decimal("87.50")),
        ("(none given)", 1, Decimal("49.000"), Decimal(100), Decimal("12.50")),
    ]
    assert {(row["portfolio_date"], row["portfolio_age_days"]) for row in rows} == {(dt.date(2024, 3, 28), 4)}


def _sessions(count: int) -> list[dt.date]:
    """The exchange's last sessions up to `LAST`, oldest first."""
    return sessions_between(LAST - dt.timedelta(days=2 * count + 5), LAST)[-count:]


def test_a_stock_below_the_floor_is_neither_gainer_nor_loser(athena: Athena) -> None:
    athena.add(
        _row("BIG3", open=Decimal(8), cash_volume=Decimal(1_000_000)),
        _row("SMALL3", open=Decimal(8), cash_volume=Decimal("999999.99")),
    )

    assert [row["ticker"] for row in athena.answer("top_gainers_and_losers")] == ["BIG3"]


def test_a_ticker_s_session_is_its_row(athena: Athena) -> None:
    athena.add(
        _row("MANY3", volume=Decimal(2_000)), _row("LESS3", close=Decimal("7.5"), put_call_ratio=0.126)
    )

    (row,) = athena.answer("ticker_session", ON_LAST, "'LESS3'")
    assert (row["ticker"], row["close"], row["put_call_ratio"]) == ("LESS3", Decimal("7.5"), Decimal("0.13"))
    (row,) = athena.answer("ticker_session")
    assert row["ticker"] == "MANY3"


def test_a_session_of_the_past_is_that_session_or_the_last_before_it(athena: Athena) -> None:
    athena.add(_row("ONE3", FIRST), _row("TWO3", SECOND), _row("THREE3"))

    # LAST is a Monday; no session is on the days before it
    assert athena.answer("most_traded", f"DATE '{SECOND}'")[0]["ticker"] == "TWO3"
    assert athena.answer("most_traded", "DATE '2024-03-30'") == []
    assert athena.answer("session_overview", "DATE '2024-03-30'", KINDS)[0]["trade_date"] == SECOND
    assert athena.answer("session_overview", "DATE '2024-03-01'", KINDS) == []


def test_breadth_counts_what_rose_and_fell_and_leaves_out_what_cannot_be_compared(athena: Athena) -> None:
    athena.add(
        *(_row(ticker, SECOND) for ticker in ("RISE3", "GAIN3", "FALL3", "SAME3")),
        _without_cash("FIRST3", SECOND, volume=Decimal(1000)),
        _row("RISE3", close=Decimal("10.01"), cash_volume=Decimal(300)),
        _row("GAIN3", close=Decimal("12"), cash_volume=Decimal("200.50")),
        _row("FALL3", close=Decimal("9.99"), cash_volume=Decimal(70)),
        _row("SAME3"),
        _row("FIRST3"),  # it has no close before
        _without_cash("ODDS3", volume=Decimal(500), call_volume=Decimal(100), put_volume=Decimal(50)),
    )

    (row,) = athena.answer("session_overview")

    assert (row["stocks"], row["advances"], row["declines"], row["unchanged"]) == (6, 2, 1, 1)
    assert row["not_comparable"] == 2
    assert row["advance_decline_ratio"] == 2.0
    assert row["advancing_cash_volume"] == Decimal("500.50")
    assert row["declining_cash_volume"] == Decimal(70)
    assert row["volume"] == Decimal(5_500)
    assert row["volume_change_percent"] == Decimal("10.00")  # 5,500 after 5,000
    assert row["put_call_ratio"] == 0.5


def test_the_first_session_of_all_has_no_breadth(athena: Athena) -> None:
    athena.add(_row("ONE3"), _row("TWO3"))

    (row,) = athena.answer("session_overview")

    assert (row["advances"], row["declines"], row["not_comparable"]) == (0, 0, 2)
    assert row["advance_decline_ratio"] is None
    assert row["volume_change_percent"] is None
    assert row["put_call_ratio"] is None


def test_an_average_is_of_sessions_with_a_close_and_null_until_there_are_enough(athena: Athena) -> None:
    days = _sessions(22)
    closes = {day: Decimal(number) for number, day in enumerate(days, 1)}
    athena.add(*(_row("ONE3", day, close=close) for day, close in closes.items() if day != days[19]))
    athena.add(_without_cash("ONE3", days[19]), _row("ELSE3", volume=Decimal(1)))

    rows = athena.answer("ticker_averages", ON_LAST, "'ONE3'")

    assert len(rows) == 21
    newest, *_, oldest = rows
    # The 20th session had no close: 22, 21, 19, 18, 17
    assert (newest["trade_date"], newest["average_5"]) == (LAST, Decimal("19.4"))
    assert newest["average_20"] == Decimal("11.6")  # 232 of 2..22 without 20: 252 - 20 = 232
    assert newest["average_200"] is None
    assert oldest["average_5"] is None


def test_volatility_is_that_of_the_daily_log_returns_of_21_sessions(athena: Athena) -> None:
    days = _sessions(22)
    # Up and down by the same log return, so that the mean is one return in 21
    athena.add(*(_row("SWING3", day, close=Decimal(10 + number % 2)) for number, day in enumerate(days)))
    athena.add(*(_row("CALM3", day) for day in days))
    athena.add(*(_row("LATE3", day) for day in days[1:]))  # only twenty returns

    rows = athena.answer("returns_and_volatility", ON_LAST, KINDS, "0")

    # r = ln(1.1), 11 times up and 10 times down: mean r/21, variance (21 - 1/21) r^2 / 20
    swing, calm = rows
    assert (swing["ticker"], swing["return_percent"]) == ("SWING3", 10.0)
    assert float(swing["annualised_volatility_percent"]) == pytest.approx(
        100 * 0.0953101798 * ((21 - 1 / 21) / 20 * 252) ** 0.5, abs=0.01
    )
    assert (calm["ticker"], calm["annualised_volatility_percent"]) == ("CALM3", 0.0)


def test_highs_and_lows_are_of_52_weeks_and_no_more(athena: Athena) -> None:
    long_ago, just_inside = LAST - dt.timedelta(days=364), LAST - dt.timedelta(days=363)
    athena.add(
        _row("HIGH3", long_ago, high=Decimal(99)),
        _row("HIGH3", just_inside, high=Decimal(20), low=Decimal(1)),
        _row("LOW3", just_inside, high=Decimal(50)),
        _row("MID3", just_inside, high=Decimal(50), low=Decimal(1)),
    )
    athena.add(
        _row("HIGH3", high=Decimal(20), close=Decimal(19)),
        _row("LOW3", low=Decimal(10), close=Decimal("10.20")),
        _row("MID3", high=Decimal(25), close=Decimal(25)),
        _without_cash("ODDS3"),
    )

    rows = athena.answer("highs_and_lows_52_weeks", ON_LAST, KINDS, "0", "5")

    high, low = rows
    assert (high["near"], high["ticker"], high["high_52_weeks"]) == ("high", "HIGH3", Decimal(20))
    assert (high["below_high_percent"], high["date_of_high"]) == (5.0, LAST)  # the later of two
    assert high["sessions_traded"] == 2
    assert (low["near"], low["ticker"], low["above_low_percent"]) == ("low", "LOW3", 2.0)


def test_the_put_call_ratio_is_null_without_calls(athena: Athena) -> None:
    calls: dict[str, Any] = {"option_series": 2, "call_volume": Decimal(300), "put_volume": Decimal(100)}
    athena.add(
        _row("CALL3", **calls, put_call_ratio=1 / 3),
        _row("PUTS3", option_series=1, put_volume=Decimal(200)),
        _row("NONE3"),
    )

    rows = athena.answer("put_call_by_ticker", ON_LAST, "0")

    assert [(row["ticker"], row["put_call_ratio"], row["share_of_premiums_percent"]) for row in rows] == [
        ("CALL3", Decimal("0.33"), Decimal("66.67")),
        ("PUTS3", None, Decimal("33.33")),
    ]
    assert {row["market_put_call_ratio"] for row in rows} == {1.0}
    assert [row["ticker"] for row in athena.answer("put_call_by_ticker", ON_LAST, "201")] == ["CALL3"]


def test_the_market_s_put_call_ratio_is_null_in_a_session_without_calls(athena: Athena) -> None:
    athena.add(
        _row("ONE3", SECOND),
        _row("ONE3", option_series=3, call_volume=Decimal(40), put_volume=Decimal(10)),
        _row("TWO3", option_series=1, call_volume=Decimal(10), put_volume=Decimal(90)),
    )

    newest, before = athena.answer("put_call_market")

    assert (newest["put_call_ratio"], newest["option_series"], newest["stocks_with_options"]) == (2.0, 4, 2)
    assert newest["share_of_volume_percent"] == Decimal("7.50")  # 150 of 2,000
    assert (before["put_call_ratio"], before["share_of_volume_percent"]) == (None, Decimal(0))


def test_expiries_are_listed_from_the_nearest_up_to_the_days_that_are_asked_for(athena: Athena) -> None:
    def options(ticker: str, days: int, call_volume: int = 1) -> dict[str, Any]:
        expiry = LAST + dt.timedelta(days=days)
        volume = Decimal(call_volume)
        return _row(ticker, option_series=1, next_expiry=expiry, days_to_expiry=days, call_volume=volume)

    athena.add(options("LATER3", 30), options("TODAY3", 0), options("BEYOND3", 31), options("BIG3", 30, 9))
    athena.add(_row("NONE3"))

    rows = athena.answer("option_expiries")

    assert [row["ticker"] for row in rows] == ["TODAY3", "BIG3", "LATER3"]
    assert len(athena.answer("option_expiries", ON_LAST, "31")) == 4


def test_the_odd_lot_share_is_of_cash_and_odd_lots(athena: Athena) -> None:
    athena.add(
        _row("HALF3", cash_volume=Decimal(100), odd_lot_volume=Decimal(100), call_volume=Decimal(9_999)),
        _row("TENTH3", cash_volume=Decimal(900), odd_lot_volume=Decimal(100)),
        _without_cash("IBOV", volume=Decimal(5_000)),  # options alone
    )

    rows = athena.answer("odd_lot_share", ON_LAST, "0")

    assert [(row["ticker"], row["odd_lot_share_percent"]) for row in rows] == [
        ("HALF3", Decimal("50.00")),
        ("TENTH3", Decimal("10.00")),
    ]
    assert {row["market_odd_lot_share_percent"] for row in rows} == {Decimal("16.67")}  # 200 of 1,200


def test_contributions_are_weight_times_change_and_add_up(athena: Athena) -> None:
    athena.add(*(_row(ticker, SECOND) for ticker in ("HEAVY3", "LIGHT3", "ELSE3")))
    athena.add(
        _row("HEAVY3", close=Decimal("9.5"), index_weight=Decimal("60.000")),
        _row("LIGHT3", close=Decimal("11"), index_weight=Decimal("39.000")),
        _row("NEW3", close=Decimal("99"), index_weight=Decimal("1.000")),  # no close before
        _row("ELSE3", close=Decimal("99")),
    )

    rows = athena.answer("index_contribution")

    assert [(row["ticker"], row["change_percent"], row["contribution_points"]) for row in rows] == [
        ("LIGHT3", Decimal("10.00"), Decimal("3.9")),
        ("HEAVY3", Decimal("-5.00"), Decimal("-3.0")),
        ("NEW3", None, None),
    ]
    assert {row["contributions_points"] for row in rows} == {Decimal("0.9")}
    assert {(row["index_change_percent"], row["difference_points"]) for row in rows} == {(None, None)}


def test_contributions_stand_beside_what_the_index_itself_did(athena: Athena) -> None:
    athena.add(*(_row(ticker, SECOND) for ticker in ("UP3", "GONE3")), _row("UP3", close=Decimal(11)))
    athena.add_members(LAST, UP3="40.000", GONE3="60.000")
    athena.add_members(LAST, "SMLL", UP3="100.000")
    athena.add_levels(D20240328="100.00", D20240401="104.50", D20240402="1.00")
    athena.add_levels("SMLL", D20240328="50.00", D20240401="55.00*")

    up, gone = athena.answer("index_contribution")
    assert (up["ticker"], up["contribution_points"]) == ("UP3", Decimal("4.0"))
    # What did not trade in the session contributes nothing that is known
    assert (gone["ticker"], gone["index_weight_percent"], gone["contribution_points"]) == ("GONE3", 60, None)
    assert {
        (row["contributions_points"], row["index_change_percent"], row["difference_points"])
        for row in (up, gone)
    } == {(Decimal("4.0"), Decimal("4.5"), Decimal("-0.5"))}

    (small,) = athena.answer("index_contribution", ON_LAST, index="'SMLL'")
    assert (small["index_code"], small["contributions_points"]) == ("SMLL", Decimal(10))
    assert small["index_change_percent"] is None  # of a new base


def test_an_index_moves_by_its_own_closes_and_not_across_a_gap_or_a_new_base(athena: Athena) -> None:
    athena.add(_row("ANY3", SECOND), _row("ANY3"))
    athena.add_levels(D20240327="90.00", D20240328="100.00", D20240401="98.50")
    athena.add_levels("SMLL", D20240327="10.00", D20240401="20.00")  # nothing of the session before
    athena.add_levels("IDIV", D20240328="100.00", D20240401="10.00*")

    rows = athena.answer("index_moves", ON_LAST)

    assert [(row["index_code"], row["change_points"], row["change_percent"]) for row in rows] == [
        ("IBOV", Decimal("-1.50"), Decimal("-1.50")),
        ("IDIV", None, None),
        ("SMLL", None, None),
    ]
    assert [row["note"] for row in rows] == [None, NEW_BASE, None]
    assert {(row["trade_date"], row["previous_session"]) for row in rows} == {(LAST, SECOND)}
    assert athena.answer("index_moves", f"DATE '{LAST + dt.timedelta(days=9)}'") == rows


def test_who_entered_and_left_an_index_is_told_between_two_sessions(athena: Athena) -> None:
    athena.add_members(FIRST, STAY3="50.000", LEAVE3="30.000", OTHER4="20.000")
    athena.add_members(SECOND, BRIEF3="100.000")  # in between: of no matter
    athena.add_members(LAST, STAY3="60.000", ENTER3="40.000")
    athena.add_members(LAST, "SMLL", NEW3="100.000")

    span = f"DATE '{FIRST}'", ON_LAST
    rows = athena.answer("index_changes", *span)
    names = ("change", "ticker", "weight_before_percent", "weight_after_percent")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("entered", "ENTER3", None, Decimal("40.000")),
        ("left", "LEAVE3", Decimal("30.000"), None),
        ("left", "OTHER4", Decimal("20.000"), None),
    ]
    assert {(row["members_before"], row["members_after"]) for row in rows} == {(3, 2)}
    assert {(row["first_session"], row["last_session"]) for row in rows} == {(FIRST, LAST)}
    # The first session has no portfolio of the one; there is none at all before the other
    assert athena.answer("index_changes", *span, index="'SMLL'") == []
    assert athena.answer("index_changes", "DATE '2024-01-02'", ON_LAST) == []


def test_the_concentration_of_an_index_is_that_of_its_weights(athena: Athena) -> None:
    athena.add_members(SECOND, ONE3="100.000")
    athena.add_members(LAST, A3="50.000", B3="30.000", C3="10.000", D3="5.000", E3="3.000", F3="2.000")
    athena.add_members(LAST, "SMLL", A3="50.000", B3="50.000")

    small, large = athena.answer("index_concentration", ON_LAST)

    assert (small["index_code"], small["members"], small["herfindahl_hirschman_index"]) == ("SMLL", 2, 5_000)
    assert (large["largest"], large["top_1_percent"], large["top_5_percent"]) == ("A3", 50, 98)
    assert (large["top_10_percent"], large["not_traded"]) == (100, 0)
    assert large["herfindahl_hirschman_index"] == 2_500 + 900 + 100 + 25 + 9 + 4
    assert large["effective_members"] == Decimal("2.83")  # 10,000 / 3,538


def test_a_stock_is_held_against_an_index_by_what_both_returned(athena: Athena) -> None:
    days = sessions_between(dt.date(2024, 1, 2), LAST)
    assert len(days) == 62
    # The stock goes twice the index's way, up 1 percent and down 1 percent in turn, and then 5 more
    index, stock = Decimal(1000), Decimal(100)
    levels, rows = {}, []
    for number, day in enumerate(days):
        if number:
            step = Decimal("0.01") if number % 2 else Decimal("-0.01")
            index, stock = index * (1 + step), stock * (1 + 2 * step)
        levels[f"D{day:%Y%m%d}"] = str(index.quantize(Decimal("0.01")))
        rows.append(_row("TWICE3", day, close=stock.quantize(Decimal("0.000001"))))
    athena.add(*rows, compact_only=True)
    athena.add_levels(**levels)

    short, long = athena.answer("stock_against_index", ON_LAST, "'TWICE3'")

    assert (short["sessions"], short["daily_returns"], short["last_session"]) == (60, 60, LAST)
    assert (short["first_session"], long["first_session"]) == (days[1], days[0])
    assert abs(short["beta"] - 2) < Decimal("0.001")
    assert short["correlation"] == Decimal("1.0000")
    # 30 rises and 30 falls since the close of the second session
    assert short["stock_return_percent"] == Decimal("-1.19")  # (1.02 * 0.98) ** 30 - 1
    assert short["index_return_percent"] == Decimal("-0.30")  # (1.01 * 0.99) ** 30 - 1
    assert short["relative_return_percent"] == Decimal("-0.90")  # 0.98807 / 0.99700 - 1
    # 61 returns are less than half of 250
    assert (long["daily_returns"], long["beta"], long["correlation"]) == (61, None, None)


def test_a_stock_is_not_held_against_an_index_across_what_is_not_proven(athena: Athena) -> None:
    athena.add(_row("EX3", FIRST), _row("EX3", SECOND, close=Decimal(5)), _row("EX3", close=Decimal(6)))
    athena.add_factors(
        ("BREX3", FIRST, FIRST, None, None, "split without a ratio"), ("BREX3", SECOND, LAST, 1, 1, None)
    )
    athena.add_levels(D20240327="10.00", D20240328="1.00*", D20240401="1.10")

    short, _ = athena.answer("stock_against_index", ON_LAST, "'EX3'")
    assert (short["stock_return_percent"], short["daily_returns"]) == (None, 1)
    assert (short["index_return_percent"], short["relative_return_percent"]) == (None, None)
    traded, _ = athena.answer("stock_against_index", ON_LAST, "'EX3'", prices="'traded'")
    assert (traded["stock_return_percent"], traded["index_return_percent"]) == (Decimal("-40.00"), None)


def test_concentration_is_of_each_session_by_itself(athena: Athena) -> None:
    athena.add(_row("ONE3", SECOND, volume=Decimal(7)))
    athena.add(_row("ONE3", volume=Decimal(60)), *(_row(f"T{n}3", volume=Decimal(10)) for n in range(4)))

    newest, before = athena.answer("volume_concentration")

    assert (newest["stocks"], newest["top_1_percent"], newest["top_5_percent"]) == (5, 60.0, 100.0)
    assert newest["herfindahl_hirschman_index"] == 60**2 + 4 * 10**2
    assert (before["top_1_percent"], before["herfindahl_hirschman_index"]) == (100.0, 10_000)


def test_a_gap_is_filled_if_the_session_trades_back_to_the_close_before(athena: Athena) -> None:
    athena.add(*(_row(ticker, SECOND) for ticker in ("UP3", "DOWN3", "KEEP3", "NONE3")))
    athena.add(
        _row("UP3", open=Decimal("10.5"), high=Decimal(11), low=Decimal(10)),
        _row("DOWN3", open=Decimal(9), high=Decimal("9.5"), low=Decimal(8)),
        _row("KEEP3", open=Decimal(12), high=Decimal(12), low=Decimal("10.01")),
        _row("NONE3"),
        _row("NEW3", open=Decimal(20)),
    )

    rows = athena.answer("opening_gaps", ON_LAST, KINDS, "0")

    assert [(row["ticker"], row["gap_percent"], row["filled"]) for row in rows] == [
        ("KEEP3", Decimal("20.00"), False),
        ("DOWN3", Decimal("-10.00"), False),
        ("UP3", Decimal("5.00"), True),
    ]


def test_volume_is_compared_with_an_average_in_which_sessions_without_trades_count(athena: Athena) -> None:
    athena.add(
        _row("RARE3", FIRST, cash_volume=Decimal(100)),
        _row("USUAL3", FIRST, cash_volume=Decimal(100)),
        _row("USUAL3", SECOND, cash_volume=Decimal(100)),
        _row("RARE3", cash_volume=Decimal(150)),
        _row("USUAL3", cash_volume=Decimal(150)),
        _row("NEW3", cash_volume=Decimal(9_999)),  # no average
    )

    rows = athena.answer("unusual_volume", ON_LAST, KINDS, "0")

    assert [(row["ticker"], row["average_cash_volume"], row["times_the_average"]) for row in rows] == [
        ("RARE3", Decimal(50), 3.0),
        ("USUAL3", Decimal(100), 1.5),
    ]


def test_stocks_that_did_not_trade_are_those_that_traded_before(athena: Athena) -> None:
    athena.add(
        _row("GONE3", FIRST, cash_volume=Decimal(70)),
        _row("STAYS3", SECOND),
        _without_cash("ODDS3", SECOND, odd_lot_volume=Decimal(5)),
        _without_cash("IBOV", SECOND, call_volume=Decimal(900)),
        _row("STAYS3"),
        _without_cash("ODDS3", odd_lot_volume=Decimal(8)),
        _without_cash("IBOV", call_volume=Decimal(900)),
        _without_cash("FIRST3", odd_lot_volume=Decimal(8)),  # never before
    )

    rows = athena.answer("stocks_without_trades")

    assert [(row["ticker"], row["last_cash_trade"], row["odd_lot_volume"]) for row in rows] == [
        ("GONE3", FIRST, Decimal(0)),
        ("ODDS3", None, Decimal(8)),
    ]
    assert (rows[0]["sessions_with_cash_trades"], rows[0]["cash_volume_before"]) == (1, Decimal(70))
    assert {row["trade_date"] for row in rows} == {LAST}


def test_a_sector_s_turnover_counts_the_stock_s_newest_sector_backwards(athena: Athena) -> None:
    athena.add(
        _row("BANK3", FIRST, volume=Decimal(100)),  # before any portfolio is known
        _row("BANK3", SECOND, volume=Decimal(300), sector="Financeiro"),
        _row("BANK3", volume=Decimal(200), sector="Financeiro"),
        _row("LEFT3", SECOND, volume=Decimal(0), sector="Financeiro"),
        _row("LEFT3", volume=Decimal(100)),  # out of the index since
        _row("SMALL3", volume=Decimal(100)),
    )

    rows = athena.answer("sector_turnover")

    assert [
        (row["sector"], row["stocks"], row["volume"], row["average_volume"], row["times_the_average"])
        for row in rows
    ] == [
        ("Financeiro", 2, Decimal(300), Decimal(200), 1.5),
        ("(outside the index)", 1, Decimal(100), None, None),
    ]
    assert [row["share_of_session_percent"] for row in rows] == [Decimal(75), Decimal(25)]


def test_data_quality_tells_what_differs_and_what_is_missing(athena: Athena) -> None:
    # Of the week before Easter of 2024, in which Friday the 29th is a holiday
    complete, differs, not_refined, missing, holiday, weekend = (
        dt.date(2024, 3, day) for day in (25, 26, 27, 28, 29, 30)
    )
    athena.add_raw(complete, "1.10", "2.20")
    athena.add(_row("ONE3", complete, volume=Decimal("3.30"), lines=2))
    athena.add_raw(differs, "1.10")
    athena.add(_row("ONE3", differs, volume=Decimal("1.11"), lines=1))
    athena.add_raw(not_refined, "5.00")
    athena.add(_row("ONE3", weekend), _row("TWO3", weekend, volume=Decimal(1), lines=1))
    athena.add_raw(weekend, "1001.00")
    athena.add_raw(LAST, "1.00")

    rows = athena.answer("data_quality", "DATE '2024-03-25'", "DATE '2024-03-31'")

    assert [(row["trade_date"], row["finding"]) for row in rows] == [
        (weekend, "differs"),  # two lines refined of one
        (missing, "missing"),
        (not_refined, "not refined"),
        (differs, "differs"),
        (complete, "complete"),
    ]
    assert holiday not in {row["trade_date"] for row in rows}
    assert [row["volume_difference"] for row in rows[-2:]] == [Decimal("0.01"), Decimal(0)]
    assert (rows[-1]["raw_lines"], rows[-1]["lines"], rows[-1]["stocks"]) == (2, 2, 1)


def test_data_quality_tells_of_how_many_lines_b3_has_revised(athena: Athena) -> None:
    as_it_was, revised = dt.date(2024, 3, 25), dt.date(2024, 3, 26)
    for day in (as_it_was, revised):
        athena.add_raw(day, "1.10", "2.20")
        athena.add(_row("ONE3", day, volume=Decimal("3.30"), lines=2))
    athena.add_revised(revised, "daily", "annual", "annual")

    rows = athena.answer("data_quality", f"DATE '{as_it_was}'", f"DATE '{revised}'")

    assert [(row["trade_date"], row["finding"], row["revised_lines"]) for row in rows] == [
        (revised, "complete", 3),
        (as_it_was, "complete", 0),
    ]
    assert {(row["raw_lines"], row["lines"], row["stocks"]) for row in rows} == {(2, 2, 1)}


def test_data_quality_tells_how_far_contributions_are_from_the_index_and_why(athena: Athena) -> None:
    days = sessions_between(dt.date(2024, 3, 18), dt.date(2024, 3, 25))
    # On the second day the sum is exact; on the third half of the weight does not trade; on the fourth it has
    # no close before; on the fifth the portfolio is old; on the sixth the index itself has a new base
    members: list[dict[str, str]] = [
        {"A3": "10", "B3": "10"},
        {"A3": "11", "B3": "10"},
        {"A3": "11"},
        {"A3": "11", "B3": "10", "C3": "5"},
        {"A3": "11", "B3": "10", "C3": "5"},
        {"A3": "11", "B3": "10"},
    ]
    for day, closes in zip(days, members, strict=True):
        weights = {"A3": "50", "B3": "50"} if "C3" not in closes else {"A3": "50", "B3": "30", "C3": "20"}
        for ticker, close in closes.items():
            age = {"portfolio_age_days": 7 if day == days[4] else 0}
            weight = {"index_weight": Decimal(weights[ticker])}
            athena.add(_row(ticker, day, close=Decimal(close), **weight, **age))
    athena.add_levels(
        **{
            f"D{day:%Y%m%d}": level
            for day, level in zip(days, ("100", "105", "106", "107", "108", "9*"), strict=True)
        }
    )

    rows = athena.answer("data_quality", f"DATE '{days[0]}'", f"DATE '{days[-1]}'")

    found = [(row["index_difference_basis_points"], row["index_difference_reason"]) for row in rows[::-1]]
    assert found == [
        (None, None),
        (Decimal("0.00"), None),  # half of 10 percent, and the index rose by 5
        (Decimal("-95.24"), "50.000% of the weight not traded; "),  # 106 / 105
        # C3 is new, and B3 did not trade the day before; 107 / 106
        (Decimal("-94.34"), "50.000% of the weight without a proven close before; "),
        (Decimal("-93.46"), "portfolio 7 days old; "),  # 108 / 107
        (None, None),
    ]


def test_data_quality_expects_the_sessions_of_the_calendar(athena: Athena) -> None:
    rows = athena.answer("data_quality", "DATE '2026-01-01'", "DATE '2026-12-31'")

    expected = sessions_between(dt.date(2026, 1, 1), dt.date(2026, 12, 31))
    assert [row["trade_date"] for row in reversed(rows)] == expected
    assert {row["finding"] for row in rows} == {"missing"}


def _output_names_in_expressions(sql: str) -> list[str]:
    """Where a name could be a column of a SELECT's sources or of its output, which engines read differently.

    Trino takes a name in an expression of ORDER BY for the output column, DuckDB for the source's; in GROUP
    BY and HAVING it is the other way round for some. With its table in front it is the source's everywhere.
    """
    found = []
    for select in _tree(sql).find_all(exp.Select):
        renamed = {
            each.alias: each.this.sql()
            for each in select.expressions
            if isinstance(each, exp.Alias)
            and not (isinstance(each.this, exp.Column) and each.this.name == each.alias)
        }
        terms = [select.args.get(name) for name in ("having", "qualify")]
        for name in ("order", "group"):
            clause = select.args.get(name)
            for term in clause.expressions if clause else []:
                bare = term.this if isinstance(term, exp.Ordered) else term
                terms += [] if isinstance(bare, exp.Column) else [term]
        for term in filter(None, terms):
            for column in term.find_all(exp.Column):
                if not column.table and column.name in renamed and column.parent_select is select:
                    found.append(f"{term.sql()}: {column.name} is also {renamed[column.name]}")
    return found


@each_query
def test_a_name_in_an_expression_of_order_by_is_not_a_column_that_the_query_renames(
    query: NamedQuery,
) -> None:
    assert _output_names_in_expressions(query.sql) == []


@pytest.mark.parametrize(
    "clause", ["ORDER BY abs(gap) DESC", "GROUP BY coalesce(gap, 0)", "GROUP BY gap HAVING max(gap) > 1"]
)
def test_a_name_that_engines_read_differently_is_found(clause: str) -> None:
    sql = f"SELECT CAST(gap AS decimal(9, 2)) AS gap FROM gaps {clause}"  # noqa: S608 - ours
    assert len(_output_names_in_expressions(sql)) == 1
    assert (
        _output_names_in_expressions(sql.replace("(gap)", "(gaps.gap)").replace("(gap, ", "(gaps.gap, "))
        == []
    )


def _between_subqueries(sql: str) -> list[str]:
    """Spans that Trino 435 and 476 cut off at their upper end alone, so that every older file is read."""
    return [each.sql() for each in _tree(sql).find_all(exp.Between) if each.find(exp.Select)]


@each_query
def test_a_span_is_not_between_subqueries(query: NamedQuery) -> None:
    assert _between_subqueries(query.sql) == []


def test_a_span_between_subqueries_is_found() -> None:
    saved = QUERIES["data_quality"].sql
    span = re.search(
        r"trade_date >= /\* first_date \*/ (.*)\n +AND trade_date <= /\* last_date \*/ (.*)\n", saved
    )
    assert span is not None
    text = saved.replace(span[0], f"trade_date BETWEEN {span[1]} AND {span[2]}\n")
    assert len(_between_subqueries(text)) == 1


LONG_AGO, NOW = dt.date(2021, 3, 26), dt.date(2023, 1, 17)
"""Two sessions between which the exchange had many."""
MISSING = len(sessions_between(LONG_AGO, NOW)) - 2
DAY_BEFORE = dt.date(2023, 1, 16)
ON_NOW = f"DATE '{NOW}'"


@pytest.fixture
def with_gap(athena: Athena) -> Athena:
    """A stock that is at 5.5 times its close of two years before, and nothing in the lake between."""
    portfolio: dict[str, Any] = {"index_weight": Decimal("50.000"), "portfolio_age_days": 0}
    athena.add(_row("JUMP3", LONG_AGO, close=Decimal(10), cash_volume=Decimal(10)))
    athena.add(_row("JUMP3", NOW, open=Decimal(54), close=Decimal(55), high=Decimal(55), **portfolio))
    return athena


def test_no_change_reaches_across_sessions_that_the_lake_lacks(with_gap: Athena) -> None:
    (overview,) = with_gap.answer("session_overview")
    assert (overview["advances"], overview["declines"], overview["not_comparable"]) == (0, 0, 1)
    assert overview["volume_change_percent"] is None
    (gainer,) = with_gap.answer("top_gainers_and_losers", ON_NOW, KINDS, "0")
    assert (gainer["change_percent"], gainer["reference_price"]) == (Decimal("1.85"), Decimal(54))  # 55 / 54
    assert gainer["reference"] == "open: previous session not in the lake"
    (gap,) = with_gap.answer("opening_gaps", ON_NOW, KINDS, "0")
    assert (gap["ticker"], gap["gap_percent"], gap["previous_close"], gap["filled"]) == (
        "JUMP3",
        None,
        None,
        None,
    )
    (contribution,) = with_gap.answer("index_contribution")
    assert (contribution["change_percent"], contribution["contribution_points"]) == (None, None)
    assert contribution["contributions_points"] is None
    for row in (overview, gainer, gap, contribution):
        assert (row["previous_session"], row["missing_sessions"]) == (DAY_BEFORE, MISSING)


def test_a_ticker_s_sessions_show_where_some_are_missing_and_no_change_across(athena: Athena) -> None:
    before, missing, then, last = (dt.date(2023, 1, day) for day in (12, 13, 16, 17))
    athena.add(
        _row("ONE3", before, close=Decimal(10)),
        _row("ONE3", then, close=Decimal(20)),
        _row("ONE3", last, close=Decimal(21)),
    )

    rows = athena.answer("ticker_last_sessions")

    assert missing not in {row["trade_date"] for row in rows}
    assert [(row["change_percent"], row["reference_date"], row["missing_sessions"]) for row in rows] == [
        (Decimal("5.00"), then, 0),
        (None, before, 1),
        (None, None, None),
    ]


def test_a_stock_without_trades_in_the_previous_session_changes_against_its_last_close(
    athena: Athena,
) -> None:
    athena.add(_row("RARE3", FIRST, close=Decimal(8)), _without_cash("RARE3", SECOND), _row("RARE3"))
    athena.add(_row("ELSE3", SECOND, volume=Decimal(1)))

    newest, *_ = athena.answer("ticker_last_sessions", ON_LAST, "'RARE3'")

    assert (newest["change_percent"], newest["reference_date"]) == (Decimal("25.00"), FIRST)


def test_windows_are_of_the_exchange_s_sessions_and_tell_how_many_are_missing(with_gap: Athena) -> None:
    (row,) = with_gap.answer("unusual_volume", ON_NOW, KINDS, "0")
    assert (row["average_cash_volume"], row["times_the_average"], row["missing_sessions"]) == (None, None, 20)
    assert with_gap.answer("sector_turnover")[0]["missing_sessions"] == 20
    year = sessions_between(NOW - dt.timedelta(days=363), NOW)
    assert [row["trade_date"] for row in with_gap.answer("ticker_last_sessions")] == [NOW]
    assert [row["trade_date"] for row in with_gap.answer("put_call_market")] == [NOW]
    assert [row["trade_date"] for row in with_gap.answer("volume_concentration")] == [NOW]
    (high,) = with_gap.answer("highs_and_lows_52_weeks", ON_NOW, KINDS, "0", "5")
    assert (high["sessions_traded"], high["missing_sessions"]) == (1, len(year) - 1)

    three = dt.date(2023, 1, 12)  # the 13th and the 16th are missing
    with_gap.add(_row("JUMP3", three, cash_volume=Decimal(10), low=Decimal(50)))
    (row,) = with_gap.answer("unusual_volume", ON_NOW, KINDS, "0")
    assert (row["average_cash_volume"], row["missing_sessions"]) == (Decimal(10), 19)
    assert with_gap.answer("put_call_market")[0]["missing_sessions"] == 2
    assert with_gap.answer("volume_concentration")[0]["missing_sessions"] == 2
    assert with_gap.answer("sector_turnover")[0]["missing_sessions"] == 19
    (high,) = with_gap.answer("highs_and_lows_52_weeks", ON_NOW, KINDS, "0", "5")
    assert (high["sessions_traded"], high["missing_sessions"]) == (2, len(year) - 2)


def test_a_return_is_daily_only_between_consecutive_sessions(athena: Athena) -> None:
    days = _sessions(22)
    gone = days[10]
    athena.add(
        *(_row("SWING3", day, close=Decimal(10 + n % 2)) for n, day in enumerate(days) if day != gone),
    )

    (row,) = athena.answer("returns_and_volatility", ON_LAST, KINDS, "0")

    # 21 returns of +-ln(1.1), but for those to and from the session that is missing
    assert (row["daily_returns"], row["missing_sessions"], row["first_session"]) == (19, 1, days[0])
    returns = [0.0953101798 * (1 if n % 2 else -1) for n in range(1, 22) if n not in {10, 11}]
    mean = sum(returns) / 19
    deviation = (sum((each - mean) ** 2 for each in returns) / 18) ** 0.5
    assert float(row["annualised_volatility_percent"]) == pytest.approx(100 * deviation * 252**0.5, abs=0.01)


def test_an_average_says_how_many_of_its_sessions_are_missing(athena: Athena) -> None:
    days = _sessions(8)
    athena.add(*(_row("ONE3", day) for day in days if day not in days[3:5]))

    rows = athena.answer("ticker_averages", ON_LAST, "'ONE3'")

    assert [row["missing_5"] for row in rows] == [2, 2, None, None, None, None]


def test_before_the_calendar_the_previous_session_is_the_lake_s(athena: Athena) -> None:
    first, last = dt.date(1999, 3, 26), dt.date(2001, 1, 17)
    athena.add(_row("OLD3", first), _row("OLD3", last, close=Decimal(11)))

    (gainer,) = athena.answer("top_gainers_and_losers", f"DATE '{last}'", KINDS, "0")

    assert (gainer["change_percent"], gainer["reference"]) == (Decimal("10.00"), "previous close")
    assert gainer["previous_session"] == first  # its date stands beside it


def test_nothing_is_compared_across_the_change_of_the_currency(athena: Athena) -> None:
    crr, brl = dt.date(1994, 7, 1), dt.date(1994, 7, 4)
    assert brl == FIRST_IN_BRL
    athena.add(
        _row("OLD3", dt.date(1994, 6, 30), currency="CRR thousand", close=Decimal(27), high=Decimal(28))
    )
    athena.add(_row("OLD3", crr, currency="CRR thousand", close=Decimal("27.50"), high=Decimal(28)))
    athena.add(_row("OLD3", brl, close=Decimal(10)))

    on_crr, on_brl = f"DATE '{crr}'", f"DATE '{brl}'"
    (before,) = athena.answer("session_overview", on_crr, KINDS)
    assert (before["currency"], before["advances"], before["volume_change_percent"]) == ("CRR thousand", 1, 0)
    (overview,) = athena.answer("session_overview", on_brl, KINDS)
    assert (overview["currency"], overview["advances"], overview["declines"]) == ("BRL", 0, 0)
    assert (overview["volume_change_percent"], overview["previous_session"]) == (None, crr)
    assert [row["change_percent"] for row in athena.answer("ticker_last_sessions", on_brl, "'OLD3'")] == [
        None
    ]
    (high,) = athena.answer("highs_and_lows_52_weeks", on_brl, KINDS, "0", "5")
    assert (high["high_52_weeks"], high["currency"]) == (Decimal(10), "BRL")


def _output(query: NamedQuery) -> list[exp.Expr]:
    """The columns of a query's answer."""
    return list(_tree(query.sql).expressions)


def test_a_currency_is_named_wherever_there_is_an_amount() -> None:
    for stem, query in QUERIES.items():
        names = [column.alias_or_name for column in _output(query)]
        assert not [name for name in names if "brl" in name], stem
        amounts = {"volume", "close", "cash_volume", "average_cash_volume", "cash_volume_before"}
        assert not amounts & set(names) or "currency" in names, stem


def test_shares_and_units_are_counted_unless_others_are_asked_for(athena: Athena) -> None:
    kinds = {"SHAR3": "share", "UNIT11": "unit", "FUND11": "fund", "BDRS34": "bdr", "OTHER1": "other"}
    athena.add(*(_row(ticker, SECOND, security_type=kind) for ticker, kind in kinds.items()))
    athena.add(
        *(
            _row(ticker, security_type=kind, open=Decimal(11), high=Decimal(12), close=Decimal(12))
            for ticker, kind in kinds.items()
        )
    )

    (overview,) = athena.answer("session_overview")
    assert (overview["stocks"], overview["advances"], overview["not_comparable"]) == (2, 2, 0)
    assert overview["volume"] == Decimal(5_000)  # of all papers
    (overview,) = athena.answer("session_overview", ON_LAST, "'fund,bdr,  etf'")
    assert (overview["stocks"], overview["advances"]) == (2, 2)
    for stem in ("top_gainers_and_losers", "opening_gaps", "unusual_volume"):
        default = athena.answer(stem, ON_LAST, KINDS, "0")
        assert {row["ticker"]: row["security_type"] for row in default} == {
            "SHAR3": "share",
            "UNIT11": "unit",
        }
        assert [row["ticker"] for row in athena.answer(stem, ON_LAST, "'fund'", "0")] == ["FUND11"]
    highs = athena.answer("highs_and_lows_52_weeks", ON_LAST, "'bdr, other'", "0", "5")
    assert [row["ticker"] for row in highs] == ["BDRS34", "OTHER1"]


@pytest.mark.parametrize(
    "stem",
    [
        *("session_overview", "top_gainers_and_losers", "opening_gaps", "unusual_volume"),
        *("highs_and_lows_52_weeks", "returns_and_volatility"),
    ],
)
def test_a_query_of_stocks_says_that_it_takes_shares_and_units(stem: str) -> None:
    (kinds,) = (each for each in QUERIES[stem].parameters if each.name == "security_types")
    assert kinds.default == KINDS
    assert "hares and units" in QUERIES[stem].question.en
    assert "ações e units" in QUERIES[stem].question.pt


def test_trades_that_are_not_known_are_counted_and_not_added_up(athena: Athena) -> None:
    athena.add(_row("ONE3", trades=7), _row("TWO3", trades=None))

    (row,) = athena.answer("session_overview")

    assert (row["trades"], row["rows_without_trades"]) == (7, 1)


def test_a_ratio_has_two_decimals(athena: Athena) -> None:
    athena.add(
        _row("ONE3", call_volume=Decimal(4), put_volume=Decimal(2), put_call_ratio=0.5, option_series=1)
    )

    ratios = [
        athena.answer(stem)[0]["put_call_ratio"]
        for stem in ("session_overview", "most_traded", "put_call_market", "ticker_session")
    ]
    ratios.append(athena.answer("put_call_by_ticker", ON_LAST, "0")[0]["market_put_call_ratio"])
    assert [str(ratio) for ratio in ratios] == ["0.50"] * 5


@each_query
def test_no_column_is_a_rounded_double(query: NamedQuery) -> None:
    """Of which 0.50 would print as 0.5, and 3600 as 3600.0."""
    assert [column.sql() for column in _output(query) if isinstance(column.unalias(), exp.Round)] == []


def test_data_quality_tells_of_trades_that_are_not_known_or_in_doubt(athena: Athena) -> None:
    days = [dt.date(2024, 3, day) for day in (18, 19, 20, 21, 22)]
    # 120,000 trades of 1,000 BRL each, of which B3 counts 20,000 on the last day
    for day, trades in zip(days, (120_000, 119_000, 121_000, 120_500, 20_000), strict=True):
        athena.add(_row("BUSY4", day, volume=Decimal(120_000_000), trades=trades))
        # So many blocks that a trade is ten times as large: 100,000 more would not be its size
        athena.add(
            _row("BLOCK3", day, volume=Decimal(1_000_000) * (10 if day == days[-1] else 1), trades=500)
        )
        athena.add(_row("NULL3", day, trades=None if day == days[0] else 3))

    rows = athena.answer("data_quality", "DATE '2024-03-18'", "DATE '2024-03-22'")

    assert [(row["doubtful_trades"], row["without_trades"]) for row in rows] == [
        *((1, 0), (0, 0), (0, 0), (0, 0)),
        (0, 1),
    ]


def _event(ticker: str, ex_date: dt.date | None = LAST, **values: Any) -> dict[str, Any]:
    """A proven dividend of 0.50 BRL on a close of 10.00, unless said otherwise."""
    return {
        "isin": f"BR{ticker}",
        "ticker": ticker,
        "ex_date": ex_date,
        "kind": "dividend",
        "label": "DIVIDENDO",
        "amount": Decimal("0.5"),
        "close_before": Decimal(10),
        "status": "proven",
        **values,
    }


def _unexplained(ticker: str, ex_date: dt.date) -> dict[str, Any]:
    values = {"kind": "unknown", "label": None, "amount": None, "status": "unexplained", "reason": "it rose"}
    return _event(ticker, ex_date, **values)


def test_what_went_ex_is_told_with_the_rises_that_are_still_unexplained(athena: Athena) -> None:
    days = sessions_between(dt.date(2024, 3, 1), LAST)  # Good Friday is none
    assert len(days) == 21
    athena.add(*(_row("EVRY3", day) for day in days))
    athena.add_events(
        _event("PAYS3"),
        _event(
            "SPIN3", kind="spin_off", label="CIS RED CAP", amount=None, status="unsized", reason="no ratio"
        ),
        _event("OLDP3", SECOND),  # explained, and of another session
        _event("COME3", None, status="unconfirmed"),
        _unexplained("LATE3", days[-12]),
        _unexplained("TENS3", days[-11]),
        _unexplained("GONE3", days[0]),
    )

    rows = athena.answer("ex_events", ON_LAST, "18")

    told = [
        (row["ticker"], row["sessions_ago"], row["is_overdue"], row["status"], row["reason"]) for row in rows
    ]
    assert told == [
        ("PAYS3", 0, False, "proven", None),
        ("SPIN3", 0, False, "unsized", "no ratio"),
        ("TENS3", 10, False, "unexplained", "it rose"),
        ("LATE3", 11, True, "unexplained", "it rose"),
    ]
    assert [row["percent_of_close"] for row in rows] == [Decimal("5.00"), None, None, None]  # 0.50 of 10
    assert [row["ticker"] for row in athena.answer("ex_events", f"DATE '{SECOND}'", "0")] == ["OLDP3"]


def test_a_paper_s_events_come_newest_first_and_under_each_of_its_tickers(athena: Athena) -> None:
    athena.add(_row("NEWT3", isin="BRPAPER"), _row("ELSE3", isin="BRELSE3"))
    athena.add_events(
        _event("OLDT3", FIRST, isin="BRPAPER", kind="split", amount=None, ratio=Decimal(2)),
        _event("OLDT3", LAST, isin="BRPAPER", kind="interest"),
        _event("OLDT3", None, isin="BRPAPER", status="unconfirmed"),
        _event("ELSE3", SECOND),
    )

    of_new, of_old = (athena.answer("paper_events", f"'{ticker}'") for ticker in ("NEWT3", "OLDT3"))

    assert [(row["ex_date"], row["kind"]) for row in of_new] == [
        (None, "dividend"),
        (LAST, "interest"),
        (FIRST, "split"),
    ]
    assert of_new == of_old
    assert athena.answer("paper_events", "'NONE3'") == []


def test_total_return_tells_price_shares_and_distributions_apart(athena: Athena) -> None:
    athena.add(
        # Two for one, and 1.00 on 20.00 before it: factors of 0.5, and of 0.5 x 0.95
        _row("BOTH3", FIRST, isin="BRBOTH", close=Decimal(20)),
        _row("BOTH3", isin="BRBOTH", close=Decimal("10.45")),
        _row("OLDN3", FIRST, isin="BRNAME", close=Decimal(10)),
        _row("NEWN3", isin="BRNAME", close=Decimal("10.90")),
        _row("HALF3", FIRST, isin="BRHALF"),
        _row("HALF3", isin="BRHALF", close=Decimal(12)),
        _row("ENDS3", FIRST, isin="BRENDS"),
        _row("ENDS3", isin="BRENDS", close=Decimal(5)),
        _row("LATE3", isin="BRLATE"),
        _row("FUND11", FIRST, isin="BRFUND", security_type="fund"),
        _row("FUND11", isin="BRFUND", security_type="fund"),
    )
    athena.add_factors(
        ("BRBOTH", FIRST, SECOND, 0.5, 0.475, None),
        ("BRBOTH", LAST, LAST, 1, 1, None),
        ("BRNAME", FIRST, LAST, 1, 1, None),
        ("BRHALF", FIRST, SECOND, 1, None, "no close before"),
        ("BRHALF", LAST, LAST, 1, 1, None),
        ("BRENDS", FIRST, SECOND, None, None, "no event"),
        ("BRENDS", LAST, LAST, 1, 1, None),
        ("BRLATE", LAST, LAST, 1, 1, None),
    )

    rows = athena.answer("total_return", f"DATE '{FIRST}'", ON_LAST, KINDS, "0")

    names = ("price", "adjusted", "total")
    assert [(row["ticker"], *(row[f"{name}_return_percent"] for name in names)) for row in rows] == [
        ("BOTH3", Decimal("-47.75"), Decimal("4.50"), Decimal("10.00")),  # 10.45 of 20, of 10, of 9.50
        ("NEWN3", Decimal("9.00"), Decimal("9.00"), Decimal("9.00")),
        ("ENDS3", Decimal("-50.00"), None, None),
        ("HALF3", Decimal("20.00"), Decimal("20.00"), None),
        ("LATE3", None, None, None),
    ]
    assert [row["from_distributions_points"] for row in rows[:3]] == [Decimal("5.50"), Decimal(0), None]
    assert [row["reason"] for row in rows] == [
        None,
        None,
        "no event",
        "no close before",
        "no close of this ISIN in the first session",
    ]
    assert {(row["first_session"], row["trade_date"]) for row in rows} == {(FIRST, LAST)}


def test_a_yield_is_of_proven_cash_in_shares_of_the_session(athena: Athena) -> None:
    begin, then, early = dt.date(2023, 3, 31), dt.date(2023, 9, 1), dt.date(2023, 9, 4)
    athena.add(
        _row("EVRY3", begin, isin="BREVRY"),
        *(_row(ticker, isin=f"BR{ticker}") for ticker in ("PAYS3", "NONE3", "ENDS3", "SAME3")),
    )
    athena.add_factors(
        # Two for one on LAST; of the 1.00 of before it, 0.50 is for a share of after
        ("BRPAYS3", begin, then, 0.5, 0.4, None),
        ("BRPAYS3", early, SECOND, 0.5, 0.475, None),
        ("BRPAYS3", LAST, LAST, 1, 1, None),
        ("BRNONE3", begin, LAST, 1, 1, None),
        ("BRENDS3", begin, then, None, None, "no event"),
        ("BRENDS3", early, LAST, 1, 1, None),
        ("BRSAME3", begin, SECOND, 0.5, 0.475, None),
        ("BRSAME3", LAST, LAST, 1, 1, None),
    )
    a_year_before = dt.date(2023, 4, 1)
    athena.add_events(
        _event("PAYS3", early, amount=Decimal(1)),
        _event("PAYS3", LAST, kind="split", amount=None, ratio=Decimal(2)),
        _event("PAYS3", early, kind="subscription", amount=Decimal(3)),
        _event("PAYS3", early, status="unconfirmed", amount=Decimal(4)),
        _event("NONE3", a_year_before, amount=Decimal(5)),  # no longer of these months
        _event("SAME3", LAST, kind="interest", amount=Decimal("0.40")),  # on the date of the split
        _event("SAME3", LAST, kind="split", amount=None, ratio=Decimal(2)),
        _event("ENDS3", LAST, amount=Decimal(1)),
    )

    rows = athena.answer("dividend_yield", ON_LAST, KINDS, "0")

    names = ("ticker", "payments", "cash_per_share", "dividend_yield_percent", "reason")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("PAYS3", 1, Decimal("0.5"), Decimal(5), None),  # of a close of 10.00
        ("SAME3", 1, Decimal("0.2"), Decimal(2), None),
        ("NONE3", 0, Decimal(0), Decimal(0), None),
        ("ENDS3", 1, None, None, "no event"),
    ]
    assert {row["since"] for row in rows} == {a_year_before}


def test_there_is_no_yield_of_months_that_the_lake_does_not_have(athena: Athena) -> None:
    athena.add(_row("PAYS3", FIRST, isin="BRPAYS3"), _row("PAYS3", isin="BRPAYS3"))
    athena.add_factors(("BRPAYS3", FIRST, LAST, 1, 1, None))

    (row,) = athena.answer("dividend_yield", ON_LAST, KINDS, "0")

    assert (row["dividend_yield_percent"], row["reason"]) == (None, "the lake begins later than these months")


@pytest.fixture
def ex_day(athena: Athena) -> Athena:
    """On LAST, SPLT3 is split two for one, DIVD3 goes ex 1.00 of 20.00, and what BRKN3 lost nobody knows."""
    before = {"close": Decimal(20), "open": Decimal(20), "high": Decimal(21), "low": Decimal(19)}
    half = {"close": Decimal(10), "open": Decimal(10), "high": Decimal("10.50"), "low": Decimal("9.50")}
    less = {"close": Decimal("19.38"), "open": Decimal("19.38"), "high": Decimal(20), "low": Decimal("19.38")}
    for ticker, after in (("SPLT3", half), ("DIVD3", less), ("BRKN3", half)):
        for day in (FIRST, SECOND):
            athena.add(_row(ticker, day, **before))
        athena.add(_row(ticker, LAST, index_weight=Decimal(30), portfolio_age_days=0, **after))
    athena.add_factors(
        ("BRSPLT3", FIRST, SECOND, 0.5, 0.5, None),
        ("BRSPLT3", LAST, LAST, 1, 1, None),
        ("BRDIVD3", FIRST, SECOND, 1, 0.95, None),
        ("BRDIVD3", LAST, LAST, 1, 1, None),
        ("BRBRKN3", FIRST, SECOND, None, None, "no event"),
        ("BRBRKN3", LAST, LAST, 1, 1, None),
    )
    return athena


each_kind_of_prices = pytest.mark.parametrize(
    ("prices", "splt", "divd", "brkn"),
    [
        ("'total_return'", "0.00", "2.00", None),  # 19.38 of 19.00
        ("'adjusted'", "0.00", "-3.10", None),  # 19.38 of 20.00
        ("'traded'", "-50.00", "-3.10", "-50.00"),
    ],
)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


@each_kind_of_prices
def test_a_change_of_the_day_is_of_the_prices_that_are_asked_for(
    ex_day: Athena, prices: str, splt: str, divd: str, brkn: str | None
) -> None:
    wanted = {"SPLT3": _decimal(splt), "DIVD3": _decimal(divd), "BRKN3": _decimal(brkn)}

    contributions = ex_day.answer("index_contribution", ON_LAST, prices=prices)
    assert {row["ticker"]: row["change_percent"] for row in contributions} == wanted
    of_all = sum(Decimal("0.30") * (change or 0) for change in wanted.values())
    assert contributions[0]["contributions_points"] == of_all

    for ticker, change in wanted.items():
        newest, *_ = ex_day.answer("ticker_last_sessions", ON_LAST, f"'{ticker}'", prices=prices)
        assert newest["change_percent"] == change

    moved = ex_day.answer("top_gainers_and_losers", ON_LAST, KINDS, "0", prices=prices)
    compared = {row["ticker"]: row["change_percent"] for row in moved}
    assert compared == {ticker: change for ticker, change in wanted.items() if change}
    assert {row["reference"] for row in moved} == {"previous close"}

    (overview,) = ex_day.answer("session_overview", ON_LAST, KINDS, prices=prices)
    names = ("advances", "declines", "unchanged", "not_comparable")
    changes = [change for change in wanted.values() if change is not None]
    signs = [sum(1 for change in changes if is_so(change)) for is_so in (_up, _down, _same)]
    assert [overview[name] for name in names] == [*signs, len(wanted) - len(changes)]

    gaps = ex_day.answer("opening_gaps", ON_LAST, KINDS, "0", prices=prices)  # each opens as it closes
    assert {row["ticker"]: row["gap_percent"] for row in gaps} == compared


def _up(change: Decimal) -> bool:
    return change > 0


def _down(change: Decimal) -> bool:
    return change < 0


def _same(change: Decimal) -> bool:
    return change == 0


def test_across_an_event_that_is_not_proven_a_stock_moves_against_its_open(ex_day: Athena) -> None:
    ex_day.add(_row("BRKN4", SECOND, close=Decimal(20)), _row("BRKN4", LAST, open=Decimal(8)))
    ex_day.add_factors(
        ("BRBRKN4", SECOND, SECOND, None, None, "no event"), ("BRBRKN4", LAST, LAST, 1, 1, None)
    )

    (moved,) = [
        row
        for row in ex_day.answer("top_gainers_and_losers", ON_LAST, KINDS, "0")
        if row["ticker"] == "BRKN4"
    ]

    assert (moved["change_percent"], moved["reference_price"]) == (Decimal("25.00"), Decimal(8))
    assert moved["reference"] == "open: an event since the previous close is not proven"


def test_highs_and_lows_are_in_shares_of_the_session(ex_day: Athena) -> None:
    def high_and_low(prices: str) -> dict[str, tuple[Decimal, Decimal, int]]:
        rows = ex_day.answer("highs_and_lows_52_weeks", ON_LAST, KINDS, "0", "100", prices=prices)
        return {
            row["ticker"]: (row["high_52_weeks"], row["low_52_weeks"], row["sessions_traded"]) for row in rows
        }

    assert high_and_low("'adjusted'") == {
        "SPLT3": (Decimal("10.5"), Decimal("9.5"), 3),
        "DIVD3": (Decimal(21), Decimal(19), 3),
        "BRKN3": (Decimal("10.5"), Decimal("9.5"), 1),  # since the event that is not proven
    }
    assert high_and_low("'total_return'")["DIVD3"] == (Decimal(20), Decimal("18.05"), 3)
    assert high_and_low("'traded'")["SPLT3"] == (Decimal(21), Decimal("9.5"), 3)


def test_averages_are_in_shares_of_the_session_that_is_asked_for(athena: Athena) -> None:
    *before, last = _sessions(6)
    athena.add(
        *(_row("SPLT3", day, close=Decimal(20)) for day in before), _row("SPLT3", last, close=Decimal(11))
    )
    athena.add_factors(
        ("BRSPLT3", before[0], before[-1], 0.5, 0.5, None), ("BRSPLT3", last, last, 1, 1, None)
    )

    def averages(day: dt.date, prices: str) -> list[tuple[Any, ...]]:
        rows = athena.answer("ticker_averages", f"DATE '{day}'", "'SPLT3'", prices=prices)
        return [(row["close"], row["close_adjusted"], row["average_5"]) for row in rows[:2]]

    assert averages(last, "'adjusted'") == [
        (Decimal(11), Decimal(11), Decimal("10.2")),
        (Decimal(20), Decimal(10), Decimal(10)),
    ]
    assert averages(last, "'traded'")[0] == (Decimal(11), Decimal(11), Decimal("18.2"))
    # On the day before, it was not yet split
    assert averages(before[-1], "'adjusted'")[0] == (Decimal(20), Decimal(20), Decimal(20))


def test_no_average_reaches_across_an_event_that_is_not_proven(athena: Athena) -> None:
    *before, last = _sessions(6)
    athena.add(
        *(_row("BRKN3", day, close=Decimal(20)) for day in before), _row("BRKN3", last, close=Decimal(11))
    )
    athena.add_factors(
        ("BRBRKN3", before[0], before[-1], None, None, "no event"), ("BRBRKN3", last, last, 1, 1, None)
    )

    newest, before_it, *_ = athena.answer("ticker_averages", f"DATE '{last}'", "'BRKN3'")

    assert (newest["close_adjusted"], newest["average_5"], newest["missing_5"]) == (Decimal(11), None, None)
    assert (before_it["close"], before_it["close_adjusted"], before_it["average_5"]) == (
        Decimal(20),
        None,
        None,
    )


@pytest.mark.parametrize(
    ("prices", "change", "returns"),
    [("'total_return'", "0.00", 20), ("'adjusted'", "-5.00", 20), ("'traded'", "-52.50", 20)],
)
def test_a_return_over_sessions_is_of_the_prices_that_are_asked_for(
    athena: Athena, prices: str, change: str, returns: int
) -> None:
    """After ten sessions 1.00 of 20.00 is paid, and two for one is the split of that day."""
    days = _sessions(21)
    athena.add(*(_row("BOTH3", day, close=Decimal(20)) for day in days[:10]))
    athena.add(*(_row("BOTH3", day, close=Decimal("9.50")) for day in days[10:]))
    athena.add_factors(
        ("BRBOTH3", days[0], days[9], 0.5, 0.475, None), ("BRBOTH3", days[10], days[-1], 1, 1, None)
    )

    (row,) = athena.answer("returns_and_volatility", f"DATE '{days[-1]}'", KINDS, "0", prices=prices)

    assert (row["return_percent"], row["daily_returns"]) == (Decimal(change), returns)
    assert (row["annualised_volatility_percent"] == 0) == (prices == "'total_return'")


def test_no_return_reaches_across_an_event_that_is_not_proven(athena: Athena) -> None:
    days = _sessions(21)
    athena.add(
        *(_row("BRKN3", day) for day in days[:5]), *(_row("BRKN3", day, close=Decimal(5)) for day in days[5:])
    )
    athena.add_factors(
        ("BRBRKN3", days[0], days[4], None, None, "no event"), ("BRBRKN3", days[5], days[-1], 1, 1, None)
    )

    (row,) = athena.answer("returns_and_volatility", f"DATE '{days[-1]}'", KINDS, "0")

    assert (row["return_percent"], row["daily_returns"]) == (None, 19)  # 4 before, 15 after
    assert row["annualised_volatility_percent"] == 0


def test_what_breaks_a_series_later_leaves_the_returns_of_before(athena: Athena) -> None:
    """FIRST to SECOND can be compared, although nothing leads from there to LAST."""
    athena.add(
        _row("BRKN3", FIRST), _row("BRKN3", SECOND, close=Decimal(11)), _row("BRKN3", close=Decimal(3))
    )
    athena.add_factors(
        ("BRBRKN3", FIRST, SECOND, None, None, f"{LAST}: no event"), ("BRBRKN3", LAST, LAST, 1, 1, None)
    )

    def answer(last: dt.date) -> tuple[Any, ...]:
        (row,) = athena.answer("total_return", f"DATE '{FIRST}'", f"DATE '{last}'", KINDS, "0")
        return row["adjusted_return_percent"], row["total_return_percent"], row["reason"]

    assert answer(SECOND) == (Decimal(10), Decimal(10), None)
    assert answer(LAST) == (None, None, f"{LAST}: no event")
    (moved,) = athena.answer("top_gainers_and_losers", f"DATE '{SECOND}'", KINDS, "0")
    assert moved["change_percent"] == 10


def test_prices_that_nobody_knows_of_are_no_answer(ex_day: Athena) -> None:
    assert ex_day.answer("index_contribution", ON_LAST, prices="'adjust'") == []
