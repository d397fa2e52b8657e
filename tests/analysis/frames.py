"""Frames as Athena answers them, for the tests of charts and report: decimals, nullable numbers, dates."""

from __future__ import annotations

import math
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd

from analysis.athena import Window
from analysis.session_page import Session

FIRST = date(2031, 1, 6)
LONG_SECTOR = "Utilidade Pública e Serviços Essenciais / Água, Esgoto e Saneamento Básico"


def weekdays(count: int) -> list[date]:
    """So many sessions from `FIRST` on."""
    days = (FIRST + timedelta(days=n) for n in range(2 * count))
    return [day for day in days if day.weekday() < 5][:count]


def breadth(sessions: int = 60) -> pd.DataFrame:
    rows = range(sessions)
    return pd.DataFrame(
        {
            "trade_date": weekdays(sessions),
            "advances": pd.array([300 + 37 * n % 211 for n in rows], dtype="Int64"),
            "declines": pd.array([280 + 53 * n % 190 for n in rows], dtype="Int64"),
            "unchanged": pd.array([20 + n % 7 for n in rows], dtype="Int64"),
        }
    )


def sectors(count: int = 12) -> pd.DataFrame:
    names: list[Any] = [f"Setor {n:02d} / Ramo {n}" for n in range(count - 2)]
    return pd.DataFrame(
        {
            "sector": [*names, LONG_SECTOR, None],
            "volume": [Decimal(9_876_543_210) / (n + 1) ** 2 for n in range(count)],
        }
    )


def candles(sessions: int = 60) -> pd.DataFrame:
    closes = [Decimal(2000 + 31 * n % 173 + 2 * n) / 100 for n in range(sessions)]
    opens = [closes[0], *closes[:-1]]
    frame = pd.DataFrame(
        {
            "trade_date": weekdays(sessions),
            "open": opens,
            "high": [max(pair) + Decimal("0.11") for pair in zip(opens, closes, strict=True)],
            "low": [min(pair) - Decimal("0.09") for pair in zip(opens, closes, strict=True)],
            "close": closes,
            "volume": [Decimal(50_000_000 + 7_000_000 * (n % 9)) for n in range(sessions)],
        }
    )
    for count in (5, 20, 200):
        frame[f"average_{count}"] = frame["close"].astype(float).rolling(count).mean()
    return frame


def returns(sessions: int = 259, *, unproven: int = 0) -> pd.DataFrame:
    """Closes in equal shares and with distributions reinvested, the first ones not proven."""
    rows = range(sessions)
    price = [20 + n * 29 % 37 / 60 + 3 * math.sin(n / 17) + n / 60 for n in rows]
    total = [
        value * (0.88 + 0.12 * (n // 30) / max((sessions - 1) // 30, 1)) for n, value in enumerate(price)
    ]
    why = "2031-03-12: the distribution number rose from 7 to 8, and B3 states no event"
    return pd.DataFrame(
        {
            "trade_date": weekdays(sessions),
            "adjusted": [None if n < unproven else price[n] for n in rows],
            "total_return": [None if n < unproven else total[n] for n in rows],
            "reason": [why if n < unproven else None for n in rows],
        }
    )


def ex_events(sessions: int = 259, *, every: int = 30) -> pd.DataFrame:
    """An event in every thirtieth session, of most kinds, and two on the first date."""
    days = weekdays(sessions)[every::every]
    kinds = ["dividend", "interest", "split", "income", "interest", "bonus", "subscription", "reverse_split"]
    kinds += ["income"] * len(days)
    ratios = {"split": Decimal("2"), "bonus": Decimal("1.1"), "reverse_split": Decimal("0.1")}
    rows: list[dict[str, Any]] = [
        {
            "ex_date": day,
            "kind": kind,
            "ratio": ratios.get(kind),
            "amount": None if kind in ratios else Decimal("0.41000000000") / (n + 1),
        }
        for n, (day, kind) in enumerate(zip(days, kinds, strict=False))
    ]
    if rows:
        rows.append({**rows[0], "kind": "interest", "amount": Decimal("0.0612")})
    return pd.DataFrame(rows, columns=["ex_date", "kind", "ratio", "amount"])


def index(count: int = 80) -> pd.DataFrame:
    weights = [Decimal(1000) / (n + 3) for n in range(count)]
    total = sum(weights)
    changes: list[float | None] = [(n * 37 % 101 - 50) / 14 for n in range(count)]
    changes[7] = None
    return pd.DataFrame(
        {
            "ticker": [f"ZX{chr(65 + n // 26)}{chr(65 + n % 26)}{(3, 4, 11)[n % 3]}" for n in range(count)],
            "sector": [None if n % 19 == 18 else f"Setor {n % 9} / Ramo {n % 4}" for n in range(count)],
            "index_weight": [(100 * weight / total).quantize(Decimal("0.001")) for weight in weights],
            "change_percent": changes,
        }
    )


def levels(sessions: int = 60, *, without: int = 0) -> pd.DataFrame:
    """An index's closes, and beside them those of a stock, null in the first sessions."""
    rows = range(sessions)
    return pd.DataFrame(
        {
            "trade_date": weekdays(sessions),
            "level": [120_000.0 + 700 * n + 900 * math.sin(n) for n in rows],
            "note": [None for _ in rows],
            "stock": [None if n < without else 20 + n / 5 + 0.7 * math.sin(n / 3) for n in rows],
        }
    )


def options(sessions: int = 60) -> pd.DataFrame:
    rows = range(sessions)
    return pd.DataFrame(
        {
            "trade_date": weekdays(sessions),
            "call_volume": [Decimal(300_000_000 + 41_000_000 * (n % 7)) for n in rows],
            "put_volume": [Decimal(280_000_000 + 53_000_000 * (n * 3 % 8)) for n in rows],
        }
    )


def risk(count: int = 60) -> pd.DataFrame:
    tickers = index(count)
    return pd.DataFrame(
        {
            "ticker": tickers["ticker"],
            "sector": tickers["sector"],
            "volatility_percent": [18 + n * 29 % 47 + n / 10 for n in range(count)],
            "return_percent": [n * 41 % 59 - 27 + n / 10 for n in range(count)],
            "volume": [Decimal(4_000_000_000) / (n + 1) for n in range(count)],
        }
    )


def expiries() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "next_expiry": [date(2031, 4, 18), date(2031, 3, 21), date(2031, 5, 16)],
            "days_to_expiry": [35, 0, 63],
            "stocks": [4, 61, 1],
            "option_series": [9, 2714, 1],
            "volume": [Decimal("21200000.40"), Decimal("430000000.00"), Decimal("1530.55")],
        }
    )


