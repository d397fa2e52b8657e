"""Writes B3's annual quote files: the ZIP of all sessions of a year, streamed to disk."""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sandbox.b3.columns import Columns, encode_columns
from sandbox.b3.formats import QUOTES_COUNTED_FROM_YEAR, RECORD_LENGTH, Quote, encode_quote, zip_info
from sandbox.b3.market import SimulatedMarket

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_WITHOUT_EXTENSION_UNTIL = 2001
_DOT_BEFORE_YEAR_UNTIL = 1994


def annual_zip_name(year: int) -> str:
    """Name of a year's ZIP in B3's addresses: COTAHIST_A2024.ZIP."""
    return f"COTAHIST_A{year}.ZIP"


def annual_member_name(year: int) -> str:
    """Name of the only member of a year's ZIP: COTAHIST.A1986, COTAHIST_A2001, COTAHIST_A2024.TXT.

    One example of each is known, so the years of the changes are guessed. A reader must not rely on it.
    """
    if year <= _DOT_BEFORE_YEAR_UNTIL:
        return f"COTAHIST.A{year}"
    return f"COTAHIST_A{year}" if year <= _WITHOUT_EXTENSION_UNTIL else f"COTAHIST_A{year}.TXT"


def write_year(
    path: Path,
    sessions: Iterable[tuple[date, Iterable[Quote] | Columns]],
    *,
    year: int,
    member: str | None = None,
    line_end: bytes = b"\r\n",
    final_line_end: bool = True,
    generated: date | None = None,
    by_ticker: bool = False,
    streamed: bool = False,
    quotes_counted: bool | None = None,
    level: int | None = None,
) -> int:
    r"""Write a year's ZIP: header, the records of all sessions, trailer. The same input gives the same bytes.

    A session is taken when the one before it has been written, so memory does not grow with the year, unless
    `by_ticker`.

    Args:
        path: The ZIP. It appears when it is whole.
        sessions: Each session and its quotes, one by one or in columns, in the order to write them in.
        year: The year in the file's header.
        member: Name of the ZIP's only member; by default that of the year's era.
        line_end: B3 writes CRLF; copies that passed through git or an editor have b"\n".
        final_line_end: Whether the trailer is ended as well, as B3's is.
        generated: Generation date in header and trailer, the last day of the year by default.
        by_ticker: Order by ticker, then session, instead of session by session. It holds the whole year.
        streamed: Leave the sizes to the descriptor after the data, as a ZIP that is made while it is sent.
        quotes_counted: Whether the trailer counts the quotes alone; by default as in the year's time.
        level: How much time to take to make the ZIP small, from 1 to 9; by default as most ZIPs, 6.

    Returns:
        The number of quotes written.

    Raises:
        ValueError: A session is not of that year, or a value does not fit its field.
    """
    name = f"COTAHIST.{year}BOVESPA {generated or date(year, 12, 31):%Y%m%d}"
    blocks = _blocks(sessions, year, line_end)
    if by_ticker:
        records = sorted(_split(b"".join(blocks), line_end), key=_by_ticker)
        blocks = iter([b"".join(records)])
    record_bytes = RECORD_LENGTH + len(line_end)
    quotes = 0
    partial = path.with_name(path.name + ".part")
    with (
        partial.open("wb") as file,
        zipfile.ZipFile(_WithoutSeek(file) if streamed else file, "w") as archive,
        archive.open(zip_info(member or annual_member_name(year), level), "w") as text,
    ):
        text.write(f"00{name}".ljust(RECORD_LENGTH).encode("ascii") + line_end)
        for block in blocks:
            text.write(block)
            quotes += len(block) // record_bytes
        if quotes_counted is None:
            quotes_counted = year >= QUOTES_COUNTED_FROM_YEAR
        count = quotes if quotes_counted else quotes + 2
        trailer = f"99{name}{count:011d}".ljust(RECORD_LENGTH)
        text.write(trailer.encode("ascii") + (line_end if final_line_end else b""))
    partial.replace(path)
    return quotes


def benchmark_year(
    path: Path,
    *,
    year: int = 2024,
    quotes: int = 1_600_000,
    sessions: int = 250,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Write a year of a simulated market of B3's size, with B3's mix of markets, to measure readers on.

    Args:
        path: The ZIP.
        year: The year, 2000 or later.
        quotes: About how many quotes; 1.6 million are 393 MB of text.
        sessions: Number of sessions: the first weekdays of the year after New Year's Day.
        progress: Called after each session with the number of sessions written and of all.

    Returns:
        The number of quotes written.
    """
    market = SimulatedMarket(tickers=600, quotes=quotes // sessions)

    def generate() -> Iterator[tuple[date, Columns]]:
        weekdays = (day for day in _days_after(date(year, 1, 1)) if day.weekday() < 5)
        for done, session in zip(range(1, sessions + 1), weekdays, strict=False):
            yield session, market.columns(session)
            if progress:
                progress(done, sessions)

    return write_year(path, generate(), year=year)


def _days_after(day: date) -> Iterator[date]:
    while True:
        day += timedelta(days=1)
        yield day


def _blocks(
    sessions: Iterable[tuple[date, Iterable[Quote] | Columns]], year: int, line_end: bytes
) -> Iterator[bytes]:
    for session, quotes in sessions:
        if session.year != year:
            raise ValueError(f"session {session} is not of {year}, the year of the file")
        if isinstance(quotes, Mapping):
            yield encode_columns(quotes, session, line_end=line_end)
        else:
            yield b"".join(encode_quote(quote, session) + line_end for quote in quotes)


def _split(text: bytes, line_end: bytes) -> Iterator[bytes]:
    step = RECORD_LENGTH + len(line_end)
    return (text[start : start + step] for start in range(0, len(text), step))


def _by_ticker(record: bytes) -> bytes:
    """CODNEG, TPMERC, PRAZOT, DATA."""
    return record[12:27] + record[49:52] + record[2:10]


class _WithoutSeek(io.RawIOBase):
    """A file that can only be written on, so that zipfile cannot go back to fill in the sizes."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer") -> int:
        return self._file.write(data)
