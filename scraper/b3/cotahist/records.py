"""Decodes COTAHIST's fixed-width records, a block of them at a time, into Arrow arrays.

There is no Python loop over records. Every character of a block is compared with what its field allows in one
pass; only a block in which one is not allowed is looked at field by field, to say which. Digits become
numbers eight at a time, in the halves of a 64-bit word.

Refused: what is no number where one stands, a session that is no day, a ticker or an ISIN that is not
printable, a line end inside a record. What is odd in a descriptive text, or in a date of expiry, is kept and
told (`scraper.b3.oddities`): bytes that Windows-1252 defines beyond Latin-1 as its characters, other control
characters as Unicode's pictures of them, which harm no reader, an expiry that is no day as null. What a valid
value says is not judged.
"""

from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from scraper.b3.arrow import arrow_schema
from scraper.b3.cotahist.layout import COTAHIST_COLUMNS, FIELDS, RECORD_LENGTH, Field
from scraper.b3.errors import InvalidData
from scraper.b3.oddities import Notes

AnyArray: TypeAlias = "pa.Array[Any]"  # generic in the stubs only
Words: TypeAlias = npt.NDArray[np.uint64]

Records: TypeAlias = npt.NDArray[np.uint8]
"""n whole records without their line ends, shape (n, 245), a byte an element."""

COTAHIST_SCHEMA = arrow_schema(COTAHIST_COLUMNS)
"""Arrow schema of the quotes: of `decode_quotes`, of the DataFrame, and of the raw Parquet file."""

NO_EXPIRY = np.datetime64("9999-12-31")
"""DATVEN of a paper that does not expire; it is read as null."""

FIELD = {field.name: field for field in FIELDS}
"""The fields of a quote by their names."""

_IDENTITY = frozenset({"codneg", "codisi"})
"""Texts that say what a line is about: nothing in them is taken but printable characters."""

_STORED_FIELDS = tuple(FIELD[name] for name in COTAHIST_SCHEMA.names)


def _plain_characters() -> tuple[Records, Records]:
    """For each character of a quote, the lowest that is allowed, and how far above it the highest is.

    For texts that is printable ASCII; the rest of Latin-1 is allowed as well, but takes the longer way.
    """
    lowest = np.full(RECORD_LENGTH, ord(" "), np.uint8)
    highest = np.full(RECORD_LENGTH, ord("~"), np.uint8)
    for field in FIELDS:
        if field.kind != "text":
            lowest[field.first - 1 : field.last] = ord("0")
            highest[field.first - 1 : field.last] = ord("9")
    return lowest, highest - lowest


_LOWEST, _RANGE = _plain_characters()


def _text_characters() -> dict[int, str]:
    """What the control characters of Latin-1 are kept as, by their codes."""
    kept = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\u2421"}
    for code in range(0x80, 0xA0):
        try:
            kept[code] = bytes([code]).decode("windows-1252")
        except UnicodeDecodeError:
            continue  # Windows-1252 leaves five of them undefined
    return kept


_TEXT_CHARACTERS = _text_characters()
_UTF8_BYTES = np.array([len(_TEXT_CHARACTERS.get(code, chr(code)).encode()) for code in range(256)], np.int32)
"""For each byte of a text, how many it takes in UTF-8."""

_PIECE_RECORDS = 512
"""Records that are compared at a time: what that takes stays in the processor's cache."""


def _is_plain(records: Records) -> bool:
    """Whether every character is allowed where it stands in a quote."""
    pieces = range(0, len(records), _PIECE_RECORDS)
    return not any(((records[first : first + _PIECE_RECORDS] - _LOWEST) > _RANGE).any() for first in pieces)


def decode_quotes(
    records: Records, *, first_record: int, source: str, notes: Notes | None = None
) -> pa.RecordBatch:
    """Decodes whole quote records, of one session or of many; TIPREG and DATA are not looked at.

    Args:
        records: Quote records, shape (n, 245). They may be a view with gaps, such as over the line ends.
        first_record: Number in the file of the first of them, for messages; the header is 1.
        source: The file or address that they came from, for messages.
        notes: Is told what is odd.

    Returns:
        n rows of `COTAHIST_SCHEMA`.

    Raises:
        InvalidData: A field holds what its kind does not allow (see `schema.Field`).
    """
    return Block(records, first_record=first_record, source=source, notes=notes).quotes()


