"""From B3's annual ZIP to columns with types: our reader beside unzipping alone, libraries, and code by hand.

`python -m benchmarks reader_year`. A simulated year of 1.6 million quotes is generated once. Each contender
reads it in a process and an environment of its own, in turns, so that a busy moment of the machine meets all
of them; a process reads once. Before each reading this waits for a quiet moment, but not for long; how much
of the processors went elsewhere all the same is reported. The quick contenders do it in several runs, of the
worst of which the goals are; the slow ones in the first. What the contenders sum up is compared with what
this module works out record by record. The table goes to the screen and into `docs/benchmarks.md`, the plot
to `docs/benchmark_reader.svg`.

`python -m benchmarks.reader_year --former COMMIT` has the reader of another commit read as well.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import statistics
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import figures, reader_plot
from benchmarks.environments import BUILD, REPOSITORY, interpreter
from benchmarks.measure import machine_seconds
from sandbox.b3.years import annual_zip_name, benchmark_year

NAME = "reader_year"
PROCESS = REPOSITORY / "benchmarks" / "reader_year_process.py"

YEAR = 2024
QUOTES = 1_600_000
RUNS = 3
ROUNDS = 5
SLOW_ROUNDS = 2

QUIET_SHARE, QUIET_SECONDS, PATIENCE_SECONDS = 0.1, 0.5, 4.0
"""Quiet: less than this share of the processors was busy for so long; how long a reading waits for that."""

GOAL_UNZIPPING = 1.0
GOAL_PROCESSOR_SECONDS = 1.0
GOAL_BYTES = 200_000_000
GOAL_LIBRARIES = 4.0

UNZIP, OURS = "unzip, in blocks", "scraper, streamed"
QUICK_KINDS = frozenset({"unzip", "ours", "former"})
"""Of the kinds of contenders, those that take part in every run."""


@dataclass(frozen=True, slots=True)
class Contender:
    """What is measured.

    Attributes:
        name: Its name in `reader_year_process.py`.
        kind: "unzip" is a part of the work, "ours", "former" by another commit, "by hand", or "library" from
            PyPI.
        environment: The environment that it runs in (see `environments.interpreter`).
        package: The package whose version counts.
        rounds: How many times it reads in a run.
        sources: The folder with the package `scraper`.
        label: What it is called in the tables, where not by its name.
        runs: What each process printed, run by run.
    """

    name: str
    kind: str
    environment: str | None = None
    package: str | None = None
    rounds: int = ROUNDS
    sources: Path = REPOSITORY
    label: str = ""
    runs: list[list[dict[str, Any]]] = field(default_factory=list)

    @property
    def results(self) -> list[dict[str, Any]]:
        """What all processes printed."""
        return [result for run in self.runs for result in run]


def contenders(former: str | None = None) -> list[Contender]:
    """All contenders, the slow ones in fewer rounds; with the reader of another commit if one is named."""
    before = (
        [Contender(OURS, "former", sources=_sources(former), label=f"{OURS}, at {former}")] if former else []
    )
    return [
        *before,
        Contender(UNZIP, "unzip"),
        Contender("unzip, in one piece", "unzip"),
        Contender(OURS, "ours"),
        Contender("scraper, one table", "ours"),
        Contender("scraper, streamed, by zlib", "ours"),
        Contender("polars by hand", "by hand", "by_hand", "polars"),
        Contender("DuckDB by hand", "by hand", "by_hand", "duckdb"),
        Contender("DuckDB by hand, unzipped before", "by hand", "by_hand", "duckdb"),
        Contender("b3cotahist", "library", "b3cotahist", "b3cotahist"),
        Contender("b3fileparser (polars)", "library", "b3fileparser", "b3fileparser", SLOW_ROUNDS),
        Contender("b3fileparser (pandas)", "library", "b3fileparser", "b3fileparser", SLOW_ROUNDS),
        Contender("b3quant", "library", "b3quant", "b3quant", SLOW_ROUNDS),
    ]


def main(former: str | None = None) -> None:
    """Measures, prints the tables, and writes report, document and plot.

    Args:
        former: A commit whose reader reads as well.

    Raises:
        AssertionError: This project's reader does not give the sums that are in the file.
        subprocess.CalledProcessError: A contender failed, or there is no such commit.
    """
    path = _file()
    expected = _expected(path)
    measured = contenders(former)
    pythons = {contender.environment: interpreter(contender.environment) for contender in measured}
    for run in range(RUNS):
        taking_part = [each for each in measured if not run or each.kind in QUICK_KINDS]
        for contender in taking_part:
            contender.runs.append([])
        for number in range(ROUNDS):
            for contender in taking_part:
                if number < contender.rounds:
                    _tell(f"run {run + 1} of {RUNS}, round {number + 1} of {ROUNDS}: {contender.name} ...")
                    python = pythons[contender.environment]
                    contender.runs[-1].append(_measure(contender, python, path))
    report = _report(path, expected, measured)
    for contender in report["contenders"]:
        assert contender["kind"] != "ours" or contender["figures"] == expected, contender
    figures.write(NAME, report)
    publish()


def publish() -> None:
    """Prints the last measurement and makes document and plot of it."""
    report = figures.keep(NAME)
    figures.update(figures.DOCS / "benchmarks.md", {NAME: markdown(report)})
    reader_plot.draw(report, figures.DOCS / "benchmark_reader.svg")
    print(markdown(report))


def markdown(report: figures.Report) -> str:
    """The report's table, its goals, and what it was measured on."""
    rows = report["contenders"]
    seconds = {row["name"]: row["median_seconds"] for row in rows}
    lines = [
        [
            f"**{row['name']}**" if row["kind"] == "ours" else row["name"],
            row["version"],
            f"{row['median_seconds']:.2f}",
            f"{min(row['seconds']):.2f} to {max(row['seconds']):.2f}",
            f"{row['median_seconds'] / seconds[UNZIP]:.1f}",
            f"{row['median_seconds'] / seconds[OURS]:.1f}",
            f"{row['median_processor_seconds']:.2f}",
            f"{row['peak_bytes'] / 1e6:,.0f}",
            _difference(row["figures"], report["expected"]),
        ]
        for row in rows
    ]
    slow = [row["name"] for row in rows if len(row["seconds"]) < report["rounds"]]
    headings = ["", "version", "seconds", "from, to", "× unzip", "× ours", "CPU seconds", "peak MB", "sums"]
    file, elsewhere = report["file"], sorted(report["elsewhere"])
    return "\n".join(
        [
            figures.table(headings, lines, left=2),
            "",
            *(f"- {goal}: {'met' if met else '**not met**'} ({found})" for goal, found, met in goals(report)),
            "",
            f"{file['name']}, simulated: {report['expected']['quotes']:,} quotes, "
            f"{file['text_bytes'] / 1e6:,.0f} MB of text, {file['zip_bytes'] / 1e6:,.0f} MB zipped. "
            f"Medians of {report['runs']} runs of {report['rounds']} rounds for unzipping and the scraper, "
            f"of {report['rounds']} rounds for the others, of {report['slow_rounds']} for {', '.join(slow)}. "
            f"Measured {figures.describe(report['machine'])}. {_quietness(statistics.median(elsewhere))}: "
            f"other processes had {statistics.median(elsewhere):.0%} of the processors in the median "
            f"reading, {elsewhere[-1]:.0%} in the worst.",
        ]
    )


