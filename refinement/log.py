"""What the job says on its way: lines for CloudWatch, with the run and the session that they are of."""

from __future__ import annotations

import argparse
import datetime as dt
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from lake.currency import totals
from refinement.transform import Session


def volumes(sessions: Iterable[Session]) -> str:
    """What sessions add up to in each currency."""
    sums = totals((session.trade_date, session.volume) for session in sessions)
    return " and ".join(f"{volume:,} {currency}" for currency, volume in sums.items())


def span(days: Sequence[dt.date]) -> str:
    """Days in words: the one, or the first and the last of them and how many."""
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]} ({len(days):,} sessions)"


def listed(items: Sequence[str], what: str) -> str:
    """Items in words: up to three, or how many and the first and the last."""
    return ", ".join(items) if len(items) <= 3 else f"{len(items):,} {what}, {items[0]} to {items[-1]}"


_started = time.monotonic()
_run = ""


def label(arguments: argparse.Namespace) -> None:
    """Have each line say which run it is of, and of which session or range."""
    global _run  # noqa: PLW0603 - a process is one run
    first, last = arguments.start_date, arguments.end_date
    sessions = f"{first}" if first == last else f"{first}/{last}"
    run_id = f"run={arguments.JOB_RUN_ID} " if arguments.JOB_RUN_ID else ""
    _run = f"  [{run_id}session_date={sessions}]"


def line(message: str) -> None:
    """Print a line, which Glue puts into CloudWatch, with the seconds since the job's start."""
    print(f"{time.monotonic() - _started:6.1f} s  {message}{_run}", flush=True)


class Phases:
    """Seconds that the phases of a run have taken; some go on beside one another."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Count the block's seconds for a phase."""
        started = time.monotonic()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0) + time.monotonic() - started

    def __str__(self) -> str:
        return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in self._seconds.items())
