"""`python -m scraper replay`: rebuild sessions from B3, from what raw holds, or from what was refused.

The job runs once for a session. A session that B3 serves with other content is written, and its arrival
starts the run, as it does every morning; for one that comes as it was, nothing is written, and this command
starts the run itself. Runs of a range go over sessions that follow one another, and leave out those whose
arrival has started one already. What comes from quarantine goes the way of what B3 serves.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial

from operating.arguments import MOST_FROM_B3, QUARANTINE, RAW
from operating.estimate import refinement_of
from operating.ingest import line
from operating.lake import Lake, RawObject, Session
from operating.names import Names, UsageError, job_of
from operating.progress import Display, counted, display
from operating.quarantine import take_actions, take_levels, take_portfolios, take_session
from operating.range_run import SUCCEEDED, RangeRun, RangeRunError, RefineJob, State
from operating.verdict import is_to_be_wide, sessions_to_be_wide
from scraper.b3.calendar import day_in_sao_paulo, sessions_between
from scraper.daily.corporate_actions import CORPORATE_ACTIONS
from scraper.daily.ingest import COTAHIST, INDEX_LEVEL, INDEX_PORTFOLIO, Outcome, Result, tell_refusals
from scraper.daily.ingest import ingest as take
from scraper.history.span import Span
from scraper.raw.bucket import RawBucket
from scraper.runtime.settings import Settings

EVENT_SECONDS = 300.0
"""From a raw object to its job run: Lambda tries three times, one minute and two apart."""
POLL_SECONDS = 1.0
"""From one look for the run that an arrival starts to the next."""


@dataclass(frozen=True, slots=True)
class Means:
    """What the command works with: the job, the raw objects before it, and where to show how it goes."""

    job: RefineJob
    raw: Mapping[date, RawObject]
    show: Display


@dataclass(frozen=True, slots=True)
class Started:
    """A run of the job, and the sessions of raw that it refines."""

    run_id: str
    sessions: list[date]


@dataclass(frozen=True, slots=True)
class Asked:
    """What B3 answered, or quarantine gave.

    Attributes:
        written: Sessions that were written, whose arrival starts a run.
        unchanged: Sessions that raw holds as they came.
        is_complete: Whether every day is one of these, or known to be none.
    """

    written: list[date]
    unchanged: list[date]
    is_complete: bool


def run(asked: argparse.Namespace, environment: Mapping[str, str]) -> bool:
    """Run the command.

    Args:
        asked: What `operating.arguments.replay` declares.
        environment: The process's environment.

    Returns:
        Whether every session is rebuilt, and raw and refined agree.

    Raises:
        scraper.b3.errors.ScraperError: It could not begin.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: AWS refuses.
    """
    days = _span(asked, day_in_sao_paulo(datetime.now(UTC)))
    names = Names.find(asked, environment)
    lake = Lake(names)
    job = job_of(names)
    with display() as show:
        means = Means(job, lake.raw_objects(days.first, days.last), show)
        try:
            if asked.source == RAW:
                started, is_complete = _from_raw(means, days, compact_only=asked.compact_only)
            elif asked.source == QUARANTINE:
                bucket = names.require("bucket")
                started, is_complete = _from_quarantine(means, days, bucket, wait=not asked.no_wait)
            else:
                settings = Settings.from_environment({**environment, "RAW_BUCKET": names.require("bucket")})
                started, is_complete = _from_b3(means, days, settings, wait=not asked.no_wait)
            if asked.no_wait or not started:
                return is_complete
            succeeded = [each for one in started if _has_succeeded(means, one) for each in one.sessions]
        except RangeRunError as error:
            show.result(f"job run: {error}")
            return False
        agree = _agree(lake, names, succeeded, asked.compact_only, show)
    return is_complete and agree and len(succeeded) == sum(len(one.sessions) for one in started)


def _from_raw(means: Means, days: Span, *, compact_only: bool) -> tuple[list[Started], bool]:
    """Start one run over what raw holds.

    Returns:
        The runs, and whether no session had to be left out.
    """
    _say_absent(days, means.raw, means.show)
    return [_start(means, sorted(means.raw), compact_only=compact_only)], True


def _from_b3(means: Means, days: Span, settings: Settings, *, wait: bool) -> tuple[list[Started], bool]:
    """Take the sessions from B3, and have the job run for each once.

    Returns:
        The runs, and whether no session had to be left out.
    """
    known = {each.id for each in means.job.runs()}
    return _follow(means, _ask(settings, days, means), known, wait=wait)


def _from_quarantine(means: Means, days: Span, bucket: str, *, wait: bool) -> tuple[list[Started], bool]:
    """Read what was refused again, the sessions last, and have the job run for each session once.

    Returns:
        The runs, and whether nothing was refused again.

    Raises:
        UsageError: There is nothing, or too much.
    """
    raw, known = RawBucket(bucket), {each.id for each in means.job.runs()}
    sessions = raw.quarantined_days(COTAHIST, days.first, days.last)
    runs = raw.quarantined_days(INDEX_PORTFOLIO, days.first, days.last)
    asked = raw.quarantined_days(CORPORATE_ACTIONS, days.first, days.last)
    levels = raw.quarantined_days(INDEX_LEVEL, days.first, days.last)
    if not (sessions or runs or asked or levels):
        raise UsageError(f"Quarantine has nothing of {days.first} to {days.last}")
    _require_few(sessions, days, "leave some out by --from and --to")
    last_of_each: list[Result] = []
    takes = [partial(take_portfolios, raw, day) for day in runs]
    takes += [partial(take_levels, raw, day) for day in levels]
    takes += [partial(take_actions, raw, day) for day in asked]
    takes += [partial(take_session, raw, day) for day in sessions]
    for take_all in takes:
        results: dict[str, Result] = {}  # of each question, the last answer that was tried
        for question, result in take_all():
            means.show.result(line(result, bucket))
            results[question] = result
        last_of_each += results.values()
    for result in last_of_each:
        if result.source == INDEX_PORTFOLIO and result.outcome is Outcome.NEW:
            means.show.result(
                f"portfolio of {result.date}: sessions that were refined without it take it by "
                f"python -m scraper replay --from {result.date} --to <last session> --source raw"
            )
    issuers = {each.issuer for each in last_of_each if each.issuer and each.outcome is Outcome.NEW}
    if issuers:
        means.show.result(
            f"corporate actions of {', '.join(sorted(issuers))}: events and factors take them by the job's "
            "next run, such as python -m scraper replay --date <last session> --source raw"
        )
    quotes = [each for each in last_of_each if each.source == COTAHIST]
    answer = Asked(
        [each.date for each in quotes if each.date and each.outcome is Outcome.NEW],
        [each.date for each in quotes if each.date and each.outcome is Outcome.UNCHANGED],
        not any(each.is_error for each in last_of_each),
    )
    return _follow(means, answer, known, wait=wait)


def _follow(means: Means, answer: Asked, known: set[str], *, wait: bool) -> tuple[list[Started], bool]:
    """Have the job run once for each session that came, given the runs there were before."""
    others = {*means.raw, *answer.written} - {*answer.unchanged}
    started = [_start(means, each, compact_only=False) for each in _stretches(answer.unchanged, others)]
    known |= {each.run_id for each in started}
    if answer.written and wait:
        started += _await_events(means, answer.written, known)
    elif answer.written:
        means.show.result(f"job runs: the arrival of {_listed(answer.written)} starts them")
    return started, answer.is_complete


def _span(asked: argparse.Namespace, today: date) -> Span:
    if (asked.date is None) == (asked.first is None or asked.last is None) or (
        asked.date and (asked.first or asked.last)
    ):
        raise UsageError("Give either --date, or --from and --to")
    first, last = asked.date or asked.first, asked.date or asked.last
    if first > last:
        raise UsageError(f"--from {first} is after --to {last}")
    if last > today:
        raise UsageError(f"{last} is in the future: today is {today} in São Paulo")
    if asked.compact_only and asked.source != RAW:
        raise UsageError(
            "--compact-only goes with --source raw: the run that a session's arrival starts makes both tables"
        )
    return Span(first, last)


def _say_absent(days: Span, raw: Mapping[date, RawObject], show: Display) -> None:
    """Say which sessions of the calendar raw lacks.

    Raises:
        UsageError: It has none at all.
    """
    absent = [each for each in _expected(days) if each not in raw]
    if not raw:
        what = (
            _listed(absent)
            if absent
            else f"{days.first} to {days.last}, in which the calendar has no session"
        )
        raise UsageError(f"Not in raw: {what}. Ask B3 for it by --source b3")
    if absent:
        show.result(f"not in raw, so left out: {_listed(absent)}; --source b3 asks B3")


def _expected(days: Span) -> list[date]:
    return [days.first] if days.first == days.last else sessions_between(days.first, days.last)


def _ask(settings: Settings, days: Span, means: Means) -> Asked:
    """Ask B3 for each session of a range, and write what comes anew.

    Raises:
        UsageError: There are too many, or B3 has none of them.
    """
    raw, show = means.raw, means.show
    wanted = sorted({*_expected(days), *raw})
    _require_few(
        wanted,
        days,
        "python -m scraper backfill --refresh takes the annual files, with one run; --source raw refines "
        "what raw holds, also with one",
    )
    if not wanted:
        raise UsageError(f"The calendar has no session from {days.first} to {days.last}; name one by --date")
    b3, bucket = settings.b3_client(), RawBucket(settings.raw_bucket)
    answers = (
        result
        for each in wanted
        for result in take(
            b3, bucket, now=datetime.now(UTC), session=each, index_codes=(), lookback_sessions=1
        )
    )
    results: dict[date, Result] = {}
    for result in tell_refusals(answers):
        show.result(line(result, settings.raw_bucket))
        if result.date is not None:
            results[result.date] = result
    is_absent = {Outcome.NO_SESSION, Outcome.NOT_YET_PUBLISHED}
    absent = [each for each in wanted if results[each].outcome in is_absent]
    in_raw_alone = [each for each in absent if each in raw]
    if in_raw_alone:
        show.result(
            f"B3 has no file of {_listed(in_raw_alone)}, but raw has it: --source raw rebuilds from that"
        )
    if len(absent) == len(wanted) and not in_raw_alone:
        raise UsageError(f"Neither B3 nor raw has {_listed(absent)}: nothing was done")
    written = [each for each in wanted if results[each].outcome is Outcome.NEW]
    unchanged = [each for each in wanted if results[each].outcome is Outcome.UNCHANGED]
    is_complete = not in_raw_alone and not any(result.is_error for result in results.values())
    return Asked(written, unchanged, is_complete)


def _require_few(sessions: Sequence[date], days: Span, otherwise: str) -> None:
    if len(sessions) > MOST_FROM_B3:
        raise UsageError(
            f"{len(sessions)} sessions from {days.first} to {days.last}, expected at most {MOST_FROM_B3}: "
            f"each that comes anew has a job run of its own. For more, {otherwise}"
        )


def _stretches(sessions: Iterable[date], others: Iterable[date]) -> list[list[date]]:
    """Divide sessions where another one of raw lies between them, which a range would take in."""
    stretches: list[list[date]] = []
    is_divided = True
    mine = set(sessions)
    for each in sorted({*mine, *others}):
        if each not in mine:
            is_divided = True
        elif is_divided:
            stretches.append([each])
            is_divided = False
        else:
            stretches[-1].append(each)
    return stretches


def _start(means: Means, sessions: Sequence[date], *, compact_only: bool) -> Started:
    job, show = means.job, means.show
    first, last = sessions[0], sessions[-1]
    if first == last:
        run_id = job.refine(first, compact_only=compact_only)
        show.result(f"job run: {run_id} of {job.name}, {first}")
    else:
        days = Span(first, last)
        size = refinement_of(days, compact_only=compact_only).size
        run_id = job.start(RangeRun(days, size, compact_only))
        show.result(
            f"job run: {run_id} of {job.name}, {len(sessions)} sessions, {first} to {last}, "
            f"{size.workers} workers, about {size.minutes:,.0f} min"
        )
    return Started(run_id, [*sessions])


def _await_events(means: Means, sessions: Sequence[date], known: set[str]) -> list[Started]:
    """Wait until each session's arrival has started a run.

    Raises:
        RangeRunError: It has not, in time.
    """
    job, show = means.job, means.show
    tell = show.of("events")
    began = time.monotonic()
    while True:
        runs = {
            each.days.first: each.id
            for each in job.runs()
            if each.id not in known and each.days is not None and each.days.first == each.days.last
        }
        missing = [each for each in sessions if each not in runs]
        waited = time.monotonic() - began
        tell("waiting", int(waited), 0)
        if not missing:
            break
        if waited > EVENT_SECONDS:
            raise RangeRunError(
                f"{_listed(missing)}: written to raw, but no job run has begun within {EVENT_SECONDS:.0f} s. "
                "python -m scraper status says whether the event is a dead letter; redrive starts its run"
            )
        time.sleep(POLL_SECONDS)
    show.ended("events")
    for each in sessions:
        show.result(f"job run: {runs[each]} of {job.name}, {each}, started by its arrival")
    return [Started(runs[each], [each]) for each in sessions]


def _has_succeeded(means: Means, started: Started) -> bool:
    job, show = means.job, means.show
    tell = show.of("job run")
    began = time.monotonic()

    def seen(state: State) -> None:
        tell(state.name.lower(), int(time.monotonic() - began), 0)  # Glue tells its own seconds at the end

    end = job.wait(started.run_id, seen)
    show.ended("job run")
    if end.name == SUCCEEDED:
        show.result(f"job run: {started.run_id} {SUCCEEDED}, {end.seconds} s")
        return True
    message = " ".join(end.message.split()) or "no message"  # in one line
    show.result(f"job run: {started.run_id} ended as {end.name}: {message}")
    return False


def _agree(lake: Lake, names: Names, days: Sequence[date], compact_only: bool, show: Display) -> bool:
    """Hold raw, both tables and the catalog against one another, as `status` does."""
    if not days:
        return False
    wide = sessions_to_be_wide(lake, names)
    raw = lake.raw_objects(min(days), max(days))
    tell = show.of("check")
    sessions = lake.look(sorted(days), raw, lambda done: tell("look", done, len(days)))
    show.ended("check")
    differing = False
    for session in sessions:
        is_wide = (
            not compact_only and session.raw is not None and is_to_be_wide(session.raw, session.day, wide)
        )
        differences = session.differences(is_wide=is_wide)
        differing = differing or bool(differences)
        show.result(f"{session.day}  {'; '.join(differences) or _sums(session)}")
    return not differing


def _sums(session: Session) -> str:
    refined = session.refined
    tables = "both tables" if refined.wide_tickers else "the compact table"
    return f"{session.quotes}, in raw and in {tables}; {counted(len(refined.tickers), 'ticker')}, catalogued"


def _listed(days: Sequence[date]) -> str:
    shown = ", ".join(map(str, days[:5]))
    return f"{shown} and {len(days) - 5} more" if len(days) > 5 else shown
