"""The named queries: their headers, their dialect, and their answers on rows worked out by hand.

The answers come from DuckDB, to which sqlglot translates Athena's SQL. What they answer on a simulated
market, and which sessions they read, is in `tests/sandbox/test_named_queries.py`.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from scraper.calendar import sessions_between
from stacks.named_query import DEFAULTS, NAMED_QUERIES, NamedQuery, QueryFileError, Tables

FILES = sorted(NAMED_QUERIES.glob("*.sql"))

COLUMNS = {
    "isin": "varchar",
    "company": "varchar",
    "share_class": "varchar",
    "open": "decimal(18,6)",
    "high": "decimal(18,6)",
    "low": "decimal(18,6)",
    "close": "decimal(18,6)",
    "average_price": "decimal(18,6)",
    "best_bid": "decimal(18,6)",
    "best_ask": "decimal(18,6)",
    "trades": "bigint",
    "quantity": "bigint",
    "volume": "decimal(24,2)",
    "cash_volume": "decimal(24,2)",
    "odd_lot_volume": "decimal(24,2)",
    "forward_volume": "decimal(24,2)",
    "call_volume": "decimal(24,2)",
    "put_volume": "decimal(24,2)",
    "other_volume": "decimal(24,2)",
    "option_series": "int",
    "put_call_ratio": "double",
    "next_expiry": "date",
    "days_to_expiry": "int",
    "lines": "int",
    "index_weight": "decimal(9,3)",
    "sector": "varchar",
    "portfolio_date": "date",
    "portfolio_age_days": "int",
    "security_type": "varchar",
    "bulletin_code": "varchar",
    "currency": "varchar",
    "trade_date": "date",
    "ticker": "varchar",
}

WIDE, COMPACT = "bovespa_daily", "bovespa_daily_compact"
TABLES = Tables(refined_database="default", refined_table=WIDE, compact_table=COMPACT, raw_database="bovespa")
QUERIES = {path.stem: NamedQuery.read(path, TABLES) for path in FILES}

FIRST, SECOND, LAST = dt.date(2024, 3, 26), dt.date(2024, 3, 27), dt.date(2024, 4, 1)
ON_LAST = f"DATE '{LAST}'"

_TRINO = "https://trino.io/docs/current/functions"
FUNCTIONS = {
    "abs": f"{_TRINO}/math.html#abs",
    "avg": f"{_TRINO}/aggregate.html#avg",
    "cast": f"{_TRINO}/conversion.html#cast",
    "coalesce": f"{_TRINO}/conditional.html#coalesce",
    "count": f"{_TRINO}/aggregate.html#count",
    "day_of_week": f"{_TRINO}/datetime.html#day_of_week",
    "lag": f"{_TRINO}/window.html#lag",
    "last_value": f"{_TRINO}/window.html#last_value",
    "least": f"{_TRINO}/comparison.html#least",
    "ln": f"{_TRINO}/math.html#ln",
    "max": f"{_TRINO}/aggregate.html#max",
    "max_by": f"{_TRINO}/aggregate.html#max_by",
    "min": f"{_TRINO}/aggregate.html#min",
    "nullif": f"{_TRINO}/conditional.html#nullif",
    "round": f"{_TRINO}/math.html#round",
    "row_number": f"{_TRINO}/window.html#row_number",
    "sequence": f"{_TRINO}/array.html#sequence",
    "sqrt": f"{_TRINO}/math.html#sqrt",
    "stddev_samp": f"{_TRINO}/aggregate.html#stddev_samp",
    "sum": f"{_TRINO}/aggregate.html#sum",
}
"""The functions that the queries use, with the page of Trino's documentation on which each was found."""

_NO_FUNCTIONS = {"and", "as", "between", "from", "in", "or", "over", "select", "unnest", "values", "where"}
"""What else can stand before a bracket."""

MAX_BYTES = 262_144
"""Of a query's text, of a prepared statement's too:
https://docs.aws.amazon.com/athena/latest/APIReference/API_NamedQuery.html"""


