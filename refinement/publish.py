"""The files of the refined tables: written by S3's own API, each session by one task.

Spark's own committer would rename a year's 330,000 files one by one.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from lake.keys import COMPACT, MEMBERS, REFINED_FILE, WIDE, partition_folder
from refinement import arrow, aws, files, log, members
from refinement.catalog import Catalog
from refinement.columns import COMPACT_COLUMNS
from refinement.errors import RefineError
from refinement.log import Phases
from refinement.one_row import OneRowFiles
from refinement.transform import Session
from refinement.uploads import Uploads

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_S3_CALLS = 16  # in flight in each task; each waits for S3, none computes for long
_DELETE_BATCH = 1000  # objects that one call of S3 takes


class Published(NamedTuple):
    """What a task has done with a session.

    Attributes:
        trade_date: The session.
        tickers: Its tickers.
        written: How many files it wrote.
        unchanged: How many it found with the bytes that it would have written.
        stale: Keys of the objects in the session's folders that are none of its files.
        members: How many members its indices have.
        problem: Why it wrote nothing; empty if it wrote.
    """

    trade_date: dt.date
    tickers: list[str]
    written: int
    unchanged: int
    stale: list[str]
    members: int
    problem: str


_PUBLISHED = pa.schema(
    {
        "trade_date": pa.date32(),
        "tickers": pa.list_(pa.string()),
        "written": pa.int32(),
        "unchanged": pa.int32(),
        "stale": pa.list_(pa.string()),
        "members": pa.int32(),
        "problem": pa.string(),
    }
)


def publish(
    refined: DataFrame | pa.Table,
    sessions: Sequence[Session],
    portfolios: members.Portfolios,
    bucket: str,
    *,
    compact_only: bool,
) -> list[Published]:
    """Write the files of reconciled sessions to the refined bucket, over the old ones; delete none.

    A session is one task's; of rows that are in this process, its own. S3 shows a file's old bytes until it
    has the new ones whole; who fails in between has replaced some of the session's files, and the next run
    replaces the others.

    Args:
        refined: The sessions' rows, where Spark has them or in this process.
        sessions: What each of them adds up to.
        portfolios: Those of the indices whose members are written beside the rows.
        bucket: The refined bucket.
        compact_only: Write the compact files, and leave the wide ones as they are.

    Returns:
        What was done, by session.

    Raises:
        RefineError: A session's rows are no longer those that were reconciled; none of it was written.
    """
    write = functools.partial(
        _write_sessions,
        expected=sessions,
        portfolios=portfolios,
        bucket=bucket,
        compact_only=compact_only,
        region=boto3.Session().region_name,
    )
    if isinstance(refined, pa.Table):
        answers = [one for done in write(refined.to_batches()) for one in done.to_pylist()]
    else:
        # A task for each core: ranges hold about as many rows each, and a task takes a while to begin
        tasks = min(len(sessions), refined.sparkSession.sparkContext.defaultParallelism)
        told = (
            refined.select("trade_date", *[field.name for field in COMPACT_COLUMNS])
            .repartitionByRange(tasks, "trade_date")
            .mapInArrow(write, from_arrow_schema(_PUBLISHED))
            .collect()
        )
        answers = [row.asDict() for row in told]
    published = sorted(Published(**answer) for answer in answers)
    problems = [one.problem for one in published if one.problem]
    lost = {session.trade_date for session in sessions} - {one.trade_date for one in published}
    problems += [f"{trade_date}: expected rows, found none" for trade_date in sorted(lost)]
    if problems:
        raise RefineError(
            "rows changed after they had been reconciled, as when raw files are replaced meanwhile; nothing "
            "of these sessions was written:\n  " + "\n  ".join(problems) + "\nRun the job again."
        )
    log.line(
        f"{log.span([one.trade_date for one in published])}  {sum(one.written for one in published):,} files "
        f"written, {sum(one.unchanged for one in published):,} unchanged"
    )
    return published


def _write_sessions(
    batches: Iterable[pa.RecordBatch],
    *,
    expected: Sequence[Session],
    portfolios: members.Portfolios,
    bucket: str,
    compact_only: bool,
    region: str | None,
) -> Iterator[pa.RecordBatch]:
    """What a task does: write the files of each session among its rows; yield `Published`, as Arrow."""
    parts = list(batches)
    if not parts:
        return
    rows = pa.Table.from_batches(parts).sort_by([("trade_date", "ascending"), ("ticker", "ascending")])
    # The driver has a session that has read what AWS's services are; to read it takes a tenth of a second
    uploads = Uploads(boto3.DEFAULT_SESSION or boto3.Session(region_name=region), bucket, _S3_CALLS)
    wide = None if compact_only else files.wide_files()
    done = []
    with ThreadPoolExecutor(_S3_CALLS) as threads:
        for session in expected:
            found = rows.filter(pc.equal(rows["trade_date"], pa.scalar(session.trade_date)))
            figures = found.num_rows, pc.sum(found["volume"]).as_py()
            if figures == (session.tickers, session.volume):
                of_indices = members.of_session(session.trade_date, found, portfolios)
                done.append(_write_session(uploads, threads, found, of_indices, wide=wide))
            elif figures[0]:
                problem = (
                    f"{session.trade_date}: expected {session.tickers} tickers and a volume of "
                    f"{session.volume}, found {figures[0]} and {figures[1]}"
                )
                done.append(Published(session.trade_date, [], 0, 0, [], 0, problem))
    yield pa.RecordBatch.from_pylist([one._asdict() for one in done], schema=_PUBLISHED)


def _write_session(
    uploads: Uploads,
    threads: ThreadPoolExecutor,
    rows: pa.Table,
    of_indices: pa.Table,
    *,
    wide: OneRowFiles | None,
) -> Published:
    """Write the files of a session, except those that are there with the same bytes.

    Without `wide`, which makes files of one row, those of the wide table stay as they are.
    """
    (trade_date,) = {str(day) for day in rows["trade_date"].unique().to_pylist()}
    day = dt.date.fromisoformat(trade_date)
    tickers = [str(ticker) for ticker in rows["ticker"].to_pylist()]
    rows = rows.select([field.name for field in COMPACT_COLUMNS]).cast(arrow.schema(COMPACT_COLUMNS))

    folder = f"{COMPACT}{trade_date}"
    folders = [folder, f"{MEMBERS}{trade_date}"]
    bodies = {f"{folder}/{REFINED_FILE}": files.parquet(rows, files.COMPACT_FILE)}
    if of_indices.num_rows:
        bodies[members.key_of(day)] = files.parquet(of_indices, files.COMPACT_FILE)
    if wide is not None:
        folders.append(f"{WIDE}{trade_date}")
        for ticker, body in zip(tickers, wide.of(rows.drop_columns(["ticker"])), strict=True):
            folder = partition_folder(f"{WIDE}{trade_date}", ["ticker"], [ticker])
            bodies[f"{folder}/{REFINED_FILE}"] = body
    there = {key: found for folder in folders for key, found in uploads.objects(f"{folder}/").items()}

    def put(key: str) -> bool:
        return uploads.put(key, bodies[key], there.get(key))

    written = sum(threads.map(put, bodies))
    stale = sorted(there.keys() - bodies.keys())
    return Published(day, tickers, written, len(bodies) - written, stale, of_indices.num_rows, "")


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
