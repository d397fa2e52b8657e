"""Quotes in columns: what makes years of simulated sessions quick to generate and to write.

`formats.encode_quote` writes the same records one by one, in another way; the tests compare the two.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from sandbox.b3.formats import LAYOUT, RECORD_LENGTH, Kind, Quote

Columns: TypeAlias = Mapping[str, NDArray[Any]]
"""The fields of `Quote`, an array each, all of the same length.

Texts are arrays of Latin-1 bytes ("S"); all else is int64: money in cents, PTOEXE in millionths of a point,
DATVEN as YYYYMMDD.
"""

NO_EXPIRY = 9999_12_31

_TEN_THOUSAND = 10_000
_FOUR_DIGITS = np.array([f"{number:04d}" for number in range(_TEN_THOUSAND)], dtype="S4").view(np.uint32)
"""The four characters of each number below 10,000, as one element."""


def stack(parts: Sequence[Mapping[str, Any]]) -> Columns:
    """Put lines below one another: the fields of the first part, which all must have.

    A part has as many lines as its `codneg`; its other fields may be a single value.
    """
    return {name: np.concatenate([_column(part, name) for part in parts]) for name in parts[0]}


def _column(part: Mapping[str, Any], name: str) -> NDArray[Any]:
    value = part[name]
    return value if isinstance(value, np.ndarray) else np.full(len(part["codneg"]), value)


def take(columns: Columns, rows: NDArray[np.intp]) -> Columns:
    """The given lines, in the given order."""
    return {name: values[rows] for name, values in columns.items()}


def quotes_of(columns: Columns) -> list[Quote]:
    """The same lines, each for itself."""
    values = {name: _python_values(columns[name], kind) for name, _, _, kind in LAYOUT}
    return [Quote(**dict(zip(values, row, strict=True))) for row in zip(*values.values(), strict=True)]


def _python_values(values: NDArray[Any], kind: Kind) -> list[Any]:
    each: list[Any] = values.tolist()
    match kind:
        case "text" | "digits":
            return [value.decode("latin-1") for value in each]
        case "integer":
            return each
        case "money":
            return [Decimal(value).scaleb(-2) for value in each]
        case "points":
            return [Decimal(value).scaleb(-6) for value in each]
        case "expiry":
            return [
                None if value == NO_EXPIRY else date(value // 10_000, value // 100 % 100, value % 100)
                for value in each
            ]


def encode_columns(columns: Columns, trade_date: date, *, line_end: bytes = b"\r\n") -> bytes:
    """Write a quote record for each line, as `formats.encode_quote` does, and end each.

    Raises:
        ValueError: A field's value does not fit; the message names it.
    """
    lines = len(columns["codneg"])
    records = np.empty((lines, RECORD_LENGTH + len(line_end)), np.uint8)
    records[:, :10] = np.frombuffer(f"01{trade_date:%Y%m%d}".encode(), np.uint8)
    records[:, RECORD_LENGTH:] = np.frombuffer(line_end, np.uint8)
    for name, first, last, _ in LAYOUT:
        values, width = columns[name], last - first + 1
        characters = _texts(values, width) if values.dtype.kind == "S" else _numbers(values, width)
        if characters is None:
            raise ValueError(f"quotes of {trade_date}: {name.upper()} ({first}-{last}) does not fit")
        records[:, first - 1 : last] = characters
    return records.tobytes()


def _texts(values: NDArray[np.bytes_], width: int) -> NDArray[np.uint8] | None:
    if values.dtype.itemsize > width and np.char.str_len(values).max(initial=0) > width:
        return None
    characters = values.astype(f"S{width}").view(np.uint8).reshape(len(values), width)
    return np.where(characters == 0, np.uint8(ord(" ")), characters)


def _numbers(values: NDArray[np.int64], width: int) -> NDArray[np.uint8] | None:
    if values.min(initial=0) < 0 or values.max(initial=0) >= 10**width:
        return None
    groups = np.empty((len(values), -(-width // 4)), np.uint32)
    for position in reversed(range(groups.shape[1])):
        higher = values // _TEN_THOUSAND
        groups[:, position] = _FOUR_DIGITS[values - higher * _TEN_THOUSAND]
        values = higher
    return groups.view(np.uint8)[:, -width:]
