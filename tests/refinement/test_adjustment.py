"""Events and factors, each worked out by hand on the shapes that B3's answers have."""

from __future__ import annotations

import itertools
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinement import arrow
from refinement.adjustment import runs
from refinement.adjustment.actions import Action
from refinement.adjustment.events import OTHER_CURRENCY, REFINED_BEFORE, Event
from refinement.adjustment.factors import NO_CASH_LINE, Span
from tests.fixtures.adjustment import (
    ISIN,
    Row,
    action,
    adjusted,
    history,
    of_one,
    row,
    session_table,
    stock,
    weekdays,
)

D = Decimal
ONE = D(1)
DAYS = weekdays(date(2025, 12, 15), 8)  # Monday 15 to Friday 19, Monday 22 to Wednesday 24
MON, TUE, WED, THU, FRI, NEXT_MON, NEXT_TUE, NEXT_WED = DAYS


def steps(*numbers: int | None, closes: str = "20.00", **first_ex: str) -> list[Row]:
    """A row for each number; all at one price."""
    return [row(number, closes, **first_ex) for number in numbers]


def factors(spans: list[Span]) -> list[tuple[date, Decimal | None, Decimal | None]]:
    return [(span.first_session, span.split_factor, span.total_return_factor) for span in spans]


def factors_and_reasons(spans: list[Span]) -> list[tuple[object, ...]]:
    """All of the spans but the paper and the bases."""
    return [(*span[1:5], span.reason) for span in spans]


def bases(spans: list[Span]) -> list[tuple[object, ...]]:
    """First session; base and factor of the ratios; base and factor with distributions."""
    return [(span.first_session, *span[5:9]) for span in spans]


def told(events: list[Event]) -> list[tuple[date | None, str, str]]:
    return [(event.ex_date, event.kind, event.status) for event in events]


def test_a_paper_of_which_nothing_left_has_one_span_with_factors_of_one() -> None:
    events, spans = of_one(DAYS, steps(*[100] * 8))
    assert events == []
    assert factors_and_reasons(spans) == [(MON, NEXT_WED, ONE, ONE, None)]


def test_a_dividend_is_one_event_on_the_session_after_the_last_one_with_the_right() -> None:
    rows = [
        row(100, "19.00"),
        row(100, "20.00"),
        row(101, "19.10", share_class="ON  ED  NM"),
        row(101, "19.00"),
    ]
    paid = action(rate=D("1.00"), last_date_prior=TUE, payment_date=date(2026, 1, 20))
    events, spans = of_one(DAYS[:4], rows, [paid])
    assert events == [
        Event(
            isin=ISIN,
            ticker="ZZAA3",
            ex_date=WED,
            kind="dividend",
            label="DIVIDENDO",
            ratio=None,
            amount=D(1),
            close_before=D(20),
            split_factor=ONE,
            total_return_factor=D("0.95"),  # (20 - 1) / 20
            last_date_prior=TUE,
            payment_date=date(2026, 1, 20),
            status="proven",
            reason=None,
        )
    ]
    assert factors_and_reasons(spans) == [
        (MON, TUE, ONE, D("0.95"), None),
        (WED, THU, ONE, ONE, None),
    ]


def test_distributions_of_one_date_together_make_the_price_less_their_sum() -> None:
    """As ABEV3's dividend and interest of 2021-12-17: the number rises by two."""
    rows = [*steps(126, 126, closes="16.07"), *steps(128, 128, closes="15.40")]
    stated = [
        action(rate=D("0.1334"), last_date_prior=TUE),
        action(rate=D("0.4702"), last_date_prior=TUE, label="JRS CAP PROPRIO"),
    ]
    events, spans = of_one(DAYS[:4], rows, stated)
    assert told(events) == [(WED, "dividend", "proven"), (WED, "interest", "proven")]
    first = events[0].total_return_factor
    assert first is not None
    assert round(first * D("16.07"), 15) == D("15.9366")
    whole = spans[0].total_return_factor
    assert whole is not None
    assert round(whole, 15) == round((D("16.07") - D("0.1334") - D("0.4702")) / D("16.07"), 15)
    assert spans[0].split_factor == ONE


