"""A year's file, read in blocks: the same quotes as day by day, and nothing that is not whole."""

import random
import threading
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from sandbox.b3.formats import Quote, encode_quote, encode_session
from sandbox.b3.years import write_year
from scraper.b3.arrow import to_frame
from scraper.b3.cotahist import reader as cotahist
from scraper.b3.cotahist.reader import COTAHIST_SCHEMA, read_session, read_year
from scraper.b3.errors import InvalidData
from scraper.b3.oddities import Notes, TrailerCount

SOURCE = "COTAHIST_A2024.ZIP"
FIRST = date(2024, 1, 2)

Sessions = Mapping[date, Sequence[Quote]]


def quotes_of(day: int, count: int) -> list[Quote]:
    return [Quote(codneg=f"ZZ{number:02}", totneg=day, quatot=number) for number in range(count)]


SESSIONS: Sessions = {
    FIRST + timedelta(days): quotes_of(days, count) for days, count in enumerate((3, 1, 7, 4, 2))
}


def year_text(
    records: Iterable[bytes],
    *,
    year: int = 2024,
    line_end: bytes = b"\r\n",
    final_line_end: bool = True,
    count: int | None = None,
) -> bytes:
    """A year's text, put together here rather than by what the sandbox serves."""
    lines = list(records)
    name = f"COTAHIST.{year}BOVESPA 20241230"
    total = len(lines) + 2 if count is None else count
    lines = [f"00{name}".encode().ljust(245), *lines, f"99{name}{total:011}".encode().ljust(245)]
    return line_end.join(lines) + (line_end if final_line_end else b"")


def records_of(sessions: Sessions) -> list[bytes]:
    return [encode_quote(quote, session) for session, quotes in sessions.items() for quote in quotes]


TEXT = year_text(records_of(SESSIONS))


def in_file(folder: Path, text: bytes, *, zipped: bool = True) -> Path:
    path = folder / SOURCE
    if not zipped:
        path.write_bytes(text)
        return path
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("COTAHIST_A2024.TXT", text)
    return path


def read(path: Path, *, year: int = 2024) -> list[tuple[date, pa.RecordBatch]]:
    return list(read_year(path, year=year, source=SOURCE))


def refusal(path: Path) -> InvalidData:
    with pytest.raises(InvalidData) as caught:
        read(path)
    assert caught.value.source == SOURCE
    return caught.value


@cache
def day_by_day() -> list[tuple[date, list[dict[Any, Any]]]]:
    """The quotes of `SESSIONS` as the reader of a session gives them."""
    return [
        (
            session,
            read_session(encode_session(session, quotes), session=session, source=SOURCE).to_dict("records"),
        )
        for session, quotes in SESSIONS.items()
    ]


def rows(batch: pa.RecordBatch) -> list[dict[Any, Any]]:
    return to_frame(batch).to_dict("records")


