"""What B3 states of a paper's corporate actions, from the raw table `corporate_actions`: one entry an event.

Three calls of B3's tell of them, and overlap: the issuer's supplement and the funds' (by ISIN, cash of about
a year), and the history of cash (by type of share, since 1995).
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache, partial
from typing import NamedTuple

from lake.currency import FIRST_IN_BRL


class Action(NamedTuple):
    """A row of the raw table, with the columns that are read of it."""

    issuer: str
    call: str
    category: str
    isin: str | None
    asset_issued: str | None
    type_stock: str | None
    label: str | None
    last_date_prior: dt.date | None
    payment_date: dt.date | None
    rate: Decimal | None
    quoted_per_shares: int | None
    factor: Decimal | None
    percentage: Decimal | None
    price_unit: Decimal | None
    occurrence: int
    first_seen: dt.date | None
    last_seen: dt.date | None


class Stated(NamedTuple):
    """An event as B3 states it.

    Attributes:
        kind: One of `KINDS`.
        label: B3's word for it.
        last_date_prior: The last session with the right.
        payment_date: When it is paid; None if it is not known.
        ratio: Shares after for one before; None where it leaves their number alone, or cannot be sized.
        amount: Gross cash per share [BRL]; None of other events.
        offer: Of a subscription, new shares for one and the price of each [BRL].
        problem: Why it cannot be sized; empty if it can.
        is_listed_again: Whether a row alike in everything was before it: a second instalment, or a mistake.
        is_more_of_the_same: Whether another one of its label and date was before it: instalments, two amounts
            of one decision, the shares of a spin-off. The distribution number may count them as one.
        is_by_class: Whether the history of cash alone has it, which knows the type of share and no ISIN.
    """

    kind: str
    label: str
    last_date_prior: dt.date
    payment_date: dt.date | None = None
    ratio: Decimal | None = None
    amount: Decimal | None = None
    offer: tuple[Decimal, Decimal] | None = None
    problem: str = ""
    is_listed_again: bool = False
    is_more_of_the_same: bool = False
    is_by_class: bool = False


CASH_KINDS = ("dividend", "interest", "income", "other_cash")
KINDS = (
    *CASH_KINDS,
    *("subscription", "split", "reverse_split", "bonus", "spin_off", "other", "nominal_update", "unknown"),
)
"""Kinds of events, in the order in which those of one date take effect: cash and rights are for the shares of
before a split. A nominal update takes nothing from the holder; unknown is a rise of the distribution number
with no event."""

_RANKS = {kind: rank for rank, kind in enumerate(KINDS)}
_CASH = {"DIVIDENDO": "dividend", "JRS CAP PROPRIO": "interest", "RENDIMENTO": "income"}
_STOCK = {
    "DESDOBRAMENTO": "split",
    "BONIFICACAO": "bonus",
    "GRUPAMENTO": "reverse_split",
    "CIS RED CAP": "spin_off",
    "CISAO": "spin_off",
}
_MORE_IN_PERCENT = ("split", "bonus")
_HUNDRED = Decimal(100)
# The two calls write the same amount with other numbers of decimals
_SAME_AMOUNT = Decimal("0.00001")
_NOT_THE_SHARE = {"REC", "DIR", "BNS"}


def current(actions: Iterable[Action]) -> list[Action]:
    """The rows that count: without those that B3 has since replaced.

    The raw table keeps what was once seen. Of rows of one call, paper and last day with the right, one that
    B3 no longer showed when it first showed another was corrected by it: by a payment date that had been
    open, by another amount. Instalments stand in one answer together.
    """
    groups: dict[tuple[object, ...], list[Action]] = defaultdict(list)
    for action in actions:
        groups[
            (
                action.issuer,
                action.call,
                action.category,
                action.isin,
                action.type_stock,
                action.last_date_prior,
            )
        ].append(action)
    kept = []
    for rows in groups.values():
        newest = max((row.first_seen for row in rows if row.first_seen), default=None)
        kept += [row for row in rows if not (newest and row.last_seen and row.last_seen < newest)]
    return kept


def class_of(share_class: str | None) -> str | None:
    """The type of share in ESPECI, such as ON or PNA; None of receipts and rights, which are no share."""
    tokens = re.findall(r"[A-Z]+", share_class or "")
    return None if not tokens or _NOT_THE_SHARE & set(tokens) else tokens[0]


class Book:
    """All that B3 states, to be asked for a paper's events."""

    def __init__(self, actions: Iterable[Action]) -> None:
        """The rows of the raw table, of any issuers, in any order."""
        self._by_isin: dict[str, list[Action]] = defaultdict(list)
        self._by_class: dict[tuple[str, str], list[Action]] = defaultdict(list)
        for action in current(actions):
            if action.last_date_prior is None:
                continue
            if action.isin:
                self._by_isin[action.isin].append(action)
            elif action.type_stock:
                self._by_class[action.issuer, action.type_stock.strip()].append(action)

    def of_paper(self, isin: str, issuers: Iterable[str], type_of_share: str | None) -> list[Stated]:
        """What B3 states of a paper, each event once, by date and in the order in which they take effect.

        Args:
            isin: The paper. Stock events are listed for each ISIN that the issuer has had: its own count.
            issuers: The issuing codes that its tickers begin with.
            type_of_share: As `class_of` has it.
        """
        own = self._by_isin.get(isin, [])
        answers = [_events(isin, [row for row in own if row.call == call]) for call in _calls(own)]
        for issuer in sorted(set(issuers)):
            rows = self._by_class.get((issuer, type_of_share or ""), [])
            answers.append([event._replace(is_by_class=True) for event in _events(isin, rows)])
        return _in_order(_without_twins(answers))


