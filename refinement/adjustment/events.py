"""A paper's corporate actions, held against the rises of its distribution number."""

from __future__ import annotations

import datetime as dt
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby, pairwise
from typing import NamedTuple

from lake.currency import FIRST_IN_BRL
from refinement.adjustment.actions import CASH_KINDS, Stated
from refinement.adjustment.runs import Run

ONE = Decimal(1)
LARGEST_STEP = Decimal(2)
"""How many times larger or smaller a price may become from one session to the next before it speaks against
an event: far beyond any day's move."""
LONGEST_CLOSING = 5
"""Days from a session to the next at most, as over carnival: where the lake has more, it lacks sessions."""

REFINED_BEFORE = "refined before distribution numbers were kept: run the job over these sessions again"
OTHER_CURRENCY = f"before {FIRST_IN_BRL} prices are in thousands of cruzeiros reais"


class Event(NamedTuple):
    """A row of the table of events; see `refinement.columns.EVENT_COLUMNS`."""

    isin: str
    ticker: str
    ex_date: dt.date | None
    kind: str
    label: str | None
    ratio: Decimal | None
    amount: Decimal | None
    close_before: Decimal | None
    split_factor: Decimal | None
    total_return_factor: Decimal | None
    last_date_prior: dt.date | None
    payment_date: dt.date | None
    status: str
    reason: str | None


class Cut(NamedTuple):
    """A session from which a paper's prices mean something else than before.

    Attributes:
        session: The first that has the new meaning.
        split_factor: What brings a former price to the new number of shares; None where that is not known.
        total_return_factor: The same with what was distributed; None where that is not known.
        split_reason: Why the first is None; else empty.
        total_return_reason: Why the second is None; else empty.
    """

    session: dt.date
    split_factor: Decimal | None
    total_return_factor: Decimal | None
    split_reason: str = ""
    total_return_reason: str = ""


class Level(NamedTuple):
    """The sessions of a paper between two rises: its first run with a number, and its last one."""

    first: Run
    last: Run


class Lake:
    """The sessions of the lake."""

    def __init__(self, sessions: Iterable[dt.date]) -> None:
        """Sessions that have a compact file, in any order."""
        self.sessions = sorted(sessions)
        self._there = set(self.sessions)

    def after(self, day: dt.date) -> dt.date | None:
        """The first session after a day."""
        place = bisect_right(self.sessions, day)
        return self.sessions[place] if place < len(self.sessions) else None

    def before(self, session: dt.date) -> dt.date:
        """The session before one that it has, which is not its first."""
        return self.sessions[bisect_left(self.sessions, session) - 1]

    def knows(self, first: dt.date, last: dt.date) -> bool:
        """Whether it has the last of two days, and from the first to it no gap of missing sessions."""
        if first == last:
            return True
        span = self.sessions[bisect_right(self.sessions, first) - 1 : bisect_right(self.sessions, last)]
        return last in self._there and all((b - a).days <= LONGEST_CLOSING for a, b in pairwise(span))


@dataclass
class History:
    """A paper's events and cuts, the older first."""

    events: list[Event] = field(default_factory=list)
    cuts: list[Cut] = field(default_factory=list)


