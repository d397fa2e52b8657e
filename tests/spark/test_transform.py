"""What a session's lines become: every column by hand, and the corners of B3's data."""

from datetime import date, timedelta
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from glue_scripts.refine import (
    COLUMNS,
    PARTITION_KEYS,
    PORTFOLIO_COLUMNS,
    QUOTE_COLUMNS,
    RefineError,
    reconcile,
    transform,
)
from sandbox.b3.formats import Quote
from scraper import schema
from tests.spark.conftest import Refine
from tests.spark.rows import SESSION, cash, odd_lot, option, portfolios_frame, quotes_frame

pytestmark = pytest.mark.xdist_group("spark")

D = Decimal


def test_every_column_is_as_the_table_says(refine: Refine) -> None:
    lines = [
        cash(
            nomres="SIMULADA",
            especi="ON  EDJ NM",
            preabe=D("1000.00"),
            premax=D("1100.10"),
            premin=D("990.05"),
            premed=D("1050.55"),
            preult=D("1040.01"),
            preofc=D("1040.00"),
            preofv=D("0.00"),
            totneg=7,
            quatot=5000,
            voltot=D("5252.75"),
            fatcot=1000,
        ),
        odd_lot(totneg=3, quatot=12, voltot=D("12.61"), fatcot=1000),
        Quote(codneg="ZZAA3T", tpmerc="030", prazot="030", totneg=1, quatot=100, voltot=D("105.06")),
        Quote(codneg="ZZAA3T", tpmerc="030", prazot="060", totneg=1, quatot=200, voltot=D("212.00")),
        option("ZZAAC10", totneg=4, quatot=800, voltot=D("400.00"), datven=date(2031, 4, 18)),
        option("ZZAAC12", totneg=2, quatot=100, voltot=D("100.00"), datven=date(2031, 3, 21)),
        option("ZZAAO10", "080", totneg=1, quatot=100, voltot=D("125.00"), datven=date(2031, 5, 16)),
        Quote(codneg="ZZAAC9E", tpmerc="012", totneg=1, quatot=10, voltot=D("9.00"), datven=SESSION),
        Quote(codneg="ZZAA3L", tpmerc="017", totneg=1, quatot=20, voltot=D("0.99")),
    ]

    rows = refine(lines, {date(2031, 3, 10): {"ZZAA3": ("12.345", "Financeiro / Seguros")}})

    assert rows == {
        "ZZAA3": {
            "isin": "BRZZAAACNOR0",
            "company": "SIMULADA",
            "share_class": "ON  EDJ NM",
            "open": D("1.000000"),
            "high": D("1.100100"),
            "low": D("0.990050"),
            "close": D("1.040010"),
            "average_price": D("1.050550"),
            "best_bid": D("1.040000"),
            "best_ask": None,
            "trades": 21,
            "quantity": 6342,
            "volume": D("6217.41"),
            "cash_volume": D("5252.75"),
            "odd_lot_volume": D("12.61"),
            "forward_volume": D("317.06"),
            "call_volume": D("500.00"),
            "put_volume": D("125.00"),
            "other_volume": D("9.99"),
            "option_series": 3,
            "put_call_ratio": 0.25,
            "next_expiry": date(2031, 3, 21),
            "days_to_expiry": 7,
            "lines": 9,
            "index_weight": D("12.345"),
            "sector": "Financeiro / Seguros",
            "portfolio_date": date(2031, 3, 10),
            "portfolio_age_days": 4,
            "trade_date": SESSION,
            "ticker": "ZZAA3",
        }
    }


def test_types_and_order_are_those_of_the_declared_schema(spark: SparkSession) -> None:
    refined = transform(quotes_frame(spark, {SESSION: [cash()]}), portfolios_frame(spark, {}))
    assert [(field.name, field.dataType.simpleString()) for field in refined.schema] == [
        (name, kind) for name, kind, _ in (*COLUMNS, *PARTITION_KEYS)
    ]


def test_the_raw_columns_that_the_job_relies_on_have_the_types_that_the_scraper_writes() -> None:
    quotes = {column.name: column.glue_type for column in schema.COTAHIST_COLUMNS}
    portfolio = {column.name: column.glue_type for column in schema.PORTFOLIO_COLUMNS}
    assert quotes.items() >= QUOTE_COLUMNS.items()
    assert portfolio.items() >= PORTFOLIO_COLUMNS.items()


