"""Of several sessions' files, which are put, in which order, and what becomes of them if S3 fails."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import pyarrow as pa
import pytest

from refinement import arrow
from refinement.columns import COLUMNS, PARTITION_KEYS
from refinement.publish import Published, look, publish

FORMER, LATER = date(2031, 3, 13), date(2031, 3, 14)
TICKERS = [f"ZZ{number:03}" for number in range(200)]


@pytest.fixture
def rows() -> pa.Table:
    tickers = ["B", "A", *reversed(TICKERS)]
    schema = arrow.schema((*PARTITION_KEYS, *COLUMNS))
    values: dict[str, list[Any]] = {name: [None] * len(tickers) for name in schema.names}
    values |= {"trade_date": [LATER, LATER] + [FORMER] * len(TICKERS), "ticker": tickers}
    return pa.table(values, schema)


@pytest.fixture
def puts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that are put into a bucket without S3, in which the later session's files are already."""
    begun: list[str] = []

    class Bucket:
        def __init__(self, *_: object) -> None:
            pass

        def objects(self, prefix: str, first: date, last: date) -> list[tuple[str, str, tuple[int, str]]]:
            odd = (str(LATER), f"{prefix}{LATER}/odd", (1, ""))
            return [odd] if first <= LATER <= last else []

        def put(self, key: str, *_: object) -> bool:
            begun.append(key)
            time.sleep(0.02)
            if "unreachable" in begun:
                raise ConnectionError("S3 is away")
            return str(FORMER) in key

    monkeypatch.setattr("refinement.publish.Uploads", Bucket)
    return begun


def publish_all(rows: pa.Table, *, compact_only: bool) -> list[Published]:
    s3: Any = None  # of which no index's portfolio is asked
    return publish(rows, look(s3, {}, "refined-bucket", [FORMER, LATER], compact_only=compact_only))


def test_of_each_session_is_told_what_was_put_and_what_is_stale(rows: pa.Table, puts: list[str]) -> None:
    stale = [
        f"{table}/trade_date={LATER}/odd" for table in ("refined", "refined_compact", "refined_index_members")
    ]
    published = publish_all(rows, compact_only=False)
    assert [one[:6] for one in published] == [
        (FORMER, TICKERS, 201, 0, [], 0),
        (LATER, ["A", "B"], 0, 3, stale, 0),
    ]
    assert [one.rows["ticker"].to_pylist() for one in published] == [one.tickers for one in published]
    assert len(puts) == len({*puts}) == 204


def test_compact_files_alone_leave_the_wide_ones_alone(rows: pa.Table, puts: list[str]) -> None:
    former, later = publish_all(rows, compact_only=True)
    assert (former.written, later.unchanged, len(later.stale)) == (1, 1, 2)
    assert sorted(puts) == [f"refined_compact/trade_date={day}/part-00000.parquet" for day in (FORMER, LATER)]


def test_what_waits_for_an_s3_that_has_failed_is_not_begun(rows: pa.Table, puts: list[str]) -> None:
    puts.append("unreachable")
    with pytest.raises(ConnectionError, match="S3 is away"):
        publish_all(rows, compact_only=False)
    assert len(puts) < 100
