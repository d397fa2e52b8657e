"""A harness a reader: calls it with the bytes of one input and says what is wrong with what comes of it.

A reader passes if it gives exactly what `naive` makes of the same bytes, or refuses them with its own error,
in words that say what was found where, and does so within `SECONDS`. What it may hold is bounded around the
whole process (`limit_memory`): Python, numpy and Arrow raise MemoryError beyond it, which is a finding, too.
"""

from __future__ import annotations

import re
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from sandbox.b3.formats import LAYOUT
from scraper.b3 import client
from scraper.b3.corporate_actions import reader as corporate_actions
from scraper.b3.corporate_actions.reader import (
    ACTION_SCHEMA,
    Actions,
    merge,
    read_cash_history,
    read_supplement,
)
from scraper.b3.cotahist import reader as cotahist
from scraper.b3.cotahist.reader import COTAHIST_SCHEMA, read_session, read_year
from scraper.b3.errors import InvalidData
from scraper.b3.index_level.layout import NEW_BASE
from scraper.b3.index_level.reader import LEVEL_SCHEMA, read_levels
from scraper.b3.index_portfolio import reader as portfolio
from scraper.b3.index_portfolio.reader import PORTFOLIO_SCHEMA, read_portfolio, total_pages
from tests.fuzz import naive, seeds
from tests.fuzz.seeds import FUND, HISTORY, ISSUER, PAGE_SEPARATOR, SESSION, YEAR

SECONDS = 2.0
"""Of processor time, of all threads, that a reader may take for an input of up to `INPUT_BYTES`."""

INPUT_BYTES = 2**20
"""Bytes of the largest input for which `SECONDS` holds."""

MEMORY_BYTES = 512 * 2**20
"""Bytes beyond those of the idle process that a reader may hold."""

REPOSITORY = Path(__file__).resolve().parents[2]

SOURCE = "https://example.org/B3"

TEXT_BYTES = 2**22
"""Bytes of text that the readers are told to take at most: some kilobytes of ZIP come to this limit."""

SESSION_QUOTES = 1000
"""Takes the place of `cotahist.MAX_SESSION_QUOTES`, for the same reason."""

_MESSAGE_CHARACTERS = 1000
_NAIVE_BYTES = 2**17
"""Of longer texts only the rows and the volume are compared, as the plain way takes long."""

_POSITIONS = {name.upper(): (first, last) for name, first, last, _ in LAYOUT} | {
    "TIPREG": (1, 2),
    "NOME DO ARQUIVO": (3, 15),
    "DATA DA GERAÇÃO": (24, 31),
    "TOTAL DE REGISTROS": (32, 42),
}


class Finding(AssertionError):  # noqa: N818 - which is what fuzzers call it
    """What a reader did with an input, and should not have done."""


@dataclass(frozen=True, slots=True)
class Harness:
    """A reader under test.

    Attributes:
        name: What the command line calls it.
        check: Raises `Finding`, or whatever the reader raised that is not its own error.
        seeds: Makes valid inputs.
        modules: Files whose lines count as the reader's.
        without: Functions in them that do not.
    """

    name: str
    check: Callable[[bytes], None]
    seeds: Callable[[], list[bytes]]
    modules: tuple[str, ...]
    without: frozenset[str]


def limit_memory() -> None:
    """From now on this process may hold `MEMORY_BYTES` more than it does."""
    status = Path("/proc/self/status")
    if status.exists():
        held = re.search(r"^VmData:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        assert held
        limit = int(held[1]) * 1024 + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))


slowest = 0.0
"""Seconds of processor time of the slowest call of a reader so far."""


def _check_daily(data: bytes) -> None:
    with _within_time():
        _check_client(BytesIO(data))
    refusal = frame = None
    with _within_time():
        try:
            frame = read_session(data, session=SESSION, source=SOURCE, max_text_bytes=TEXT_BYTES)
        except InvalidData as error:
            refusal = error
    text, is_sound = naive.extract(data, min(TEXT_BYTES, cotahist.MAX_RATIO * len(data)))
    if refusal is not None:
        _check_refusal(refusal, text)
        _require_refusable(text if is_sound else None, refusal, SESSION)
    else:
        assert frame is not None
        _require(text is not None, "it took a ZIP that holds no text")
        assert text is not None
        _compare(_table(frame, COTAHIST_SCHEMA), text, SESSION)