_STOCK: dict[str, Any] = {
    "ticker": "ZXAA3",
    "company": "SIMULADA 001",
    "security_type": "share",
    "currency": "BRL",
    "open": Decimal("10.000000"),
    "close": Decimal("10.500000"),
    "previous_close": Decimal("10.000000"),
    "trades": 100,
    "volume": Decimal("2000000.10"),
    "cash_volume": Decimal("2000000.10"),
    "odd_lot_volume": Decimal("0.00"),
    "forward_volume": Decimal("0.00"),
    "call_volume": Decimal("0.00"),
    "put_volume": Decimal("0.00"),
    "other_volume": Decimal("0.00"),
    "option_series": 0,
    "next_expiry": None,
    "days_to_expiry": None,
    "index_weight": None,
    "sector": None,
    "portfolio_date": date(2031, 3, 13),
    "lines": 2,
}


def stock(ticker: str, **fields: Any) -> dict[str, Any]:
    """A row of the session's stocks: a cash line that rose from 10.00 to 10.50, and what differs."""
    return {**_STOCK, "ticker": ticker, **fields}


def event(ticker: str, **fields: Any) -> dict[str, Any]:
    """An event of the session: 0.50 of 10.00, proven, and what differs."""
    proven = {
        "kind": "dividend",
        "ratio": None,
        "amount": Decimal("0.50000000000"),
        "percent": 5.0,
        "status": "proven",
        "reason": None,
    }
    return {"ticker": ticker, **proven, **fields}


def session(stocks: list[dict[str, Any]], *, sessions: int = 2, **fields: Any) -> Session:
    """A session of these stocks, the last of so many; the raw quotes agree unless told otherwise."""
    frame = pd.DataFrame(stocks).astype({"trades": "Int64", "lines": "Int32", "days_to_expiry": "Int32"})
    days = tuple(weekdays(sessions))
    history = breadth(sessions).merge(options(sessions), on="trade_date")
    values: dict[str, Any] = {
        "window": Window(sessions=days, wanted=60, before=days[0]),
        "stocks": frame,
        "events": pd.DataFrame([event("ZXAA3")]),
        "history": history,
        "index": "IBOV",
        "levels": levels(sessions),
        "beside": "ZXAA3",
        "raw_lines": int(frame["lines"].sum()),
        "raw_volume": sum(frame["volume"], Decimal(0)),
        "simulated": True,
    }
    return Session(**{**values, **fields})
