"""The JSON of B3's calls, sometimes JSON inside a JSON string: what all of their answers have alike.

It is input from outside: its depth is bounded, a name may come once in an object, and what Python would take
for a number and JSON does not is refused.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, NoReturn, Self

from scraper.b3.errors import InvalidData
from scraper.b3.oddities import Notes

_MAX_DEPTH = 8
"""How deep the answer's objects and lists may lie in one another; B3's lie three deep."""

_MAX_CHARACTERS = 256
"""Characters of a text. B3's longest, names of sectors, have about 50."""

_SHOWN_CHARACTERS = 80
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters, and the halves of a character that an escape can name."""


def parse(body: bytes, *, source: str) -> object:
    """What an answer holds, without the JSON string around it if there is one.

    Raises:
        InvalidData: It is no JSON, or deeper than B3's can be.
    """
    try:
        content = _loads(body)
        if isinstance(content, str):
            content = _loads(content)
        _require_depth_of_at_most(_MAX_DEPTH, content)
    except (ValueError, RecursionError) as error:
        raise InvalidData(
            source=source,
            found=f"{len(body)} bytes that begin with {body[:24]!r} ({error})",
            expected="JSON",
        ) from error
    return content


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object of an answer, what it is called, and which row it is if it is one.

    Attributes:
        values: Its values.
        name: What messages call it.
        source: The address that it came from.
        record: The row's number, from 1.
    """

    values: dict[str, Any]
    name: str
    source: str
    record: int | None = None

    @classmethod
    def of(cls, value: object, *, name: str, source: str, record: int | None = None) -> Self:
        """The object that a value is.

        Raises:
            InvalidData: It is none.
        """
        if not isinstance(value, dict):
            raise InvalidData(
                source=source, record=record, field=name, found=shown(value), expected="a JSON object"
            )
        return cls(value, name, source, record)

    def is_null(self, field: str) -> bool:
        """Whether the field is there and null."""
        return self.values.get(field, ...) is None

    def text(self, field: str) -> str:
        """Reads a text, less blanks around it.

        Raises:
            InvalidData: It is none, has characters that cannot be printed, or is longer than B3's can be.
        """
        value = self.values.get(field)
        if not isinstance(value, str):
            raise self.invalid(field, "a text")
        if len(value) > _MAX_CHARACTERS or _UNPRINTABLE.search(value):
            raise self.invalid(field, f"at most {_MAX_CHARACTERS} printable characters")
        return value.strip()

    def text_or_null(self, field: str, notes: Notes) -> str | None:
        """Reads a text that only describes: null if it is none, else with what is odd in it made harmless."""
        value = self.values.get(field)
        if not isinstance(value, str):
            self.tell(field, "no text, kept as null", notes)
            return None
        if _UNPRINTABLE.search(value):
            self.tell(field, "characters that cannot be printed, kept as pictures of them", notes)
            value = _UNPRINTABLE.sub(_picture, value)
        if len(value) > _MAX_CHARACTERS:
            self.tell(field, f"more than {_MAX_CHARACTERS} characters, of which those are kept", notes)
        return value[:_MAX_CHARACTERS].strip()

    def count(self, field: str) -> int:
        """Reads a number from 1 on.

        Raises:
            InvalidData: It is none.
        """
        value = self.values.get(field)
        if type(value) is not int or value < 1:
            raise self.invalid(field, "a number from 1 on")
        return value

    def tell(self, field: str, what: str, notes: Notes) -> None:
        """Note that a field's value is odd."""
        notes.tell(f"{self.name}.{field}", what, shown(self.values.get(field)), first_record=self.record)

    def invalid(self, field: str, expected: str) -> InvalidData:
        """The error that says what was found in a field."""
        return InvalidData(
            source=self.source,
            record=self.record,
            field=f"{self.name}.{field}",
            found=shown(self.values[field]) if field in self.values else "nothing",
            expected=expected,
        )


def shown(value: object) -> str:
    """A value as a message shows it, cut off where it is long."""
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace").decode()
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _loads(text: bytes | str) -> object:
    return json.loads(text, object_pairs_hook=_object, parse_constant=_refuse_constant)


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object, none of whose names comes twice: of two values JSON does not say which one counts."""
    values = dict(pairs)
    if len(values) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the name {name[:_SHOWN_CHARACTERS]!a} comes twice in an object")
    return values


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")  # if something that Python reads


def _require_depth_of_at_most(limit: int, content: object) -> None:
    """Keeps what follows, which goes into values recursively, far from Python's own limit."""
    level = [[content]]
    for _ in range(limit + 1):
        level = [
            list(inner.values()) if isinstance(inner, dict) else inner
            for values in level
            for inner in values
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise ValueError(f"objects and lists more than {limit} deep")


def _picture(match: re.Match[str]) -> str:
    """What stands for a character that cannot be printed."""
    code = ord(match[0])
    return chr(0x2400 + code) if code < 0x20 else "\u2421" if code == 0x7F else "\ufffd"
