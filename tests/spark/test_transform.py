"""What a session's lines become: every column by hand, and the corners of B3's data."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession

from refinement.columns import COLUMNS, PARTITION_KEYS, PORTFOLIO_COLUMNS, QUOTE_COLUMNS
from refinement.errors import RefineError
from refinement.transform import collected, reconcile, transform
from sandbox.b3.formats import Quote
from sandbox.b3.market import SimulatedMarket
from scraper.b3.calendar import sessions_between
from scraper.b3.cotahist.layout import COTAHIST_COLUMNS
from scraper.b3.index_portfolio import layout
from tests.spark.conftest import Refine
from tests.spark.rows import (
    SESSION,
    cash,
    odd_lot,
    option,
    portfolios_frame,
    quotes_frame,
    repeating,
    sums_of,
)

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
            dismes=111,
        ),
        odd_lot(totneg=3, quatot=12, voltot=D("12.61"), fatcot=1000, dismes=112),
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
            "security_type": "share",
            "bulletin_code": "02",
            "currency": "BRL",
            "distribution_number": 111,
            "trade_date": SESSION,
            "ticker": "ZZAA3",
        }
    }


def test_types_and_order_are_those_of_the_declared_schema(spark: SparkSession) -> None:
    refined = transform(quotes_frame(spark, {SESSION: [cash()]}), portfolios_frame(spark, {}), (), ())
    assert [(field.name, field.dataType.simpleString()) for field in refined.schema] == [
        (name, kind) for name, kind, _ in (*COLUMNS, *PARTITION_KEYS)
    ]


def test_the_raw_columns_that_the_job_relies_on_have_the_types_that_the_scraper_writes() -> None:
    quotes = {column.name: column.glue_type for column in COTAHIST_COLUMNS}
    portfolio = {column.name: column.glue_type for column in layout.PORTFOLIO_COLUMNS}
    assert quotes.items() >= QUOTE_COLUMNS.items()
    assert portfolio.items() >= PORTFOLIO_COLUMNS.items()


PRICES = ("open", "high", "low", "close", "average_price", "best_bid", "best_ask")
NO_PRICES = dict.fromkeys(PRICES)

# What is traded in a session, and the rows that it makes: by ticker, the columns that the case is about
CASES: dict[str, tuple[list[Quote], dict[str, dict[str, Any]]]] = {
    "the cash line names the stock, however small": (
        [odd_lot(voltot=D("999.00")), option("ZZAAC10", voltot=D("9999.00")), cash(voltot=D("0.01"))],
        {"ZZAA3": {"lines": 3}},
    ),
    "of several cash lines the one with the largest volume names and prices": (
        [
            cash("ZZAA3", voltot=D("1.00"), preult=D("1.11"), nomres="SMALL"),
            cash("ZZAA9", voltot=D("2.00"), preult=D("2.22"), nomres="LARGE"),
        ],
        {"ZZAA9": {"close": D("2.220000"), "company": "LARGE", "cash_volume": D("3.00")}},
    ),
    "the distribution number is the cash line's alone": (
        [odd_lot(dismes=7), cash("ZZBB3", codisi="BRZZBBACNOR1", dismes=8)],
        {"ZZAA3": {"distribution_number": None}, "ZZBB3": {"distribution_number": 8}},
    ),
    "cash lines of equal volume name by the alphabet": (
        [cash("ZZAA3", voltot=D("1.00")), cash("ZZAA9", voltot=D("1.00"))],
        {"ZZAA3": {"lines": 2}},
    ),
    "and in any order": (
        [cash("ZZAA9", voltot=D("1.00")), cash("ZZAA3", voltot=D("1.00"))],
        {"ZZAA3": {"lines": 2}},
    ),
    "without a cash line the odd lot's name less its final F is the ticker": (
        [odd_lot("FZFF11F", nomres="ODD"), option("FZFFC10", voltot=D("99999.00"), nomres="OPTION")],
        {"FZFF11": {"company": "ODD"}},
    ),
    "an odd lot that does not end in F keeps its name": ([odd_lot("ZZAA3")], {"ZZAA3": {}}),
    "without both the first four letters of the largest line are the ticker": (
        [
            option("AAAAC10", voltot=D("1.00")),
            option("ZINDC100", voltot=D("5.00")),
            option("BBBBO10", "080", voltot=D("4.00")),
        ],
        {"ZIND": {"lines": 3}},
    ),
    "four letters that end in a blank lose it": ([option("ACE 2C")], {"ACE": {}}),
    "blanks within a ticker stay": ([cash("ACE 2")], {"ACE 2": {}}),
    **{
        f"a line of market {market} names by its ticker: {codneg} is {ticker}": (
            [
                Quote(codneg=codneg, tpmerc=market, voltot=D("1.00")),
                option("ZZZQC10", voltot=D("99999.00")),
            ],
            {ticker: {"lines": 2}},
        )
        for market, codneg, ticker in (
            ("030", "ZZZQ3T", "ZZZQ3"),
            ("017", "ZZZQ4L", "ZZZQ4"),
            ("021", "ZZZQ3Q", "ZZZQ3"),
            ("021", "ZZZQ11BL", "ZZZQ11"),
            (
                "030",
                "ZZZQ11BT",
                "ZZZQ11B",
            ),  # the ticker itself ends in B, as those of papers over the counter
            ("050", "ZZZQ3", "ZZZQ3"),
            ("030", "ACE 2T", "ACE 2"),
            ("060", "ZZZQ", "ZZZQ"),
        )
    },
    "an exercise names no better than an option": (
        [Quote(codneg="ZZZQC9E", tpmerc="012"), Quote(codneg="ZZZQO9E", tpmerc="013")],
        {"ZZZQ": {"lines": 2}},
    ),
    "two classes of a company that traded in auctions alone are two rows": (
        [
            Quote(codneg="ZZZQ3L", tpmerc="017", codisi="BRZZZQACNOR0", voltot=D("7000.00")),
            Quote(codneg="ZZZQ4L", tpmerc="017", codisi="BRZZZQACNPR7", voltot=D("3000.00")),
        ],
        {"ZZZQ3": {"volume": D("7000.00")}, "ZZZQ4": {"volume": D("3000.00")}},
    ),
    "stocks of which only options traded are told apart by their class": (
        [
            option("ZZAAC10", codisi="BRZZAAACNOR0", especi="ON  EDJ NM", voltot=D("1.00")),
            option("ZZAAD20", codisi="BRZZAAACNPR7", especi="PN      N1", voltot=D("2.00")),
            option("ZZAAE20", codisi="BRZZAAACNPB0", especi="PNB*", voltot=D("4.00")),
            option("ZZAAF20", codisi="BRZZAACDAM00", especi="UNT", voltot=D("8.00")),
            option("ZZBBC10", codisi="BRZZBBACNPR0", especi="PN"),
            cash("ZZBB3", codisi="BRZZBBACNOR0"),
        ],
        {
            "ZZAA3": {"volume": D("1.00")},
            "ZZAA4": {"volume": D("2.00")},
            "ZZAA6": {"volume": D("4.00")},
            "ZZAA11": {"volume": D("8.00")},
            "ZZBB": {"isin": "BRZZBBACNPR0"},  # nothing else goes by these four letters
            "ZZBB3": {"isin": "BRZZBBACNOR0"},
        },
    ),
    "two of one class, of which only options traded, share a row": (
        [
            option("ZZAAC10", codisi="BRZZAAACNOR0", voltot=D("1.00")),
            option("ZZAAD20", codisi="BRZZAAACNOR8", voltot=D("2.00"), nomres="LARGER"),
        ],
        {
            "ZZAA3": {
                "isin": "BRZZAAACNOR8",
                "company": "LARGER",
                "volume": D("3.00"),
                "lines": 2,
                "option_series": 2,
            }
        },
    ),
    "a name that two ISINs share is one row, of the cash line": (
        [
            odd_lot("ZZAA3F", codisi="BROLDISINXX1", voltot=D("500.00")),
            cash("ZZAA3", codisi="BRNEWISINXX2", voltot=D("1.00"), preult=D("7.00")),
        ],
        {"ZZAA3": {"isin": "BRNEWISINXX2", "close": D("7.000000"), "volume": D("501.00")}},
    ),
    **{
        f"lines whose ISIN is {codisi!r} are a stock for each name": (
            [
                cash("ACE 2", codisi=codisi, voltot=D("10.00")),
                odd_lot("ACE 2F", codisi=codisi, voltot=D("1.00")),
                cash("BBB 3", codisi=codisi, voltot=D("20.00")),
                option("OZZ 1", codisi=codisi, voltot=D("3.00")),
                option("OZZ 9", codisi=codisi, voltot=D("4.00")),
            ],
            {
                "ACE 2": {"isin": None, "volume": D("11.00")},
                "BBB 3": {"isin": None, "volume": D("20.00")},
                "OZZ": {"isin": None, "volume": D("7.00")},
            },
        )
        for codisi in ("", "   ", None)
    },
    "an odd lot alone has no cash price": ([odd_lot()], {"ZZAA3": NO_PRICES}),
    "an option's premium is no price of its stock": ([option("ZZAAC10")], {"ZZAA": NO_PRICES}),
    "a forward's price is no cash price": ([Quote(codneg="ZZAA3T", tpmerc="030")], {"ZZAA3": NO_PRICES}),
    "without a quotation factor there is no price": (
        [cash(fatcot=0, voltot=D("5.00"))],
        {"ZZAA3": {**NO_PRICES, "volume": D("5.00")}},
    ),
    **{
        f"{preult} for {fatcot} units is {close} for one": (
            [cash(preult=D(preult), fatcot=fatcot)],
            {"ZZAA3": {"close": D(close)}},
        )
        for preult, fatcot, close in (
            ("0.01", 1_000_000, "0.000000"),  # 0.00000001
            ("0.50", 1_000_000, "0.000001"),  # 0.0000005 exactly: half up
            ("0.49", 1_000_000, "0.000000"),
            ("1.00", 3, "0.333333"),
            ("2.00", 3, "0.666667"),
            ("99999999999.99", 1, "99999999999.990000"),  # the highest price that the layout can hold
            ("99999999999.99", 9_999_999, "10000.001000"),
        )
    },
    "without options there is no expiry and no ratio": (
        [cash(datven=date(2031, 6, 1))],
        {
            "ZZAA3": {
                "option_series": 0,
                "next_expiry": None,
                "days_to_expiry": None,
                "put_call_ratio": None,
                "call_volume": D("0.00"),
                "put_volume": D("0.00"),
            }
        },
    ),
    "puts alone have no ratio, calls alone have zero": (
        [option("ZZAAO10", "080"), option("ZZBBC10", codisi="BRZZBBACNOR0")],
        {"ZZAA": {"put_call_ratio": None}, "ZZBB": {"put_call_ratio": 0.0}},
    ),
    "an option on an index is an index whatever its class": (
        [option("IBOVC100", codisi="BRIBOVINDM18", especi="")],
        {"IBOV": {"security_type": "index"}},
    ),
    "exercises and forwards are no series and set no expiry": (
        [
            option("ZZAAC10", datven=date(2031, 9, 18)),
            Quote(codneg="ZZAAC9E", tpmerc="012", datven=SESSION),
            Quote(codneg="ZZAAO9E", tpmerc="013", datven=SESSION),
            Quote(codneg="ZZAA3T", tpmerc="030", datven=date(2031, 3, 20)),
        ],
        {"ZZAA3": {"option_series": 1, "next_expiry": date(2031, 9, 18)}},
    ),
    "one series in two lines counts once": (
        [option("ZZAAC10"), option("ZZAAC10"), option("ZZAAC11")],
        {"ZZAA": {"option_series": 2, "lines": 3}},
    ),
}


def _sorted(rows: pa.Table) -> pa.Table:
    return rows.sort_by([("trade_date", "ascending"), ("ticker", "ascending")])


@pytest.fixture(scope="module")
def refined_cases(spark: SparkSession) -> dict[str, dict[str, dict[str, Any]]]:
    """The rows of each case by ticker: every case is a session, and all sessions are refined in one run."""
    day_of = {case: SESSION + timedelta(days=day) for day, case in enumerate(CASES)}
    sessions = {day_of[case]: lines for case, (lines, _) in CASES.items()}
    quotes, none = quotes_frame(spark, sessions), portfolios_frame(spark, {})
    refined = collected(transform(quotes, none, (), repeating(sessions)))
    # Series that need not be told apart may be
    assert _sorted(collected(transform(quotes, none, (), sessions))).equals(_sorted(refined))
    rows = refined.to_pylist()
    return {
        case: {row["ticker"]: row for row in rows if row["trade_date"] == day} for case, day in day_of.items()
    }


@pytest.mark.parametrize("case", CASES)
def test_in_a_session(case: str, refined_cases: dict[str, dict[str, dict[str, Any]]]) -> None:
    _, expected = CASES[case]
    found = refined_cases[case]
    assert {
        ticker: {column: row[column] for column in expected.get(ticker, row)} for ticker, row in found.items()
    } == expected


PAPERS = (
    ("02", "ON  EDJ NM", "SIMULADA", "share"),
    ("08", "PNA*", "SIMULADA", "share"),
    ("96", "PN", "SIMULADA", "share"),
    ("78", "PNB     N1", "ZXAAE", "share"),
    ("02", "PP  INT", "SIMULADA", "share"),
    ("02", "UNT     N2", "SIMULADA", "unit"),
    ("35", "UNT", "SIMULADA LTD", "bdr"),
    ("34", "DRN", "SIMULADA INC", "bdr"),
    ("36", "DRE", "SIMULADA ETF", "bdr"),
    ("96", "DR3", "SIMULADA", "bdr"),
    ("14", "BDR", "SIMULADA", "bdr"),
    ("10", "DIR", "SIMULADA", "right"),
    ("12", "DIR", "FII SIMULADO", "right"),
    ("96", "DIR*ORD", "SIMULADA", "right"),
    ("22", "BNS*B", "SIMULADA", "right"),
    ("02", "ON  REC", "SIMULADA", "right"),
    ("12", "CI  ER", "SIMULADO", "fund"),
    ("13", "CI", "SIMULADO", "fund"),
    ("96", "CI", "SIMULADO", "fund"),
    ("12", "CIA", "SIMULADO", "fund"),
    ("14", "FIDC", "SIMULADO IE", "fund"),
    ("14", "CI  ER", "FIC IE SIM", "fund"),
    ("14", "CI", "SIM INFRAF", "fund"),
    ("62", "CI", "FII SIMULADO", "fund"),
    ("14", "CI", "SIMULADO FIX", "etf"),
    ("78", "CI", "SIMUE", "etf"),
    ("02", "IBO", "INDICE", "index"),
    ("14", "TPR", "SIMULADO", "other"),
    ("58", "CPA", "SIMULADO", "other"),
    ("02", "", "", "other"),
    ("02", "R42*EJ", "SIMULADA", "other"),
)
"""CODBDI, ESPECI and NOMRES, and the type of paper that they tell."""


@pytest.mark.parametrize(("bulletin_code", "share_class", "company", "expected"), PAPERS)
def test_the_type_of_a_paper(
    types: dict[tuple[str, str, str], str],
    bulletin_code: str,
    share_class: str,
    company: str,
    expected: str,
) -> None:
    assert types[bulletin_code, share_class, company] == expected


@pytest.fixture(scope="module")
def types(spark: SparkSession) -> dict[tuple[str, str, str], str]:
    """The type that each of the papers above has, which trade in a session."""
    papers = [paper[:3] for paper in PAPERS]
    lines = [
        cash(f"ZZ{n:02}3", codisi="", codbdi=codbdi, especi=especi, nomres=nomres)
        for n, (codbdi, especi, nomres) in enumerate(papers)
    ]
    rows = transform(quotes_frame(spark, {SESSION: lines}), portfolios_frame(spark, {}), (), ()).collect()
    assert len(rows) == len(papers)
    assert {row["bulletin_code"] for row in rows} == {codbdi for codbdi, _, _ in papers}
    return {(row["bulletin_code"], row["share_class"], row["company"]): row["security_type"] for row in rows}


def test_amounts_before_the_real_are_thousands_of_cruzeiros_reais(refine: Refine) -> None:
    days = (date(1986, 2, 3), date(1994, 7, 1), date(1994, 7, 4))
    rows = refine({day: [cash()] for day in days})
    assert [rows[day, "ZZAA3"]["currency"] for day in days] == ["CRR thousand", "CRR thousand", "BRL"]


class TestTrades:
    """Whose last five digits B3 writes. Usual is here a trade of 10,000 BRL."""

    USUAL = tuple(
        cash(f"ZX{n:02}3", codisi=f"BRZX{n:02}ACNOR0", totneg=3_000, quatot=10**6, voltot=D("30000000.00"))
        for n in range(50)
    )
    LINES: Mapping[str, tuple[dict[str, Any], bool]] = {
        "2 bn BRL in 57 trades": ({}, False),
        "an exact multiple of 100,000": ({"totneg": 0, "voltot": D("1000000000.00")}, False),
        "a volume without a trade, however small": ({"totneg": 0, "voltot": D("10.00")}, False),
        "neither volume nor trade": ({"totneg": 0, "voltot": D("0.00")}, True),
        "five times the usual": ({"totneg": 20_000, "voltot": D("1000000000.00")}, True),
        "a cent more": ({"totneg": 20_000, "voltot": D("1000000000.01")}, False),
        "three quarters of the usual with 100,000 more": (
            {"totneg": 1_000, "voltot": D("757500000.00")},
            False,
        ),
        "a cent less, as a block of a paper that trades little": (
            {"totneg": 1_000, "voltot": D("757499999.99")},
            True,
        ),
        "as many as five digits hold": ({"totneg": 99_999, "voltot": D("1500000000.00")}, True),
        "a unit for each of 100,057 trades": ({"quatot": 100_057}, False),
        "a unit less": ({"quatot": 100_056}, True),
        "an ETF, whose trades are large": ({"codbdi": "14", "especi": "CI"}, True),
        "an option": ({"codneg": "ZZAAC12", "tpmerc": "070"}, True),
        "an odd lot, where cash lines tell nothing": ({"codneg": "ZZAA3F", "tpmerc": "020"}, True),
    }

    def test_are_not_shown_where_the_volume_contradicts_them(self, refine: Refine) -> None:
        """Every line is a session's, beside the usual ones; one of an option is of the same row."""
        base = {"codneg": "ZZAA3", "totneg": 57, "quatot": 10**8, "voltot": D("2000000000.00")}
        day_of = {what: SESSION + timedelta(days=day) for day, what in enumerate(self.LINES)}
        lines = {what: Quote(**{**base, **fields}) for what, (fields, _) in self.LINES.items()}
        rows = refine(
            {day_of[what]: [*self.USUAL, line, option("ZZAAC10", totneg=7)] for what, line in lines.items()}
        )
        found = {day: row for (day, ticker), row in rows.items() if ticker.startswith("ZZAA")}
        assert {what: found[day]["trades"] for what, day in day_of.items()} == {
            what: lines[what].totneg + 7 if is_shown else None for what, (_, is_shown) in self.LINES.items()
        }
        assert {what: found[day]["volume"] for what, day in day_of.items()} == {
            what: line.voltot + option("ZZAAC10").voltot for what, line in lines.items()
        }
        assert {row["trades"] for (_, ticker), row in rows.items() if ticker.startswith("ZX")} == {3_000}

    def test_have_no_verdict_where_fewer_than_fifty_lines_of_their_market_tell_what_is_usual(
        self, refine: Refine
    ) -> None:
        """They are judged line by line where a file has a ticker twice."""
        line = cash(totneg=57, quatot=10**8, voltot=D("2000000000.00"))
        odd = odd_lot(totneg=2_000, quatot=10**6, voltot=D("30600000.00"))
        usual_odd = [
            odd_lot(f"ZX{n:02}3F", codisi=f"BRZX{n:02}ACNOR0", totneg=3_000, quatot=10**6, voltot=D("900000"))
            for n in range(50)
        ]
        few, enough, twice, odds = (SESSION + timedelta(days=day) for day in range(4))
        rows = refine(
            {
                few: [*self.USUAL[:48], line],
                enough: [*self.USUAL[:49], line],
                twice: [*self.USUAL[:48], self.USUAL[0], line],
                odds: [*usual_odd, odd],
            }
        )
        assert [rows[day, "ZZAA3"]["trades"] for day in (few, enough, twice, odds)] == [57, None, None, None]
        assert rows[twice, "ZX003"]["trades"] == 6_000

    def test_of_simulated_papers_that_wrap_more_than_a_third_are_found_and_no_other_is_doubted(
        self, refine: Refine
    ) -> None:
        """The others look as if they were traded in pieces less than five times as large as usual."""
        market = SimulatedMarket(quotes=300)
        days = sessions_between(date(2026, 4, 1), date(2026, 5, 29))
        made = {day: list(zip(market.session(day), market.trades(day), strict=True)) for day in days}
        cash_lines = {
            day: [quote for quote, _ in lines if quote.tpmerc == "010"] for day, lines in made.items()
        }
        rows = refine(cash_lines)
        wrapped = {
            (day, quote.codneg) for day, lines in made.items() for quote, trades in lines if trades > 99_999
        }
        doubted = {key for key, row in rows.items() if row["trades"] is None}
        assert (len(days), len(wrapped), len(doubted)) == (40, 54, 21)
        assert doubted < wrapped