def test_a_bonus_is_sized_once_although_each_isin_of_the_issuer_lists_it() -> None:
    """As ITUB4's bonus of 3 % of 2025-12-23, listed for ON and PN."""
    rows = [*steps(200, 200, closes="41.20"), *steps(201, 201, closes="40.00")]
    stated = [
        stock("BONIFICACAO", "3", TUE),
        stock("BONIFICACAO", "3", TUE, isin="BRZZAAACNPR7", asset_issued="BRZZAAACNPR7"),
        stock("BONIFICAÇÃO", "3", TUE, isin="BRZZAA00OLD3", asset_issued="BRZZAA00OLD3"),
    ]
    events, spans = of_one(DAYS[:4], rows, stated)
    assert [(event.kind, event.ratio, event.status) for event in events] == [("bonus", D("1.03"), "proven")]
    factor = spans[0].split_factor
    assert factor is not None
    assert round(factor * D("41.20"), 9) == D(40)  # 41.20 / 1.03
    assert spans[0].total_return_factor == factor


@pytest.mark.parametrize(
    ("label", "factor", "before", "kind", "expected"),
    [
        ("DESDOBRAMENTO", "50", "30.00", "split", ONE / D("1.5")),
        ("DESDOBRAMENTO", "900", "200.00", "split", D("0.1")),
        ("GRUPAMENTO", "0.10", "2.00", "reverse_split", D(10)),
    ],
)
def test_splits_are_percents_more_and_groupings_are_the_ratio_itself(
    label: str, factor: str, before: str, kind: str, expected: Decimal
) -> None:
    rows = [*steps(1, 1, closes=before), *steps(2, 2, closes="20.00")]
    events, spans = of_one(DAYS[:4], rows, [stock(label, factor, TUE)])
    assert told(events) == [(WED, kind, "proven")]
    assert round(spans[0].split_factor or 0, 15) == round(expected, 15)


def test_events_of_one_date_multiply() -> None:
    """A split of 7,900 % and a grouping of 0.025 are two for one."""
    rows = [*steps(1, 1, closes="10.00"), *steps(3, 3, closes="5.00")]
    events, spans = of_one(
        DAYS[:4], rows, [stock("DESDOBRAMENTO", "7900", TUE), stock("GRUPAMENTO", "0.025", TUE)]
    )
    assert told(events) == [(WED, "split", "proven"), (WED, "reverse_split", "proven")]
    assert round(spans[0].split_factor or 0, 15) == D("0.5")


def test_cash_of_a_split_s_date_is_for_the_shares_of_before() -> None:
    rows = [*steps(1, 1, closes="10.00"), *steps(3, 3, closes="4.50")]
    stated = [stock("DESDOBRAMENTO", "100", TUE), action(rate=D(1), last_date_prior=TUE)]
    _, spans = of_one(DAYS[:4], rows, stated)
    assert (spans[0].split_factor, spans[0].total_return_factor) == (D("0.5"), D("0.45"))  # (10 - 1) / 10 / 2


def test_a_grouping_whose_price_did_not_move_is_contradicted_and_ends_the_series() -> None:
    """As that of a large bank on 2011-10-31, 0.01, which a split of the same day cancelled."""
    rows = [*steps(150, 150, closes="32.00"), *steps(151, 151, closes="31.50")]
    events, spans = of_one(DAYS[:4], rows, [stock("GRUPAMENTO", "0.01", TUE)])
    assert told(events) == [(WED, "reverse_split", "contradicted")]
    assert events[0].reason == "GRUPAMENTO: the price went from 32 to 31.5, which speaks against it"
    assert events[0].split_factor is None
    assert factors(spans) == [(MON, None, None), (WED, ONE, ONE)]
    assert spans[0].reason == f"{WED}: {events[0].reason}"


def test_a_price_that_moved_by_itself_contradicts_nothing() -> None:
    """Down by 60 % after a split of two for one: less than half, but with the split it is nearer."""
    rows = [*steps(1, 1, closes="10.00"), *steps(2, 2, closes="2.00")]
    events, _ = of_one(DAYS[:4], rows, [stock("DESDOBRAMENTO", "100", TUE)])
    assert told(events) == [(WED, "split", "proven")]


def test_cash_in_another_unit_is_contradicted_and_leaves_the_number_of_shares_proven() -> None:
    rows = [*steps(1, 1, closes="20.00"), *steps(2, 2, closes="19.90")]
    events, spans = of_one(DAYS[:4], rows, [action(rate=D("15"), last_date_prior=TUE)])
    assert told(events) == [(WED, "dividend", "contradicted")]
    assert factors(spans) == [(MON, ONE, None), (WED, ONE, ONE)]


def test_cash_of_no_less_than_the_price_is_contradicted() -> None:
    rows = [*steps(1, 1, closes="20.00"), *steps(2, 2, closes="0.10")]
    events, spans = of_one(DAYS[:4], rows, [action(rate=D("20"), last_date_prior=TUE)])
    assert told(events) == [(WED, "dividend", "contradicted")]
    assert events[0].reason == "DIVIDENDO: 20 is not less than the price of before, 20"
    assert factors(spans) == [(MON, ONE, None), (WED, ONE, ONE)]


