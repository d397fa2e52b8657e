"""Small years of B3's history, invented, in the forms that its annual files have had since 1986.

What changed and is here: the currency's label, internal codes before ISINs, tickers with blanks, quotation
factors, the name of the ZIP's member, the order of the records, the day on which the file was generated.
Figures follow from positions by plain arithmetic, so that whoever reads them can work them out.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from sandbox.b3.formats import Quote
from sandbox.b3.universe import isin_with_check_digit
from sandbox.b3.years import annual_zip_name, write_year

FIRST_ISIN = date(1995, 5, 15)
"""The session from which CODISI holds ISINs; before, it held an internal code."""

LABELS = (
    (date(1986, 1, 1), "CR$"),
    (date(1986, 2, 28), "CZ$"),
    (date(1989, 1, 16), "NCZ$"),
    (date(1990, 3, 16), "CR$"),
    (date(1994, 7, 1), "R$"),
)
"""MODREF and the day from which it counts. CR$ is the cruzeiro of two periods, and the cruzeiro real."""

_NON_ASCII_SESSION = date(2014, 12, 18)  # the only one in which B3 is known to have written such a byte
_BY_TICKER_UNTIL = 1997  # a guess: only that the order has changed is known
_GENERATED_TOGETHER = date(2004, 5, 31)
_GENERATED_TOGETHER_UNTIL = 2003

# Ticker in the time of internal codes, ticker since, name, share class before and since, quotation factor
_PAPERS = (
    ("ZZA 2", "ZZAA3", "SIMULADA AA", "OP  C02", "ON  EDJ NM", 1000),
    ("ZZA 5", "ZZAA4", "SIMULADA AA", "PP  INT", "PN      N1", 1000),
    ("ZZB 13", "ZZBB3", "SIMULADA BB", "ON", "ON", 1),
    ("ZZC 3", "ZZCC11", "SIMULADA CC", "PPB EB", "UNT ED  N2", 100),
)
_ISIN_TYPES = ("ACNOR", "ACNPR", "ACNOR", "CDAM0")


@dataclass(frozen=True, slots=True, kw_only=True)
class EraYear:
    """A year's sessions and the form of its file.

    Attributes:
        year: The year.
        sessions: Each session's quotes. Dates ascend.
        by_ticker: Whether the file is ordered by ticker, then session, or by session.
        generated: Generation date in header and trailer.
        streamed: Whether the ZIP's sizes come only after the data, as in a year that is not over.
    """

    year: int
    sessions: dict[date, tuple[Quote, ...]]
    by_ticker: bool
    generated: date
    streamed: bool

    def write(self, folder: Path, *, line_end: bytes = b"\r\n", final_line_end: bool = True) -> Path:
        """Write the year's ZIP under B3's name into a folder."""
        path = folder / annual_zip_name(self.year)
        write_year(
            path,
            self.sessions.items(),
            year=self.year,
            line_end=line_end,
            final_line_end=final_line_end,
            generated=self.generated,
            by_ticker=self.by_ticker,
            streamed=self.streamed,
        )
        return path


def era_year(year: int, *, unfinished: bool = False) -> EraYear:
    """A session a month, and both sides of each day of the year on which something changed.

    Args:
        year: 1986 or later.
        unfinished: Whether the year is not over, so that B3's server makes its ZIP while it sends it.

    Raises:
        ValueError: The year is before B3's first.
    """
    if year < LABELS[0][0].year:
        raise ValueError(f"B3's files begin in {LABELS[0][0].year}, not in {year}")
    days = {_weekday(date(year, month, 10)) for month in range(1, 13)}
    for change in (*(since for since, _ in LABELS[1:]), FIRST_ISIN, _NON_ASCII_SESSION):
        if change.year == year:
            days |= {change, _weekday(change, offset=-1)}
    together = year <= _GENERATED_TOGETHER_UNTIL
    return EraYear(
        year=year,
        sessions={day: _quotes(day) for day in sorted(days)},
        by_ticker=year <= _BY_TICKER_UNTIL,
        generated=_GENERATED_TOGETHER if together else max(days),
        streamed=unfinished,
    )


def label(session: date) -> str:
    """MODREF of a session."""
    return [name for since, name in LABELS if since <= session][-1]


def _quotes(session: date) -> tuple[Quote, ...]:
    lines = [line for number in range(len(_PAPERS)) for line in _paper(session, number)]
    return tuple(sorted(lines, key=lambda quote: (quote.tpmerc, quote.codneg, quote.prazot)))


def _paper(session: date, number: int) -> list[Quote]:
    """A paper's lines: cash and odd lot, and of the first paper every other market."""
    old_ticker, new_ticker, company, old_class, new_class, factor = _PAPERS[number]
    has_isin = session >= FIRST_ISIN
    ticker = new_ticker if has_isin else old_ticker
    expiry = session + timedelta(days=30)
    cents = 10_000 * (number + 1) + 100 * session.month + session.day
    paper = Quote(
        codneg=ticker,
        nomres="SIMULADA É" if session == _NON_ASCII_SESSION and number == 0 else company,
        especi=new_class if has_isin else old_class,
        modref=label(session),
        fatcot=factor,
        codisi=_isin(number) if has_isin else _internal_code(number),
        dismes=100 + number,
    )
    lines = [
        _traded(paper, cents, 1_000_000 * session.day),
        _traded(paper, cents + 3, 1_000 * session.month, codneg=f"{ticker}F", tpmerc="020", codbdi="96"),
    ]
    if number == 0:
        forward = {"codneg": f"{ticker}T", "tpmerc": "030", "codbdi": "62"}
        series = {"codneg": f"{ticker[:3]}A12", "nomres": f"{ticker[:3]}E", "prazot": "000"}
        terms = {"datven": expiry, "preexe": _money(cents), "indopc": "1"}
        in_points = {"datven": expiry, "ptoexe": Decimal("1234.567891"), "indopc": "2"}
        lines += [
            _traded(paper, cents + 50, 30_000, **forward, prazot="030"),
            _traded(paper, cents + 90, 60_000, **forward, prazot="060"),
            _traded(paper, 217, 50_000, **series, **terms, tpmerc="070", codbdi="78"),
            _traded(
                paper,
                93,
                40_000,
                **series | {"codneg": f"{ticker[:3]}M12"},
                **in_points,
                tpmerc="080",
                codbdi="82",
            ),
            _traded(
                paper,
                cents,
                7_000,
                **series | {"codneg": f"{ticker[:3]}A12E"},
                **terms,
                tpmerc="012",
                codbdi="38",
            ),
            _traded(paper, cents, 2_000, codneg=f"{ticker}L", tpmerc="021", codbdi="93"),
        ]
    return lines


