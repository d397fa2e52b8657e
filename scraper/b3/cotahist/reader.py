"""Reads COTAHIST, B3's fixed-width file of the quotes of a session or a year, or refuses it whole.

A file is a ZIP with one text of 245-character records in Latin-1: a header (type 00), a quote each (type 01)
and a trailer (type 99) that counts them, in one of two ways (`scraper.b3.oddities.TrailerCount`). `open_text`
gets the text out of the ZIP and `read_text` reads it; `read_session` does both. `read_year` reads a file of
many sessions in blocks, its memory the same however long the file. All of them decode by `records`.

Refused, with the record and the field where there is one: a ZIP that is cut short, encrypted, without exactly
one member, or larger inside than a limit or than its own size lets expect; a text whose records, line ends
or count are not as described, or whose ends do not name its year; a session other than the one asked for; a
number or a session that is none, a ticker or an ISIN that is not printable.

Kept, counted and told (`scraper.b3.oddities`): what `records` keeps; blank lines after the trailer;
header or trailer without the blanks that fill them up, as editors leave them; their origin, date and filling
other than in B3's layout; a count of the convention that is not its time's. What a valid value says is not
judged: B3 itself publishes, for instance, average prices outside the day's range.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from pathlib import Path
from threading import Event
from typing import IO, NamedTuple, NoReturn, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from scraper.b3.archive import DAMAGED, InflatedMember, open_archive
from scraper.b3.arrow import to_frame
from scraper.b3.cotahist.layout import RECORD_LENGTH, Field
from scraper.b3.cotahist.records import COTAHIST_SCHEMA, FIELD, Block, Records
from scraper.b3.errors import InvalidData
from scraper.b3.oddities import Notes, TrailerCount

__all__ = ["COTAHIST_SCHEMA", "count_of_year", "open_text", "read_session", "read_text", "read_year"]

_T = TypeVar("_T")
_R = TypeVar("_R")

MAX_TEXT_BYTES = 64 * 2**20
"""Most bytes of text of a session: 270,000 records, ten times the largest session known."""

MAX_YEAR_BYTES = 4 * 2**30
"""Most bytes of text of a year: 17 million records, three times what 2026 comes to."""

MAX_RATIO = 100
"""Most bytes of text that a byte of the ZIP may become. B3's files become 6 to 9; deflate can reach 1,032."""

MAX_SESSION_QUOTES = MAX_TEXT_BYTES // RECORD_LENGTH
"""Most quotes of a session in a year's file: what the file of a session can hold. A session is held in memory
whole, so it is bounded, not only the year."""

_BLOCK_RECORDS = 12288
"""Records that are decoded at a time: enough for threads to be seldom in want of the interpreter at once."""

_THREADS = 2
"""Blocks that are worked on at a time: inflaters, NumPy and Arrow do not hold up each other."""

MAX_BLANK_BYTES = 4096
"""Most bytes of blank lines after the trailer that are taken for an editor's, not for lost quotes."""

ALL_COUNTED_UNTIL = date(2025, 4, 30)
"""Every whole daily file up to then that was seen counts all records."""

QUOTES_COUNTED_FROM = date(2026, 9, 1)
"""Every daily file since then that was reported counts the quotes alone; those between are not known."""

QUOTES_COUNTED_FROM_YEAR = 2025
"""The annual files of 2025 and 2026 were reported to count the quotes alone; that of 2016, all records."""

_BLANKS = b" \r\n\x1a"
"""What may stand after the trailer: blanks, line ends, and Ctrl-Z, with which DOS ended texts."""

_HEADER, _QUOTE, _TRAILER = b"00", b"01", b"99"
_NOME = Field("nome do arquivo", 3, 15, "text", "COTAHIST. and the year of the sessions")
_ORIGIN = Field("código da origem", 16, 23, "text", "BOVESPA")
_GENERATED = Field("data da geração", 24, 31, "date", "The day on which B3 wrote the file")
_COUNT = Field("total de registros", 32, 42, "integer", "Number of records, or of quotes")
_HEADER_FILLING = Field("reserva", 32, RECORD_LENGTH, "text", "Blanks")
_TRAILER_FILLING = Field("reserva", 43, RECORD_LENGTH, "text", "Blanks")
_YEAR = Field("data", 3, 6, "code", "The year of the session")

