"""The members of indices in each session: weights and sectors of the portfolio in force, as B3 published it.

A session is joined as the refined rows are to the first index: to the newest portfolio dated on or before
it. Every member is there, also one that did not trade, which then has no ISIN.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lake.keys import MEMBERS, MEMBERS_FOLDER, REFINED_FILE
from lake.names import members_table as name_of
from refinement import arrow, aws, files, log
from refinement.catalog import Catalog, Table
from refinement.columns import MEMBER_COLUMNS, MEMBER_KEYS, PORTFOLIO_COLUMNS, Field
from refinement.raw import find_portfolios, portfolios_in_force

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

_SCHEMA = arrow.schema(MEMBER_COLUMNS)
_PORTFOLIO = arrow.schema(Field(name, kind, "") for name, kind in PORTFOLIO_COLUMNS.items())

Portfolios = Mapping[str, Mapping[dt.date, pa.Table]]
"""Of each index its portfolios, `PORTFOLIO_COLUMNS`, by date."""


def members_table(refined_table: str, bucket: str) -> Table:
    """The table of members, of the refined table's name."""
    return Table(
        name=name_of(refined_table),
        location=f"s3://{bucket}/{MEMBERS_FOLDER}",
        description="One row per session, index and member, of the newest portfolio up to the session. "
        "Sessions without a portfolio have none.",
        columns=MEMBER_COLUMNS,
        keys=MEMBER_KEYS,
    )


def read(
    s3: S3Client, portfolios: Mapping[str, Mapping[str, str]], first: dt.date, last: dt.date
) -> Portfolios:
    """Read the portfolios that sessions of a range may need.

    Args:
        s3: A client for many calls at a time.
        portfolios: The files of each index, `s3://` paths by date.
        first: The first session.
        last: The last one.
    """

    def rows(path: str) -> pa.Table:
        bucket, _, key = path.removeprefix("s3://").partition("/")
        table = pq.ParquetFile(pa.BufferReader(aws.read(s3, bucket, key))).read(columns=_PORTFOLIO.names)
        return table.select(_PORTFOLIO.names).cast(_PORTFOLIO)

    found = {}
    for index, dated in portfolios.items():
        wanted = portfolios_in_force(dated, first, last)
        tables = aws.in_parallel(rows, wanted.values(), aws.CALLS)
        found[index] = {dt.date.fromisoformat(day): table for day, table in zip(wanted, tables, strict=True)}
    return found


def of_session(session: dt.date, rows: pa.Table, portfolios: Portfolios) -> pa.Table:
    """The members of indices in a session.

    Args:
        session: The session.
        rows: Its refined rows: `ticker` and `isin`.
        portfolios: Those of each index, in the order in which the indices are to stand.

    Returns:
        `MEMBER_COLUMNS`, by index and then by ticker.
    """
    parts = []
    for dated in portfolios.values():
        date = max((day for day in dated if day <= session), default=None)
        if date is None:
            continue
        members = dated[date].sort_by("ticker")
        isin = rows["isin"].take(pc.index_in(members["ticker"], value_set=rows["ticker"].combine_chunks()))
        values: dict[str, Any] = {
            **dict(zip(members.column_names, members.columns, strict=True)),
            "isin": isin,
            "portfolio_date": pa.repeat(pa.scalar(date), len(members)),
            "portfolio_age_days": pa.repeat(pa.scalar((session - date).days, pa.int32()), len(members)),
        }
        parts.append(pa.table({name: values[name] for name in _SCHEMA.names}).cast(_SCHEMA))
    return pa.concat_tables([_SCHEMA.empty_table(), *parts]).combine_chunks()


def key_of(session: dt.date) -> str:
    """The key of the members of a session."""
    return f"{MEMBERS}{session}/{REFINED_FILE}"


def publish(
    s3: S3Client,
    glue: GlueClient,
    sessions: Mapping[dt.date, pa.Table],
    *,
    raw_bucket: str,
    refined_bucket: str,
    refined_database: str,
    refined_table: str,
    indices: Iterable[str],
) -> None:
    """Write the members of some sessions, and let the catalog follow.

    What the visual job does in a node of its own; the script does it as it writes each session's rows.

    Args:
        s3: A client for many calls at a time.
        glue: A client.
        sessions: Of each session its refined rows: `ticker` and `isin`.
        raw_bucket: The bucket with the portfolios.
        refined_bucket: The bucket for the members.
        refined_database: The database of the refined tables.
        refined_table: Name of the wide one.
        indices: The indices.

    Raises:
        RefineError: The table that is there is not the job's.
    """
    table = members_table(refined_table, refined_bucket)
    catalog = Catalog(glue, database=refined_database, table=table)
    catalog.check()
    found = find_portfolios(s3, raw_bucket, indices)
    portfolios = read(s3, found, min(sessions), max(sessions))
    with_members = []
    stale: list[str] = []
    for session, rows in sessions.items():
        there = {
            item["Key"]: (item["Size"], item["ETag"])
            for item in aws.objects(s3, refined_bucket, f"{MEMBERS}{session}/")
        }
        members = of_session(session, rows, portfolios)
        if members.num_rows:
            body = files.parquet(members, files.COMPACT_FILE)
            files.put(s3, refined_bucket, key_of(session), body, there.pop(key_of(session), None))
            with_members.append((str(session), ""))
        stale += there
    catalog.prepare()
    catalog.synchronise(with_members, sessions=map(str, sessions))
    for key in stale:
        s3.delete_object(Bucket=refined_bucket, Key=key)
    log.line(f"members of indices in {len(with_members):,} of {len(sessions):,} sessions")
