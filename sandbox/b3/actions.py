"""Corporate actions of the simulated market: what papers pay and turn into, drawn from the seed at once.

Companies pay dividends and interest on equity, split, group and give bonus shares, offer subscriptions, spin
off and update their capital nominally; real-estate funds pay each month. Receipts and ETFs do nothing of it.
What B3's service knows of all that is in `issuers`, what follows for an adjusted series in `truth`.

A paper goes ex in the first session on or after the `day` of a step. There its price falls (or, grouped,
rises) by the step's exact factor, and from one step to the next it makes up for it: so that closes stay about
a paper's anchor for ever, while what its holder has grows.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from fractions import Fraction
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sandbox.b3.sessions import last_session_until
from sandbox.b3.universe import EPOCH, FUND_CODBDI, NEVER_THIN, Listing

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Table: TypeAlias = dict[str, Ints]
"""Columns of the same length: `company` or `listing`, `day` (a date's ordinal), and those of `Step`."""

FIRST_NUMBER = 100
"""The least DISMES with which a paper begins."""

_STRUCTURE_STREAM, _CASH_STREAM, _IDLE_STREAM = 6, 7, 8
_LAST = date(2056, 1, 1).toordinal()  # afterwards nobody pays or splits; DISMES stays below 1000
_SPAN = 1 << 20  # more than any ordinal of a date
_FIRST_AFTER, _LAST_BEFORE = 50, 45  # days from a listing to its first step, from the last to its departure
_APART = 20  # days around a split and the like without a regular payment, so that each can be told
_WINDOW = 16  # days that hold the eight sessions or so for which ESPECI shows a right


class Kind(IntEnum):
    """What a step is.

    CANCELLING is a grouping and a split of one day, 80 for 40, both of which the service lists; of
    HALF_LISTED, which leaves all as it was, it lists the grouping alone. SPIN_OFF has no size that is known.
    """

    CASH = 0
    SPLIT = 1
    BONUS = 2
    GROUPING = 3
    CANCELLING = 4
    HALF_LISTED = 5
    SUBSCRIPTION = 6
    SPIN_OFF = 7
    NOMINAL_UPDATE = 8


_IN_A_PAIR = frozenset({Kind.CANCELLING})
_SHARE_KINDS = {
    Kind.SPLIT: 0.24,
    Kind.BONUS: 0.24,
    Kind.GROUPING: 0.13,
    Kind.CANCELLING: 0.03,
    Kind.HALF_LISTED: 0.04,
    Kind.SUBSCRIPTION: 0.14,
    Kind.SPIN_OFF: 0.06,
    Kind.NOMINAL_UPDATE: 0.12,
}
_FUND_KINDS = {Kind.SPLIT: 0.3, Kind.SUBSCRIPTION: 0.7}
_SIZES = {
    Kind.SPLIT: (50, 100, 100, 200, 300, 400),  # percent
    Kind.BONUS: (3, 5, 10, 10, 20),  # percent
    Kind.GROUPING: (100, 100, 200, 250, 500),  # thousandths
    Kind.SUBSCRIPTION: (
        654_321,
        990_972,
        1_250_000,
        2_000_000,
        3_648_956,
    ),  # hundred-thousandths of a percent
    Kind.SPIN_OFF: (600, 1_200, 1_800, 2_400),  # ten-thousandths of the price
}
_DISCOUNTS = (-4, 5, 10, 15, 25)  # percent below the price at which new shares are offered
_COMES_WITH_CASH = 0.1
_HIDDEN_STRUCTURE, _HIDDEN_CASH, _HIDDEN_INCOME = 0.05, 0.004, 0.0005
_FREQUENCIES, _FREQUENCIES_SHARE = (0, 1, 2, 4, 12), (0.15, 0.20, 0.25, 0.34, 0.06)  # payments a year
_YIELD = (0.015, 0.09)
_MONTHLY_INCOME = (0.005, 0.010)
_RATE_UNITS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a paper goes ex of in one session, exactly.

    Attributes:
        listing: Position of the paper among the listings.
        day: It goes ex in the first session on or after that day.
        kind: What it is.
        size: SPLIT, BONUS: new shares for 100. GROUPING: the ratio, in thousandths. SUBSCRIPTION: new shares
            for 100, in hundred-thousandths. SPIN_OFF: share of the price that leaves, in ten-thousandths.
        discount: SUBSCRIPTION: percent below the price.
        dividend: CASH: share of the price that is paid, in millionths; of all instalments.
        interest: The same, as interest on equity.
        income: The same, as other income.
        instalments: In how many equal parts the dividend is paid, each a distribution of its own.
        hidden: B3's service does not know of it; of two payments not of the last.
        doubled: The service lists it twice, alike in all.
        notice: Days from its approval to `day`.
        late: Days after `day` on which the service first lists it; 0 if it does so with the approval.
        lag: Days after `day` on which the history of payments has it.
        pays: Days from `day` to the payment; 0 if that is not settled.
        shown: For how many weekdays ESPECI shows it.
    """

    listing: int
    day: date
    kind: Kind
    size: int
    discount: int
    dividend: int
    interest: int
    income: int
    instalments: int
    hidden: int
    doubled: int
    notice: int
    late: int
    lag: int
    pays: int
    shown: int

    @property
    def last_with_right(self) -> date:
        """The last session with the right: LASTDATEPRIOR."""
        return last_session_until(date.fromordinal(self.day.toordinal() - 1))

    @property
    def shares(self) -> Fraction:
        """Shares after for one before."""
        match self.kind:
            case Kind.SPLIT | Kind.BONUS:
                return 1 + Fraction(self.size, 100)
            case Kind.GROUPING:
                return Fraction(self.size, 1000)
            case Kind.CANCELLING:
                return Fraction(2)
            case _:
                return Fraction(1)

    @property
    def factor(self) -> Fraction:
        """What the price is multiplied by: all that leaves the share, in its price's terms."""
        match self.kind:
            case Kind.CASH:
                return 1 - Fraction(self.dividend + self.interest + self.income, _RATE_UNITS)
            case Kind.SUBSCRIPTION:
                offered = Fraction(self.size, 10**7)
                return 1 - Fraction(max(self.discount, 0), 100) * offered / (1 + offered)
            case Kind.SPIN_OFF:
                return 1 - Fraction(self.size, 10**4)
            case _:
                return 1 / self.shares

    @property
    def distributions(self) -> int:
        """By how much the distribution number rises."""
        payments = self.instalments * bool(self.dividend) + bool(self.interest) + bool(self.income)
        return payments if self.kind == Kind.CASH else 1 + (self.kind in _IN_A_PAIR)


class CorporateActions:
    """The steps of all papers, and what of them is seen on a day. Arrays have a value a listing.

    Args:
        seed: Of the market.
        listings: Its papers, the classes of a company beside one another.
    """

    def __init__(self, seed: int, listings: Sequence[Listing]) -> None:
        companies = _Companies(listings)
        structure = _draw_structure(np.random.default_rng([seed, _STRUCTURE_STREAM]), companies)
        cash = _draw_cash(np.random.default_rng([seed, _CASH_STREAM]), companies, structure)
        idle = _draw_idle(np.random.default_rng([seed, _IDLE_STREAM]), companies, (structure, cash))
        self._idle = companies.spread(idle)
        self._tables = tuple(companies.spread(table) for table in (structure, cash))
        self._paths = tuple(_Path(table, listings) for table in self._tables)
        count = len(listings)
        self._first_number = FIRST_NUMBER + np.arange(count) * 37 % 50

        by_day = {name: np.concatenate([table[name] for table in self._tables]) for name in self._tables[0]}
        order = np.argsort(by_day["day"], kind="stable")
        self._day = by_day["day"][order]
        self._of = by_day["listing"][order]
        self._bits = _rights_of(by_day)[order]
        self._shown = by_day["shown"][order]
        is_thin = np.array([listing.turnover < NEVER_THIN for listing in listings])
        self._thin_day, self._thin = (values[is_thin[self._of]] for values in (self._day, self._of))

    def lift(self, day: date) -> Floats:
        """Logarithm of a price by what it would be if the paper never paid nor split."""
        structure, cash = self._paths
        return structure.lift(day.toordinal()) + cash.lift(day.toordinal())

    def fallen(self, day: date) -> Floats:
        """Logarithm of the product of the factors of all steps up to a day."""
        structure, cash = self._paths
        return structure.fallen(day.toordinal()) + cash.fallen(day.toordinal())

    def numbers(self, day: date) -> Ints:
        """DISMES."""
        structure, cash = self._paths
        today = day.toordinal()
        return self._first_number + structure.distributions(today) + cash.distributions(today)

    def rights(self, day: date) -> dict[int, str]:
        """What ESPECI says that papers are ex of, such as "EDJ", by listing; "ATZ" is a nominal update.

        It is shown for about eight sessions, and each right by itself.
        """
        today = day.toordinal()
        recent = slice(*np.searchsorted(self._day, [today - _WINDOW, today], side="right").tolist())
        since = np.busday_count(_days(self._day[recent]), np.datetime64(day, "D"))
        shown: dict[int, int] = {}
        still = since < self._shown[recent]
        for of, bits in zip(
            self._of[recent][still].tolist(), self._bits[recent][still].tolist(), strict=True
        ):
            shown[of] = shown.get(of, 0) | bits
        return {of: text for of, bits in shown.items() if (text := _rights_text(bits))}

    def leaving(self, day: date) -> list[int]:
        """The thinly traded papers of which a day is the last session with a right.

        They trade on it, so that what leaves them has a price to be held against.
        """
        soon = slice(*np.searchsorted(self._thin_day, day.toordinal() + np.array([1, 12])).tolist())
        return [
            of
            for of, ex in zip(self._thin[soon].tolist(), self._thin_day[soon].tolist(), strict=True)
            if last_session_until(date.fromordinal(ex - 1)) == day
        ]

    def steps(self, listing: int) -> list[Step]:
        """All steps of a paper, by day; on one day a payment comes last."""
        rows = [step for table in self._tables for step in _rows(table, listing)]
        return sorted(rows, key=lambda step: (step.day, step.kind == Kind.CASH))

    def announced(self, listing: int) -> list[Step]:
        """What a paper's company announces and never carries out: no price and no number shows it."""
        return _rows(self._idle, listing)


def _rows(table: Table, listing: int) -> list[Step]:
    first, end = np.searchsorted(table["listing"], [listing, listing + 1]).tolist()
    rows = zip(*(values[first:end].tolist() for values in table.values()), strict=True)
    found = (dict(zip(table, row, strict=True)) for row in rows)
    return [Step(**row | {"day": date.fromordinal(row["day"]), "kind": Kind(row["kind"])}) for row in found]


class _Companies:
    """The companies of some listings, by position; arrays have a value a company."""

    def __init__(self, listings: Sequence[Listing]) -> None:
        number = np.array([listing.company_number for listing in listings])
        self.first = np.flatnonzero(np.diff(number, prepend=-1))
        self.classes = np.diff(self.first, append=len(listings))
        leads = [listings[first] for first in self.first.tolist()]
        self.is_share = np.array([lead.is_share for lead in leads])
        self.is_fund = np.array([lead.codbdi == FUND_CODBDI for lead in leads])
        thin = np.array([listing.turnover < NEVER_THIN for listing in listings])
        self.is_thin = np.logical_or.reduceat(thin, self.first)
        start = [max(lead.listed_from, EPOCH).toordinal() for lead in leads]
        self.start = np.array(start) + _FIRST_AFTER
        self.end = np.array(
            [min((lead.listed_until or date.max).toordinal() - _LAST_BEFORE, _LAST) for lead in leads]
        )

    def spread(self, table: Table) -> Table:
        """A row for each share class of each row's company, by listing and day."""
        company = table["company"]
        classes = self.classes[company]
        rows = np.repeat(np.arange(len(company)), classes)
        nth = np.arange(len(rows)) - np.repeat(np.cumsum(classes) - classes, classes)
        listing = self.first[company[rows]] + nth
        order = np.argsort(listing * _SPAN + table["day"][rows], kind="stable")
        spread = {name: values[rows[order]] for name, values in table.items() if name != "company"}
        return {"listing": listing[order], **spread}


class _Path:
    """What the steps of a table do to prices: a segment from each to the next, and one before the first."""

    def __init__(self, table: Table, listings: Sequence[Listing]) -> None:
        count = len(listings)
        listing = np.concatenate([np.arange(count), table["listing"]])
        start = np.array([max(paper.listed_from, EPOCH).toordinal() for paper in listings])
        since = np.concatenate([start, table["day"]])
        order = np.argsort(np.concatenate([listing[:count] * _SPAN, _key(table, "listing")]), kind="stable")
        listing, since = listing[order], since[order]
        nothing = np.zeros(count)
        fall = np.concatenate([nothing, _logs(table)])[order]
        rise = np.concatenate([nothing.astype(np.int64), _distributions(table)])[order]

        self._offsets = np.arange(count) * _SPAN
        self._first = np.searchsorted(listing, np.arange(count))
        self._keys = listing * _SPAN + since
        self._keys[self._first] = self._offsets
        self._since = since
        # Halfway down from where it was, and up again to halfway above
        self._value = fall / 2
        ahead = np.append(np.where(np.diff(listing) == 0, -fall[1:] / 2, self._value[:-1]), self._value[-1:])
        days = np.append(np.where(np.diff(listing) == 0, np.diff(since), 1), 1)
        self._slope = (ahead - self._value) / days
        self._fall, self._rise = (
            values.cumsum()
            - np.repeat(values.cumsum()[self._first], np.diff(self._first, append=len(listing)))
            for values in (fall, rise)
        )

    def lift(self, day: int) -> Floats:
        at = self._at(day)
        lift: Floats = self._value[at] + self._slope[at] * np.maximum(day - self._since[at], 0)
        return lift

    def fallen(self, day: int) -> Floats:
        fallen: Floats = self._fall[self._at(day)]
        return fallen

    def distributions(self, day: int) -> Ints:
        rise: Ints = self._rise[self._at(day)]
        return rise

    def _at(self, day: int) -> NDArray[np.intp]:
        return np.searchsorted(self._keys, self._offsets + day, side="right") - 1


def _draw_structure(rng: np.random.Generator, companies: _Companies) -> Table:
    """Splits and the like: one in a year and a half to four and a half of a company's life."""
    shape = (len(companies.start), 40)
    gaps = rng.integers(500, 1_650, shape)
    gaps[:, 0] = rng.integers(0, 1_400, shape[0])
    days = companies.start[:, np.newaxis] + gaps.cumsum(axis=1)
    by_share, by_fund, nth, hidden = rng.random((4, *shape))
    kinds = np.where(companies.is_share[:, np.newaxis], _choose(_SHARE_KINDS, by_share), 0)
    kinds = np.where(companies.is_fund[:, np.newaxis], _choose(_FUND_KINDS, by_fund), kinds)
    # ESPECI is all that explains it: whoever seldom trades would show it too late
    kinds[companies.is_thin[:, np.newaxis] & (kinds == Kind.NOMINAL_UPDATE)] = Kind.BONUS
    company, slot = np.nonzero((days < companies.end[:, np.newaxis]) & (kinds > 0))
    kinds, nth = kinds[company, slot], nth[company, slot]
    size = np.zeros(len(kinds), np.int64)
    for kind, sizes in _SIZES.items():
        of_kind = kinds == kind
        size[of_kind] = np.array(sizes)[(nth[of_kind] * len(sizes)).astype(int)]
    discounts = np.array(_DISCOUNTS)[rng.integers(0, len(_DISCOUNTS), len(kinds))]
    may_hide = np.isin(kinds, [Kind.SPLIT, Kind.BONUS, Kind.GROUPING, Kind.SUBSCRIPTION])
    return _table(
        rng,
        company=company,
        day=days[company, slot],
        kind=kinds,
        size=size,
        discount=np.where(kinds == Kind.SUBSCRIPTION, discounts, 0),
        hidden=may_hide & (hidden[company, slot] < _HIDDEN_STRUCTURE),
    )


def _draw_cash(rng: np.random.Generator, companies: _Companies, structure: Table) -> Table:
    """Payments: of funds each month, of most companies once to four times a year."""
    count = len(companies.start)
    frequency = rng.choice(_FREQUENCIES, p=_FREQUENCIES_SHARE, size=count)
    frequency = np.where(companies.is_fund, 12, np.where(companies.is_share, frequency, 0))
    yearly = rng.uniform(*_YIELD, size=count)
    parts = [_regular(rng, np.flatnonzero(frequency == each), each) for each in _FREQUENCIES[1:]]
    # Some pay on the very day of a split or bonus; for the rest, each stays away from the other
    mixed = np.isin(structure["kind"], [Kind.SPLIT, Kind.BONUS, Kind.GROUPING])
    mixed &= (rng.random(len(mixed)) < _COMES_WITH_CASH) & companies.is_share[structure["company"]]
    parts.append((structure["company"][mixed], structure["day"][mixed]))
    company, day = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    regular = np.arange(len(company)) < len(company) - mixed.sum()
    kept = (day >= companies.start[company]) & (day < companies.end[company])
    kept &= ~regular | (_distance(company * _SPAN + day, np.sort(_key(structure, "company"))) > _APART)
    company, day = company[kept], day[kept]

    size, which, parted, hidden = rng.random((4, len(company)))
    is_fund = companies.is_fund[company]
    often = np.maximum(frequency[company], 1)
    rate = np.where(
        is_fund, rng.uniform(*_MONTHLY_INCOME, len(company)), yearly[company] / often * (0.5 + size)
    )
    units = np.maximum(np.rint(rate * _RATE_UNITS / 2).astype(np.int64) * 2, 200)
    income = is_fund | (which > 0.96)
    both = ~income & (which > 0.75) & (often < 12)
    dividend = np.where(income, 0, np.where(both, units // 4 * 2, np.where(which < 0.4, units, 0)))
    instalments = 1 + ((parted < 0.04) & (dividend > 0) & (often < 12))
    hides = hidden < np.where(is_fund, _HIDDEN_INCOME, _HIDDEN_CASH)
    return _table(
        rng,
        company=company,
        day=day,
        dividend=dividend,
        interest=np.where(income, 0, units - dividend),
        income=np.where(income, units, 0),
        instalments=instalments,
        hidden=hides,
        # A double beside one that lacks would pass for it
        doubled=(parted > 0.98) & (instalments == 1) & ~hides,
    )


def _regular(rng: np.random.Generator, payers: Ints, often: int) -> tuple[Ints, Ints]:
    """Companies and days of payments, so many a year; monthly ones after the month's last session."""
    if often == 12:
        months = np.arange(np.datetime64(EPOCH, "M"), np.datetime64(date.fromordinal(_LAST), "M"))
        first_days = months.astype("M8[D]").astype(np.int64) + date(1970, 1, 1).toordinal()
        days = first_days + np.where(rng.random(len(payers)) < 0.75, 0, 8)[:, np.newaxis]
    else:
        years = (_LAST - EPOCH.toordinal()) // 365
        apart = 365.25 / often
        phase = EPOCH.toordinal() + rng.uniform(0, apart, size=len(payers))
        late = rng.integers(-4, 5, (len(payers), years * often))
        days = (phase[:, np.newaxis] + apart * np.arange(years * often)).astype(np.int64) + late
    return np.repeat(payers, days.shape[1]), days.ravel()


def _draw_idle(rng: np.random.Generator, companies: _Companies, tables: Iterable[Table]) -> Table:
    """What is announced and does not happen: once in seven years or so, of what trades every day."""
    busy = np.flatnonzero(companies.is_share & ~companies.is_thin)
    days = EPOCH.toordinal() + rng.integers(1_500, 3_500, (len(busy), 12)).cumsum(axis=1)
    company, day = np.repeat(busy, days.shape[1]), days.ravel()
    taken = np.sort(np.concatenate([_key(table, "company") for table in tables]))
    kept = (day >= companies.start[company]) & (day < companies.end[company])
    kept &= _distance(company * _SPAN + day, taken) > _APART
    company, day = company[kept], day[kept]
    is_bonus = rng.random(len(company)) < 0.3
    return _table(
        rng,
        company=company,
        day=day,
        kind=np.where(is_bonus, int(Kind.BONUS), int(Kind.CASH)),
        size=np.where(is_bonus, 10, 0),
        dividend=np.where(is_bonus, 0, 12_500),
    )


def _table(rng: np.random.Generator, *, company: Ints, day: Ints, **columns: NDArray[np.generic]) -> Table:
    """A table of steps, by company and day; what is not given is nothing, and what all have is drawn."""
    count = len(company)
    late, lag, settled = rng.random((3, count))
    drawn = {
        "notice": rng.integers(3, 30, count),
        "late": np.where(late < 0.1, rng.integers(1, 18, count), 0),
        "lag": np.where(lag < 0.7, 1, rng.integers(2, 18, count)),
        "pays": np.where(settled < 0.9, rng.integers(9, 120, count), 0),
        "shown": rng.integers(7, 10, count),
    }
    names = ("kind", "size", "discount", "dividend", "interest", "income", "instalments", "hidden", "doubled")
    given = {name: columns.get(name, np.full(count, name == "instalments")) for name in names}
    order = np.argsort(company * _SPAN + day, kind="stable")
    table = {"company": company, "day": day, **given, **drawn}
    return {name: values[order].astype(np.int64) for name, values in table.items()}


def _choose(kinds: Mapping[Kind, float], chance: Floats) -> Ints:
    limits = np.cumsum(list(kinds.values()))
    return np.array(list(kinds), np.int64)[np.minimum(np.searchsorted(limits, chance), len(kinds) - 1)]


def _key(table: Table, of: str) -> Ints:
    return table[of] * _SPAN + table["day"]


def _distance(keys: Ints, others: Ints) -> Ints:
    """Days from each key to the nearest of the others; many, where that is another company's."""
    at = np.searchsorted(others, keys)
    around = [others[np.clip(at + offset, 0, len(others) - 1)] for offset in (-1, 0)]
    nearest: Ints = np.minimum(*(np.abs(keys - other) for other in around))
    return nearest


def _logs(table: Table) -> Floats:
    """The logarithm of each step's factor, as `Step.factor`."""
    kind, size = table["kind"], table["size"]
    shares = np.select(
        [np.isin(kind, [Kind.SPLIT, Kind.BONUS]), kind == Kind.GROUPING, kind == Kind.CANCELLING],
        [1 + size / 100, size / 1000, 2.0],
        1.0,
    )
    offered = size / 10**7
    leaves = np.select(
        [kind == Kind.CASH, kind == Kind.SUBSCRIPTION, kind == Kind.SPIN_OFF],
        [
            (table["dividend"] + table["interest"] + table["income"]) / _RATE_UNITS,
            np.maximum(table["discount"], 0) / 100 * offered / (1 + offered),
            size / 10**4,
        ],
        0.0,
    )
    logs: Floats = np.log1p(-leaves) - np.log(shares)
    return logs


def _distributions(table: Table) -> Ints:
    """As `Step.distributions`."""
    payments = table["instalments"] * (table["dividend"] > 0)
    payments = payments + (table["interest"] > 0) + (table["income"] > 0)
    pairs = np.isin(table["kind"], list(_IN_A_PAIR))
    rise: Ints = np.where(table["kind"] == Kind.CASH, payments, 1 + pairs)
    return rise


_LETTERS = "DJBGRS"
_NOMINAL_UPDATE = 1 << len(_LETTERS)
_BIT = {letter: 1 << place for place, letter in enumerate(_LETTERS)}


def _rights_of(table: Table) -> Ints:
    """A bit for each letter of ESPECI's rights, and one for ATZ."""
    kind = table["kind"]
    by_kind = {
        _BIT["B"]: (Kind.SPLIT, Kind.BONUS),
        _BIT["G"]: (Kind.GROUPING, Kind.CANCELLING, Kind.HALF_LISTED),
        _BIT["S"]: (Kind.SUBSCRIPTION,),
        _NOMINAL_UPDATE: (Kind.NOMINAL_UPDATE,),
    }
    bits = sum((bit * np.isin(kind, kinds) for bit, kinds in by_kind.items()), np.zeros(len(kind), np.int64))
    for letter, name in (("D", "dividend"), ("J", "interest"), ("R", "income")):
        bits = bits + _BIT[letter] * (table[name] > 0)
    return bits


def _rights_text(bits: int) -> str:
    if bits & _NOMINAL_UPDATE:
        return "ATZ"
    letters = "".join(letter for letter, bit in _BIT.items() if bits & bit)
    return f"E{letters[:3]}" if letters else ""


def _days(ordinals: Ints) -> NDArray[np.datetime64]:
    return (ordinals - date(1970, 1, 1).toordinal()).astype("M8[D]")
