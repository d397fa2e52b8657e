"""What B3's service knows of the simulated market's issuers on a day, with what is wrong or lacking in it.

It lists what papers pay for about twelve months, its history of payments without ISINs and some days late,
splits and the like for ever and for every ISIN that an issuer has had, each as B3 labels it. Some it never
lists, some twice, some it cannot size, some never happened, and of delisted issuers it forgets all but the
history. An issuer goes by its present name alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from itertools import groupby
from typing import TypeVar

from sandbox.b3.actions import CorporateActions, Kind, Step
from sandbox.b3.formats import CashDividend, HistoricCash, IssuerActions, StockDividend, Subscription
from sandbox.b3.prices import Prices, in_cents
from sandbox.b3.sessions import last_session_until
from sandbox.b3.universe import FUND_CODBDI, Listing, isin_with_check_digit

_Row = TypeVar("_Row", CashDividend, StockDividend, Subscription, HistoricCash)

UNSIZED_LABELS = ("CIS RED CAP", "REST CAP ACOES", "INCORPORACAO")
"""What a spin-off is listed as, with a factor that is no ratio."""

_SUPPLEMENT_HAS_CASH_FOR = timedelta(days=365)
_FORGOTTEN_AFTER = timedelta(days=30)  # days after the last session of a delisted issuer
_BETWEEN_INSTALMENTS = timedelta(days=91)
_RECEIPTS_LIVE_FOR = timedelta(days=95)  # of a fund's subscription, which are paid beside its shares
_UNKNOWN_DAY = date(1900, 1, 1)
_NO_RATIO = Decimal(100)
_MILLIONTH = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Payment:
    """A distribution of a step: B3's label, its share of the price in millionths, days to its payment."""

    label: str
    share: int
    later: timedelta


def payments(step: Step) -> list[Payment]:
    """The distributions of a payment, of which each is a number of DISMES."""
    now = timedelta(0)
    each = step.dividend // step.instalments
    found = [
        Payment("DIVIDENDO", each, nth * _BETWEEN_INSTALMENTS) for nth in range(step.instalments) if each
    ]
    if step.interest:
        found.append(Payment("JRS CAP PROPRIO", step.interest, now))
    if step.income:
        found.append(Payment("RENDIMENTO", step.income, now))
    return found


def listed_payments(step: Step) -> list[Payment]:
    """Those that the service lists, without its doubles."""
    found = payments(step)
    return found[:-1] if step.hidden else found


def known_from(step: Step) -> date:
    """The first day on which the supplement lists a step that is not hidden."""
    return step.day + timedelta(days=step.late) if step.late else step.last_with_right - _days(step.notice)


def in_history_from(step: Step) -> date:
    """The first day on which the history of payments has a step."""
    return step.day + timedelta(days=step.lag)


def in_supplement(step: Step, listing: Listing, as_of: date) -> bool:
    """Whether the supplement lists a step that is not hidden, on a day."""
    recent = step.kind != Kind.CASH or step.last_with_right > as_of - _SUPPLEMENT_HAS_CASH_FOR
    return recent and known_from(step) <= as_of and has_supplement(listing, as_of)


def in_history(step: Step, listing: Listing, as_of: date) -> bool:
    """Whether the history has a payment that is not hidden, on a day; of funds there is none."""
    return step.kind == Kind.CASH and listing.is_share and in_history_from(step) <= as_of


def has_supplement(listing: Listing, as_of: date) -> bool:
    """Whether the catalogue of issuers still has it."""
    return listing.listed_until is None or as_of <= listing.listed_until + _FORGOTTEN_AFTER


