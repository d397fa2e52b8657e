"""The scraper's Lambda function: one run for the schedule's event, told as JSON lines and metrics.

The instant that a run stands for is the one that it was scheduled for, so that an invocation that is late or
is repeated still means the same D-1.
"""

import logging
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any, Protocol

from scraper.b3.calendar import SAO_PAULO, last_session, sessions_before
from scraper.b3.errors import ScraperError
from scraper.b3.oddities import odd_values
from scraper.daily.ingest import COTAHIST, IngestError, Outcome, Result, is_expected, run
from scraper.daily.unrefined import announce
from scraper.raw.bucket import RawBucket
from scraper.runtime.log_context import about
from scraper.runtime.metrics import Metric
from scraper.runtime.settings import Settings
from scraper.runtime.telemetry import emit, log_json_lines, powertools

logger = logging.getLogger(__name__)


class Context(Protocol):
    """Of Lambda's context, what the function looks at."""

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the function."""


class EventError(ScraperError, ValueError):
    """The function was invoked with an event that it does not understand; the message names the key."""


@powertools.inject_lambda_context(clear_state=True)
def handler(event: dict[str, Any], context: Context) -> list[dict[str, Any]]:
    """Bring the raw bucket up to date with B3 (see `scraper.daily.ingest.ingest`).

    Sessions of the look-back that were not refined are announced again (`scraper.daily.unrefined`).

    Args:
        event: `scheduled_time`, the instant that the run stands for, in ISO 8601 with its time zone; without
            it that is the present. `date` (YYYY-MM-DD) takes exactly that session. Other keys are ignored.
        context: Lambda's, whose request's id is in every line of the log, and which knows how much time is
            left: corporate actions are asked for as long as there is enough for the quotes.

    Returns:
        A summary of each file, as `scraper.daily.ingest.Result.summary` makes it.

    Raises:
        EventError: The event is not as above.
        SettingsError: A variable of the environment is missing or wrong.
        IngestError: The run is over, but files failed or were refused.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: The bucket cannot be listed.
    """
    log_json_lines()
    now = _instant(event)
    session = _session(event)
    powertools.append_keys(session_date=str(session or last_session(now)), scheduled_time=now.isoformat())
    results: list[Result] = []
    try:
        settings = Settings.from_environment(os.environ)
        for result in run(settings, now=now, session=session, remaining=partial(_seconds_left, context)):
            _log(result)
            results.append(result)
    except Exception:
        logger.exception("the run did not come to its end")
        raise
    emit(_files(results))
    if session is None:  # otherwise the run looked at one session, whatever else is missing
        last_instant = _last_instant_of_the_morning(now, settings.session_deadline)
        emit({Metric.SESSIONS_MISSING: _missing(results)}, at=min(now, last_instant))
        if settings.refined_bucket:
            sessions = sessions_before(now, settings.lookback_sessions)
            announce(RawBucket(settings.raw_bucket), settings.refined_bucket, sessions)
    if any(result.is_error for result in results):
        raise IngestError(results)
    return [result.summary() for result in results]


def _seconds_left(context: Context) -> float:
    return context.get_remaining_time_in_millis() / 1000


def _log(result: Result) -> None:
    level = logging.ERROR if result.is_error else logging.INFO
    with about(session_date=result.date if result.source == COTAHIST else None):
        logger.log(level, "%s: %s", result.name, result.outcome, extra={"result": result.summary()})
        for news in result.news:
            logger.warning("%s: new: %s", result.name, news)


def _files(results: Sequence[Result]) -> dict[Metric, float]:
    """What a run did, as metrics."""
    written = [result for result in results if result.source == COTAHIST and result.outcome is Outcome.NEW]
    return {
        Metric.SESSIONS_INGESTED: len(written),
        Metric.ROWS_INGESTED: sum(result.rows or 0 for result in written),
        Metric.VOLUME_INGESTED: float(sum(result.volume or 0 for result in written)),
        Metric.FILES_QUARANTINED: sum(result.outcome is Outcome.INVALID for result in results),
        Metric.FILES_FAILED: sum(result.outcome in {Outcome.FAILED, Outcome.REFUSED} for result in results),
        Metric.ODD_VALUES_KEPT: sum(odd_values(result.oddities) for result in results),
        Metric.ACTIONS_FAILED: sum(result.failures or 0 for result in results),
        Metric.NEWS_IN_FILES: sum(len(result.news) for result in results),
    }


def _missing(results: Sequence[Result]) -> int:
    """`Metric.SESSIONS_MISSING` after a run.

    D-1 counts from the first run after it on, when B3 may not have published it yet. It no longer does once
    B3 has said that there was no session, which is a day after it (see `ingest.Outcome.NO_SESSION`);
    a refusal says nothing.
    Of days on which the calendar has the exchange closed, B3 is asked as well, but none is expected.
    """
    quotes = (
        result
        for result in results
        if result.source == COTAHIST and result.date is not None and is_expected(result.date)
    )
    return sum(not result.is_stored and result.outcome is not Outcome.NO_SESSION for result in quotes)


def _last_instant_of_the_morning(now: datetime, deadline: time) -> datetime:
    """The last instant of the day whose metrics tell whether that day's morning brought what it should.

    CloudWatch looks at the time from one day's deadline to the next one's. A run after the deadline, by hand
    perhaps, still tells of its own day's morning, and nothing of what the next morning is to bring.
    """
    day = now.astimezone(SAO_PAULO).date()
    return datetime.combine(day, deadline, SAO_PAULO) - timedelta(minutes=1)


def _instant(event: dict[str, Any]) -> datetime:
    if "scheduled_time" not in event:
        return datetime.now(UTC)
    value = event["scheduled_time"]
    try:
        instant = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise EventError(_misread("scheduled_time", value, "2026-11-23T10:00:00Z")) from error
    if instant.tzinfo is None:
        raise EventError(_misread("scheduled_time", value, "2026-11-23T10:00:00Z, with its time zone"))
    return instant


def _session(event: dict[str, Any]) -> date | None:
    value = event.get("date")
    try:
        return None if value is None else date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise EventError(_misread("date", value, "YYYY-MM-DD")) from error


def _misread(key: str, value: object, expected: str) -> str:
    return f"event, key {key}: found {value!r}, expected {expected}"
