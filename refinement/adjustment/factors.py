"""The factors that bring a paper's former prices to the terms of its newest session."""

from __future__ import annotations

import datetime as dt
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from decimal import Decimal, localcontext
from typing import NamedTuple

from refinement.adjustment.actions import Book, class_of
from refinement.adjustment.events import REFINED_BEFORE, Event, History, Lake, history
from refinement.adjustment.runs import ISSUER_LETTERS, Run

_DIGITS = 60
NO_CASH_LINE = "no cash line in any session, and so no distribution number"


class Span(NamedTuple):
    """A row of the table of factors; see `refinement.columns.FACTOR_COLUMNS`."""

    isin: str
    first_session: dt.date
    last_session: dt.date
    split_factor: Decimal | None
    total_return_factor: Decimal | None
    split_base: dt.date | None
    split_base_factor: Decimal | None
    total_return_base: dt.date | None
    total_return_base_factor: Decimal | None
    reason: str | None


class Adjusted(NamedTuple):
    """All events and all spans, by paper and date."""

    events: list[Event]
    spans: list[Span]


def adjust(
    papers: Mapping[str, Sequence[Run]],
    book: Book,
    sessions: Iterable[dt.date],
    *,
    only: Set[str] | None = None,
) -> Adjusted:
    """Events and factors of papers.

    Args:
        papers: The runs of each, by session.
        book: What B3 states.
        sessions: The sessions of the lake.
        only: Of which of them; the others are there as the papers of their issuers. Of all, by default.
    """
    lake = Lake(sessions)
    of_class: dict[tuple[str, str], set[str]] = defaultdict(set)
    classes = {isin: class_of(runs[-1].share_class) for isin, runs in papers.items()}
    issuers = {isin: {run.ticker[:ISSUER_LETTERS] for run in runs} for isin, runs in papers.items()}
    for isin, kind in classes.items():
        for issuer in issuers[isin]:
            of_class[issuer, kind or ""].add(isin)
    adjusted = Adjusted([], [])
    with localcontext(prec=_DIGITS):
        for isin in sorted(papers if only is None else only):
            stated = book.of_paper(isin, issuers[isin], classes[isin])
            alone = all(len(of_class[issuer, classes[isin] or ""]) == 1 for issuer in issuers[isin])
            told = history(papers[isin], stated, lake, alone_in_class=alone)
            adjusted.events.extend(told.events)
            adjusted.spans.extend(spans(papers[isin], told, lake))
    return adjusted


def spans(runs: Sequence[Run], told: History, lake: Lake) -> list[Span]:
    """The spans of a paper's sessions, which cover them all, the older first.

    A span ends with the lake's last session before the next begins, so that each session of the paper is in
    one.
    """
    isin = runs[0].isin
    first = min(run.first_session for run in runs)
    last = max(run.last_session for run in runs)
    numbered = [run for run in runs if run.number is not None]
    if not numbered:
        unnumbered = any(run.in_cash for run in runs)
        return [_unknown(isin, first, last, REFINED_BEFORE if unnumbered else NO_CASH_LINE)]
    begun = sorted(run.first_session for run in numbered)
    ended = sorted(run.last_session for run in numbered)
    split, total = _Chain(last), _Chain(last)
    found: list[Span] = []
    end = last

    def add(begin: dt.date) -> None:
        reasons = dict.fromkeys(reason for reason in (split.reason, total.reason) if reason)
        span = Span(
            isin,
            begin,
            end,
            None if split.reason else split.factor,
            None if total.reason else total.factor,
            split.base,
            split.factor,
            total.base,
            total.factor,
            "; ".join(reasons) or None,
        )
        # Of the runs that had begun by its end, not all had ended before it
        is_numbered = bisect_right(begun, end) > bisect_left(ended, begin)
        found.append(span if is_numbered or not span.reason else _unknown(isin, begin, end, span.reason))

    for cut in sorted(told.cuts, key=lambda cut: cut.session, reverse=True):
        if first < cut.session <= end:
            add(cut.session)
            end = lake.before(cut.session)
        split = split.before(end, cut.split_factor, cut.split_reason)
        total = total.before(end, cut.total_return_factor, cut.total_return_reason)
    add(first)
    return _joined(reversed(found))


class _Chain(NamedTuple):
    """What leads from a span to the sessions after it, as far as it is proven.

    Attributes:
        base: The session to which it leads.
        factor: What brings a price of the span to those of that session.
        reason: Why it leads no farther; empty where that is the paper's newest session.
    """

    base: dt.date
    factor: Decimal = Decimal(1)
    reason: str = ""

    def before(self, end: dt.date, of_cut: Decimal | None, why: str) -> _Chain:
        """What leads from before a cut, where sessions end with `end`."""
        if of_cut is None:
            return _Chain(end, reason=why)
        return self if of_cut == 1 else _Chain(self.base, self.factor * of_cut, self.reason)


def _unknown(isin: str, first: dt.date, last: dt.date, reason: str) -> Span:
    """A span of which not even its own sessions can be compared."""
    return Span(isin, first, last, None, None, None, None, None, None, reason)


def _joined(ordered: Iterable[Span]) -> list[Span]:
    """The spans, with neighbours joined that are alike."""
    joined: list[Span] = []
    for span in ordered:
        if joined and joined[-1][3:] == span[3:]:
            joined[-1] = joined[-1]._replace(last_session=span.last_session)
        else:
            joined.append(span)
    return joined
