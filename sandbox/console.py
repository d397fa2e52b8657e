"""What the sandbox shows: a spinner and colour on a terminal, plain lines in a file, at most 100 wide."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.status import Status
from rich.table import Table
from rich.text import Text

_WIDTH = 100


class Step:
    """One thing that takes time. What it is doing is shown while it lasts, `outcome` when it has ended."""

    def __init__(self, title: str, status: Status | None) -> None:
        self.outcome = ""
        self._title = title
        self._status = status

    def doing(self, what: str) -> None:
        """Say what is going on, in a few words; only a terminal shows it."""
        if self._status:
            self._status.update(Text.assemble(f"{self._title}  ", (what, "dim")))


class Show:
    """Prints the run of the sandbox.

    Args:
        file: Where to; by default standard output.
    """

    def __init__(self, file: TextIO | None = None) -> None:
        out = file or sys.stdout
        terminal = Console(file=out)
        width = min(terminal.width, _WIDTH) if terminal.is_terminal else _WIDTH
        self._console = Console(file=out, width=width, highlight=False, emoji=False, markup=False)

    def heading(self, text: str) -> None:
        """Begin a stage of the pipeline."""
        self._console.print()
        self._console.print(Text(text, style="bold"))

    def line(self, text: str, *, style: str = "") -> None:
        """Tell a detail of the stage."""
        self._console.print(Padding(Text(text, style=style), (0, 0, 0, 2)))

    def warning(self, text: str) -> None:
        """Tell what must not be overlooked."""
        self.line(text, style="yellow")

    def failure(self, text: str) -> None:
        """Tell why the run has failed."""
        self._console.print()
        self._console.print(Text.assemble(("FAILED  ", "bold red"), text))

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show that something is going on, then how it went and how many seconds it took."""
        started = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(Text(title)) as status:
                step = Step(title, status)
                yield step
        else:
            self.line(f"{title} ...")
            step = Step(title, None)
            yield step
        seconds = time.monotonic() - started
        self.line(f"{title}: {step.outcome}  ({seconds:.1f} s)")

    def table(self, title: str, columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[str]]) -> None:
        """Show rows under a title. A column is its name and whether it holds numbers."""
        table = Table(title=title, title_justify="left", title_style="bold", header_style="", box=None)
        for name, is_number in columns:
            # Without the underscores a long name can break into lines
            table.add_column(
                name.replace("_", " "), justify="right" if is_number else "left", vertical="bottom"
            )
        for row in rows:
            table.add_row(*row)
        self._console.print()
        self._console.print(Padding(table, (0, 0, 0, 2)))
