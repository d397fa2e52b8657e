"""The simulated B3: its formats byte by byte, its market's invariants, its server's answers and faults."""

import hashlib
import io
import json
import math
import os
import runpy
import socket
import struct
import subprocess
import sys
import threading
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import requests

from sandbox.b3 import sources
from sandbox.b3.formats import (
    Quote,
    daily_member_name,
    daily_zip_name,
    encode_portfolio,
    encode_quote,
    encode_session,
    zip_file,
)
from sandbox.b3.market import SimulatedMarket, apportion
from sandbox.b3.series import index_expiry, next_expiries, series_codes, share_expiry
from sandbox.b3.server import Answer, B3Server, Document, PortfolioRequest
from sandbox.b3.sources import RecordedFolder, SimulatedSource
from sandbox.b3.universe import isin_with_check_digit
from sandbox.b3.years import annual_zip_name
from scraper.b3.calendar import sessions_between
from tests.fixtures.b3 import SMALL_PORTFOLIO, daily_zip, portfolio_path

REPOSITORY = Path(__file__).resolve().parents[2]
TLS = Path(__file__).resolve().parents[1] / "fixtures" / "tls"
SESSION = date(2024, 11, 8)
EXPIRY = date(2024, 12, 20)
ZIP_PATH = "/InstDados/SerHist/COTAHIST_D08112024.ZIP"

# ---- quote file ----

PUT = Quote(
    codbdi="82",
    codneg="ZZAAX1234",
    tpmerc="080",
    nomres="ZZAAE É",
    especi="ON  EDJ NM",
    prazot="000",
    modref="R$",
    preabe=Decimal("1.01"),
    premax=Decimal("12345678901.02"),
    premin=Decimal("0.03"),
    premed=Decimal("4.04"),
    preult=Decimal("5.5"),
    preofc=Decimal("0"),
    preofv=Decimal("700"),
    totneg=98_874,
    quatot=123_456_789_012_345_678,
    voltot=Decimal("1234567890123456.78"),
    preexe=Decimal("12.34"),
    indopc="7",
    datven=EXPIRY,
    fatcot=1000,
    ptoexe=Decimal("1234567.000089"),
    codisi="BRZZAAACNOR8",
    dismes=119,
)
PUT_RECORD = (
    b"01"  # 1-2 TIPREG
    b"20241108"  # 3-10 DATA
    b"82"  # 11-12 CODBDI
    b"ZZAAX1234   "  # 13-24 CODNEG
    b"080"  # 25-27 TPMERC
    b"ZZAAE \xc9     "  # 28-39 NOMRES
    b"ON  EDJ NM"  # 40-49 ESPECI
    b"000"  # 50-52 PRAZOT
    b"R$  "  # 53-56 MODREF
    b"0000000000101"  # 57-69 PREABE
    b"1234567890102"  # 70-82 PREMAX
    b"0000000000003"  # 83-95 PREMIN
    b"0000000000404"  # 96-108 PREMED
    b"0000000000550"  # 109-121 PREULT
    b"0000000000000"  # 122-134 PREOFC
    b"0000000070000"  # 135-147 PREOFV
    b"98874"  # 148-152 TOTNEG
    b"123456789012345678"  # 153-170 QUATOT
    b"123456789012345678"  # 171-188 VOLTOT
    b"0000000001234"  # 189-201 PREEXE
    b"7"  # 202 INDOPC
    b"20241220"  # 203-210 DATVEN
    b"0001000"  # 211-217 FATCOT
    b"1234567000089"  # 218-230 PTOEXE
    b"BRZZAAACNOR8"  # 231-242 CODISI
    b"119"  # 243-245 DISMES
)


def test_a_quote_has_every_field_at_its_position() -> None:
    assert len(PUT_RECORD) == 245
    assert encode_quote(PUT, SESSION) == PUT_RECORD


def test_a_cash_quote_has_no_term_and_no_expiry() -> None:
    record = encode_quote(Quote(), SESSION)
    assert len(record) == 245
    assert record[49:52] == b"   "
    assert record[202:210] == b"99991231"


def test_a_code_of_the_time_before_isins_keeps_its_blanks() -> None:
    record = encode_quote(replace(PUT, codneg="ACE 2", codisi="ACE ON"), date(1986, 1, 2))
    assert record[12:24] == b"ACE 2       "
    assert record[230:242] == b"ACE ON      "


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("codneg", "ZZAAX12345678"),
        ("nomres", "SIMULADA €"),
        ("nomres", "SIMU\r\nLADA"),
        ("tpmerc", "10"),
        ("tpmerc", "O10"),
        ("preabe", Decimal("1.001")),
        ("premax", Decimal("100000000000.00")),
        ("premin", Decimal("-0.01")),
        ("premed", Decimal("NaN")),
        ("preult", Decimal("Infinity")),
        ("voltot", Decimal("12345678901234567.00")),
        ("totneg", 100_000),
        ("quatot", -1),
        ("fatcot", 10_000_000),
        ("ptoexe", Decimal("0.0000001")),
        ("dismes", 1000),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"2024-11-08: {field.upper()} \(\d+-\d+\) is .*; expected "):
        encode_quote(replace(PUT, **{field: value}), SESSION)  # type: ignore[arg-type]  # wrong on purpose


