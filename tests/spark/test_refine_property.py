"""Whatever is traded, the job's rows are those of a second refinement, in plain Python, and reconcile."""

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from refinement.transform import collected, reconcile, transform
from sandbox.b3.formats import Quote
from tests.spark.rows import SESSION, Members, dates_of, portfolios_frame, quotes_frame, repeating, sums_of

pytestmark = pytest.mark.xdist_group("spark")

ISINS = ("BRAAAAACNOR1", "BRAAAAACNPR2", "BRBBBBACNOR3", "ZIND", "")
NAMES = (
    "AAAA3",
    "AAAA3F",
    "AAAA4",
    "AAAA4F",
    "BBBB3",
    "BBBB3F",
    "F",
    "AAAAC10",
    "AAA C1",
    "ZINDC10",
    "A/B=C",
)
SERIES = ("012", "013", "070", "080")
MARKETS = ("010", "012", "013", "017", "020", "021", "030", "070", "080")


def cents(digits: int) -> st.SearchStrategy[Decimal]:
    return st.integers(0, 10**digits - 1).map(lambda number: Decimal(number).scaleb(-2))


# Few values of each kind, so that lines meet: the same stock, the same name, the same volume
LINES = st.builds(
    Quote,
    codneg=st.sampled_from(NAMES),
    tpmerc=st.sampled_from(MARKETS),
    nomres=st.sampled_from(("ALFA", "BETA")),
    especi=st.sampled_from(("ON", "PN  ED")),
    preabe=cents(13),
    premax=cents(13),
    premin=cents(13),
    premed=cents(4),
    preult=cents(6),
    preofc=cents(1),
    preofv=cents(1),
    totneg=st.integers(0, 99_999),
    quatot=st.integers(0, 10**12),
    voltot=st.one_of(st.sampled_from((Decimal("0.00"), Decimal("5.00"))), cents(18)),
    datven=st.one_of(st.none(), st.integers(0, 40).map(lambda days: SESSION + timedelta(days=days))),
    fatcot=st.sampled_from((0, 1, 3, 7, 100, 1000, 9_999_999)),
    codisi=st.sampled_from(ISINS),
)
DAYS = st.dates(SESSION, SESSION + timedelta(days=10))
PORTFOLIOS = st.dictionaries(
    st.dates(SESSION - timedelta(days=5), SESSION + timedelta(days=10)),
    st.dictionaries(
        st.sampled_from(("AAAA3", "AAAA4", "ZIND")),
        st.tuples(st.sampled_from(("1.234", "98.766")), st.sampled_from((None, "Financeiro"))),
        min_size=1,
    ),
    max_size=4,
)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(
    sessions=st.dictionaries(DAYS, st.lists(LINES, min_size=1, max_size=25), min_size=1, max_size=8),
    portfolios=PORTFOLIOS,
)
def test_rows_are_those_of_a_second_refinement_and_nothing_is_lost(
    spark: SparkSession, sessions: dict[date, list[Quote]], portfolios: dict[date, Members]
) -> None:
    # A lone odd lot called F would have no ticker, which the job refuses
    sessions = {
        day: [line for line in lines if line.codneg != "F" or line.tpmerc != "020"]
        for day, lines in sessions.items()
    }
    frames = quotes_frame(spark, sessions), portfolios_frame(spark, portfolios)
    refined = collected(transform(*frames, dates_of(portfolios), repeating(sessions)))

    expected = [row for day, lines in sessions.items() for row in refine_again(day, lines, portfolios)]
    assert sorted(refined.to_pylist(), key=_key) == sorted(expected, key=_key)
    assert sum(session.lines for session in reconcile(sums_of(sessions), refined)) == sum(
        map(len, sessions.values())
    )


def _key(row: Mapping[str, Any]) -> tuple[date, str]:
    return row["trade_date"], row["ticker"]


