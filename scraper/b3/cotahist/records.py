"""Decodes COTAHIST's fixed-width records, a block of them at a time, into Arrow arrays.

There is no Python loop over records. Of a block the lowest and the highest character of each column are taken
first. They tell whether every character is one that its field allows: only a block in which one is not is
looked at field by field, to say which. They also tell where all records are alike, blank or zero, which then
is not decoded record by record. Digits become numbers eight at a time, in the halves of a 64-bit word, all
fields together.

Refused: what is no number where one stands, a session that is no day, a ticker or an ISIN that is not
printable, a line end inside a record. What is odd in a descriptive text, or in a date of expiry, is kept and
told (`scraper.b3.oddities`): bytes that Windows-1252 defines beyond Latin-1 as its characters, other control
characters as Unicode's pictures of them, which harm no reader, an expiry that is no day as null. What a valid
value says is not judged.
"""

from collections.abc import Iterator, Mapping, Sequence
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
Days: TypeAlias = npt.NDArray[np.datetime64]

Records: TypeAlias = npt.NDArray[np.uint8]
"""n whole records without their line ends, shape (n, 245), a byte an element."""

COTAHIST_SCHEMA = arrow_schema(COTAHIST_COLUMNS)
"""Arrow schema of the quotes: of `Block.quotes`, of the DataFrame, and of the raw Parquet file."""

NO_EXPIRY = np.datetime64("9999-12-31")
"""DATVEN of a paper that does not expire; it is read as null."""

FIELD = {field.name: field for field in FIELDS}
"""The fields of a quote by their names."""

_IDENTITY = frozenset({"codneg", "codisi"})
"""Texts that say what a line is about: nothing in them is taken but printable characters."""

_STORED_FIELDS = tuple(FIELD[name] for name in COTAHIST_SCHEMA.names)
_TEXT_FIELDS = tuple(field for field in _STORED_FIELDS if field.kind in {"text", "code"})
_NUMBER_FIELDS = tuple(field for field in _STORED_FIELDS if field not in _TEXT_FIELDS)


def _plain_characters() -> tuple[Records, Records]:
    """For each character of a quote, the lowest and the highest that is allowed.

    For texts that is printable ASCII; the rest of Latin-1 is allowed as well, but takes the longer way.
    """
    lowest = np.full(RECORD_LENGTH, ord(" "), np.uint8)
    highest = np.full(RECORD_LENGTH, ord("~"), np.uint8)
    for field in FIELDS:
        if field.kind != "text":
            lowest[field.first - 1 : field.last] = ord("0")
            highest[field.first - 1 : field.last] = ord("9")
    return lowest, highest


_LOWEST, _HIGHEST = _plain_characters()


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

_IN_CACHE = 4096
"""Records of which one column after another is taken: as many as stay in the processor's cache meanwhile."""

_SIDE_BY_SIDE = 32
"""Records that are compared as if they were one: NumPy is fast along rows, and a record is a short one."""


def _extremes(records: Records) -> tuple[Records, Records]:
    """The lowest and the highest character of each column; of no record, what is beyond any."""
    count, width = records.shape
    stride = records.strides[0]
    # Between the records of a row are line ends, which are in the text; after the last record may be nothing
    rows = (count - 1) // _SIDE_BY_SIDE if count and records.strides[1] == 1 and stride >= width else 0
    wide = np.lib.stride_tricks.as_strided(
        records, (rows, _SIDE_BY_SIDE * stride), (_SIDE_BY_SIDE * stride, 1), writeable=False
    )
    rest = records[rows * _SIDE_BY_SIDE :]
    lowest, highest = rest.min(axis=0, initial=255), rest.max(axis=0, initial=0)
    near = _IN_CACHE // _SIDE_BY_SIDE
    for first in range(0, rows, near):
        found = wide[first : first + near]
        for of_wide, ufunc, of_all in (
            (found.min(axis=0), np.minimum, lowest),
            (found.max(axis=0), np.maximum, highest),
        ):
            ufunc(of_all, ufunc.reduce(of_wide.reshape(_SIDE_BY_SIDE, stride)[:, :width]), out=of_all)
    return lowest, highest


