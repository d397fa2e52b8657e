"""What adjusting costs a morning, by the length of the history: lakes of 1, 5 and 40 years.

`python -m benchmarks.adjustment`. Lakes of made-up papers lie in memory, behind the calls of S3 that
the job makes, so that what is counted is the job's: its requests, the bytes that it reads, and its own
seconds. Each lake is made whole once; then a session more is published, in which some papers go ex, as every
morning.
"""

from __future__ import annotations

import hashlib
import io
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa
from botocore.exceptions import NoCredentialsError

from benchmarks.figures import table
from lake import keys
from lake.currency import FIRST_IN_BRL
from refinement import arrow, files
from refinement.adjustment.runs import SESSION_COLUMNS
from refinement.adjustment.state import refresh
from refinement.columns import ACTION_COLUMNS, COMPACT_COLUMNS, Field

YEARS = (1, 5, 40)
PAPERS = 1_000
RISES_A_YEAR = 4
LAST = date(2026, 11, 25)
_RAW, _REFINED = "raw", "refined"
_PAGE = 1_000
_SESSION = arrow.schema(field for field in COMPACT_COLUMNS if field.name in SESSION_COLUMNS)
_ACTIONS = arrow.schema(Field(name, kind, "") for name, kind in ACTION_COLUMNS.items())


