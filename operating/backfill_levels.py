"""`python -m scraper backfill --index-levels`: the closes of indices since B3 has them.

It asks B3 for each year of each index, with a pause between two calls, and goes on where it was interrupted.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

from operating.backfill_actions import ANSWER_SECONDS, of_quotes
from operating.ingest import remarks
from operating.names import Names, UsageError
from operating.progress import Display, display
from scraper.b3.errors import ScraperError
from scraper.b3.index_level.layout import FIRST_YEAR
from scraper.daily.ingest import Outcome, Result
from scraper.history.index_levels import IndexYear, load_levels, years_to_ask
from scraper.raw.bucket import RawBucket
from scraper.runtime.settings import Settings


def run(asked: argparse.Namespace, environment: Mapping[str, str], today: date) -> bool:
    """Run the command.

    Args:
        asked: What `operating.arguments.backfill` declares.
        environment: The process's environment.
        today: The day in São Paulo.

    Returns:
        Whether no year failed, and B3 knows every index.

    Raises:
        ScraperError: It could not begin.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: AWS refuses before it has begun.
    """
    if given := of_quotes(asked):
        raise UsageError(f"--index-levels goes without {', '.join(given)}: there is nothing to refine")
    first = asked.first.first.year if asked.first else FIRST_YEAR
    last = asked.last.last.year if asked.last else today.year
    if not FIRST_YEAR <= first <= last <= today.year:
        raise UsageError(f"--from {first} --to {last}: expected years from {FIRST_YEAR} to {today.year}")
    given_names = {"RAW_BUCKET": Names.find(asked, environment).bucket or "", "INDEX_CODES": asked.index}
    settings = Settings.from_environment(
        {**environment, **{name: value for name, value in given_names.items() if value is not None}}
    )
    raw = RawBucket(settings.raw_bucket)
    wanted = years_to_ask(raw, settings.index_codes, first, last, refresh=asked.refresh)
    with display() as show:
        show.result(
            f"{', '.join(settings.index_codes)}, {first} to {last}: {len(wanted):,} years are to be asked, "
            f"about {len(wanted) * (ANSWER_SECONDS + settings.actions_pause) / 60:,.0f} min"
        )
        return True if asked.dry_run else _load(settings, raw, wanted, today, show)


def _load(
    settings: Settings, raw: RawBucket, wanted: Sequence[IndexYear], today: date, show: Display
) -> bool:
    results: dict[str, list[Result]] = defaultdict(list)
    tell = show.of("B3")
    failure = None
    try:
        for year, result in load_levels(settings.b3_client(), raw, wanted, today=today, progress=tell):
            results[year.code].append(result)
            if result.outcome is not Outcome.NO_SESSION:
                show.result(_line(year, result))
    except ScraperError as error:
        failure = error
    show.ended("B3")
    unknown = [
        code for code, each in results.items() if all(one.outcome is Outcome.NO_SESSION for one in each)
    ]
    for code in unknown:
        show.result(f"{code}: B3 knows no level of it in any of these years; is it an index of B3?")
    every = [result for each in results.values() for result in each]
    failed = sum(result.is_error for result in every)
    show.result(
        f"{len(every):,} years asked  {sum(result.rows or 0 for result in every):,} levels written  "
        f"{sum(result.outcome is Outcome.NO_SESSION for result in every):,} unknown to B3  {failed:,} failed"
    )
    if failure:
        show.result(str(failure))
    return not (failure or failed or unknown)


def _line(year: IndexYear, result: Result) -> str:
    parts = [f"{year.code} {year.year}  {result.outcome:<18}".rstrip()]
    if result.rows is not None:
        parts.append(f"{result.rows} levels, up to {result.date}")
    return "  ".join([*parts, *remarks(result)])
