"""In which currency a session's amounts are: what B3 publishes is in BRL since the Real, and not before."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal

FIRST_IN_BRL = date(1994, 7, 4)
"""The first session in reais. Of those before, B3 publishes thousands of cruzeiros reais, whatever MODREF
says: over 136 papers prices step there by 1/2.75, as 2,750 cruzeiros reais became one real."""

BRL, CRR_THOUSAND = "BRL", "CRR thousand"


def currency_of(session: date) -> str:
    """The unit of a session's prices and volumes."""
    return BRL if session >= FIRST_IN_BRL else CRR_THOUSAND


def totals(volumes: Iterable[tuple[date, Decimal]]) -> dict[str, Decimal]:
    """Volumes of sessions, added up by currency, the older one first."""
    sums: dict[str, Decimal] = {}
    for session, volume in sorted(volumes):
        currency = currency_of(session)
        sums[currency] = sums.get(currency, Decimal(0)) + volume
    return sums


def told(sums: dict[str, Decimal]) -> str:
    """Amounts with their currencies, which are not to be added."""
    return " and ".join(f"{currency} {volume:,}" for currency, volume in sums.items())
