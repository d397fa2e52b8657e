"""What the simulated indices are made of: shares by a rule each, chosen anew every four months, as B3 does.

The rules are B3's in spirit: the most traded, the largest or smallest by value, the highest dividends, a
sector. Which shares they choose follows from the seed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from sandbox.b3.actions import CorporateActions
from sandbox.b3.prices import Prices, in_cents
from sandbox.b3.sessions import first_session_of, last_session_until
from sandbox.b3.universe import EPOCH, SECTORS, Listing

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_REBALANCE_STREAM = 3
_DIVIDENDS_STREAM = 103
_LEVEL = 17_000  # points, on the first day
_MONTHS = 4  # from a rebalance to the next: January, May, September
_FIRST_PERIOD = EPOCH.year * 12 // _MONTHS
_SEASONING = timedelta(days=120)  # a share is not in the index before it has been listed so long


IBOV = "IBOV"


@dataclass(frozen=True, slots=True)
class _Share:
    """What a rule knows of a share: its rank from 0 (the most traded, valued, paying) to 1, and its sector.

    Attributes:
        traded: By turnover.
        value: By the value of its free float.
        dividends: By the dividends that it pays, which are drawn.
        sector: Its sector's name.
    """

    traded: float
    value: float
    dividends: float
    sector: str


def _sector(*beginnings: str) -> Callable[[_Share], bool]:
    return lambda share: share.sector.startswith(beginnings)


_RULES: Mapping[str, Callable[[_Share], bool]] = {
    "IBXX": lambda share: share.traded < 0.8,
    "IBXL": lambda share: share.traded < 0.4,
    "IBRA": lambda share: share.traded < 0.95,
    "MLCX": lambda share: share.value < 0.3,
    "SMLL": lambda share: share.value >= 0.3 and share.traded < 0.95,
    "IDIV": lambda share: share.dividends < 0.35 and share.traded < 0.8,
    "IFNC": _sector("Financeiro"),
    "IMAT": _sector("Mats Básicos"),
    "ICON": _sector("Cons"),
    "INDX": _sector("Bens Indls", "Mats Básicos", "Cons"),
    "IEEX": _sector("Utilidade Públ / Energia"),
    "UTIL": _sector("Utilidade Públ"),
}

INDICES = (IBOV, *_RULES)
"""The indices that the simulated B3 has a portfolio of."""


class Index:
    """The portfolios of an index, one after the other.

    A share enters and leaves on the first session of January, May or September alone, so whatever leaves the
    market has left the index before. Between two rebalances a quantity changes only as a share goes ex: it
    becomes several, or several one, and what it pays buys more of it, as in B3's index up to 2013 (since then
    B3 lowers the divisor instead, which for the index's change is the same to the first order). So the index
    is of total returns, and its divisor is constant for ever: a rebalance scales the new quantities, so that
    the index goes on from where it was. Prices are those that are quoted, to the cent.

    Args:
        seed: Of the market.
        listings: What is ever listed; the most traded 5/8 of the shares that are listed make the IBOV.
        prices: Their prices.
        actions: Their corporate actions.
        code: Which of `INDICES` it is.

    Attributes:
        reductor_units: The divisor, in units of 0.00000001, as B3 publishes it.
    """

    def __init__(
        self,
        seed: int,
        listings: Sequence[Listing],
        prices: Prices,
        actions: CorporateActions,
        code: str = IBOV,
    ) -> None:
        self._seed = seed
        self._rule = _RULES.get(code)
        self._listings = listings
        self._prices = prices
        self._actions = actions
        self._turnover = np.array([listing.turnover for listing in listings])
        self._free_float = np.array([listing.free_float for listing in listings])
        first = self._compose(_FIRST_PERIOD)
        self._fatcot = np.array([listing.fatcot for listing in listings])
        value = first @ self._closes(EPOCH)
        self.reductor_units = round(float(value) / _LEVEL * 10**8)
        self._compositions = [first]

    def quantities(self, day: date) -> Ints:
        """Theoretical quantity of each listing on a day, 0 outside the index."""
        period = (day.year * 12 + day.month - 1) // _MONTHS
        if day < _first_day(period):
            period -= 1
        later = max(period - _FIRST_PERIOD, 0)
        while len(self._compositions) <= later:
            self._rebalance()
        return self._reinvested(self._compositions[later], _first_day(_FIRST_PERIOD + later), day)

    def level(self, day: date) -> float:
        """The level at the close of a day, in points."""
        return float(self.quantities(day) @ self._closes(day)) * 10**8 / self.reductor_units

    def opening_values(self, before: date, day: date) -> Floats:
        """The worth of a day's holdings at the close of a session before, less what left them since [BRL]."""
        fallen = np.exp(self._actions.fallen(day) - self._actions.fallen(before))
        values: Floats = self.quantities(day) * self._closes(before) * fallen
        return values

    def _closes(self, day: date) -> Floats:
        closes: Floats = in_cents(self._prices.closes(day), self._fatcot) / (100 * self._fatcot)
        return closes

    def _reinvested(self, quantities: Ints, since: date, day: date) -> Ints:
        """Quantities of a day on a later one, with all that has left the shares since put into them."""
        growth = self._actions.fallen(since) - self._actions.fallen(day)
        return quantities if not growth.any() else np.rint(quantities * np.exp(growth)).astype(np.int64)

    def _rebalance(self) -> None:
        period = _FIRST_PERIOD + len(self._compositions)
        first = _first_day(period)
        before = self._reinvested(self._compositions[-1], _first_day(period - 1), first)
        after = self._compose(period)
        last = last_session_until(first - timedelta(days=1))
        closes = self._closes(last) * np.exp(self._actions.fallen(first) - self._actions.fallen(last))
        scale = (before @ closes) / (after @ closes)
        self._compositions.append(np.rint(after * scale).astype(np.int64))

    def _compose(self, period: int) -> Ints:
        """The most traded of those that have been listed for a while and stay until the next rebalance."""
        since, until = _first_day(period), _first_day(period + 1)
        listed = np.array([listing.is_share and listing.is_listed(since) for listing in self._listings])
        eligible = [
            listing.listed_from + _SEASONING <= since
            and (listing.listed_until is None or listing.listed_until >= until)
            for listing in self._listings
        ]
        rng = np.random.default_rng([self._seed, _REBALANCE_STREAM, period])
        traded = self._turnover * np.exp(rng.normal(0, 0.08, size=len(listed)))
        # A share that is about to split is dear, and few there are
        few = self._actions.lift(since)
        free_float = self._free_float * np.exp(rng.normal(0, 0.02, size=len(listed)) - few)
        ranked = np.argsort(np.where(listed & eligible, -traded, 0), kind="stable")
        members = ranked[: int(listed.sum()) * 5 // 8]
        if self._rule:
            members = self._by_rule(self._rule, np.flatnonzero(listed & eligible), traded)
        quantities = np.zeros(len(listed), np.int64)
        quantities[members] = np.rint(free_float[members])
        return quantities

    def _by_rule(self, rule: Callable[[_Share], bool], candidates: Ints, traded: Floats) -> Ints:
        anchor = np.array([listing.anchor for listing in self._listings])
        yields = np.random.default_rng([self._seed, _DIVIDENDS_STREAM]).random(len(anchor))
        ranks = [_ranks(by[candidates]) for by in (traded, self._free_float * anchor, yields)]
        chosen = [
            n
            for n, by_traded, by_value, by_yield in zip(candidates.tolist(), *ranks, strict=True)
            if rule(_Share(by_traded, by_value, by_yield, SECTORS[self._listings[n].sector]))
        ]
        # A small market may have no share of a kind; a portfolio without a stock is none
        return np.array(chosen or candidates[:1].tolist(), np.int64)


def _ranks(values: Floats) -> list[float]:
    """Of each value the share of the others that are larger."""
    order = np.argsort(np.argsort(-values, kind="stable"), kind="stable")
    return [float(place) / max(len(values), 1) for place in order]


def _first_day(period: int) -> date:
    year, third = divmod(period, 12 // _MONTHS)
    return first_session_of(year, third * _MONTHS + 1)