_SHOWN_CHARACTERS = 200

_ENCRYPTED = 0x1
"""Bit of a ZIP member's flags."""


def read_session(
    data: bytes,
    *,
    session: date,
    source: str,
    max_text_bytes: int = MAX_TEXT_BYTES,
    notes: Notes | None = None,
) -> pd.DataFrame:
    """Reads the quotes of one session out of B3's ZIP, or out of the text that was in it.

    It is `read_text` of `open_text`; see there for what is returned and what is refused.
    """
    text = open_text(data, source=source, max_text_bytes=max_text_bytes)
    return read_text(text, session=session, source=source, notes=notes)


def open_text(data: bytes, *, source: str, max_text_bytes: int = MAX_TEXT_BYTES) -> bytes:
    """Takes the COTAHIST text out of B3's ZIP, reading it to its end and comparing its checksum.

    Args:
        data: A ZIP with one member, of any name, or the text itself, which is returned as it is.
        source: The file or address that the bytes came from, for messages.
        max_text_bytes: More text than this is refused. The sizes that a ZIP declares are not relied on.

    Raises:
        InvalidData: It is neither, or the ZIP is cut short or damaged, is encrypted, has no member or
            several, is packed in a way that B3 does not use, or opens to more than `max_text_bytes` or
            `MAX_RATIO` times its own bytes.
    """
    with _open(io.BytesIO(data), source=source) as opened:
        limit = min(max_text_bytes, opened.most)
        with _reading(source):
            # One byte beyond the limit tells "too much"; short of it, read goes on to the checksum
            text = opened.stream.read(limit + 1)
    _require_at_most(limit, len(text), max_text_bytes, source=source)
    return text


def read_text(text: bytes, *, session: date, source: str, notes: Notes | None = None) -> pd.DataFrame:
    r"""Reads the quotes of one session.

    Quotes that share ticker, market and term are kept, all of them: B3's layout declares no key, so to refuse
    them would be to lose a session over a rule of our own; what was sent twice shows in the trailer's count.

    Args:
        text: A COTAHIST text whose lines end in CRLF or in LF, the last one possibly in neither.
        session: The session that it must be of.
        source: The file or address that the text came from, for messages.
        notes: Is told what the trailer counts, and what was kept although it is odd.

    Returns:
        A row for each quote, in the file's order, with the columns of `COTAHIST_COLUMNS` in Arrow
        types (`COTAHIST_SCHEMA`); no row if there is nothing between header and trailer. Prices are exact
        decimals in BRL per `fatcot` units; texts are without their padding, blank ones empty.

    Raises:
        InvalidData: It names the first record that is wrong, counted from 1, the header, and its field.
    """
    notes = notes or Notes()
    line_end = _line_end(text)
    if short := _short_header(text):
        text = _whole_header(short, line_end, notes) + text[len(short) :]
    records = _split(_with_whole_end(text, line_end, notes), line_end, source=source)
    _check_header(records, year=session.year, source=source, notes=notes)
    _check_trailer(
        records,
        count=len(records),
        year=session.year,
        expected=_count_of_session(session),
        source=source,
        notes=notes,
    )
    quotes = Block(records[1:-1], first_record=2, source=source, notes=notes)
    _check_quotes(quotes)
    quotes.check(FIELD["data"], f"{session:%Y%m%d}".encode(), "the session asked for")
    return to_frame(quotes.quotes())


