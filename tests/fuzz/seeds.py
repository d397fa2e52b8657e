"""Inputs to start from: valid files of every form that the simulated B3 serves, small, none of them real."""

from __future__ import annotations

import json
import tempfile
import zipfile
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path

from sandbox.b3.eras import era_year
from sandbox.b3.formats import (
    CashDividend,
    HistoricCash,
    IssuerActions,
    Quote,
    StockDividend,
    Subscription,
    encode_cash_history,
    encode_levels,
    encode_portfolio,
    encode_session,
    encode_supplement,
    zip_file,
    zip_info,
)
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.years import _WithoutSeek
from tests.fixtures.b3 import SMALL_PORTFOLIO

SESSION = date(2024, 11, 8)
"""The session that the daily harness asks for."""

YEAR = 2024
"""The year that the annual harness asks for."""

PAGE_SEPARATOR = b"\x1e"
"""Between the pages of a portfolio's or a history's input; no JSON text can hold it."""

ISSUER = "ZZAA"
"""The issuer that the harness of corporate actions asks for."""

SUPPLEMENT, FUND, HISTORY = b"S", b"F", b"H"
"""The first byte of an input of corporate actions: which call it is the answer of."""

_VARIED = (
    Quote(),
    Quote(codneg="ZZBB4F", tpmerc="020", codbdi="96", nomres="SIMULADA É", fatcot=1000, quatot=10**18 - 1),
    Quote(
        codneg="ZZAAK123",
        tpmerc="070",
        prazot="000",
        datven=date(2024, 11, 15),
        preexe=Decimal("34.50"),
        ptoexe=Decimal("1.000001"),
        voltot=Decimal("9999999999999999.99"),
    ),
)


def daily() -> list[bytes]:
    """Sessions: zipped in each way, plain, of each line end and count, odd, empty, and a simulated one."""
    text = encode_session(SESSION, _VARIED)
    header, *records, trailer, _ = text.split(b"\r\n")
    odd = text.replace(b"SIMULADA ", b"SIM\x92\x00LADA").replace(b"20241115", b"00000000")
    market = SimulatedMarket(tickers=31, quotes=60)
    return [
        zip_file(text, "COTAHIST_D08112024.TXT"),
        text,
        encode_session(SESSION, _VARIED, line_end=b"\n", final_line_end=False),
        encode_session(SESSION, []),
        encode_session(SESSION, _VARIED, quotes_counted=True),
        odd + b"\r\n\x1a",
        b"\n".join([header.rstrip(), *records, trailer.rstrip()]),
        _stored(text),
        _streamed(text),
        zip_file(encode_session(SESSION, market.session(SESSION)), "COTAHIST_D08112024.TXT"),
        zip_file(encode_session(SESSION, [Quote()] * 100), "COTAHIST.A2024"),
    ]


def annual() -> list[bytes]:
    """Years: of several sessions, in both orders, streamed and not, plain, empty."""
    era = era_year(YEAR)
    few = dict(list(era.sessions.items())[:2])
    with tempfile.TemporaryDirectory() as folder:
        finished = replace(era, sessions=few).write(Path(folder)).read_bytes()
        unfinished = replace(era, sessions=few, streamed=True, by_ticker=True)
        streamed = unfinished.write(Path(folder), line_end=b"\n").read_bytes()
    sessions = [encode_session(date(YEAR, 1, 2) + timedelta(day), _VARIED[: day + 1]) for day in range(3)]
    records = [line for text in sessions for line in text.split(b"\r\n")[1:-2]]
    header, trailer = (sessions[0].split(b"\r\n")[index] for index in (0, -2))
    ends = header, trailer.replace(b"%011d" % 3, b"%011d" % (len(records) + 2))
    text = b"".join(line + b"\r\n" for line in (ends[0], *records, ends[1]))
    by_ticker = b"".join(
        line + b"\r\n" for line in (ends[0], *sorted(records, key=lambda line: line[12:24]), ends[1])
    )
    return [
        finished,
        streamed,
        zip_file(text, f"COTAHIST_A{YEAR}.TXT"),
        text,
        zip_file(by_ticker, f"COTAHIST_A{YEAR}"),
        encode_session(date(YEAR, 1, 2), []),
    ]


