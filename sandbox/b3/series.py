"""Option series of the simulated market: expiries, strikes, codes and what they are worth."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_CALL_LETTERS = "ABCDEFGHIJKL"  # January to December
_PUT_LETTERS = "MNOPQRSTUVWX"
INTEREST = 0.10  # a year
# How an expiry's share of the series falls from month to month, and how far from the money series trade
_MONTH_WEIGHT = np.array([0.40, 0.28, 0.10, 0.07, 0.04, 0.03, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01])
_FRIDAY, _WEDNESDAY = 4, 2

_normal_cdf = np.vectorize(NormalDist().cdf, otypes=[float])


def third_friday(year: int, month: int) -> date:
    """The day on which a month's options on shares expire."""
    first = date(year, month, 1)
    return first + timedelta(days=(_FRIDAY - first.weekday()) % 7 + 14)


def wednesday_nearest_15th(year: int, month: int) -> date:
    """The day on which a month's options on the index expire."""
    twelfth = date(year, month, 12)
    return twelfth + timedelta(days=(_WEDNESDAY - twelfth.weekday()) % 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Underlying:
    """What option series are written on.

    Attributes:
        code: The letters that its series begin with.
        path: Its open, high, low and close, BRL or points.
        volatility: Standard deviation of its log return in a year.
        strike_step: Distance between strikes, in cents or hundredths of a point; constant for ever, so that a
            series keeps its code.
        strike_unit: What the number in a series' code counts, likewise.
        expiries: The next twelve expiries, in order.
        turnover: What trades in it this session, BRL.
        lot: Smallest quantity of a series.
        identity: The quote fields that its series have in common.
        codbdi: Bulletin codes of its calls and puts.
    """

    code: str
    path: Floats
    volatility: float
    strike_step: int
    strike_unit: int
    expiries: tuple[date, ...]
    turnover: float
    lot: int
    identity: Mapping[str, Any]
    codbdi: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Series:
    """Series that trade in a session, in columns; `values` has open, high, low and close in its rows."""

    code: list[str]
    is_call: NDArray[np.bool_]
    strike: NDArray[np.int64]  # cents
    expiry: list[date]
    interest: Floats  # share of what trades in the underlying's options
    values: Floats  # BRL
    in_the_money: NDArray[np.bool_]


def next_expiries(trade_date: date, day_of_month: Callable[[int, int], date]) -> tuple[date, ...]:
    """The next twelve monthly expiries, that of `trade_date` itself included."""
    months = (divmod(trade_date.year * 12 + trade_date.month - 1 + ahead, 12) for ahead in range(13))
    days = (day_of_month(year, month + 1) for year, month in months)
    return tuple(day for day in days if day >= trade_date)[:12]


def strike_ladder(anchor: float) -> tuple[int, int]:
    """Distance between the strikes of a share at that price, and the unit of its codes' numbers, in cents."""
    for ceiling, step, unit in ((4, 10, 10), (10, 20, 10), (30, 50, 10), (100, 100, 10)):
        if anchor < ceiling:
            return step, unit
    return 500, 100


def draw_series(rng: np.random.Generator, underlying: Underlying, trade_date: date, count: int) -> Series:
    """Draw the series that trade: most of them near the money and near expiry, rather out of the money."""
    close = float(underlying.path[3])
    first, last = (int(close * 100 * share) // underlying.strike_step + 1 for share in (0.55, 1.6))
    ladder = np.arange(max(first, 1), last + 1) * underlying.strike_step
    month, strike, kind = (
        grid.ravel() for grid in np.meshgrid(np.arange(12), ladder, np.array([True, False]), indexing="ij")
    )
    years = np.array([(expiry - trade_date).days / 365 for expiry in underlying.expiries])[month]
    distance = np.log(strike / (close * 100)) / (underlying.volatility * np.sqrt(years + 0.06))
    out_of_the_money = np.where(kind, distance, -distance)
    weight = np.log(_MONTH_WEIGHT[month]) - np.where(
        out_of_the_money > 0, (out_of_the_money / 1.1) ** 2, (out_of_the_money / 0.6) ** 2
    )
    weight += np.select([strike // underlying.strike_step % each == 0 for each in (4, 2)], [1.2, 0.6], 0.0)
    # A weighted draw without replacement: the largest of weights with noise. Little noise, as tomorrow's draw
    # is to have most of today's series
    noise = 0.5 * rng.gumbel(size=weight.size)
    drawn = np.sort(np.argsort(-(weight + noise), kind="stable")[:count])
    month, strike, kind, years = month[drawn], strike[drawn], kind[drawn], years[drawn]
    worth = np.stack(
        [_black_scholes(spot, strike / 100, years, underlying.volatility, kind) for spot in underlying.path]
    )
    worth[1], worth[2] = worth.max(axis=0), worth.min(axis=0)  # a put is dearest at the low
    expiry = [underlying.expiries[position] for position in month]
    return Series(
        code=[
            series_code(underlying.code, day, is_call=bool(call), number=int(cents) // underlying.strike_unit)
            for day, call, cents in zip(expiry, kind, strike, strict=True)
        ],
        is_call=kind,
        strike=strike,
        expiry=expiry,
        interest=np.exp(weight[drawn]) / np.exp(weight[drawn]).sum(),
        values=worth,
        in_the_money=out_of_the_money[drawn] < 0,
    )


def series_code(underlying: str, expiry: date, *, is_call: bool, number: int) -> str:
    """A series' ticker: four letters, one for month and kind (calls A to L, puts M to X), and a number."""
    letters = _CALL_LETTERS if is_call else _PUT_LETTERS
    return f"{underlying}{letters[expiry.month - 1]}{number}"


def _black_scholes(
    spot: float, strike: Floats, years: Floats, volatility: float, is_call: NDArray[np.bool_]
) -> Floats:
    deviation = volatility * np.sqrt(years + 1 / 365)  # some time is left on the day of expiry
    discounted = strike * np.exp(-INTEREST * years)
    d1 = np.log(spot / discounted) / deviation + deviation / 2
    call = spot * _normal_cdf(d1) - discounted * _normal_cdf(d1 - deviation)
    value: Floats = np.where(is_call, call, call - spot + discounted)
    return value