def read_year(
    path: Path,
    *,
    year: int,
    source: str,
    progress: Callable[[int, int], None] | None = None,
    max_text_bytes: int = MAX_YEAR_BYTES,
    notes: Notes | None = None,
) -> Iterator[tuple[date, pa.RecordBatch]]:
    """Reads the quotes of a year, session by session, while the rest of the file is still being inflated.

    Whether the file is whole shows at its end: nothing that was yielded may be used before the iterator has
    ended without an error. Memory is that of some blocks and the current session, however long the file.

    Args:
        path: B3's annual ZIP, with one member of any name, or the text that was in it.
        year: The year that it must be of.
        source: The file or address that it came from, for messages.
        progress: Is told, block by block, how many bytes of text were read, and how many there are to be.
        max_text_bytes: More text than this is refused, and more than `MAX_RATIO` times the ZIP's bytes.
        notes: Is told what the trailer counts, and what was kept although it is odd, by the end.

    Yields:
        A session and its quotes, rows of `COTAHIST_SCHEMA` in the file's order: in one batch if they stand
        together in the file, else in several.

    Raises:
        InvalidData: As `open_text` and `read_text` do. It names the first record of a block that is wrong.
            Or a session has more than `MAX_SESSION_QUOTES`.
        OSError: The file cannot be read.
    """
    notes = notes or Notes()
    # The threads are held here, to end with this function: a generator that held them would be closed when
    # the traceback of an error is given up, in whatever thread that happens
    with (
        path.open("rb") as file,
        _open(file, source=source) as opened,
        ThreadPoolExecutor(_THREADS) as threads,
    ):
        limit = min(max_text_bytes, opened.most)
        with _reading(source):
            start = opened.stream.read(RECORD_LENGTH + len(b"\n"))
        line_end = _line_end(start)
        head = start
        if short := _short_header(start):
            head = _whole_header(short, line_end, notes) + start[len(short) :]
        read = len(start) - len(head)
        session: date | None = None
        pieces: list[pa.RecordBatch] = []
        counts: Counter[date] = Counter()

        def decode(piece: _Piece) -> tuple[int, list[tuple[date, pa.RecordBatch]], Notes]:
            _require_at_most(limit, read + piece.end, max_text_bytes, source=source)
            of_piece = Notes()
            quotes = _quotes(piece, line_end, year=year, source=source, notes=of_piece)
            return read + piece.end, list(_sessions(quotes, year)), of_piece

        size = _BLOCK_RECORDS * (RECORD_LENGTH + len(line_end))
        texts = _pieces(opened.stream, size, head, source=source)
        for done, found, of_piece in _ahead(decode, texts, threads):
            notes.take_over(of_piece)
            for day, batch in found:
                counts[day] += batch.num_rows
                _require_session_of_at_most(MAX_SESSION_QUOTES, counts[day], day, source=source)
                if session is not None and day != session:
                    yield session, _joined(pieces)
                    pieces = []
                session = day
                pieces.append(batch)
            if progress:
                progress(done, opened.size)
        if session is not None:
            yield session, _joined(pieces)


class _Piece(NamedTuple):
    """A part of a year's text.

    Attributes:
        text: Whole records; of the last piece, with what stands after the trailer.
        first_record: The number of the first of them.
        end: Bytes from the start of the text to the end of the piece.
        is_last: Whether it has the trailer.
    """

    text: bytes
    first_record: int
    end: int
    is_last: bool


def _quotes(piece: _Piece, line_end: bytes, *, year: int, source: str, notes: Notes) -> Block:
    """The quotes of a piece, whose lines and ends are checked."""
    text = _with_whole_end(piece.text, line_end, notes) if piece.is_last else piece.text
    records = _split(text, line_end, source=source, first_record=piece.first_record)
    is_first = piece.first_record == 1
    if is_first:
        _check_header(records, year=year, source=source, notes=notes)
    if piece.is_last:
        _check_trailer(
            records,
            count=piece.first_record - 1 + len(records),
            year=year,
            expected=count_of_year(year),
            source=source,
            notes=notes,
        )
    return Block(
        records[is_first : len(records) - piece.is_last],
        first_record=piece.first_record + is_first,
        source=source,
        notes=notes,
    )


def _ahead(function: Callable[[_T], _R], items: Iterator[_T], threads: ThreadPoolExecutor) -> Iterator[_R]:
    """What a function gives for each item, in their order, worked out in threads, a few items ahead.

    The threads take the items themselves, one after the other: which inflates a text then decodes it, while
    it is in the processor's cache.
    """

    def work(turn: Event, taken: Event) -> _R | None:
        turn.wait()
        try:
            item = next(items, None)
        finally:
            taken.set()
        return None if item is None else function(item)

    begun: deque[Future[_R | None]] = deque()
    turn = Event()
    turn.set()
    while True:
        while len(begun) < _THREADS:
            taken = Event()
            begun.append(threads.submit(work, turn, taken))
            turn = taken
        result = begun.popleft().result()
        if result is None:
            return
        yield result


