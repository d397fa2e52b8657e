"""The files of the refined tables: written by S3's own API, by the process that has checked their rows.

Spark's own committer would rename a year's 330,000 files one by one.
"""

from __future__ import annotations

import datetime as dt
import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pyarrow as pa

from lake.keys import COMPACT, MEMBERS, REFINED_FILE, WIDE, partition_folder
from refinement import arrow, aws, files, log, members
from refinement.catalog import Catalog
from refinement.columns import COMPACT_COLUMNS
from refinement.errors import RefineError
from refinement.log import Phases
from refinement.one_row import OneRowFiles
from refinement.uploads import Uploads

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_S3_CALLS = 16  # in flight; each waits for S3, none computes for long
_FILES_AHEAD = 4 * _S3_CALLS  # made before S3 has taken those of former sessions
_DELETE_BATCH = 1000  # objects that one call of S3 takes


class Published(NamedTuple):
    """What has been done with a session.

    Attributes:
        trade_date: The session.
        tickers: Its tickers.
        written: How many files were written.
        unchanged: How many were found with the bytes that they would have been written with.
        stale: Keys of the objects in the session's folders that are none of its files.
        members: How many members its indices have.
        rows: Its rows.
        etag: The ETag of its compact file, where an ETag is an MD5.
    """

    trade_date: dt.date
    tickers: list[str]
    written: int
    unchanged: int
    stale: list[str]
    members: int
    rows: pa.Table
    etag: str


class Found(NamedTuple):
    """What there is of sessions before they are published.

    Attributes:
        portfolios: Those of the indices whose members are written beside the rows.
        uploads: What puts objects into the refined bucket.
        objects: Of each session the objects in its folders, by key.
        compact_only: Whether the wide files are left as they are.
    """

    portfolios: members.Portfolios
    uploads: Uploads
    objects: dict[dt.date, dict[str, files.Object]]
    compact_only: bool


def look(
    s3: S3Client,
    portfolios: Mapping[str, Mapping[str, str]],
    bucket: str,
    sessions: Sequence[dt.date],
    *,
    compact_only: bool,
) -> Found:
    """Look what there is of sessions, which can be done while their rows are computed.

    Args:
        s3: A client for many calls at a time.
        portfolios: The files of each index's portfolios, `s3://` paths by date.
        bucket: The refined bucket.
        sessions: The sessions, ascending.
        compact_only: Whether the wide files are to be left as they are.
    """
    uploads = Uploads(boto3.DEFAULT_SESSION or boto3.Session(), bucket, _S3_CALLS)
    # Of a session these have an object; the wide table a thousand, which are listed by themselves
    asked = [(prefix, sessions[0], sessions[-1]) for prefix in (COMPACT, MEMBERS)]
    if not compact_only:
        asked += [(WIDE, day, day) for day in sessions]
    listed = aws.in_parallel(lambda of: uploads.objects(*of), asked, _S3_CALLS)
    there: dict[str, dict[str, files.Object]] = {str(day): {} for day in sessions}
    for date, key, found in itertools.chain.from_iterable(listed):
        if date in there:
            there[date][key] = found
    in_force = members.read(s3, portfolios, sessions[0], sessions[-1])
    return Found(in_force, uploads, {day: there[str(day)] for day in sessions}, compact_only)


def publish(refined: pa.Table, found: Found) -> list[Published]:
    """Write the files of reconciled sessions to the refined bucket, over the old ones; delete none.

    S3 shows a file's old bytes until it has the new ones whole; who fails in between has replaced some of the
    files, and the next run replaces the others.

    Args:
        refined: The sessions' rows: `PARTITION_KEYS`, then `COLUMNS`.
        found: What there is of the sessions.

    Returns:
        What was done, by session.
    """
    wide = None if found.compact_only else files.wide_files()
    published: list[Published] = []
    pending: deque[tuple[Published, list[Future[bool]]]] = deque()

    def finish_first() -> None:
        session, puts = pending.popleft()
        written = sum(put.result() for put in puts)
        published.append(session._replace(written=written, unchanged=len(puts) - written))

    with ThreadPoolExecutor(_S3_CALLS) as threads:
        try:
            for day, rows in _by_session(refined):
                there = found.objects[day]
                of_indices = members.of_session(day, rows, found.portfolios)
                puts, etag = {}, ""
                for key, body in session_files(day, rows, of_indices, wide=wide):
                    if key.startswith(COMPACT):
                        etag = files.Checksum.of(body).etag
                    puts[key] = threads.submit(found.uploads.put, key, body, there.get(key))
                stale = sorted(there.keys() - puts.keys())
                done = Published(day, _tickers(rows), 0, 0, stale, len(of_indices), rows, etag)
                pending.append((done, [*puts.values()]))
                while len(pending) > 1 and sum(len(each) for _, each in pending) > _FILES_AHEAD:
                    finish_first()
            while pending:
                finish_first()
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise
    log.line(
        f"{log.span([one.trade_date for one in published])}  {sum(one.written for one in published):,} files "
        f"written, {sum(one.unchanged for one in published):,} unchanged"
    )
    return published