def test_a_session_counts_header_and_trailer() -> None:
    text = encode_session(SESSION, [PUT, PUT])
    header = b"00COTAHIST.2024BOVESPA 20241108" + b" " * 214
    trailer = b"99COTAHIST.2024BOVESPA 2024110800000000004" + b" " * 203
    assert text == b"".join(record + b"\r\n" for record in (header, PUT_RECORD, PUT_RECORD, trailer))
    assert len(text) == 4 * 247


def test_a_session_may_have_unix_lines_and_no_last_line_end() -> None:
    text = encode_session(SESSION, [PUT], line_end=b"\n", final_line_end=False)
    assert len(text) == 3 * 246 - 1
    assert b"\r" not in text
    assert text.split(b"\n")[1] == PUT_RECORD


def test_a_file_may_have_been_generated_after_its_session() -> None:
    header, trailer = encode_session(date(2003, 2, 12), [], generated=date(2004, 5, 31)).splitlines()
    assert header.rstrip() == b"00COTAHIST.2003BOVESPA 20040531"
    assert trailer.rstrip() == b"99COTAHIST.2003BOVESPA 2004053100000000002"


@pytest.mark.parametrize("member", ["COTAHIST_D08112024.TXT", "COTAHIST_A2001", "COTAHIST.A1986"])
def test_a_zip_has_one_member_and_nothing_of_the_clock(member: str) -> None:
    text = encode_session(SESSION, [PUT])
    packed = zip_file(text, member)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        (info,) = archive.infolist()
        assert archive.read(info) == text
    assert (info.filename, info.compress_type) == (member, zipfile.ZIP_DEFLATED)
    assert info.date_time == (1980, 1, 1, 0, 0, 0)
    assert zip_file(text, member) == packed


def test_a_sessions_file_is_named_by_day_month_and_year() -> None:
    assert daily_zip_name(date(2025, 1, 2)) == "COTAHIST_D02012025.ZIP"
    assert daily_member_name(date(2025, 1, 2)) == "COTAHIST_D02012025.TXT"


# ---- index portfolio ----


def test_a_portfolio_by_sector_is_written_in_brazilian_numbers() -> None:
    (page,) = encode_portfolio(SESSION, SMALL_PORTFOLIO, reductor=Decimal("14469518.97844297"))
    assert page["page"] == {"pageNumber": 1, "pageSize": 120, "totalRecords": 3, "totalPages": 1}
    assert page["header"] == {
        "date": "08/11/24",
        "text": "Quantidade Teórica Total",
        "part": "100,000",
        "partAcum": None,
        "textReductor": "Redutor",
        "reductor": "14.469.518,97844297",
        "theoricalQty": "15.000.000.001",
    }
    assert [row["cod"] for row in page["results"]] == ["ZZBB4", "ZZAA3", "ZZCC11"]
    assert page["results"][0] == {
        "segment": "Financeiro / Seguros",
        "cod": "ZZBB4",
        "asset": "SIMULADA BB",
        "type": "PN  ED  N1",
        "part": "3,220",
        "partAcum": "3,220",
        "theoricalQty": "1.000",
    }
    assert [row["partAcum"] for row in page["results"][1:]] == ["96,780", "96,780"]


def test_a_portfolio_by_ticker_has_no_sectors() -> None:
    (page,) = encode_portfolio(SESSION, SMALL_PORTFOLIO, segment="1", reductor=None)
    assert page["header"]["reductor"] is None
    assert [(row["cod"], row["segment"], row["partAcum"]) for row in page["results"]] == [
        ("ZZAA3", None, None),
        ("ZZBB4", None, None),
        ("ZZCC11", None, None),
    ]


def test_every_page_of_a_portfolio_repeats_the_header() -> None:
    first, second = encode_portfolio(SESSION, SMALL_PORTFOLIO, page_size=2)
    assert first["header"] == second["header"]
    assert first["page"] == {"pageNumber": 1, "pageSize": 2, "totalRecords": 3, "totalPages": 2}
    assert second["page"] == {"pageNumber": 2, "pageSize": 2, "totalRecords": 3, "totalPages": 2}
    assert [len(first["results"]), len(second["results"])] == [2, 1]