def _sessions(quotes: Block, year: int) -> Iterator[tuple[date, pa.RecordBatch]]:
    """The quotes of a block by session."""
    _check_quotes(quotes)
    quotes.check(_YEAR, f"{year}".encode(), "the year of the file")
    days = quotes.dates(FIELD["data"])
    batch = quotes.quotes()
    starts = _starts(days)
    if len(starts) > len(np.unique(days[starts])):
        order = np.argsort(days, kind="stable")
        days, batch = days[order], batch.take(order)
        starts = _starts(days)
    for start, end in pairwise([*starts, len(days)]):
        yield days[start].item(), batch.slice(start, end - start)


def _starts(days: npt.NDArray[np.datetime64]) -> list[int]:
    """Where a run of equal days begins."""
    changes = np.flatnonzero(days[1:] != days[:-1]) + 1
    return [0, *changes.tolist()] if len(days) else []


def _joined(pieces: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pieces[0] if len(pieces) == 1 else pa.concat_batches(pieces)  # type: ignore[attr-defined]  # not in the stubs


def _pieces(stream: _Stream, size: int, head: bytes, *, source: str) -> Iterator[_Piece]:
    """The text in pieces of `size` bytes, each inflated when the one before it is given.

    Blank lines after the last record belong to its piece. The text begins with `head`, which was taken out of
    the stream.
    """

    def take() -> bytes:
        nonlocal head
        block, head = head[:size], head[size:]
        with _reading(source):
            return block + stream.read(size - len(block)) if block else stream.read(size)

    block = take()
    if not block:
        raise InvalidData(source=source, found="an empty text", expected="a COTAHIST text")
    first_record, end = 1, 0
    while block:
        blanks, following = b"", take()
        while _is_blank(following) and len(blanks) + len(following) <= MAX_BLANK_BYTES:
            blanks, following = blanks + following, take()
        end += len(block) + len(blanks)
        yield _Piece(block + blanks if blanks else block, first_record, end, not following)
        block, first_record = following, first_record + _BLOCK_RECORDS


def _is_blank(block: bytes) -> bool:
    """Whether it is nothing but what may stand after the trailer; of whole records, by the first byte."""
    return bool(block) and block[0] in _BLANKS and not block.strip(_BLANKS)


# ---------------------------------------------------------------------------------------------------------
# The file
# ---------------------------------------------------------------------------------------------------------
class _Stream(Protocol):
    """What gives `size` bytes at a time, fewer only at the end."""

    def read(self, size: int, /) -> bytes: ...


class _Opened(NamedTuple):
    """The text as a stream, its declared bytes, and the most that are believed of a file of that size."""

    stream: _Stream
    size: int
    most: int


@contextmanager
def _open(file: IO[bytes], *, source: str) -> Iterator[_Opened]:
    """The text, out of the ZIP or as it is."""
    start = file.read(len(_HEADER + b"COTAHIST."))
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if start == _HEADER + b"COTAHIST.":
        yield _Opened(file, size, size)
        return
    if not start.startswith(b"PK"):
        found = f"{size} bytes that begin with {file.read(24)!r}" if size else "nothing"
        raise InvalidData(source=source, found=found, expected="a ZIP or a COTAHIST text")
    with _reading(source):
        archive = open_archive(file)
    with archive:
        member = _only_member(archive, source=source)
        with _reading(source):
            stored = member.compress_type == zipfile.ZIP_STORED
            stream = archive.open(member) if stored else InflatedMember(archive, member)
        with stream:
            yield _Opened(stream, member.file_size, MAX_RATIO * size)


@contextmanager
def _reading(source: str) -> Iterator[None]:
    """Says of a ZIP that cannot be read that it is damaged."""
    try:
        yield
    except DAMAGED as error:
        reason = str(error)[:_SHOWN_CHARACTERS]  # it may quote a name, which can have 65,535 characters
        raise InvalidData(
            source=source,
            found=f"a damaged ZIP ({type(error).__name__}: {reason})",
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


def _require_at_most(limit: int, size: int, max_text_bytes: int, *, source: str) -> None:
    """Refuses more text than was asked for at most, or than a ZIP of that size can honestly hold."""
    if size <= limit:
        return
    if limit == max_text_bytes:
        raise InvalidData(
            source=source,
            found=f"more than {max_text_bytes} bytes of text",
            expected="quotes within that limit",
            advice="Raise max_text_bytes if B3's file really is that large.",
        )
    raise InvalidData(
        source=source,
        found=f"a ZIP that holds more than {MAX_RATIO} times its own bytes",
        expected="quotes, which B3's ZIPs pack to a sixth at the least and a ninth at the most",
    )


def _require_session_of_at_most(limit: int, quotes: int, day: date, *, source: str) -> None:
    if quotes > limit:
        raise InvalidData(
            source=source,
            field="DATA",
            found=f"more than {limit} quotes of {day}",
            expected="a session within that limit",
        )


# ---------------------------------------------------------------------------------------------------------
# Its lines, its ends
# ---------------------------------------------------------------------------------------------------------
def _line_end(text: bytes) -> bytes:
    """The first record's line end, which is the one that all must have."""
    return b"\n" if re.match(rb"[^\r\n]*\n", text) else b"\r\n"


def _short_header(text: bytes) -> bytes:
    """The header and its line end if an editor has taken the blanks off that fill it up; else nothing."""
    end = text.find(b"\n", 0, RECORD_LENGTH + 1) + 1
    line = text[:end]
    is_short = len(line.rstrip(b"\r\n")) < RECORD_LENGTH and line.startswith(_HEADER)
    return line if is_short else b""


def _whole_header(short: bytes, line_end: bytes, notes: Notes) -> bytes:
    """A header that was cut short, with its blanks."""
    line = short.removesuffix(line_end)
    notes.tell("header", "without the blanks that fill it up", f"{len(line)} characters", first_record=1)
    return line.ljust(RECORD_LENGTH) + line_end


def _with_whole_end(text: bytes, line_end: bytes, notes: Notes) -> bytes:
    """The text without the blank lines after its trailer, which gets back the blanks that fill it up.

    Where that is not all that is wrong with its end, it is left as it is, to be refused.
    """
    stride = RECORD_LENGTH + len(line_end)
    last = text[-(len(text) % stride or stride) :]
    record, end = last[:RECORD_LENGTH], last[RECORD_LENGTH:]
    if len(record) == RECORD_LENGTH and end in {line_end, b""} and not re.search(rb"^(?!99)|[\r\n]", record):
        return text
    start = text.rfind(b"\n", 0, len(text.rstrip(_BLANKS))) + 1
    line, ended, after = text[start:].partition(b"\n")
    trailer = line.rstrip(_BLANKS)
    if start % stride or len(trailer) > RECORD_LENGTH or not trailer.startswith(_TRAILER):
        return text
    if len(text) - start > stride + MAX_BLANK_BYTES:
        return text
    filled = line.rstrip(b"\r\x1a")
    if filled != trailer.ljust(RECORD_LENGTH):
        notes.tell("trailer", "without the blanks that fill it up", f"{len(filled)} characters")
    if line[len(filled) :] + ended not in {line_end, b""}:
        notes.tell("trailer", "another end than that of a line", (line[len(filled) :] + ended).decode())
    if after:
        lines = len(after.splitlines())
        notes.tell("end of the file", "blank lines after the trailer", after[:4].decode(), count=lines)
    return text[:start] + trailer.ljust(RECORD_LENGTH) + line_end


def _split(text: bytes, line_end: bytes, *, source: str, first_record: int = 1) -> Records:
    """Views a text that ends with a record as records."""
    stride = RECORD_LENGTH + len(line_end)
    lines, rest = divmod(len(text), stride)
    after_first = memoryview(text)[RECORD_LENGTH:]
    # As one number each, which NumPy compares faster than two characters
    end = np.frombuffer(line_end, f"u{len(line_end)}")
    ends = np.ndarray(lines, end.dtype, buffer=after_first, strides=(stride,))
    unended = rest == RECORD_LENGTH and not text.endswith((b"\r", b"\n"))
    if (ends != end).any() or not (unended or (lines and rest == 0)):
        _refuse_line(text, line_end, first_record, source=source)
    return np.ndarray((lines + unended, RECORD_LENGTH), np.uint8, buffer=text, strides=(stride, 1))


def _refuse_line(text: bytes, line_end: bytes, first_record: int, *, source: str) -> NoReturn:
    """Refuses the first line that is not a record and its end, as a text editor would count them."""
    stride = RECORD_LENGTH + len(line_end)
    start, record = 0, first_record
    while text.find(b"\n", start) == start + stride - 1 and text.startswith(line_end, start + RECORD_LENGTH):
        start, record = start + stride, record + 1
    end = text.find(b"\n", start) + 1
    line = text[start : end or None]
    length = len(line.rstrip(b"\r\n"))
    if length == RECORD_LENGTH:
        found = f"line end {line[length:]!r}"
        expected = f"{line_end!r}, as after record 1" if record > 1 else "CRLF or LF"
    else:
        found = f"{length} characters"
        expected = f"{RECORD_LENGTH}"
    raise InvalidData(source=source, record=record, found=found, expected=expected)


def _check_header(records: Records, *, year: int, source: str, notes: Notes) -> None:
    _require_one_line(records[0], record=1, source=source)
    header = Block(records[:1], first_record=1, source=source, notes=notes)
    header.check(FIELD["tipreg"], _HEADER, "the header")
    _check_name(header, year)
    _tell_of_the_rest(header, _HEADER_FILLING)


def _check_trailer(
    records: Records, *, count: int, year: int, expected: TrailerCount | None, source: str, notes: Notes
) -> None:
    """Checks the trailer of a text of `count` records, and notes which of the two it counts."""
    _require_one_line(records[-1], record=count, source=source)
    trailer = Block(records[-1:], first_record=count, source=source, notes=notes)
    trailer.check(FIELD["tipreg"], _TRAILER, "the trailer: the text may be cut short")
    _check_name(trailer, year)
    quotes = max(count - 2, 0)  # a header alone is refused as a trailer
    found = {count: TrailerCount.ALL_RECORDS, quotes: TrailerCount.QUOTES}.get(trailer.number(_COUNT))
    if found is None:
        alone = f"{quotes:0{_COUNT.width}}"
        trailer.check(
            _COUNT,
            f"{count:0{_COUNT.width}}".encode(),
            f"the number of records in the text, header and trailer counted, or {alone!r}, of its quotes",
        )
    notes.trailer_count = found
    if expected is not None and found is not expected:
        notes.tell(
            _COUNT.name.upper(),
            f"counts {found}, where files of that time count {expected}",
            str(count),
            first_record=count,
        )
    _tell_of_the_rest(trailer, _TRAILER_FILLING)


def _count_of_session(session: date) -> TrailerCount | None:
    """What the trailer of a daily file counts, as far as is known."""
    if session <= ALL_COUNTED_UNTIL:
        return TrailerCount.ALL_RECORDS
    return TrailerCount.QUOTES if session >= QUOTES_COUNTED_FROM else None


def count_of_year(year: int) -> TrailerCount:
    """What the trailer of an annual file counts, as far as is known."""
    return TrailerCount.QUOTES if year >= QUOTES_COUNTED_FROM_YEAR else TrailerCount.ALL_RECORDS


def _require_one_line(record_characters: Records, *, record: int, source: str) -> None:
    """Of what fills header and trailer nothing is said, but that it is not another line."""
    within = re.search(rb"[\r\n]", record_characters.tobytes())
    if within:
        raise InvalidData(
            source=source,
            record=record,
            found=f"{within.start()} characters",
            expected=f"{RECORD_LENGTH}",
        )


def _check_name(end: Block, year: int) -> None:
    end.check(_NOME, f"COTAHIST.{year}".encode(), "the name of the file and the year of the session")


def _tell_of_the_rest(end: Block, filling: Field) -> None:
    """Tells of what only describes the file, where it is not as in B3's layout."""
    end.tell_unless(_ORIGIN, b"BOVESPA ", "other than BOVESPA")
    end.tell_unless_date(_GENERATED)
    end.tell_unless(filling, b" " * filling.width, "not blank")


def _check_quotes(quotes: Block) -> None:
    quotes.check(FIELD["tipreg"], _QUOTE, "a quote: header and trailer come once, first and last")
