"""Reads COTAHIST, B3's fixed-width file of the quotes of a session, into a DataFrame, or refuses it whole.

A file is a ZIP with one text of 245-character records in Latin-1: a header (type 00), a quote each (type 01)
and a trailer (type 99) that counts them all. `open_text` gets the text out of the ZIP and `read_text` reads
it; `read_session` does both. `decode_quotes` is the core: it turns a block of whole records into Arrow arrays
without a Python loop over records, so that a text too large to be read at once can go through it in blocks.

Refused, with the record and the field where there is one: a ZIP that is cut short, encrypted, without exactly
one member, or larger inside than a limit; a text whose records, line ends, header, trailer or count are not
as described; a session other than the one asked for; a number, date or text that is none. What a valid value
says is not judged: B3 itself publishes, for instance, average prices outside the day's range.
"""

import io
import re
import zipfile
import zlib
from dataclasses import dataclass
from datetime import date
from typing import Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from scraper.arrow import arrow_schema, to_frame
from scraper.errors import InvalidData
from scraper.schema import COTAHIST_COLUMNS, FIELDS, RECORD_LENGTH, Field

AnyArray: TypeAlias = "pa.Array[Any]"  # generic in the stubs only

Records: TypeAlias = npt.NDArray[np.uint8]
"""n whole records without their line ends, shape (n, 245), a byte an element."""

COTAHIST_SCHEMA = arrow_schema(COTAHIST_COLUMNS)
"""Arrow schema of the quotes: of `decode_quotes`, of the DataFrame, and of the raw Parquet file."""

MAX_TEXT_BYTES = 64 * 2**20
"""Most bytes of text that are read at once: 270,000 records, ten times the largest session known."""

NO_EXPIRY = np.datetime64("9999-12-31")
"""DATVEN of a paper that does not expire; it is read as null."""

_FIELD = {field.name: field for field in FIELDS}
_STORED_FIELDS = tuple(_FIELD[name] for name in COTAHIST_SCHEMA.names)

_HEADER, _QUOTE, _TRAILER = b"00", b"01", b"99"
_NOME = Field("nome do arquivo", 3, 15, "text", "COTAHIST. and the year of the sessions")
_GENERATED = Field("data da geração", 24, 31, "date", "The day on which B3 wrote the file")
_COUNT = Field("total de registros", 32, 42, "integer", "Number of records, header and trailer among them")

_ENCRYPTED = 0x1
"""Bit of a ZIP member's flags."""


def read_session(
    data: bytes, *, session: date, source: str, max_text_bytes: int = MAX_TEXT_BYTES
) -> pd.DataFrame:
    """Reads the quotes of one session out of B3's ZIP, or out of the text that was in it.

    It is `read_text` of `open_text`; see there for what is returned and what is refused.
    """
    return read_text(
        open_text(data, source=source, max_text_bytes=max_text_bytes), session=session, source=source
    )


