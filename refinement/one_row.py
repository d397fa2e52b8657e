"""Parquet files of one row each, in pyarrow's own bytes, without pyarrow's work for each of them.

Nearly all of such a file says what its columns are, and is the same in the next one. Two rows whose values
have the same lengths differ in the values alone; others, too, in where each column begins. So pyarrow writes
the file of the first row in which a column has a value of some length, or none. The others are put together
of pieces of those files: what stands before a value, the value, what the footer says of it.

With another version of pyarrow that may not be so. Where a file's pieces do not make it again, or the first
files that are put together are not pyarrow's, too, byte for byte, pyarrow writes them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

_MAGIC = b"PAR1"
_ENDING = 8  # bytes: the length of the footer, and the magic number once more
_PROOFS = 3  # files that pyarrow makes, too
_LAYOUTS = 2_000  # kept; of a footer of a few kilobytes each
# Numbers of fields in the footer's structures:
# https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
_ROW_GROUPS = 4
_COLUMNS, _TOTAL_BYTE_SIZE, _TOTAL_COMPRESSED_SIZE = 1, 2, 6
_FILE_OFFSET, _META_DATA = 2, 3
_CHUNK_SIZE, _DATA_PAGE_OFFSET = 7, 9

Span = tuple[int, int]
Lengths = tuple[int | None, ...]
"""Bytes of each of a row's values; None of a null."""


class _Piece(NamedTuple):
    """What a file has of a column, beside its value and the places of it.

    Attributes:
        head: What stands before the value.
        size: Bytes of the head and the value.
        before: What the footer has before the place of their end.
        between: What it has after that and before the place of the head.
        after: What it has behind it.
        has_end: Whether it has the place of the end; else 0, as newer versions of pyarrow write it.
        is_told_twice: Whether the same stands behind the value, too, as former versions write it.
    """

    head: bytes
    size: int
    before: bytes
    between: bytes
    after: bytes
    has_end: bool
    is_told_twice: bool

    def told(self, place: int) -> bytes:
        """What the footer has of the column, if its head is in a place."""
        end = place + self.size if self.has_end else 0
        return b"".join((self.before, _encoded(end), self.between, _encoded(place), self.after))


class _Frame(NamedTuple):
    """What the footer has of no column: before them, and around the row's size, which it states twice."""

    before: bytes
    between: bytes
    twice: bytes
    after: bytes


class _Layout(NamedTuple):
    """What rows of the same lengths have in common: what stands before each value, and after the last."""

    heads: list[bytes]
    end: bytes


class OneRowFiles:
    """Makes the files of rows of one schema: of texts, numbers, decimals and dates, none of them nested.

    Args:
        write: pyarrow's writer, which is to write neither dictionaries, nor compressed pages, nor statistics.
    """

    def __init__(self, write: Callable[[pa.Table], bytes]) -> None:
        self._write = write
        self._is_like_pyarrow_s = True
        self._to_prove = _PROOFS
        self._frame: _Frame | None = None
        self._pieces: list[dict[int | None, _Piece]] = []
        self._layouts: dict[Lengths, _Layout] = {}

    def of(self, rows: pa.Table) -> Iterator[bytes]:
        """The file of each row, in their order."""
        rows = rows.combine_chunks()
        columns = [_plain(rows[name].combine_chunks()) for name in rows.column_names]
        for place, values in enumerate(zip(*columns, strict=True)):
            lengths = tuple([None if value is None else len(value) for value in values])
            layout = self._layout(lengths)
            if layout and not self._to_prove:
                yield _joined(layout, values)
                continue
            body = self._write(rows.slice(place, 1))
            if layout:
                self._to_prove -= 1
                self._is_like_pyarrow_s &= _joined(layout, values) == body
            else:
                self._learn(body, values, lengths)
            yield body

    def _layout(self, lengths: Lengths) -> _Layout | None:
        """How a row of such lengths is laid out; None if that is not known."""
        if not self._is_like_pyarrow_s or not self._frame:
            return None
        if known := self._layouts.get(lengths):
            return known
        pieces = [each.get(length) for each, length in zip(self._pieces, lengths, strict=True)]
        if None in pieces:
            return None
        if len(self._layouts) == _LAYOUTS:
            self._layouts.clear()
        made = self._layouts[lengths] = _laid_out(self._frame, [piece for piece in pieces if piece])
        return made

    def _learn(self, body: bytes, values: Sequence[bytes | None], lengths: Lengths) -> None:
        """Take a file's pieces, if it can be made of them again."""
        if not self._is_like_pyarrow_s:
            return
        try:
            self._frame, pieces = _taken_apart(body, values)
        except (LookupError, ValueError):
            self._is_like_pyarrow_s = False
            return
        self._is_like_pyarrow_s = _joined(_laid_out(self._frame, pieces), values) == body
        self._pieces = self._pieces or [{} for _ in pieces]
        for known, length, piece in zip(self._pieces, lengths, pieces, strict=True):
            known.setdefault(length, piece)


def _plain(column: Any) -> list[bytes | None]:
    """The values of a column in Parquet's encoding PLAIN, without the length that a text has before it."""
    kind = column.type
    if pa.types.is_string(kind):
        return list(column.cast(pa.binary()).to_pylist())
    width = kind.bit_width // 8
    stored = np.frombuffer(column.buffers()[1], np.uint8).reshape(-1, width)
    stored = stored[column.offset : column.offset + len(column)]
    if pa.types.is_decimal(kind):
        width = _decimal_width(kind.precision)
        stored = stored[:, ::-1][:, -width:]  # the highest byte first, and no more of them than needed
    text = stored.tobytes()
    is_valid = column.is_valid().to_pylist()
    return [text[at * width : (at + 1) * width] if valid else None for at, valid in enumerate(is_valid)]


