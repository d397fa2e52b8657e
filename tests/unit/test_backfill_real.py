"""B3's own sessions, wrapped into annual files: the same rows by the daily path and by the backfill."""

from __future__ import annotations

import io
import re
import uuid
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from sandbox.b3.formats import daily_zip_name, zip_file
from sandbox.b3.server import B3Server
from sandbox.b3.years import annual_member_name, annual_zip_name
from sandbox.ministack import MiniStack
from scraper.b3.client import B3Client
from scraper.daily.ingest import ingest
from scraper.history.backfill import Outcome, Task, load_year
from scraper.history.span import Span
from scraper.raw.bucket import RawBucket
from tests.fixtures.both_ends import Bucket, Shelves

pytestmark = pytest.mark.real

# Quotes and sum of VOLTOT [BRL], added up from the texts with awk
FIGURES = {
    date(2003, 2, 12): (551, Decimal("777444601.48")),
    date(2016, 1, 4): (1_743, Decimal("5144986511.88")),
    date(2021, 6, 25): (7_518, Decimal("33577581321.31")),
    date(2024, 11, 8): (12_226, Decimal("30013494912.34")),
}


def as_a_year(daily: bytes, year: int) -> bytes:
    """The text of a session as that of a year: header and trailer say that they were made on its last day."""
    with zipfile.ZipFile(io.BytesIO(daily)) as archive:
        (member,) = archive.infolist()
        lines = archive.read(member).splitlines(keepends=True)
    for end in (0, -1):
        lines[end] = re.sub(rb"^(.{23})\d{8}", rb"\g<1>%d1231" % year, lines[end])
    return zip_file(b"".join(lines), annual_member_name(year))


@pytest.mark.parametrize("session", FIGURES)
def test_a_session_has_the_same_rows_by_the_daily_path_and_by_the_backfill(
    session: date, b3_files: Path, aws: MiniStack, b3: B3Server, shelves: Shelves
) -> None:
    name = daily_zip_name(session)
    shelves.files[name] = (b3_files / "InstDados" / "SerHist" / name).read_bytes()
    shelves.files[annual_zip_name(session.year)] = as_a_year(shelves.files[name], session.year)
    client = B3Client(quotes_base_url=b3.base_url)
    daily, history = (Bucket(f"raw-{uuid.uuid4().hex}") for _ in range(2))
    now = datetime(2026, 11, 24, tzinfo=UTC)
    list(ingest(client, RawBucket(daily.name), now=now, session=session, index_codes=(), lookback_sessions=1))
    task = Task(session.year, Span(session, session))
    result = load_year(task, lambda *_: None, b3=client, raw=RawBucket(history.name), today=now.date())

    assert result.outcome is Outcome.LOADED
    folder = f"raw/cotahist/trade_date={session}"
    by_day = pq.read_table(io.BytesIO(daily.content(f"{folder}/daily.parquet")))
    by_year = pq.read_table(io.BytesIO(history.content(f"{folder}/backfill.parquet")))
    assert by_year.equals(by_day)
    assert (by_year.num_rows, pc.sum(by_year["voltot"]).as_py()) == FIGURES[session]
