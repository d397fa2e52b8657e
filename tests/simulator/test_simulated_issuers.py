"""What the simulated B3 knows of issuers, and that it is enough for the series that the oracle tells.

A plain reading of the quotes and of the service's rows, which knows nothing of the market's steps, is held
against the oracle paper by paper and session by session; and so is the job's own, by the reader, the raw
table's merge and `refinement.adjustment`.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest

from refinement import arrow
from refinement.adjustment import factors as job
from refinement.adjustment import runs
from refinement.adjustment.actions import Action, Book, rows_of
from refinement.adjustment.factors import Adjusted, adjust
from refinement.columns import COMPACT_COLUMNS
from sandbox.b3.actions import Kind
from sandbox.b3.formats import IssuerActions, Subscription, encode_cash_history, encode_supplement
from sandbox.b3.issuers import UNSIZED_LABELS
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.truth import Verdict, spans, verdicts
from sandbox.b3.universe import Listing
from scraper.b3.calendar import sessions_between
from scraper.b3.corporate_actions.reader import merge, read_cash_history, read_supplement

SESSIONS = sessions_between(date(2016, 1, 4), date(2025, 12, 30))
"""Ten years."""

ASKED = [SESSIONS[0] + timedelta(days=days) for days in range(0, 3_800, 150)]
"""The service is asked now and then, and what it said is kept."""

Key = tuple[str, str, date]


@dataclass(frozen=True)
class Lake:
    """Ten years of a market: cash lines by paper, and all rows that the service has shown."""

    market: SimulatedMarket
    closes: dict[str, dict[date, Fraction]] = field(default_factory=lambda: defaultdict(dict))
    numbers: dict[str, dict[date, int]] = field(default_factory=lambda: defaultdict(dict))
    rights: dict[str, dict[date, str]] = field(default_factory=lambda: defaultdict(dict))
    refined: dict[date, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))

    @cached_property
    def papers(self) -> dict[str, Listing]:
        known = {listing.isin: listing for listing in self.market.listings}
        return {isin: known[isin] for isin in self.closes}

    @cached_property
    def asked(self) -> dict[str, dict[date, IssuerActions]]:
        """What the service has answered by issuing code and day."""
        found: dict[str, dict[date, IssuerActions]] = defaultdict(dict)
        for day in ASKED:
            for code in {paper.code_on(day) for paper in self.papers.values()}:
                if answer := self.market.corporate_actions(code, day):
                    found[code][day] = answer
        return found

    @cached_property
    def answers(self) -> dict[str, list[IssuerActions]]:
        """By paper."""
        codes = {isin: dict.fromkeys((paper.code, paper.later_code)) for isin, paper in self.papers.items()}
        return {
            isin: [answer for code in of_paper for answer in self.asked.get(code, {}).values()]
            for isin, of_paper in codes.items()
        }


@pytest.fixture(scope="module")
def lake() -> Lake:
    market = SimulatedMarket(seed=8, tickers=50)
    found = Lake(market)
    names = ("codisi", "preult", "fatcot", "especi", "dismes", "codneg")
    for session in SESSIONS:
        columns = market.cash(session)
        for isin, cents, fatcot, especi, dismes, codneg in zip(
            *(columns[name].tolist() for name in names), strict=True
        ):
            found.closes[isin.decode()][session] = Fraction(cents, 100 * fatcot)
            found.numbers[isin.decode()][session] = dismes
            found.rights[isin.decode()][session] = especi.decode()[4:8].strip()
            found.refined[session].append(
                {
                    "isin": isin.decode(),
                    "ticker": codneg.decode().strip(),
                    "share_class": especi.decode().strip(),
                    "close": (Decimal(cents) / (100 * fatcot)).quantize(Decimal("0.000001")),
                    "distribution_number": dismes,
                }
            )
    return found


# ---- the plain reading ----


def cash_rows(lake: Lake, paper: Listing) -> dict[Key, tuple[Fraction, int]]:
    """Amounts for a share and how often each stands in one answer, by label and last day with the right."""
    found: dict[Key, tuple[Fraction, int]] = {}
    for answer in lake.answers[paper.isin]:
        supplement = Counter(
            ((row.label, str(row.rate.normalize()), row.last_date_prior), row.payment_date)
            for row in answer.cash
            if row.isin == paper.isin
        )
        often: Counter[Any] = Counter()
        for (key, _), count in supplement.items():
            often[key] += count
        history = Counter(
            (
                row.corporate_action,
                str((row.value / row.quoted_per_shares).normalize()),
                row.last_date_prior,
            )
            for row in answer.history
            if row.type_stock == paper.share_class
        )
        for key, count in [*often.items(), *history.items()]:
            found[key] = (Fraction(Decimal(key[1])), max(count, found.get(key, (None, 0))[1]))
    return found


def of_paper(lake: Lake, paper: Listing, name: str) -> set[Any]:
    """Rows of `stock` or `subscriptions` that name the paper's own ISIN, once each."""
    rows = {row for answer in lake.answers[paper.isin] for row in getattr(answer, name)}
    return {replace(row, asset_issued="") for row in rows if row.isin == paper.isin}


