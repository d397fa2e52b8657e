"""History before a run's sessions, loaded as a user loads it: by `python -m scraper backfill`.

B3's annual files go into the raw bucket and one range run of the job makes the compact table of them. What
the daily path has ingested stays as it is, and a lake that has the sessions already loads nothing anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import IO

from sandbox.b3.server import B3Server
from sandbox.b3.years import annual_zip_name
from sandbox.console import Show
from sandbox.environment import Sandbox
from sandbox.ministack import REPOSITORY
from sandbox.pipeline import Pipeline, StageError

_RANGE_RUN = re.compile(r"range run: (\S+) of ")
_COLUMN_GAPS = re.compile(r" {3,}")


def load(
    sandbox: Sandbox, pipeline: Pipeline, history: Sequence[date], b3: B3Server | None, show: Show
) -> None:
    """Load the sessions of history that the lake lacks, and hold raw and compact table against each other.

    Args:
        sandbox: The running sandbox.
        pipeline: The pipeline in it.
        history: The sessions, oldest first; with none there is nothing to do or show.
        b3: The B3 that is served here; None for B3 itself.
        show: Where to show what happens.

    Raises:
        StageError: A year or the range run failed, or the tables do not add up to the same.
    """
    if not history:
        return
    show.heading(f"History, {history[0]} to {history[-1]}")
    there = pipeline.raw_sessions() & {*pipeline.compact_sessions()}
    lacking = [session for session in history if session not in there]
    if lacking:
        if b3 is not None:
            _write_annual_files(b3, lacking, show)
        _backfill(sandbox, lacking, b3, show)
    else:
        show.line("the lake has all of it: nothing to load")
    _check(pipeline, history, show)


def _write_annual_files(b3: B3Server, sessions: Sequence[date], show: Show) -> None:
    """Have the simulated B3 write its files before they are asked for, as a year of them takes its time."""
    years = sorted({session.year for session in sessions})
    with show.step("B3's annual files", slow=True) as step:
        for year in years:
            step.doing(str(year))
            if not b3.has_quotes(annual_zip_name(year)):
                raise StageError(f"B3 has no {annual_zip_name(year)}")
        step.outcome = ", ".join(map(annual_zip_name, years))


def _backfill(sandbox: Sandbox, sessions: Sequence[date], b3: B3Server | None, show: Show) -> None:
    command = ["backfill", "--from", str(sessions[0]), "--to", str(sessions[-1]), "--compact-only"]
    show.line(f"python -m scraper {' '.join(command)}")
    with show.step("backfill", slow=True) as step:

        def tell(line: str, run_id: str | None) -> None:
            log = sandbox.aws.job_run_log(run_id) if run_id else None
            said = log.read_text(errors="replace").splitlines() if log and log.exists() else []
            step.doing((f"{line.partition(':')[0]}: {said[-1].strip()}" if said else line)[:80])

        code, results, errors = _run(command, {**os.environ, **sandbox.names(b3)}, tell)
        step.outcome = "failed" if code else "done"
    for line in results:
        if not _RANGE_RUN.match(line):  # its end is told, too
            show.line(_COLUMN_GAPS.sub("  ", line))
    if code:
        raise StageError("\n".join([f"the backfill failed (exit {code}):", *results, *errors[-5:]]))


def _run(
    command: Sequence[str], environment: Mapping[str, str], tell: Callable[[str, str | None], None]
) -> tuple[int, list[str], list[str]]:
    """Run the scraper's command line.

    Args:
        command: Its arguments.
        environment: Its environment.
        tell: Is told each line of progress, and the id of the range run once it has begun.

    Returns:
        Its exit code, its results and its lines of progress and errors.
    """
    run_id: str | None = None

    def read_results(output: IO[str]) -> list[str]:
        nonlocal run_id
        lines = []
        for line in output:
            lines.append(line.rstrip())
            if run := _RANGE_RUN.match(line):
                run_id = run[1]
        return lines

    with (
        subprocess.Popen(
            [sys.executable, "-m", "scraper", *command],
            cwd=REPOSITORY,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
        ThreadPoolExecutor(1) as reader,
    ):
        if process.stdout is None or process.stderr is None:
            raise RuntimeError("a process that was started with pipes has none")
        results = reader.submit(read_results, process.stdout)
        errors = []
        try:
            for line in process.stderr:
                errors.append(line.rstrip())
                tell(errors[-1], run_id)
        except BaseException:
            process.terminate()  # being told to end reaches this process alone
            raise
    return process.returncode, results.result(), errors


def _check(pipeline: Pipeline, history: Sequence[date], show: Show) -> None:
    with show.step("raw and compact table") as step:
        raw, compact = pipeline.sums_by_session(history[0], history[-1])
        days = sorted(raw.keys() | compact.keys())
        if differing := [session for session in days if raw.get(session) != compact.get(session)]:
            first = differing[0]
            raise StageError(
                f"{len(differing)} sessions do not add up to the same in the raw and the compact table; the "
                f"first is {first}: {raw.get(first)} and {compact.get(first)} (quotes, BRL); "
                "run the Glue job for them, or begin anew with --fresh"
            )
        if not raw:
            raise StageError(f"no session of {history[0]} to {history[-1]} is in the raw bucket")
        quotes = sum(quotes for quotes, _ in raw.values())
        volume = sum(volume for _, volume in raw.values())
        step.outcome = f"{len(raw)} sessions, {quotes:,} quotes, volume {volume:,} BRL in both"
    if absent := [str(session) for session in history if session not in raw]:
        show.warning(f"sessions of the calendar that B3's files do not have: {', '.join(absent)}")
