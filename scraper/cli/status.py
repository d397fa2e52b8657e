"""`python -m scraper status`: the last sessions, from B3 to the catalog; what is missing, and why."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import boto3

from scraper.calendar import SAO_PAULO, day_in_sao_paulo, sessions_before
from scraper.cli.dead_letters import DeadLetters, Letter
from scraper.cli.lake import Lake, RawObject, Refusal, Session, counted
from scraper.cli.names import Names, UsageError, add_stack_arguments, day, job_of, positive
from scraper.cli.progress import display
from scraper.client import Absent, B3Client
from scraper.errors import ScraperError
from scraper.ingest import Outcome, outcome_of_absence
from scraper.range_run import SUCCEEDED, Run
from scraper.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

SESSIONS = 10
EXPECTED_AT = time(7, tzinfo=SAO_PAULO)
"""When a session is expected, on the day after it: the first of the schedule's hours as it is delivered."""

_RUN_PAGES = 5
"""Pages of job runs, a thousand: three months of them are more than Glue keeps."""
_RUNS_KEPT = timedelta(days=90)
_SOON = timedelta(minutes=10)
"""From a raw object to its job run: Lambda tries three times, a minute and two apart."""
_PEEK_SECONDS = 2
_MOST_LETTERS = 100
_MOST_SESSIONS = 250