def split_of(label: str, factor: Decimal) -> Fraction | None:
    """What a price is multiplied by; None where the factor is no ratio."""
    if label in {"DESDOBRAMENTO", "BONIFICACAO"}:
        return 1 / (1 + Fraction(factor) / 100)
    return 1 / Fraction(factor) if label == "GRUPAMENTO" else None


def right_s_worth(price: Fraction, offer: Subscription) -> Fraction:
    offered = Fraction(offer.percentage) / 100
    return max(Fraction(0), (price - Fraction(offer.price_unit)) * offered / (1 + offered))


def judge(*, rise: int, found: int, splits: list[Fraction | None], step: Fraction) -> Verdict:
    if found < rise:
        return Verdict.UNEXPLAINED
    if None in splits:
        return Verdict.UNSIZED
    return Verdict.PROVEN if Fraction(1, 2) < step < 2 else Verdict.CONTRADICTED


def read_rises(lake: Lake, paper: Listing) -> list[tuple[date, Fraction, Fraction, Verdict]]:
    """Ex-dates of a paper as quotes and rows tell them: split factor, total factor, and how it stands."""
    closes, numbers = lake.closes[paper.isin], lake.numbers[paper.isin]
    cash = cash_rows(lake, paper)
    stock = of_paper(lake, paper, "stock")
    offers = of_paper(lake, paper, "subscriptions")
    rises = []
    for last, session in pairwise(closes):
        rise = numbers[session] - numbers[last]
        if not rise:
            continue
        price = closes[last]
        splits = [split_of(row.label, row.factor) for row in stock if last <= row.last_date_prior < session]
        worths = [right_s_worth(price, row) for row in offers if last <= row.last_date_prior < session]
        paid = [values for (_, _, day), values in cash.items() if last <= day < session]
        updated = lake.rights[paper.isin][session] == "ATZ"
        found = len(splits) + len(worths) + len(paid) + updated
        # Alike in all: one, unless the rise counts both
        often = [count if found < rise else 1 for _, count in paid]
        found += sum(often) - len(often)
        left = sum((value * count for (value, _), count in zip(paid, often, strict=True)), sum(worths))
        split = math.prod((factor for factor in splits if factor is not None), start=Fraction(1))
        step = closes[session] / (price * split)
        stands = judge(rise=rise, found=found, splits=splits, step=step)
        rises.append((session, split, split * (price - left) / price, stands))
    return rises


# ---- the oracle ----


def test_the_service_s_rows_and_the_rises_give_the_oracle_s_factors_and_ends(lake: Lake) -> None:
    stood: Counter[Verdict] = Counter()
    for isin, paper in lake.papers.items():
        first, last = min(lake.closes[isin]), max(lake.closes[isin])
        told = spans(lake.market, paper, first=first, last=last, asked=ASKED)
        assert (told[0].first, told[-1].last) == (first, last)
        assert told[-1].split_factor == told[-1].total_return_factor == 1
        split = total = Fraction(1)
        reason: Verdict | None = None
        read = [(split, total, reason)]
        for _, of_split, of_total, stands in reversed(read_rises(lake, paper)):
            stood[stands] += 1
            split, total = split * of_split, total * of_total
            reason = reason or (None if stands == Verdict.PROVEN else stands)
            read.append((split, total, reason))
        assert len(read) == len(told), isin
        for span, (split, total, reason) in zip(told, read[::-1], strict=True):
            assert span.reason == reason, (isin, span)
            assert (span.split_factor, span.total_return_factor) == (
                (None, None) if reason else (split, total)
            )
    assert set(stood) == set(Verdict)
    assert stood[Verdict.PROVEN] > 1000


