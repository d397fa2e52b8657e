"""What a reader kept although it is odd, and which of B3's two conventions a file's trailer follows.

A file is refused when its integrity is in doubt: its length, its count, its session, its digits, its
checksum, a ticker. Where one field of one line is odd but nothing is lost, it is kept, as null or as text,
counted, and told: B3 may not serve that day again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

_TOLD_CHARACTERS = 512
"""Characters of the oddities of a file in an object's metadata, of which S3 takes 2 KB in all."""


class TrailerCount(StrEnum):
    """What the count in a COTAHIST trailer counts."""

    ALL_RECORDS = "all records"
    """Header and trailer too: every whole file of 2003 to April 2025 that was seen."""
    QUOTES = "quotes"
    """The quotes alone: the daily files of September 2026, and the annual ones of 2025 and 2026."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """Values of one field that are odd in one way.

    Attributes:
        field: Name of the field in B3's own layout, or of the part of the file.
        what: What is odd about them; of few possible texts.
        count: How many values are.
        first_record: Number of the first record that has one, the header being 1, or of the first row of a
            portfolio; None if it is not about one.
        example: What stands there, as an ASCII literal.
    """

    field: str
    what: str
    count: int
    first_record: int | None
    example: str

    def __str__(self) -> str:
        where = "" if self.first_record is None else f", first in record {self.first_record}"
        return f"{self.field}: {self.what} ({self.count}{where}: {self.example})"

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `dataclasses.asdict` made.

        Raises:
            KeyError, TypeError, ValueError: The document is none.
        """
        first = document["first_record"]
        return cls(
            field=str(document["field"]),
            what=str(document["what"]),
            count=int(document["count"]),
            first_record=None if first is None else int(first),
            example=str(document["example"]),
        )


class Notes:
    """What a reader has to tell of a file besides its rows; whoever reads gives it one to fill.

    It is whole when the file has been read to its end. It has an entry a field and way of being odd at most,
    of which there are few, however many values are odd.

    Attributes:
        trailer_count: What the trailer counts; None of a portfolio, and until the trailer was read.
    """

    def __init__(self) -> None:
        self.trailer_count: TrailerCount | None = None
        self._found: dict[tuple[str, str], Oddity] = {}

    @property
    def oddities(self) -> tuple[Oddity, ...]:
        """What was odd, in the order in which it was found."""
        return tuple(self._found.values())

    def tell(
        self, field: str, what: str, example: object, *, count: int = 1, first_record: int | None = None
    ) -> None:
        """Count values of a field that are odd; the first ones told give record and example."""
        self._add(Oddity(field, what, count, first_record, ascii(example)))

    def take_over(self, later: Self) -> None:
        """Tell what others tell of a later part of the file."""
        self.trailer_count = later.trailer_count or self.trailer_count
        for oddity in later.oddities:
            self._add(oddity)

    def _add(self, oddity: Oddity) -> None:
        known = self._found.get((oddity.field, oddity.what))
        self._found[oddity.field, oddity.what] = (
            replace(known, count=known.count + oddity.count) if known else oddity
        )


def odd_values(oddities: Iterable[Oddity]) -> int:
    """How many values were kept although they are odd."""
    return sum(oddity.count for oddity in oddities)


def told(oddities: Iterable[Oddity]) -> str:
    """Oddities in a line of ASCII for an object's metadata; what is too long is cut off."""
    line = "; ".join(map(str, oddities)).encode("ascii", "backslashreplace").decode()
    return line if len(line) <= _TOLD_CHARACTERS else f"{line[: _TOLD_CHARACTERS - 3]}..."


def as_json(oddities: Iterable[Oddity]) -> list[dict[str, Any]]:
    """For JSON."""
    return [asdict(oddity) for oddity in oddities]
