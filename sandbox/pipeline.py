"""The pipeline, seen from outside: its schedule is fired once, then it is watched through AWS's own APIs.

Nothing here starts a stage but the first. The scraper writes to the raw bucket, the bucket's notification
invokes the starter, the starter starts the Glue job, and the job writes and catalogues: what this module does
is to look whether that has happened, and to ask Athena.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote

import boto3
from botocore.config import Config

from lake import keys
from operating.range_run import FAILED, SUCCEEDED
from sandbox.console import first_line
from sandbox.deploy import Deployment

if TYPE_CHECKING:
    from mypy_boto3_glue.type_defs import JobRunTypeDef

_POLL_SECONDS = 0.2
_QUERY_POLL_SECONDS = 0.05  # at first, as most queries take no longer
_EVENT_SECONDS = 60
"""How long the way from a raw object to a job run may take, with the retries of the function in between."""


_T = TypeVar("_T")

Partition = tuple[date, str]
"""A session and a ticker."""

Sums = dict[date, tuple[int, Decimal]]
"""Of each session its quotes and their volume [BRL]."""


class StageError(RuntimeError):
    """A stage of the pipeline failed, or did not do what it should; the message says which and how.

    Args:
        message: What was wrong and what to do, in one paragraph.
        details: What was said besides, for a log.
    """

    def __init__(self, message: str, *, details: str = "") -> None:
        super().__init__(message)
        self.details = details


class ScraperFailedError(StageError):
    """The scraper's run ended as failed.

    Args:
        message: Its own message.
        files: Its summary of each file that it came to, as it has logged it.
        details: What it has logged.
    """

    def __init__(self, message: str, *, files: Sequence[dict[str, Any]], details: str) -> None:
        super().__init__(message, details=details)
        self.files = list(files)

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The files that failed or were refused."""
        return [file for file in self.files if file["outcome"] in {"failed", "invalid", "refused"}]


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """The schedule as it was deployed.

    Attributes:
        expression: When it fires, such as `cron(0 7,9,11 * * ? *)`.
        time_zone: In which time zone.
        target: ARN of the function that it invokes.
        input: What it invokes it with, the scheduled time not yet filled in.
    """

    expression: str
    time_zone: str
    target: str
    input: str

    def input_at(self, scheduled: datetime) -> str:
        """The input of a firing that was scheduled for that instant (UTC)."""
        return self.input.replace("<aws.scheduler.scheduled-time>", f"{scheduled:%Y-%m-%dT%H:%M:%SZ}")


@dataclass(frozen=True, kw_only=True)
class JobRun:
    """A run of the Glue job: its id, what it was started for, its state, and why it failed.

    Attributes:
        trade_date: The session that it was started for; empty for a range.
        arguments: The same as the run's arguments have it, such as `--trade_date 2026-11-19`.
    """

    id: str
    trade_date: str
    arguments: str
    state: str
    message: str
    seconds: int

    @property
    def has_ended(self) -> bool:
        """Whether it will not change any more."""
        return self.state == SUCCEEDED or self.state in FAILED


