"""What an adjusted series of the simulated market should be: factors by span, and where none can be proven.

It is worked out from what the market did, exactly, and from when B3's service told of it; never from quotes
or from the service's rows. It holds for lakes that have every session from a paper's first to its last.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from sandbox.b3.actions import Kind, Step
from sandbox.b3.issuers import in_history, in_supplement
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.universe import Listing

ONE = Fraction(1)


class Verdict(StrEnum):
    """How a step of a paper stands, by the names of table `bovespa_events`."""

    PROVEN = "proven"
    UNSIZED = "unsized"
    UNEXPLAINED = "unexplained"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Days of a paper between two of its steps, and what brings their prices to the newest one's terms.

    Attributes:
        first: The first day: the paper's first session, or one on which it went ex.
        last: The last day: a last session with a right, or the paper's last one.
        split_factor: What a price is multiplied by for splits, groupings and bonuses since; None where a
            later step is not proven.
        total_return_factor: The same for all that a holder has had since.
        reason: The verdict that ends the series; None where there are factors.
    """

    first: date
    last: date
    split_factor: Fraction | None
    total_return_factor: Fraction | None
    reason: Verdict | None


def verdict(step: Step, listing: Listing, asked: Collection[date]) -> Verdict:
    """How a step stands once the service has been asked for its issuer on some days, and all was kept."""
    if step.kind == Kind.NOMINAL_UPDATE:
        return Verdict.PROVEN
    told = any(in_supplement(step, listing, day) or in_history(step, listing, day) for day in asked)
    if step.hidden or not told:
        return Verdict.UNEXPLAINED
    without = {Kind.SPIN_OFF: Verdict.UNSIZED, Kind.HALF_LISTED: Verdict.CONTRADICTED}
    return without.get(step.kind, Verdict.PROVEN)


def verdicts(
    market: SimulatedMarket, listing: Listing, *, first: date, last: date, asked: Collection[date]
) -> list[tuple[Step, Verdict]]:
    """The steps of a paper between its first and last session with a cash line, and how they stand."""
    steps = (step for step in market.steps(listing.isin) if first < step.day <= last)
    return [(step, verdict(step, listing, asked)) for step in steps]


def spans(
    market: SimulatedMarket, listing: Listing, *, first: date, last: date, asked: Collection[date]
) -> list[Span]:
    """The spans of a paper, oldest first; they cover all its days, and the newest has factors of 1.

    Args:
        market: The market.
        listing: The paper.
        first: Its first session in the lake with a cash line.
        last: The last one.
        asked: The days on which the service was asked for its issuer.
    """
    found: list[Span] = []
    split, total, reason = ONE, ONE, None
    end = last
    for step, stands in reversed(verdicts(market, listing, first=first, last=last, asked=asked)):
        if step.last_with_right < end:  # the same session, if there are two
            found.append(_span(step.day, end, split, total, reason))
            end = step.last_with_right
        if stands != Verdict.PROVEN and reason is None:
            reason = stands
        split /= step.shares
        total *= step.factor
    found.append(_span(first, end, split, total, reason))
    return found[::-1]


def _span(first: date, last: date, split: Fraction, total: Fraction, reason: Verdict | None) -> Span:
    return Span(
        first=first,
        last=last,
        split_factor=None if reason else split,
        total_return_factor=None if reason else total,
        reason=reason,
    )
