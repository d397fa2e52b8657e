"""Days that follow one another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Span:
    """Days from the first to the last, both included."""

    first: date
    last: date

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last

    def covers(self, other: Span) -> bool:
        """Whether it holds every day of the other."""
        return self.first <= other.first and other.last <= self.last


def span_of(days: Collection[date]) -> Span | None:
    """The shortest span that holds the days; None of no day."""
    return Span(min(days), max(days)) if days else None