def test_a_portfolio_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(ValueError, match=r"add up to 63\.720; expected 100\.000"):
        encode_portfolio(SESSION, SMALL_PORTFOLIO[:2])


def test_a_weight_with_a_fourth_decimal_is_refused() -> None:
    first, second, third = SMALL_PORTFOLIO
    rows = [replace(first, weight=Decimal("60.5001")), second, replace(third, weight=Decimal("36.2799"))]
    with pytest.raises(ValueError, match="at most 3 decimals"):
        encode_portfolio(SESSION, rows)


# ---- market ----

ORDINARY = date(2026, 11, 18)
ON_EXPIRY = date(2026, 11, 19)  # the third Friday is Black Awareness Day
SUNDAY = date(2023, 1, 1)


class OneMarket(SimulatedMarket):
    """The default market, which the tests ask for the same few sessions."""

    session = cache(SimulatedMarket.session)


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return OneMarket()


@pytest.fixture(scope="module")
def with_few_series() -> SimulatedMarket:
    """The same market, which takes less time where only shares matter."""
    return SimulatedMarket(quotes=500)


@pytest.fixture(params=[ORDINARY, ON_EXPIRY, SUNDAY], ids=str)
def trade_date(request: pytest.FixtureRequest) -> date:
    day: date = request.param
    return day


def of_market(quotes: list[Quote], *markets: str) -> list[Quote]:
    return [quote for quote in quotes if quote.tpmerc in markets]


def test_a_session_has_about_3000_quotes_of_150_tickers(market: SimulatedMarket, trade_date: date) -> None:
    quotes = market.session(trade_date)
    assert 2700 < len(quotes) < 3300
    assert 143 <= len({quote.codisi for quote in quotes}) <= 153
    encode_session(trade_date, quotes)


def test_a_session_has_every_market(market: SimulatedMarket, trade_date: date) -> None:
    lines = Counter(quote.tpmerc for quote in market.session(trade_date))
    assert set(lines) == {"010", "012", "013", "017", "020", "030", "070", "080"}
    # All but the index, the one that trades in odd lots only, and half of the tenth that is thinly traded
    assert 135 <= lines["010"] <= 148
    assert min(lines["070"], lines["080"]) > 1000


def test_the_cash_market_alone_is_that_of_the_session(market: SimulatedMarket) -> None:
    whole = market.columns(ORDINARY)
    rows = (whole["tpmerc"] == b"010") & (whole["codbdi"] != b"10")
    assert {name: values.tolist() for name, values in market.cash(ORDINARY).items()} == {
        name: values[rows].tolist() for name, values in whole.items()
    }


def test_no_two_lines_have_the_same_ticker_market_and_term(market: SimulatedMarket, trade_date: date) -> None:
    quotes = market.session(trade_date)
    assert len({(quote.codneg, quote.tpmerc, quote.prazot) for quote in quotes}) == len(quotes)


def test_prices_lie_between_low_and_high_and_averages_mostly(
    market: SimulatedMarket, trade_date: date
) -> None:
    quotes = market.session(trade_date)
    for quote in quotes:
        assert 0 < quote.premin <= quote.preabe <= quote.premax, quote
        assert quote.premin <= quote.preult <= quote.premax, quote
        if quote.preofc and quote.preofv:
            assert quote.preofc < quote.preofv, quote
    outside = sum(not quote.premin <= quote.premed <= quote.premax for quote in quotes)
    assert outside < 15


def test_averages_leave_the_range_in_some_sessions_as_they_do_at_b3(market: SimulatedMarket) -> None:
    quotes = [quote for day in (ORDINARY, ON_EXPIRY, SUNDAY) for quote in market.session(day)]
    assert any(quote.premed > quote.premax for quote in quotes)


def test_volume_is_average_price_times_quantity_to_the_cent(
    market: SimulatedMarket, trade_date: date
) -> None:
    for quote in market.session(trade_date):
        exact = quote.premed * quote.quatot / quote.fatcot
        assert quote.voltot == exact.quantize(Decimal("0.01"), ROUND_HALF_UP), quote
        assert quote.totneg <= quote.quatot, quote


def test_the_busiest_papers_exceed_99_999_trades_of_which_totneg_has_five_digits(
    with_few_series: SimulatedMarket,
) -> None:
    exceeded = []
    for day in sessions_between(date(2026, 1, 2), date(2026, 3, 31)):
        quotes, trades = with_few_series.session(day), with_few_series.trades(day)
        assert [quote.totneg for quote in quotes] == [count % 100_000 for count in trades]
        busy = [quote for quote, count in zip(quotes, trades, strict=True) if count > 99_999]
        assert {quote.tpmerc for quote in busy} <= {"010"}
        largest = sorted(of_market(quotes, "010"), key=lambda quote: -quote.voltot)
        assert all(quote in largest[:10] for quote in busy)
        exceeded.append(len(busy))
    assert set(exceeded) == {0, 1, 2}
    assert exceeded.count(0) < len(exceeded) / 4


