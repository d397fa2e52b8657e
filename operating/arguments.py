"""What may be said to each command, and of what type it is.

Apart from what the commands do, so that `--help`, and a word that is wrong, need not wait for what that takes
to import.
"""

from __future__ import annotations

import argparse
from datetime import date

from scraper.b3.cotahist.layout import FIRST_YEAR
from scraper.b3.index_level.layout import FIRST_YEAR as LEVELS_SINCE
from scraper.history.span import Span

B3, RAW, QUARANTINE = "b3", "raw", "quarantine"
JOBS = 2
"""Years at a time on this machine: 150 MB of memory, and 100 MB a year. Peaks of 235, 335 and 415 MB were
measured for one, two and three years of 2.3 million quotes."""
FUNCTION_JOBS = 4
"""Years at a time as invocations of the function."""
MOST_FROM_B3 = 31
"""Sessions that B3 is asked for at most: each that comes anew has a job run of its own."""
SESSIONS = 10
MOST_SESSIONS = 250


def ingest(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `ingest`."""
    command.add_argument("--date", type=day, metavar="YYYY-MM-DD", help="the one session to take quotes of")
    command.add_argument("--index", metavar="CODES", help="indices, as IBOV,SMLL (INDEX_CODES, else IBOV)")
    add_stack_arguments(command)


def backfill(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `backfill`."""
    what = command.add_argument_group("what")
    what.add_argument(
        "--from",
        dest="first",
        type=days,
        metavar="WHEN",
        help=f"first year or day, as 1986 or 2024-03-01; B3 has files since {FIRST_YEAR}",
    )
    what.add_argument(
        "--corporate-actions",
        action="store_true",
        help="in place of quotes, what the issuers that the raw quotes name have paid, split and offered",
    )
    what.add_argument(
        "--index-levels",
        action="store_true",
        help=f"in place of quotes, the closes of indices, by years; B3 has the IBOV's since {LEVELS_SINCE}",
    )
    what.add_argument(
        "--index",
        metavar="CODES",
        help="with --index-levels: the indices, as IBOV,SMLL (INDEX_CODES, else IBOV)",
    )
    what.add_argument("--to", dest="last", type=days, metavar="WHEN", help="last one (the current year)")
    what.add_argument("--refresh", action="store_true", help="load finished years, or issuers, again")
    what.add_argument(
        "--source",
        choices=(B3, QUARANTINE),
        default=B3,
        help="B3's annual files, or those that were refused and lie in quarantine (%(default)s)",
    )
    what.add_argument(
        "--accept-gaps", action="store_true", help="take a file that lacks many consecutive sessions"
    )
    how = command.add_argument_group("how")
    how.add_argument(
        "--dry-run", action="store_true", help="say what it would load, how long and at what cost"
    )
    how.add_argument(
        "--via",
        choices=("local", "lambda"),
        default="local",
        help="load on this machine, or by the stack's function, a year an invocation",
    )
    how.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help=f"years at a time: {JOBS} here, at 100 MB of memory each; {FUNCTION_JOBS} by the function",
    )
    refine = command.add_argument_group("the range run of the Glue job")
    refine.add_argument(
        "--compact-only", action="store_true", help="make the compact table alone: for deep history"
    )
    refine.add_argument(
        "--refine",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="run the job although nothing is new, or not at all; else for what is new",
    )
    refine.add_argument("--no-wait", action="store_true", help="do not wait for the run's end")
    names = command.add_argument_group("where")
    add_stack_arguments(names)
    names.add_argument("--job", metavar="NAME", help="the Glue job (GLUE_JOB_NAME)")
    names.add_argument("--function", metavar="NAME", help="the backfill's function (BACKFILL_FUNCTION)")


def status(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `status`."""
    command.add_argument(
        "--sessions",
        type=positive,
        default=SESSIONS,
        metavar="N",
        help=f"how many of the calendar (%(default)s, at most {MOST_SESSIONS}); raw may have others between",
    )
    command.add_argument(
        "--to", type=day, metavar="YYYY-MM-DD", help="the last one (yesterday's, or today's)"
    )
    command.add_argument("--ask-b3", action="store_true", help="ask B3 for each session that raw lacks")
    command.add_argument("--json", action="store_true", help="as one JSON object")
    names = command.add_argument_group("where")
    add_stack_arguments(names)
    names.add_argument("--job", metavar="NAME", help="the Glue job (GLUE_JOB_NAME)")


def replay(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `replay`."""
    what = command.add_argument_group("what")
    what.add_argument("--date", type=day, metavar="YYYY-MM-DD", help="the one session")
    what.add_argument("--from", dest="first", type=day, metavar="YYYY-MM-DD", help="first day of a range")
    what.add_argument("--to", dest="last", type=day, metavar="YYYY-MM-DD", help="last day of the range")
    how = command.add_argument_group("how")
    how.add_argument(
        "--source",
        choices=(B3, RAW, QUARANTINE),
        default=B3,
        help=f"ask B3 again, for at most {MOST_FROM_B3} sessions; refine what raw holds; or read what was "
        "refused again, of portfolios, levels and corporate "
        "actions what was refused on those days (%(default)s)",
    )
    how.add_argument(
        "--compact-only",
        action="store_true",
        help="make the compact table alone, as for deep history; from raw only",
    )
    how.add_argument("--no-wait", action="store_true", help="do not wait for the runs' ends, nor check")
    names = command.add_argument_group("where")
    add_stack_arguments(names)
    names.add_argument("--job", metavar="NAME", help="the Glue job (GLUE_JOB_NAME)")


def redrive(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `redrive`."""
    command.add_argument("--dry-run", action="store_true", help="say what there is, and leave it there")
    command.add_argument("--limit", type=positive, metavar="N", help="at most so many messages (all)")
    names = command.add_argument_group("where")
    add_stack_arguments(names)


def add_stack_arguments(where: argparse._ActionsContainer) -> None:
    """Declare the arguments by which a command finds the raw bucket."""
    where.add_argument("--stack", metavar="NAME", help="the stack, whose outputs name the rest (STACK_NAME)")
    where.add_argument("--bucket", metavar="NAME", help="the raw bucket (RAW_BUCKET)")


def positive(text: str) -> int:
    """A number of at least 1, as an argument's type."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a whole number of at least 1")
    return int(text)


def day(text: str) -> date:
    """A day, as an argument's type."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a day as YYYY-MM-DD") from None


def days(text: str) -> Span:
    """A year, or a day, as the days that it has, as an argument's type."""
    try:
        if text.isdecimal() and len(text) == 4:
            return Span(date(int(text), 1, 1), date(int(text), 12, 31))
        return Span(date.fromisoformat(text), date.fromisoformat(text))
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a year or a day as YYYY-MM-DD") from None