class Block:
    """Whole records, and what their fields say.

    Args:
        records: The records, shape (n, 245); they may be a view with gaps.
        first_record: Number in the file of the first of them.
        source: The file or address that they came from, for messages.
        notes: Is told what is odd.
    """

    def __init__(
        self, records: Records, *, first_record: int, source: str, notes: Notes | None = None
    ) -> None:
        self.records = records
        self._first_record = first_record
        self._source = source
        self._notes = notes or Notes()
        self._is_plain = _is_plain(records)

    def quotes(self) -> pa.RecordBatch:
        """Decodes all that is stored of quotes: n rows of `COTAHIST_SCHEMA`.

        Raises:
            InvalidData: As `decode_quotes`.
        """
        return pa.RecordBatch.from_arrays(
            [self._array(field) for field in _STORED_FIELDS], schema=COTAHIST_SCHEMA
        )

    def check(self, field: Field, value: bytes, meaning: str) -> None:
        """Refuses the first record whose field does not hold exactly `value`."""
        wrong = self._characters(field) != np.frombuffer(value, np.uint8)
        self._refuse_if(wrong, field, f"{value.decode()!r}, {meaning}")

    def dates(self, field: Field) -> npt.NDArray[np.datetime64]:
        """Decodes YYYYMMDD, refusing what is no day of the calendar."""
        days, wrong = self._days(field)
        self._refuse_if(wrong, field, "a date, YYYYMMDD")
        return days

    def tell_if(self, wrong: npt.NDArray[np.bool_], field: Field, what: str) -> None:
        """Tells of the records of which a value is odd, or a character of it: shape (n,) or (n, width)."""
        if wrong.any():
            rows = np.flatnonzero(wrong.reshape(len(wrong), -1).any(axis=1))
            first = int(rows[0])
            self._notes.tell(
                field.name.upper(),
                what,
                self._found(first, field),
                count=len(rows),
                first_record=self._first_record + first,
            )

    def tell_unless(self, field: Field, value: bytes, what: str) -> None:
        """Tells of the records whose field does not hold exactly `value`."""
        self.tell_if(self._characters(field) != np.frombuffer(value, np.uint8), field, what)

    def tell_unless_date(self, field: Field) -> None:
        """Tells of the records whose field is no YYYYMMDD of the calendar."""
        no_digit = self._characters(field) - ord("0") > 9
        self.tell_if(no_digit if no_digit.any() else self._days(field)[1], field, "no day of the calendar")

    def number(self, field: Field) -> int:
        """The number in a field of the only record."""
        return int(self._integers(field)[0])

    def _days(self, field: Field) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.bool_]]:
        """The days of YYYYMMDD, and which of them are none of the calendar."""
        # A block has few different dates
        distinct = pa.array(self._integers(field)).dictionary_encode()
        value, place = (part.to_numpy() for part in (distinct.dictionary, distinct.indices))
        year, month, day = value // 10_000, value // 100 % 100, value % 100
        first_of_month = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
        later = (day - 1).astype("timedelta64[D]")
        days: npt.NDArray[np.datetime64] = first_of_month.astype("datetime64[D]") + later
        wrong = (year < 1) | (month < 1) | (month > 12) | (days.astype("datetime64[M]") != first_of_month)
        return days[place], wrong[place]

    def _array(self, field: Field) -> AnyArray:
        """Decodes a field of all records into the Arrow type that the schema gives it."""
        match field.kind:
            case "text":
                return pc.ascii_rtrim(self._texts(field), characters=" ")
            case "code":
                self._require_digits(field)
                return self._texts(field)
            case "integer":
                return pa.array(self._integers(field))
            case "decimal":
                return self._decimals(field)
            case "date":
                days, wrong = self._days(field)
                self.tell_if(wrong, field, "no day of the calendar, kept as null")
                return pa.array(days, mask=(days == NO_EXPIRY) | wrong)

    def _integers(self, field: Field) -> npt.NDArray[np.int64]:
        # Exact: the widest field has 18 digits and 10**18 < 2**63
        self._require_digits(field)
        value = np.zeros(len(self.records), np.uint64)
        for first in range(field.first, field.last + 1, 8):
            last = min(first + 7, field.last)
            value *= np.uint64(10 ** (last - first + 1))
            value += _number(self.records[:, last - 8 : last], digits=last - first + 1)
        return value.view(np.int64)

    def _decimals(self, field: Field) -> AnyArray:
        # Arrow holds a decimal as the integer of its digits in 128 bits, low half first. The precision is the
        # field's width, so no value can exceed it, and none is negative, so the high half is 0.
        halves = np.zeros((len(self.records), 2), dtype="<i8")
        halves[:, 0] = self._integers(field)
        arrow_type = COTAHIST_SCHEMA.field(field.name).type
        return pa.Array.from_buffers(arrow_type, len(halves), [None, pa.py_buffer(halves.data)])

    def _texts(self, field: Field) -> AnyArray:
        characters = _packed(self._characters(field))
        starts = np.arange(len(characters) + 1, dtype=np.int32) * np.int32(field.width)
        text = pa.py_buffer(characters.data)
        if not self._is_plain:
            is_odd = self._is_odd_text(characters, field)
            # In UTF-8 a character beyond ASCII takes two bytes or three, which moves all the texts after it
            ends = np.cumsum(_UTF8_BYTES[characters].reshape(-1), dtype=np.int32)
            starts[1:] = ends[field.width - 1 :: field.width]
            decoded = characters.tobytes().decode("latin-1")
            text = pa.py_buffer((decoded.translate(_TEXT_CHARACTERS) if is_odd else decoded).encode())
        return pa.StringArray.from_buffers(len(characters), pa.py_buffer(starts.data), text)

    def _is_odd_text(self, characters: Records, field: Field) -> bool:
        """Refuses what a text may not hold, tells of what it holds oddly, and says whether it does."""
        upper = (characters >= 0x80) & (characters < 0xA0)
        lower = (characters < 0x20) | (characters == 0x7F)
        if field.name in _IDENTITY:
            self._refuse_if(upper | lower, field, "printable Latin-1 characters")
        line_end = (characters == ord("\r")) | (characters == ord("\n"))
        self._refuse_if(line_end, field, "no line end inside a record")
        self.tell_if(upper, field, "bytes of Windows-1252, kept as text")
        self.tell_if(lower, field, "control characters, kept as pictures of them")
        return bool(upper.any() or lower.any())

    def _require_digits(self, field: Field) -> None:
        if not self._is_plain:
            # Whatever lies below "0" wraps around to above 9
            self._refuse_if(self._characters(field) - ord("0") > 9, field, f"{field.width} digits")

    def _characters(self, field: Field) -> Records:
        return self.records[:, field.first - 1 : field.last]

    def _refuse_if(self, wrong: npt.NDArray[np.bool_], field: Field, expected: str) -> None:
        """Refuses the first record that is wrong, or of which a character is: shape (n,) or (n, width)."""
        if wrong.any():
            self._refuse(int(wrong.reshape(len(wrong), -1).any(axis=1).argmax()), field, expected)

    def _refuse(self, row: int, field: Field, expected: str) -> NoReturn:
        raise InvalidData(
            source=self._source,
            record=self._first_record + row,
            field=field.name.upper(),
            found=repr(self._found(row, field)),
            expected=expected,
        )

    def _found(self, row: int, field: Field) -> str:
        characters: bytes = self._characters(field)[row].tobytes()
        return characters.decode("latin-1")


def _packed(characters: Records) -> Records:
    """Copies columns of characters together, which numpy does faster for one element a row."""
    width = characters.shape[1]
    return characters.view(f"V{width}").copy().view(np.uint8).reshape(-1, width)


def _number(characters: Records, *, digits: int) -> Words:
    """The numbers that the last digits of eight characters make.

    The first character is a word's lowest byte. In each step a half takes in the neighbour below it: of bytes
    (0..9) become pairs (0..99) in 16 bits, of pairs fours in 32, of fours all eight.

    Args:
        characters: Eight a row, of which the last ones are ASCII digits.
        digits: How many of them count.
    """
    word: Words = characters.view("<u8").reshape(-1).astype(np.uint64)
    word &= np.uint64(0x0F0F0F0F0F0F0F0F >> 64 - 8 * digits << 64 - 8 * digits)
    word *= np.uint64(10 << 8 | 1)
    word >>= np.uint64(8)
    word &= np.uint64(0x00FF00FF00FF00FF)
    word *= np.uint64(100 << 16 | 1)
    word >>= np.uint64(16)
    word &= np.uint64(0x0000FFFF0000FFFF)
    word *= np.uint64(10_000 << 32 | 1)
    word >>= np.uint64(32)
    return word