def test_one_company_s_subscription_rights_trade_for_a_month(with_few_series: SimulatedMarket) -> None:
    days = sessions_between(date(2024, 10, 1), date(2024, 11, 29))
    rights = [
        (day.month, quote) for day in days for quote in with_few_series.session(day) if quote.codbdi == "10"
    ]
    assert len(rights) == len(days)
    assert len({(month, quote.codneg) for month, quote in rights}) == 2
    for _, quote in rights:
        assert (quote.tpmerc, quote.especi[:7], quote.codneg[-1]) == ("010", "DIR ORD", "1")
        assert quote.codisi[6] == "D"
        assert isin_with_check_digit(quote.codisi[:-1]) == quote.codisi


def test_a_third_to_a_half_of_the_lines_have_no_bid(market: SimulatedMarket, trade_date: date) -> None:
    quotes = market.session(trade_date)
    assert 1 / 3 < sum(quote.preofc == 0 for quote in quotes) / len(quotes) < 1 / 2


def test_each_isin_has_at_most_one_cash_line_and_lends_it_to_its_other_lines(market: SimulatedMarket) -> None:
    quotes = market.session(ORDINARY)
    cash = {quote.codisi: quote.codneg for quote in of_market(quotes, "010")}
    assert len(cash) == len(of_market(quotes, "010"))
    without_cash = {quote.codneg for quote in quotes if quote.codisi not in cash}
    odd_lots_only = [ticker for ticker in without_cash if ticker.endswith("F")]
    assert 1 <= len(odd_lots_only) <= 10
    assert all(ticker.startswith("IBOV") for ticker in without_cash - {*odd_lots_only})
    for quote in of_market(quotes, "020", "030", "017"):
        if quote.codisi in cash:
            assert quote.codneg[:-1] == cash[quote.codisi]
        if quote.codneg not in odd_lots_only:
            assert quote.codisi in cash
            assert quote.codneg[-1] == {"020": "F", "030": "T", "017": "L"}[quote.tpmerc]


def test_odd_lots_are_less_than_a_hundred_a_trade(market: SimulatedMarket) -> None:
    for quote in of_market(market.session(ORDINARY), "020"):
        assert quote.quatot <= 99 * quote.totneg, quote


def test_shares_trade_in_round_lots(market: SimulatedMarket) -> None:
    for quote in of_market(market.session(ORDINARY), "010", "030", "017", "070", "080"):
        if quote.codbdi in ("02", "08", "62", "50", "78", "82"):
            assert quote.quatot % 100 == 0, quote


def test_one_ticker_is_quoted_per_thousand(market: SimulatedMarket) -> None:
    cash = of_market(market.session(ORDINARY), "010")
    assert Counter(quote.fatcot for quote in cash) == {1: len(cash) - 1, 1000: 1}


def test_a_series_code_names_its_kind_and_month(market: SimulatedMarket, trade_date: date) -> None:
    for quote in of_market(market.session(trade_date), "070", "080"):
        assert quote.datven is not None
        assert quote.datven >= trade_date
        letters = "ABCDEFGHIJKL" if quote.tpmerc == "070" else "MNOPQRSTUVWX"
        assert quote.codneg[4] == letters[quote.datven.month - 1], quote
        assert quote.prazot == "000"
        share = quote.codbdi in ("78", "82")
        expiry = share_expiry if share else index_expiry
        assert quote.datven == expiry(quote.datven.year, quote.datven.month)
        assert (quote.ptoexe == quote.preexe) != share, quote


def test_most_series_trade_again_on_the_next_day_under_the_same_code_and_strike(
    market: SimulatedMarket,
) -> None:
    today, tomorrow = (
        {(quote.codneg, quote.datven): quote.preexe for quote in of_market(market.session(day), "070", "080")}
        for day in (date(2026, 11, 17), date(2026, 11, 18))
    )
    again = today.keys() & tomorrow.keys()
    assert len(again) > len(today) / 2
    assert all(today[series] == tomorrow[series] for series in again)


def test_what_is_exercised_costs_its_strike_and_was_in_the_money(market: SimulatedMarket) -> None:
    quotes = market.session(ORDINARY)
    close = {quote.codisi: quote.preult for quote in of_market(quotes, "010")}
    for quote in of_market(quotes, "012", "013"):
        assert quote.codneg.endswith("E")
        assert quote.preexe == quote.preabe == quote.premed == quote.preult
        if quote.tpmerc == "012":
            assert quote.preexe < close[quote.codisi]
        else:
            assert quote.preexe > close[quote.codisi]


