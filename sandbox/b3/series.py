"""Option series of the simulated market: expiries, strikes, codes and what they are worth."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from sandbox.b3.prices import Floats
from sandbox.b3.sessions import last_session_until

_MONTH_LETTERS = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWX"), dtype="S1")  # calls, then puts, by month
INTEREST = 0.10  # a year
# How an expiry's share of the series falls from month to month, and how far from the money series trade
_LOG_MONTH_WEIGHT = np.log([0.40, 0.28, 0.10, 0.07, 0.04, 0.03, 0.02, 0.02, 0.01, 0.01, 0.01, 0.01])
# Rather a round strike than one between: the fourth of the ladder, the second, the first and third
_ROUND_STRIKE = np.array([1.2, 0.0, 0.6, 0.0])
_FRIDAY, _WEDNESDAY = 4, 2

_erf = np.frompyfunc(math.erf, 1, 1)


def share_expiry(year: int, month: int) -> date:
    """The session on which a month's options on shares expire: the third Friday or the one before it."""
    first = date(year, month, 1)
    return last_session_until(first + timedelta(days=(_FRIDAY - first.weekday()) % 7 + 14))


def index_expiry(year: int, month: int) -> date:
    """The session of a month's options on the index: the Wednesday nearest the 15th or the one before it."""
    twelfth = date(year, month, 12)
    return last_session_until(twelfth + timedelta(days=(_WEDNESDAY - twelfth.weekday()) % 7))


@dataclass(frozen=True, slots=True)
class Series:
    """Series of one underlying that trade in a session, in columns.

    Attributes:
        month: Which of the next twelve expiries, from 0.
        strike: Strike in cents, or in hundredths of a point.
        is_call: Call or put.
        interest: Share of what trades in the underlying's options.
        in_the_money: Whether it is, at the underlying's close.
    """

    month: NDArray[np.intp]
    strike: NDArray[np.int64]
    is_call: NDArray[np.bool_]
    interest: Floats
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


def draw_series(
    rng: np.random.Generator,
    *,
    close: float,
    volatility: float,
    strike_step: int,
    years: Floats,
    count: int,
    puts: float,
) -> Series:
    """Draw the series that trade: most of them near the money and near expiry, rather out of the money.

    Args:
        rng: Where chance comes from.
        close: The underlying's close, BRL or points.
        volatility: Standard deviation of its log return in a year.
        strike_step: Distance between strikes, in cents or hundredths of a point; constant for ever, so that a
            series keeps its code.
        years: Time to each of the next expiries, twelve at most.
        count: How many series.
        puts: Logarithm of what puts trade, by what calls do.
    """
    first, last = (int(close * 100 * share) // strike_step + 1 for share in (0.55, 1.6))
    steps = np.arange(max(first, 1), last + 1)
    ladder = steps * strike_step
    # A row a month, a column a strike
    distance = np.log(ladder / (close * 100)) / (volatility * np.sqrt(years + 0.06))[:, np.newaxis]
    base = _LOG_MONTH_WEIGHT[: len(years), np.newaxis] + _ROUND_STRIKE[steps % 4]
    above = distance > 0
    far, near = (distance / 1.1) ** 2, (distance / 0.6) ** 2
    # A plane a month, in it a row a strike, and columns for call and put
    weight = np.empty((*distance.shape, 2))
    weight[..., 0] = base - np.where(above, far, near)
    weight[..., 1] = base - np.where(above, near, far)
    # A weighted draw without replacement: the largest of weights with noise. Little noise, as tomorrow's draw
    # is to have most of today's series
    noisy = weight.ravel() + 0.5 * rng.gumbel(size=weight.size)
    count = min(count, weight.size)
    drawn = np.sort(np.argpartition(-noisy, count - 1)[:count])
    month, row, column = np.unravel_index(drawn, weight.shape)
    share = np.exp(weight.ravel()[drawn] + puts * np.where(column == 0, -0.5, 0.5))
    return Series(
        month=month,
        strike=ladder[row],
        is_call=column == 0,
        interest=share / share.sum(),
        in_the_money=np.where(column == 0, 1, -1) * distance[month, row] < 0,
    )


def series_codes(
    underlying: NDArray[np.bytes_],
    expiry: NDArray[np.int64],
    is_call: NDArray[np.bool_],
    number: NDArray[np.int64],
) -> NDArray[np.bytes_]:
    """Tickers of series: four letters, one for month and kind (calls A to L, puts M to X), and a number.

    Args:
        underlying: The four letters.
        expiry: YYYYMMDD.
        is_call: Call or put.
        number: The number, which follows from the strike.
    """
    letter = _MONTH_LETTERS[np.where(is_call, 0, 12) + expiry // 100 % 100 - 1]
    return np.strings.add(np.strings.add(underlying, letter), number.astype("S"))


def series_values(
    path: Floats, *, volatility: Floats, strike: Floats, years: Floats, is_call: NDArray[np.bool_]
) -> Floats:
    """Open, high, low and close of series in rows, BRL, by Black and Scholes.

    Args:
        path: Open, high, low and close of each one's underlying in rows, BRL or points.
        volatility: Of its underlying.
        strike: BRL or points.
        years: Time to expiry.
        is_call: Call or put.
    """
    deviation = volatility * np.sqrt(years + 1 / 365)  # some time is left on the day of expiry
    discounted = strike * np.exp(-INTEREST * years)
    d1 = np.log(path / discounted) / deviation + deviation / 2
    call = path * _normal_cdf(d1) - discounted * _normal_cdf(d1 - deviation)
    values: Floats = np.where(is_call, call, call - path + discounted)
    values[1], values[2] = values.max(axis=0), values.min(axis=0)  # a put is dearest at the low
    return values


def _normal_cdf(deviations: Floats) -> Floats:
    cumulated: Floats = 0.5 * (1.0 + _erf(deviations / np.sqrt(2)).astype(float))
    return cumulated