@pytest.fixture(params=[1, 3, 5, 19, 8192])
def block_records(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Records a block: with nineteen the whole text of `SESSIONS` is one, with fewer it ends anywhere."""
    count: int = request.param
    monkeypatch.setattr(cotahist, "_BLOCK_RECORDS", count)
    return count


# --- what is read


@pytest.mark.usefixtures("inflater", "block_records")
@pytest.mark.parametrize("zipped", [True, False])
def test_a_year_has_the_quotes_that_its_days_have_wherever_blocks_end(tmp_path: Path, zipped: bool) -> None:
    found = read(in_file(tmp_path, TEXT, zipped=zipped))
    assert all(batch.schema.equals(COTAHIST_SCHEMA) for _, batch in found)
    assert [(session, rows(batch)) for session, batch in found] == day_by_day()


@pytest.mark.usefixtures("block_records")
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_lines_may_end_in_lf_and_the_last_one_in_nothing(tmp_path: Path, line_end: bytes) -> None:
    text = year_text(records_of(SESSIONS), line_end=line_end, final_line_end=False)
    found = read(in_file(tmp_path, text))
    assert [(session, rows(batch)) for session, batch in found] == day_by_day()


@pytest.mark.usefixtures("block_records")
def test_a_year_that_is_not_sorted_by_session_keeps_the_order_within_each(tmp_path: Path) -> None:
    shuffled = [(session, quote) for session in SESSIONS for quote in quotes_of(1, 20)]
    random.Random(1).shuffle(shuffled)  # noqa: S311 - no secret
    text = year_text(encode_quote(quote, day) for day, quote in shuffled)
    found: dict[date, list[object]] = {}
    for session, batch in read(in_file(tmp_path, text)):
        found.setdefault(session, []).extend(batch["codneg"].to_pylist())
    expected: dict[date, list[object]] = {}
    for session, quote in shuffled:
        expected.setdefault(session, []).append(quote.codneg)
    assert found == expected


def test_a_year_sorted_by_ticker_gives_each_session_once_a_block(tmp_path: Path) -> None:
    by_ticker = sorted(records_of(SESSIONS), key=lambda record: record[12:24])
    assert [session for session, _ in read(in_file(tmp_path, year_text(by_ticker)))] == list(SESSIONS)


@pytest.mark.usefixtures("block_records")
def test_progress_ends_at_the_bytes_that_the_text_has(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = in_file(tmp_path, TEXT)
    for _ in read_year(path, year=2024, source=SOURCE, progress=lambda done, size: told.append((done, size))):
        pass
    assert told[-1] == (len(TEXT), len(TEXT))
    assert told == sorted(told)


def test_a_reader_that_is_given_up_leaves_no_thread_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cotahist, "_BLOCK_RECORDS", 1)
    before = threading.active_count()
    sessions = read_year(in_file(tmp_path, TEXT), year=2024, source=SOURCE)
    next(sessions)
    assert threading.active_count() > before
    sessions.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() == before


def test_a_reader_that_refuses_has_no_thread_left_while_its_error_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cotahist, "_BLOCK_RECORDS", 1)
    before = threading.active_count()
    refused = refusal(in_file(tmp_path, TEXT.replace(b"ZZ01", b"ZZ\0001")))
    assert threading.active_count() == before
    assert refused.__traceback__ is not None


# --- what is odd, and is kept and told


@pytest.mark.usefixtures("block_records")
@pytest.mark.parametrize(("count", "expected"), [(19, TrailerCount.ALL_RECORDS), (17, TrailerCount.QUOTES)])
def test_the_trailer_counts_all_records_or_the_quotes_alone(
    tmp_path: Path, count: int, expected: TrailerCount
) -> None:
    notes = Notes()
    text = year_text(records_of(SESSIONS), count=count)
    sessions = read_year(in_file(tmp_path, text), year=2024, source=SOURCE, notes=notes)
    assert sum(batch.num_rows for _, batch in sessions) == 17
    assert notes.trailer_count is expected
    told = [] if expected is TrailerCount.ALL_RECORDS else ["TOTAL DE REGISTROS"]  # other than its time's
    assert [oddity.field for oddity in notes.oddities] == told


@pytest.mark.parametrize(
    ("year", "expected"), [(2024, TrailerCount.ALL_RECORDS), (2025, TrailerCount.QUOTES)]
)
def test_the_simulated_years_trailer_counts_as_those_of_its_time(
    tmp_path: Path, year: int, expected: TrailerCount
) -> None:
    path = tmp_path / f"COTAHIST_A{year}.ZIP"
    write_year(path, [(date(year, 1, 2), [Quote()] * 5)], year=year)
    notes = Notes()
    list(read_year(path, year=year, source=SOURCE, notes=notes))
    assert (notes.trailer_count, notes.oddities) == (expected, ())


@pytest.mark.usefixtures("block_records")
@pytest.mark.parametrize("end", [b"\r\n", b"\x1a", b" " * 245 + b"\r\n", b"\r\n" * 2000], ids=len)
def test_blank_lines_at_the_end_are_dropped_and_counted(tmp_path: Path, end: bytes) -> None:
    notes = Notes()
    path = in_file(tmp_path, TEXT + end)
    ends = []
    sessions = list(
        read_year(path, year=2024, source=SOURCE, notes=notes, progress=lambda done, _: ends.append(done))
    )
    assert sum(batch.num_rows for _, batch in sessions) == 17
    assert [(oddity.what, oddity.count) for oddity in notes.oddities] == [
        ("blank lines after the trailer", max(1, end.count(b"\n")))
    ]
    assert ends[-1] == len(TEXT + end)


@pytest.mark.usefixtures("block_records")
@pytest.mark.parametrize("end", [b"\r\n" * 2049, b"\r\n" * 123 + b"x", b"\r\n" * 2000 + b"01"], ids=len)
def test_more_than_blank_lines_at_the_end_is_refused(tmp_path: Path, end: bytes) -> None:
    assert (refusal(in_file(tmp_path, TEXT + end)).record or 0) >= 19


@pytest.mark.usefixtures("block_records")
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("length", [42, 244])
def test_header_and_trailer_without_the_blanks_that_fill_them_up_are_read(
    tmp_path: Path, length: int, zipped: bool
) -> None:
    header, *quotes, trailer = TEXT.splitlines()
    text = b"\r\n".join([header[: length - 11], *quotes, trailer[:length], b""])
    notes = Notes()
    path = in_file(tmp_path, text, zipped=zipped)
    sessions = read_year(path, year=2024, source=SOURCE, notes=notes, max_text_bytes=len(text))
    assert [(day, rows(batch)) for day, batch in sessions] == day_by_day()
    assert [oddity.field for oddity in notes.oddities] == ["header", "trailer"]


@pytest.mark.usefixtures("block_records")
def test_odd_values_are_counted_over_all_blocks_and_the_first_is_named(tmp_path: Path) -> None:
    text = bytearray(TEXT)
    for record in (5, 9, 18):
        text[(record - 1) * 247 + 202 : (record - 1) * 247 + 210] = b"00000000"
    text[8 * 247 + 30] = 0x92
    notes = Notes()
    path = in_file(tmp_path, bytes(text))
    sessions = dict(read_year(path, year=2024, source=SOURCE, notes=notes))
    expiries = [row["datven"] for batch in sessions.values() for row in batch.to_pylist()]
    assert expiries == [None] * 17
    assert {(oddity.field, oddity.count, oddity.first_record) for oddity in notes.oddities} == {
        ("DATVEN", 3, 5),
        ("NOMRES", 1, 9),
    }


# --- what is refused


@pytest.mark.usefixtures("block_records")
@pytest.mark.parametrize(
    ("record", "first", "value", "field"),
    [
        (2, 148, b"00x50", "TOTNEG"),
        (9, 57, b"-000000000100", "PREABE"),
        (18, 25, b" 10", "TPMERC"),
        (11, 13, b"ZZ\x00A        ", "CODNEG"),
        (12, 203, b"2024 230", "DATVEN"),
        (3, 3, b"20240230", "DATA"),
        (13, 3, b"20230105", "DATA"),
        (14, 1, b"02", "TIPREG"),
        (10, 1, b"99", "TIPREG"),
    ],
)
def test_a_record_that_is_wrong_is_named_by_its_number_in_the_file(
    tmp_path: Path, record: int, first: int, value: bytes, field: str
) -> None:
    start = (record - 1) * 247 + first - 1
    error = refusal(in_file(tmp_path, TEXT[:start] + value + TEXT[start + len(value) :]))
    assert (error.record, error.field) == (record, field)


@pytest.mark.usefixtures("block_records")
@pytest.mark.parametrize("count", [16, 18, 20, 19_000])
def test_a_trailer_that_counts_other_records_is_refused(tmp_path: Path, count: int) -> None:
    error = refusal(in_file(tmp_path, year_text(records_of(SESSIONS), count=count)))
    assert (error.record, error.field) == (19, "TOTAL DE REGISTROS")


@pytest.mark.usefixtures("block_records")
def test_a_text_that_ends_before_its_trailer_is_refused(tmp_path: Path) -> None:
    error = refusal(in_file(tmp_path, TEXT[: 12 * 247]))
    assert (error.record, error.field) == (12, "TIPREG")


@pytest.mark.usefixtures("block_records")
def test_a_text_that_ends_within_a_record_is_refused(tmp_path: Path) -> None:
    error = refusal(in_file(tmp_path, TEXT[: 12 * 247 + 100]))
    assert (error.record, error.found, error.expected) == (13, "100 characters", "245")


@pytest.mark.usefixtures("block_records")
def test_a_line_of_another_length_is_refused_where_it_stands(tmp_path: Path) -> None:
    error = refusal(in_file(tmp_path, TEXT[: 8 * 247 + 50] + TEXT[8 * 247 + 51 :]))
    assert (error.record, error.found) == (9, "244 characters")


def test_a_header_alone_is_refused(tmp_path: Path) -> None:
    assert refusal(in_file(tmp_path, TEXT[:247])).field == "TIPREG"


@pytest.mark.parametrize("year", [2023, 2025])
def test_another_year_than_the_one_asked_for_is_refused(tmp_path: Path, year: int) -> None:
    with pytest.raises(InvalidData, match=f"found 'COTAHIST.2024', expected 'COTAHIST.{year}'"):
        read(in_file(tmp_path, TEXT), year=year)


@pytest.mark.usefixtures("inflater")
@pytest.mark.parametrize("size", [0, 2, 22, 200])
def test_a_zip_that_is_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    path = in_file(tmp_path, TEXT)
    path.write_bytes(path.read_bytes()[:size])
    assert refusal(path).expected in {"a ZIP or a COTAHIST text", "a whole ZIP, as B3 published it"}


@pytest.mark.usefixtures("block_records")
def test_a_zip_whose_text_does_not_have_its_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / SOURCE
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("COTAHIST_A2024.TXT", TEXT)
    packed = path.read_bytes()
    path.write_bytes(packed.replace(b"ZZ06", b"ZZ60"))
    assert "CRC" in refusal(path).found


@pytest.mark.parametrize("zipped", [True, False])
def test_an_empty_file_is_refused(tmp_path: Path, zipped: bool) -> None:
    assert refusal(in_file(tmp_path, b"", zipped=zipped)).expected in {
        "a COTAHIST text",
        "a ZIP or a COTAHIST text",
    }


@pytest.mark.usefixtures("inflater")
def test_more_text_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = in_file(tmp_path, TEXT)
    sessions = read_year(path, year=2024, source=SOURCE, max_text_bytes=len(TEXT) - 1)
    with pytest.raises(InvalidData, match=f"more than {len(TEXT) - 1} bytes of text"):
        list(sessions)
    assert len(list(read_year(path, year=2024, source=SOURCE, max_text_bytes=len(TEXT)))) == len(SESSIONS)