def portfolio() -> list[bytes]:
    """Portfolios: by sector and by ticker, on one page and on three, as text within text, in UTF-16."""
    (page,) = encode_portfolio(SESSION, SMALL_PORTFOLIO)
    (by_ticker,) = encode_portfolio(SESSION, SMALL_PORTFOLIO, segment="1", reductor=None)
    pages = encode_portfolio(SESSION, SMALL_PORTFOLIO, page_size=1)
    plain = json.dumps(page, ensure_ascii=False)
    odd = plain.replace("1.000.000,00000000", "-").replace("SIMULADA AA", "SIMULADA\\u0000")
    return [
        plain.encode(),
        odd.encode(),
        json.dumps(by_ticker, ensure_ascii=False).encode(),
        PAGE_SEPARATOR.join(json.dumps(page).encode() for page in pages),
        json.dumps(plain).encode(),
        plain.encode("utf-8-sig"),
        plain.encode("utf-16"),
        plain.replace("1.000.000,00000000", "18.296.80337677573").encode(),
    ]


def actions() -> list[bytes]:
    """Answers on corporate actions: of a company, a fund, histories of a page and of three; also nested."""
    day, before = date(2024, 11, 8), date(1997, 3, 3)
    cash = CashDividend(
        isin="BRZZAAACNOR0",
        label="DIVIDENDO",
        rate=Decimal("0.13340000001"),
        last_date_prior=day,
        approved_on=date(1900, 1, 1),
        related_to="1º Trimestre/2024",
    )
    split = StockDividend(
        isin="BRZZAAACNPR7",
        label="GRUPAMENTO",
        factor=Decimal("1234567.5"),
        last_date_prior=day,
        approved_on=day,
    )
    right = Subscription(
        isin="BRZZAAACNOR0",
        percentage=Decimal("9.9"),
        price_unit=Decimal("166.58"),
        last_date_prior=day,
        approved_on=day,
        trading_until=day,
    )
    known = IssuerActions(
        issuer=ISSUER,
        trading_name="SIMULADA S/A",
        cash=(cash, cash, replace(cash, payment_date=day)),
        stock=(split,),
        subscriptions=(right,),
    )
    paid = HistoricCash(
        type_stock="PN",
        corporate_action="JRS CAP PROPRIO",
        value=Decimal("1.25"),
        last_date_prior=before,
        approved_on=None,
        closing_price=Decimal("1043.50"),
        closing_price_date=before,
        quoted_per_shares=1000,
    )
    history = [paid, replace(paid, value=Decimal(3)), paid]
    company, fund = (
        json.dumps(encode_supplement(replace(known, is_fund=is_fund)), ensure_ascii=False)
        for is_fund in (False, True)
    )
    nothing = json.dumps(encode_supplement(IssuerActions(issuer=ISSUER, trading_name="")))
    pages = [
        json.dumps(encode_cash_history(history, page_number=number, page_size=1)).encode()
        for number in (1, 2, 3)
    ]
    odd = company.replace("1º Trimestre", "\\u0000").replace('"0,13340000001"', "null", 1)
    return [
        SUPPLEMENT + company.encode(),
        SUPPLEMENT + odd.encode(),
        SUPPLEMENT + nothing.encode(),
        SUPPLEMENT + b"[]",
        SUPPLEMENT + json.dumps(company).encode(),
        SUPPLEMENT + company.encode("utf-16"),
        FUND + fund.encode(),
        HISTORY + json.dumps(encode_cash_history(history)).encode(),
        HISTORY + PAGE_SEPARATOR.join(pages),
        HISTORY + json.dumps(encode_cash_history([])).encode(),
    ]


def levels() -> list[bytes]:
    """Levels of a year: of each format and encoding, none, of a new base, without extremes, and null."""
    days = [date(YEAR, 1, 31), date(YEAR, 2, 1), date(YEAR, 2, 29), date(YEAR, 12, 30)]
    answer = encode_levels(
        dict(zip(days, map(Decimal, ("1234567.89", "0.01", "999.99", "1000.00")), strict=True))
    )
    plain = json.dumps(answer)
    english = plain.replace(",", ";").replace(".", ",").replace('";', '",').replace(";", ".")
    return [
        plain.encode(),
        plain.replace(",89", ",90").replace("1.234.567,90", " 1234567,90 ").encode(),
        english.replace(". ", ", ").encode(),
        json.dumps(plain).encode(),
        plain.encode("utf-16"),
        json.dumps(answer | {"min": None, "max": {}}).encode(),
        json.dumps(encode_levels({})).encode(),
        b"null",
    ]


def _stored(text: bytes) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo("COTAHIST.TXT"), text)
    return packed.getvalue()


def _streamed(text: bytes) -> bytes:
    """A ZIP whose sizes come behind its member, as B3's of a year that is not over."""
    packed = BytesIO()
    with zipfile.ZipFile(_WithoutSeek(packed), "w") as archive:
        archive.writestr(zip_info("COTAHIST.TXT"), text)
    return packed.getvalue()