def _check_annual(data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=_memory_folder()) as file:
        file.write(data)
        file.flush()
        path = Path(file.name)
        with _within_time(), path.open("rb") as opened:
            _check_client(opened)
        text, is_sound = naive.extract(data, min(TEXT_BYTES, cotahist.MAX_RATIO * len(data)))
        # Blocks of few records, as long as there are few: it is whole blocks that the reader is quick with
        most_text = cotahist.MAX_RATIO * len(data) if text is None else len(text)
        few = 7 if most_text <= _NAIVE_BYTES else cotahist._BLOCK_RECORDS
        results = [_read_year(path, size) for size in {few, cotahist._BLOCK_RECORDS}]
    for result in results:
        if isinstance(result, InvalidData):
            _check_refusal(result, text)
            _require_refusable(text if is_sound else None, result, None)
        else:
            _require(text is not None, "it took a ZIP that holds no text")
            assert text is not None
            sessions = Counter(day for day, batch in result for _ in range(batch.num_rows))
            _require(max(sessions.values(), default=0) <= SESSION_QUOTES, "a session beyond its limit")
            _require(all(batch.schema.equals(COTAHIST_SCHEMA) for _, batch in result), "another schema")
            _compare_year(result, text)


def _read_year(path: Path, block_records: int) -> list[tuple[date, pa.RecordBatch]] | InvalidData:
    before = cotahist._BLOCK_RECORDS, cotahist.MAX_SESSION_QUOTES
    cotahist._BLOCK_RECORDS, cotahist.MAX_SESSION_QUOTES = block_records, SESSION_QUOTES
    try:
        with _within_time():
            progress = _never_back()
            return list(
                read_year(path, year=YEAR, source=SOURCE, max_text_bytes=TEXT_BYTES, progress=progress)
            )
    except InvalidData as error:
        return error
    finally:
        cotahist._BLOCK_RECORDS, cotahist.MAX_SESSION_QUOTES = before


def _never_back() -> Callable[[int, int], None]:
    """Takes a reader's word on how far it is, which must not be less than before."""
    furthest = 0

    def progress(done: int, _: int) -> None:
        nonlocal furthest
        _require(done > furthest, "progress that goes back")
        furthest = done

    return progress


def _check_portfolio(data: bytes) -> None:
    pages = data.split(PAGE_SEPARATOR)
    with _within_time():
        try:
            count = total_pages(pages[0], source=SOURCE)
            _require(1 <= count <= portfolio.MAX_PAGES, f"{count} pages")
        except InvalidData as error:
            _check_message(error)
    with _within_time():
        try:
            read = read_portfolio(pages, index="IBOV", source=SOURCE)
        except InvalidData as error:
            _check_message(error)
            return
    day, rows = naive.portfolio(pages)
    _require(f"{read.portfolio_date:%d/%m/%y}" == day, "another date than the header's")
    found = _table(read.frame, PORTFOLIO_SCHEMA).to_pylist()
    reductors = {row.pop("reductor") for row in found}
    _require(len(reductors) == 1, "several reductors")
    _require({row.pop("index_code") for row in found} == {"IBOV"}, "another index")
    _require(found == rows, "other values than those of the pages")
    _require(sum(row["weight"] for row in rows) == 100, "weights that do not add up")
    _require(len({row["ticker"] for row in rows}) == len(rows), "a ticker twice")


def _check_levels(data: bytes) -> None:
    with _within_time():
        try:
            read = read_levels(data, index="IBOV", year=YEAR, source=SOURCE)
        except InvalidData as error:
            _check_message(error)
            return
    expected = naive.levels(data, YEAR)
    _require((read is None) == (expected is None), "an index that B3 knows taken for another, or the reverse")
    if read is None or expected is None:
        return
    found = _table(read.frame, LEVEL_SCHEMA).to_pylist()
    _require({row["index_code"] for row in found} <= {"IBOV"}, "another index")
    _require([(row["trade_date"], row["level"]) for row in found] == expected, "other levels than the cells'")
    pairs = pairwise(expected)
    steps = [
        NEW_BASE if after > 2 * before or 2 * after < before else None for (_, before), (_, after) in pairs
    ]
    _require([row["note"] for row in found[1:]] == steps, "other changes of base than there are")
    _require(read.last == (expected[-1][0] if expected else None), "another last session")