def test_a_spin_off_is_unsized_and_ends_the_series() -> None:
    """As that of 2021-10-01: two rows of 100, one of them of the new company's shares."""
    stated = [
        stock("CIS RED CAP", "100", TUE),
        stock("CIS RED CAP", "100", TUE, asset_issued="BRZZXPACNOR9"),
    ]
    for rises in (1, 2):
        rows = [*steps(1, 1, closes="29.00"), *steps(1 + rises, 1 + rises, closes="24.00")]
        events, spans = of_one(DAYS[:4], rows, stated)
        assert told(events) == [(WED, "spin_off", "unsized")] * 2
        assert factors(spans) == [(MON, None, None), (WED, ONE, ONE)]
        assert spans[0].reason == f"{WED}: CIS RED CAP: the factor 100 is no ratio"


@pytest.mark.parametrize("label", ["INCORPORACAO", "RESG TOTAL RV", "REST CAP ACOES", "DE NOVO"])
def test_labels_that_say_nothing_of_the_size_end_the_series(label: str) -> None:
    events, spans = of_one(DAYS[:4], steps(1, 1, 2, 2), [stock(label, "100", TUE)])
    assert told(events) == [(WED, "other", "unsized")]
    assert factors(spans) == [(MON, None, None), (WED, ONE, ONE)]


def test_a_bonus_in_another_paper_is_unsized() -> None:
    stated = stock("BONIFICACAO", "10", TUE, asset_issued="BRZZBBACNOR1")
    events, spans = of_one(DAYS[:4], steps(1, 1, 2, 2), [stated])
    assert told(events) == [(WED, "bonus", "unsized")]
    assert spans[0].split_factor is None


def test_a_rise_without_an_event_ends_the_series_with_the_reason() -> None:
    """As the bonus of March 2025 that B3's service does not have: the price fell by 8.6 %."""
    rows = [*steps(1, 1, closes="12.00"), *steps(2, 2, closes="10.97")]
    events, spans = of_one(DAYS[:4], rows)
    assert told(events) == [(WED, "unknown", "unexplained")]
    assert factors_and_reasons(spans) == [
        (
            MON,
            TUE,
            None,
            None,
            f"the distribution number rose by 1 on {WED}, of which B3 states no event",
        ),
        (WED, THU, ONE, ONE, None),
    ]


def test_before_a_break_prices_of_one_base_can_be_compared() -> None:
    """A dividend on Wednesday, a rise that nothing explains on Friday, a split on the next Tuesday."""
    rows = [
        *steps(1, 1, closes="20.00"),
        *steps(2, 2, closes="19.00"),
        *steps(3, 3, closes="19.00"),
        *steps(4, 4, closes="9.50"),
    ]
    stated = [action(rate=D(1), last_date_prior=TUE), stock("DESDOBRAMENTO", "100", NEXT_MON)]
    _, spans = of_one(DAYS, rows, stated)
    half = D("0.5")
    assert factors(spans) == [(MON, None, None), (WED, None, None), (FRI, half, half), (NEXT_TUE, ONE, ONE)]
    assert bases(spans) == [
        (MON, THU, ONE, THU, D("0.95")),
        (WED, THU, ONE, THU, ONE),
        (FRI, NEXT_WED, half, NEXT_WED, half),
        (NEXT_TUE, NEXT_WED, ONE, NEXT_WED, ONE),
    ]
    assert (
        spans[0].reason
        == spans[1].reason
        == (f"the distribution number rose by 1 on {FRI}, of which B3 states no event")
    )


def test_a_break_of_the_total_return_leaves_the_base_of_the_ratios() -> None:
    rows = [*steps(1, 1, closes="20.00"), *steps(2, 2, closes="19.00"), *steps(3, 3, closes="9.50")]
    stated = [action(rate=None, last_date_prior=TUE), stock("DESDOBRAMENTO", "100", THU)]
    _, spans = of_one(DAYS[:6], rows, stated)
    half = D("0.5")
    assert bases(spans) == [
        (MON, NEXT_MON, half, TUE, ONE),
        (WED, NEXT_MON, half, NEXT_MON, half),
        (FRI, NEXT_MON, ONE, NEXT_MON, ONE),
    ]