def history(runs: Sequence[Run], stated: Sequence[Stated], lake: Lake, *, alone_in_class: bool) -> History:
    """A paper's events and cuts.

    Args:
        runs: Its runs, by session.
        stated: What B3 states of it, in order.
        lake: The lake's sessions.
        alone_in_class: Whether its issuer has no other paper of its type of share. If it has, what B3 states
            by type alone is held against rises, and not told where nothing rose.

    Returns:
        Events from its first session with a distribution number on: what was before has nothing to be held
        against.
    """
    found = History()
    in_cash = [run for run in runs if run.in_cash]
    levels = _levels(in_cash)
    if not levels:
        return found
    unnumbered = [run for run in in_cash if run.number is None]
    if unnumbered and unnumbered[0].first_session < levels[0].first.first_session:
        found.cuts.append(_end(levels[0].first.first_session, REFINED_BEFORE))
    left = [event for event in stated if event.last_date_prior >= levels[0].first.first_session]
    dates = [event.last_date_prior for event in left]
    of_no_rise, end = [], 0
    for before, after in pairwise(levels):
        last, first = before.last.last_session, after.first.first_session
        begin, former_end, end = bisect_left(dates, last), end, bisect_left(dates, first)
        of_rise = left[begin:end]
        of_no_rise += left[former_end:begin]
        hidden = any(last < run.last_session and run.first_session < first for run in unnumbered)
        _Rise(before.last, after.first, of_rise, lake, found, hidden=hidden).settle()
    for event in (*of_no_rise, *left[end:]):
        if alone_in_class or not event.is_by_class:
            found.events.append(_unconfirmed(event, levels, lake))
    if in_cash[-1].number is None:
        # What happened since is not known: neither among these sessions, nor from those of before to today
        since = next(run for run in unnumbered if run.first_session > levels[-1].last.last_session)
        found.cuts += [_end(since.first_session, REFINED_BEFORE), _end(dt.date.max, REFINED_BEFORE)]
    found.events.sort(key=lambda event: (event.ex_date or dt.date.max, event.last_date_prior or dt.date.max))
    return found


def _levels(runs: Iterable[Run]) -> list[Level]:
    numbered = (run for run in runs if run.number is not None)
    levels = []
    for _, same in groupby(numbered, lambda run: (run.number, run.first_session < FIRST_IN_BRL)):
        own = list(same)
        levels.append(Level(own[0], own[-1]))
    return levels


def _end(session: dt.date, reason: str) -> Cut:
    return Cut(session, None, None, reason, reason)


def _unconfirmed(event: Stated, levels: Sequence[Level], lake: Lake) -> Event:
    day = event.last_date_prior
    if day >= levels[-1].last.last_session:
        reason = "the paper has not traded since the last session with the right"
    else:
        reason = "the distribution number did not rise, so nothing left the paper: not applied"
    later = (level.last for level in levels if day < level.last.last_session)
    return _row(next(later, levels[-1].last), lake.after(day), event, "unconfirmed", reason)


def _row(
    paper: Run, ex_date: dt.date | None, event: Stated, status: str, reason: str, *, size: Size | None = None
) -> Event:
    """An event's row; without its size, what B3 states alone."""
    amount = event.amount if size is None or event.offer is None else size.right
    return Event(
        isin=paper.isin,
        ticker=paper.ticker,
        ex_date=ex_date,
        kind=event.kind,
        label=event.label or None,
        ratio=event.ratio,
        amount=amount,
        close_before=size and size.close,
        split_factor=size and size.split,
        total_return_factor=size and size.total,
        last_date_prior=event.last_date_prior,
        payment_date=event.payment_date,
        status=status,
        reason=reason or None,
    )


