"""The named queries: Athena's dialect, partition filters, and their answers on rows worked out by hand.

The answers come from DuckDB, to which sqlglot translates Athena's SQL.
"""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from stacks.analytics import NAMED_QUERIES, NamedQuery

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
    "trade_date": "date",
    "ticker": "varchar",
}

WIDE, COMPACT = "bovespa_daily", "bovespa_daily_compact"

FIRST, SECOND, LAST = dt.date(2024, 3, 26), dt.date(2024, 3, 27), dt.date(2024, 4, 1)


def _read(path: Path) -> NamedQuery:
    return NamedQuery.read(path, refined_database="default", refined_table=WIDE, compact_table=COMPACT)


def _row(ticker: str, trade_date: dt.date = LAST, **values: Any) -> dict[str, Any]:
    """A stock that traded 1,000.00 BRL in the cash market at 10.00, unless said otherwise."""
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {
        "trade_date": trade_date,
        "ticker": ticker,
        "company": f"{ticker} SA",
        "trades": 1,
        "quantity": 100,
    }
    row |= dict.fromkeys(("open", "high", "low", "close"), Decimal("10.00"))
    row |= dict.fromkeys((name for name in COLUMNS if name.endswith("_volume")), Decimal(0))
    row |= {"volume": Decimal(1000), "cash_volume": Decimal(1000), "option_series": 0, "lines": 1}
    return row | values


class Athena:
    """The two refined tables, of given rows, and the named queries on them."""

    def __init__(self) -> None:
        self._connection = duckdb.connect()
        self._connection.execute('CREATE SCHEMA "default"')
        # The job writes the ticker into the files of the compact table, and there it comes first
        orders = {WIDE: list(COLUMNS), COMPACT: ["ticker", *(name for name in COLUMNS if name != "ticker")]}
        for table, names in orders.items():
            columns = ", ".join(f'"{name}" {COLUMNS[name]}' for name in names)
            self._connection.execute(f'CREATE TABLE "default"."{table}" ({columns})')

    def add(self, *rows: dict[str, Any], compact_only: bool = False) -> None:
        marks = ", ".join("?" * len(COLUMNS))
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        for table in (COMPACT,) if compact_only else (WIDE, COMPACT):
            self._connection.executemany(
                f'INSERT INTO "default"."{table}" ({names}) VALUES ({marks})',  # noqa: S608 - nothing of it from outside
                [[row[name] for name in COLUMNS] for row in rows],
            )

    def answer(self, stem: str, *, edit: tuple[str, str] | None = None) -> list[dict[str, Any]]:
        """Rows of a named query, after a person has replaced one text in it by another."""
        sql = _read(NAMED_QUERIES / f"{stem}.sql").sql
        if edit is not None:
            assert edit[0] in sql
            sql = sql.replace(*edit)
        (translated,) = sqlglot.transpile(sql, read="athena", write="duckdb")
        result = self._connection.execute(translated)
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


@pytest.fixture
def athena() -> Athena:
    return Athena()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_query_says_what_it_answers_in_both_languages(path: Path) -> None:
    query = _read(path)

    assert 10 < len(query.name) <= 128  # the limit of Athena
    assert query.description.startswith("EN: ")
    assert " PT: " in query.description
    assert len(query.description) <= 1024


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_reading_of_the_table_is_filtered_by_session(path: Path) -> None:
    readings = [*_readings(path, WIDE), *_readings(path, COMPACT)]

    assert readings
    for select in readings:
        assert _filter(select) is not None or _finds_a_session(select), select.sql()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_table_of_a_file_a_ticker_is_read_for_one_session_and_never_asked_which(path: Path) -> None:
    for select in _readings(path, WIDE):
        assert not _finds_a_session(select), select.sql()
        assert isinstance(_filter(select), exp.EQ), select.sql()


def test_the_table_of_a_file_a_ticker_is_in_use() -> None:
    assert [path.stem for path in FILES if _readings(path, WIDE)] == ["most_traded"]


@pytest.mark.parametrize("stem", ["ticker_last_sessions", "top_gainers_and_losers"])
def test_what_spans_sessions_reads_the_table_of_a_file_a_session_alone(stem: str) -> None:
    path = NAMED_QUERIES / f"{stem}.sql"

    assert _readings(path, COMPACT)
    assert _readings(path, WIDE) == []


def _readings(path: Path, table: str) -> list[exp.Select]:
    """The SELECTs of a query that read a table."""
    tree = sqlglot.parse_one(_read(path).sql, read="athena")
    selects = [each.find_ancestor(exp.Select) for each in tree.find_all(exp.Table) if each.name == table]
    return [select for select in selects if select is not None]


def _filter(select: exp.Select) -> exp.Expr | None:
    """What a SELECT demands of `trade_date`, if anything."""
    where = select.args.get("where")
    if where is None:
        return None
    demands = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    return next(
        (each for each in demands if isinstance(each.this, exp.Column) and each.this.name == "trade_date"),
        None,
    )


def _finds_a_session(select: exp.Select) -> bool:
    """Whether a SELECT can be answered from the partitions, as it looks at no column of a file."""
    return {column.name for column in select.find_all(exp.Column)} == {"trade_date"}


def test_a_file_without_title_or_description_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "query.sql"
    path.write_text("-- A title\nSELECT 1\n")

    with pytest.raises(ValueError, match=r"query\.sql: expected comment lines first"):
        _read(path)


def test_a_placeholder_that_nobody_fills_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "query.sql"
    path.write_text("-- A title\n-- EN: Why?\nSELECT 1 FROM ${raw_table}\n")

    with pytest.raises(KeyError, match="raw_table"):
        _read(path)


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

    rows = athena.answer("top_gainers_and_losers")

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

    rows = athena.answer("top_gainers_and_losers")

    assert [(row["ticker"], row["change_percent"], row["reference"]) for row in rows] == [
        ("BACK3", Decimal("25.00"), "open"),
        ("ODDS3", Decimal("-10.00"), "open"),
    ]


def test_only_the_first_ten_gainers_are_named_and_only_cash_trades_count(athena: Athena) -> None:
    athena.add(
        *(_row(f"UP{number:02}3", open=Decimal(100), close=Decimal(100 + number)) for number in range(1, 13))
    )
    athena.add(_row("ODDS3", open=Decimal(1), close=Decimal(99), cash_volume=Decimal(0)))

    rows = athena.answer("top_gainers_and_losers")

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

    assert [(row["ticker"], row["volume_brl"], row["share_of_session_percent"]) for row in rows] == [
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


def test_a_person_sets_the_ticker_of_the_last_sessions(athena: Athena) -> None:
    athena.add(_row("MANY3", volume=Decimal(2_000)), _row("LESS3"))

    rows = athena.answer("ticker_last_sessions", edit=("CAST(NULL AS varchar)", "'LESS3'"))

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

    assert [(row["market"], row["volume_brl"], row["share_of_session_percent"]) for row in rows] == [
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
            row["volume_brl"],
            row["share_of_index_volume_percent"],
        )
        for row in rows
    ] == [
        ("Financeiro", 2, Decimal("51.000"), Decimal(700), Decimal("87.50")),
        ("(none given)", 1, Decimal("49.000"), Decimal(100), Decimal("12.50")),
    ]
    assert {(row["portfolio_date"], row["portfolio_age_days"]) for row in rows} == {(dt.date(2024, 3, 28), 4)}