def _calls(rows: Iterable[Action]) -> list[str]:
    return sorted({row.call for row in rows})


def _events(isin: str, rows: Iterable[Action]) -> list[Stated]:
    return [_event(isin, row, row.last_date_prior) for row in rows if row.last_date_prior]


def _without_twins(answers: Iterable[Sequence[Stated]]) -> list[Stated]:
    """The events of several answers, those of one answer that another one has too but once."""
    found: list[Stated] = []
    for answer in filter(None, answers):
        unmatched: dict[dt.date, list[Stated]] = defaultdict(list)
        for event in found:
            unmatched[event.last_date_prior].append(event)
        for event in answer:
            of_date = unmatched[event.last_date_prior]
            twin = next((other for other in of_date if _are_twins(event, other)), None)
            if twin:
                of_date.remove(twin)
            else:
                found.append(event)
    return found


def _are_twins(one: Stated, other: Stated) -> bool:
    """Whether two events of one date are the same, told twice."""
    if (one.kind, one.ratio, one.offer) != (other.kind, other.ratio, other.offer):
        return False
    if one.amount is None or other.amount is None:
        return one.label == other.label and one.amount == other.amount
    return abs(one.amount - other.amount) <= _SAME_AMOUNT


def _in_order(events: Iterable[Stated]) -> list[Stated]:
    """Events by date and effect, with those marked that repeat another."""
    ordered = sorted(events, key=_order)
    marked = []
    before: dict[tuple[object, ...], int] = defaultdict(int)
    for event in ordered:
        alike: tuple[object, ...] = event._replace(is_by_class=False) if event.is_by_class else event
        same = (event.last_date_prior, event.kind, event.label)
        is_again = before[alike] > 0 and not event.problem
        is_many = event.amount is not None or event.problem != ""
        is_more = is_many and before[same] > 0 and not is_again
        repeats = is_again or is_more
        marked.append(
            event._replace(is_listed_again=is_again, is_more_of_the_same=is_more) if repeats else event
        )
        before[alike] += 1
        before[same] += 1
    return marked


def _order(event: Stated) -> tuple[object, ...]:
    return (
        event.last_date_prior,
        _RANKS[event.kind],
        event.label,
        event.amount or 0,
        event.ratio or 0,
        event.payment_date or dt.date.max,
        event.is_by_class,
        event.offer or (),
        event.problem,
    )


def _event(isin: str, row: Action, last_date_prior: dt.date) -> Stated:
    label = _plain(row.label or "")
    given = partial(
        Stated, label=row.label or "", last_date_prior=last_date_prior, payment_date=row.payment_date
    )
    if row.category == "cash":
        return _cash(given(kind=_CASH.get(label, "other_cash")), row)
    if row.category == "subscription":
        return _subscription(given(kind="subscription"), isin, row)
    return _stock(given(kind=_STOCK.get(label, "other")), isin, row)


def _cash(event: Stated, row: Action) -> Stated:
    if row.rate is None or row.rate <= 0:
        return event._replace(problem="B3 states no amount")
    if event.last_date_prior < FIRST_IN_BRL:
        return event._replace(problem="the currency of an amount of before the Real is not known")
    return event._replace(amount=row.rate / (row.quoted_per_shares or 1))


def _subscription(event: Stated, isin: str, row: Action) -> Stated:
    if row.percentage is None or row.percentage <= 0 or row.price_unit is None:
        return event._replace(problem="B3 states no percentage or no price")
    if row.asset_issued not in (None, "", isin):
        return event._replace(problem=f"what may be subscribed is another paper, {row.asset_issued}")
    return event._replace(offer=(row.percentage / _HUNDRED, row.price_unit))


def _stock(event: Stated, isin: str, row: Action) -> Stated:
    if event.kind in ("spin_off", "other"):
        return event._replace(problem=f"the factor {row.factor} is no ratio")
    if row.asset_issued not in (None, "", isin):
        return event._replace(problem=f"what is given is another paper, {row.asset_issued}")
    if row.factor is None or row.factor <= 0:
        return event._replace(problem="B3 states no factor")
    ratio = 1 + row.factor / _HUNDRED if event.kind in _MORE_IN_PERCENT else row.factor
    return event._replace(ratio=ratio)


@cache
def _plain(label: str) -> str:
    """A label in capitals, without accents, with single blanks. There are few, each of many events."""
    letters = unicodedata.normalize("NFKD", label).encode("ascii", "ignore").decode()
    return " ".join(letters.upper().split())


def rows_of(columns: Mapping[str, Sequence[object]]) -> Iterator[Action]:
    """Actions of columns of the raw table."""
    return (Action._make(values) for values in zip(*(columns[name] for name in Action._fields), strict=True))
