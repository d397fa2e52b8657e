"""`python -m scraper backfill`: the command, from its arguments to the range run of the Glue job.

With `--corporate-actions` or `--index-levels` it is another one (`operating.backfill_actions`,
`operating.backfill_levels`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from lake.currency import told
from operating import aws_prices as prices
from operating import backfill_actions, backfill_levels
from operating.arguments import FUNCTION_JOBS, JOBS, QUARANTINE
from operating.estimate import (
    DOWNLOAD_BYTES_A_SECOND,
    WIDE_RECOMMENDED_SESSIONS,
    Load,
    load_of,
    refinement_of,
    total,
)
from operating.names import Names, UsageError, job_of
from operating.progress import Display, counted, display
from operating.quarantine import QuarantinedYear
from operating.range_run import (
    SUCCEEDED,
    RangeRun,
    RangeRunError,
    RefineJob,
    State,
    mark,
    settle,
)
from scraper.b3.calendar import day_in_sao_paulo
from scraper.b3.cotahist.layout import FIRST_YEAR
from scraper.b3.errors import ScraperError
from scraper.b3.oddities import told as oddities_told
from scraper.daily.ingest import COTAHIST
from scraper.history.backfill import (
    LoadYear,
    Manifest,
    Progress,
    Surveyed,
    Task,
    YearResult,
    load_year,
    load_years,
    loader,
    survey,
    tasks,
)
from scraper.history.handler import invoke
from scraper.history.span import Span, span_of
from scraper.raw.bucket import Quarantined, RawBucket
from scraper.runtime.settings import Settings

MOST_REVISED = 10
"""Sessions of a year whose differences are shown."""


def run(asked: argparse.Namespace, environment: Mapping[str, str]) -> bool:
    """Run the command.

    Args:
        asked: What `operating.arguments.backfill` declares.
        environment: The process's environment.

    Returns:
        Whether all that was asked is done.

    Raises:
        ScraperError: It could not begin.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: AWS refuses before it has begun.
    """
    today = day_in_sao_paulo(datetime.now(UTC))
    if asked.corporate_actions:
        return backfill_actions.run(asked, environment, today)
    if asked.index_levels:
        return backfill_levels.run(asked, environment, today)
    if asked.first is None:
        raise UsageError(
            "--from is missing: the first year or day to load, or --corporate-actions or --index-levels"
        )
    wanted = _tasks(asked.first, asked.last, today)
    names = Names.find(asked, environment)
    settings = Settings.from_environment({**environment, "RAW_BUCKET": names.bucket or ""})
    raw = RawBucket(settings.raw_bucket)
    if asked.source == QUARANTINE and (asked.via == "lambda" or asked.dry_run):
        raise UsageError("--source quarantine goes with --via local, and without --dry-run")
    jobs = asked.jobs or (FUNCTION_JOBS if asked.via == "lambda" else JOBS)
    if asked.dry_run:
        _print_plan(asked, jobs, survey(raw, wanted, refresh=asked.refresh), today - timedelta(days=1))
        return True
    job = None if asked.refine is False else _job(names)
    load: LoadYear
    if asked.via == "lambda":
        load = partial(
            invoke,
            functions=boto3.client("lambda"),
            name=_function(names),
            raw=raw,
            accept_gaps=asked.accept_gaps,
        )
    else:
        load = loader(b3=settings.b3_client, raw=raw, today=today, accept_gaps=asked.accept_gaps)
    surveyed = survey(raw, wanted, refresh=asked.refresh)
    if asked.source == QUARANTINE:
        refused = _refused(asked, raw, wanted)
        surveyed = [
            Surveyed(each.task, None, finished=False) for each in surveyed if each.task.year in refused
        ]
        load = partial(_load_refused, refused=refused, raw=raw, accept_gaps=asked.accept_gaps)
    with display() as show:
        done, failed = _load(surveyed, load, jobs, show)
        try:
            refined = _refine(asked, raw, job, done, show)
        except (ScraperError, BotoCoreError, ClientError) as error:
            show.result(f"range run: {error}")
            refined = False
    return refined and not failed


def _refused(asked: argparse.Namespace, raw: RawBucket, wanted: Sequence[Task]) -> dict[int, Quarantined]:
    """The newest refused ZIP of each year, unless a later one was loaded.

    Raises:
        UsageError: There is none.
    """
    found: dict[int, Quarantined] = {}
    for task in wanted:
        newest = next(iter(raw.quarantined(COTAHIST, str(task.year))), None)
        loaded = raw.manifest_written(task.year)
        if newest is not None and (loaded is None or loaded < newest.kept or asked.refresh):
            found[task.year] = newest
    if not found:
        raise UsageError(
            f"quarantine has no ZIP of {wanted[0].year} to {wanted[-1].year} that came after what is loaded; "
            "--refresh takes an older one"
        )
    return found


def _load_refused(
    task: Task,
    progress: Progress,
    *,
    refused: Mapping[int, Quarantined],
    raw: RawBucket,
    accept_gaps: bool,
) -> YearResult:
    """Load a year from quarantine: of the sessions, up to the day before B3 served it."""
    zipped = refused[task.year]
    source = QuarantinedYear(raw, zipped)
    return load_year(
        task, progress, b3=source, raw=raw, today=day_in_sao_paulo(zipped.kept), accept_gaps=accept_gaps
    )


def _job(names: Names) -> RefineJob:
    if names.job is None:
        raise UsageError(
            "The Glue job has no name. Name it, an output of the stack, by --job, GLUE_JOB_NAME or --stack, "
            "or leave its run out by --no-refine"
        )
    return job_of(names)


def _function(names: Names) -> str:
    if names.function is None:
        raise UsageError(
            "The backfill's function has no name. Name it, an output of the stack, by --function, "
            "BACKFILL_FUNCTION or --stack"
        )
    functions = boto3.client("lambda")
    try:
        functions.get_function_configuration(FunctionName=names.function)
    except functions.exceptions.ResourceNotFoundException as error:
        raise UsageError(
            f"There is no function {names.function}. Name the one of the stack's output BackfillFunction"
        ) from error
    return names.function


def _tasks(first: Span, last: Span | None, today: date) -> list[Task]:
    end = last.last if last else date(today.year, 12, 31)
    if first.first.year < FIRST_YEAR:
        raise UsageError(f"--from: found {first.first}, expected {FIRST_YEAR} or later: B3 has no older file")
    if end < first.first:
        raise UsageError(f"--from {first.first} is after --to {end}")
    yesterday = today - timedelta(days=1)
    if first.first > yesterday or end.year > today.year:
        raise UsageError(f"--from {first.first} --to {end}: the last session can be that of {yesterday}")
    return [task for task in tasks(Span(first.first, end)) if task.days.first <= yesterday]


def _load(
    surveyed: Sequence[Surveyed], load: LoadYear, jobs: int, show: Display
) -> tuple[list[Manifest], bool]:
    """Load what is not finished.

    Returns:
        The manifests of what is loaded, now or before, and whether a year failed.
    """
    manifests: list[Manifest] = []
    for year in surveyed:
        if year.finished and year.manifest is not None:
            show.result(_finished_line(year.manifest))
            manifests.append(year.manifest)
    to_load = [year.task for year in surveyed if not year.finished]
    results: list[YearResult] = []
    for result in load_years(to_load, load, jobs=jobs, progress=lambda year: show.of(str(year))):
        show.ended(str(result.year))
        show.result(_result_line(result))
        for detail in _details(result):
            show.result(f"{result.year}    {detail}")
        results.append(result)
        if result.manifest is not None:
            manifests.append(result.manifest)
    show.result(_total_line(manifests, results))
    return manifests, any(result.is_error for result in results)


def _finished_line(manifest: Manifest) -> str:
    return f"{manifest.year}  {'finished':<18}{_contents(manifest)}"


def _result_line(result: YearResult) -> str:
    parts = [f"{result.year}  {result.outcome:<18}".rstrip()]
    manifest = result.manifest
    if manifest is not None:
        parts = [f"{result.year}  {result.outcome:<18}{_contents(manifest)}"]
        daily = len(manifest.sessions) - manifest.written - manifest.unchanged
        parts.append(f"{manifest.written} written, {manifest.unchanged} unchanged, {daily} daily")
        if manifest.missing or manifest.unexpected:
            parts.append(
                f"against the calendar {len(manifest.missing)} missing, {len(manifest.unexpected)} more"
            )
        if manifest.compared:
            differ = sum(revision.trouble is None for revision in manifest.revised)
            parts.append(f"{differ} of {manifest.compared} daily sessions revised in the annual file")
        if manifest.trailer_count is not None:
            parts.append(f"trailer counts {manifest.trailer_count}")
        if manifest.oddities:
            parts.append(f"kept although it is odd: {oddities_told(manifest.oddities)}")
    if result.message is not None:
        parts.append(result.message)
    if result.key is not None:
        parts.append(f"kept as {result.key}")
    parts.append(f"{result.seconds:.0f} s")
    return "  ".join(parts)


def _details(result: YearResult) -> list[str]:
    """What else there is to know of a year that was loaded: what B3 revised, and what is new."""
    if result.manifest is None:
        return []
    revised, news = result.manifest.revised, result.manifest.news
    lines = [str(revision) for revision in revised[:MOST_REVISED]]
    if len(revised) > MOST_REVISED:
        lines.append(f"and {len(revised) - MOST_REVISED} more sessions, all in the manifest")
    return [*lines, *(f"new: {each}" for each in news)]


def _contents(manifest: Manifest) -> str:
    return f"{len(manifest.sessions):>3} sessions  {manifest.rows:>9,} quotes  {told(manifest.volumes)}"


def _total_line(manifests: Sequence[Manifest], results: Sequence[YearResult]) -> str:
    failed = sum(result.is_error for result in results)
    return (
        f"{counted(len(manifests), 'year')}  "
        f"{sum(len(manifest.sessions) for manifest in manifests):,} sessions  "
        f"{sum(manifest.rows for manifest in manifests):,} quotes  "
        f"{sum(manifest.written for manifest in (r.manifest for r in results) if manifest):,} written"
        + (f"  {counted(failed, 'year')} failed" if failed else "")
    )


def _refine(
    asked: argparse.Namespace,
    raw: RawBucket,
    job: RefineJob | None,
    manifests: Sequence[Manifest],
    show: Display,
) -> bool:
    """Run the job over what is to be refined; whether there is nothing left to do."""
    running: set[str] = set()
    if job is not None:
        manifests, running = settle(raw, job, manifests)
    for run_id in sorted(running):
        show.result(f"range run: {run_id} of an earlier command has not ended yet")
    new = [each for each in manifests if each.to_refine and each.refine_run not in running]
    if asked.refine:
        days = span_of([session.day for each in manifests for session in each.sessions])
    else:
        ends = [day for each in new if each.to_refine for day in (each.to_refine.first, each.to_refine.last)]
        days = span_of(ends)
    if days is None:
        show.result("range run: nothing new to refine")
        return True
    size = refinement_of(days, compact_only=asked.compact_only).size
    to_run = RangeRun(days, size, asked.compact_only)
    if job is None:
        show.result(f"range run: left out; {to_run.command(asked.job or '<output GlueJobName>')}")
        return True
    run_id = job.start(to_run)
    started = [mark(raw, replace(each, refine_run=run_id)) for each in new]
    show.result(f"range run: {run_id} of {job.name}, {days.first} to {days.last}, {size.workers} workers")
    if asked.no_wait:
        return True
    return _wait(raw, job, run_id, started, show)


def _wait(raw: RawBucket, job: RefineJob, run_id: str, started: Sequence[Manifest], show: Display) -> bool:
    tell = show.of("range run")

    def seen(state: State) -> None:
        tell(state.name.lower(), state.seconds, 0)

    end = job.wait(run_id, seen)
    show.ended("range run")
    if end.name != SUCCEEDED:
        raise RangeRunError(
            f"{run_id} ended as {end.name}: {end.message or 'no message'}. Put right what it says and run "
            "this again: nothing is loaded twice"
        )
    for manifest in started:
        mark(raw, replace(manifest, to_refine=None))
    show.result(f"range run: {run_id} {SUCCEEDED}, {end.seconds} s")
    return True


def _print_plan(asked: argparse.Namespace, jobs: int, surveyed: Sequence[Surveyed], yesterday: date) -> None:
    due = {year.task.year: _until(year.task, yesterday) for year in surveyed}
    loads = {year.task.year: load_of(due[year.task.year]) for year in surveyed if not year.finished}
    _say(f"{'year':<6}{'state':<12}{'sessions':>9}{'quotes':>13}{'download MB':>13}{'raw MB':>9}")
    for year in surveyed:
        number = year.task.year
        if year.finished and year.manifest is not None:
            _say(f"{number:<6}{'finished':<12}{len(year.manifest.sessions):>9}{year.manifest.rows:>13,}")
        else:
            state = "load again" if year.manifest else "load"
            _say(f"{number:<6}{state:<12}{_load_columns(loads[number])}")
    _say(f"{'all':<6}{'load':<12}{_load_columns(total(loads.values()))}")
    if loads:
        _print_load(asked, jobs, total(loads.values()), max(load.seconds for load in loads.values()))
    to_refine = [due[year.task.year].days for year in surveyed if asked.refine or not year.finished]
    days = span_of([day for days in to_refine for day in (days.first, days.last)])
    if days is not None and asked.refine is not False:
        _print_refinement(days)


def _until(task: Task, yesterday: date) -> Task:
    """The task, less the days that have yet to come."""
    return replace(task, days=replace(task.days, last=min(task.days.last, yesterday)))


def _load_columns(load: Load) -> str:
    megabytes = f"{load.download_bytes / 1e6:>13,.0f}{load.raw_bytes / 1e6:>9,.0f}"
    return f"{load.sessions:>9,}{load.quotes:>13,}{megabytes}"


def _print_load(asked: argparse.Namespace, jobs: int, load: Load, longest: float) -> None:
    minutes = max(load.seconds / jobs, longest) / 60
    _say(
        f"\nLoad: about {minutes:,.0f} min, {jobs} years at a time, each at "
        f"{DOWNLOAD_BYTES_A_SECOND / 1e6:g} MB/s from B3; {load.puts:,} PUT and LIST requests, "
        f"USD {_cents(load.request_cost)}; raw storage "
        f"USD {_cents(load.storage_cost)} a month"
    )
    if asked.via == "lambda":
        _say(f"Function: USD {_cents(load.function_cost)}")


def _print_refinement(days: Span) -> None:
    _say(f"\nRange run of the Glue job, {days.first} to {days.last}:")
    for name, compact_only in (("wide and compact", False), ("--compact-only", True)):
        run_ = refinement_of(days, compact_only=compact_only)
        _say(
            f"  {name:<17}{run_.partitions:>10,} partitions {run_.puts:>11,} PUTs  "
            f"about {run_.size.minutes:,.0f} min with {run_.size.workers} workers  "
            f"USD {_cents(run_.cost)} once (Glue {_cents(run_.glue_cost)}, PUTs {_cents(run_.put_cost)}), "
            f"{_cents(run_.month_cost)} a month (catalog {_cents(run_.catalog_month_cost)})"
        )
    sessions = refinement_of(days, compact_only=True).sessions
    advice = (
        f"--compact-only is recommended: {sessions:,} sessions are more than {WIDE_RECOMMENDED_SESSIONS}"
        if sessions > WIDE_RECOMMENDED_SESSIONS
        else "both tables are recommended for so few sessions"
    )
    _say(f"  {advice}\nPrices of {prices.REGION}, {prices.AS_OF}; an estimate, no bill")


def _cents(cost: Decimal) -> str:
    return "below 0.01" if 0 < cost < Decimal("0.01") else f"{cost:.2f}"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