def open_text(data: bytes, *, source: str, max_text_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """Takes the COTAHIST text out of B3's ZIP, reading it to its end and comparing its checksum.

    Args:
        data: A ZIP with one member, of any name, or the text itself, which is returned as it is.
        source: The file or address that the bytes came from, for messages.
        max_text_bytes: More text than this is refused. The sizes that a ZIP declares are not relied on.

    Raises:
        InvalidData: It is neither, or the ZIP is cut short or damaged, is encrypted, has no member or
            several, is packed in a way that B3 does not use, or opens to more than `max_text_bytes`.
    """
    if data.startswith(b"PK"):
        text = _unzip(data, source=source, max_text_bytes=max_text_bytes)
    elif data.startswith(_HEADER + b"COTAHIST."):
        text = data
    else:
        found = f"{len(data)} bytes that begin with {data[:24]!r}" if data else "nothing"
        raise InvalidData(source=source, found=found, expected="a ZIP or a COTAHIST text")
    if len(text) > max_text_bytes:
        raise InvalidData(
            source=source,
            found=f"more than {max_text_bytes} bytes of text",
            expected="a session's quotes within that limit",
            advice="Raise max_text_bytes if B3's file really is that large.",
        )
    return text


def _unzip(data: bytes, *, source: str, max_text_bytes: int) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            member = _only_member(archive, source=source)
            with archive.open(member) as text:
                # One byte beyond the limit tells "too much"; short of it, read goes on to the checksum
                return text.read(max_text_bytes + 1)
    except InvalidData:
        raise
    # Beside its own errors, zipfile lets those of zlib through and of seeking to an offset that is damaged
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
        raise InvalidData(
            source=source,
            found=f"a damaged ZIP ({type(error).__name__}: {error})",
            expected="a whole ZIP, as B3 published it",
        ) from error


def _only_member(archive: zipfile.ZipFile, *, source: str) -> zipfile.ZipInfo:
    members = archive.infolist()
    if len(members) != 1:
        raise InvalidData(source=source, found=f"a ZIP with {len(members)} members", expected="one member")
    (member,) = members
    if member.flag_bits & _ENCRYPTED:
        raise InvalidData(source=source, found="a ZIP with an encrypted member", expected="a readable one")
    # The other methods inflate in steps whose size cannot be bounded
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        found = f"a ZIP with compression method {member.compress_type}"
        raise InvalidData(source=source, found=found, expected="method 8 (deflate) or 0 (none)")
    return member


def read_text(text: bytes, *, session: date, source: str) -> pd.DataFrame:
    r"""Reads the quotes of one session.

    Quotes that share ticker, market and term are kept, all of them: B3's layout declares no key, so to refuse
    them would be to lose a session over a rule of our own; what was sent twice shows in the trailer's count.

    Args:
        text: A COTAHIST text whose lines end in CRLF or in LF, the last one possibly in neither.
        session: The session that it must be of.
        source: The file or address that the text came from, for messages.

    Returns:
        A row for each quote, in the file's order, with the columns of `schema.COTAHIST_COLUMNS` in Arrow
        types (`COTAHIST_SCHEMA`); no row if there is nothing between header and trailer. Prices are exact
        decimals in BRL per `fatcot` units; texts are without their padding, blank ones empty.

    Raises:
        InvalidData: It names the first record that is wrong, counted from 1, the header, and its field.
    """
    records = _split(text, source=source)
    _check_ends(records, year=session.year, source=source)
    quotes = _Block(records[1:-1], first_record=2, source=source)
    quotes.check(_FIELD["tipreg"], _QUOTE, "a quote: header and trailer come once, first and last")
    quotes.check(_FIELD["data"], f"{session:%Y%m%d}".encode(), "the session asked for")
    return to_frame(decode_quotes(quotes.records, first_record=2, source=source))


def decode_quotes(records: Records, *, first_record: int, source: str) -> pa.RecordBatch:
    """Decodes whole quote records, of one session or of many; TIPREG and DATA are not looked at.

    Args:
        records: Quote records, shape (n, 245). They may be a view with gaps, such as over the line ends.
        first_record: Number in the file of the first of them, for messages; the header is 1.
        source: The file or address that they came from, for messages.

    Returns:
        n rows of `COTAHIST_SCHEMA`.

    Raises:
        InvalidData: A field holds what its kind does not allow (see `schema.Field`).
    """
    block = _Block(records, first_record=first_record, source=source)
    return pa.RecordBatch.from_arrays(
        [block.array(field) for field in _STORED_FIELDS], schema=COTAHIST_SCHEMA
    )


def _split(text: bytes, *, source: str) -> Records:
    """Views the text as records. The first one's line end is the one that all must have."""
    line_end = b"\n" if re.match(rb"[^\r\n]*\n", text) else b"\r\n"
    stride = RECORD_LENGTH + len(line_end)
    lines, rest = divmod(len(text), stride)
    after_first = memoryview(text)[RECORD_LENGTH:]
    ends = np.ndarray((lines, len(line_end)), np.uint8, buffer=after_first, strides=(stride, 1))
    wrong = np.flatnonzero((ends != np.frombuffer(line_end, np.uint8)).any(axis=1))
    unended = rest == RECORD_LENGTH and not text.endswith((b"\r", b"\n"))
    if wrong.size or not (unended or (lines and rest == 0)):
        _refuse_line(text, int(wrong[0]) if wrong.size else lines, line_end, source=source)
    return np.ndarray((lines + unended, RECORD_LENGTH), np.uint8, buffer=text, strides=(stride, 1))


def _refuse_line(text: bytes, index: int, line_end: bytes, *, source: str) -> NoReturn:
    start = index * (RECORD_LENGTH + len(line_end))
    end = text.find(b"\n", start) + 1
    line = text[start : end or None]
    length = len(line.rstrip(b"\r\n"))
    if length == RECORD_LENGTH:
        found = f"line end {line[length:]!r}"
        expected = f"{line_end!r}, as after record 1" if index else "CRLF or LF"
    else:
        found = f"{length} characters"
        expected = f"{RECORD_LENGTH}"
    raise InvalidData(source=source, record=index + 1, found=found, expected=expected)


def _check_ends(records: Records, *, year: int, source: str) -> None:
    header = _Block(records[:1], first_record=1, source=source)
    header.check(_FIELD["tipreg"], _HEADER, "the header")
    trailer = _Block(records[-1:], first_record=len(records), source=source)
    trailer.check(_FIELD["tipreg"], _TRAILER, "the trailer: the text may be cut short")
    for end in (header, trailer):
        end.check(_NOME, f"COTAHIST.{year}".encode(), "the name of the file and the year of the session")
        end.dates(_GENERATED)
    count = f"{len(records):0{_COUNT.width}}".encode()
    trailer.check(_COUNT, count, "the number of records in the text, header and trailer counted")


@dataclass(frozen=True, slots=True)
class _Block:
    """Whole records of which the first is the file's `first_record`-th, and what their fields say."""

    records: Records
    first_record: int
    source: str

    def check(self, field: Field, value: bytes, meaning: str) -> None:
        """Refuses the first record whose field does not hold exactly `value`."""
        wrong = self._characters(field) != np.frombuffer(value, np.uint8)
        self._refuse_if(wrong, field, f"{value.decode()!r}, {meaning}")

    def array(self, field: Field) -> AnyArray:
        """Decodes a field of all records into the Arrow type that the schema gives it."""
        match field.kind:
            case "text":
                return self._texts(field)
            case "code":
                self._digits(field)
                return self._texts(field)
            case "integer":
                return pa.array(self._integers(field))
            case "decimal":
                return self._decimals(field)
            case "date":
                days = self.dates(field)
                return pa.array(days, mask=days == NO_EXPIRY)

    def dates(self, field: Field) -> npt.NDArray[np.datetime64]:
        """Decodes YYYYMMDD, refusing what is no day of the calendar."""
        value = self._integers(field)
        year, month, day = value // 10_000, value // 100 % 100, value % 100
        first_of_month = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
        later = (day - 1).astype("timedelta64[D]")
        days: npt.NDArray[np.datetime64] = first_of_month.astype("datetime64[D]") + later
        wrong = (year < 1) | (month < 1) | (month > 12) | (days.astype("datetime64[M]") != first_of_month)
        self._refuse_if(wrong, field, "a date, YYYYMMDD")
        return days

    def _characters(self, field: Field) -> Records:
        return self.records[:, field.first - 1 : field.last]

    def _digits(self, field: Field) -> Records:
        digits = self._characters(field) - ord("0")  # whatever lies below "0" wraps around to above 9
        self._refuse_if(digits > 9, field, f"{field.width} digits")
        return digits

    def _integers(self, field: Field) -> npt.NDArray[np.int64]:
        # Exact: the widest field has 18 digits and 10**18 < 2**63
        return self._digits(field) @ 10 ** np.arange(field.width - 1, -1, -1, dtype=np.int64)

    def _decimals(self, field: Field) -> AnyArray:
        # Arrow holds a decimal as the integer of its digits in 128 bits, low half first. The precision is the
        # field's width, so no value can exceed it, and none is negative, so the high half is 0.
        halves = np.zeros((len(self.records), 2), dtype="<i8")
        halves[:, 0] = self._integers(field)
        arrow_type = COTAHIST_SCHEMA.field(field.name).type
        return pa.Array.from_buffers(arrow_type, len(halves), [None, pa.py_buffer(halves.data)])

    def _texts(self, field: Field) -> AnyArray:
        characters = np.ascontiguousarray(self._characters(field))
        control = ((characters & 0x7F) < 0x20) | (characters == 0x7F)
        self._refuse_if(control, field, "printable Latin-1 characters")
        # In UTF-8 each character beyond ASCII takes two bytes, which moves all the texts after it
        starts = np.arange(len(characters) + 1) * field.width
        starts += np.searchsorted(np.flatnonzero(characters >= 0x80), starts)
        utf8 = characters.tobytes().decode("latin-1").encode()
        padded = pa.StringArray.from_buffers(
            len(characters), pa.py_buffer(starts.astype(np.int32).data), pa.py_buffer(utf8)
        )
        return pc.ascii_rtrim(padded, characters=" ")

    def _refuse_if(self, wrong: npt.NDArray[np.bool_], field: Field, expected: str) -> None:
        """Refuses the first record that is wrong, or of which a character is: shape (n,) or (n, width)."""
        if not wrong.any():
            return
        row = int(wrong.reshape(len(wrong), -1).any(axis=1).argmax())
        raise InvalidData(
            source=self.source,
            record=self.first_record + row,
            field=field.name.upper(),
            found=repr(self._characters(field)[row].tobytes().decode("latin-1")),
            expected=expected,
        )