def _traded(paper: Quote, cents: int, quantity: int, **fields: Any) -> Quote:
    """A line of a paper that traded around a price in cents for `fatcot` units; odd prices have no bid."""
    return replace(
        paper,
        preabe=_money(cents - 10),
        premax=_money(cents + 25),
        premin=_money(cents - 20),
        premed=_money(cents + 1),
        preult=_money(cents),
        preofc=_money(0 if cents % 2 else cents - 1),
        preofv=_money(cents + 2),
        totneg=min(quantity // 100, 99_999),
        quatot=quantity,
        voltot=_money((cents + 1) * quantity // paper.fatcot),
        **fields,
    )


def _money(cents: int) -> Decimal:
    return Decimal(cents).scaleb(-2)


def _isin(number: int) -> str:
    code = _PAPERS[number][1][:4]
    return isin_with_check_digit(f"BR{code}{_ISIN_TYPES[number]}")


def _internal_code(number: int) -> str:
    """A code with blanks; one paper has none at all."""
    old_ticker, _, _, old_class, *_ = _PAPERS[number]
    return "" if number == 2 else f"{old_ticker[:3]} {number:02d} {old_class.split()[0]}"


def _weekday(day: date, *, offset: int = 0) -> date:
    """The first weekday from that day on, or the one that many before or after it."""
    weekday: date = np.busday_offset(np.datetime64(day), offset, roll="forward").astype(object)
    return weekday
