"""A run of the job: its arguments, its batches, what is done in which order."""

from __future__ import annotations

import argparse
import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

import boto3
import pyarrow as pa
from pyspark.sql import SparkSession

from refinement import aws, log, members
from refinement.adjustment import state
from refinement.adjustment import tables as adjustment_tables
from refinement.catalog import GLUE_CALLS, Catalog, compact_table, wide_table
from refinement.columns import INDEX, PORTFOLIO_COLUMNS, QUOTE_COLUMNS
from refinement.errors import RefineError
from refinement.log import Phases
from refinement.publish import Found, finish, look, publish
from refinement.raw import Raw, batches_of_sessions, find_raw, portfolios_in_force, read_raw, traded
from refinement.retention import compact_sessions, newest, retire
from refinement.transform import Session, collected, reconcile, transform

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client


_IN_HAND = 300  # sessions of which rows are kept for the adjustment: 25 MB at B3's size


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Read the job's arguments; those that Glue adds of its own are passed over.

    Returns:
        `start_date`, `end_date` (dates, both the session's for `--trade_date`), `raw_bucket`,
        `refined_bucket`, `refined_database`, `refined_table` (the wide one's name), `compact_only` (a bool),
        `wide_sessions` (a number, 0 for no bound), `index_codes` (a list), `JOB_RUN_ID` (empty where Glue
        gives none).
    """
    parser = argparse.ArgumentParser(prog="refine", description=__doc__, allow_abbrev=False)
    parser.add_argument("--trade_date", type=dt.date.fromisoformat, metavar="YYYY-MM-DD", help="one session")
    parser.add_argument(
        "--start_date", type=dt.date.fromisoformat, metavar="YYYY-MM-DD", help="first of a range"
    )
    parser.add_argument(
        "--end_date", type=dt.date.fromisoformat, metavar="YYYY-MM-DD", help="last of a range"
    )
    parser.add_argument("--raw_bucket", required=True)
    parser.add_argument("--refined_bucket", required=True)
    parser.add_argument("--refined_database", required=True)
    parser.add_argument("--refined_table", required=True)
    parser.add_argument(
        "--compact_only", choices=("true", "false"), default="false", help="leave the wide table as it is"
    )
    parser.add_argument("--JOB_RUN_ID", default="", metavar="ID", help="Glue's own, for the log")
    parser.add_argument(
        "--wide_sessions",
        type=int,
        default=0,
        metavar="N",
        help="sessions that the wide table keeps, the newest; 0 keeps all (the default)",
    )
    parser.add_argument(
        "--index_codes",
        default=INDEX,
        metavar="CODES",
        help="indices whose members are listed, separated by commas; the rows have weights of the first",
    )
    arguments, _ = parser.parse_known_args(argv)
    arguments.index_codes = arguments.index_codes.split(",")
    dates = (
        arguments.trade_date is not None,
        arguments.start_date is not None,
        arguments.end_date is not None,
    )
    if dates not in {(True, False, False), (False, True, True)}:
        parser.error("give either --trade_date, or --start_date and --end_date")
    if arguments.wide_sessions < 0:
        parser.error(f"--wide_sessions is {arguments.wide_sessions}, expected 0 or more")
    arguments.compact_only = arguments.compact_only == "true"
    if arguments.trade_date:
        arguments.start_date = arguments.end_date = arguments.trade_date
    if arguments.start_date > arguments.end_date:
        parser.error(f"--start_date {arguments.start_date} is after --end_date {arguments.end_date}")
    return arguments


def spark_session() -> SparkSession:
    """The Spark session that Glue or the caller has made, or else a new one, set up for this job."""
    # ANSI: an overflow is an error, where Spark's default is a null
    spark = SparkSession.builder.config("spark.sql.ansi.enabled", "true").getOrCreate()
    # A session has some ten thousand lines: Spark's default, 200 tasks a shuffle, would be mostly overhead
    spark.conf.set("spark.sql.shuffle.partitions", spark.sparkContext.defaultParallelism)
    # Files, too, are looked up by as many tasks: by Spark's default it would be one for each of them
    spark.conf.set(
        "spark.sql.sources.parallelPartitionDiscovery.parallelism", spark.sparkContext.defaultParallelism
    )
    # What it would find out on its way, and plan anew by, is known: a session is a task, portfolios are small
    spark.conf.set("spark.sql.adaptive.enabled", "false")
    return spark


def main(argv: Sequence[str]) -> None:
    """Refine a session, or each session of a range.

    A range goes in batches of sessions: each is read and reconciled; then its files are written, and its
    partitions follow, while the next batch is computed. Where one fails, those before it are published whole.
    Sessions older than the wide table's bound are published in the compact one alone, and what the bound
    leaves out is taken from the wide table after them; then events and factors are made anew. With
    `--compact_only` the wide table is not touched.

    Raises:
        RefineError: There is nothing to refine, the raw files or a table are not as expected, or the rows do
            not reconcile; see the message.
    """
    arguments = parse_arguments(argv)
    log.label(arguments)
    bucket, compact_only = arguments.refined_bucket, arguments.compact_only
    bound = arguments.wide_sessions
    phases = Phases()
    s3 = aws.s3_client()
    with phases.of("search"):
        raw = find_raw(
            s3, arguments.raw_bucket, arguments.start_date, arguments.end_date, arguments.index_codes
        )
        to_be_wide = set() if compact_only else set(raw.rows)
        if bound and to_be_wide:
            to_be_wide &= newest(to_be_wide | compact_sessions(s3, bucket), bound)
    glue = boto3.client("glue", config=aws.config(GLUE_CALLS))
    of_members, *catalogs = _catalogs(glue, arguments)
    adjustment_tables.check(
        glue, database=arguments.refined_database, refined_table=arguments.refined_table, bucket=bucket
    )
    with phases.of("start"):
        spark = spark_session()

    publisher = _Publisher(s3, bucket, phases, catalogs=catalogs, of_members=of_members, count=len(raw.rows))
    done = publisher.done
    with ThreadPoolExecutor(2) as background:
        publishing: Future[None] = background.submit(lambda: None)
        try:
            for days, is_wide in _batches(raw.rows, to_be_wide):
                looking = background.submit(look, s3, raw.portfolios, bucket, days, compact_only=not is_wide)
                try:
                    rows, sessions = _refined(spark, s3, raw, days, phases)
                finally:
                    publishing.result()  # where both have failed, the former batch is the one to tell of
                publishing = background.submit(publisher.publish, rows, sessions, looking.result())
            publishing.result()
        except Exception as error:
            if not done:
                raise
            raise RefineError(
                f"{str(error).removesuffix('.')}. The sessions up to {done[-1].trade_date} are published; "
                "run the job again for those after."
            ) from error
    if bound and not compact_only:
        with phases.of("retention"):
            compact, wide = catalogs
            retire(s3, wide, compact, bucket, bound)
    with phases.of("adjustment"):
        _adjust(s3, glue, arguments, done, publisher.written)
    log.line(f"done: {log.span([session.trade_date for session in done])}; {phases}")


class _Publisher:
    """Publishes a run's sessions, batch by batch, and keeps what the adjustment needs of them.

    Args:
        s3: A client for many calls at a time.
        bucket: The refined bucket.
        phases: The run's.
        catalogs: Those of the compact and, if it is written, of the wide table.
        of_members: That of the table of members.
        count: How many sessions it has.

    Attributes:
        done: The sessions that are published.
        written: Rows of the newest of them (`state.SESSION`), by the ETags of their compact files.
    """

    def __init__(
        self,
        s3: S3Client,
        bucket: str,
        phases: Phases,
        *,
        catalogs: Sequence[Catalog],
        of_members: Catalog,
        count: int,
    ) -> None:
        self._s3, self._bucket, self._phases, self._count = s3, bucket, phases, count
        self._of_members, self._catalogs = of_members, catalogs
        self.done: list[Session] = []
        self.written: dict[str, pa.Table] = {}

    def publish(self, rows: pa.Table, sessions: Sequence[Session], found: Found) -> None:
        """Publish a batch: its files, then its partitions; what is none of its files any more goes."""
        if not self.done:
            for catalog in (self._of_members, *self._catalogs):
                catalog.prepare()
        with self._phases.of("files"):
            published = publish(rows, found)
        catalogs = self._catalogs[:1] if found.compact_only else self._catalogs
        finish(
            self._s3,
            self._bucket,
            published,
            self._phases,
            catalogs=catalogs,
            of_members=self._of_members,
        )
        for one in published:
            self.written[one.etag] = one.rows.select(state.SESSION.names).cast(state.SESSION)
        for etag in [*self.written][:-_IN_HAND]:
            del self.written[etag]
        self.done.extend(sessions)
        if self._count > len(sessions):
            log.line(f"{len(self.done):,} of {self._count:,} sessions")


def _catalogs(glue: GlueClient, arguments: argparse.Namespace) -> list[Catalog]:
    """Catalogs of the table of members, of the compact and, if it is to be written, of the wide table.

    Raises:
        RefineError: A table is there that is not the job's.
    """
    name, bucket, joined = arguments.refined_table, arguments.refined_bucket, arguments.index_codes[0]
    tables = [members.members_table(name, bucket), compact_table(name, bucket, joined)]
    if not arguments.compact_only:
        tables.append(wide_table(name, bucket, arguments.wide_sessions, joined))
    catalogs = [Catalog(glue, database=arguments.refined_database, table=table) for table in tables]
    for catalog in catalogs:
        catalog.check()
    return catalogs


def _adjust(
    s3: S3Client,
    glue: GlueClient,
    arguments: argparse.Namespace,
    done: Sequence[Session],
    written: Mapping[str, pa.Table],
) -> None:
    """Make events and factors anew, now that sessions are published.

    Raises:
        RefineError: They were not; the sessions stay published.
    """
    try:
        made = state.refresh(
            s3, raw_bucket=arguments.raw_bucket, refined_bucket=arguments.refined_bucket, written=written
        )
        adjustment_tables.prepare(
            glue,
            database=arguments.refined_database,
            refined_table=arguments.refined_table,
            bucket=arguments.refined_bucket,
            index=arguments.index_codes[0],
        )
    except Exception as error:
        published = log.span([session.trade_date for session in done])
        raise RefineError(
            f"{str(error).removesuffix('.')}. The sessions are published, {published}; "
            "events and factors are as before, or one of the two: run the job again for one of these."
        ) from error
    by_status = Counter(made.events["status"].to_pylist())
    counts = ", ".join(f"{count:,} {status}" for status, count in sorted(by_status.items())) or "none"
    log.line(f"events of corporate actions: {counts}; {made.spans.num_rows:,} spans with factors")


def _batches(quotes: Mapping[dt.date, int], to_be_wide: Set[dt.date]) -> Iterator[tuple[list[dt.date], bool]]:
    """The batches of a run's sessions, and whether they go to both tables or to the compact one alone."""
    for is_wide in (False, True):  # by date: what is not to be wide is older than what is
        some = {day: count for day, count in quotes.items() if (day in to_be_wide) is is_wide}
        if some:
            yield from ((days, is_wide) for days in batches_of_sessions(some))


def _refined(
    spark: SparkSession, s3: S3Client, raw: Raw, days: Sequence[dt.date], phases: Phases
) -> tuple[pa.Table, list[Session]]:
    """The refined rows of some sessions, reconciled, and what the sessions add up to.

    They are in this process, which is to write them: a batch's are a tenth of its quotes.
    """
    paths = {day: raw.quotes[day] for day in days}
    with phases.of("rows"), ThreadPoolExecutor(1) as beside:
        summing = beside.submit(traded, s3, paths)
        quotes = read_raw(spark, [*paths.values()], f"{raw.root}/cotahist", "trade_date", QUOTE_COLUMNS)
        joined = portfolios_in_force(next(iter(raw.portfolios.values())), days[0], days[-1])
        portfolios = read_raw(
            spark,
            [*joined.values()],
            f"{raw.root}/index_portfolio",
            "portfolio_date",
            PORTFOLIO_COLUMNS,
        )
        dates = [*map(dt.date.fromisoformat, joined)]

        def made(repeating: Sequence[dt.date]) -> pa.Table:
            return collected(transform(quotes, portfolios, dates, repeating, is_one_session=len(days) == 1))

        # While the lines are summed, as if no session of B3's had repeated a series: none is known that has
        rows = made([])
        sums = summing.result()
        if repeating := [day for day in days if sums[day]["repeats"]]:
            log.line(f"an option series more than once, which counts once: {log.span(repeating)}")
            rows = made(repeating)
        sessions = reconcile(sums, rows)
    log.line(
        f"{log.span(days)}  {sum(session.lines for session in sessions):,} quotes make "
        f"{sum(session.tickers for session in sessions):,} rows, volume {log.volumes(sessions)}"
    )
    return rows, sessions