def read_actions(data: bytes) -> Actions:
    """What the reader makes of an input of corporate actions, called as the scraper calls it.

    Raises:
        InvalidData: The reader refuses it.
    """
    call, pages = data[:1], data[1:].split(PAGE_SEPARATOR)
    if call != HISTORY:
        is_fund = call == FUND
        return read_supplement(pages[0], issuer=ISSUER, is_fund=is_fund, seen=SESSION, source=SOURCE)
    corporate_actions.total_pages(pages[0], source=SOURCE)
    return read_cash_history(pages, issuer=ISSUER, seen=SESSION, source=SOURCE)


def _check_actions(data: bytes) -> None:
    with _within_time():
        try:
            read = read_actions(data)
        except InvalidData as error:
            _check_message(error)
            return
    call, pages = data[:1], data[1:].split(PAGE_SEPARATOR)
    expected = (
        naive.cash_history(pages, ISSUER, SESSION)
        if call == HISTORY
        else naive.supplement(pages[0], "funds" if call == FUND else "supplement", ISSUER, SESSION)
    )
    _require(read.table.schema == ACTION_SCHEMA, "another schema")
    found = read.table.to_pylist()
    same = sorted(map(naive.written, found)) == sorted(map(naive.written, expected))
    _require(same, "other values than those of the answer")
    ordered = sorted(found, key=lambda row: [(value is not None, value) for value in row.values()])
    _require(found == ordered, "another order than that of the columns")
    _require(bool(merge([read.table, read.table]).equals(read.table)), "a merge with itself that changes it")


_COTAHIST = ("scraper/b3/cotahist/reader.py", "scraper/b3/cotahist/records.py", "scraper/b3/archive.py")
_OF_NEITHER = {"_plain_characters"}  # run when the module is loaded
_OF_SESSIONS = {"read_session", "open_text", "read_text", "_count_of_session"}
_OF_YEARS = {
    *("read_year", "_quotes", "_ahead", "_sessions", "_starts", "_joined", "_is_blank", "count_of_year"),
    *("_pieces", "_pieces.<locals>.take", "_ahead.<locals>.work"),
    "read_year.<locals>.decode",
    "_require_session_of_at_most",
}

HARNESSES = {
    harness.name: harness
    for harness in (
        Harness("daily", _check_daily, seeds.daily, _COTAHIST, frozenset(_OF_NEITHER | _OF_YEARS)),
        Harness("annual", _check_annual, seeds.annual, _COTAHIST, frozenset(_OF_NEITHER | _OF_SESSIONS)),
        Harness(
            "portfolio",
            _check_portfolio,
            seeds.portfolio,
            ("scraper/b3/index_portfolio/reader.py", "scraper/b3/json_answer.py"),
            frozenset(),
        ),
        Harness(
            "actions",
            _check_actions,
            seeds.actions,
            ("scraper/b3/corporate_actions/reader.py", "scraper/b3/json_answer.py"),
            frozenset(),
        ),
        Harness(
            "levels",
            _check_levels,
            seeds.levels,
            ("scraper/b3/index_level/reader.py", "scraper/b3/json_answer.py"),
            frozenset(),
        ),
    )
}


# ---------------------------------------------------------------------------------------------------------
# What is required
# ---------------------------------------------------------------------------------------------------------
@contextmanager
def _within_time() -> Iterator[None]:
    global slowest  # noqa: PLW0603 - what the whole process reports
    started = time.process_time()
    try:
        yield
    finally:
        taken = time.process_time() - started
        slowest = max(slowest, taken)
        # Of a refusal, too: then it takes its place
        _require(taken <= SECONDS, f"it took {taken:.1f} s")