def test_two_breaks_are_both_told() -> None:
    rows = [*steps(1, 1, closes="20.00"), *steps(2, 2, closes="19.00"), *steps(3, 3, closes="19.00")]
    _, spans = of_one(DAYS[:6], rows, [action(rate=None, last_date_prior=TUE)])
    assert spans[0].reason == (
        f"the distribution number rose by 1 on {FRI}, of which B3 states no event; "
        f"{WED}: DIVIDENDO: B3 states no amount"
    )


def test_a_rise_of_two_with_one_event_is_unexplained() -> None:
    events, spans = of_one(DAYS[:4], steps(1, 1, 3, 3), [action(rate=D(1), last_date_prior=TUE)])
    assert told(events) == [(WED, "dividend", "proven"), (WED, "unknown", "unexplained")]
    assert events[1].reason == f"the distribution number rose by 2 on {WED}, of which B3 states 1"
    assert factors(spans) == [(MON, None, None), (WED, ONE, ONE)]


def test_a_fall_of_the_number_is_unexplained() -> None:
    events, spans = of_one(DAYS[:6], steps(8, 8, 7, 7, 8, 8))
    assert [event.reason for event in events] == [
        "the distribution number fell from 8 to 7",
        f"the distribution number rose by 1 on {FRI}, of which B3 states no event",
    ]
    assert factors(spans) == [(MON, None, None), (WED, None, None), (FRI, ONE, ONE)]
    assert [span.split_base for span in spans] == [TUE, THU, NEXT_MON]


def test_a_nominal_update_takes_nothing() -> None:
    rows = [*steps(1, 1), row(2, "20.00", share_class="ON  ATZ NM"), row(2, "20.00")]
    events, spans = of_one(DAYS[:4], rows)
    assert told(events) == [(WED, "nominal_update", "proven")]
    assert factors_and_reasons(spans) == [(MON, THU, ONE, ONE, None)]


def test_a_nominal_update_with_another_mark_explains_nothing() -> None:
    rows = [*steps(1, 1), row(2, "20.00", share_class="ON  ED ATZ"), row(2, "20.00")]
    assert told(of_one(DAYS[:4], rows)[0]) == [(WED, "unknown", "unexplained")]


def test_a_nominal_update_is_one_of_a_rise_not_two() -> None:
    rows = [*steps(1, 1), row(3, "20.00", share_class="ON  ATZ NM"), row(3, "20.00")]
    assert told(of_one(DAYS[:4], rows)[0]) == [(WED, "unknown", "unexplained")]


def test_an_event_without_a_rise_is_told_and_not_applied() -> None:
    events, spans = of_one(DAYS[:4], steps(1, 1, 1, 1), [action(rate=D(1), last_date_prior=TUE)])
    assert told(events) == [(WED, "dividend", "unconfirmed")]
    assert events[0].reason == "the distribution number did not rise, so nothing left the paper: not applied"
    assert factors_and_reasons(spans) == [(MON, THU, ONE, ONE, None)]


def test_an_event_that_is_not_yet_ex_is_told_as_such() -> None:
    coming = [
        action(rate=D(1), last_date_prior=THU),
        action(rate=D(2), last_date_prior=date(2026, 1, 5)),
    ]
    events, spans = of_one(DAYS[:4], steps(1, 1, 1, 1), coming)
    assert told(events) == [(None, "dividend", "unconfirmed")] * 2
    assert events[0].reason == "the paper has not traded since the last session with the right"
    assert factors(spans) == [(MON, ONE, ONE)]


def test_more_events_than_the_number_counts_are_not_applied_and_end_what_they_would_change() -> None:
    """Of cash alone whatever happened left the number of shares as it was."""
    paid = [
        action(rate=D(1), last_date_prior=TUE),
        action(rate=D(2), last_date_prior=TUE, label="JRS CAP PROPRIO"),
    ]
    events, spans = of_one(DAYS[:4], steps(1, 1, 2, 2), paid)
    assert told(events) == [(WED, "dividend", "unconfirmed"), (WED, "interest", "unconfirmed")]
    assert factors(spans) == [(MON, ONE, None), (WED, ONE, ONE)]
    assert spans[0].reason == (
        f"{WED}: B3 states 2 events where the distribution number rose by 1: not applied"
    )
    _, spans = of_one(DAYS[:4], steps(1, 1, 2, 2), [paid[0], stock("DESDOBRAMENTO", "100", TUE)])
    assert factors(spans) == [(MON, None, None), (WED, ONE, ONE)]


