"""The factors that bring a paper's former prices to the terms of its newest session."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import NamedTuple

from refinement.adjustment.actions import Book, class_of
from refinement.adjustment.events import REFINED_BEFORE, Event, History, Lake, history
from refinement.adjustment.runs import Run

_DIGITS = 60
NO_CASH_LINE = "no cash line in any session, and so no distribution number"
_ISSUER_LETTERS = 4


class Span(NamedTuple):
    """A row of the table of factors; see `refinement.columns.FACTOR_COLUMNS`."""

    isin: str
    first_session: dt.date
    last_session: dt.date
    split_factor: Decimal | None
    total_return_factor: Decimal | None
    reason: str | None


class Adjusted(NamedTuple):
    """All events and all spans, by paper and date."""

    events: list[Event]
    spans: list[Span]


def adjust(papers: Mapping[str, Sequence[Run]], book: Book, sessions: Iterable[dt.date]) -> Adjusted:
    """Events and factors of all papers.

    Args:
        papers: The runs of each, by session.
        book: What B3 states.
        sessions: The sessions of the lake.
    """
    lake = Lake(sessions)
    of_class: dict[tuple[str, str], set[str]] = defaultdict(set)
    classes = {isin: class_of(runs[-1].share_class) for isin, runs in papers.items()}
    issuers = {isin: {run.ticker[:_ISSUER_LETTERS] for run in runs} for isin, runs in papers.items()}
    for isin, kind in classes.items():
        for issuer in issuers[isin]:
            of_class[issuer, kind or ""].add(isin)
    adjusted = Adjusted([], [])
    with localcontext(prec=_DIGITS):
        for isin in sorted(papers):
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
    if all(run.number is None for run in runs):
        unnumbered = any(run.in_cash for run in runs)
        return [Span(isin, first, last, None, None, REFINED_BEFORE if unnumbered else NO_CASH_LINE)]
    split: Decimal | None = Decimal(1)
    total: Decimal | None = Decimal(1)
    split_reason = total_reason = ""
    found: list[Span] = []
    end = last
    for cut in sorted(told.cuts, key=lambda cut: cut.session, reverse=True):
        if first < cut.session <= end:
            found.append(Span(isin, cut.session, end, split, total, split_reason or total_reason or None))
            end = lake.before(cut.session)
        split, split_reason = _continued(split, split_reason, cut.split_factor, cut.split_reason)
        total, total_reason = _continued(
            total, total_reason, cut.total_return_factor, cut.total_return_reason
        )
        if split is None:
            break
    found.append(Span(isin, first, end, split, total, split_reason or total_reason or None))
    return _joined(reversed(found))


def _continued(
    factor: Decimal | None, reason: str, of_cut: Decimal | None, why: str
) -> tuple[Decimal | None, str]:
    """A factor of before a cut, and why there is none."""
    if factor is None or of_cut is None:
        return None, reason or why
    return factor * of_cut, ""


def _joined(ordered: Iterable[Span]) -> list[Span]:
    """The spans, with neighbours joined that are alike."""
    joined: list[Span] = []
    for span in ordered:
        if joined and joined[-1][3:] == span[3:]:
            joined[-1] = joined[-1]._replace(last_session=span.last_session)
        else:
            joined.append(span)
    return joined