def test_on_the_day_of_expiry_what_expires_is_exercised(market: SimulatedMarket) -> None:
    exercised = of_market(market.session(ON_EXPIRY), "012", "013")
    assert len(exercised) > 20
    assert {quote.datven for quote in exercised} == {ON_EXPIRY}


def test_a_session_opens_near_the_close_of_the_session_before(market: SimulatedMarket) -> None:
    before = {quote.codneg: quote.preult for quote in of_market(market.session(ORDINARY), "010")}
    after = {quote.codneg: quote.preabe for quote in of_market(market.session(ON_EXPIRY), "010")}
    both = before.keys() & after.keys()
    assert len(both) > 130
    gaps = [abs(math.log(after[ticker] / before[ticker])) for ticker in both]
    assert max(gaps) < 0.15
    assert 0.001 < float(np.median(gaps)) < 0.02


def test_closes_stay_at_a_shares_price_for_decades(market: SimulatedMarket) -> None:
    for year in (2001, 2013, 2040):
        closes = [quote.preult / quote.fatcot for quote in of_market(market.session(date(year, 6, 1)), "010")]
        assert 10 < np.median([float(close) for close in closes]) < 50
        assert max(closes) < 2000


def test_a_session_does_not_depend_on_what_was_asked_before_nor_on_the_process(
    market: SimulatedMarket,
) -> None:
    program = (
        "import hashlib, datetime as d; from sandbox.b3.market import *; from sandbox.b3.formats import *\n"
        "m = SimulatedMarket(); m.session(d.date(2031, 1, 2)); day = d.date(2026, 11, 18)\n"
        "text = encode_session(day, m.session(day))\n"
        "text += repr(encode_portfolio(day, m.portfolio(day))).encode()\n"
        "print(hashlib.sha256(text).hexdigest())"
    )
    elsewhere = subprocess.run(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
        capture_output=True,
        text=True,
        check=True,
    )
    text = encode_session(ORDINARY, market.session(ORDINARY))
    text += repr(encode_portfolio(ORDINARY, market.portfolio(ORDINARY))).encode()
    assert elsewhere.stdout.strip() == hashlib.sha256(text).hexdigest()


def test_another_seed_is_another_market() -> None:
    one, other = (SimulatedMarket(seed=seed, tickers=40, quotes=300).session(ORDINARY) for seed in (1, 2))
    assert {quote.preult for quote in one} != {quote.preult for quote in other}


@pytest.mark.parametrize(("tickers", "quotes"), [(31, 300), (60, 900), (400, 12_000)])
def test_a_market_has_about_the_size_that_was_asked_for(tickers: int, quotes: int) -> None:
    session = SimulatedMarket(tickers=tickers, quotes=quotes).session(ORDINARY)
    assert len({quote.codisi for quote in session}) == pytest.approx(tickers, rel=0.05, abs=2)
    assert len(session) == pytest.approx(quotes, rel=0.1)


def test_a_market_too_small_or_a_date_too_early_is_refused(market: SimulatedMarket) -> None:
    with pytest.raises(ValueError, match="30 to 600 tickers"):
        SimulatedMarket(tickers=10)
    with pytest.raises(ValueError, match="starts on 2000-01-01"):
        market.session(date(1999, 12, 31))


def test_the_portfolio_has_weights_and_sectors_of_cash_tickers(market: SimulatedMarket) -> None:
    rows = market.portfolio(ORDINARY)
    assert 60 <= len(rows) <= 80
    assert sum(row.weight for row in rows) == Decimal("100.000")
    assert min(row.weight for row in rows) > 0
    assert max(row.weight for row in rows) < 20
    assert len({row.sector for row in rows}) > 8
    assert {row.ticker for row in rows} <= {
        quote.codneg for quote in of_market(market.session(ORDINARY), "010")
    }


def test_the_next_expiries_begin_with_today_and_pass_over_what_has_expired() -> None:
    assert next_expiries(ON_EXPIRY, share_expiry)[0] == ON_EXPIRY
    after = next_expiries(date(2026, 11, 20), share_expiry)
    assert (after[0], after[-1], len(after)) == (date(2026, 12, 18), date(2027, 11, 19), 12)


def test_series_codes_count_months_from_a_for_calls_and_from_m_for_puts() -> None:
    codes = series_codes(
        np.array([b"ZXAA", b"ZXAA", b"IBOV"]),
        np.array([2024_12_20, 2025_01_17, 2025_06_18]),
        np.array([True, False, True]),
        np.array([364, 35, 130]),
    )
    assert codes.tolist() == [b"ZXAAL364", b"ZXAAM35", b"IBOVF130"]