class MemoryS3:
    """Buckets in memory, also for tests of many runs; it counts requests and bytes.

    Attributes:
        requests: How many of each call there were.
        read: Bytes that were read.
    """

    def __init__(self) -> None:
        self._objects: dict[tuple[str, str], tuple[bytes, str]] = {}
        self.requests: Counter[str] = Counter()
        self.read = 0

    def create_bucket(self, *, Bucket: str) -> None:  # noqa: N803
        """As boto3's."""

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803
        """As boto3's."""
        self._objects.pop((Bucket, Key), None)

    def get_paginator(self, _: str) -> MemoryS3:
        """As boto3's of ListObjectsV2."""
        return self

    def paginate(self, *, Bucket: str, Prefix: str, StartAfter: str) -> Iterator[dict[str, Any]]:  # noqa: N803
        """Pages of keys, as S3's."""
        found = sorted(
            key
            for bucket, key in self._objects
            if bucket == Bucket and key.startswith(Prefix) and key > StartAfter
        )
        for start in range(0, max(len(found), 1), _PAGE):
            self.requests["LIST"] += 1
            page = found[start : start + _PAGE]
            yield {
                "Contents": [
                    {
                        "Key": key,
                        "ETag": self._objects[Bucket, key][1],
                        "Size": len(self._objects[Bucket, key][0]),
                    }
                    for key in page
                ]
            }

    def generate_presigned_url(self, *_: object) -> str:
        """As boto3's where it has nothing to sign with: what it is asked for has no address.

        Raises:
            botocore.exceptions.NoCredentialsError: Always.
        """
        raise NoCredentialsError

    def get_object(self, *, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """As boto3's."""
        self.requests["GET"] += 1
        body = self._objects[Bucket, Key][0]
        self.read += len(body)
        return {"Body": io.BytesIO(body)}

    def put_object(self, *, Bucket: str, Key: str, Body: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        """As boto3's."""
        self.requests["PUT"] += 1
        digest = hashlib.md5(Body, usedforsecurity=False).hexdigest()
        self._objects[Bucket, Key] = Body, f'"{digest}"'
        return {"ETag": f'"{digest}"'}


class Cost(NamedTuple):
    """Of a refresh: requests, bytes read, seconds of this process."""

    requests: Counter[str]
    read: int
    seconds: float


class Lake:
    """A lake of some years up to `LAST`, whose papers pay a dividend every quarter, from the Real on."""

    def __init__(self, years: int) -> None:
        self.s3: Any = MemoryS3()
        first = LAST - timedelta(days=365 * years)
        days = (first + timedelta(days=n) for n in range((LAST - first).days + 1))
        self.sessions = [day for day in days if day.weekday() < 5]
        self._chance = random.Random(7)  # noqa: S311 - no secret
        self._number = [100] * PAPERS
        self._paid: dict[int, list[date]] = {paper: [] for paper in range(PAPERS)}
        columns: dict[str, Any] = {
            "isin": [_isin(paper) for paper in range(PAPERS)],
            "ticker": [f"{_code(paper)}3" for paper in range(PAPERS)],
            "share_class": ["ON      NM"] * PAPERS,
            "close": [Decimal(1_000 + paper) / 100 for paper in range(PAPERS)],
            "distribution_number": self._number,
        }
        self._papers = pa.table([columns[name] for name in _SESSION.names], schema=_SESSION)
        before: date | None = None
        for day in self.sessions:
            self._publish(day, before)
            before = day
        for paper, dates in self._paid.items():
            self._state(paper, dates)

    def next_session(self) -> None:
        """A session more, and what B3 states of the papers that go ex in it."""
        before = self.sessions[-1]
        self.sessions.append(before + timedelta(days=1))
        self._publish(self.sessions[-1], before)
        for paper, dates in self._paid.items():
            if dates and dates[-1] == before:
                self._state(paper, dates)

    def _publish(self, day: date, before: date | None) -> None:
        """A session's compact file, with the columns that are read of it."""
        if before and before >= FIRST_IN_BRL:  # of an amount of before the currency is not known
            for paper in self._chance.sample(range(PAPERS), round(PAPERS * RISES_A_YEAR / 250)):
                self._number[paper] += 1
                self._paid[paper].append(before)
        numbers = pa.array(self._number, pa.int32())
        place = _SESSION.get_field_index("distribution_number")
        rows = self._papers.set_column(place, _SESSION.field(place), pa.chunked_array([numbers]))
        key = f"{keys.COMPACT}{day}/{keys.REFINED_FILE}"
        self.s3.put_object(Bucket=_REFINED, Key=key, Body=files.parquet(rows, files.COMPACT_FILE))

    def _state(self, paper: int, dates: list[date]) -> None:
        base = {**dict.fromkeys(ACTION_COLUMNS), "issuer": _code(paper), "call": "supplement"}
        base |= {"category": "cash", "isin": _isin(paper), "label": "DIVIDENDO", "quoted_per_shares": 1}
        base |= {"occurrence": 1, "first_seen": LAST, "last_seen": LAST, "rate": Decimal("0.10")}
        rows = [{**base, "last_date_prior": day} for day in dates]
        body = files.parquet(pa.Table.from_pylist(rows, schema=_ACTIONS), files.COMPACT_FILE)
        self.s3.put_object(Bucket=_RAW, Key=keys.corporate_actions(_code(paper)), Body=body)

    def refresh(self) -> Cost:
        """What the job does after it has published."""
        self.s3.requests, self.s3.read = Counter(), 0
        started = time.process_time()
        events = refresh(self.s3, raw_bucket=_RAW, refined_bucket=_REFINED).events
        seconds = time.process_time() - started
        wrong = [event for event in events.to_pylist() if event["status"] != "proven"]
        assert not wrong, wrong[0]
        assert events.num_rows == sum(map(len, self._paid.values()))
        return Cost(self.s3.requests, self.s3.read, seconds)


def _code(paper: int) -> str:
    return f"Z{paper:03d}"


def _isin(paper: int) -> str:
    return f"BR{_code(paper)}ACNOR0"


def main() -> None:
    """Measure, and print the table."""
    rows = []
    for years in YEARS:
        lake = Lake(years)
        whole = lake.refresh()
        lake.next_session()
        morning = lake.refresh()
        sessions = f"{len(lake.sessions):,}"
        for what, cost in (("whole, once", whole), ("a morning", morning)):
            requests = ", ".join(f"{count:,} {name}" for name, count in sorted(cost.requests.items()))
            rows.append(
                (str(years), sessions, what, requests, f"{cost.read / 1e6:.1f}", f"{cost.seconds:.1f}")
            )
    print(table(["years", "sessions", "run", "requests to S3", "MB read", "CPU seconds"], rows))


if __name__ == "__main__":
    main()