def goals(report: figures.Report) -> list[tuple[str, str, bool]]:
    """Each goal, what was found, and whether it is met, in the worst of the runs where there were several."""
    rows = {row["name"]: row for row in report["contenders"]}
    seconds = {name: row["median_seconds"] for name, row in rows.items()}
    libraries = [name for name, row in rows.items() if row["kind"] == "library"]
    best = min(libraries, key=seconds.__getitem__)
    found = []
    for name, row in rows.items():
        if row["kind"] == "unzip":
            ratios = [
                ours / theirs
                for ours, theirs in zip(rows[OURS]["run_seconds"], row["run_seconds"], strict=True)
            ]
            goal = f"at most {GOAL_UNZIPPING:.1f} × {name}"
            found.append((goal, f"{_each(ratios)} ×", max(ratios) <= GOAL_UNZIPPING))
    processor = rows[OURS]["run_processor_seconds"]
    goal = f"at most {GOAL_PROCESSOR_SECONDS:.1f} s of CPU"
    found.append((goal, f"{_each(processor)} s", max(processor) <= GOAL_PROCESSOR_SECONDS))
    peak = rows[OURS]["peak_bytes"]
    found.append((f"at most {GOAL_BYTES / 1e6:.0f} MB", f"{peak / 1e6:.0f} MB", peak <= GOAL_BYTES))
    found.append(
        (
            f"at least {GOAL_LIBRARIES:.0f} times as fast as the best library, {best}",
            f"{seconds[best] / seconds[OURS]:.1f} times",
            seconds[best] >= GOAL_LIBRARIES * seconds[OURS],
        )
    )
    found.extend(
        (
            f"faster than {name}",
            f"{seconds[name] / seconds[OURS]:.1f} times as fast",
            seconds[name] > seconds[OURS],
        )
        for name, row in rows.items()
        if row["kind"] == "by hand"
    )
    return found


