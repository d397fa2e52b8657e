"""How a session stands, from what the lake, the job, the dead letters, quarantine and B3 say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import boto3

from operating.dead_letters import Letter
from operating.lake import Lake, RawObject, Refusal, Session
from operating.names import Names
from operating.range_run import SUCCEEDED, Run
from scraper.b3.calendar import SAO_PAULO, day_in_sao_paulo
from scraper.b3.client import Absence, Absent, B3Client, RefusedError
from scraper.b3.errors import ScraperError
from scraper.daily.ingest import Outcome, outcome_of_absence, several_pages

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

EXPECTED_AT = time(7, tzinfo=SAO_PAULO)
"""When a session is expected, on the day after it: the first of the schedule's hours as it is delivered."""

_RUNS_KEPT = timedelta(days=90)
_SOON = timedelta(minutes=10)
"""From a raw object to its job run: Lambda tries three times, a minute and two apart."""


class State(StrEnum):
    """How a session stands."""

    OK = "ok"
    """In raw, in the tables, in the catalog, and it adds up."""
    RUNNING = "running"
    """It will be, when the job's run has ended."""
    MISSING = "missing"
    """Something is not there, or not as it should be."""
    FAILED = "failed"
    """The last run of the job for it did not succeed, or what it made was changed since."""
    NO_SESSION = "no session"
    """B3 was asked: there was none."""
    NOT_DUE = "not due"
    """It is not to be there yet."""


Said = Absent | ScraperError | None
"""What B3 said of a session: that it has no file, nothing of use, or, None, that it has one."""

_FINE = frozenset({State.OK, State.NO_SESSION, State.NOT_DUE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a session stands.

    Attributes:
        session: What the lake holds of it.
        state: How it stands.
        why: What is missing and why, or what else there is to know.
    """

    session: Session
    state: State
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
        b3: What B3 answered for each session that raw lacks (see `ask`); None if it was not asked.
    """

    now: datetime
    runs: Sequence[Run]
    letters: Sequence[Letter]
    refusals: Mapping[date, Refusal]
    wide: frozenset[date] | None
    b3: Mapping[date, Said] | None


def ask(b3: B3Client, days: Sequence[date]) -> Iterator[tuple[date, Said]]:
    """Ask B3 for sessions, one after another."""
    for day in days:
        try:
            answer = b3.quotes(day)
        except ScraperError as error:
            yield day, error
        else:
            yield day, answer if isinstance(answer, Absent) else None


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
    if session.oddities:
        notes.append(f"kept although it is odd: {session.oddities}")
    differences = session.differences(is_wide=is_to_be_wide(raw, session.day, known.wide))
    since = _floor(raw.modified)
    later = [run for run in known.runs if run.covers(session.day) and run.started >= since]
    if not differences and not _is_stale(session, raw, later, known.now):
        if not session.refined.wide_tickers:
            notes.append("in the compact table alone")
        return Verdict(session=session, state=State.OK, why=notes)
    what = "; ".join(differences) or "not refined since raw was written"
    state, cause = _cause(session.day, raw, later[-1] if later else None, known)
    return Verdict(session=session, state=state, why=[f"{what}: {cause}", *notes])


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


def _cause(day: date, raw: RawObject, run: Run | None, known: Surroundings) -> tuple[State, str]:
    """Why a session is not refined as it should be, given the last run since raw was written; what to do."""
    replay = f"python -m scraper replay --date {day} --source raw"
    if run is not None and not run.state.has_ended:
        return State.RUNNING, f"job run {run.id} is {run.state.name}"
    if run is not None and run.state.name == SUCCEEDED:
        return State.FAILED, f"job run {run.id} SUCCEEDED, so it was changed since; {replay}"
    if run is not None:
        message = " ".join(run.state.message.split()) or "no message"  # in one line
        return State.FAILED, f"job run {run.id} {run.state.name}: {message}; then {replay}"
    if letters := _letters_of(day, known.letters):
        error = letters[-1].error
        return State.MISSING, f"its event is in the dead-letter queue: {error}; python -m scraper redrive"
    age = known.now - raw.modified
    if raw.is_daily and age < _SOON:
        return State.RUNNING, f"it arrived {age.total_seconds():.0f} s ago, and no job run has begun yet"
    return State.MISSING, f"no job run since it {'arrived' if raw.is_daily else 'was loaded'}; {replay}"


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
    state, why = _why_absent(session.day, known)
    if not session.refined.is_empty:
        state, why = State.MISSING, f"{why}; refined without it: was the raw object deleted by hand?"
    return Verdict(session=session, state=state, why=[why])


def _why_absent(day: date, known: Surroundings) -> tuple[State, str]:
    replay, refusal = f"python -m scraper replay --date {day}", known.refusals.get(day)
    is_due = known.now >= expected(day)
    if refusal is not None:
        return State.MISSING, f"not in raw: in quarantine: {refusal.reason} ({refusal.key}); {replay}"
    if known.b3 is not None:
        return _why_by_b3(known.b3, day, replay, day_in_sao_paulo(known.now), is_due=is_due)
    if not is_due:
        return State.NOT_DUE, f"expected at {expected(day):%Y-%m-%d %H:%M} in São Paulo"
    return State.MISSING, f"not in raw: B3 had no file yet, or no session; --ask-b3 tells, {replay} takes it"


def _why_by_b3(
    answers: Mapping[date, Said], day: date, replay: str, today: date, *, is_due: bool
) -> tuple[State, str]:
    answer = answers[day]
    if isinstance(answer, ScraperError):
        return State.MISSING, f"not in raw, and B3 could not be asked: {answer}"
    if answer is None:
        return State.MISSING, f"not in raw: B3 has it; {replay}"
    pages = [one for one, said in answers.items() if isinstance(said, Absent) and said.reason is Absence.PAGE]
    refused = sum(isinstance(said, RefusedError) for said in answers.values())
    if answer.reason is Absence.PAGE and several_pages(pages, refused=refused):
        what = f"{answer.reason} in place of several sessions is its firewall's, or one of its errors"
        return State.MISSING, f"not in raw, and B3 refused to say: {what}; ask again later"
    if outcome_of_absence(day, today) is Outcome.NO_SESSION:
        return State.NO_SESSION, f"B3 has no file of it: {answer.reason}"
    state = State.MISSING if is_due else State.NOT_DUE
    return state, f"not in raw: B3 has no file yet ({answer.reason})"


def expected(day: date) -> datetime:
    """When a session is expected to be in raw."""
    return datetime.combine(day + timedelta(days=1), EXPECTED_AT)


def lags(session: Session) -> tuple[float | None, float | None]:
    """Hours from when a session was expected to its raw object and to its compact file.

    They are those of what is there now: content that is replaced is as late as its replacement. Of history
    there is none.
    """
    raw, refined = session.raw, session.refined
    if raw is None or not raw.is_daily:
        return None, None
    ends = (raw.modified, refined.modified)
    to_raw, to_refined = (
        (end - expected(session.day)).total_seconds() / 3600 if end else None for end in ends
    )
    return to_raw, to_refined
