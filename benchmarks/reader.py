"""From B3's ZIP of one day to a DataFrame: our reader beside b3cotahist and b3fileparser from PyPI.

`python -m benchmarks.reader [ZIP]` takes a session's file under B3's name for it; without one, B3's own of
2024-11-08 where `B3_FILES` or `../shared/b3` has it, else a simulated session of about that size. Each reader
runs in a process and an environment of its own, warm, in turns, so that a busy moment of the machine meets
all of them. What they read is compared with the sum that this module works out record by record.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import zipfile
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.environments import BUILD, REPOSITORY, interpreter
from benchmarks.figures import machine, write
from sandbox.b3.formats import daily_member_name, daily_zip_name, encode_session, zip_file
from sandbox.b3.market import SimulatedMarket

PROCESS = REPOSITORY / "benchmarks" / "reader_process.py"

SESSION = date(2024, 11, 8)
SESSION_QUOTES = 12_226
SESSION_TICKERS = 600
GOAL_SECONDS = 0.150
TURNS = 5
RUNS_A_TURN = 5


@dataclass(frozen=True, slots=True)
class Reader:
    """A reader as `reader_process.py` calls it, and the environment that it runs in.

    Attributes:
        name: Its name there.
        environment: Name of its environment, and of the requirements file that says what is in it; None for
            this project's own.
        results: What each turn printed.
    """

    name: str
    environment: str | None = None
    results: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seconds(self) -> list[float]:
        """Seconds of every run."""
        return [seconds for result in self.results for seconds in result["seconds"]]

    @property
    def median(self) -> float:
        """Seconds of the run in the middle."""
        return statistics.median(self.seconds)


def main(path: Path | None = None) -> None:
    """Measures, prints a Markdown table and writes `build/benchmarks/reader.json`.

    Args:
        path: A session's ZIP under B3's name for it, such as COTAHIST_D08112024.ZIP.

    Raises:
        AssertionError: This project's reader does not give the rows and the volume that are in the file.
    """
    BUILD.mkdir(parents=True, exist_ok=True)
    path = path or _default_file()
    rows, volume = _figures(path)
    readers = [
        Reader("scraper"),
        Reader("b3cotahist", "b3cotahist"),
        Reader("b3fileparser (polars)", "b3fileparser"),
        Reader("b3fileparser (pandas)", "b3fileparser"),
    ]
    interpreters = {reader.name: interpreter(reader.environment) for reader in readers}
    for _ in range(TURNS):
        for reader in readers:
            reader.results.append(_measure(reader.name, interpreters[reader.name], path))
    ours = readers[0]
    assert (ours.results[0]["rows"], Decimal(ours.results[0]["volume"])) == (rows, volume)
    _write_json(path, rows, volume, readers)
    _print_table(path, rows, volume, readers)


def _default_file() -> Path:
    name = daily_zip_name(SESSION)
    folder = Path(os.environ.get("B3_FILES", REPOSITORY.parent / "shared" / "b3"))
    recorded = folder / "InstDados" / "SerHist" / name
    if recorded.exists():
        return recorded
    simulated = BUILD / name
    market = SimulatedMarket(tickers=SESSION_TICKERS, quotes=SESSION_QUOTES)
    text = encode_session(SESSION, market.session(SESSION))
    simulated.write_bytes(zip_file(text, daily_member_name(SESSION)))
    return simulated


def _figures(path: Path) -> tuple[int, Decimal]:
    """Number of quotes and their volume in BRL, read off the records one by one."""
    with zipfile.ZipFile(path) as archive:
        records = archive.read(archive.infolist()[0]).splitlines()
    quotes = [record for record in records if record.startswith(b"01")]
    return len(quotes), Decimal(sum(int(quote[170:188]) for quote in quotes)).scaleb(-2)


def _measure(name: str, python: Path, path: Path) -> dict[str, Any]:
    done = subprocess.run(
        [python, PROCESS, name, path, str(RUNS_A_TURN)],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def _write_json(path: Path, rows: int, volume: Decimal, readers: list[Reader]) -> None:
    report = {
        "file": {"name": path.name, "simulated": path.parent == BUILD, "rows": rows, "volume": str(volume)},
        "machine": machine(),
        "goal_seconds": GOAL_SECONDS,
        "readers": [
            {
                "name": reader.name,
                "versions": reader.results[0]["versions"],
                "median_seconds": reader.median,
                "seconds": reader.seconds,
                "peak_bytes": max(result["peak_bytes"] for result in reader.results),
                "rows": reader.results[0]["rows"],
                "volume": reader.results[0]["volume"],
            }
            for reader in readers
        ],
    }
    write("reader", report)


def _print_table(path: Path, rows: int, volume: Decimal, readers: list[Reader]) -> None:
    ours = readers[0]
    kind = "simulated" if path.parent == BUILD else "B3's own"
    print(f"### From ZIP to DataFrame: {path.name} ({kind}), {rows:,} quotes, {volume:,} BRL\n")
    print("| reader | median | × ours | peak memory | quotes | volume missing, BRL |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for reader in readers:
        result = reader.results[0]
        peak = max(result["peak_bytes"] for result in reader.results)
        version = result["versions"].get(reader.environment, "this project")
        print(
            f"| {reader.name}, {version} | {reader.median * 1000:.1f} ms "
            f"| {reader.median / ours.median:.1f} | {peak / 2**20:.0f} MiB "
            f"| {result['rows']:,} | {volume - Decimal(result['volume']):,} |"
        )
    met = "met" if ours.median < GOAL_SECONDS else "NOT met"
    print(
        f"\nGoal, under {GOAL_SECONDS * 1000:.0f} ms: {met}. Medians of {len(ours.seconds)} warm runs in "
        f"{TURNS} processes each, taking turns; Python {platform.python_version()}, {os.cpu_count()} CPUs.\n"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reader", description=__doc__)
    parser.add_argument("zip", nargs="?", type=Path, help="a session's file, under B3's name for it")
    main(parser.parse_args().zip)