def _each(runs: Sequence[float]) -> str:
    return " and ".join([", ".join(f"{found:.2f}" for found in runs[:-1]), f"{runs[-1]:.2f}"])


def _quietness(elsewhere: float) -> str:
    return "The machine was quiet" if elsewhere < QUIET_SHARE else "**The machine was not quiet**"


def _sources(commit: str) -> Path:
    """The packages that a reader needs, as of a commit."""
    folder = BUILD / f"reader-{commit}"
    packages = subprocess.run(
        ["git", "archive", commit, "scraper", "lake"], check=True, capture_output=True, cwd=REPOSITORY
    )
    with tarfile.open(fileobj=io.BytesIO(packages.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _difference(sums: dict[str, int], expected: dict[str, int]) -> str:
    if not sums:
        return ""
    wrong = {name: expected[name] - sums[name] for name in expected if sums[name] != expected[name]}
    lacks = [f"{_in_units(name, lack)} of {name.upper()} missing" for name, lack in wrong.items()]
    return "; ".join(lacks) or "exact"


def _in_units(name: str, amount: int) -> str:
    return f"{amount / 100:,.2f} BRL" if name in {"voltot", "preult"} else f"{amount:,}"


def _file() -> Path:
    path = BUILD / annual_zip_name(YEAR)
    if not path.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        benchmark_year(path, year=YEAR, quotes=QUOTES, progress=_generating)
    return path


def _generating(done: int, sessions: int) -> None:
    if done % 50 == 0:
        _tell(f"generating the year: {done} of {sessions} sessions")


def _expected(path: Path) -> dict[str, int]:
    """Number of quotes and sums, read off the records one by one."""
    _tell("adding up the year, record by record ...")
    sums = {"quotes": 0, "voltot": 0, "preult": 0, "quatot": 0, "totneg": 0}
    with zipfile.ZipFile(path) as archive, archive.open(archive.infolist()[0]) as records:
        for record in records:
            if record.startswith(b"01"):
                sums["quotes"] += 1
                sums["voltot"] += int(record[170:188])
                sums["preult"] += int(record[108:121])
                sums["quatot"] += int(record[152:170])
                sums["totneg"] += int(record[147:152])
    return sums


def _await_quiet() -> None:
    """Waits until hardly anything else runs, or patience is at its end."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        before = machine_seconds()
        time.sleep(QUIET_SECONDS)
        if machine_seconds() - before < QUIET_SHARE * QUIET_SECONDS * (os.cpu_count() or 1):
            return


def _measure(contender: Contender, python: Path, path: Path) -> dict[str, Any]:
    _await_quiet()
    packages = os.pathsep.join(map(str, (contender.sources, REPOSITORY)))
    done = subprocess.run(
        [python, PROCESS, contender.name, path],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": packages},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _report(path: Path, expected: dict[str, int], measured: Sequence[Contender]) -> figures.Report:
    with zipfile.ZipFile(path) as archive:
        text_bytes = archive.infolist()[0].file_size
    return {
        "command": "make bench-reader",
        "machine": figures.machine(),
        "elsewhere": [result["elsewhere"] for contender in measured for result in contender.results],
        "runs": RUNS,
        "rounds": ROUNDS,
        "slow_rounds": SLOW_ROUNDS,
        "file": {
            "name": path.name,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "zip_bytes": path.stat().st_size,
            "text_bytes": text_bytes,
        },
        "expected": expected,
        "contenders": [
            {
                "name": contender.label or contender.name,
                "kind": contender.kind,
                "version": contender.results[0]["versions"][contender.package] if contender.package else "",
                "versions": contender.results[0]["versions"],
                "median_seconds": _median(contender.results, "seconds"),
                "seconds": [result["seconds"] for result in contender.results],
                "run_seconds": [_median(run, "seconds") for run in contender.runs],
                "median_processor_seconds": _median(contender.results, "processor_seconds"),
                "run_processor_seconds": [_median(run, "processor_seconds") for run in contender.runs],
                "peak_bytes": max(result["peak_bytes"] for result in contender.results),
                "figures": contender.results[0]["figures"],
            }
            for contender in measured
        ],
    }


def _median(results: Sequence[dict[str, Any]], quantity: str) -> float:
    return statistics.median(float(result[quantity]) for result in results)


def _tell(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader_year", description=__doc__)
    parser.add_argument("--former", metavar="COMMIT", help="have the reader of another commit read as well")
    main(parser.parse_args().former)