OK, RUNNING, MISSING, NO_SESSION, NOT_DUE, FAILED = (
    "ok",
    "running",
    "missing",
    "no session",
    "not due",
    "failed",
)
_FINE = frozenset({OK, NO_SESSION, NOT_DUE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a session stands.

    Attributes:
        session: What the lake holds of it.
        state: `OK`, `RUNNING`, `MISSING`, `NO_SESSION`, `NOT_DUE` or `FAILED`.
        why: What is missing and why, or what else there is to know.
    """

    session: Session
    state: str
    why: list[str] = field(default_factory=list)

    @property
    def is_fine(self) -> bool:
        """Whether nobody has to look at it."""
        return self.state in _FINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What explains why a session is as it is.

    Attributes:
        now: The present.
        runs: The job's runs, oldest first.
        letters: The dead letters.
        refusals: The newest refused file of each session.
        wide: The sessions that the wide table is to have; None for all.
        b3: Whom to ask for what is missing; None to ask nobody.
    """

    now: datetime
    runs: Sequence[Run]
    letters: Sequence[Letter]
    refusals: Mapping[date, Refusal]
    wide: frozenset[date] | None
    b3: B3Client | None


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    command.add_argument(
        "--sessions",
        type=positive,
        default=SESSIONS,
        metavar="N",
        help=f"how many of the calendar (%(default)s, at most {_MOST_SESSIONS}); raw may have others between",
    )
    command.add_argument(
        "--to", type=day, metavar="YYYY-MM-DD", help="the last one (yesterday's, or today's)"
    )
    command.add_argument("--ask-b3", action="store_true", help="ask B3 for each session that raw lacks")
    command.add_argument("--json", action="store_true", help="as one JSON object")
    names = command.add_argument_group("where")
    add_stack_arguments(names)
    names.add_argument("--job", metavar="NAME", help="the Glue job (GLUE_JOB_NAME)")


def run(asked: argparse.Namespace, environment: Mapping[str, str]) -> bool:
    """Run the command.

    Args:
        asked: What `add_arguments` declares.
        environment: The process's environment.

    Returns:
        Whether all is well: every session in both tables or known to be none, and no dead letter.

    Raises:
        scraper.cli.names.UsageError: It could not begin.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: AWS refuses.
    """
    if asked.sessions > _MOST_SESSIONS:
        raise UsageError(f"--sessions: found {asked.sessions}, expected at most {_MOST_SESSIONS}")
    now = datetime.now(UTC)
    names = Names.find(asked, environment)
    lake = Lake(names)
    job = job_of(names)
    queue = DeadLetters(names.require("dead_letters"))
    b3 = None
    if asked.ask_b3:
        b3 = Settings.from_environment({**environment, "RAW_BUCKET": names.require("bucket")}).b3_client()
    raw, days = _days(lake, asked.to, asked.sessions, now)
    with display() as show:
        tell = show.of("status")
        tell("look", 0, len(days))
        sessions = lake.look(days, raw, lambda done: tell("look", done, len(days)))
        waiting = queue.count()
        letters = list(queue.receive(hidden_seconds=_PEEK_SECONDS, most=_MOST_LETTERS)) if waiting else []
        surroundings = Surroundings(
            now=now,
            runs=job.runs(_RUN_PAGES),
            letters=letters,
            refusals=lake.refusals(days[0]),
            wide=sessions_to_be_wide(lake, names),
            b3=b3,
        )
        verdicts = [judge(session, surroundings) for session in sessions]
        show.ended("status")
        if not asked.json:
            for line in [*_table(verdicts), *_reasons(verdicts), _letters_line(waiting)]:
                show.result(line)
    is_well = all(verdict.is_fine for verdict in verdicts) and not waiting
    if asked.json:
        document = {
            "is_well": is_well,
            "dead_letters": waiting,
            "sessions": [_json(verdict) for verdict in verdicts],
        }
        json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
        sys.stdout.write("\n")
    return is_well


def sessions_to_be_wide(lake: Lake, names: Names) -> frozenset[date] | None:
    """The sessions to which the job's `--wide_sessions` bounds the wide table; None if it does not."""
    glue: GlueClient = boto3.client("glue")
    arguments = glue.get_job(JobName=names.require("job"))["Job"].get("DefaultArguments", {})
    bound = int(arguments.get("--wide_sessions", "0"))
    return frozenset(sorted(lake.compact_sessions())[-bound:]) if bound else None


def is_to_be_wide(raw: RawObject, day: date, wide: frozenset[date] | None) -> bool:
    """Whether the wide table is to have a session; history may be in the compact one alone."""
    return raw.is_daily and (wide is None or day in wide)


def judge(session: Session, known: Surroundings) -> Verdict:
    """How a session stands, and why."""
    raw = session.raw
    if raw is None:
        return _judge_absence(session, known)
    notes = []
    refusal = known.refusals.get(session.day)
    if refusal is not None and refusal.kept > raw.modified:
        notes.append(f"B3 has since served a file that is in quarantine: {refusal.reason} ({refusal.key})")
    if raw.has_twin:
        notes.append("raw has a backfilled object besides: ingesting the session once more takes it away")
    differences = session.differences(is_wide=is_to_be_wide(raw, session.day, known.wide))
    since = _floor(raw.modified)
    later = [run for run in known.runs if run.covers(session.day) and run.started >= since]
    if not differences and not _is_stale(session, raw, later, known.now):
        if not session.refined.wide_tickers:
            notes.append("in the compact table alone")
        return Verdict(session=session, state=OK, why=notes)
    what = "; ".join(differences) or "not refined since raw was written"
    run = later[-1] if later else None
    if run is not None and not run.state.has_ended:
        why = f"{what}: job run {run.id} is {run.state.name}, {run.state.seconds} s"
        return Verdict(session=session, state=RUNNING, why=[why, *notes])
    return Verdict(
        session=session,
        state=_state_without(run, session, raw, known),
        why=[f"{what}: {_cause(run, session, raw, known)}", *notes],
    )


def _is_stale(session: Session, raw: RawObject, later: Sequence[Run], now: datetime) -> bool:
    """Whether raw was written after what the refined rows were made of.

    Equal sums do not tell: a correction may be one of prices. Files that would be the same are not written
    again, so that their time does not tell either once a run has succeeded.
    """
    written = session.refined.modified
    if any(run.state.name == SUCCEEDED for run in later) or (written and written >= _floor(raw.modified)):
        return False
    return bool(later) or now - raw.modified < _RUNS_KEPT


def _floor(instant: datetime) -> datetime:
    """An instant as S3 tells it, in full seconds."""
    return instant.replace(microsecond=0)


def _state_without(run: Run | None, session: Session, raw: RawObject, known: Surroundings) -> str:
    if run is not None:
        return FAILED
    letters = _letters_of(session.day, known.letters)
    return RUNNING if not letters and raw.is_daily and known.now - raw.modified < _SOON else MISSING


def _cause(run: Run | None, session: Session, raw: RawObject, known: Surroundings) -> str:
    """Why a session is not refined as it should be, and what to do."""
    replay = f"python -m scraper replay --date {session.day} --source raw"
    if run is not None and run.state.name == SUCCEEDED:
        return f"job run {run.id} SUCCEEDED, so it was changed since; {replay}"
    if run is not None:
        return f"job run {run.id} {run.state.name}: {run.state.message or 'no message'}; then {replay}"
    if letters := _letters_of(session.day, known.letters):
        return f"its event is in the dead-letter queue: {letters[-1].error}; python -m scraper redrive"
    if not raw.is_daily:
        return f"no job run since it was loaded; {replay}"
    age = known.now - raw.modified
    if age < _SOON:
        return f"it arrived {age.seconds} s ago, and no job run has begun yet"
    return f"no job run since it arrived; {replay}"


def _letters_of(day: date, letters: Sequence[Letter]) -> list[Letter]:
    found = []
    for letter in letters:
        try:
            if day in letter.sessions():
                found.append(letter)
        except ValueError:  # about no session
            continue
    return found


def _judge_absence(session: Session, known: Surroundings) -> Verdict:
    day, today = session.day, day_in_sao_paulo(known.now)
    ingest = f"python -m scraper ingest --date {day}"
    state, why = MISSING, f"not in raw: B3 had no file yet, or no session; --ask-b3 tells, {ingest} takes it"
    if refusal := known.refusals.get(day):
        why = f"not in raw: in quarantine: {refusal.reason} ({refusal.key})"
    elif known.now < _expected(day):
        state, why = NOT_DUE, f"expected at {_expected(day):%Y-%m-%d %H:%M} in São Paulo"
    if known.b3 is not None:
        state, why = _ask(known.b3, day, today, ingest, why)
    if not session.refined.is_empty:
        state, why = MISSING, f"{why}; refined without it: was the raw object deleted by hand?"
    return Verdict(session=session, state=state, why=[why])


def _ask(b3: B3Client, day: date, today: date, ingest: str, why: str) -> tuple[str, str]:
    try:
        answer = b3.quotes(day)
    except ScraperError as error:
        return MISSING, f"not in raw, and B3 could not be asked: {error}"
    if not isinstance(answer, Absent):
        served = f"B3 has it; {ingest}"
        return MISSING, f"{why}; {served}" if "quarantine" in why else f"not in raw: {served}"
    if outcome_of_absence(day, today) is Outcome.NO_SESSION:
        return NO_SESSION, f"B3 has no file of it: {answer.reason}"
    return MISSING, f"not in raw: B3 has no file yet ({answer.reason})"


def _expected(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), EXPECTED_AT)


def _days(
    lake: Lake, last: date | None, count: int, now: datetime
) -> tuple[dict[date, RawObject], list[date]]:
    """The raw objects, and the days to look at: of the calendar, and what raw has besides."""
    before = now if last is None else datetime.combine(last + timedelta(days=1), time(12), SAO_PAULO)
    of_calendar = sessions_before(before, count)
    raw = lake.raw_objects(of_calendar[0], last or day_in_sao_paulo(now))
    return raw, sorted({*of_calendar, *raw})


_HEADINGS = (
    "session",
    "raw",
    "quotes",
    "lines",
    "tickers",
    "volume BRL",
    "= raw",
    "wide",
    "catalog",
    "raw h",
    "refined h",
    "state",
)
_DAY = "{day}"
_LEFT = {0, 1, 11}


def _table(verdicts: Sequence[Verdict]) -> list[str]:
    rows = [_HEADINGS, *(_row(verdict) for verdict in verdicts)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADINGS))]
    return [
        "  ".join(
            cell.ljust(width) if place in _LEFT else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _row(verdict: Verdict) -> tuple[str, ...]:
    session, refined = verdict.session, verdict.session.refined
    quotes, sums = session.quotes, refined.sums
    either = quotes or sums
    partitions = f"{len(refined.wide_partitions):,} + {refined.is_registered:d}"
    is_nowhere = session.raw is None and refined.is_empty
    return (
        str(session.day),
        session.raw.kind if session.raw else "-",
        f"{quotes.lines:,}" if quotes else "-",
        f"{sums.lines:,}" if sums else "-",
        f"{len(refined.tickers):,}" if sums else "-",
        f"{either.volume:,}" if either else "-",
        ("yes" if session.is_equal else "NO") if quotes and sums else "-",
        "-" if is_nowhere else f"{len(refined.wide_tickers):,}",
        "-" if is_nowhere else partitions,
        *map(_hours, _lags(session)),
        verdict.state,
    )


def _reasons(verdicts: Sequence[Verdict]) -> list[str]:
    """A line for each reason, with the days that share it."""
    shared: dict[str, list[str]] = {}
    for verdict in verdicts:
        day = str(verdict.session.day)
        for reason in verdict.why:
            shared.setdefault(reason.replace(day, _DAY), []).append(day)
    return [
        f"{_listed(days)}  {reason.replace(_DAY, days[0] if len(days) == 1 else '<session>')}"
        for reason, days in shared.items()
    ]


def _listed(days: Sequence[str]) -> str:
    return ", ".join(days) if len(days) <= 3 else f"{days[0]} to {days[-1]} ({len(days)} sessions)"


def _letters_line(waiting: int) -> str:
    if not waiting:
        return "The dead-letter queue is empty"
    return f"The dead-letter queue holds {counted(waiting, 'message')}: python -m scraper redrive --dry-run"


def _lags(session: Session) -> tuple[float | None, float | None]:
    """Hours from when a session was expected to its raw object and to its compact file.

    They are those of what is there now: content that is replaced is as late as its replacement. Of history
    there is none.
    """
    raw, refined = session.raw, session.refined
    if raw is None or not raw.is_daily:
        return None, None
    expected = _expected(session.day)
    ends = (raw.modified, refined.modified)
    to_raw, to_refined = ((end - expected).total_seconds() / 3600 if end else None for end in ends)
    return to_raw, to_refined


def _hours(lag: float | None) -> str:
    if lag is None:
        return "-"
    return f"{lag:.1f}" if abs(lag) < 1000 else f"{lag:,.0f}"


def _json(verdict: Verdict) -> dict[str, Any]:
    session, raw, refined = verdict.session, verdict.session.raw, verdict.session.refined
    to_raw, to_refined = _lags(session)
    return {
        "session": str(session.day),
        "state": verdict.state,
        "why": verdict.why,
        "raw": raw
        and {
            "kind": raw.kind,
            "key": raw.key,
            "written": raw.modified.isoformat(),
            "quotes": session.quotes and session.quotes.lines,
            "volume": session.quotes and str(session.quotes.volume),
        },
        "refined": None
        if refined.is_empty
        else {
            "tickers": len(refined.tickers),
            "lines": refined.sums and refined.sums.lines,
            "volume": refined.sums and str(refined.sums.volume),
            "equals_raw": session.is_equal,
            "wide_files": len(refined.wide_tickers),
            "written": refined.modified and refined.modified.isoformat(),
        },
        "catalogued": {
            "wide_partitions": len(refined.wide_partitions),
            "compact_partition": refined.is_registered,
        },
        "lag_hours": {
            "raw": to_raw if to_raw is None else round(to_raw, 2),
            "refined": to_refined if to_refined is None else round(to_refined, 2),
        },
    }