@cache
def _decimal_width(precision: int) -> int:
    """Bytes that hold every number of so many digits, and its sign."""
    return int("9" * precision).bit_length() // 8 + 1


def _joined(layout: _Layout, values: Sequence[bytes | None]) -> bytes:
    """The file of a row."""
    parts = [layout.end] * (2 * len(values) + 1)
    parts[:-1:2] = layout.heads
    parts[1::2] = [value or b"" for value in values]
    return b"".join(parts)


def _laid_out(frame: _Frame, pieces: Sequence[_Piece]) -> _Layout:
    heads, before, footer = [], _MAGIC, [frame.before]
    place, size_of_row = len(_MAGIC), 0
    for piece in pieces:
        heads.append(before + piece.head)
        told = piece.told(place)
        footer.append(told)
        before = told if piece.is_told_twice else b""
        place += piece.size + len(before)
        size_of_row += piece.size
    total = _encoded(size_of_row)
    footer += (frame.between, total, frame.twice, total, frame.after)
    length = sum(map(len, footer))
    return _Layout(heads, b"".join((before, *footer, length.to_bytes(4, "little"), _MAGIC)))


def _taken_apart(body: bytes, values: Sequence[bytes | None]) -> tuple[_Frame, list[_Piece]]:
    """The pieces of a file, whose row has these values.

    Raises:
        LookupError: The file is not what it is taken for.
        ValueError: The same.
    """
    footer = body[-_ENDING - int.from_bytes(body[-_ENDING:-4], "little") : -_ENDING]
    (group,) = _items(footer, _fields(footer, 0)[_ROW_GROUPS])
    of_group = _fields(footer, group[0])
    chunks = _items(footer, of_group[_COLUMNS])
    pieces, place, size_of_row = [], len(_MAGIC), 0
    for value, (start, end) in zip(values, chunks, strict=True):
        of_chunk = _fields(footer, start)
        of_data = _fields(footer, of_chunk[_META_DATA][0])
        (ending, ended), (beginning, begun) = of_chunk[_FILE_OFFSET], of_data[_DATA_PAGE_OFFSET]
        size, plain = _number(footer, of_data[_CHUNK_SIZE]), value or b""
        page, at_end = body[place : place + size], _number(footer, (ending, ended))
        if at_end not in (0, place + size) or _number(footer, (beginning, begun)) != place:
            raise ValueError("a column does not lie where it should")
        if not page.endswith(plain):
            raise ValueError("a value is not as it should be")
        texts = footer[start:ending], footer[ended:beginning], footer[begun:end]
        is_told_twice = body.startswith(footer[start:end], place + size)
        pieces.append(_Piece(page[: size - len(plain)], size, *texts, at_end > 0, is_told_twice))
        place += size + is_told_twice * (end - start)
        size_of_row += size
    sizes = of_group[_TOTAL_BYTE_SIZE], of_group[_TOTAL_COMPRESSED_SIZE]
    (first, last), (first_again, last_again) = sizes
    if {_number(footer, size) for size in sizes} != {size_of_row}:
        raise ValueError("the columns are not all of the row")
    frame = _Frame(
        footer[: chunks[0][0]], footer[chunks[-1][1] : first], footer[last:first_again], footer[last_again:]
    )
    return frame, pieces


# The footer is written in Thrift's compact protocol:
# https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md


def _encoded(number: int) -> bytes:
    """A number that is not negative."""
    rest, found = number << 1, bytearray()
    while rest > 0x7F:
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes((*found, rest))


def _number(footer: bytes, span: Span) -> int:
    return _varint(footer, span[0])[0] >> 1


def _varint(footer: bytes, at: int) -> tuple[int, int]:
    """An unsigned number, and where it ends."""
    found = shift = 0
    while True:
        byte = footer[at]
        found |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte <= 0x7F:
            return found, at


def _fields(footer: bytes, at: int) -> dict[int, Span]:
    """Where the fields of a structure lie, by their numbers; at 0 the byte that ends it."""
    found: dict[int, Span] = {}
    number = 0
    while head := footer[at]:
        if not head >> 4:
            raise ValueError("a field's number is far from the one before it: Parquet has none such")
        number += head >> 4
        found[number] = at + 1, _end(footer, at + 1, head & 0xF)
        at = found[number][1]
    found[0] = at, at + 1
    return found


def _items(footer: bytes, span: Span) -> list[Span]:
    """Where the items of a list lie."""
    head, at = footer[span[0]], span[0] + 1
    count, kind = head >> 4, head & 0xF
    if count == 0xF:
        count, at = _varint(footer, at)
    found: list[Span] = []
    for _ in range(count):
        found.append((at, _end(footer, at, kind)))
        at = found[-1][1]
    return found


def _end(footer: bytes, at: int, kind: int) -> int:  # noqa: PLR0911 - a kind of value a line
    """Where a value ends."""
    match kind:
        case 1 | 2:  # true and false, which in a structure the kind itself says
            return at
        case 3:
            return at + 1
        case 4 | 5 | 6:
            return _varint(footer, at)[1]
        case 7:
            return at + 8
        case 8:
            length, at = _varint(footer, at)
            return at + length
        case 9 | 10:
            items = _items(footer, (at, at))
            return items[-1][1] if items else at + 1
        case 12:
            return _fields(footer, at)[0][1]
    raise ValueError(f"there is no kind of value {kind}")