class _Rise:
    """From one distribution number to the next: what explains it, and what it does to former prices."""

    def __init__(
        self, before: Run, after: Run, stated: Sequence[Stated], lake: Lake, found: History, *, hidden: bool
    ) -> None:
        self._before, self._after = before, after
        self._stated = stated
        self._lake = lake
        self._found = found
        self._hidden = hidden  # whether between the two the paper traded in sessions without a number
        self._size = (after.number or 0) - (before.number or 0)

    def settle(self) -> None:
        """Add the events and the cuts of this rise."""
        first = self._after.first_session
        if before_the_real(self._before) and not before_the_real(self._after):
            for event in self._stated:
                self._tell(event, "unconfirmed", OTHER_CURRENCY)
            self._found.cuts.append(_end(first, OTHER_CURRENCY))
            return
        if self._size < 0:
            self._unexplained(
                f"the distribution number fell from {self._before.number} to {self._after.number}", first
            )
            return
        counted = [
            event for event in self._stated if not (event.is_listed_again or event.is_more_of_the_same)
        ]
        missing = self._size - len(counted)
        if missing < 0:
            self._too_many(len(counted), first)
            return
        missing -= min(missing, sum(event.is_more_of_the_same for event in self._stated))
        again = [event for event in self._stated if event.is_listed_again][:missing]
        missing -= len(again)
        applied = [event for event in self._stated if not event.is_listed_again or event in again]
        if missing == 1 and not applied and _is_nominal_update(self._after.share_class):
            self._found.events.append(self._without_event("nominal_update", "proven", None))
            return
        self._apply(applied)
        if missing:
            of_them = "no event" if not applied else f"{self._size - missing}"
            self._unexplained(
                f"the distribution number rose by {self._size} on {first}, of which B3 states {of_them}",
                first,
            )

    def _too_many(self, listed: int, first: dt.date) -> None:
        """More events than the number counts: which of them happened is not known."""
        reason = f"B3 states {listed} events where the distribution number rose by {self._size}: not applied"
        for event in self._stated:
            self._tell(event, "unconfirmed", reason)
        ex_date = self._ex_date(self._stated[0])
        of_cash_alone = all(event.kind in CASH_KINDS for event in self._stated)
        ends = f"{first}: {reason}"
        self._found.cuts.append(
            Cut(ex_date, ONE if of_cash_alone else None, None, "" if of_cash_alone else ends, ends)
        )

    def _unexplained(self, reason: str, first: dt.date) -> None:
        self._found.events.append(self._without_event("unknown", "unexplained", reason))
        self._found.cuts.append(_end(first, reason))

    def _apply(self, events: Sequence[Stated]) -> None:
        """Size the events, one last day with the right after the other, and check them on the price."""
        sizes = _Sizes(self._before, self._lake, hidden=self._hidden)
        sized = [(event, sizes.of(event)) for event in events]
        ratio_denied, cash_denied = self._contradictions(sizes)
        denied_reason = ""
        if ratio_denied or cash_denied:
            before, after = _price(self._before.last_close), _price(self._after.first_close)
            denied_reason = f"the price went from {before} to {after}, which speaks against it"
        for _, one_date in groupby(sized, lambda pair: pair[0].last_date_prior):
            pairs = list(one_date)
            ex_date = self._ex_date(pairs[0][0])
            split: Decimal | None = ONE
            total: Decimal | None = ONE
            split_reason = total_reason = ""
            for event, size in pairs:
                is_ratio = event.ratio is not None
                denied = ratio_denied if is_ratio else cash_denied
                shown = size
                if denied:
                    reason = f"{event.label}: {denied_reason}"
                    shown = Size(None if is_ratio else ONE, None, size.close, reason)
                status = "contradicted" if denied or size.is_contradicted else "proven"
                if status == "proven" and shown.reason:
                    status = "unsized"
                row = _row(self._after, ex_date, event, status, shown.reason, size=shown)
                self._found.events.append(row)
                ends = f"{ex_date}: {shown.reason}"
                if shown.split is None:
                    split, split_reason = None, split_reason or ends
                elif split is not None:
                    split *= shown.split
                if shown.total is None:
                    total, total_reason = None, total_reason or ends
                elif total is not None:
                    total *= shown.total
            self._found.cuts.append(Cut(ex_date, split, total, split_reason, total_reason))

    def _contradictions(self, sizes: _Sizes) -> tuple[bool, bool]:
        """Whether the price speaks against the ratios of this rise, and against its cash."""
        before, after = self._before.last_close, self._after.first_close
        if not before or not after or before < 0 or after < 0:
            return False, False
        without = _step(after / before)
        split = without if sizes.shares == ONE else _step(after * sizes.shares / before)
        ratio_denied = sizes.shares != ONE and split > max(LARGEST_STEP, without)
        if ratio_denied or sizes.price is None or sizes.price <= 0:
            return ratio_denied, False
        total = _step(after / sizes.price)
        return False, total > max(LARGEST_STEP, split)

    def _ex_date(self, event: Stated) -> dt.date:
        return self._lake.after(event.last_date_prior) or self._after.first_session

    def _tell(self, event: Stated, status: str, reason: str) -> None:
        self._found.events.append(_row(self._after, self._ex_date(event), event, status, reason))

    def _without_event(self, kind: str, status: str, reason: str | None) -> Event:
        is_proven = status == "proven"
        return Event(
            isin=self._after.isin,
            ticker=self._after.ticker,
            ex_date=self._after.first_session,
            kind=kind,
            label="ATZ" if is_proven else None,
            ratio=None,
            amount=None,
            close_before=self._before.last_close,
            split_factor=ONE if is_proven else None,
            total_return_factor=ONE if is_proven else None,
            last_date_prior=None,
            payment_date=None,
            status=status,
            reason=reason,
        )


