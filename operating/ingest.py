"""`python -m scraper ingest`: what the scraper's function does, from a terminal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from lake.currency import currency_of
from operating.names import Names
from scraper.b3.oddities import told
from scraper.daily.ingest import Result
from scraper.daily.ingest import run as ingest
from scraper.runtime.settings import Settings


def run(asked: argparse.Namespace, environment: Mapping[str, str]) -> bool:
    """Run the command.

    Args:
        asked: What `operating.arguments.ingest` declares.
        environment: The process's environment.

    Returns:
        Whether no file failed.

    Raises:
        ScraperError: It could not begin.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: AWS refuses before it has begun.
    """
    given = {"RAW_BUCKET": Names.find(asked, environment).bucket, "INDEX_CODES": asked.index}
    settings = Settings.from_environment(
        {**environment, **{name: value for name, value in given.items() if value}}
    )
    results = []
    for result in ingest(settings, now=datetime.now(UTC), session=asked.date):
        sys.stdout.write(f"{line(result, settings.raw_bucket)}\n")
        sys.stdout.flush()
        results.append(result)
    return not any(result.is_error for result in results)


def line(result: Result, bucket: str) -> str:
    """What became of a file, in a line."""
    parts = [f"{result.name:<34}{result.outcome:<18}"]
    if result.rows is not None:
        parts.append(f"{result.rows:,} rows")
    if result.volume is not None and result.date is not None:
        parts.append(f"{currency_of(result.date)} {result.volume:,}")
    if result.trailer_count is not None:
        parts.append(f"trailer counts {result.trailer_count}")
    if result.key is not None:
        parts.append(f"s3://{bucket}/{result.key}")
    return "  ".join([*parts, *remarks(result)])


def remarks(result: Result) -> list[str]:
    """What is to be said of a file beside its figures: its message, what is new in it, what is odd."""
    parts = [] if result.message is None else [result.message]
    parts += [f"new: {news}" for news in result.news]
    if result.oddities:
        parts.append(f"kept although it is odd: {told(result.oddities)}")
    return parts