class Block:
    """Whole records, and what their fields say.

    Args:
        records: The records, shape (n, 245); they may be a view with gaps, such as over the line ends.
        first_record: Number in the file of the first of them, for messages; the header is 1.
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
        self._lowest, self._highest = _extremes(records)
        outside = (self._lowest < _LOWEST) | (self._highest > _HIGHEST)
        self._is_plain = not outside.any()

    def quotes(self) -> pa.RecordBatch:
        """Decodes what is stored of quotes: n rows of `COTAHIST_SCHEMA`. TIPREG and DATA are not looked at.

        Raises:
            InvalidData: A field holds what its kind does not allow (see `layout.Field`).
        """
        texts = [field for field in _TEXT_FIELDS if self._constant(field) is None]
        numbers, characters = self._copied(_NUMBER_FIELDS, texts)
        return pa.RecordBatch.from_arrays(
            [self._array(field, numbers, characters) for field in _STORED_FIELDS], schema=COTAHIST_SCHEMA
        )

    def check(self, field: Field, value: bytes, meaning: str) -> None:
        """Refuses the first record whose field does not hold exactly `value`."""
        if self._same(field) != value:
            wrong = self._characters(field) != np.frombuffer(value, np.uint8)
            self._refuse_if(wrong, field, f"{value.decode()!r}, {meaning}")

    def dates(self, field: Field) -> Days:
        """Decodes YYYYMMDD, refusing what is no day of the calendar."""
        self._require_digits(field)
        distinct, wrong, place = _days(self._number(field))
        if wrong.any():
            self._refuse_if(wrong[place], field, "a date, YYYYMMDD")
        days: Days = distinct[place]
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
        wrong = self._characters(field) - ord("0") > 9
        if not wrong.any():
            _, wrong_days, place = _days(self._number(field))
            wrong = wrong_days[place]
        self.tell_if(wrong, field, "no day of the calendar")

    def number(self, field: Field) -> int:
        """The number in a field of the only record."""
        self._require_digits(field)
        return int(self._number(field)[0])

    def _array(
        self, field: Field, numbers: Mapping[str, Words], characters: Mapping[str, Records]
    ) -> AnyArray:
        """A field of all records in the Arrow type that the schema gives it."""
        if field.kind != "text":
            self._require_digits(field)
        match field.kind:
            case "text":
                texts = self._texts(field, characters)
                is_padded = not self._is_plain or self._lowest[field.last - 1] <= ord(" ")
                return pc.ascii_rtrim(texts, characters=" ") if is_padded else texts
            case "code":
                return self._texts(field, characters)
            case "integer":
                return pa.array(numbers[field.name].view(np.int64))
            case "decimal":
                return _decimals(field, numbers[field.name])
            case "date":
                days, wrong, place = _days(numbers[field.name])
                if wrong.any():
                    self.tell_if(wrong[place], field, "no day of the calendar, kept as null")
                return pa.array(days, mask=(days == NO_EXPIRY) | wrong).take(pa.array(place))

    def _number(self, field: Field) -> Words:
        numbers, _ = self._copied([field], [])
        return numbers[field.name]

    def _copied(
        self, numbers: Sequence[Field], texts: Sequence[Field]
    ) -> tuple[dict[str, Words], dict[str, Records]]:
        """Copies columns out of the records.

        Args:
            numbers: Fields all of whose characters are digits; else their numbers mean nothing.
            texts: Fields that are copied as they are.

        Returns:
            By field the numbers, shape (n,), and the characters, shape (n, width).
        """
        highest = self._highest.tobytes()
        parts = [
            (field, last, digits)
            for field in numbers
            for last, digits in _parts(field)
            if highest[last - digits : last].strip(b"0")
        ]
        words = [np.empty(len(self.records), "<u8") for _ in parts]
        characters = [np.empty(len(self.records), f"V{field.width}") for field in texts]
        starts = [last - 8 for _, last, _ in parts] + [field.first - 1 for field in texts]
        columns = list(zip([*words, *characters], starts, strict=True))
        for first in range(0, len(self.records), _IN_CACHE):
            near = self.records[first : first + _IN_CACHE]
            for column, start in columns:
                # As one element a record, which NumPy copies faster than its characters
                found = near[:, start : start + column.itemsize].view(column.dtype)
                column[first : first + _IN_CACHE] = found[:, 0]
        found_numbers: dict[str, Words] = {}
        for word, (field, last, digits) in zip(words, parts, strict=True):
            _add_up(word, digits)
            # Exact: the widest field has 18 digits and 10**18 < 2**63
            number = word * np.uint64(10 ** (field.last - last)) if last < field.last else word
            before = found_numbers.get(field.name)
            found_numbers[field.name] = number if before is None else before + number
        for field in numbers:
            found_numbers.setdefault(field.name, np.zeros(len(self.records), np.uint64))
        found_texts = {
            field.name: column.view(np.uint8).reshape(-1, field.width)
            for field, column in zip(texts, characters, strict=True)
        }
        return found_numbers, found_texts

    def _same(self, field: Field) -> bytes | None:
        """What the field holds in all records; None if that is not the same."""
        lowest, highest = (
            extreme[field.first - 1 : field.last].tobytes() for extreme in (self._lowest, self._highest)
        )
        return lowest if lowest == highest else None

    def _constant(self, field: Field) -> bytes | None:
        """A text of ASCII that all records have in the field, if it is so."""
        return self._same(field) if self._is_plain else None

    def _texts(self, field: Field, copied: Mapping[str, Records]) -> AnyArray:
        """The texts in a field, whose characters were copied unless it is constant."""
        if same := self._constant(field):
            return pa.repeat(same.decode("ascii"), len(self.records))
        characters = copied[field.name]
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


def _days(numbers: Words) -> tuple[Days, npt.NDArray[np.bool_], npt.NDArray[np.integer[Any]]]:
    """The different days of YYYYMMDD, which of them are no day, and each record's place among them."""
    # A block has few different dates
    distinct = pa.array(numbers.view(np.int64)).dictionary_encode()
    value, place = (part.to_numpy() for part in (distinct.dictionary, distinct.indices))
    year, month, day = value // 10_000, value // 100 % 100, value % 100
    first_of_month = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    later = (day - 1).astype("timedelta64[D]")
    days: Days = first_of_month.astype("datetime64[D]") + later
    wrong = (year < 1) | (month < 1) | (month > 12) | (days.astype("datetime64[M]") != first_of_month)
    return days, wrong, place