def _row(ticker: str, trade_date: dt.date = LAST, **values: Any) -> dict[str, Any]:
    """A stock that traded 1,000.00 BRL in the cash market at 10.00, unless said otherwise."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "trade_date": trade_date,
        "ticker": ticker,
        "company": f"{ticker} SA",
        "trades": 1,
        "quantity": 100,
        "security_type": "share",
        "currency": "BRL",
    }
    row |= dict.fromkeys(("open", "high", "low", "close"), Decimal("10.00"))
    row |= dict.fromkeys((name for name in COLUMNS if name.endswith("_volume")), Decimal(0))
    row |= {"volume": Decimal(1000), "cash_volume": Decimal(1000), "option_series": 0, "lines": 1}
    return row | values


def _without_cash(ticker: str, trade_date: dt.date = LAST, **values: Any) -> dict[str, Any]:
    """A stock without a cash line: it has no prices."""
    prices = dict.fromkeys(("open", "high", "low", "close"))
    return _row(ticker, trade_date, **{**prices, "cash_volume": Decimal(0), **values})


class Athena:
    """The tables, of given rows, and the named queries on them."""

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        self._connection.execute('CREATE SCHEMA "default"')
        self._connection.execute('CREATE SCHEMA "bovespa"')
        # The job writes the ticker into the files of the compact table, and there it comes first
        orders = {WIDE: list(COLUMNS), COMPACT: ["ticker", *(name for name in COLUMNS if name != "ticker")]}
        for table, names in orders.items():
            columns = ", ".join(f'"{name}" {COLUMNS[name]}' for name in names)
            self._connection.execute(f'CREATE TABLE "default"."{table}" ({columns})')
        sessions = f'SELECT DISTINCT trade_date FROM "default"."{COMPACT}"'  # noqa: S608 - as below
        self._connection.execute(f'CREATE VIEW "default"."{COMPACT}$partitions" AS {sessions}')
        self._connection.execute('CREATE TABLE "bovespa"."cotahist" (voltot decimal(18,2), trade_date date)')

    def add(self, *rows: dict[str, Any], compact_only: bool = False) -> None:
        marks = ", ".join("?" * len(COLUMNS))
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        for table in (COMPACT,) if compact_only else (WIDE, COMPACT):
            self._connection.executemany(
                f'INSERT INTO "default"."{table}" ({names}) VALUES ({marks})',  # noqa: S608 - nothing of it from outside
                [[row[name] for name in COLUMNS] for row in rows],
            )

    def add_raw(self, trade_date: dt.date, *volumes: str) -> None:
        for volume in volumes:
            self._connection.execute(
                'INSERT INTO "bovespa"."cotahist" VALUES (?, ?)', [Decimal(volume), trade_date]
            )

    def answer(self, stem: str, *values: str) -> list[dict[str, Any]]:
        """Rows of a named query: as it is saved, or, with values, of its prepared statement."""
        sql = QUERIES[stem].sql
        if values:
            sql = QUERIES[stem].statement
            assert sql.count("?") == len(values)
            for value in values:
                sql = sql.replace("?", value, 1)
        (translated,) = sqlglot.transpile(sql, read="athena", write="duckdb")
        result = self._connection.execute(translated)
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@pytest.fixture
def athena() -> Athena:
    return Athena()


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
        assert parameter.default.strip("${}") in DEFAULTS or _is_number(parameter.default)


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+", text) is not None


@each_query
def test_a_text_is_one_that_athena_takes(query: NamedQuery) -> None:
    for text in (query.sql, query.statement):
        assert 0 < len(text.encode()) <= MAX_BYTES
        (tree,) = sqlglot.parse(text, read="athena")
        assert isinstance(tree, exp.Select)
    assert re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_@:]{1,256}", query.stem)


def test_every_function_is_one_that_trino_documents() -> None:
    used = set()
    for query in QUERIES.values():
        tokens = sqlglot.tokenize(query.sql, read="athena")
        tables = {name.name for name in sqlglot.parse_one(query.sql, read="athena").find_all(exp.TableAlias)}
        used |= {
            token.text.lower()
            for token, bracket in itertools.pairwise(tokens)
            if bracket.text == "(" and token.text.isidentifier()
            if token.text not in {*tables, "decimal"}
        }
    assert used - _NO_FUNCTIONS - {name.upper() for name in _NO_FUNCTIONS} == FUNCTIONS.keys()


@each_query
def test_a_prepared_statement_asks_for_each_parameter_once_and_in_a_where(query: NamedQuery) -> None:
    marks = list(sqlglot.parse_one(query.statement, read="athena").find_all(exp.Placeholder))
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
        for table in sqlglot.parse_one(query.statement, read="athena").find_all(exp.Table)
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
        NamedQuery.read(path, TABLES)
    assert "query.sql: " in str(refusal.value)


def test_a_placeholder_that_nobody_fills_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "query.sql"
    path.write_text(
        "-- A | B\n-- EN: Q?\n-- PT: P?\n-- Scans: a | b\n-- Needs sessions: 1\nSELECT 1 FROM ${raw_table}\n"
    )

    with pytest.raises(KeyError, match="raw_table"):
        NamedQuery.read(path, TABLES)


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

    rows = athena.answer("top_gainers_and_losers", ON_LAST, "0")

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

    rows = athena.answer("top_gainers_and_losers", ON_LAST, "0")

    assert [(row["ticker"], row["change_percent"], row["reference"]) for row in rows] == [
        ("BACK3", Decimal("25.00"), "open"),
        ("ODDS3", Decimal("-10.00"), "open"),
    ]


def test_only_the_first_ten_gainers_are_named_and_only_cash_trades_count(athena: Athena) -> None:
    athena.add(
        *(_row(f"UP{number:02}3", open=Decimal(100), close=Decimal(100 + number)) for number in range(1, 13))
    )
    athena.add(_row("ODDS3", open=Decimal(1), close=Decimal(99), cash_volume=Decimal(0)))

    rows = athena.answer("top_gainers_and_losers", ON_LAST, "0")

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
    assert rows[0]["put_call_ratio"] == 0.13
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
    """The last weekdays up to `LAST`, oldest first."""
    days = (LAST - dt.timedelta(days=number) for number in range(2 * count))
    return sorted([day for day in days if day.weekday() < 5][:count])


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
    assert (row["ticker"], row["close"], row["put_call_ratio"]) == ("LESS3", Decimal("7.5"), 0.13)
    (row,) = athena.answer("ticker_session")
    assert row["ticker"] == "MANY3"


def test_a_session_of_the_past_is_that_session_or_the_last_before_it(athena: Athena) -> None:
    athena.add(_row("ONE3", FIRST), _row("TWO3", SECOND), _row("THREE3"))

    # LAST is a Monday; no session is on the days before it
    assert athena.answer("most_traded", f"DATE '{SECOND}'")[0]["ticker"] == "TWO3"
    assert athena.answer("most_traded", "DATE '2024-03-30'") == []
    assert athena.answer("session_overview", "DATE '2024-03-30'")[0]["trade_date"] == SECOND
    assert athena.answer("session_overview", "DATE '2024-03-01'") == []


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

    rows = athena.answer("returns_and_volatility", ON_LAST, "0")

    # r = ln(1.1), 11 times up and 10 times down: mean r/21, variance (21 - 1/21) r^2 / 20
    swing, calm = rows
    assert (swing["ticker"], swing["return_percent"]) == ("SWING3", 10.0)
    assert swing["annualised_volatility_percent"] == pytest.approx(
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

    rows = athena.answer("highs_and_lows_52_weeks", ON_LAST, "0", "5")

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
        ("CALL3", 0.33, Decimal("66.67")),
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
    ]
    assert {row["index_change_percent"] for row in rows} == {Decimal("0.9")}


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

    rows = athena.answer("opening_gaps", ON_LAST, "0")

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

    rows = athena.answer("unusual_volume", ON_LAST, "0")

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


def test_data_quality_expects_the_sessions_of_the_calendar(athena: Athena) -> None:
    rows = athena.answer("data_quality", "DATE '2026-01-01'", "DATE '2026-12-31'")

    expected = sessions_between(dt.date(2026, 1, 1), dt.date(2026, 12, 31))
    assert [row["trade_date"] for row in reversed(rows)] == expected
    assert {row["finding"] for row in rows} == {"missing"}