def test_instalments_are_paid_both_whether_the_number_counts_them_or_not() -> None:
    """Rows alike but for the day of payment."""
    paid = [action(rate=D("0.5"), last_date_prior=TUE, payment_date=date(2026, month, 5)) for month in (1, 2)]
    for rises in (1, 2):
        events, spans = of_one(DAYS[:4], steps(1, 1, 1 + rises, 1 + rises), paid)
        assert told(events) == [(WED, "dividend", "proven")] * 2
        assert round(spans[0].total_return_factor or 0, 15) == D("0.95")  # (20 - 0.5 - 0.5) / 20


def test_a_row_that_is_there_twice_counts_once_unless_the_number_counts_both() -> None:
    paid = [action(rate=D(1), last_date_prior=TUE, occurrence=number) for number in (1, 2)]
    _, spans = of_one(DAYS[:4], steps(1, 1, 2, 2), paid)
    assert spans[0].total_return_factor == D("0.95")
    events, spans = of_one(DAYS[:4], steps(1, 1, 3, 3), paid)
    assert told(events) == [(WED, "dividend", "proven")] * 2
    assert round(spans[0].total_return_factor or 0, 15) == D("0.9")


def test_two_amounts_of_one_label_and_date_may_be_counted_as_one() -> None:
    """As TAEE's two dividends of 2026-04-29."""
    paid = [action(rate=D(rate), last_date_prior=TUE) for rate in ("0.20", "0.80")]
    for rises in (1, 2):
        _, spans = of_one(DAYS[:4], steps(1, 1, 1 + rises, 1 + rises), paid)
        assert round(spans[0].total_return_factor or 0, 15) == D("0.95")


def test_one_distribution_that_two_calls_tell_is_one_event() -> None:
    paid = [
        action(rate=D("0.36188000000"), last_date_prior=TUE, label="JRS CAP PROPRIO"),
        history("JRS CAP PROPRIO", "0.36188", TUE),
        history("JRS CAP PROPRIO", "0.36188", TUE, type_stock="PN"),
    ]
    events, _ = of_one(DAYS[:4], steps(1, 1, 2, 2), paid)
    assert told(events) == [(WED, "interest", "proven")]


def test_the_history_of_cash_is_matched_by_type_of_share_and_per_a_thousand() -> None:
    """quotedPerShares is 1000 on many rows up to 2007."""
    rows = [*steps(1, 1, share_class="PN      N1"), *steps(2, 2, share_class="PN  ED  N1")]
    paid = [
        history("DIVIDENDO", "1000", TUE, type_stock="PN", quoted_per_shares=1000),
        history("DIVIDENDO", "3000", TUE, type_stock="ON", quoted_per_shares=1000),
    ]
    events, spans = of_one(DAYS[:4], rows, paid)
    assert [(event.amount, event.status) for event in events] == [(D(1), "proven")]
    assert spans[0].total_return_factor == D("0.95")


def test_receipts_and_rights_take_nothing_of_the_history_of_a_share() -> None:
    rows = steps(1, 1, 2, 2, share_class="ON REC  NM")
    events, _ = of_one(DAYS[:4], rows, [history("DIVIDENDO", "1", TUE)])
    assert told(events) == [(WED, "unknown", "unexplained")]


def test_what_b3_corrected_counts_as_it_shows_it_now() -> None:
    """A payment date that had been open, and an amount; both rows stay in the raw table."""
    seen = {"first_seen": date(2025, 12, 1), "last_seen": date(2025, 12, 10)}
    now = {"first_seen": date(2025, 12, 12), "last_seen": date(2025, 12, 30)}
    paid = [
        action(rate=D(2), last_date_prior=TUE, **seen),
        action(rate=D(1), last_date_prior=TUE, payment_date=date(2026, 1, 30), **now),
    ]
    events, spans = of_one(DAYS[:4], steps(1, 1, 2, 2), paid)
    assert [(event.amount, event.status) for event in events] == [(D(1), "proven")]
    assert spans[0].total_return_factor == D("0.95")


def test_a_subscription_is_worth_what_the_right_was() -> None:
    """P 20, 25 % at 10: (20 - 10) * 0.25 / 1.25 = 2. Nobody's number of shares changed by it."""
    offered = action(
        category="subscription",
        label="SUBSCRICAO",
        asset_issued=ISIN,
        percentage=D(25),
        price_unit=D(10),
        last_date_prior=TUE,
    )
    events, spans = of_one(DAYS[:4], steps(1, 1, 2, 2), [offered])
    assert [(event.kind, event.amount, event.status) for event in events] == [
        ("subscription", D(2), "proven")
    ]
    assert factors(spans) == [(MON, ONE, D("0.9")), (WED, ONE, ONE)]

    dear = offered._replace(price_unit=D(21))
    events, spans = of_one(DAYS[:4], steps(1, 1, 2, 2), [dear])
    assert (events[0].amount, spans[0].total_return_factor) == (D(0), ONE)

    other = offered._replace(asset_issued="BRZZAAACNPR7")
    events, spans = of_one(DAYS[:4], steps(1, 1, 2, 2), [other])
    assert told(events) == [(WED, "subscription", "unsized")]
    assert factors(spans) == [(MON, ONE, None), (WED, ONE, ONE)]


