"""History before a run's sessions, loaded as a user loads it: by `python -m scraper backfill`.

A B3 that is served here is first asked for the corporate actions of all issuers that the raw quotes name; the
real one, of which each is a call with a pause, is not. The index's levels are asked for by years, where those
that the morning has brought do not reach back as far. B3's annual files go into the raw bucket, and one range
run of the job makes the compact table of them. What the daily path has ingested stays as it is, and a lake
that has the sessions already loads nothing anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from datetime import date
from typing import IO

from sandbox.b3.formats import daily_zip_name
from sandbox.b3.index import IBOV
from sandbox.b3.server import B3Server
from sandbox.b3.years import annual_zip_name
from sandbox.console import Show
from sandbox.environment import Sandbox
from sandbox.ministack import REPOSITORY
from sandbox.pipeline import Pipeline, StageError

_RANGE_RUN = re.compile(r"range run: (\S+) of ")
_COLUMN_GAPS = re.compile(r" {3,}")


class Loading:
    """A backfill under way, in a process and a thread of its own, so that the daily path goes on beside it.

    Args:
        sandbox: The running sandbox.
        lacking: The sessions to load, oldest first; with none there is nothing to do or show.
        history: All sessions of history that the lake is to have.
        levels: The years whose levels of the index to load, oldest first.
        b3: The B3 that is served here; None for B3 itself.
    """

    def __init__(
        self,
        sandbox: Sandbox,
        lacking: Sequence[date],
        history: Sequence[date],
        levels: Sequence[int],
        b3: B3Server | None,
    ) -> None:
        self._sandbox = sandbox
        self._lacking = lacking
        self._history = history
        self._levels = levels
        self._b3 = b3
        self._thread = ThreadPoolExecutor(1)
        self._processes: list[subprocess.Popen[str]] = []
        self._said = ""
        self._run_id: str | None = None
        self._ended = False
        self._began = time.monotonic()
        self._outcome = self._thread.submit(self._load) if lacking else None

    def finish(self, show: Show) -> None:
        """Wait for the end, and show it.

        Raises:
            StageError: B3 has no file of a year, or the backfill or its run of the job failed.
        """
        if self._history:
            show.heading(f"History, {self._history[0]} to {self._history[-1]}")
        if self._outcome is None:
            if self._history:
                show.line("the lake has all of it: nothing to load")
            return
        for command in self._commands:
            show.line(f"python -m scraper {' '.join(command)}")
        with show.step("backfill", slow=True) as step:
            while not self._outcome.done():
                step.doing(self._doing())
                wait([self._outcome], timeout=0.2)
            code, results, errors = self._outcome.result()
            # It has begun with the job runs of the daily path, which are waited for before it
            step.outcome = f"{'failed' if code else 'done'}, {time.monotonic() - self._began:.1f} s in all"
        for line in results:
            if not _RANGE_RUN.match(line):  # its end is told, too
                show.line(_COLUMN_GAPS.sub("  ", line))
        if code:
            last = errors[-1] if errors else f"exit {code}"
            raise StageError(
                f"history was not loaded: {last}. The next run goes on where this one has stopped",
                details="\n".join([*results, *errors]),
            )

    def stop(self) -> None:
        """End it, if it has not ended."""
        self._ended = True
        for process in self._processes:
            process.terminate()
        self._thread.shutdown()

    @property
    def _commands(self) -> list[list[str]]:
        days = ("--from", str(self._lacking[0]), "--to", str(self._lacking[-1]))
        commands = []
        if self._b3 is not None:
            commands.append(["backfill", "--corporate-actions"])
        if self._levels:
            years = ("--from", str(self._levels[0]), "--to", str(self._levels[-1]))
            commands.append(["backfill", "--index-levels", *years])
        commands.append(["backfill", *days, "--compact-only"])
        return commands

    def _doing(self) -> str:
        log = self._sandbox.aws.job_run_log(self._run_id) if self._run_id else None
        said = log.read_text(errors="replace").splitlines() if log and log.exists() else []
        return (f"{self._said.partition(':')[0]}: {said[-1].strip()}" if said else self._said)[:80]

    def _load(self) -> tuple[int, list[str], list[str]]:
        """Load the sessions; return the exit code, the results, and the last command's lines of progress.

        What the range run takes from beside the quotes is loaded before them, all at once; if a command of it
        fails, the quotes are not loaded.
        """
        if self._b3 is not None:
            prepare(self._b3, self._lacking)
        *before, quotes = self._commands
        results: list[str] = []
        with ThreadPoolExecutor(len(self._commands)) as beside:
            for code, told, errors in beside.map(self._run, before):
                results += told
                if code or self._ended:
                    return code, results, errors
        code, told, errors = self._run(quotes)
        return code, results + told, errors

    def _run(self, command: Sequence[str]) -> tuple[int, list[str], list[str]]:
        with (
            subprocess.Popen(
                [sys.executable, "-m", "scraper", *command],
                cwd=REPOSITORY,
                env={**os.environ, **self._sandbox.names(self._b3)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as process,
            ThreadPoolExecutor(1) as reader,
        ):
            self._processes.append(process)
            if self._ended:
                process.terminate()
            if process.stdout is None or process.stderr is None:
                raise RuntimeError("a process that was started with pipes has none")
            results = reader.submit(self._read_results, process.stdout)
            errors = []
            for line in process.stderr:
                self._said = line.rstrip()
                errors.append(self._said)
        return process.returncode, results.result(), errors

    def _read_results(self, output: IO[str]) -> list[str]:
        lines = []
        for line in output:
            lines.append(line.rstrip())
            if run := _RANGE_RUN.match(line):
                self._run_id = run[1]
        return lines


@contextmanager
def load(
    sandbox: Sandbox, pipeline: Pipeline, history: Sequence[date], b3: B3Server | None
) -> Iterator[Loading]:
    """Begin to load the sessions of history that the lake lacks; it is ended with the context.

    Args:
        sandbox: The running sandbox.
        pipeline: The pipeline in it.
        history: The sessions, oldest first.
        b3: The B3 that is served here; None for B3 itself.
    """
    there = pipeline.raw_sessions() & {*pipeline.compact_sessions()}
    lacking = [session for session in history if session not in there]
    first_level = pipeline.first_level(IBOV) if lacking else None
    years = sorted({day.year for day in lacking if first_level is None or day < first_level})
    # A folder of recorded files need not have any
    levels = [year for year in years if b3 is None or b3.has_levels(IBOV, year)]
    loading = Loading(sandbox, lacking, history, levels, b3)
    try:
        yield loading
    finally:
        loading.stop()


@contextmanager
def made_beside(b3: B3Server | None, session: date, history: Collection[date]) -> Iterator[None]:
    """Have a local B3 make what it will be asked for beside the block: while the emulator starts, for one.

    First what the daily path asks for on a session, then the annual files of history. Who asks for one in the
    block waits for it. What fails here fails again for who asks, and is told then.
    """
    with ThreadPoolExecutor(1) as beside:
        if b3 is not None:
            beside.submit(b3.has_quotes, daily_zip_name(session))
            beside.submit(b3.has_levels, IBOV, session.year)
            beside.submit(prepare, b3, history)
        yield


def prepare(b3: B3Server, sessions: Collection[date]) -> None:
    """Have a local B3 write its annual files before they are asked for, as a year of them takes its time.

    Raises:
        StageError: It has none of a year.
    """
    for year in sorted({session.year for session in sessions}):
        if not b3.has_quotes(annual_zip_name(year)):
            raise StageError(f"B3 has no {annual_zip_name(year)}, of which history is loaded")


def check(pipeline: Pipeline, history: Sequence[date], show: Show) -> None:
    """Hold raw and compact table against each other, session by session.

    Raises:
        StageError: They do not add up to the same.
    """
    if not history:
        return
    with show.step("history in raw and compact table") as step:
        raw, compact = pipeline.sums_by_session(history[0], history[-1])
        days = sorted(raw.keys() | compact.keys())
        if differing := [session for session in days if raw.get(session) != compact.get(session)]:
            first = differing[0]
            raise StageError(
                f"{len(differing)} sessions do not add up to the same in the raw and the compact table; the "
                f"first is {first}: {raw.get(first)} and {compact.get(first)} (quotes, BRL); "
                "begin anew by `python -m sandbox run --fresh`"
            )
        if not raw:
            raise StageError(f"no session of {history[0]} to {history[-1]} is in the raw bucket")
        quotes = sum(quotes for quotes, _ in raw.values())
        volume = sum(volume for _, volume in raw.values())
        step.outcome = f"{len(raw)} sessions, {quotes:,} quotes, volume {volume:,} BRL in both"
    if absent := [str(session) for session in history if session not in raw]:
        show.warning(f"sessions of the calendar that B3's files do not have: {', '.join(absent)}")
