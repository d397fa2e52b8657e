"""Closing prices of the simulated market: a walk that follows from the seed, a row a weekday.

Log prices revert slowly to an anchor and move with the market, their sector, their company and a little on
their own. How much they move changes: calm and stormy stretches of weeks or months follow one another, and
falls bring storms. What a paper pays or splits into is taken off its price on the day on which it goes ex,
and made up for in between (`actions`). Shocks are drawn a calendar year at a time, so that a date costs the
years since EPOCH once in a process, and then nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from sandbox.b3.actions import CorporateActions
from sandbox.b3.universe import EPOCH, FUND_SECTOR, SECTORS, Listing

Floats = NDArray[np.float64]

_WALK_STREAM = 1
_REVERSION = 0.35 / 252  # a session: prices forget half a shock in two years
# Standard deviations of a day's log returns, in the long run
MARKET_NOISE = 0.0105
_SECTOR_NOISE, _CLASS_NOISE = 0.009, 0.004
# The market's log volatility: it forgets half a shock in seven weeks, and a fall raises it
_MEMORY, _SPREAD, _LEVERAGE = 0.98, 0.4, -0.5


@dataclass(frozen=True, slots=True)
class _Year:
    """A row a weekday, after the row that the year starts from.

    Attributes:
        deviations: Of log prices from their anchors, a column a listing.
        agitation: The market's log volatility after that day, less its mean.
    """

    deviations: Floats
    agitation: Floats


class Prices:
    """Closes of all listings, whether they trade or not, and how volatile the market is.

    Args:
        seed: Of the market.
        listings: What there are prices of.
        actions: Their corporate actions.

    Attributes:
        noise: Standard deviation of each one's daily log return, in the long run.
    """

    def __init__(self, seed: int, listings: Sequence[Listing], actions: CorporateActions) -> None:
        self._seed = seed
        self._actions = actions
        self._anchor = np.array([listing.anchor for listing in listings])
        self._beta = np.array([listing.beta for listing in listings])
        self._own_noise = np.array([listing.noise for listing in listings])
        self._company = np.array([listing.company_number for listing in listings])
        self._sector = np.array([listing.sector for listing in listings])
        sector_noise = np.where(self._sector == FUND_SECTOR, 0.0, _SECTOR_NOISE)
        self.noise: Floats = np.sqrt(
            (self._beta * MARKET_NOISE) ** 2 + sector_noise**2 + self._own_noise**2 + _CLASS_NOISE**2
        )
        self._years: dict[int, _Year] = {}

    def closes(self, day: date) -> Floats:
        """Price in BRL for one unit of each listing, at the end of a day.

        Raises:
            ValueError: the day is before EPOCH.
        """
        year, row = self._row(day)
        prices: Floats = self._anchor * np.exp(year.deviations[row] + self._actions.lift(day))
        return prices

    def undisturbed(self, day: date) -> Floats:
        """The closes as they would be if no listing had ever paid or split: what its holder has.

        Raises:
            ValueError: the day is before EPOCH.
        """
        undisturbed: Floats = self.closes(day) * np.exp(-self._actions.fallen(day))
        return undisturbed

    def closes_ex(self, before: date, day: date) -> Floats:
        """The closes of a day before, without what has left each listing by `day`.

        Raises:
            ValueError: the day is before EPOCH.
        """
        left: Floats = np.exp(self._actions.fallen(day) - self._actions.fallen(before))
        return self.closes(before) * left

    def volatility(self, day: date) -> float:
        """How volatile the market is on a day: its standard deviation, by that of the long run."""
        year, row = self._row(day)
        return float(_volatility(year.agitation[max(row - 1, 0)]))

    def _row(self, day: date) -> tuple[_Year, int]:
        if day < EPOCH:
            raise ValueError(f"the simulated market starts on {EPOCH}, after {day}; ask for a later date")
        for missing in range(max(self._years, default=EPOCH.year - 1) + 1, day.year + 1):
            self._years[missing] = self._walk(missing)
        weekdays = int(np.busday_count(date(day.year, 1, 1), day + timedelta(days=1)))
        return self._years[day.year], weekdays

    def _walk(self, year: int) -> _Year:
        rng = np.random.default_rng([self._seed, _WALK_STREAM, year])
        before = self._years.get(year - 1)
        days = int(np.busday_count(date(year, 1, 1), date(year + 1, 1, 1)))
        market, more = rng.normal(size=(2, days))
        agitation = np.empty(days + 1)
        agitation[0] = before.agitation[-1] if before else 0.0
        surprise = _LEVERAGE * market + np.sqrt(1 - _LEVERAGE**2) * more
        for day in range(days):
            agitation[day + 1] = _MEMORY * agitation[day] + (
                _SPREAD * np.sqrt(1 - _MEMORY**2) * surprise[day]
            )
        shocks = self._shocks(rng, market, _volatility(agitation[:-1]))
        kept = (1 - _REVERSION) ** np.arange(1, days + 1)[:, np.newaxis]
        start = before.deviations[-1] if before else np.zeros(len(self._anchor))
        later = kept * (start + np.cumsum(shocks / kept, axis=0))
        return _Year(np.vstack([start, later]), agitation)

    def _shocks(self, rng: np.random.Generator, market: Floats, volatility: Floats) -> Floats:
        """Log returns but for the reversion, a row a day."""
        days = len(market)
        sector = rng.normal(0, _SECTOR_NOISE, size=(days, len(SECTORS) + 1))
        sector[:, FUND_SECTOR] = 0
        # Fat tails: every session has its gainers and losers
        company = rng.standard_t(5, size=(days, int(self._company.max()) + 1)) / np.sqrt(5 / 3)
        own = rng.normal(0, _CLASS_NOISE, size=(days, len(self._anchor)))
        market = MARKET_NOISE * volatility * market
        # What happens to a company or a sector is agitated by the market, too, if less
        particular = sector[:, self._sector] + self._own_noise * company[:, self._company] + own
        shocks: Floats = np.outer(market, self._beta) + np.sqrt(volatility)[:, np.newaxis] * particular
        return shocks


def in_cents(price: Floats, fatcot: NDArray[np.int64] | int = 1) -> NDArray[np.int64]:
    """Prices in BRL for one unit, as they are quoted: in cents for `fatcot` units, one at least."""
    return np.maximum(np.rint(price * fatcot * 100), 1).astype(np.int64)


def _volatility(agitation: Floats) -> Floats:
    """So that the market's variance is 1 on average."""
    volatility: Floats = np.exp(agitation - _SPREAD**2)
    return volatility
