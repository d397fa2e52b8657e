"""The reader on B3's own files, against their known figures and against a slow reader written here."""

import zipfile
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from scraper.b3.cotahist.reader import read_session
from scraper.b3.oddities import Notes, TrailerCount

pytestmark = pytest.mark.real

# Session, quotes, sum of VOLTOT, distinct ISINs
FILES = [
    (date(2003, 2, 12), 551, Decimal("777444601.48"), 216),
    (date(2016, 1, 4), 1_743, Decimal("5144986511.88"), 440),
    (date(2021, 6, 25), 7_518, Decimal("33577581321.31"), 1_129),
    (date(2024, 11, 8), 12_226, Decimal("30013494912.34"), 1_383),
]


def daily_zip(folder: Path, session: date) -> Path:
    return folder / "InstDados" / "SerHist" / f"COTAHIST_D{session:%d%m%Y}.ZIP"


@pytest.mark.parametrize(("session", "quotes", "volume", "papers"), FILES)
def test_b3s_files_give_their_known_figures(
    b3_files: Path, session: date, quotes: int, volume: Decimal, papers: int
) -> None:
    path = daily_zip(b3_files, session)
    notes = Notes()
    frame = read_session(path.read_bytes(), session=session, source=path.name, notes=notes)
    assert notes.trailer_count is TrailerCount.ALL_RECORDS
    assert notes.oddities == ()
    assert len(frame) == quotes
    assert frame["voltot"].sum() == volume
    assert frame["codisi"].nunique() == papers


def slow_reading(record: str) -> tuple[str, str, dict[str, object]]:
    """TIPREG, DATA and the stored fields of a record, sliced one by one."""

    def money(first: int, last: int) -> Decimal:
        return Decimal(f"{record[first - 1 : last - 2]}.{record[last - 2 : last]}")

    expiry = record[202:210]
    stored: dict[str, object] = {
        "codbdi": record[10:12].rstrip(),
        "codneg": record[12:24].rstrip(),
        "tpmerc": record[24:27],
        "nomres": record[27:39].rstrip(),
        "especi": record[39:49].rstrip(),
        "prazot": record[49:52].rstrip(),
        "modref": record[52:56].rstrip(),
        "preabe": money(57, 69),
        "premax": money(70, 82),
        "premin": money(83, 95),
        "premed": money(96, 108),
        "preult": money(109, 121),
        "preofc": money(122, 134),
        "preofv": money(135, 147),
        "totneg": int(record[147:152]),
        "quatot": int(record[152:170]),
        "voltot": money(171, 188),
        "preexe": money(189, 201),
        "indopc": record[201],
        "datven": None if expiry == "99991231" else date(int(expiry[:4]), int(expiry[4:6]), int(expiry[6:])),
        "fatcot": int(record[210:217]),
        "ptoexe": Decimal(f"{record[217:224]}.{record[224:230]}"),
        "codisi": record[230:242].rstrip(),
        "dismes": int(record[242:245]),
    }
    return record[:2], record[2:10], stored


def slow_records(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        text = archive.read(archive.namelist()[0]).decode("latin-1")
    yield from text.split("\r\n")[1:-2]


@pytest.mark.parametrize("session", [session for session, *_ in FILES])
def test_b3s_files_are_read_as_a_slow_reader_reads_them_cell_by_cell(b3_files: Path, session: date) -> None:
    path = daily_zip(b3_files, session)
    read = pa.Table.from_pandas(
        read_session(path.read_bytes(), session=session, source=path.name), preserve_index=False
    ).to_pylist()
    expected = [slow_reading(record) for record in slow_records(path)]
    assert {(tipreg, data) for tipreg, data, _ in expected} == {("01", f"{session:%Y%m%d}")}
    assert read == [stored for _, _, stored in expected]