class TestTicker:
    def test_the_cash_line_names_the_stock_however_small(self, refine: Refine) -> None:
        lines = [odd_lot(voltot=D("999.00")), option("ZZAAC10", voltot=D("9999.00")), cash(voltot=D("0.01"))]
        assert refine(lines)["ZZAA3"]["lines"] == 3

    def test_of_several_cash_lines_the_one_with_the_largest_volume_names_and_prices(
        self, refine: Refine
    ) -> None:
        lines = [
            cash("ZZAA3", voltot=D("1.00"), preult=D("1.11"), nomres="SMALL"),
            cash("ZZAA9", voltot=D("2.00"), preult=D("2.22"), nomres="LARGE"),
        ]
        row = refine(lines)["ZZAA9"]
        assert (row["close"], row["company"], row["cash_volume"]) == (D("2.220000"), "LARGE", D("3.00"))

    @pytest.mark.parametrize("order", [1, -1])
    def test_cash_lines_of_equal_volume_name_by_the_alphabet_in_any_order(
        self, refine: Refine, order: int
    ) -> None:
        lines = [cash("ZZAA9", voltot=D("1.00")), cash("ZZAA3", voltot=D("1.00"))][::order]
        assert list(refine(lines)) == ["ZZAA3"]

    def test_without_a_cash_line_it_is_the_odd_lots_less_its_final_f(self, refine: Refine) -> None:
        lines = [odd_lot("FZFF11F", nomres="ODD"), option("FZFFC10", voltot=D("99999.00"), nomres="OPTION")]
        assert refine(lines)["FZFF11"]["company"] == "ODD"

    def test_an_odd_lot_that_does_not_end_in_f_keeps_its_name(self, refine: Refine) -> None:
        assert list(refine([odd_lot("ZZAA3")])) == ["ZZAA3"]

    def test_without_both_it_is_the_first_four_letters_of_the_largest_line(self, refine: Refine) -> None:
        lines = [
            option("AAAAC10", voltot=D("1.00")),
            option("ZINDC100", voltot=D("5.00")),
            option("BBBBO10", "080", voltot=D("4.00")),
        ]
        assert list(refine(lines)) == ["ZIND"]

    def test_four_letters_that_end_in_a_blank_lose_it(self, refine: Refine) -> None:
        assert list(refine([option("ACE 2C")])) == ["ACE"]

    def test_blanks_within_a_ticker_stay(self, refine: Refine) -> None:
        assert list(refine([cash("ACE 2")])) == ["ACE 2"]

    def test_two_stocks_of_which_only_options_traded_share_the_row_of_their_four_letters(
        self, refine: Refine
    ) -> None:
        lines = [
            option("ZZAAC10", codisi="BRZZAAACNOR0", voltot=D("1.00")),
            option("ZZAAD20", codisi="BRZZAAACNPR7", voltot=D("2.00"), nomres="LARGER"),
        ]
        rows = refine(lines)
        assert list(rows) == ["ZZAA"]
        row = rows["ZZAA"]
        assert (row["isin"], row["company"], row["volume"], row["lines"], row["option_series"]) == (
            "BRZZAAACNPR7",
            "LARGER",
            D("3.00"),
            2,
            2,
        )

    def test_a_name_that_two_isins_share_is_one_row_of_the_cash_line(self, refine: Refine) -> None:
        lines = [
            odd_lot("ZZAA3F", codisi="BROLDISINXX1", voltot=D("500.00")),
            cash("ZZAA3", codisi="BRNEWISINXX2", voltot=D("1.00"), preult=D("7.00")),
        ]
        row = refine(lines)["ZZAA3"]
        assert (row["isin"], row["close"], row["volume"]) == ("BRNEWISINXX2", D("7.000000"), D("501.00"))

    @pytest.mark.parametrize("codisi", ["", "   ", None])
    def test_lines_without_an_isin_are_a_stock_for_each_name(
        self, refine: Refine, codisi: str | None
    ) -> None:
        lines = [
            cash("ACE 2", codisi=codisi, voltot=D("10.00")),
            odd_lot("ACE 2F", codisi=codisi, voltot=D("1.00")),
            cash("BBB 3", codisi=codisi, voltot=D("20.00")),
            option("OZZ 1", codisi=codisi, voltot=D("3.00")),
            option("OZZ 9", codisi=codisi, voltot=D("4.00")),
        ]
        rows = refine(lines)
        assert {ticker: (row["isin"], row["volume"]) for ticker, row in rows.items()} == {
            "ACE 2": (None, D("11.00")),
            "BBB 3": (None, D("20.00")),
            "OZZ": (None, D("7.00")),
        }

    def test_sessions_do_not_mix(self, refine: Refine) -> None:
        day, next_day = SESSION, SESSION + timedelta(days=1)
        rows = refine({day: [cash(voltot=D("1.00")), odd_lot(voltot=D("2.00"))], next_day: [odd_lot()]})
        assert {key: row["lines"] for key, row in rows.items()} == {(day, "ZZAA3"): 2, (next_day, "ZZAA3"): 1}