class Issuers:
    """The issuers of a market that the service knows of: companies and real-estate funds.

    Args:
        listings: The market's papers, the classes of a company beside one another.
        actions: Their corporate actions.
        prices: Their prices, of which payments are shares.
    """

    def __init__(self, listings: Sequence[Listing], actions: CorporateActions, prices: Prices) -> None:
        self._listings = listings
        self._actions = actions
        self._prices = prices
        self._known: dict[int, list[Step]] = {}
        self._closes: dict[tuple[int, date], Decimal] = {}
        self._companies = [
            [number for number, _ in papers]
            for _, papers in groupby(enumerate(listings), key=lambda paper: paper[1].company_number)
        ]

    @cached_property
    def _by_code(self) -> dict[str, int]:
        """Companies by each of their codes."""
        return {
            code: number
            for number, papers in enumerate(self._companies)
            if _is_known(lead := self._listings[papers[0]])
            for code in (lead.code, lead.later_code)
            if code
        }

    def issuer_of(self, trading_name: str) -> str | None:
        """The issuing code of a short name, as it is asked for: without "/" and blanks at its end."""
        for code, number in self._by_code.items():
            lead = self._listings[self._companies[number][0]]
            name = lead.company if code == lead.code else lead.later_company
            if name.replace("/", "").rstrip() == trading_name:
                return code
        return None

    def actions_of(self, issuer: str, as_of: date) -> IssuerActions | None:
        """What the service knows of an issuer on a day; None of one that it does not know by that code."""
        number = self._by_code.get(issuer)
        if number is None:
            return None
        papers = self._companies[number]
        lead = self._listings[papers[0]]
        if lead.listed_from > as_of or lead.code_on(as_of) != issuer:
            return None
        horizon = as_of + timedelta(days=60)
        steps = [step for paper in papers for step in self._steps(paper) if step.day <= horizon]
        current = [step for step in steps if in_supplement(step, lead, as_of)]
        return IssuerActions(
            issuer=issuer,
            trading_name=lead.company_on(as_of),
            is_fund=not lead.is_share,
            is_listed=has_supplement(lead, as_of),
            cash=_newest(row for step in current for row in self._cash(step)),
            stock=_newest(row for step in current for row in self._stock(step)) + self._end(papers, as_of),
            subscriptions=_newest(row for step in current for row in self._subscription(step)),
            history=_newest(
                row for step in steps if in_history(step, lead, as_of) for row in self._history(step)
            ),
        )

    def _steps(self, paper: int) -> list[Step]:
        if paper not in self._known:
            self._known[paper] = [*self._actions.steps(paper), *self._actions.announced(paper)]
        return self._known[paper]

    def _close(self, step: Step) -> Decimal:
        """The close that is quoted in the last session with the right, BRL for one unit."""
        last = step.last_with_right
        if (step.listing, last) not in self._closes:
            fatcot = self._listings[step.listing].fatcot
            price = self._prices.closes(last)[step.listing]
            self._closes[step.listing, last] = Decimal(int(in_cents(price, fatcot))) / 100 / fatcot
        return self._closes[step.listing, last]

    def _approved(self, step: Step) -> date | None:
        settled = step.pays or step.listing % 3
        return step.last_with_right - _days(step.notice) if settled else None

    def _cash(self, step: Step) -> Iterator[CashDividend]:
        paper = self._listings[step.listing]
        for payment in listed_payments(step):
            row = CashDividend(
                isin=paper.isin,
                label=payment.label,
                rate=self._close(step) * payment.share * _MILLIONTH,
                last_date_prior=step.last_with_right,
                approved_on=self._approved(step),
                payment_date=step.day + _days(step.pays) + payment.later if step.pays else None,
                related_to=_period(step),
            )
            yield row
            if step.doubled:
                yield row
            if receipt := self._receipt(step):
                yield replace(row, isin=receipt)

    def _receipt(self, step: Step) -> str | None:
        """ISIN of the receipts of a fund's subscription, which are paid as its shares are."""
        paper = self._listings[step.listing]
        if paper.is_share:
            return None
        offered = (
            other.day
            for other in self._steps(step.listing)
            if other.kind == Kind.SUBSCRIPTION and other.day < step.day <= other.day + _RECEIPTS_LIVE_FOR
        )
        return next((isin_with_check_digit(f"BR{paper.code}R{day.day:02d}M1") for day in offered), None)

    def _stock(self, step: Step) -> Iterator[StockDividend]:
        paper = self._listings[step.listing]
        if step.hidden:
            return
        isins = [paper.isin]
        if self._companies[paper.company_number][0] == step.listing and paper.company_number % 3 == 0:
            isins.append(_former_isin(paper))
        for label, factor in _listed_factors(step):
            for isin in isins:
                row = StockDividend(
                    isin=isin,
                    label=label,
                    factor=factor,
                    last_date_prior=step.last_with_right,
                    approved_on=self._approved(step),
                )
                if label == UNSIZED_LABELS[0]:
                    yield replace(row, asset_issued=isin_with_check_digit(f"BR{paper.code}S01OR"))
                yield row

    def _subscription(self, step: Step) -> Iterator[Subscription]:
        if step.kind == Kind.SUBSCRIPTION and not step.hidden:
            last = step.last_with_right
            yield Subscription(
                isin=self._listings[step.listing].isin,
                percentage=Decimal(step.size).scaleb(-5),
                price_unit=self._close(step) * (100 - step.discount) / 100,
                last_date_prior=last,
                approved_on=self._approved(step),
                subscription_date=last + timedelta(days=30),
                trading_from=last + timedelta(days=2) if step.listing % 2 else None,
                trading_until=last + timedelta(days=24),
            )

    def _history(self, step: Step) -> Iterator[HistoricCash]:
        paper = self._listings[step.listing]
        last = step.last_with_right
        in_thousands = paper.company_number % 2 == 0 and last.year <= 2003 + paper.company_number % 5
        quoted = 1000 if in_thousands else 1
        close = self._close(step)
        for payment in listed_payments(step):
            row = HistoricCash(
                type_stock=paper.share_class,
                corporate_action=payment.label,
                value=close * payment.share * _MILLIONTH * quoted,
                last_date_prior=last,
                approved_on=self._approved(step),
                closing_price=close * quoted,
                closing_price_date=_UNKNOWN_DAY if step.lag > 15 else last,
                quoted_per_shares=quoted,
                corporate_action_price=Decimal(payment.share).scaleb(-4),
            )
            yield row
            if step.doubled:
                yield row

    def _end(self, papers: Sequence[int], as_of: date) -> tuple[StockDividend, ...]:
        """How every second company leaves: its shares are taken in, after the last session."""
        lead = self._listings[papers[0]]
        end = lead.listed_until
        if end is None or not lead.is_share or lead.company_number % 2 or as_of < end - timedelta(days=20):
            return ()
        label = "RESG TOTAL RV" if lead.company_number % 4 else "INCORPORACAO"
        return tuple(
            StockDividend(
                isin=self._listings[paper].isin,
                label=label,
                factor=_NO_RATIO,
                last_date_prior=last_session_until(end),
                approved_on=end - timedelta(days=20),
            )
            for paper in papers
            if has_supplement(lead, as_of)
        )


