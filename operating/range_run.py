"""One run of the Glue job for all sessions that were loaded, instead of one a session.

Which sessions are to be refined is in the manifests, so that what an interruption left unrefined is in the
next run's range. A run that was started and not waited for is looked up before another one is started.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Literal

from scraper.b3.errors import ScraperError
from scraper.history.span import Span

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import JobRunTypeDef

    from scraper.history.backfill import Manifest
    from scraper.raw.bucket import RawBucket

WORKER_TYPE: Literal["G.1X"] = "G.1X"
START_SECONDS = 60
"""Assumed, from the start of a run to its first file: Glue's start-up and Spark's."""
WIDE_FILES_A_SECOND = 100
"""Assumed: ticker files that a run writes and registers in a second. The driver does, beside the workers."""
COMPACT_SESSIONS_A_SECOND = 2
"""Assumed: sessions that a worker refines into their compact files in a second."""
MINUTES_A_WORKER = 15
"""Work for which the run gets one more worker."""
MOST_WORKERS = 10
POLL_SECONDS = 0.5
"""From one look at a run to the next."""
SLACK = 3
"""A run may take so many times its estimate before it is stopped: the figures above are no measurement of
Glue, and a run that is stopped has to begin again."""
LEAST_TIMEOUT_MINUTES = 30
MOST_TIMEOUT_MINUTES = 2880

_RUNS_A_PAGE = 200  # the most that Glue answers with

FAILED = frozenset({"FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"})
"""Glue's states of a run that has ended and did not succeed."""
SUCCEEDED = "SUCCEEDED"


class RangeRunError(ScraperError):
    """The job's run could not be started, or did not succeed."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a run needs: workers, minutes that it is expected to take, minutes after which it is stopped."""

    workers: int
    minutes: float
    timeout_minutes: int

    @property
    def told_after_minutes(self) -> int:
        """After which Glue reports the run as late: half of its time-out, as of the job's other runs."""
        return self.timeout_minutes // 2


def size_of(*, sessions: int, partitions: int, compact_only: bool) -> Size:
    """The workers and the time-out for a range.

    rows = sessions / `COMPACT_SESSIONS_A_SECOND`; beside them files = partitions / `WIDE_FILES_A_SECOND`, of
    compact only none; workers = 2, of which one is the driver, and one more for each `MINUTES_A_WORKER` by
    which rows take longer than files, at most `MOST_WORKERS`; minutes = start + the longer of rows /
    (workers - 1) and files; time-out = `SLACK` times that.

    Args:
        sessions: Sessions in the range.
        partitions: Tickers in all of them.
        compact_only: Whether only the compact table is made.
    """
    rows = sessions / COMPACT_SESSIONS_A_SECOND
    files = 0 if compact_only else partitions / WIDE_FILES_A_SECOND
    workers = min(2 + int(max(rows - files, 0) / 60 / MINUTES_A_WORKER), MOST_WORKERS)
    minutes = (START_SECONDS + max(rows / (workers - 1), files)) / 60
    timeout = min(max(math.ceil(SLACK * minutes), LEAST_TIMEOUT_MINUTES), MOST_TIMEOUT_MINUTES)
    return Size(workers, minutes, timeout)


@dataclass(frozen=True, slots=True)
class RangeRun:
    """A run to start: its days, its size, and whether it makes the compact table alone."""

    days: Span
    size: Size
    compact_only: bool

    def arguments(self) -> dict[str, str]:
        """The job's arguments."""
        arguments = {"--start_date": str(self.days.first), "--end_date": str(self.days.last)}
        return arguments | ({"--compact_only": "true"} if self.compact_only else {})

    def command(self, job: str) -> str:
        """The run as a command of the AWS CLI."""
        pairs = ",".join(f'"{name}":"{value}"' for name, value in self.arguments().items())
        return (
            f"aws glue start-job-run --job-name {job} --arguments '{{{pairs}}}' --worker-type {WORKER_TYPE} "
            f"--number-of-workers {self.size.workers} --timeout {self.size.timeout_minutes} "
            f"--notification-property NotifyDelayAfter={self.size.told_after_minutes} "
            "--job-run-queuing-enabled"
        )


