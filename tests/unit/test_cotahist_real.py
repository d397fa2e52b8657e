"""The reader on B3's own files, against their known figures and against the plainest of readers."""

import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from scraper.b3.cotahist.reader import read_session
from scraper.b3.oddities import Notes, TrailerCount
from tests.fuzz import naive

pytestmark = pytest.mark.real

# Session, quotes, sum of VOLTOT, distinct ISINs
FILES = [
    (date(2003, 2, 12), 551, Decimal("777444601.48"), 216),
    (date(2016, 1, 4), 1_743, Decimal("5144986511.88"), 440),
    (date(2021, 6, 25), 7_518, Decimal("33577581321.31"), 1_129),
    (date(2024, 11, 8), 12_226, Decimal("30013494912.34"), 1_383),
]


@pytest.mark.parametrize(("session", "quotes", "volume", "papers"), FILES)
def test_b3s_files_give_their_known_figures_and_are_read_as_a_slow_reader_reads_them_cell_by_cell(
    b3_files: Path, session: date, quotes: int, volume: Decimal, papers: int
) -> None:
    path = b3_files / "InstDados" / "SerHist" / f"COTAHIST_D{session:%d%m%Y}.ZIP"
    notes = Notes()
    frame = read_session(path.read_bytes(), session=session, source=path.name, notes=notes)
    assert notes.trailer_count is TrailerCount.ALL_RECORDS
    assert notes.oddities == ()
    assert len(frame) == quotes
    assert frame["voltot"].sum() == volume
    assert frame["codisi"].nunique() == papers
    rows = pa.Table.from_pandas(frame, preserve_index=False).to_pylist()
    with zipfile.ZipFile(path) as archive:
        (text,) = map(archive.read, archive.namelist())
    assert [(session, row) for row in rows] == list(naive.quotes(text, session.year))