def _is_known(lead: Listing) -> bool:
    return lead.is_share or lead.codbdi == FUND_CODBDI


def _former_isin(paper: Listing) -> str:
    """Of a class of preferred shares that the issuer has no more."""
    return isin_with_check_digit(f"BR{paper.code}ACNPB")


def _listed_factors(step: Step) -> list[tuple[str, Decimal]]:
    """Labels and factors as the service lists a split and the like."""
    by_kind = {
        Kind.SPLIT: [("DESDOBRAMENTO", Decimal(step.size))],
        Kind.BONUS: [("BONIFICACAO", Decimal(step.size))],
        Kind.GROUPING: [("GRUPAMENTO", Decimal(step.size).scaleb(-3))],
        Kind.CANCELLING: [("GRUPAMENTO", Decimal("0.025")), ("DESDOBRAMENTO", Decimal(7_900))],
        Kind.HALF_LISTED: [("GRUPAMENTO", Decimal("0.01"))],
        Kind.SPIN_OFF: [(UNSIZED_LABELS[step.listing % len(UNSIZED_LABELS)], _NO_RATIO)],
    }
    return by_kind.get(step.kind, [])


def _period(step: Step) -> str:
    day = step.last_with_right
    return f"{day:%m}/{day.year}" if step.income else f"{(day.month + 2) // 3}º Trimestre/{day.year}"


def _newest(rows: Iterator[_Row]) -> tuple[_Row, ...]:
    return tuple(sorted(rows, key=lambda row: row.last_date_prior or date.max, reverse=True))


def _days(count: int) -> timedelta:
    return timedelta(days=count)