@dataclass(frozen=True, slots=True)
class State:
    """How a run stands: Glue's `JobRunState`, its error message, and the seconds that it has run."""

    name: str
    message: str = ""
    seconds: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether it will not change any more."""
        return self.name == SUCCEEDED or self.name in FAILED


@dataclass(frozen=True, slots=True)
class Run:
    """A run of the job: its id, the days that it was asked for, how it stands, and when it was started."""

    id: str
    days: Span | None
    state: State
    started: datetime

    def covers(self, day: date) -> bool:
        """Whether the day is among those that it was asked for."""
        return self.days is not None and day in self.days


class RefineJob:
    """The Glue job that refines what was loaded.

    Args:
        glue: A client of Glue.
        name: The job's name.

    Raises:
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: Any method, when Glue refuses.
    """

    def __init__(self, glue: GlueClient, name: str) -> None:
        self.name = name
        self._glue = glue

    def exists(self) -> bool:
        """Whether there is such a job."""
        try:
            self._glue.get_job(JobName=self.name)
        except self._glue.exceptions.EntityNotFoundException:
            return False
        return True

    def start(self, run: RangeRun) -> str:
        """Start a run; behind another one it waits for its turn.

        Returns:
            Its id.
        """
        return self._glue.start_job_run(
            JobName=self.name,
            Arguments=run.arguments(),
            WorkerType=WORKER_TYPE,
            NumberOfWorkers=run.size.workers,
            Timeout=run.size.timeout_minutes,
            NotificationProperty={"NotifyDelayAfter": run.size.told_after_minutes},
            JobRunQueuingEnabled=True,  # what the job says counts only for a run that says the same
        )["JobRunId"]

    def refine(self, session: date, *, compact_only: bool) -> str:
        """Start a run for one session, with the job's own size; behind another one it waits for its turn.

        Returns:
            Its id.
        """
        arguments = {"--trade_date": str(session)} | ({"--compact_only": "true"} if compact_only else {})
        return self._glue.start_job_run(JobName=self.name, Arguments=arguments, JobRunQueuingEnabled=True)[
            "JobRunId"
        ]

    def runs(self, pages: int = 1) -> list[Run]:
        """The newest runs that Glue knows, so many pages of them, oldest first."""
        answers = self._glue.get_paginator("get_job_runs").paginate(
            JobName=self.name, PaginationConfig={"PageSize": _RUNS_A_PAGE}
        )
        runs = [
            # One that waits for its turn may have no start yet
            Run(
                run["Id"],
                _days(run.get("Arguments", {})),
                _state(run),
                run.get("StartedOn") or datetime.now(UTC),
            )
            for answer in islice(answers, pages)
            for run in answer["JobRuns"]
        ]
        return sorted(runs, key=lambda run: run.started)

    def state(self, run_id: str) -> State | None:
        """How a run stands; None if Glue does not know it, or not any more."""
        try:
            run = self._glue.get_job_run(JobName=self.name, RunId=run_id)["JobRun"]
        except self._glue.exceptions.EntityNotFoundException:
            return None
        return _state(run)

    def wait(
        self,
        run_id: str,
        seen: Callable[[State], None],
    ) -> State:
        """Wait until a run has ended, in whatever state.

        Args:
            run_id: Its id.
            seen: Is told its state each time that it is looked at.

        Raises:
            RangeRunError: Glue does not know the run.
        """
        while True:
            state = self.state(run_id)
            if state is None:
                raise RangeRunError(f"Glue knows no run {run_id} of {self.name} any more")
            seen(state)
            if state.has_ended:
                return state
            time.sleep(POLL_SECONDS)


def _state(run: JobRunTypeDef) -> State:
    return State(run["JobRunState"], run.get("ErrorMessage") or "", run.get("ExecutionTime") or 0)


def _days(arguments: Mapping[str, str]) -> Span | None:
    """The days of a run; None if somebody started it with others than the job takes."""
    day = arguments.get("--trade_date")
    try:
        first = date.fromisoformat(arguments.get("--start_date", day or ""))
        return Span(first, date.fromisoformat(arguments.get("--end_date", day or "")))
    except ValueError:
        return None


def settle(raw: RawBucket, job: RefineJob, manifests: Iterable[Manifest]) -> tuple[list[Manifest], set[str]]:
    """Look up the runs that were started for manifests and not waited for.

    Returns:
        The manifests, those whose run has succeeded with nothing left to refine; and the runs that have not
        ended yet.

    Raises:
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: S3 or Glue refuses.
    """
    settled: list[Manifest] = []
    running: set[str] = set()
    states: dict[str, State | None] = {}
    for manifest in manifests:
        run = manifest.refine_run
        if manifest.to_refine is None or run is None:
            settled.append(manifest)
            continue
        if run not in states:
            states[run] = job.state(run)
        state = states[run]
        if state is not None and not state.has_ended:
            running.add(run)
        if state is not None and state.name == SUCCEEDED:
            settled.append(mark(raw, replace(manifest, to_refine=None)))
        else:
            settled.append(manifest)
    return settled, running


def mark(raw: RawBucket, manifest: Manifest) -> Manifest:
    """Write a manifest that has changed, and return it."""
    raw.write_manifest(manifest.year, manifest.to_json())
    return manifest