def test_where_there_are_factors_the_closes_times_them_are_the_truth_to_a_cent(lake: Lake) -> None:
    worth = {session: lake.market.truth(session) for session in SESSIONS[::20]}
    checked = 0
    for isin, paper in lake.papers.items():
        closes = lake.closes[isin]
        last = max(closes)
        newest = lake.market.truth(last)[isin]
        for span in spans(lake.market, paper, first=min(closes), last=last, asked=ASKED):
            if span.total_return_factor is None:
                continue
            for session in closes:
                if span.first <= session <= span.last and session in worth:
                    checked += 1
                    told = float(closes[session] * span.total_return_factor / closes[last])
                    rounding = 0.0051 / paper.fatcot * float(1 / closes[session] + 1 / closes[last])
                    assert told == pytest.approx(worth[session][isin] / newest, rel=rounding), (isin, session)
    assert checked > 2000


def raw_table(answers: Iterable[tuple[date, IssuerActions]]) -> pa.Table:
    """What the raw table holds of an issuer once the service has been asked on these days."""
    said = []
    for day, answer in answers:
        code = answer.issuer
        if answer.is_listed:
            body = json.dumps(encode_supplement(answer)).encode()
            said.append(
                read_supplement(
                    body, issuer=code, is_fund=answer.is_fund, seen=day, source="the service"
                ).table
            )
        if not answer.is_fund:
            page = json.dumps(encode_cash_history(answer.history, page_size=10_000)).encode()
            said.append(read_cash_history([page], issuer=code, seen=day, source="the service").table)
    return merge(said)


@pytest.fixture(scope="module")
def job_s_own(lake: Lake) -> Adjusted:
    """Events and factors as the job makes them of the refined rows and of the raw table."""
    actions: list[Action] = []
    for _, answers in sorted(lake.asked.items()):
        actions += rows_of(raw_table(answers.items()).to_pydict())
    tables = {
        day: pa.Table.from_pylist(rows, schema=arrow.schema(COMPACT_COLUMNS))
        for day, rows in lake.refined.items()
    }
    return adjust(dict(runs.by_paper(runs.of_sessions(tables))), Book(actions), lake.refined)


def test_the_job_s_factors_are_the_oracle_s_in_every_session_of_ten_years(
    lake: Lake, job_s_own: Adjusted
) -> None:
    made: dict[str, list[job.Span]] = defaultdict(list)
    for span in job_s_own.spans:
        made[span.isin].append(span)
    differing = []
    checked: Counter[bool] = Counter()
    for isin, paper in lake.papers.items():
        closes = lake.closes[isin]
        told = spans(lake.market, paper, first=min(closes), last=max(closes), asked=ASKED)
        for session in closes:
            (truth,) = [span for span in told if span.first <= session <= span.last]
            (own,) = [span for span in made[isin] if span.first_session <= session <= span.last_session]
            wanted = [truth.split_factor, truth.total_return_factor]
            found = [own.split_factor, own.total_return_factor]
            same = [
                (a is None) == (b is None) and (a is None or b is None or math.isclose(a, b, rel_tol=1e-15))
                for a, b in zip(wanted, found, strict=True)
            ]
            checked[truth.reason is None] += 1
            if not all(same):
                differing.append((isin, session, truth, own))
    assert differing == []
    assert min(checked.values()) > 10_000


def test_about_half_of_the_papers_and_sessions_of_ten_years_are_covered(lake: Lake) -> None:
    covered = known = 0
    for isin, paper in lake.papers.items():
        closes = lake.closes[isin]
        for span in spans(lake.market, paper, first=min(closes), last=max(closes), asked=ASKED):
            count = sum(span.first <= session <= span.last for session in closes)
            known += count
            covered += count * (span.reason is None)
    assert 0.4 < covered / known < 0.95


