"""What the simulated market's papers pay and turn into, as its quotes show it: prices, DISMES, ESPECI."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

import numpy as np
import pytest

from sandbox.b3.actions import Kind, Step
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.universe import Listing
from scraper.b3.calendar import sessions_between

SEED, TICKERS = 21, 60
SESSIONS = sessions_between(date(2019, 1, 2), date(2023, 12, 28))


@dataclass(frozen=True, kw_only=True)
class Line:
    """A paper's cash line, with its true worth on that day, and half a cent by its price."""

    close: Fraction
    worth: float
    especi: str
    dismes: int
    rounding: float


@dataclass(frozen=True)
class History:
    """Each paper's cash lines by session, subscription rights apart, and its steps between two sessions."""

    market: SimulatedMarket
    lines: dict[str, dict[date, Line]] = field(default_factory=lambda: defaultdict(dict))

    @cached_property
    def listings(self) -> dict[str, Listing]:
        return {listing.isin: listing for listing in self.market.listings}

    @cached_property
    def steps(self) -> dict[str, list[Step]]:
        return {isin: self.market.steps(isin) for isin in self.listings}

    def between(self, isin: str, after: date, until: date) -> list[Step]:
        steps = self.steps[isin]
        first, end = (bisect_right(steps, day, key=lambda step: step.day) for day in (after, until))
        return steps[first:end]


@pytest.fixture(scope="module")
def history() -> History:
    market = SimulatedMarket(seed=SEED, tickers=TICKERS)
    found = History(market)
    for session in SESSIONS:
        worth = market.truth(session)
        columns = market.cash(session)
        names = ("codisi", "preult", "fatcot", "especi", "dismes")
        for isin, cents, fatcot, especi, dismes in zip(
            *(columns[name].tolist() for name in names), strict=True
        ):
            found.lines[isin.decode()][session] = Line(
                close=Fraction(cents, 100 * fatcot),
                worth=worth[isin.decode()],
                especi=especi.decode(),
                dismes=dismes,
                rounding=0.5 / cents,
            )
    return found


def test_every_kind_of_step_happens_in_ten_years_and_most_papers_have_some() -> None:
    market = SimulatedMarket()
    steps = [
        step
        for listing in market.listings
        for step in market.steps(listing.isin)
        if date(2016, 1, 1) <= step.day <= date(2025, 12, 31)
    ]
    kinds = Counter(step.kind for step in steps)
    assert {*kinds} == {*Kind}
    assert min(kinds.values()) >= 5
    assert sum(step.hidden for step in steps) > 15
    assert sum(step.doubled for step in steps) > 15
    assert sum(step.instalments == 2 for step in steps) > 15
    assert sum(step.dividend > 0 and step.interest > 0 for step in steps) > 50
    # Nobody is said to know what receipts and ETFs have
    assert all(
        bool(market.steps(listing.isin)) == (listing.is_share or listing.codbdi == "12")
        for listing in market.listings
        if listing.listed_until is None and listing.listed_from.year < 2010
    )


def test_a_distribution_number_rises_by_the_distributions_since_the_session_before_and_never_falls(
    history: History,
) -> None:
    rises = 0
    for isin, lines in history.lines.items():
        for (last, before), (session, line) in pairwise(lines.items()):
            distributions = sum(step.distributions for step in history.between(isin, last, session))
            assert line.dismes - before.dismes == distributions, (isin, session)
            rises += distributions > 0
    assert rises > 500


def test_a_price_falls_by_what_leaves_the_paper_and_what_a_holder_has_goes_on(history: History) -> None:
    """Factor by factor, a right series of total returns is the truth to half a cent."""
    checked: Counter[Kind] = Counter()
    for isin, lines in history.lines.items():
        for (last, before), (session, line) in pairwise(lines.items()):
            steps = history.between(isin, last, session)
            factor = float(math.prod(step.factor for step in steps))
            told = float(line.close / before.close) / factor
            exact = line.worth / before.worth
            assert told == pytest.approx(exact, rel=1.01 * (before.rounding + line.rounding)), (isin, session)
            assert abs(math.log(exact)) < 0.5, (isin, session)
            checked.update(step.kind for step in steps)
    assert set(checked) == set(Kind)


def test_the_distribution_of_a_payment_is_a_share_of_the_close_of_the_last_session_with_the_right(
    history: History,
) -> None:
    """Whoever seldom trades does so on that day: nothing leaves between two of its prices unseen."""
    leaving = 0
    thin = 0
    for isin, lines in history.lines.items():
        first, last = min(lines), max(lines)
        for step in history.between(isin, first, last):
            leaving += 1
            assert step.last_with_right in lines, step
            assert step.last_with_right < step.day
            thin += len(lines) < 0.98 * len([s for s in SESSIONS if first <= s <= last])
    assert leaving > 500
    assert thin > 10


def rights(listing: Listing, especi: str) -> str:
    return especi.removeprefix(f"{listing.share_class:<4}")[:4].strip() if len(especi) > 4 else ""