def test_an_option_that_expires_today_is_zero_days_away(refine: Refine) -> None:
    row = refine([option("ZZAAC10", datven=SESSION), option("ZZAAC11")])["ZZAA"]
    assert (row["next_expiry"], row["days_to_expiry"]) == (SESSION, 0)


def test_the_portfolio_is_the_newest_on_or_before_each_session_and_weighs_its_members(refine: Refine) -> None:
    portfolios = {
        date(2031, 3, 10): {"ZZAA3": ("1.000", "A")},
        date(2031, 3, 12): {"ZZAA3": ("2.000", "B")},
        date(2031, 3, 17): {"ZZAA3": ("3.000", "C")},
        date(2031, 3, 18): {"ZZBB4": ("4.321", None)},
    }
    days = [date(2031, 3, day) for day in (7, 10, 11, 12, 14, 17, 19)]

    lines = [cash(), cash("ZZBB4", codisi="BRZZBBACNPR0")]
    rows = refine(dict.fromkeys(days, lines), portfolios)

    columns = ("index_weight", "sector", "portfolio_date", "portfolio_age_days")
    found = {key: tuple(row[name] for name in columns) for key, row in rows.items()}
    assert [found[day, "ZZAA3"] for day in days] == [
        (None, None, None, None),
        (D("1.000"), "A", date(2031, 3, 10), 0),
        (D("1.000"), "A", date(2031, 3, 10), 1),
        (D("2.000"), "B", date(2031, 3, 12), 0),
        (D("2.000"), "B", date(2031, 3, 12), 2),
        (D("3.000"), "C", date(2031, 3, 17), 0),
        (None, None, date(2031, 3, 18), 1),  # it has left the index
    ]
    # The portfolio's date stands on every row
    assert found[days[-2], "ZZBB4"] == (None, None, date(2031, 3, 17), 0)
    assert found[days[-1], "ZZBB4"] == (D("4.321"), None, date(2031, 3, 18), 1)