def test_without_its_history_a_series_is_as_long_as_the_supplement_s_twelve_months(lake: Lake) -> None:
    """A fund has no history: asked once, at the end, its series begins after the first payment unlisted."""
    end = SESSIONS[-1]
    funds = 0
    for isin, paper in lake.papers.items():
        if paper.is_share or not lake.market.steps(isin) or max(lake.closes[isin]) != end:
            continue
        told = spans(lake.market, paper, first=min(lake.closes[isin]), last=end, asked=[end])
        begins = min(span.first for span in told if span.reason is None)
        assert end - timedelta(days=400) < begins <= end
        funds += 1
    assert funds >= 2


# ---- the answers ----


def test_an_answer_is_written_in_the_service_s_forms_and_has_every_trap(lake: Lake) -> None:
    answers = [answer for each in lake.answers.values() for answer in each[::20]]
    for answer in answers:
        encode_supplement(answer)
        encode_cash_history(answer.history)
    stock = [row for each in lake.answers.values() for answer in each for row in answer.stock]
    labels = {row.label for row in stock}
    assert {"DESDOBRAMENTO", "BONIFICACAO", "GRUPAMENTO"} <= labels
    assert labels & {*UNSIZED_LABELS}
    # How a company leaves: after its last session, so that no number rises
    ends = {isin: listing.listed_until for isin, listing in lake.papers.items() if listing.listed_until}
    assert any(row.isin in ends and row.last_date_prior == max(lake.closes[row.isin]) for row in stock)
    cash = [row for answer in answers for row in answer.cash]
    history = [row for answer in answers for row in answer.history]
    assert {row.label for row in cash} == {"DIVIDENDO", "JRS CAP PROPRIO", "RENDIMENTO"}
    # Sentinel dates, former ISINs and receipts of funds, a thousand shares, pages
    assert any(row.payment_date is None for row in cash)
    assert any(row.approved_on is None for row in cash)
    assert any(row.closing_price_date == date(1900, 1, 1) for row in history)
    assert {row.isin for row in stock} - {*lake.papers} - {listing.isin for listing in lake.market.listings}
    assert {row.isin for row in cash} - {listing.isin for listing in lake.market.listings}
    assert {row.quoted_per_shares for row in history} == {1, 1000}
    assert all(row.quoted_per_shares == 1 for row in history if (row.last_date_prior or date.max).year > 2007)
    assert max(len(answer.history) for answer in answers) > 99
    # Alike but for the payment date: two instalments; alike in all: once too often
    twins = Counter(replace(row, payment_date=None) for row in cash)
    assert any(
        count > 1 and len({row.payment_date for row in cash if replace(row, payment_date=None) == twin}) > 1
        for twin, count in twins.items()
    )
    assert any(len(answer.cash) > len(set(answer.cash)) for answer in answers)


def test_the_supplement_lists_cash_of_twelve_months_and_the_history_all_of_it(lake: Lake) -> None:
    day = date(2024, 6, 28)
    paid = 0
    for listing in lake.papers.values():
        answer = lake.market.corporate_actions(listing.code_on(day), day)
        if answer is None or not answer.is_listed:
            continue
        assert all(row.last_date_prior and row.last_date_prior > date(2023, 6, 29) for row in answer.cash)
        assert answer.is_fund == (not listing.is_share)
        assert not (answer.is_fund and answer.history)
        days = [row.last_date_prior for row in answer.history]
        assert days == sorted(days, key=lambda each: each or date.max, reverse=True)
        paid += bool(days) and min(each or date.max for each in days) < date(2010, 1, 1)
    assert paid > 5


