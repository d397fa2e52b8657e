"""The backfill's Lambda function, a year an invocation, and how the command line drives it.

The function says how a year ended through the raw bucket: by the year's manifest, or by a failure report
beside it. Both carry the invocation's `request`, so that whoever asked knows the answer from an older one. A
year that it could not load is therefore an answer, not an error of the function: only a crash or a time-out
is, and those Lambda tries once more by itself.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scraper.b3.calendar import day_in_sao_paulo
from scraper.b3.oddities import odd_values
from scraper.daily.handler import EventError
from scraper.history.backfill import (
    SCRATCH_PREFIX,
    BackfillError,
    Outcome,
    Progress,
    Task,
    YearResult,
    load_years,
    loader,
    read_manifest,
)
from scraper.history.span import Span
from scraper.raw.bucket import RawBucket
from scraper.runtime.metrics import Metric
from scraper.runtime.settings import Settings
from scraper.runtime.telemetry import emit, log_json_lines, powertools

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

DOWNLOAD_SECONDS = 600
"""For the download of a year: the function has fifteen minutes, and needs one for the rest."""

PATIENCE_SECONDS = 2 * 900 + 300
"""For an answer: two attempts of fifteen minutes, and Lambda's pause between them."""

logger = logging.getLogger(__name__)


@powertools.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Load a year, whether or not it was loaded before.

    Args:
        event: `year`; optionally `from` and `to` (YYYY-MM-DD, days of that year), `accept_gaps` (true: take a
            file with a hole), and `request`, a text that the answer repeats.
        _context: Lambda's, whose request's id is in every line of the log.

    Returns:
        `year`, `outcome` and, where there is one, `message`.

    Raises:
        EventError: The event is not as above.
        SettingsError: A variable of the environment is missing or wrong.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: The answer cannot be written.
    """
    log_json_lines()
    task, accept_gaps, request = _parse(event)
    powertools.append_keys(year=task.year)
    settings = Settings.from_environment(os.environ)
    raw = RawBucket(settings.raw_bucket)
    # What an invocation that was killed has left would fill the disk of this one
    for left_behind in Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        shutil.rmtree(left_behind, ignore_errors=True)
    load = loader(
        b3=lambda: settings.b3_client(year_deadline=DOWNLOAD_SECONDS),
        raw=raw,
        today=day_in_sao_paulo(datetime.now(UTC)),
        accept_gaps=accept_gaps,
        request=request,
    )
    (result,) = load_years([task], load, jobs=1, progress=lambda _year: _log_stages(task.year))
    answer = {"year": result.year, "outcome": str(result.outcome)}
    answer |= {name: text for name in ("message", "key") if (text := getattr(result, name))}
    if result.manifest is None:
        raw.write_failure(task.year, answer | {"request": request})
    level = logging.ERROR if result.is_error else logging.INFO
    logger.log(level, "%s: %s", result.year, result.outcome, extra={"result": answer})
    emit(
        {
            Metric.FILES_QUARANTINED: result.outcome is Outcome.INVALID,
            Metric.FILES_FAILED: result.outcome is Outcome.FAILED,
            Metric.ODD_VALUES_KEPT: odd_values(result.manifest.oddities if result.manifest else ()),
        }
    )
    return answer


def invoke(
    task: Task,
    progress: Progress,
    *,
    functions: LambdaClient,
    name: str,
    raw: RawBucket,
    accept_gaps: bool,
    poll_seconds: float = 3,
    patience_seconds: float = PATIENCE_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> YearResult:
    """Have the function load a year, and wait for its answer.

    Args:
        task: The year, and the days that are asked for.
        progress: Is told how many seconds have passed.
        functions: A client of Lambda.
        name: The function.
        raw: The raw bucket, which the answer comes through.
        accept_gaps: Take a file with a hole.
        poll_seconds: Seconds from one look to the next.
        patience_seconds: Seconds after which no answer is waited for any more.
        sleep: Waits for so many seconds.

    Raises:
        BackfillError: There was no answer.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: Lambda or S3 refuses.
    """
    request = uuid.uuid4().hex
    event = {
        "year": task.year,
        "from": task.days.first.isoformat(),
        "to": task.days.last.isoformat(),
        "accept_gaps": accept_gaps,
        "request": request,
    }
    functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event).encode())
    started = time.monotonic()
    while (waited := time.monotonic() - started) < patience_seconds:
        progress("function", int(waited), 0)
        manifest = read_manifest(raw, task.year)
        if manifest is not None and manifest.request == request:
            return YearResult(year=task.year, outcome=Outcome.LOADED, manifest=manifest)
        report = raw.read_failure(task.year)
        if report is not None and report.get("request") == request:
            return YearResult(
                year=task.year,
                outcome=Outcome(report["outcome"]),
                message=report.get("message"),
                key=report.get("key"),
            )
        sleep(poll_seconds)
    raise BackfillError(
        f"{name} has not answered for {task.year} within {patience_seconds / 60:.0f} minutes; "
        "its log says why"
    )


def _parse(event: dict[str, Any]) -> tuple[Task, bool, str | None]:
    year, accept_gaps, request = event.get("year"), event.get("accept_gaps", False), event.get("request")
    if not isinstance(year, int) or isinstance(year, bool):
        raise EventError(f"event, key year: found {year!r}, expected a number such as 2024")
    if not isinstance(accept_gaps, bool):
        raise EventError(f"event, key accept_gaps: found {accept_gaps!r}, expected true or false")
    first, last = _day(event, "from", date(year, 1, 1)), _day(event, "to", date(year, 12, 31))
    if not date(year, 1, 1) <= first <= last <= date(year, 12, 31):
        raise EventError(f"event, keys from and to: found {first} to {last}, expected days of {year}")
    return Task(year, Span(first, last)), accept_gaps, None if request is None else str(request)


def _day(event: dict[str, Any], key: str, otherwise: date) -> date:
    value = event.get(key)
    try:
        return otherwise if value is None else date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise EventError(f"event, key {key}: found {value!r}, expected YYYY-MM-DD") from error


def _log_stages(year: int) -> Progress:
    """A log line when a stage begins."""
    last = ""

    def log(stage: str, _done: int, total: int) -> None:
        nonlocal last
        if stage != last:
            logger.info("%s: %s of %s", year, stage, f"{total:,}" if total else "unknown size")
            last = stage

    return log