def test_where_a_paper_did_not_trade_its_last_close_is_the_one_with_the_right() -> None:
    """It traded on Monday and Friday; the last session with the right was Wednesday."""
    paid = action(rate=D(1), last_date_prior=WED)
    rows = [row(1, "20.00"), None, None, None, row(2, "19.00")]
    events, spans = of_one(DAYS[:5], rows, [paid])
    assert (events[0].ex_date, events[0].close_before) == (THU, D(20))
    assert factors_and_reasons(spans) == [
        (MON, WED, ONE, D("0.95"), None),
        (THU, FRI, ONE, ONE, None),
    ]


def test_of_two_dates_without_a_trade_between_the_second_starts_from_what_the_first_left() -> None:
    paid = [action(rate=D(1), last_date_prior=TUE), action(rate=D("1.9"), last_date_prior=THU)]
    rows = [row(1, "20.00"), None, None, None, row(3, "17.00")]
    events, spans = of_one(DAYS[:5], rows, paid)
    assert [event.total_return_factor for event in events] == [D("0.95"), D("0.9")]  # 1/20, 1.9/19
    assert factors(spans) == [(MON, ONE, D("0.855")), (WED, ONE, D("0.9")), (FRI, ONE, ONE)]


def test_a_session_that_the_lake_lacks_ends_the_total_return_and_not_the_shares() -> None:
    paid = action(rate=D(1), last_date_prior=TUE)
    days = [MON, WED, THU]
    events, spans = of_one(days, steps(1, 2, 2), [paid])
    assert told(events) == [(WED, "dividend", "unsized")]
    assert events[0].reason == f"DIVIDENDO: no close of {TUE}, the last session with the right"
    assert factors(spans) == [(MON, ONE, None), (WED, ONE, ONE)]
    assert spans[0].reason == f"{WED}: {events[0].reason}"

    split = stock("DESDOBRAMENTO", "100", TUE)
    _, spans = of_one(days, [row(1, "20.00"), row(2, "10.00"), row(2, "10.00")], [split])
    assert factors(spans) == [(MON, D("0.5"), D("0.5")), (WED, ONE, ONE)]


def test_a_gap_in_the_lake_before_a_session_without_a_trade_may_hide_the_last_close() -> None:
    days = [date(2025, 11, 3), TUE, WED]
    paid = action(rate=D(1), last_date_prior=TUE)
    events, _ = of_one(days, [row(1, "20.00"), None, row(2, "19.00")], [paid])
    assert told(events) == [(WED, "dividend", "unsized")]


def test_sessions_refined_before_the_column_have_no_factor() -> None:
    rows = [row(None, "20.00"), row(None, "20.00"), *steps(1, 1)]
    _, spans = of_one(DAYS[:4], rows)
    assert factors_and_reasons(spans) == [
        (MON, TUE, None, None, REFINED_BEFORE),
        (WED, THU, ONE, ONE, None),
    ]
    assert bases(spans) == [(MON, None, None, None, None), (WED, THU, ONE, THU, ONE)]
    _, spans = of_one(DAYS[:4], list(reversed(rows)))
    assert factors_and_reasons(spans) == [
        (MON, TUE, None, None, REFINED_BEFORE),
        (WED, THU, None, None, REFINED_BEFORE),
    ]
    assert bases(spans) == [(MON, TUE, ONE, TUE, ONE), (WED, None, None, None, None)]
    _, spans = of_one(DAYS[:2], rows[:2])
    assert factors_and_reasons(spans) == [(MON, TUE, None, None, REFINED_BEFORE)]


def test_sessions_without_a_number_between_two_that_have_the_same_hide_nothing() -> None:
    _, spans = of_one(DAYS[:4], [row(1, "20.00"), row(None, "20.00"), row(1, "20.00"), row(1, "20.00")])
    assert factors_and_reasons(spans) == [(MON, THU, ONE, ONE, None)]


def test_a_close_without_a_number_is_none_to_size_cash_by() -> None:
    paid = action(rate=D(1), last_date_prior=TUE)
    rows = [row(1, "20.00"), row(None, "22.00"), row(2, "19.00")]
    events, _ = of_one(DAYS[:3], rows, [paid])
    assert told(events) == [(WED, "dividend", "unsized")]


