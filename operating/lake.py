"""What raw bucket, refined bucket and catalog hold of sessions, and whether it adds up; without Athena.

Of a Parquet file the footer is fetched, and the few columns that are added up; the wide table's files, a
thousand and more a session, are listed only. It asks for `s3:ListBucket` and `s3:GetObject` on both buckets,
and for `glue:GetPartitions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import unquote

import boto3
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.config import Config
from botocore.exceptions import ClientError

from lake import keys
from lake.currency import BRL, currency_of
from operating.names import Names
from operating.progress import counted
from scraper.b3.errors import ScraperError
from scraper.raw.bucket import ODDITIES, TRAILER_COUNT

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef


_FOOTER_BYTES = 64 * 1024
"""More than the footer of any file of the lake."""
_CALLS = 16
"""Sessions that are looked at at once."""


class UnreadableError(ScraperError):
    """An object is not the Parquet file that it should be; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawObject:
    """The raw object of a session.

    Attributes:
        key: Its key.
        size: Its bytes.
        etag: Its ETag.
        modified: When it was written.
        has_twin: Whether the partition holds a backfilled object besides this daily one, as it does for a
            moment while the one replaces the other.
    """

    key: str
    size: int
    etag: str
    modified: datetime
    has_twin: bool = False

    @property
    def kind(self) -> str:
        """`daily` or `backfill`."""
        return self.key.rpartition("/")[2].removesuffix(".parquet")

    @property
    def is_daily(self) -> bool:
        """Whether its arrival started a run of the job."""
        return self.kind == "daily"


@dataclass(frozen=True, slots=True)
class Sums:
    """Lines and volume of a session, in that session's currency (`lake.currency`)."""

    lines: int
    volume: Decimal
    currency: str = BRL

    def __str__(self) -> str:
        return f"{counted(self.lines, 'quote')} and {self.currency} {self.volume:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refined:
    """What the refined bucket and the catalog hold of a session.

    Attributes:
        sums: Quotes behind the rows of the compact table, and their volume; None if it has no file.
        tickers: Tickers of the compact table.
        wide_tickers: Tickers with a file in the wide table.
        wide_partitions: Tickers with a partition in the wide table.
        is_registered: Whether the compact table has its partition.
        modified: When the compact file was written; None if there is none.
    """

    sums: Sums | None
    tickers: frozenset[str]
    wide_tickers: frozenset[str]
    wide_partitions: frozenset[str]
    is_registered: bool
    modified: datetime | None

    @property
    def is_empty(self) -> bool:
        """Whether there is no file."""
        return self.sums is None and not self.wide_tickers


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session in the lake.

    Attributes:
        day: Its day.
        raw: Its raw object; None if there is none.
        quotes: What the raw quotes add up to; None if there are none, or they cannot be read.
        refined: What was made of it.
        unreadable: Which object cannot be read, and why; empty if all can.
        trailer_count: What the trailer of B3's file counts; None where raw does not say.
        oddities: What of B3's file was kept although it is odd; empty if nothing was.
    """

    day: date
    raw: RawObject | None
    quotes: Sums | None
    refined: Refined
    unreadable: str = ""
    trailer_count: str | None = None
    oddities: str = ""

    @property
    def is_equal(self) -> bool:
        """Whether the refined rows add up to the raw quotes, to the line and to the cent."""
        return self.quotes is not None and self.quotes == self.refined.sums

    def differences(self, *, is_wide: bool) -> list[str]:
        """What is not as a run of the job leaves it, in words; nothing if all is.

        Args:
            is_wide: Whether the wide table is to have the session.
        """
        refined = self.refined
        if self.unreadable:
            return [self.unreadable]
        if refined.is_empty:
            return ["not refined"]
        found: list[str] = []
        if refined.sums is None:
            found.append("no file in the compact table")
        elif not self.is_equal:
            found.append(f"raw has {self.quotes}, refined {refined.sums}")
        if not refined.is_registered:
            found.append("no partition in the compact table")
        if is_wide or refined.wide_tickers or refined.wide_partitions:
            found += _wide_differences(refined)
        return found


def _wide_differences(refined: Refined) -> Iterator[str]:
    comparisons = (
        ("without a file in the wide table", refined.tickers - refined.wide_tickers),
        ("in the wide table alone", refined.wide_tickers - refined.tickers if refined.tickers else set()),
        ("without a partition in the wide table", refined.wide_tickers - refined.wide_partitions),
        ("with a partition in the wide table, but no file", refined.wide_partitions - refined.wide_tickers),
    )
    for what, tickers in comparisons:
        if tickers:
            listed = ", ".join(sorted(tickers)[:3])
            more = ", ..." if len(tickers) > 3 else ""
            yield f"{counted(len(tickers), 'ticker')} {what} ({listed}{more})"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Bytes of a session that a reader refused: their key, when they were kept, and the reason."""

    key: str
    kept: datetime
    reason: str