def refine_again(
    day: date, lines: Iterable[Quote], portfolios: Mapping[date, Members]
) -> list[dict[str, Any]]:
    """The design's table, read once more."""
    stocks: dict[str, list[Quote]] = {}
    for line in lines:
        stocks.setdefault(line.codisi or f"no ISIN: {_own_name(line)}", []).append(line)
    named_alike: dict[str, set[str]] = {}
    for stock in stocks.values():
        named_alike.setdefault(_own_name(_naming_line(stock)), set()).add(stock[0].codisi)
    tickers: dict[str, list[Quote]] = {}
    for stock in stocks.values():
        first = _naming_line(stock)
        ticker = _own_name(first)
        if first.tpmerc in SERIES and len(named_alike[ticker] - {""}) > 1:
            ticker += {"ON": "3", "PN": "4"}[first.especi.split()[0]]
        tickers.setdefault(ticker, []).extend(stock)
    return [_row(day, ticker, group, portfolios) for ticker, group in tickers.items()]


def _own_name(line: Quote) -> str:
    match line.tpmerc:
        case "010":
            return line.codneg
        case "020":
            return line.codneg[:-1] if line.codneg.endswith("F") else line.codneg
        case market if market in SERIES:
            return line.codneg[:4].rstrip()
        case _:
            ends_in_suffix = line.codneg[-1:].isalpha() and line.codneg[-2:-1].isdigit()
            return line.codneg[:-1] if ends_in_suffix else line.codneg


def _naming_line(lines: list[Quote]) -> Quote:
    for markets in (("010",), ("020",), set(MARKETS) - set(SERIES)):
        candidates = [line for line in lines if line.tpmerc in markets]
        if candidates:
            break
    else:
        candidates = lines
    return min(candidates, key=_naming_order)


def _naming_order(line: Quote) -> tuple[Any, ...]:
    texts = (_own_name(line), line.codisi, line.nomres, line.especi)
    prices = [Decimal(-1) if price is None else price for price in _prices(line).values()]
    return (-line.voltot, *texts, *prices, line.dismes)


def _row(day: date, ticker: str, lines: list[Quote], portfolios: Mapping[date, Members]) -> dict[str, Any]:
    first = _naming_line(lines)
    options = [line for line in lines if line.tpmerc in ("070", "080")]
    expiries = [line.datven for line in options if line.datven]
    consulted = max((dated for dated in portfolios if dated <= day), default=None)
    weight, sector = portfolios[consulted].get(ticker, (None, None)) if consulted else (None, None)
    named = {"010": "cash", "020": "odd_lot", "030": "forward", "070": "call", "080": "put"}
    volumes = dict.fromkeys([*named.values(), "other"], Decimal(0))
    for line in lines:
        volumes[named.get(line.tpmerc, "other")] += line.voltot
    return {
        "trade_date": day,
        "ticker": ticker,
        "isin": first.codisi or None,
        "company": first.nomres,
        "share_class": first.especi,
        **_prices(first),
        # Of fewer than fifty lines none is doubted but one that has a volume without a trade
        "trades": None
        if any(line.voltot and not line.totneg for line in lines)
        else sum(line.totneg for line in lines),
        "quantity": sum(line.quatot for line in lines),
        "volume": sum(volumes.values()),
        **{f"{market}_volume": volume for market, volume in volumes.items()},
        "option_series": len({line.codneg for line in options}),
        "put_call_ratio": float(volumes["put"]) / float(volumes["call"]) if volumes["call"] else None,
        "next_expiry": min(expiries, default=None),
        "days_to_expiry": (min(expiries) - day).days if expiries else None,
        "lines": len(lines),
        "index_weight": Decimal(weight) if weight else None,
        "sector": sector,
        "portfolio_date": consulted,
        "portfolio_age_days": (day - consulted).days if consulted else None,
        "security_type": "index" if first.codisi[6:9] == "IND" else "share",
        "bulletin_code": first.codbdi,
        "currency": "BRL",
        "distribution_number": first.dismes if first.tpmerc == "010" else None,
    }


def _prices(line: Quote) -> dict[str, Decimal | None]:
    fields = {
        "open": line.preabe,
        "high": line.premax,
        "low": line.premin,
        "close": line.preult,
        "average_price": line.premed,
        "best_bid": line.preofc or None,
        "best_ask": line.preofv or None,
    }
    if line.tpmerc != "010" or not line.fatcot:
        return dict.fromkeys(fields)
    return {
        name: None if price is None else (price / line.fatcot).quantize(Decimal("0.000001"), ROUND_HALF_UP)
        for name, price in fields.items()
    }