def test_a_file_of_before_the_column_is_read_as_without_numbers() -> None:
    old = session_table([row(None, "20.00")]).drop_columns(["distribution_number"])
    made = runs.of_sessions({MON: old})
    ((isin, own),) = runs.by_paper(made)
    assert (isin, own[0].number, own[0].last_close) == (ISIN, None, D(20))


def test_sessions_without_a_cash_line_are_in_a_span_and_are_no_rise() -> None:
    rows = [row(None, None), *steps(1), row(None, None), *steps(1, 2), row(None, None)]
    events, spans = of_one(DAYS[:6], rows, [action(rate=D(1), last_date_prior=THU)])
    assert told(events) == [(FRI, "dividend", "proven")]
    assert factors_and_reasons(spans) == [
        (MON, THU, ONE, D("0.95"), None),
        (FRI, NEXT_MON, ONE, ONE, None),
    ]


def test_a_paper_that_never_had_a_cash_line_has_no_factor_and_one_without_an_isin_no_span() -> None:
    told = adjusted({MON: [row(None, None), row(7, "3.00", isin=None, ticker="ZZNN3")]})
    assert factors_and_reasons(told.spans) == [(MON, MON, None, None, NO_CASH_LINE)]


def test_a_renamed_paper_goes_on() -> None:
    """Ticker and issuing code change, the ISIN stays; what both codes have on file counts once."""
    rows = [row(1, "20.00"), row(1, "20.00", ticker="ZZBB3"), row(2, "19.00", ticker="ZZBB3")]
    paid = [history("DIVIDENDO", "1", TUE), history("DIVIDENDO", "1", TUE, issuer="ZZBB")]
    events, spans = of_one(DAYS[:3], rows, paid)
    assert [(event.ticker, event.status) for event in events] == [("ZZBB3", "proven")]
    assert factors(spans) == [(MON, ONE, D("0.95")), (WED, ONE, ONE)]


def test_prices_of_before_the_real_are_in_another_currency() -> None:
    days = [date(1994, 6, 30), date(1994, 7, 1), date(1994, 7, 4), date(1994, 7, 5)]
    rows = [*steps(1, 1, closes="55.00"), *steps(1, 1)]
    _, spans = of_one(days, rows)
    assert factors_and_reasons(spans) == [
        (days[0], days[1], None, None, OTHER_CURRENCY),
        (days[2], days[3], ONE, ONE, None),
    ]


def test_the_series_goes_on_before_cash_that_cannot_be_sized_in_shares_alone() -> None:
    rows = [row(1, "20.00"), row(2, "10.00"), row(3, "10.00"), row(4, "9.00")]
    stated = [
        stock("DESDOBRAMENTO", "100", MON),
        action(rate=None, last_date_prior=TUE),
        action(rate=D(1), last_date_prior=WED),
    ]
    events, spans = of_one(DAYS[:4], rows, stated)
    assert told(events) == [
        (TUE, "split", "proven"),
        (WED, "dividend", "unsized"),
        (THU, "dividend", "proven"),
    ]
    assert factors(spans) == [
        (MON, D("0.5"), None),
        (TUE, ONE, None),
        (WED, ONE, D("0.9")),
        (THU, ONE, ONE),
    ]
    assert spans[0].reason == spans[1].reason == f"{WED}: DIVIDENDO: B3 states no amount"


def test_events_of_before_the_lake_are_not_told() -> None:
    assert of_one(DAYS[:2], steps(1, 1), [action(rate=D(1), last_date_prior=date(2019, 5, 2))])[0] == []


_NUMBERS = st.lists(
    st.tuples(
        st.sampled_from(["AA", "BB", "CC"]),
        st.sampled_from([None, 1, 1, 1, 2, 3]),
        st.sampled_from([None, "10.00", "12.50"]),
        st.sampled_from(["ZZAA3", "ZZBB3"]),
    ),
    max_size=3,
    unique_by=lambda each: each[0],
)


@given(st.lists(_NUMBERS, min_size=1, max_size=12), st.data())
def test_runs_are_the_same_however_the_sessions_are_divided_and_put_together(
    market: list[list[tuple[str, int | None, str | None, str]]], data: st.DataObject
) -> None:
    days = weekdays(date(1994, 6, 24), len(market))
    tables = {
        day: session_table(
            [row(number, close, isin=isin, ticker=ticker) for isin, number, close, ticker in rows]
        )
        for day, rows in zip(days, market, strict=True)
    }
    whole = runs.of_sessions(tables)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(days)), max_size=4)))
    parts = [days[a:b] for a, b in itertools.pairwise([0, *cuts, len(days)])]
    pieces = [runs.of_sessions({day: tables[day] for day in part}) for part in parts]
    shuffled = data.draw(st.permutations(pieces))
    assert runs.together(shuffled) == whole
    half = len(shuffled) // 2
    nested = [runs.together(pieces[:half]), runs.together(pieces[half:])]
    assert runs.together(nested) == whole
    assert whole.schema == runs.SCHEMA
    _hold_to_the_rows(whole, dict(zip(days, market, strict=True)))