class Lake:
    """Both buckets and the catalog.

    Args:
        names: What is deployed.

    Raises:
        operating.names.UsageError: A name is missing.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: Any method, when AWS refuses.
    """

    def __init__(self, names: Names) -> None:
        self._raw_bucket = names.require("bucket")
        self._refined_bucket = names.require("refined_bucket")
        self._database = names.require("refined_database")
        self._wide_table = names.require("refined_table")
        self._compact_table = names.require("compact_table")
        patient = Config(
            retries={"mode": "adaptive", "total_max_attempts": 10}, max_pool_connections=2 * _CALLS
        )
        self._s3: S3Client = boto3.client("s3", config=patient)
        self._glue: GlueClient = boto3.client("glue", config=patient)

    def raw_objects(self, first: date, last: date) -> dict[date, RawObject]:
        """The raw object of each session of a range, by day; of two in a partition, the daily one."""
        found: dict[date, RawObject] = {}
        for item in self._objects(self._raw_bucket, keys.SESSIONS, after=f"{keys.SESSIONS}{first}"):
            if item["Key"] > f"{keys.SESSIONS}{last}0":  # a 0 comes after the slash
                break
            day = _day(keys.SESSION_KEY, item["Key"])
            if day is not None:  # by key, the backfilled object comes before the daily one
                found[day] = RawObject(
                    key=item["Key"],
                    size=item["Size"],
                    etag=item["ETag"],
                    modified=item["LastModified"],
                    has_twin=day in found,
                )
        return found

    def compact_sessions(self) -> set[date]:
        """The sessions that have a compact file."""
        files = (item["Key"] for item in self._objects(self._refined_bucket, keys.COMPACT))
        return {day for key in files if (day := _day(keys.COMPACT_KEY, key)) is not None}

    def unexplained_rises(self, last: date) -> list[tuple[date, str]]:
        """Rises of a distribution number for which B3 states no event: ex-date and ticker, the newest first.

        Args:
            last: The last ex-date.

        Raises:
            UnreadableError: The table of events cannot be read.
        """
        found: list[tuple[date, str]] = []
        for item in self._objects(self._refined_bucket, f"{keys.EVENTS_FOLDER}/{keys.REFINED_FILE}"):
            names = ["ex_date", "ticker", "status"]
            rows = self._columns(self._refined_bucket, item["Key"], item["Size"], item["ETag"], names)
            found += [
                (row["ex_date"], row["ticker"])
                for row in rows.to_pylist()
                if row["status"] == "unexplained" and row["ex_date"] <= last
            ]
        return sorted(found, key=lambda rise: (-rise[0].toordinal(), rise[1]))

    def refusals(self, first: date) -> dict[date, Refusal]:
        """The newest refused file of each session from a day on."""
        refused = f"{keys.QUARANTINE}cotahist/"
        newest: dict[date, ObjectTypeDef] = {}
        for item in self._objects(self._raw_bucket, refused, after=f"{refused}{first}"):
            day = _day(keys.REFUSED_KEY, item["Key"])
            if day is not None and (day not in newest or newest[day]["LastModified"] < item["LastModified"]):
                newest[day] = item
        return {day: self._refusal(item) for day, item in newest.items()}

    def look(
        self,
        days: Sequence[date],
        raw: dict[date, RawObject],
        seen: Callable[[int], None],
    ) -> list[Session]:
        """Look at sessions.

        Args:
            days: Their days.
            raw: Their raw objects, as `raw_objects` found them.
            seen: Is told how many have been looked at, each time.

        Returns:
            The sessions, in the order of the days.
        """
        found: dict[date, Session] = {}
        with ThreadPoolExecutor(_CALLS) as threads:
            futures = [threads.submit(self._session, day, raw.get(day)) for day in days]
            try:
                for future in as_completed(futures):
                    session = future.result()
                    found[session.day] = session
                    seen(len(found))
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise
        return [found[day] for day in days]

    def _session(self, day: date, raw: RawObject | None) -> Session:
        quotes, problems, lineage = None, [], dict[bytes, bytes]()
        if raw is not None:
            try:
                volumes = self._columns(self._raw_bucket, raw.key, raw.size, raw.etag, ["voltot"])
                quotes = Sums(volumes.num_rows, _total(volumes, "voltot"), currency_of(day))
                lineage = volumes.schema.metadata or {}
            except UnreadableError as error:
                problems.append(str(error))
        files = [
            item
            for item in self._objects(self._refined_bucket, f"{keys.COMPACT}{day}/")
            if keys.COMPACT_KEY.fullmatch(item["Key"])
        ]
        sums, tickers = None, frozenset[str]()
        try:
            if files:
                sums, tickers = self._compact(files, day)
        except UnreadableError as error:
            problems.append(str(error))
        wide = (item["Key"] for item in self._objects(self._refined_bucket, f"{keys.WIDE}{day}/"))
        refined = Refined(
            sums=sums,
            tickers=tickers,
            wide_tickers=frozenset(
                unquote(match[2]) for key in wide if (match := keys.WIDE_KEY.fullmatch(key))
            ),
            wide_partitions=frozenset(values[1] for values in self._partitions(self._wide_table, day)),
            is_registered=any(self._partitions(self._compact_table, day)),
            modified=max((item["LastModified"] for item in files), default=None),
        )
        trailer_count = lineage.get(TRAILER_COUNT.encode())
        return Session(
            day=day,
            raw=raw,
            quotes=quotes,
            refined=refined,
            unreadable="; ".join(problems),
            trailer_count=None if trailer_count is None else trailer_count.decode(),
            oddities=lineage.get(ODDITIES.encode(), b"").decode(),
        )

    def _compact(self, files: Collection[ObjectTypeDef], day: date) -> tuple[Sums, frozenset[str]]:
        rows = pa.concat_tables(
            self._columns(
                self._refined_bucket, item["Key"], item["Size"], item["ETag"], ["ticker", "lines", "volume"]
            )
            for item in files
        )
        sums = Sums(int(pc.sum(rows["lines"]).as_py() or 0), _total(rows, "volume"), currency_of(day))
        return sums, frozenset(map(str, rows["ticker"].to_pylist()))

    def _columns(self, bucket: str, key: str, size: int, etag: str, columns: list[str]) -> pa.Table:
        """Columns of a Parquet object, of which little else is fetched.

        Raises:
            UnreadableError: It is no Parquet file, lacks one of the columns, or was replaced meanwhile.
        """
        content = bytearray(size)  # what is not fetched stays zero, and is not looked at

        def fetch(first: int, end: int) -> None:
            answer = self._s3.get_object(
                Bucket=bucket, Key=key, IfMatch=etag, Range=f"bytes={first}-{end - 1}"
            )
            content[first:end] = answer["Body"].read()

        footer = max(size - _FOOTER_BYTES, 0)
        try:
            if not size:
                raise UnreadableError(f"s3://{bucket}/{key} is empty, expected a Parquet file")
            fetch(footer, size)
            metadata = pq.read_metadata(pa.BufferReader(bytes(content[footer:])))
            for first, end in _chunks(metadata, columns):
                if first < footer:
                    fetch(first, min(end, footer))
            return pq.ParquetFile(pa.BufferReader(content), metadata=metadata).read(columns=columns)
        except (pa.ArrowException, ValueError, OSError) as error:
            raise UnreadableError(f"s3://{bucket}/{key} cannot be read as Parquet: {error}") from error
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"PreconditionFailed", "NoSuchKey"}:
                raise
            raise UnreadableError(
                f"s3://{bucket}/{key} was replaced or deleted while it was looked at; look again"
            ) from error

    def _partitions(self, table: str, day: date) -> Iterator[list[str]]:
        pages = self._glue.get_paginator("get_partitions").paginate(
            DatabaseName=self._database,
            TableName=table,
            Expression=f"trade_date = '{day}'",
            ExcludeColumnSchema=True,
        )
        try:
            for page in pages:
                yield from (partition["Values"] for partition in page["Partitions"])
        except self._glue.exceptions.EntityNotFoundException:
            return  # no table: no partition

    def _refusal(self, item: ObjectTypeDef) -> Refusal:
        metadata = self._s3.head_object(Bucket=self._raw_bucket, Key=item["Key"])["Metadata"]
        reason = metadata.get("reason", "the object does not say why")
        return Refusal(
            item["Key"], item["LastModified"], reason.encode("ascii", "replace").decode("unicode_escape")
        )

    def _objects(self, bucket: str, prefix: str, after: str = "") -> Iterator[ObjectTypeDef]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, StartAfter=after
        )
        return (item for page in pages for item in page.get("Contents", []))


def _day(pattern: re.Pattern[str], key: str) -> date | None:
    """The day in a key; None if the key is another's, or what should be a day is none."""
    match = pattern.fullmatch(key)
    try:
        return date.fromisoformat(match[1]) if match else None
    except ValueError:
        return None


def _total(table: pa.Table, column: str) -> Decimal:
    return Decimal(pc.sum(table[column]).as_py() or 0)


def _chunks(metadata: pq.FileMetaData, columns: Collection[str]) -> Iterator[tuple[int, int]]:
    """Where the columns lie in the file: first byte, and the one after the last.

    Raises:
        ValueError: The file lacks one.
    """
    places = {metadata.schema.column(place).path: place for place in range(metadata.num_columns)}
    if missing := [name for name in columns if name not in places]:
        raise ValueError(f"it has no column {', '.join(missing)}")
    for group in range(metadata.num_row_groups):
        for name in columns:
            chunk = metadata.row_group(group).column(places[name])
            pages = [chunk.data_page_offset]
            if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
                pages.append(chunk.dictionary_page_offset)
            yield min(pages), min(pages) + chunk.total_compressed_size