def _by_session(refined: pa.Table) -> Iterator[tuple[dt.date, pa.Table]]:
    """Each session's rows, by ticker."""
    rows = refined.sort_by([("trade_date", "ascending"), ("ticker", "ascending")]).combine_chunks()
    start = 0
    days: Any = rows["trade_date"].value_counts()  # in the order in which they stand
    for day in days.to_pylist():
        yield day["values"], rows.slice(start, day["counts"])
        start += day["counts"]


def _tickers(rows: pa.Table) -> list[str]:
    return [str(ticker) for ticker in rows["ticker"].to_pylist()]


def session_files(
    day: dt.date, rows: pa.Table, of_indices: pa.Table, *, wide: OneRowFiles | None
) -> Iterator[tuple[str, bytes]]:
    """The files of a session, by key; those of the wide table where there is what makes files of one row."""
    compact = rows.select([field.name for field in COMPACT_COLUMNS]).cast(arrow.schema(COMPACT_COLUMNS))
    yield f"{COMPACT}{day}/{REFINED_FILE}", files.parquet(compact, files.COMPACT_FILE)
    if len(of_indices):
        yield members.key_of(day), files.parquet(of_indices, files.COMPACT_FILE)
    if wide is not None:
        bodies = wide.of(compact.drop_columns(["ticker"]))
        for ticker, body in zip(_tickers(rows), bodies, strict=True):
            yield f"{partition_folder(f'{WIDE}{day}', ['ticker'], [ticker])}/{REFINED_FILE}", body


def finish(
    s3: S3Client,
    bucket: str,
    published: Sequence[Published],
    phases: Phases,
    *,
    catalogs: Iterable[Catalog],
    of_members: Catalog,
) -> None:
    """Let the catalog follow the published files, then delete what is none of the sessions' files any more.

    In this order a reader never misses a row. A crash in between leaves each ticker's old or new row; the
    next run ends what was begun.

    Raises:
        RefineError: The catalog refused a partition, or S3 to delete an object.
    """
    span = log.span([one.trade_date for one in published])
    rows = [(one.trade_date.isoformat(), ticker) for one in published for ticker in one.tickers]
    with phases.of("catalog"):
        for catalog in catalogs:
            changes = catalog.synchronise(rows)
            counts = ", ".join(f"{count:,} {what}" for what, count in changes.items())
            log.line(f"{span}  partitions of {catalog.name}: {counts}")
        sessions = {one.trade_date.isoformat(): one.members for one in published}
        of_members.synchronise([(session, "") for session, count in sessions.items() if count], sessions)
    stale = [key for one in published for key in one.stale]
    with phases.of("deletions"):
        delete(s3, bucket, stale, span)
    if stale:
        log.line(f"{span}  deleted, no longer there: {log.listed(stale, 'objects')}")


def delete(s3: S3Client, bucket: str, keys: Sequence[str], span: str) -> None:
    """Delete objects of sessions, to which the catalog leads nobody any more."""
    for portion in aws.portions(keys, _DELETE_BATCH):
        objects: Any = [{"Key": key} for key in portion]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
        if errors := answer.get("Errors"):
            raise RefineError(
                f"{len(errors)} objects of s3://{bucket} were not deleted, the first because of "
                f"{errors[0]}. No partition holds them any more: run the job again for {span}."
            )