class Size(NamedTuple):
    """What an event multiplies a former price by; None, with the reason, where that is not known."""

    split: Decimal | None
    total: Decimal | None
    close: Decimal | None
    reason: str = ""
    right: Decimal | None = None
    is_contradicted: bool = False


class _Sizes:
    """Sizes the events of a rise in their order.

    The paper did not trade between them. So the price of before, less what each takes, is what the next one
    is held against: of several distributions of one date all together make (P - sum) / P.

    Attributes:
        price: What the price would be after them; None once it is not known.
        shares: Shares after them for one before, as B3 states them.
    """

    def __init__(self, before: Run, lake: Lake, *, hidden: bool) -> None:
        self._close = before.last_close
        self._session = before.last_session
        self._lake = lake
        self._hidden = hidden
        self.price = before.last_close
        self.shares = ONE
        self._date: dt.date | None = None
        self._price_of_date = self.price

    def of(self, event: Stated) -> Size:
        if event.last_date_prior != self._date:
            self._date, self._price_of_date = event.last_date_prior, self.price
        if event.problem:
            split = ONE if event.kind in (*CASH_KINDS, "subscription") else None
            self.price = None
            return Size(split, None, self._close, f"{event.label}: {event.problem}")
        if event.ratio is not None:
            self.shares *= event.ratio
            if self.price is not None:
                self.price /= event.ratio
            return Size(ONE / event.ratio, ONE / event.ratio, self._close)
        return self._of_cash(event)

    def _of_cash(self, event: Stated) -> Size:
        day = event.last_date_prior
        known = self._lake.knows(self._session, day) and not (self._hidden and day != self._session)
        if not self._close or not known:
            self.price = None
            return Size(ONE, None, None, f"{event.label}: no close of {day}, the last session with the right")
        if self.price is None or self._price_of_date is None:
            return Size(ONE, None, self._close, f"{event.label}: after an event that cannot be sized")
        amount, right = event.amount, None
        if event.offer is not None:
            share, issue_price = event.offer
            amount = right = max(Decimal(0), (self._price_of_date - issue_price) * share / (1 + share))
        assert amount is not None  # noqa: S101 - what is neither cash nor an offer has a ratio or a problem
        price, self.price = self.price, self.price - amount
        if self.price <= 0:
            self.price = None
            reason = f"{event.label}: {_price(amount)} is not less than the price of before, {_price(price)}"
            return Size(ONE, None, self._close, reason, right, is_contradicted=True)
        return Size(ONE, self.price / price, self._close, right=right)


def before_the_real(run: Run) -> bool:
    """Whether a run's prices are in thousands of cruzeiros reais."""
    return run.first_session < FIRST_IN_BRL


def _step(ratio: Decimal) -> Decimal:
    return ratio if ratio >= ONE else ONE / ratio


def _price(price: Decimal | None) -> str:
    return "no price" if price is None else f"{price.normalize():f}"


_MARK = re.compile(r"E[BCDGJRS]+|ATZ")


def _is_nominal_update(share_class: str | None) -> bool:
    """Whether ESPECI shows ATZ and no other mark.

    ATZ is a nominal update in which nothing leaves the holder: of 151 rises of 2020 to 2025 with ATZ alone
    the median step of the price was 1.0028.
    """
    marks = [token for token in (share_class or "").split() if _MARK.fullmatch(token)]
    return marks == ["ATZ"]