def _hold_to_the_rows(
    whole: pa.Table, market: dict[date, list[tuple[str, int | None, str | None, str]]]
) -> None:
    """Each row is in the one run that spans it, with its number."""
    found = dict(runs.by_paper(whole))
    for day, rows in market.items():
        for isin, number, close, ticker in rows:
            in_cash = number is not None or close is not None
            (own,) = [
                run
                for run in found[isin]
                if run.in_cash is in_cash and run.first_session <= day <= run.last_session
            ]
            if in_cash:
                assert (own.number, own.ticker) == (number, ticker)


_ACTIONS = st.lists(
    st.one_of(
        st.builds(
            lambda rate, day, label, paid: action(
                rate=rate, last_date_prior=day, label=label, payment_date=paid
            ),
            st.decimals("0.01", "9", places=2),
            st.sampled_from(DAYS),
            st.sampled_from(["DIVIDENDO", "JRS CAP PROPRIO"]),
            st.sampled_from([None, date(2026, 3, 2), date(2026, 6, 1)]),
        ),
        st.builds(
            stock,
            st.sampled_from(["DESDOBRAMENTO", "GRUPAMENTO", "CIS RED CAP"]),
            st.sampled_from(["100", "0.1"]),
            st.sampled_from(DAYS),
        ),
    ),
    max_size=6,
)


@given(
    st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=8, max_size=8),
    st.lists(st.booleans(), min_size=8, max_size=8),
    _ACTIONS,
    st.randoms(use_true_random=False),
)
def test_spans_cover_each_session_once_and_events_come_out_in_any_order_alike(
    rises: list[int], trades: list[bool], stated: list[Action], order: object
) -> None:
    numbers = list(itertools.accumulate(rises, initial=1))[1:]
    rows = [row(number, "20.00") if traded else None for number, traded in zip(numbers, trades, strict=True)]
    events, spans = of_one(DAYS, rows, stated)
    traded = [day for day, each in zip(DAYS, rows, strict=True) if each]
    for day in traded:
        assert len([span for span in spans if span.first_session <= day <= span.last_session]) == 1
    assert all(a.last_session < b.first_session for a, b in itertools.pairwise(spans))
    if traded:
        assert (spans[-1].split_factor, spans[-1].total_return_factor) == (ONE, ONE)
    for span in spans:
        assert (span.reason is None) == (span.total_return_factor is not None)
        if span.total_return_factor is not None and span.split_factor is not None:
            assert 0 < span.total_return_factor <= span.split_factor
    for event in events:
        assert (event.reason is None) == (event.status == "proven")
    for span in spans:
        for base, factor, newest in (
            (span.split_base, span.split_base_factor, "split_factor"),
            (span.total_return_base, span.total_return_base_factor, "total_return_factor"),
        ):
            if base in traded:  # what leads to it is what would lead to today, had the lake ended there
                until = DAYS.index(base) + 1
                _, then = of_one(DAYS[:until], rows[:until], stated)
                (same,) = [one for one in then if one.first_session <= span.first_session <= one.last_session]
                assert getattr(same, newest) == factor
    shuffled = list(stated)
    order.shuffle(shuffled)  # type: ignore[attr-defined]  # a Random
    assert of_one(DAYS, rows, shuffled) == (events, spans)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([D("1.50"), None, D("1.50"), D("-2.00")], pa.decimal128(18, 2)),
        ([date(2026, 1, 2), None, date(2026, 1, 2)], pa.date32()),
        (["ZZAA3", "", None, "ZZAA3"], pa.string()),
        ([True, False, None], pa.bool_()),
        ([3, None, 3], pa.int64()),
        ([None, None], pa.string()),
        ([], pa.decimal128(18, 2)),
    ],
)
def test_a_column_s_values_are_those_that_arrow_has_whatever_its_pieces(values: list[Any], kind: Any) -> None:
    pieces = [pa.array(values[place : place + 1], kind) for place in range(len(values))]
    assert arrow.python_values(pa.chunked_array(pieces, kind)) == values
