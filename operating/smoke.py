"""`python -m stacks.smoke`: whether a deployed stack works, from B3 to the catalog.

Invokes the scraper as the schedule does and waits until the last session is a partition of both refined
tables. A session that is there already is not waited for: the scraper takes it again all the same, so B3, the
function, its role and the bucket have worked. Needs the permissions to describe the stack, to invoke the
scraper, and to read partitions and job runs: see `docs/deploy.md`.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from operating.range_run import FAILED
from operating.stack import outputs

_SESSION = re.compile(r"\d{4}-\d{2}-\d{2}")
_TAKEN = {"new", "unchanged"}
_PAUSE_SECONDS = 5.0


class SmokeError(RuntimeError):
    """The stack does not do what it is for; the message says which stage, and where to look."""


@dataclass(frozen=True, kw_only=True)
class Stack:
    """The names of what is looked at."""

    scraper: str
    job: str
    database: str
    tables: tuple[str, str]

    @classmethod
    def from_outputs(cls, found: Mapping[str, str]) -> Stack:
        """Take the names from a stack's outputs.

        Raises:
            SmokeError: The stack has no such outputs.
        """
        try:
            return cls(
                scraper=found["ScraperFunction"],
                job=found["GlueJobName"],
                database=found["RefinedDatabase"],
                tables=(found["RefinedTable"], found["RefinedCompactTable"]),
            )
        except KeyError as missing:
            raise SmokeError(f"the stack has no output {missing}: is it this one, and whole?") from missing


def scrape(function: str, session: str | None) -> str:
    """Invoke the scraper and wait for its answer.

    Args:
        function: Its name.
        session: The session to take, as YYYY-MM-DD; None for the last one, and those that are missing.

    Returns:
        The newest session that it found, as YYYY-MM-DD.

    Raises:
        SmokeError: It failed, or took no session.
    """
    # A run takes minutes when sessions are missing, and must not be repeated behind our back
    functions = boto3.client("lambda", config=Config(read_timeout=900, retries={"total_max_attempts": 1}))
    event: dict[str, str] = {"date": session} if session else {}
    answer = functions.invoke(FunctionName=function, Payload=json.dumps(event).encode(), LogType="Tail")
    payload: Any = json.loads(answer["Payload"].read())
    if answer.get("FunctionError"):
        log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace")
        raise SmokeError(f"the scraper failed: {payload.get('errorMessage', payload)}\nIts log ends:\n{log}")
    return _newest(payload)


def _newest(files: Sequence[Mapping[str, Any]]) -> str:
    for file in files:
        sys.stdout.write(f"  {file['source']} {file.get('date') or ''}: {file['outcome']}\n")
    taken = [
        str(file["date"]) for file in files if file["source"] == "cotahist" and file["outcome"] in _TAKEN
    ]
    if not taken:
        raise SmokeError(
            "the scraper found no session: B3 has published none of the last days yet. Try --date with an "
            "older one"
        )
    return max(taken)


def wait_for_partition(stack: Stack, session: str, *, timeout: float) -> None:
    """Wait until a session is a partition of both refined tables.

    Raises:
        SmokeError: It was not within `timeout` seconds, or the session's job run has failed.
    """
    started = time.monotonic()
    while missing := [table for table in stack.tables if not _is_registered(stack.database, table, session)]:
        run = _job_run(stack.job, session)
        state = run["JobRunState"] if run else "not started"
        if run and state in FAILED:
            raise SmokeError(
                f"the job run of {session}, {run['Id']}, is {state}: {run.get('ErrorMessage', '')}"
            )
        waited = time.monotonic() - started
        if waited > timeout:
            raise SmokeError(
                f"after {timeout:.0f} s {session} is no partition of {', '.join(missing)}; the job run is "
                f"{state}. Look at the starter's log, the dead-letter queue, and the job's runs"
            )
        sys.stdout.write(f"  {session}: job run {state}, {waited:.0f} s\n")
        sys.stdout.flush()
        time.sleep(_PAUSE_SECONDS)


def _is_registered(database: str, table: str, session: str) -> bool:
    glue = boto3.client("glue")
    try:
        found = glue.get_partitions(
            DatabaseName=database,
            TableName=table,
            Expression=f"trade_date = '{session}'",
            ExcludeColumnSchema=True,
            MaxResults=1,
        )
    except glue.exceptions.EntityNotFoundException:
        return False  # the job makes the table with its first session
    return bool(found["Partitions"])


def _job_run(job: str, session: str) -> dict[str, Any] | None:
    """The newest run of the job for a session."""
    runs = boto3.client("glue").get_job_runs(JobName=job)["JobRuns"]
    of_session = [run for run in runs if run.get("Arguments", {}).get("--trade_date") == session]
    return dict(max(of_session, key=lambda run: run["StartedOn"])) if of_session else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 if the stack works, 1 if not."""
    parser = argparse.ArgumentParser(prog="python -m stacks.smoke", description=__doc__)
    parser.add_argument("--stack", default="BovespaPipeline", help="name of the stack (%(default)s)")
    parser.add_argument("--date", metavar="YYYY-MM-DD", help="the session to take; the last one by default")
    parser.add_argument(
        "--timeout", type=float, default=900, metavar="SECONDS", help="for the job's part (%(default)s)"
    )
    asked = parser.parse_args(arguments)
    if asked.date and not _SESSION.fullmatch(asked.date):
        parser.error(f"--date: found {asked.date!r}, expected a day as YYYY-MM-DD")
    try:
        stack = Stack.from_outputs(outputs(asked.stack))
        sys.stdout.write(f"{asked.stack}: invoking {stack.scraper}\n")
        sys.stdout.flush()
        session = scrape(stack.scraper, asked.date)
        wait_for_partition(stack, session, timeout=asked.timeout)
    except (BotoCoreError, ClientError, SmokeError) as error:
        sys.stderr.write(f"{asked.stack}: {error}\n")
        return 1
    sys.stdout.write(f"{asked.stack} works: {session} is in {', '.join(stack.tables)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