def _decimals(field: Field, numbers: Words) -> AnyArray:
    # Arrow holds a decimal as the integer of its digits in 128 bits, low half first. The precision is the
    # field's width, so no value can exceed it, and none is negative, so the high half is 0.
    halves = np.zeros((len(numbers), 2), dtype="<u8")
    halves[:, 0] = numbers
    arrow_type = COTAHIST_SCHEMA.field(field.name).type
    return pa.Array.from_buffers(arrow_type, len(halves), [None, pa.py_buffer(halves.data)])


def _parts(field: Field) -> Iterator[tuple[int, int]]:
    """The last positions of eight digits each, from a field's end, and how many of the eight are its own."""
    return ((last, min(8, last - field.first + 1)) for last in range(field.last, field.first - 1, -8))


def _add_up(words: Words, digits: int) -> None:
    """Makes numbers of characters, in their place.

    The first character is a word's lowest byte. In each step a half takes in the neighbour below it: of bytes
    (0..9) become pairs (0..99) in 16 bits, of pairs fours in 32, of fours all eight. What a product has
    beyond its bits is of the neighbour alone, and falls away.

    Args:
        words: Eight characters each, shape (n,), of which the last ones are ASCII digits.
        digits: How many of them count.
    """
    words &= np.uint64(0x0F0F0F0F0F0F0F0F >> 64 - 8 * digits << 64 - 8 * digits)
    for bits in (16, 32, 64):
        halves = words.view(f"<u{bits // 8}")
        halves *= halves.dtype.type(10 ** (bits // 16) << bits // 2 | 1)
        halves >>= halves.dtype.type(bits // 2)
