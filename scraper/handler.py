"""The scraper's Lambda function: one run for the schedule's event, logged as JSON lines.

The instant that a run stands for is the one that it was scheduled for, so that an invocation that is late or
is repeated still means the same D-1.
"""

import json
import logging
import os
from datetime import UTC, date, datetime
from typing import Any

from scraper.errors import ScraperError
from scraper.ingest import IngestError, run
from scraper.settings import Settings

logger = logging.getLogger(__name__)


class EventError(ScraperError, ValueError):
    """The function was invoked with an event that it does not understand; the message names the key."""


class JsonLines(logging.Formatter):
    """One JSON object a line: level, logger, message, and `result` or the exception where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        line = {"level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if result := getattr(record, "result", None):
            line["result"] = result
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def handler(event: dict[str, Any], _context: object) -> list[dict[str, Any]]:
    """Bring the raw bucket up to date with B3 (see `scraper.ingest.ingest`).

    Args:
        event: `scheduled_time`, the instant that the run stands for, in ISO 8601 with its time zone; without
            it that is the present. `date` (YYYY-MM-DD) takes exactly that session. Other keys are ignored.

    Returns:
        A summary of each file, as `scraper.ingest.Result.summary` makes it.

    Raises:
        EventError: The event is not as above.
        SettingsError: A variable of the environment is missing or wrong.
        IngestError: The run is over, but files failed or were refused.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: The bucket cannot be listed.
    """
    log_json_lines()
    now = _instant(event)
    session = _session(event)
    settings = Settings.from_environment(os.environ)
    results = []
    for result in run(settings, now=now, session=session):
        level = logging.ERROR if result.is_error else logging.INFO
        logger.log(level, "%s: %s", result.name, result.outcome, extra={"result": result.summary()})
        results.append(result)
    if any(result.is_error for result in results):
        raise IngestError(results)
    return [result.summary() for result in results]


def log_json_lines() -> None:
    """Have everything that this process logs come out as JSON lines, ours from level INFO on."""
    logging.getLogger("scraper").setLevel(logging.INFO)
    root = logging.getLogger()
    if not root.handlers:  # Lambda has set one up
        root.addHandler(logging.StreamHandler())
    for handler_ in root.handlers:
        handler_.setFormatter(JsonLines())


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