def test_what_rounding_leaves_goes_to_the_largest_remainders() -> None:
    assert apportion(10, np.array([1.0, 1.0, 1.0])).tolist() == [4, 3, 3]
    assert apportion(100, np.array([2.6, 0.2, 7.3])).tolist() == [26, 2, 72]


# ---- server ----


@pytest.fixture(scope="module")
def source() -> SimulatedSource:
    return SimulatedSource([SESSION, date(2024, 11, 11)], SimulatedMarket(tickers=40, quotes=300))


@pytest.fixture
def b3(source: SimulatedSource) -> Iterator[B3Server]:
    with B3Server(source) as server:
        yield server


def get(b3: B3Server, path: str, **headers: str) -> requests.Response:
    return requests.get(b3.base_url + path, headers=headers, timeout=30)


def wait_for_request_threads() -> None:
    for thread in threading.enumerate():
        if "process_request_thread" in thread.name:
            thread.join(30)


def test_a_sessions_zip_is_served_at_b3s_path(b3: B3Server) -> None:
    answer = get(b3, ZIP_PATH)
    assert answer.status_code == 200
    assert answer.headers["Content-Length"] == str(len(answer.content))
    assert answer.headers["Last-Modified"] == "Fri, 08 Nov 2024 23:30:00 GMT"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["COTAHIST_D08112024.TXT"]
        assert archive.read("COTAHIST_D08112024.TXT").startswith(b"00COTAHIST.2024BOVESPA 20241108")


@pytest.mark.parametrize(
    "path",
    ["/", "/InstDados/SerHist/COTAHIST_D09112024.ZIP", "/InstDados/SerHist/", portfolio_path(index="IBOX")],
)
def test_what_b3_does_not_have_is_not_found(b3: B3Server, path: str) -> None:
    assert get(b3, path).status_code == 404


def test_a_client_that_has_the_file_is_told_so(b3: B3Server) -> None:
    first = get(b3, ZIP_PATH)
    for headers in (
        {"If-None-Match": f'"another", {first.headers["ETag"]}'},
        {"If-Modified-Since": first.headers["Last-Modified"]},
    ):
        again = get(b3, ZIP_PATH, **headers)
        assert (again.status_code, again.content) == (304, b"")
    for headers in (
        {"If-None-Match": '"another"', "If-Modified-Since": first.headers["Last-Modified"]},
        {"If-Modified-Since": "Fri, 08 Nov 2024 23:29:59 GMT"},
    ):
        assert get(b3, ZIP_PATH, **headers).content == first.content


def test_the_portfolio_is_dated_by_the_first_session_and_comes_in_pages(b3: B3Server) -> None:
    pages = [get(b3, portfolio_path(page_number=number, page_size=10)).json() for number in (1, 2)]
    assert [page["header"]["date"] for page in pages] == ["08/11/24", "08/11/24"]
    assert [page["page"]["pageNumber"] for page in pages] == [1, 2]
    total = pages[0]["page"]["totalRecords"]
    assert pages[0]["page"]["totalPages"] == 2
    assert len({row["cod"] for page in pages for row in page["results"]}) == total
    assert get(b3, portfolio_path(page_number=3, page_size=10)).status_code == 404


def test_the_portfolio_can_be_moved_through_time_and_becomes_another() -> None:
    source = SimulatedSource([SESSION], SimulatedMarket())

    def quantities(day: date) -> dict[str, str]:
        source.portfolio_as_of = day
        document = source.portfolio(PortfolioRequest(index="IBOV", segment="2", page_number=1, page_size=120))
        assert document is not None
        answer = json.loads(document.body)
        assert answer["header"]["date"] == f"{day:%d/%m/%y}"
        return {row["cod"]: row["theoricalQty"] for row in answer["results"]}

    # In a series of four months, in which some shares go ex, and from the first session of January on
    first, last = quantities(date(2024, 9, 2)), quantities(date(2024, 12, 30))
    assert first.keys() == last.keys()
    assert 0 < len(first.items() - last.items()) < len(first)
    assert quantities(date(2025, 1, 2)).keys() != quantities(date(2024, 12, 30)).keys()