def expected(step: Step) -> set[str]:
    letters = {
        Kind.SPLIT: "B",
        Kind.BONUS: "B",
        Kind.GROUPING: "G",
        Kind.CANCELLING: "G",
        Kind.HALF_LISTED: "G",
        Kind.SUBSCRIPTION: "S",
    }
    paid = {"D": step.dividend, "J": step.interest, "R": step.income}
    return {letter for letter, share in paid.items() if share} | set(letters.get(step.kind, ""))


def test_especi_shows_what_a_paper_is_ex_of_for_about_eight_sessions(history: History) -> None:
    shown_for: dict[Kind, list[int]] = defaultdict(list)
    for isin, lines in history.lines.items():
        if len(lines) < len(SESSIONS):
            continue
        listing = history.listings[isin]
        for step in history.between(isin, SESSIONS[0], SESSIONS[-20]):
            since = [session for session in SESSIONS if session >= step.day]
            # What is shown with it on its first day leaves, until the next comes
            told = [rights(listing, lines[session].especi) for session in since[:12]]
            if step.kind == Kind.NOMINAL_UPDATE:
                assert told[0] == "ATZ", step
                shown_for[step.kind].append(told.index(""))
            elif step.kind == Kind.SPIN_OFF:
                assert told[0] == "", step
            else:
                assert expected(step) <= set(told[0][1:]), (step, told)
                shown_for[step.kind].append(sum(expected(step) <= set(text[1:]) for text in told))
    assert set(shown_for) >= {*Kind} - {Kind.SPIN_OFF, Kind.HALF_LISTED}  # of which there are few
    sessions = [count for counts in shown_for.values() for count in counts]
    assert 4 <= min(sessions) <= max(sessions) <= 9
    # A weekday off shortens it
    assert 7 <= np.mean(sessions) <= 8.5


def test_one_right_fades_before_the_other(history: History) -> None:
    faded = 0
    for isin, lines in history.lines.items():
        told = [rights(history.listings[isin], line.especi) for line in lines.values()]
        for before, after in pairwise(told):
            faded += len(before) > len(after) > 1 and set(after) < set(before)
    assert faded >= 1


def test_what_happens_to_one_class_of_a_company_happens_to_all(history: History) -> None:
    by_company: dict[int, set[tuple[tuple[date, Kind, int], ...]]] = defaultdict(set)
    for isin, listing in history.listings.items():
        steps = history.steps[isin]
        by_company[listing.company_number].add(tuple((step.day, step.kind, step.size) for step in steps))
    assert {len(each) for each in by_company.values()} == {1}


def test_another_seed_pays_on_other_days(history: History) -> None:
    other = SimulatedMarket(seed=SEED + 1, tickers=TICKERS)
    isin = next(isin for isin, steps in history.steps.items() if steps)
    assert [step.day for step in other.steps(isin)] != [step.day for step in history.steps[isin]]


def step(kind: Kind, **fields: int) -> Step:
    names = ("listing", "size", "discount", "dividend", "interest", "income", "hidden", "doubled", "notice")
    nothing = dict.fromkeys((*names, "late", "lag", "pays", "shown"), 0) | {"instalments": 1}
    return Step(day=date(2024, 11, 8), kind=kind, **nothing | fields)


@pytest.mark.parametrize(
    ("of", "shares", "factor", "distributions"),
    [
        (step(Kind.CASH, dividend=12_000, interest=8_000), Fraction(1), Fraction("0.98"), 2),
        (step(Kind.CASH, dividend=12_000, instalments=2), Fraction(1), Fraction("0.988"), 2),
        (step(Kind.CASH, income=10_000), Fraction(1), Fraction("0.99"), 1),
        (step(Kind.SPLIT, size=100), Fraction(2), Fraction(1, 2), 1),
        (step(Kind.BONUS, size=3), Fraction("1.03"), 1 / Fraction("1.03"), 1),
        (step(Kind.GROUPING, size=100), Fraction(1, 10), Fraction(10), 1),
        (step(Kind.CANCELLING), Fraction(2), Fraction(1, 2), 2),
        (step(Kind.HALF_LISTED), Fraction(1), Fraction(1), 1),
        # A share for four at 10 % less: a fifth of what they cost together is at a tenth less
        (step(Kind.SUBSCRIPTION, size=2_500_000, discount=10), Fraction(1), Fraction("0.98"), 1),
        (step(Kind.SUBSCRIPTION, size=2_500_000, discount=-4), Fraction(1), Fraction(1), 1),
        (step(Kind.SPIN_OFF, size=1_800), Fraction(1), Fraction("0.82"), 1),
        (step(Kind.NOMINAL_UPDATE), Fraction(1), Fraction(1), 1),
    ],
    ids=lambda value: value.kind.name if isinstance(value, Step) else None,
)
def test_factors_of_steps(of: Step, shares: Fraction, factor: Fraction, distributions: int) -> None:
    assert (of.shares, of.factor, of.distributions) == (shares, factor, distributions)