@dataclass(frozen=True, kw_only=True)
class QueryResult:
    """What Athena answered: columns with their types, rows as text, None for a null."""

    columns: list[tuple[str, str]]
    rows: list[list[str | None]]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What a session adds up to; volumes in BRL.

    Attributes:
        quotes: Rows of the raw table.
        raw_volume: Their volume.
        tickers: Rows of the refined table.
        lines: Quotes behind those rows.
        volume: Their volume.
        compact: Rows of the compact table, quotes behind them, and their volume.
    """

    quotes: int
    raw_volume: Decimal
    tickers: int
    lines: int
    volume: Decimal
    compact: tuple[int, int, Decimal]

    @property
    def agree(self) -> bool:
        """Whether nothing was lost or doubled on the way."""
        raw, wide = (self.quotes, self.raw_volume), (self.lines, self.volume)
        return raw == wide and self.compact == (self.tickers, *wide)


class Pipeline:
    """The deployed pipeline.

    Args:
        deployment: The names of what was deployed. Addresses and credentials come from the environment.
    """

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self._s3 = boto3.client("s3")
        self._glue = boto3.client("glue")
        self._athena = boto3.client("athena")
        self._scheduler = boto3.client("scheduler")
        self._sqs = boto3.client("sqs")
        self._logs = boto3.client("logs")
        # An invocation may take minutes, and must not be repeated behind our back
        patient = Config(read_timeout=900, retries={"total_max_attempts": 1})
        self._lambda = boto3.client("lambda", config=patient)

    def schedule(self) -> Schedule:
        """Read the schedule."""
        found = self._scheduler.get_schedule(Name=self.deployment.schedule_name)
        return Schedule(
            expression=found["ScheduleExpression"],
            time_zone=found["ScheduleExpressionTimezone"],
            target=found["Target"]["Arn"],
            input=found["Target"]["Input"],
        )

    def fire(self, schedule: Schedule, scheduled: datetime) -> list[dict[str, Any]]:
        """Invoke the schedule's target with its input, as EventBridge Scheduler would at that time.

        It waits for the answer, which the Scheduler does not, so that the answer can be shown.

        Returns:
            The scraper's summary of each file (see `scraper.daily.handler.handler`).

        Raises:
            ScraperFailedError: The function failed.
        """
        began = int(time.time() * 1000)
        answer = self._lambda.invoke(
            FunctionName=schedule.target, Payload=schedule.input_at(scheduled).encode()
        )
        payload = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            lines = self._logged(schedule.target, since=began)
            raise ScraperFailedError(
                str(payload.get("errorMessage", payload)), files=_summaries(lines), details="\n".join(lines)
            )
        summaries: list[dict[str, Any]] = payload
        return summaries

    def _logged(self, function: str, *, since: int) -> list[str]:
        """What a function has logged since then (milliseconds of Unix time)."""
        settings = self._lambda.get_function_configuration(FunctionName=function)
        pages = self._logs.get_paginator("filter_log_events").paginate(
            logGroupName=settings["LoggingConfig"]["LogGroup"], startTime=since
        )
        return [event["message"] for page in pages for event in page["events"]]

    def raw_size(self, key: str) -> int:
        """The bytes of an object of the raw bucket."""
        return self._s3.head_object(Bucket=self.deployment.raw_bucket, Key=key)["ContentLength"]

    def raw_sessions(self, file: str = r"\w+") -> set[date]:
        """The sessions in the raw bucket, or those in a file of that name, such as `daily`."""
        pattern = re.compile(rf"{keys.SESSIONS}(\d{{4}}-\d{{2}}-\d{{2}})/{file}\.parquet")
        found = self._keys(self.deployment.raw_bucket, keys.COTAHIST)
        return {date.fromisoformat(match[1]) for key in found if (match := pattern.fullmatch(key))}

    def portfolio_dates(self) -> set[date]:
        """The dates of the portfolios in the raw bucket of the index whose weights the rows have."""
        found = self._keys(self.deployment.raw_bucket, keys.INDEX_PORTFOLIO)
        return {
            date.fromisoformat(match[1])
            for key in found
            if (match := keys.PORTFOLIO_KEY.fullmatch(key)) and match[2] == self.deployment.joined_index
        }

    def unrefined(self, sessions: Collection[date]) -> tuple[set[date], set[date]]:
        """What an interrupted run has left: sessions of the raw bucket that the job has not finished.

        Such a session has no file in the compact table, or one that the catalog does not have; or folders of
        the wide table that the catalog does not have; or, if it is one of `sessions`, no such folder.

        Returns:
            Those of the daily path, and those of history, which belong into the compact table alone.
        """
        raw, daily = self.raw_sessions(), self.raw_sessions("daily")
        folders = self.refined_folders()
        unregistered = {session for session, _ in folders - self.registered_partitions()}
        no_folder = {*sessions} - {session for session, _ in folders}
        compact = {*self.compact_sessions()} & {*self.registered_sessions()}
        unfinished = raw - compact | (unregistered | no_folder) & daily
        return unfinished & daily, unfinished - daily

    def start_job(self, first: date, last: date | None = None) -> str:
        """Start the job for a session as its arrival does, or for a range into the compact table alone.

        Returns:
            The run's id.
        """
        days = {"--start_date": str(first), "--end_date": str(last), "--compact_only": "true"}
        return self._glue.start_job_run(
            JobName=self.deployment.glue_job_name,
            Arguments=days if last else {"--trade_date": str(first)},
            JobRunQueuingEnabled=True,
        )["JobRunId"]

    def job_nodes(self) -> int:
        """How many nodes the graph of the Glue job has; none if the job is a script."""
        job = self._glue.get_job(JobName=self.deployment.glue_job_name)["Job"]
        return len(job.get("CodeGenConfigurationNodes", {}))

    def job_runs(self) -> list[JobRun]:
        """Every run of the Glue job so far."""
        pages = self._glue.get_paginator("get_job_runs").paginate(JobName=self.deployment.glue_job_name)
        return [_job_run(run) for page in pages for run in page["JobRuns"]]

    def watch_job_runs(
        self,
        sessions: Sequence[date],
        before: Sequence[JobRun],
        seen: Callable[[JobRun], None] = lambda _run: None,
    ) -> list[JobRun]:
        """Wait until the events have started a job run for each session and every run has ended.

        Args:
            sessions: The sessions whose raw objects are new.
            before: The runs that there were before them.
            seen: Is told of each new run whenever it is looked at.

        Returns:
            The new runs of those sessions, all ended, whatever their outcome.

        Raises:
            StageError: No run was started for a session; the message tells what the dead-letter queue holds.
        """
        old = {run.id for run in before}
        wanted = {session.isoformat() for session in sessions}
        deadline = time.monotonic() + _EVENT_SECONDS
        while True:
            runs = [run for run in self.job_runs() if run.id not in old and run.trade_date in wanted]
            for run in runs:
                seen(run)
            missing = wanted - {run.trade_date for run in runs}
            if not missing and all(run.has_ended for run in runs):
                return runs
            if missing and time.monotonic() > deadline:
                raise StageError(
                    f"no job run was started for {', '.join(sorted(missing))} within {_EVENT_SECONDS} s of "
                    "the raw object; run the same command again, which starts it",
                    details=self._dead_letters(),
                )
            time.sleep(_POLL_SECONDS)

    def watch(self, run_id: str, seen: Callable[[JobRun], None] = lambda _run: None) -> JobRun:
        """Wait until a job run has ended; `seen` is told of it whenever it is looked at."""
        job = self.deployment.glue_job_name
        while True:
            run = _job_run(self._glue.get_job_run(JobName=job, RunId=run_id)["JobRun"])
            seen(run)
            if run.has_ended:
                return run
            time.sleep(_POLL_SECONDS)

    def refined_folders(self) -> set[Partition]:
        """The folders under `refined/` that hold a Parquet file."""
        found = self._keys(self.deployment.refined_bucket, "refined/")
        matches = (keys.WIDE_KEY.fullmatch(key) for key in found)
        return {(date.fromisoformat(match[1]), unquote(match[2])) for match in matches if match}

    def compact_sessions(self) -> list[date]:
        """The session of each Parquet file under `refined_compact/`, sorted."""
        found = self._keys(self.deployment.refined_bucket, keys.COMPACT)
        return sorted(
            date.fromisoformat(match[1]) for key in found if (match := keys.COMPACT_KEY.fullmatch(key))
        )

    def registered_partitions(self) -> set[Partition]:
        """The partitions of the refined table in the Glue Data Catalog; none if there is no table."""
        partitions = self._partitions(self.deployment.refined_table)
        return {(date.fromisoformat(trade_date), ticker) for trade_date, ticker in partitions}

    def registered_sessions(self) -> list[date]:
        """The partitions of the compact table, sorted; none if there is no table."""
        partitions = self._partitions(self.deployment.refined_compact_table)
        return sorted(date.fromisoformat(trade_date) for (trade_date,) in partitions)

    def _partitions(self, table: str) -> list[list[str]]:
        pages = self._glue.get_paginator("get_partitions").paginate(
            DatabaseName=self.deployment.refined_database, TableName=table, ExcludeColumnSchema=True
        )
        try:
            return [partition["Values"] for page in pages for partition in page["Partitions"]]
        except self._glue.exceptions.EntityNotFoundException:
            return []

    def named_queries(self) -> list[tuple[str, str]]:
        """Name and SQL of the workgroup's named queries, by name."""
        ids: list[str] = []
        for page in self._athena.get_paginator("list_named_queries").paginate(
            WorkGroup=self.deployment.work_group
        ):
            ids += page["NamedQueryIds"]
        queries = [self._athena.get_named_query(NamedQueryId=query)["NamedQuery"] for query in ids]
        return sorted((query["Name"], query["QueryString"]) for query in queries)

    def query(self, sql: str) -> QueryResult:
        """Run a query in the pipeline's workgroup and wait for its result (the first thousand rows).

        Raises:
            StageError: Athena could not run it; the message has Athena's reason and the query.
        """
        execution = self._athena.start_query_execution(
            QueryString=sql,
            WorkGroup=self.deployment.work_group,
            QueryExecutionContext={"Database": self.deployment.refined_database},
        )["QueryExecutionId"]
        pause = _QUERY_POLL_SECONDS
        while True:
            status = self._athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                break
            if status["State"] in {"FAILED", "CANCELLED"}:
                reason = status.get("StateChangeReason", status["State"])
                raise StageError(f"Athena: {first_line(reason)}", details=f"{reason}\nThe query was:\n{sql}")
            time.sleep(pause)
            pause = min(2 * pause, _POLL_SECONDS)
        result = self._athena.get_query_results(QueryExecutionId=execution, MaxResults=1000)["ResultSet"]
        columns = [(column["Name"], column["Type"]) for column in result["ResultSetMetadata"]["ColumnInfo"]]
        _header, *rows = ([datum.get("VarCharValue") for datum in row["Data"]] for row in result["Rows"])
        return QueryResult(columns=columns, rows=rows)

    def totals(self, session: date) -> Totals:
        """What a session adds up to, as Athena sees it in the raw and in the two refined tables."""
        names = self.deployment
        database = f'"{names.refined_database}"'
        of_session = f"WHERE trade_date = DATE '{session}'"

        def add_up(table: str, lines: str, volume: str) -> tuple[int, int, Decimal]:
            sql = f"SELECT count(*), {lines}, sum({volume}) FROM {table} {of_session}"  # noqa: S608 - our own names
            count, line_count, total = self.query(sql).rows[0]
            return int(count or 0), int(line_count or 0), Decimal(total or 0)

        (quotes, _, raw_volume), wide, compact = _at_once(
            partial(add_up, f'"{names.raw_database}"."cotahist"', "count(*)", "voltot"),
            partial(add_up, f'{database}."{names.refined_table}"', "sum(lines)", "volume"),
            partial(add_up, f'{database}."{names.refined_compact_table}"', "sum(lines)", "volume"),
        )
        return Totals(
            quotes=quotes,
            raw_volume=raw_volume,
            tickers=wide[0],
            lines=wide[1],
            volume=wide[2],
            compact=compact,
        )

    def first_level(self, index: str) -> date | None:
        """The first session of which the raw table has a level of an index, as Athena sees it."""
        table = f'"{self.deployment.raw_database}"."index_level"'
        sql = f"SELECT min(trade_date) FROM {table} WHERE index_code = '{index}'"  # noqa: S608 - our own names
        ((first,),) = self.query(sql).rows
        return date.fromisoformat(first) if first else None

    def sums_by_session(self, first: date, last: date) -> tuple[Sums, Sums]:
        """What each session of a range adds up to in the raw and in the compact table, as Athena sees it."""
        names = self.deployment
        between = f"WHERE trade_date BETWEEN DATE '{first}' AND DATE '{last}' GROUP BY trade_date"

        def add_up(table: str, lines: str, volume: str) -> Sums:
            sql = f"SELECT trade_date, {lines}, sum({volume}) FROM {table} {between}"  # noqa: S608 - our own names
            return {
                date.fromisoformat(str(session)): (int(count or 0), Decimal(total or 0))
                for session, count, total in self.query(sql).rows
            }

        compact = f'"{names.refined_database}"."{names.refined_compact_table}"'
        raw, refined = _at_once(
            partial(add_up, f'"{names.raw_database}"."cotahist"', "count(*)", "voltot"),
            partial(add_up, compact, "sum(lines)", "volume"),
        )
        return raw, refined

    def _keys(self, bucket: str, prefix: str) -> Iterator[str]:
        for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            yield from (item["Key"] for item in page.get("Contents", []))

    def _dead_letters(self) -> str:
        received = self._sqs.receive_message(
            QueueUrl=self.deployment.dead_letter_queue, MaxNumberOfMessages=10
        )
        bodies = [message["Body"] for message in received.get("Messages", [])]
        return f"on the dead-letter queue: {bodies}" if bodies else "the dead-letter queue is empty"