def test_a_holiday_is_no_session_that_can_be_served_by_hand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["python -m sandbox.b3", "2026-11-19", "2026-11-20"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("sandbox.b3", run_name="__main__")
    assert ended.value.code == 2
    assert "Friday 2026-11-20 is no session, the last before it is 2026-11-19" in capsys.readouterr().err


@pytest.mark.parametrize(
    "path",
    [
        "/indexProxy/indexCall/GetPortfolioDay/not-base64",
        "/indexProxy/indexCall/GetPortfolioDay/e30=",  # {}
        portfolio_path(language="en-us"),
        portfolio_path(segment="3"),
        portfolio_path(page_number=0),
    ],
)
def test_a_portfolio_call_that_b3_would_not_understand_is_a_bad_request(b3: B3Server, path: str) -> None:
    assert get(b3, path).status_code == 400


def test_requests_are_recorded_in_order(b3: B3Server) -> None:
    requests.head(b3.base_url + ZIP_PATH, timeout=30)
    get(b3, "/nothing", **{"X-Test": "yes"})
    first, second = b3.requests_seen
    assert [(seen.method, seen.path) for seen in (first, second)] == [("HEAD", ZIP_PATH), ("GET", "/nothing")]
    assert second.headers["X-Test"] == "yes"
    assert first.time <= second.time


def test_scripted_answers_come_first_and_then_the_sources(b3: B3Server) -> None:
    b3.script(
        "/InstDados/", [Answer(status=503, headers={"Retry-After": "2"}), Answer(status=520, body=b"x")]
    )
    b3.script(ZIP_PATH, [Answer(body=b"exact")])
    assert get(b3, portfolio_path()).status_code == 200
    assert get(b3, ZIP_PATH).content == b"exact"
    unavailable = get(b3, ZIP_PATH)
    assert (unavailable.status_code, unavailable.headers["Retry-After"]) == (503, "2")
    assert get(b3, ZIP_PATH).status_code == 520
    assert get(b3, ZIP_PATH).content[:2] == b"PK"


def test_a_cut_answer_announces_more_than_it_sends(b3: B3Server) -> None:
    b3.script(ZIP_PATH, [Answer(body=b"x" * 1000, cut_after=10)])
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="10 bytes read, 990 more expected"):
        get(b3, ZIP_PATH)


def test_an_answer_may_keep_its_length_to_itself(b3: B3Server) -> None:
    b3.script(ZIP_PATH, [Answer(body=b"x" * 1000, announce_length=False)])
    answer = get(b3, ZIP_PATH)
    assert "Content-Length" not in answer.headers
    assert answer.content == b"x" * 1000


def test_a_dripping_answer_arrives_whole(b3: B3Server) -> None:
    b3.script(ZIP_PATH, [Answer(body=b"0123456789", drip=(3, 0.001), delay=0.001)])
    assert get(b3, ZIP_PATH).content == b"0123456789"


def test_a_day_is_answered_while_a_year_is_written(
    source: SimulatedSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def ask() -> None:
        if source.quotes(daily_zip_name(SESSION)) and not source.quotes(daily_zip_name(date(2024, 11, 9))):
            answered.set()

    def writing(path: Path, quotes: Iterator[object], **_: object) -> None:
        next(quotes)
        threading.Thread(target=ask, daemon=True).start()
        assert answered.wait(10)
        path.write_bytes(b"a year")

    monkeypatch.setattr(sources, "write_year", writing)
    year = source.quotes(annual_zip_name(SESSION.year))
    assert year is not None
    assert year.body == b"a year"


def test_a_stalled_answer_sends_its_beginning_and_ends_with_the_server(source: SimulatedSource) -> None:
    with B3Server(source) as b3:
        b3.script(ZIP_PATH, [Answer(body=b"x" * 1000, stall_after=10)])
        answer = requests.get(b3.base_url + ZIP_PATH, stream=True, timeout=30)
        assert answer.raw.read(10) == b"x" * 10
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="990 more expected"):
        answer.content  # noqa: B018  reads what is left


def test_a_server_that_has_stopped_refuses_connections(source: SimulatedSource) -> None:
    with B3Server(source) as b3:
        address = b3.base_url
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(address + ZIP_PATH, timeout=30)
    with pytest.raises(RuntimeError, match="not running"):
        _ = b3.base_url