class TestPrices:
    PRICES = ("open", "high", "low", "close", "average_price", "best_bid", "best_ask")

    @pytest.mark.parametrize("line", [odd_lot(), option("ZZAAC10"), Quote(codneg="ZZAA3T", tpmerc="030")])
    def test_are_null_without_a_cash_line(self, refine: Refine, line: Quote) -> None:
        (row,) = refine([line]).values()
        assert [row[name] for name in self.PRICES] == [None] * 7

    @pytest.mark.parametrize(
        ("preult", "fatcot", "close"),
        [
            ("0.01", 1_000_000, "0.000000"),  # 0.00000001
            ("0.50", 1_000_000, "0.000001"),  # 0.0000005 exactly: half up
            ("0.49", 1_000_000, "0.000000"),
            ("1.00", 3, "0.333333"),
            ("2.00", 3, "0.666667"),
            ("99999999999.99", 1, "99999999999.990000"),  # the widest price of the layout
            ("99999999999.99", 9_999_999, "10000.001000"),
        ],
    )
    def test_are_rounded_once_and_half_up(self, refine: Refine, preult: str, fatcot: int, close: str) -> None:
        assert refine([cash(preult=D(preult), fatcot=fatcot)])["ZZAA3"]["close"] == D(close)

    def test_are_null_where_b3_gives_no_factor(self, refine: Refine) -> None:
        row = refine([cash(fatcot=0, voltot=D("5.00"))])["ZZAA3"]
        assert [row[name] for name in self.PRICES] == [None] * 7
        assert row["volume"] == D("5.00")


class TestOptions:
    def test_without_any_there_is_no_expiry_and_no_ratio(self, refine: Refine) -> None:
        row = refine([cash(datven=date(2031, 6, 1))])["ZZAA3"]
        assert (row["option_series"], row["next_expiry"], row["days_to_expiry"]) == (0, None, None)
        assert (row["put_call_ratio"], row["call_volume"], row["put_volume"]) == (None, D("0.00"), D("0.00"))

    def test_puts_alone_have_no_ratio_and_calls_alone_have_zero(self, refine: Refine) -> None:
        lines = [
            option("ZZAAO10", "080"),
            option("ZZBBC10", codisi="BRZZBBACNOR0"),
        ]
        rows = refine(lines)
        assert (rows["ZZAA"]["put_call_ratio"], rows["ZZBB"]["put_call_ratio"]) == (None, 0.0)

    def test_one_that_expires_today_is_zero_days_away(self, refine: Refine) -> None:
        row = refine([option("ZZAAC10", datven=SESSION), option("ZZAAC11")])["ZZAA"]
        assert (row["next_expiry"], row["days_to_expiry"]) == (SESSION, 0)

    def test_exercises_and_forwards_are_no_series_and_set_no_expiry(self, refine: Refine) -> None:
        lines = [
            option("ZZAAC10", datven=date(2031, 4, 18)),
            Quote(codneg="ZZAAC9E", tpmerc="012", datven=SESSION),
            Quote(codneg="ZZAAO9E", tpmerc="013", datven=SESSION),
            Quote(codneg="ZZAA3T", tpmerc="030", datven=date(2031, 3, 20)),
        ]
        row = refine(lines)["ZZAA"]
        assert (row["option_series"], row["next_expiry"], row["days_to_expiry"]) == (1, date(2031, 4, 18), 35)


