"""Sessions whose job run never came, or came to nothing: announced again, so that the starter starts another.

A run may expire while it waits for its turn, S3's event may be lost, Glue may refuse for a morning. The next
run of the scraper sees it by the refined bucket, and writes the session's raw object over itself: S3 tells
the starter, as it did the first time. A session that is refined twice ends the same.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import boto3

from lake import keys
from scraper.raw.bucket import RawBucket
from scraper.runtime.log_context import about

PATIENCE = timedelta(minutes=100)
"""How long after a session's arrival its job run may still come: less than from one hour of the schedule to
the next, and more than ten runs in a row take."""

logger = logging.getLogger(__name__)


def announce(
    raw: RawBucket, refined_bucket: str, sessions: Iterable[date], now: datetime | None = None
) -> list[date]:
    """Announce again those of some sessions that arrived a while ago and have no refined row yet.

    Args:
        raw: The raw bucket.
        refined_bucket: The refined bucket's name.
        sessions: The sessions that are looked after; of history that was loaded in bulk a run of its own
            takes care.
        now: The present; the clock's by default.

    Returns:
        The sessions that were announced.

    Raises:
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: S3 refuses.
    """
    s3, before = boto3.client("s3"), (now or datetime.now(UTC)) - PATIENCE
    announced = []
    for session in sorted(sessions):
        prefix = f"{keys.COMPACT}{session}/"
        if s3.list_objects_v2(Bucket=refined_bucket, Prefix=prefix, MaxKeys=1).get("Contents"):
            continue
        written = raw.session_written(session)
        if written is None or written > before:
            continue
        raw.announce(session)
        announced.append(session)
        with about(session_date=session):
            logger.warning("cotahist %s: not refined since %s: announced to the job again", session, written)
    return announced
