"""Option series of the simulated market: expiries, strikes, codes and what they are worth."""

import math
from collections.abc import Callable, Sequence
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
    """Series that trade in a session, in columns, by underlying.

    Attributes:
        underlying: Position of what each is on.
        month: Which of the next twelve expiries, from 0.
        strike: Strike in cents, or in hundredths of a point.
        is_call: Call or put.
        interest: Share of what trades in the underlying's options.
        in_the_money: Whether it is, at the underlying's close.
    """

    underlying: NDArray[np.intp]
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
    close: Floats,
    volatility: Floats,
    strike_step: NDArray[np.int64],
    years: Floats,
    months: NDArray[np.intp],
    counts: Sequence[int],
    puts: Floats,
) -> Series:
    """Draw the series that trade: most of them near the money and near expiry, rather out of the money.

    Args:
        rng: Where chance comes from.
        close: The underlyings' closes, BRL or points.
        volatility: Standard deviation of their log returns in a year.
        strike_step: Distance between strikes, in cents or hundredths of a point; constant for ever, so that a
            series keeps its code.
        years: Time to each of the next expiries, twelve at most, a row an underlying.
        months: How many of them there are series of.
        counts: How many series.
        puts: Logarithm of what puts trade, by what calls do.
    """
    lowest, highest = ((close * 100 * share).astype(np.int64) // strike_step + 1 for share in (0.55, 1.6))
    strikes = highest - np.maximum(lowest, 1) + 1
    # A row a strike of an underlying
    of_strike, nth = _nested(strikes)
    step = np.maximum(lowest, 1)[of_strike] + nth
    ladder = step * strike_step[of_strike]
    moneyness = np.log(ladder / (close * 100)[of_strike])
    # A row a month of an underlying
    of_month, month = _nested(months)
    deviation = volatility[of_month] * np.sqrt(years[of_month, month] + 0.06)
    # A row a strike in each month
    row, nth = _nested(strikes[of_month])
    strike = (np.cumsum(strikes) - strikes)[of_month[row]] + nth
    distance = moneyness[strike] / deviation[row]
    base = _LOG_MONTH_WEIGHT[month[row]] + _ROUND_STRIKE[step % 4][strike]
    above = distance > 0
    far, near = (distance / 1.1) ** 2, (distance / 0.6) ** 2
    # Columns for call and put
    weight = np.column_stack([base - np.where(above, far, near), base - np.where(above, near, far)]).ravel()
    # A weighted draw without replacement: the largest of weights with noise. Little noise, as tomorrow's draw
    # is to have most of today's series
    noisy = -(weight + 0.5 * rng.gumbel(size=weight.size))
    end = 0
    drawn = []
    for size, count in zip((2 * months * strikes).tolist(), counts, strict=True):
        end += size
        most = np.argpartition(noisy[end - size : end], min(count, size) - 1)[:count]
        drawn.append(end - size + np.sort(most))
    chosen = np.concatenate(drawn)
    row, strike, is_call = row[chosen // 2], strike[chosen // 2], chosen % 2 == 0
    underlying = of_month[row]
    share = np.exp(weight[chosen] + puts[underlying] * np.where(is_call, -0.5, 0.5))
    total = [part.sum() for part in np.split(share, np.cumsum([len(part) for part in drawn])[:-1])]
    return Series(
        underlying=underlying,
        month=month[row],
        strike=ladder[strike],
        is_call=is_call,
        interest=share / np.array(total)[underlying],
        in_the_money=np.where(is_call, 1, -1) * distance[chosen // 2] < 0,
    )


def _nested(counts: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """As many rows for each as its count says: which they are of, and their places there."""
    of = np.repeat(np.arange(len(counts)), counts)
    return of, np.arange(len(of)) - (np.cumsum(counts) - counts)[of]


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
    scaled = deviations / np.sqrt(2)
    erf = np.fromiter(map(math.erf, scaled.ravel().tolist()), float, scaled.size)
    cumulated: Floats = 0.5 * (1.0 + erf.reshape(scaled.shape))
    return cumulated
