"""Amounts before the Real are not BRL, and are not added to those after."""

from datetime import date
from decimal import Decimal

import pytest

from lake.currency import currency_of, told, totals

D = Decimal


@pytest.mark.parametrize(
    ("session", "expected"),
    [
        (date(1986, 1, 2), "CRR thousand"),
        (date(1994, 6, 30), "CRR thousand"),
        (date(1994, 7, 1), "CRR thousand"),
        (date(1994, 7, 4), "BRL"),
        (date(2026, 1, 2), "BRL"),
    ],
)
def test_the_first_session_in_reais_is_that_of_1994_07_04(session: date, expected: str) -> None:
    assert currency_of(session) == expected


def test_a_year_s_amounts_are_added_up_by_currency_the_older_first() -> None:
    volumes = [
        (date(1994, 7, 5), D("10.10")),
        (date(1994, 6, 30), D("2750.00")),
        (date(1994, 7, 4), D("1000.20")),
        (date(1994, 1, 3), D("0.05")),
    ]
    sums = totals(volumes)
    assert sums == {"CRR thousand": D("2750.05"), "BRL": D("1010.30")}
    assert told(sums) == "CRR thousand 2,750.05 and BRL 1,010.30"


def test_nothing_adds_up_to_nothing() -> None:
    assert totals([]) == {}
