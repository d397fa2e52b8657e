"""Shows how far a command is: a bar for each running thing on a terminal, plain lines elsewhere.

Results go to standard output, progress to standard error when it is no terminal, so that a pipe gets the
results alone.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from scraper.history.backfill import Progress

LINE_SECONDS = 10.0
"""Between two plain lines of one stage."""


def counted(number: int, what: str) -> str:
    """So many of something, in words."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


class Display(Protocol):
    """Where results and progress are shown."""

    def of(self, name: str) -> Progress:
        """What is told of the progress of one thing, such as a year."""

    def ended(self, name: str) -> None:
        """The thing is over: its progress is of no more interest."""

    def result(self, text: str) -> None:
        """Print a line that stays."""


class Terminal:
    """A bar for each thing that is going on, below the results."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def of(self, name: str) -> Progress:
        """A bar, which appears with the first news."""
        current = ""

        def tell(stage: str, done: int, total: int) -> None:
            nonlocal current
            with self._lock:
                if name not in self._tasks:
                    self._tasks[name] = self._bars.add_task("", name=name, stage=stage, amount="")
            task = self._tasks[name]
            begins = stage != current
            if begins:  # anew, and so does the estimate of what remains
                self._bars.reset(task)
                current = stage
            self._bars.update(
                task,
                completed=done,
                total=total or None,
                stage=stage,
                amount=_amount(stage, done, total),
                refresh=begins,  # else a stage of less than a tenth of a second would never be seen
            )

        return tell

    def ended(self, name: str) -> None:
        """The bar goes."""
        with self._lock:
            task = self._tasks.pop(name, None)
        if task is not None:
            self._bars.remove_task(task)

    def result(self, text: str) -> None:
        """A line above the bars."""
        self._bars.console.print(text, soft_wrap=True)


class Lines:
    """A line when a stage begins, and every `LINE_SECONDS` while it lasts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def of(self, name: str) -> Progress:
        """Lines that begin with the name."""
        current, due = "", 0.0

        def tell(stage: str, done: int, total: int) -> None:
            nonlocal current, due
            now = time.monotonic()
            if stage != current or now >= due:
                current, due = stage, now + LINE_SECONDS
                with self._lock:
                    sys.stderr.write(f"{name}: {stage} {_amount(stage, done, total)}\n")
                    sys.stderr.flush()

        return tell

    def ended(self, name: str) -> None:
        """There is nothing to take away."""

    def result(self, text: str) -> None:
        """A line of standard output."""
        with self._lock:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()


@contextmanager
def display() -> Iterator[Display]:
    """Bars, while the context lasts, if standard output is a terminal, else lines."""
    if not sys.stdout.isatty():
        yield Lines()
        return
    with Bars(
        TextColumn("{task.fields[name]:<10}"),
        TextColumn("{task.fields[stage]:<9}"),
        BarColumn(),
        TextColumn("{task.fields[amount]}"),
        TimeRemainingColumn(),
        console=Console(highlight=False, markup=False, emoji=False),
        transient=True,
    ) as bars:
        yield Terminal(bars)


def _amount(stage: str, done: int, total: int) -> str:
    match stage:
        case "upload" | "compare" | "look" | "ask B3":
            return f"{done:,} of {total:,} sessions"
        case "issuers":
            return f"{done:,} of {total:,} issuers"
        case "messages":
            return f"{done:,}"
        case "download" | "read":
            return f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB" if total else f"{done / 1e6:,.0f} MB"
        case _:
            return f"{done:,} s"