def test_what_is_hidden_late_or_idle_is_answered_so(lake: Lake) -> None:
    steps = [(paper, step) for paper in lake.papers.values() for step in lake.market.steps(paper.isin)]
    within = [(paper, step) for paper, step in steps if SESSIONS[0] <= step.day <= SESSIONS[-200]]
    late = next(
        (paper, step) for paper, step in within if step.late > 5 and not step.hidden and step.dividend
    )
    paper, step = late
    rows = []
    for day in (step.day + timedelta(days=1), step.day + timedelta(days=step.late)):
        answer = lake.market.corporate_actions(paper.code_on(day), day)
        assert answer is not None
        rows.append([row for row in answer.cash if row.last_date_prior == step.last_with_right])
    assert not rows[0]
    assert rows[1]
    hidden = [(paper, step) for paper, step in within if step.hidden and step.kind != Kind.CASH]
    assert hidden
    for paper, step in hidden:
        ends = {row.last_date_prior for answer in lake.answers[paper.isin] for row in answer.stock}
        assert step.last_with_right not in ends
    # Announced and never carried out: on that day no number rose
    idle = 0
    for isin in lake.papers:
        numbers = lake.numbers[isin]
        first, last = min(numbers), max(numbers)
        ex = {last for last, session in pairwise(numbers) if numbers[last] != numbers[session]}
        listed = {
            day
            for answer in lake.answers[isin]
            for day in (
                *(row.last_date_prior for row in answer.stock),
                *(row.last_date_prior for row in answer.history),
            )
            if day and first < day < last
        }
        idle += len(listed - ex)
    assert idle >= 5


def test_a_delisted_issuer_is_forgotten_but_for_its_history_by_its_trading_name(lake: Lake) -> None:
    gone = [paper for paper in lake.papers.values() if paper.listed_until and paper.is_share]
    told = 0
    for paper in gone:
        assert paper.listed_until is not None
        day = paper.listed_until + timedelta(days=60)
        name = paper.company_on(day).replace("/", "")
        issuer = lake.market.issuer_of(name)
        assert issuer == paper.code_on(day)
        answer = lake.market.corporate_actions(issuer, day)
        assert answer is not None
        assert not answer.is_listed
        assert not answer.cash
        assert not answer.stock
        told += bool(answer.history)
    assert told >= 2


def test_an_issuer_goes_by_its_present_name_alone() -> None:
    market = SimulatedMarket()
    paper = next(
        paper for paper in market.listings if paper.renamed_on and paper.renamed_on > date(2010, 1, 1)
    )
    assert paper.renamed_on is not None
    before, after = paper.renamed_on - timedelta(days=1), paper.renamed_on
    old, new = market.corporate_actions(paper.code, before), market.corporate_actions(paper.later_code, after)
    assert old is not None
    assert new is not None
    assert (old.trading_name, new.trading_name) == (paper.company, paper.later_company)
    assert new.stock == old.stock
    assert market.corporate_actions(paper.code, after) is None
    assert market.corporate_actions(paper.later_code, before) is None
    assert market.issuer_of(paper.later_company) == paper.later_code


def test_a_slash_in_a_trading_name_is_left_out_when_it_is_asked_for() -> None:
    market = SimulatedMarket()
    slashed = [paper for paper in market.listings if "/" in paper.company and paper.is_share]
    assert slashed
    for paper in slashed:
        assert market.issuer_of(paper.company.replace("/", "")) == paper.code
        assert market.issuer_of(paper.company) is None


@pytest.mark.parametrize("issuer", ["PETR", "ZX", "", "IBOV"])
def test_an_issuer_that_there_never_was_is_unknown(issuer: str) -> None:
    assert SimulatedMarket(tickers=31).corporate_actions(issuer, date(2024, 11, 8)) is None


def test_the_oracle_tells_a_verdict_of_each_step(lake: Lake) -> None:
    kinds: dict[Verdict, set[Kind]] = defaultdict(set)
    for isin, paper in lake.papers.items():
        first, last = min(lake.closes[isin]), max(lake.closes[isin])
        for step, stands in verdicts(lake.market, paper, first=first, last=last, asked=ASKED):
            kinds[stands].add(step.kind)
            assert math.isfinite(float(step.factor))
    assert kinds[Verdict.UNSIZED] == {Kind.SPIN_OFF}
    assert kinds[Verdict.CONTRADICTED] == {Kind.HALF_LISTED}
    assert {Kind.CASH, Kind.NOMINAL_UPDATE, Kind.SPLIT} <= kinds[Verdict.PROVEN]
    assert not kinds[Verdict.PROVEN] & {Kind.SPIN_OFF, Kind.HALF_LISTED}
    assert kinds[Verdict.UNEXPLAINED]
