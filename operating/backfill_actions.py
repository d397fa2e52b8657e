"""`python -m scraper backfill --corporate-actions`: what all issuers that the raw quotes name have paid.

It asks B3 for each issuer by its code and by its trading names, with a pause between two calls, says how far
it is and how long it will take, and goes on where it was interrupted. The job makes the adjusted prices of it
in its next run.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from datetime import date

from operating.names import Names, UsageError
from operating.progress import Display, display
from scraper.b3.errors import ScraperError
from scraper.history.corporate_actions import ActionsBackfill, IssuerResult, Survey
from scraper.raw.bucket import RawBucket
from scraper.runtime.settings import Settings

ANSWER_SECONDS = 0.5
"""Of a call, beside the pause: assumed."""


def run(asked: argparse.Namespace, environment: Mapping[str, str], today: date) -> bool:
    """Run the command.

    Args:
        asked: What `operating.arguments.backfill` declares.
        environment: The process's environment.
        today: The day in São Paulo.

    Returns:
        Whether all issuers were asked.

    Raises:
        ScraperError: It could not begin.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: AWS refuses before it has begun.
    """
    _refuse_what_is_of_quotes(asked)
    names = Names.find(asked, environment)
    settings = Settings.from_environment({**environment, "RAW_BUCKET": names.bucket or ""})
    raw = RawBucket(settings.raw_bucket)
    try:
        backfill = ActionsBackfill(settings.b3_client(), raw, today=today, refresh=asked.refresh)
    except ValueError as error:
        raise UsageError(f"{error}. Delete that object of the raw bucket, and run this again") from error
    with display() as show:
        try:
            backfill.look(show.of("quotes"))
        finally:
            if not asked.dry_run:
                backfill.keep()
        show.ended("quotes")
        _tell_what_is_left(backfill.survey, settings, show)
        return True if asked.dry_run else _load(backfill, show)


def _refuse_what_is_of_quotes(asked: argparse.Namespace) -> None:
    others = {"--from": asked.first, "--to": asked.last, "--index": asked.index}
    given = [*of_quotes(asked), *(name for name, value in others.items() if value)]
    if given:
        raise UsageError(f"--corporate-actions goes without {', '.join(given)}: it takes all issuers")


def of_quotes(asked: argparse.Namespace) -> list[str]:
    """What of the command's arguments was given that is of quotes alone."""
    arguments = {
        "--via lambda": asked.via == "lambda",
        "--source quarantine": asked.source == "quarantine",
        "--refine": asked.refine,
    }
    return [name for name, value in arguments.items() if value]


def _tell_what_is_left(survey: Survey, settings: Settings, show: Display) -> None:
    minutes = survey.calls * (ANSWER_SECONDS + settings.actions_pause) / 60
    show.result(
        f"{len(survey.sessions):,} sessions name {len(survey.issuers):,} issuers, of which "
        f"{len(survey.to_ask):,} are to be asked: {survey.calls:,} calls at least, about {minutes:,.0f} min"
    )


def _load(backfill: ActionsBackfill, show: Display) -> bool:
    total: Counter[str] = Counter()
    tell = show.of("B3")
    failure = None
    try:
        for result in backfill.load(tell):
            total.update(_figures(result))
            if result.message:
                show.result(f"{result.issuer}  failed  {result.message}")
    except ScraperError as error:
        failure = error
    show.ended("B3")
    show.result(
        f"{total['issuers']:,} issuers asked by {total['calls']:,} calls  {total['new']:,} events new  "
        f"{total['unknown']:,} unknown to B3  {total['failed']:,} failed"
    )
    for news in backfill.news:
        show.result(f"new: {news}")
    if failure:
        show.result(str(failure))
    return not (failure or total["failed"])


def _figures(result: IssuerResult) -> Mapping[str, int]:
    return {
        "issuers": 1,
        "calls": result.calls,
        "new": result.new,
        "unknown": not result.is_known and result.message is None,
        "failed": result.message is not None,
    }
