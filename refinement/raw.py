"""The raw files that the sessions of a range need: found, checked, read, divided into batches."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.exceptions import ClientError
from pyspark.sql import DataFrame, SparkSession

from lake import keys
from refinement import arrow, aws, expressions, log
from refinement.columns import PORTFOLIO_COLUMNS, QUOTE_COLUMNS
from refinement.errors import RefineError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# A batch of sessions takes as many quotes as this; or sessions, where they are small
_BATCH_QUOTES = 400_000
_BATCH_SESSIONS = 250
_FOOTER_PORTION = 1000  # files after which the log tells how far it is
_FOOTER_BYTES = 64 * 1024  # more than the footer of any raw file


def find_quotes(s3: S3Client, bucket: str, first: dt.date, last: dt.date) -> dict[dt.date, str]:
    """The raw quotes of each session of a range, by date, oldest first: `s3://` paths.

    A session has one file: `daily.parquet`, or `backfill.parquet`. For a moment, while the writer replaces
    one by the other, it has both: then it is the daily one, which is what B3 published for that session.

    Raises:
        RefineError: The range has none. In a range of several days, those without one are non-sessions.
    """
    days = {str(day): day for day in (first + dt.timedelta(n) for n in range((last - first).days + 1))}
    found: dict[dt.date, str] = {}
    for date, item in aws.objects_of(s3, bucket, keys.SESSIONS, first, last):
        if keys.SESSION_KEY.fullmatch(item["Key"]) and date in days:
            found[days[date]] = item["Key"]  # by key, the backfill comes before the daily file
    if not found:
        folder = f"s3://{bucket}/{keys.SESSIONS}"
        wanted = f"{folder}{first}/" + (f" to {folder}{last}/" if last != first else "")
        raise RefineError(
            f"no raw quotes: expected daily.parquet or backfill.parquet in {wanted}. Ingest the session "
            f"first (python -m scraper ingest --date {first}); if B3 was closed on that day, there is "
            "nothing to refine."
        )
    missing = [name for name, day in days.items() if day not in found]
    if missing:
        log.line(f"no raw quotes, so taken for days without a session: {log.listed(missing, 'days')}")
    return {day: f"s3://{bucket}/{key}" for day, key in sorted(found.items())}


def find_portfolios(s3: S3Client, bucket: str, indices: Iterable[str]) -> dict[str, dict[str, str]]:
    """The raw portfolios of indices, in their order, oldest first: `s3://` paths by date, as in the path."""
    found: dict[str, dict[str, str]] = {index: {} for index in indices}
    for item in aws.objects(s3, bucket, keys.PORTFOLIOS):
        name = keys.PORTFOLIO_KEY.fullmatch(item["Key"])
        if name and name[2] in found:
            found[name[2]][name[1]] = f"s3://{bucket}/{item['Key']}"
    return found


def portfolios_in_force(portfolios: Mapping[str, str], first: dt.date, last: dt.date) -> dict[str, str]:
    """Those of the portfolios that sessions of a range may need, oldest first.

    They are the ones dated within the range, and the newest one up to its first day.
    """
    begin = max((date for date in portfolios if date <= str(first)), default=str(first))
    return {date: path for date, path in portfolios.items() if begin <= date <= str(last)}


def count_rows(s3: S3Client, paths: Sequence[str], columns: Mapping[str, str]) -> list[int]:
    """How many rows each raw Parquet file has, from its last bytes; and that it has the columns.

    Spark on its own takes the first file's schema for all, and fails in the midst of the others.

    Args:
        s3: A client for many calls at a time.
        paths: The files, `s3://` paths.
        columns: The columns that a file must have, and their types.

    Raises:
        RefineError: A file is no Parquet, lacks one of the columns, or has it with another type.
    """

    def count(path: str) -> int:
        footer = _footer(s3, path)
        if problems := arrow.differences(footer.schema.to_arrow_schema(), columns):
            raise RefineError(
                f"{path} does not have the raw table's schema: {'; '.join(problems)}. "
                "Nothing was written. Ingest it again with this version of the scraper."
            )
        return int(footer.num_rows)

    counts: list[int] = []
    for portion in aws.portions(paths, _FOOTER_PORTION):
        counts += aws.in_parallel(count, portion, aws.CALLS)
        if len(paths) > _FOOTER_PORTION:
            log.line(f"{len(counts):,} of {len(paths):,} raw files have the columns that they should")
    return counts


def _footer(s3: S3Client, path: str) -> pq.FileMetaData:
    bucket, _, key = path.removeprefix("s3://").partition("/")
    try:
        return pq.read_metadata(pa.BufferReader(aws.read(s3, bucket, key, last=_FOOTER_BYTES)))
    except (ClientError, pa.ArrowInvalid) as error:
        # S3 has no last bytes of an empty object
        if isinstance(error, ClientError) and error.response["Error"]["Code"] != "InvalidRange":
            raise
        raise RefineError(
            f"{path} cannot be read as Parquet: {error}. Nothing was written. Ingest it again."
        ) from error


def traded(s3: S3Client, paths: Mapping[dt.date, str]) -> dict[dt.date, dict[str, Any]]:
    """What the raw lines of each session add up to (`added_up`), by another reader than Spark's.

    Args:
        s3: A client for many calls at a time.
        paths: The sessions' files, `s3://` paths.
    """

    def sums(path: str) -> dict[str, Any]:
        bucket, _, key = path.removeprefix("s3://").partition("/")
        return added_up(pa.BufferReader(aws.read(s3, bucket, key)))

    return dict(zip(paths, aws.in_parallel(sums, paths.values(), aws.CALLS), strict=True))


def added_up(file: Any) -> dict[str, Any]:
    """What the lines of a session's raw Parquet file add up to.

    Returns:
        `volume` and `lines`; and `repeats`, whether there is an option series of which it has more than one.
    """
    lines: Any = pq.ParquetFile(file).read(columns=["voltot", "tpmerc", "codneg"])
    series = lines["codneg"].filter(pc.is_in(lines["tpmerc"], pa.array(expressions.OPTIONS)))
    return {
        "volume": pc.sum(lines["voltot"]).as_py(),
        "lines": lines.num_rows,
        "repeats": pc.count_distinct(series).as_py() < len(series),
    }


class Raw(NamedTuple):
    """The raw files of a range.

    Attributes:
        root: The folder of the raw tables, an `s3://` path.
        quotes: The file of each session.
        rows: How many quotes each session has.
        portfolios: The files of each index's portfolios, by date; those of the first are joined to the rows.
    """

    root: str
    quotes: dict[dt.date, str]
    rows: dict[dt.date, int]
    portfolios: dict[str, dict[str, str]]


def find_raw(s3: S3Client, bucket: str, first: dt.date, last: dt.date, indices: Sequence[str]) -> Raw:
    """Find the raw files that the sessions of a range need, and check that they can be refined.

    Args:
        s3: A client for many calls at a time.
        bucket: The raw bucket.
        first: The first day of the range.
        last: The last one.
        indices: The indices whose portfolios are needed.

    Raises:
        RefineError: There are none, one has no quotes, or not the columns that the job relies on.
    """
    quotes = find_quotes(s3, bucket, first, last)
    found = find_portfolios(s3, bucket, indices)
    portfolios = {index: portfolios_in_force(dated, first, last) for index, dated in found.items()}
    paths = [path for dated in portfolios.values() for path in dated.values()]
    log.line(f"reading {log.listed([*quotes.values(), *paths], 'files')}")
    rows = dict(zip(quotes, count_rows(s3, [*quotes.values()], QUOTE_COLUMNS), strict=True))
    without_quotes = [day for day, count in rows.items() if not count]
    if without_quotes:
        raise RefineError(f"{quotes[without_quotes[0]]} holds no quotes, expected some; nothing was written")
    count_rows(s3, paths, PORTFOLIO_COLUMNS)
    return Raw(f"s3://{bucket}/raw", quotes, rows, portfolios)


def read_raw(
    spark: SparkSession, paths: Sequence[str], root: str, partition_key: str, columns: Mapping[str, str]
) -> DataFrame:
    """Read raw Parquet files of a partitioned table.

    Args:
        spark: The session.
        paths: The files, `<root>/<partition_key>=YYYY-MM-DD/<name>.parquet`.
        root: The table's folder.
        partition_key: The table's partition key, a date.
        columns: The columns to read, and the types that they have.
    """
    kinds = {**columns, partition_key: "date"}
    if not paths:
        # Of no rows of Python's Spark would ask a Python process; that this has none it knows from its plan
        return (
            spark.range(0)
            .where("false")
            .selectExpr(*(f"CAST(NULL AS {kind}) AS {name}" for name, kind in kinds.items()))
        )
    schema = ", ".join(f"{name} {kind}" for name, kind in kinds.items())
    return spark.read.schema(schema).option("basePath", root).parquet(*paths)


def batches_of_sessions(quotes: Mapping[dt.date, int]) -> Iterator[list[dt.date]]:
    """Divide sessions, with their numbers of quotes, into batches that are worked on one after another."""
    batch: list[dt.date] = []
    for session in sorted(quotes):
        total = sum(quotes[other] for other in batch) + quotes[session]
        if batch and (total > _BATCH_QUOTES or len(batch) == _BATCH_SESSIONS):
            yield batch
            batch = []
        batch.append(session)
    yield batch