class TestPortfolio:
    def test_is_the_newest_on_or_before_the_session_for_each_session_of_a_range(self, refine: Refine) -> None:
        portfolios = {
            date(2031, 3, 10): {"ZZAA3": ("1.000", "A")},
            date(2031, 3, 12): {"ZZAA3": ("2.000", "B")},
            date(2031, 3, 17): {"ZZAA3": ("3.000", "C")},
        }
        days = [date(2031, 3, day) for day in (7, 10, 11, 12, 14, 17)]

        rows = refine({day: [cash()] for day in days}, portfolios)

        found = [
            (row["portfolio_date"] and row["portfolio_date"].day, row["portfolio_age_days"], row["sector"])
            for row in (rows[day, "ZZAA3"] for day in days)
        ]
        assert found == [
            (None, None, None),
            (10, 0, "A"),
            (10, 1, "A"),
            (12, 0, "B"),
            (12, 2, "B"),
            (17, 0, "C"),
        ]

    def test_stands_on_every_row_but_weighs_only_its_members(self, refine: Refine) -> None:
        lines = [cash("ZZAA3"), cash("ZZBB4", codisi="BRZZBBACNPR0")]
        rows = refine(lines, {SESSION: {"ZZAA3": ("4.321", None)}})
        columns = ("index_weight", "sector", "portfolio_date", "portfolio_age_days")
        assert {ticker: [row[name] for name in columns] for ticker, row in rows.items()} == {
            "ZZAA3": [D("4.321"), None, SESSION, 0],
            "ZZBB4": [None, None, SESSION, 0],
        }

    def test_a_stock_that_has_left_the_index_is_outside(self, refine: Refine) -> None:
        portfolios = {
            date(2031, 3, 10): {"ZZAA3": ("50.000", "A"), "ZZBB4": ("50.000", "B")},
            date(2031, 3, 13): {"ZZBB4": ("100.000", "B")},
        }
        row = refine([cash()], portfolios)["ZZAA3"]
        assert (row["index_weight"], row["portfolio_date"]) == (None, date(2031, 3, 13))


class TestReconcile:
    def test_tells_what_each_session_adds_up_to(self, spark: SparkSession) -> None:
        next_day = SESSION + timedelta(days=1)
        quotes = quotes_frame(
            spark,
            {
                next_day: [cash(voltot=D("0.01"))],
                SESSION: [cash(voltot=D("1.10")), odd_lot(voltot=D("2.02"))],
            },
        )
        refined = transform(quotes, portfolios_frame(spark, {}))
        assert reconcile(quotes, refined) == [(SESSION, 2, 1, D("3.12")), (next_day, 1, 1, D("0.01"))]

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            ("volume + 0.01 AS volume", r"2031-03-14: volume: expected 3.00, found 3.02"),
            ("lines + 1 AS lines", r"2031-03-14: raw lines: expected 2, found 4"),
            ("'ZZAA3' AS ticker", r"rows with a ticker of their own: expected 2, found 1"),
            ("nullif(ticker, 'ZZAA3') AS ticker", r"rows with a ticker of their own: expected 2, found 1"),
            ("if(ticker = 'ZZAA3', '', ticker) AS ticker", r"a ticker of their own: expected 2, found 1"),
            ("put_volume + 1 AS put_volume", r"markets do not add up to their volume: expected 0, found 2"),
            ("date'2031-03-15' AS trade_date", r"2031-03-14: expected rows where there are quotes"),
        ],
    )
    def test_names_the_session_what_was_expected_and_what_was_found(
        self, spark: SparkSession, fault: str, message: str
    ) -> None:
        quotes = quotes_frame(
            spark, {SESSION: [cash(voltot=D("1.00")), cash("ZZBB4", codisi="BRZZBBACNPR0", voltot=D("2.00"))]}
        )
        refined = transform(quotes, portfolios_frame(spark, {}))
        changed = fault.rpartition(" AS ")[2]
        faulty = refined.selectExpr(*[fault if name == changed else name for name in refined.columns])
        with pytest.raises(RefineError, match=message):
            reconcile(quotes, faulty)

    def test_finds_a_row_that_a_portfolio_with_a_ticker_twice_would_double(self, spark: SparkSession) -> None:
        quotes = quotes_frame(spark, {SESSION: [cash(voltot=D("1.00"))]})
        once = portfolios_frame(spark, {SESSION: {"ZZAA3": ("50.000", "A")}})
        with pytest.raises(RefineError, match=r"volume: expected 1.00, found 2.00"):
            reconcile(quotes, transform(quotes, once.unionByName(once)))