def _require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Finding(otherwise)


def _check_client(file: Any) -> None:
    """What the client makes of a body: whether it is a file or a refusal, and it never fails on one."""
    for content_type in ("application/zip", "text/html"):
        file.seek(0)
        try:
            reason = client._why_absent(SOURCE, file, content_type)
        except client.RefusedError as error:
            reason = None
            _require(str(error).startswith(SOURCE), "a refusal that does not name the source")
        _require(reason in {None, "an empty body", "an HTML page", "an empty ZIP"}, f"absent: {reason}")


def _check_message(error: InvalidData) -> None:
    message = str(error)
    _require(message.startswith(SOURCE), "an error that does not name the source")
    _require(bool(error.found and error.expected), "an error that does not say what was found and expected")
    _require(error.found in message and error.expected in message, "a message that lacks them")
    _require(len(message) <= _MESSAGE_CHARACTERS, f"a message of {len(message)} characters")
    message.encode()


def _check_refusal(error: InvalidData, text: bytes | None) -> None:
    """The message says what stands in the record and the field that it names."""
    _check_message(error)
    if error.record is None or error.field is None or text is None:
        return
    text = naive.mended(text)
    end = b"\n" if text.split(b"\n")[0][-1:] != b"\r" else b"\r\n"
    start = (error.record - 1) * (245 + len(end))
    first, last = _POSITIONS.get(error.field, (3, 10))
    there = text[start + first - 1 : start + last].decode("latin-1")
    year = repr(there[:4]) if error.field == "DATA" else None
    _require(error.found in {repr(there), year}, f"it found {error.found}, and there stands {there!r}")


def _require_refusable(text: bytes | None, refusal: InvalidData, session: date | None) -> None:
    if text is None or len(text) > _NAIVE_BYTES:
        return
    try:
        days = [day for day, _ in naive.quotes(text, YEAR)]
    except naive.Refused:
        return
    wanted = all(day == session if session else day.year == YEAR for day in days)
    _require(not wanted, f"it refused a sound file: {refusal}")


def _table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    types = [column.pyarrow_dtype for column in frame.dtypes]
    _require(list(frame.columns) == schema.names, "other columns than the schema's")
    _require(types == schema.types, "other types than the schema's")
    return pa.Table.from_pandas(frame, schema=schema)


def _compare(table: pa.Table, text: bytes, session: date) -> None:
    if len(text) > _NAIVE_BYTES:
        _compare_sums(table.num_rows, table["voltot"], text)
        return
    expected = _expected(text)
    _require(all(day == session for day, _ in expected), "another session")
    _require(table.to_pylist() == [row for _, row in expected], "other values than those of the text")


def _compare_year(batches: list[tuple[date, pa.RecordBatch]], text: bytes) -> None:
    if len(text) > _NAIVE_BYTES:
        volumes = pa.chunked_array(
            [batch["voltot"] for _, batch in batches], COTAHIST_SCHEMA.field("voltot").type
        )
        _compare_sums(sum(batch.num_rows for _, batch in batches), volumes, text)
        return
    found: dict[date, list[naive.Row]] = {}
    expected: dict[date, list[naive.Row]] = {}
    for day, batch in batches:
        found.setdefault(day, []).extend(batch.to_pylist())
    for day, row in _expected(text):
        expected.setdefault(day, []).append(row)
    _require(all(day.year == YEAR for day in expected), "another year")
    _require(found == expected, "other values than those of the text")


def _expected(text: bytes) -> list[tuple[date, naive.Row]]:
    try:
        return list(naive.quotes(text, YEAR))
    except naive.Refused as refused:
        raise Finding(f"it took a text whose fault is: {refused}") from refused


def _compare_sums(rows: int, volumes: Any, text: bytes) -> None:
    lines = naive.mended(text).splitlines()[1:-1]
    _require(rows == len(lines), "other quotes than there are lines")
    volume = Decimal(sum(int(line[170:188]) for line in lines)).scaleb(-2)
    _require(sum(volumes.to_pylist(), Decimal(0)) == volume, "another volume")


def _memory_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
