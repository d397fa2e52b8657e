"""`python -m scraper status`: the last sessions, from B3 to the catalog; what is missing, and why."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple

from lake.currency import currency_of
from operating.arguments import MOST_SESSIONS
from operating.dead_letters import DeadLetters
from operating.lake import Lake, RawObject, UnreadableError
from operating.names import Names, UsageError, job_of
from operating.progress import Display, counted, display
from operating.verdict import Said, Surroundings, Verdict, ask, judge, lags, sessions_to_be_wide
from scraper.b3.calendar import SAO_PAULO, day_in_sao_paulo, sessions_before
from scraper.runtime.settings import Settings

_RUN_PAGES = 5
"""Pages of job runs, 200 in each."""
_PEEK_SECONDS = 2
_MOST_LETTERS = 100
_PATIENCE = 10
"""Sessions for which a rise of a distribution number may be unexplained before it is told."""
_RISES_SHOWN = 3


class Rises(NamedTuple):
    """Rises of distribution numbers that are unexplained for too long.

    Attributes:
        overdue: Ex-date and ticker, the newest first.
        problem: Why they are not known, and what to do; None if they are.
    """

    overdue: list[tuple[date, str]]
    problem: str | None = None


def run(asked: argparse.Namespace, environment: Mapping[str, str]) -> bool:
    """Run the command.

    Args:
        asked: What `operating.arguments.status` declares.
        environment: The process's environment.

    Returns:
        Whether all is well: every session in both tables or known to be none, no dead letter, and a table of
        events that can be read, if there is one.

    Raises:
        operating.names.UsageError: It could not begin.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: AWS refuses.
    """
    if asked.sessions > MOST_SESSIONS:
        raise UsageError(f"--sessions: found {asked.sessions}, expected at most {MOST_SESSIONS}")
    with display() as show:
        verdicts, waiting, rises = _look(asked, environment, show)
        if not asked.json:
            for line in [*_table(verdicts), *_reasons(verdicts), *_rises_line(rises), _letters_line(waiting)]:
                show.result(line)
    is_well = all(verdict.is_fine for verdict in verdicts) and not waiting and rises.problem is None
    if asked.json:
        document = {
            "is_well": is_well,
            "dead_letters": waiting,
            "unexplained_rises": len(rises.overdue) if rises.problem is None else None,
            "events_unreadable": rises.problem,
            "sessions": [_json(verdict) for verdict in verdicts],
        }
        json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
        sys.stdout.write("\n")
    return is_well


def _look(
    asked: argparse.Namespace, environment: Mapping[str, str], show: Display
) -> tuple[list[Verdict], int, Rises]:
    """Look at the sessions and at what explains them; the verdicts, how many dead letters, overdue rises."""
    now = datetime.now(UTC)
    names = Names.find(asked, environment)
    lake, job, queue = Lake(names), job_of(names), DeadLetters(names.require("dead_letters"))
    b3 = None
    if asked.ask_b3:
        b3 = Settings.from_environment({**environment, "RAW_BUCKET": names.require("bucket")}).b3_client()
    raw, days = _days(lake, asked.to, asked.sessions, now)
    rises = _rises(lake, sessions_before(_end(asked.to, now), _PATIENCE + 2)[0], max(raw, default=None))
    tell = show.of("status")
    tell("look", 0, len(days))
    sessions = lake.look(days, raw, lambda done: tell("look", done, len(days)))
    waiting = queue.count()
    letters = list(queue.receive(hidden_seconds=_PEEK_SECONDS, most=_MOST_LETTERS)) if waiting else []
    refusals = lake.refusals(days[0])
    answers: dict[date, Said] | None = None
    if b3 is not None:
        answers = {}
        to_ask = [each.day for each in sessions if each.raw is None and each.day not in refusals]
        tell("ask B3", 0, len(to_ask))
        for each, answer in ask(b3, to_ask):
            answers[each] = answer
            tell("ask B3", len(answers), len(to_ask))
    surroundings = Surroundings(
        now=now,
        runs=job.runs(_RUN_PAGES),
        letters=letters,
        refusals=refusals,
        wide=sessions_to_be_wide(lake, names),
        b3=answers,
    )
    verdicts = [judge(session, surroundings) for session in sessions]
    show.ended("status")
    return verdicts, waiting, rises


def _rises(lake: Lake, last: date, newest: date | None) -> Rises:
    """The rises up to a day; if the events cannot be read, what to do: any run of the job makes them anew."""
    try:
        return Rises(lake.unexplained_rises(last))
    except UnreadableError as error:
        replay = f"python -m scraper replay --date {newest or '<session>'} --source raw"
        return Rises([], f"events: {error}; the job makes them anew with any session: {replay}")


def _end(last: date | None, now: datetime) -> datetime:
    """The moment up to which sessions count."""
    return now if last is None else datetime.combine(last + timedelta(days=1), time(12), SAO_PAULO)


def _days(
    lake: Lake, last: date | None, count: int, now: datetime
) -> tuple[dict[date, RawObject], list[date]]:
    """The raw objects, and the days to look at: of the calendar, and what raw has besides."""
    of_calendar = sessions_before(_end(last, now), count)
    raw = lake.raw_objects(of_calendar[0], last or day_in_sao_paulo(now))
    return raw, sorted({*of_calendar, *raw})


_HEADINGS = (
    "session",
    "raw",
    "quotes",
    "lines",
    "tickers",
    "volume",
    "= raw",
    "wide",
    "catalog",
    "raw h",
    "refined h",
    "trailer",
    "state",
)
_DAY = "{day}"
_LEFT = {0, 1, 11, 12}


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
        f"{either.currency} {either.volume:,}" if either else "-",
        ("yes" if session.is_equal else "NO") if quotes and sums else "-",
        "-" if is_nowhere else f"{len(refined.wide_tickers):,}",
        "-" if is_nowhere else partitions,
        *map(_hours, lags(session)),
        session.trailer_count or "-",
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


def _rises_line(rises: Rises) -> list[str]:
    if rises.problem is not None:
        return [rises.problem]
    if not rises.overdue:
        return []
    newest = ", ".join(f"{ticker} ({day})" for day, ticker in rises.overdue[:_RISES_SHOWN])
    more = ", ..." if len(rises.overdue) > _RISES_SHOWN else ""
    count = counted(len(rises.overdue), "rise")
    return [
        f"{count} of a distribution number unexplained for more than {_PATIENCE} sessions, the newest first: "
        f"{newest}{more}"
    ]


def _letters_line(waiting: int) -> str:
    if not waiting:
        return "The dead-letter queue is empty"
    return f"The dead-letter queue holds {counted(waiting, 'message')}: python -m scraper redrive --dry-run"


def _hours(lag: float | None) -> str:
    if lag is None:
        return "-"
    return f"{lag:.1f}" if abs(lag) < 1000 else f"{lag:,.0f}"


def _json(verdict: Verdict) -> dict[str, Any]:
    session, raw, refined = verdict.session, verdict.session.raw, verdict.session.refined
    to_raw, to_refined = lags(session)
    return {
        "session": str(session.day),
        "state": verdict.state,
        "currency": currency_of(session.day),
        "why": verdict.why,
        "raw": raw
        and {
            "kind": raw.kind,
            "key": raw.key,
            "written": raw.modified.isoformat(),
            "quotes": session.quotes and session.quotes.lines,
            "volume": session.quotes and str(session.quotes.volume),
            "trailer_count": session.trailer_count,
            "oddities": session.oddities or None,
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
