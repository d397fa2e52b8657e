"""Starts the refine job for each raw session whose arrival S3 reports, and does nothing else.

The event is checked as a whole before the first run is started. A run that cannot be started raises: Lambda
invokes the function again with the same event and in the end puts it on the dead-letter queue. The records
before the failing one are then started once more, which is harmless: refining a session again gives the same
result.
"""

from __future__ import annotations

import datetime
import logging
import os
import re
from typing import Any
from urllib.parse import unquote_plus

import boto3

# Lambda writes the lines as JSON, each with the request's id (the function's LoggingFormat)
_log = logging.getLogger()
_log.setLevel(logging.INFO)

_KEY = re.compile(r"raw/cotahist/trade_date=(\d{4}-\d{2}-\d{2})/daily\.parquet")


class UnexpectedEvent(ValueError):  # noqa: N818 - it names what is wrong, as S3's own errors do
    """An event that is not S3's report of a new raw session."""


def handler(event: object, context: object) -> dict[str, list[str]]:  # noqa: ARG001 - Lambda's signature
    """Start one job run for each record of an S3 event.

    Args:
        event: An S3 event notification; its object keys are URL-encoded.
        context: Lambda's context, of no use here.

    Returns:
        The ids of the job runs, in the order of the records: `{"job_run_ids": [...]}`.

    Raises:
        UnexpectedEvent: The event is not of the expected shape, or a key has no session's date.
        botocore.exceptions.ClientError: Glue refused to start a run.
    """
    trade_dates = [_trade_date(record) for record in _records(event)]
    glue = boto3.client("glue")
    job_name = os.environ["GLUE_JOB_NAME"]
    job_run_ids = []
    for trade_date in trade_dates:
        # A run that does not say so itself is refused behind another one, whatever the job says
        run = glue.start_job_run(
            JobName=job_name, Arguments={"--trade_date": trade_date}, JobRunQueuingEnabled=True
        )
        job_run_ids.append(run["JobRunId"])
        told = {"session_date": trade_date, "job_run_id": run["JobRunId"]}
        _log.info("%s: job run %s started", trade_date, run["JobRunId"], extra=told)
    return {"job_run_ids": job_run_ids}


def _records(event: object) -> list[Any]:
    if isinstance(event, dict) and event.get("Event") == "s3:TestEvent":
        return []  # what S3 sends when the notification is set up
    records = event.get("Records") if isinstance(event, dict) else None
    if not isinstance(records, list) or not records:
        raise UnexpectedEvent(f"expected an S3 event with Records, got {event!r}")
    return records


def _trade_date(record: Any) -> str:
    try:
        key = unquote_plus(record["s3"]["object"]["key"])
    except (KeyError, TypeError, AttributeError) as error:
        raise UnexpectedEvent(f"expected a record with s3.object.key, got {record!r}") from error
    match = _KEY.fullmatch(key)
    if match is None:
        raise UnexpectedEvent(
            f"object key {key!r}: expected raw/cotahist/trade_date=YYYY-MM-DD/daily.parquet"
        )
    try:
        return datetime.date.fromisoformat(match[1]).isoformat()
    except ValueError as error:
        raise UnexpectedEvent(f"object key {key!r}: {match[1]} is not a date ({error})") from error