def _at_once(*actions: Callable[[], _T]) -> list[_T]:
    """What each action gives, done beside one another, as most of a query is to wait for its end."""
    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(lambda action: action(), actions))


def _job_run(run: JobRunTypeDef) -> JobRun:
    """A run as Glue tells of it."""
    arguments = run.get("Arguments", {})
    return JobRun(
        id=run["Id"],
        trade_date=arguments.get("--trade_date", ""),
        arguments=_told(arguments),
        state=run["JobRunState"],
        message=run.get("ErrorMessage", ""),
        seconds=run.get("ExecutionTime", 0),
    )


def _told(arguments: Mapping[str, str]) -> str:
    """Which sessions a job run is for, as its arguments say it; those of the job itself are left out."""
    names = ("--trade_date", "--start_date", "--end_date", "--compact_only")
    return " ".join(f"{name} {arguments[name]}" for name in names if name in arguments)


def _summaries(lines: Iterable[str]) -> list[dict[str, Any]]:
    """The scraper's summaries of files among its log's lines (see `scraper.daily.handler`)."""
    summaries = []
    for line in lines:
        try:
            logged = json.loads(line)
        except ValueError:
            continue
        if isinstance(logged, dict) and isinstance(logged.get("result"), dict):
            summaries.append(logged["result"])
    return summaries