def test_a_client_that_hangs_up_is_no_error_of_the_server(
    b3: B3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    b3.script(ZIP_PATH, [Answer(body=b"x" * 20_000_000)])
    with socket.create_connection(("127.0.0.1", int(b3.base_url.rsplit(":", 1)[1]))) as client:
        client.sendall(f"GET {ZIP_PATH} HTTP/1.1\r\nHost: b3\r\n\r\n".encode())
        client.recv(10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset, not close
    wait_for_request_threads()
    assert len(b3.requests_seen) == 1
    assert capsys.readouterr().err == ""


def test_an_error_of_the_source_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def quotes(self, name: str) -> Document | None:
            raise KeyError("broken on purpose")

        def portfolio(self, request: PortfolioRequest) -> Document | None:
            return None

    with B3Server(Broken()) as b3:
        with pytest.raises(requests.exceptions.ConnectionError):
            get(b3, ZIP_PATH)
        wait_for_request_threads()
    assert "broken on purpose" in capsys.readouterr().err


def test_https_is_served_and_a_client_that_does_not_trust_it_is_no_error(
    source: SimulatedSource, capsys: pytest.CaptureFixture[str]
) -> None:
    with B3Server(source, tls=(TLS / "server.pem", TLS / "server.key")) as b3:
        assert b3.base_url.startswith("https://127.0.0.1:")
        with pytest.raises(requests.exceptions.SSLError):
            get(b3, ZIP_PATH)
        wait_for_request_threads()
    assert capsys.readouterr().err == ""


def recorded_folder(tmp_path: Path, *portfolios: str) -> Path:
    quotes, calls = tmp_path / "InstDados" / "SerHist", tmp_path / "indexProxy"
    quotes.mkdir(parents=True)
    calls.mkdir()
    (quotes / "COTAHIST_D08112024.ZIP").write_bytes(daily_zip(SESSION, [PUT]))
    for name in portfolios:
        (calls / name).write_text(f'{{"file": "{name}"}}')
    return tmp_path


def test_a_recorded_zip_is_served_byte_for_byte(tmp_path: Path) -> None:
    with B3Server(RecordedFolder(recorded_folder(tmp_path), SESSION)) as b3:
        assert get(b3, ZIP_PATH).content == daily_zip(SESSION, [PUT])
        assert get(b3, ZIP_PATH.replace("0811", "1111")).status_code == 404
        assert get(b3, portfolio_path()).status_code == 404
        assert get(b3, "/InstDados/SerHist/..%2F..%2FindexProxy").status_code == 404


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (date(2024, 11, 8), "GetPortfolioDay_IBOV_segment2_16-07-24.json"),
        (date(2024, 7, 16), "GetPortfolioDay_IBOV_segment2_16-07-24.json"),
        (date(2024, 7, 15), "GetPortfolioDay_IBOV_segment2_02-01-23.json"),
        (date(2016, 1, 4), "GetPortfolioDay_IBOV_segment2_02-01-23.json"),  # none is as old: the oldest
    ],
)
def test_the_recorded_portfolio_is_the_newest_on_or_before_the_session(
    tmp_path: Path, session: date, expected: str
) -> None:
    folder = recorded_folder(
        tmp_path,
        "GetPortfolioDay_IBOV_segment2_16-07-24.json",
        "GetPortfolioDay_IBOV_segment2_02-01-23.json",
        "GetPortfolioDay_IBOV_segment2_11-11-24.json",
        "GetPortfolioDay_IBOV_segment1_01-07-24.json",
        "GetPortfolioDay_SMLL_segment2_01-07-24.json",
        "GetTheoricalPortfolio_IBOV_2022-05.json",
    )
    document = RecordedFolder(folder, session).portfolio(
        PortfolioRequest(index="IBOV", segment="2", page_number=1, page_size=120)
    )
    assert document is not None
    assert json.loads(document.body) == {"file": expected}


def test_a_folder_without_quotes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no COTAHIST"):
        RecordedFolder(tmp_path, SESSION)


def test_files_may_lie_in_the_folder_itself_under_names_in_either_case(tmp_path: Path) -> None:
    (tmp_path / "cotahist_d08112024.zip").write_bytes(b"quotes")
    name = "GetPortfolioDay_IBOV_segment2_16-07-24.json"
    (tmp_path / name).write_text("{}")
    folder = RecordedFolder(tmp_path, SESSION)
    quotes = folder.quotes("COTAHIST_D08112024.ZIP")
    assert quotes is not None
    assert quotes.body == b"quotes"
    request = PortfolioRequest(index="IBOV", segment="2", page_number=1, page_size=120)
    assert folder.portfolio(request) is not None
    assert folder.lacks_portfolio("IBOV") is None
    assert folder.lacks_portfolio("SMLL") == "GetPortfolioDay_SMLL_segment2_DD-MM-YY.json"


def test_the_folder_of_b3s_paths_goes_before_the_one_above_it(tmp_path: Path) -> None:
    folder = recorded_folder(tmp_path)
    (folder / "COTAHIST_D08112024.ZIP").write_bytes(b"another")
    quotes = RecordedFolder(folder, SESSION).quotes("COTAHIST_D08112024.ZIP")
    assert quotes is not None
    assert quotes.body == daily_zip(SESSION, [PUT])


@pytest.mark.real
def test_b3s_own_files_are_served(b3_files: Path) -> None:
    with B3Server(RecordedFolder(b3_files, SESSION)) as b3:
        assert get(b3, ZIP_PATH).content == (b3_files / ZIP_PATH.removeprefix("/")).read_bytes()
        assert get(b3, portfolio_path()).json()["header"]["date"] == "16/07/24"
