"""What the sandbox shows: colour and a spinner on a terminal, plain lines in a file, at most 100 wide."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import wrap
from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

_WIDTH = 100


class Step:
    """One thing that takes time: what it is doing while it lasts, and its outcome when it has ended."""

    def __init__(self, title: str, status: Status | None) -> None:
        self.outcome = ""
        self._title = title
        self._status = status

    def doing(self, what: str) -> None:
        """Say what is going on, in a few words; only a terminal shows it."""
        if self._status:
            self._status.update(Text.assemble(self._title, "  ", (what, "dim")))


class Show:
    """Prints a run of the sandbox.

    Args:
        file: Where to; by default standard output.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        out = file or sys.stdout
        self._terminal = out.isatty()
        width = min(Console(file=out).width, _WIDTH) if self._terminal else _WIDTH
        self._console = Console(file=out, width=width, highlight=False, emoji=False, markup=False)

    def heading(self, text: str) -> None:
        """Begin a stage of the pipeline."""
        self._console.print()
        self._print(Text(text, style="bold"))

    def line(self, text: str, *, style: str = "") -> None:
        """Tell a detail of the stage."""
        for line in text.splitlines():
            self._print(Text(f"  {line}", style=style))

    def warning(self, text: str) -> None:
        """Tell what must not be overlooked."""
        self.line(text, style="yellow")

    def failure(self, text: str) -> None:
        """Tell in one paragraph what was wrong, what to do, and where to read more."""
        self._console.print()
        self._print(Text.assemble(("FAILED  ", "bold red"), " ".join(text.split())))

    @contextmanager
    def step(self, title: str, *, slow: bool = False) -> Iterator[Step]:
        """Show that something is going on, then its outcome and how many seconds it took.

        Args:
            title: What it is.
            slow: Whether a file, which has no spinner, gets a line at the beginning, too.
        """
        started = time.monotonic()
        if slow and not self._terminal:
            self.line(f"{title} ...")
        with self.waiting(title) as status:
            step = Step(title, status)
            yield step
        self.line(f"{title}: {step.outcome} ({time.monotonic() - started:.1f} s)")

    @contextmanager
    def waiting(self, title: str) -> Iterator[Status | None]:
        """Show on a terminal that something is going on; its outcome is for the caller to tell."""
        if self._terminal:
            with self._console.status(Text(title)) as status:
                yield status
        else:
            yield None

    def table(self, columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]]) -> None:
        """Show rows. A column is its name and whether it holds numbers."""
        table = Table(header_style="dim", box=None, pad_edge=False)
        for place, (name, is_number) in enumerate(columns):
            heading = name.replace("_", " ")
            # A heading breaks into lines rather than making its column wider than what stands in it
            width = max(map(len, [*(row[place] for row in rows), *heading.split()]))
            table.add_column("\n".join(wrap(heading, width)), justify="right" if is_number else "left")
        for row in rows:
            table.add_row(*row)
        self._console.print(Padding(table, (0, 0, 0, 2), expand=False))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def count(number: int, one: str, several: str = "") -> str:
    """A number of things: "1 row", "1,000 rows"; `several` where their name takes more than an s."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def first_line(text: str) -> str:
    """The first line of a message that may have more of them."""
    return text.strip().partition("\n")[0].strip()