RECONCILED = {
    SESSION + timedelta(days=1): [cash(voltot=D("0.01"))],
    SESSION: [
        cash(voltot=D("1.00")),
        odd_lot(voltot=D("2.12")),
        cash("ZZBB4", codisi="BRZZBBACNPR0", voltot=D("4.00")),
    ],
}


@pytest.fixture(scope="module")
def refined(spark: SparkSession) -> DataFrame:
    quotes = quotes_frame(spark, RECONCILED)
    return transform(quotes, portfolios_frame(spark, {}), (), ()).localCheckpoint()


class TestReconcile:
    def test_tells_what_each_session_adds_up_to(self, refined: DataFrame) -> None:
        assert reconcile(sums_of(RECONCILED), collected(refined)) == [
            (SESSION, 3, 2, D("7.12")),
            (SESSION + timedelta(days=1), 1, 1, D("0.01")),
        ]

    @pytest.mark.parametrize(
        ("fault", "message"),
        [
            ("volume + 0.01 AS volume", "2031-03-14: volume: expected 7.12, found 7.14"),
            ("lines + 1 AS lines", "2031-03-14: raw lines: expected 3, found 5"),
            ("'ZZAA3' AS ticker", "2031-03-14: rows with a ticker of their own: expected 2, found 1"),
            ("nullif(ticker, 'ZZAA3') AS ticker", "rows with a ticker of their own: expected 2, found 1"),
            ("if(ticker = 'ZZAA3', '', ticker) AS ticker", "a ticker of their own: expected 2, found 1"),
            ("put_volume + 1 AS put_volume", "markets do not add up to their volume: expected 0, found 2"),
            ("nullif(put_volume, 0) AS put_volume", "do not add up to their volume: expected 0, found 2"),
            ("trade_date + 1 AS trade_date", "2031-03-14: expected rows where there are quotes"),
        ],
    )
    def test_names_the_session_what_was_expected_and_what_was_found(
        self, refined: DataFrame, fault: str, message: str
    ) -> None:
        changed = fault.rpartition(" AS ")[2]
        faulty = refined.selectExpr(*[fault if name == changed else name for name in refined.columns])
        with pytest.raises(RefineError, match=message):
            reconcile(sums_of(RECONCILED), collected(faulty))

    def test_names_each_session_that_does_not_add_up_and_all_that_were_not_written(
        self, refined: DataFrame
    ) -> None:
        later = refined.where("trade_date > DATE '2031-03-14'")
        faulty = later.selectExpr(
            *["volume + 0.01 AS volume" if name == "volume" else name for name in later.columns]
        )
        with pytest.raises(RefineError) as refused:
            reconcile(sums_of(RECONCILED), collected(faulty))
        said = str(refused.value)
        assert "2031-03-14: expected rows where there are quotes" in said
        assert "2031-03-15: volume: expected 0.01, found 0.02" in said
        assert "2031-03-14 to 2031-03-15, was written" in said

    def test_finds_a_row_that_a_portfolio_with_a_ticker_twice_would_double(self, spark: SparkSession) -> None:
        sessions = {SESSION: [cash(voltot=D("1.00"))]}
        quotes = quotes_frame(spark, sessions)
        once = portfolios_frame(spark, {SESSION: {"ZZAA3": ("50.000", "A")}})
        with pytest.raises(RefineError, match=r"volume: expected 1\.00, found 2\.00"):
            reconcile(sums_of(sessions), collected(transform(quotes, once.unionByName(once), [SESSION], ())))
