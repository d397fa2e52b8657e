"""What people wait for: whole commands of this commit, in turns with those of another.

`python -m benchmarks.commands --former COMMIT`. Each commit has a checkout of its own, set up by its `make
setup`, and has deployed its stack before; the commands of a round follow one another on the lake that the
first of them leave. Whatever a command prints goes to a file. The table goes to the screen and into
`docs/benchmarks.md`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import figures
from benchmarks.environments import BUILD, REPOSITORY

NAME = "commands"
OURS = "this commit"
ROUNDS = 3
DATE = "2026-11-19"
"""A session of every lake, as the simulated B3 has it."""

COMMANDS = {
    "250 sessions from nothing": f"python -m sandbox run --fresh --history 249 --date {DATE}",
    "the next run on that lake": f"python -m sandbox run --history 249 --date {DATE}",
    "the report": "python -m sandbox report",
    "status": f"python -m sandbox exec -- python -m scraper status --to {DATE}",
    "replay of a session": f"python -m sandbox exec -- python -m scraper replay --source raw --date {DATE}",
    "help": "python -m scraper --help",
    "a session into an empty lake": f"python -m sandbox run --fresh --history 0 --date {DATE}",
}
GOALS = {
    "250 sessions from nothing": 40.0,
    "the next run on that lake": 8.0,
    "help": 0.3,
    "a session into an empty lake": 15.0,
}
"""At most so many seconds, on a quiet machine of two processors."""


def main(former: str | None = None) -> None:
    """Measures, prints the table, and writes report and document.

    Args:
        former: A commit whose commands take turns with this one's.

    Raises:
        subprocess.CalledProcessError: A command failed, or there is no such commit.
    """
    checkouts = ({former: _checkout(former)} if former else {}) | {OURS: _checkout("HEAD")}
    for name, checkout in checkouts.items():
        _run(COMMANDS["a session into an empty lake"], checkout, f"{name}: the first deployment")
    seconds: dict[str, dict[str, list[float]]] = {what: {name: [] for name in checkouts} for what in COMMANDS}
    for number in range(ROUNDS):
        for name, checkout in checkouts.items():
            for what, command in COMMANDS.items():
                told = f"round {number + 1} of {ROUNDS}, {name}: {what}"
                seconds[what][name].append(_run(command, checkout, told))
    report = {"machine": figures.machine(), "former": former, "seconds": seconds}
    figures.write(NAME, report)
    publish()


def publish() -> None:
    """Prints the last measurement and writes it into the document."""
    report = figures.keep(NAME)
    figures.update(figures.DOCS / "benchmarks.md", {NAME: markdown(report)})
    print(markdown(report))


def markdown(report: figures.Report) -> str:
    """The report's table, and what it was measured on."""
    former, seconds = report["former"], report["seconds"]
    headings = ["what", "command", *([f"at {former}, s"] if former else []), "seconds"]
    headings += (["of the former"] if former else []) + ["goal"]
    return "\n".join(
        [
            figures.table(headings, [_row(what, seconds[what], former) for what in seconds], left=2),
            "",
            f"Medians of {len(seconds['help'][OURS])}, and from the least to the most. "
            f"Measured {figures.describe(report['machine'])}.",
        ]
    )


def _row(what: str, seconds: Mapping[str, Sequence[float]], former: str | None) -> list[str]:
    ratio = [f"{statistics.median(seconds[OURS]) / statistics.median(seconds[former]):.2f}"] if former else []
    spread = [
        f"{statistics.median(runs):.2f} ({min(runs):.2f} to {max(runs):.2f})" for runs in seconds.values()
    ]
    return [what, f"`{COMMANDS[what]}`", *spread, *ratio, f"{GOALS[what]:g}" if what in GOALS else ""]


def _checkout(commit: str) -> Path:
    """A clone of the commit, set up."""
    at = _git(REPOSITORY, "rev-parse", "--short", commit)
    folder = BUILD / "commits" / at
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        _git(REPOSITORY, "clone", "--quiet", "--shared", str(REPOSITORY), str(folder))
        _git(folder, "checkout", "--quiet", at)
    _run("make setup spark-classes", folder, f"{at}: setting up")
    return folder


def _git(folder: Path, *command: str) -> str:
    done = subprocess.run(["git", *command], check=True, capture_output=True, text=True, cwd=folder)
    return done.stdout.strip()


def _run(command: str, checkout: Path, told: str) -> float:
    """Seconds that a command takes in a checkout."""
    print(f"{told} ...", file=sys.stderr, flush=True)
    paths = (checkout / ".venv" / "bin", checkout / "node_modules" / ".bin")
    path = os.pathsep.join([*map(str, paths), os.environ["PATH"]])
    # As for whoever runs a command: modules are compiled once
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    log = BUILD / f"{NAME}.log"
    with log.open("w") as output:
        begun = time.perf_counter()
        try:
            subprocess.run(
                command.split(),
                check=True,
                stdout=output,
                stderr=output,
                cwd=checkout,
                env={**environment, "PATH": path},
            )
        except subprocess.CalledProcessError as error:
            error.add_note(f"in {checkout}; what it printed is in {log}")
            raise
    return time.perf_counter() - begun


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands", description=__doc__)
    parser.add_argument("--former", metavar="COMMIT", help="a commit whose commands take turns with these")
    main(parser.parse_args().former)
