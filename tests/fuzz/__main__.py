"""`python -m tests.fuzz daily --minutes 60`: fuzz a reader, and say what came of it.

It needs `requirements-fuzz.txt`. All that it makes is in `build/fuzz/<reader>`: `corpus`, from which the next
run goes on; `findings`, the inputs that the reader failed on, after each of which the run goes on; and
`figures.json`, which an hour's run puts into `docs/figures/fuzz.json`, too. It exits with 1 if there was a
finding.
"""

from __future__ import annotations

import argparse
import fcntl
import importlib.util
import json
import re
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import KEPT, machine
from tests.fuzz.harness import (
    HARNESSES,
    INPUT_BYTES,
    MEMORY_BYTES,
    REPOSITORY,
    SECONDS,
    Finding,
    Harness,
)
from tests.fuzz.lines import unreached

FIGURES = KEPT / "fuzz.json"
MAX_LENGTH = 2**16
"""Bytes of the longest input that is made. A ZIP of as many can hold 6 MB of text."""

_FOLDER = REPOSITORY / "build" / "fuzz"
_MOST_FINDINGS = 20
_MINUTES_TO_KEEP = 60
_SECONDS_A_PROCESS = 600
_RUNS_A_PROCESS = 30_000
"""Memory fragments over many thousands of inputs, and the fuzzer itself grows, by 9 kB with each of the
annual reader's; a new process keeps that apart from what a reader holds."""
_SECONDS_BETWEEN_LINES = 60
_STATUS = re.compile(r"#(\d+)\s.* cov: (\d+) ft: (\d+) corp: (\d+)/")
_STATISTIC = re.compile(r"stat::(\w+):\s+(\d+)")


@dataclass(slots=True)
class Run:
    """What came of fuzzing a reader so far."""

    seconds: float = 0.0
    executions: int = 0
    status: tuple[int, int, int] = (0, 0, 0)
    """libFuzzer's counters reached (cov), features (ft) and inputs kept (corp)."""
    peak_mib: int = 0
    findings: list[dict[str, str]] = field(default_factory=list)


def main() -> int:
    """Fuzz the reader that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("reader", choices=HARNESSES)
    parser.add_argument("--minutes", type=float, default=60)
    asked = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not installed: pip install -r requirements-fuzz.txt -c constraints.txt")
    harness = HARNESSES[asked.reader]
    folder = _FOLDER / harness.name
    for name in ("corpus", "findings"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(harness.seeds()):
        (folder / "corpus" / f"seed-{number}").write_bytes(seed)
    (folder / "statistics.json").unlink(missing_ok=True)
    run = Run()
    started = time.monotonic()
    while (left := asked.minutes * 60 - (time.monotonic() - started)) >= 1:
        _fuzz(harness, folder, min(int(left), _SECONDS_A_PROCESS), run)
        if len(run.findings) >= _MOST_FINDINGS:
            break
    run.seconds = time.monotonic() - started
    print(f"{harness.name}: replaying {run.status[2]} inputs line by line", flush=True)
    figures = _figures(harness, run, folder)
    (folder / "figures.json").write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
    if asked.minutes >= _MINUTES_TO_KEEP:
        keep(harness.name, figures)
    for finding in run.findings:
        print(f"{finding['input']}: {finding['error']}")
    print(f"{harness.name}: {run.executions:,} executions, {len(run.findings)} findings; see {folder}")
    return 1 if run.findings else 0


def _fuzz(harness: Harness, folder: Path, seconds: int, run: Run) -> None:
    """Run the fuzzer until the time is over or it has found something."""
    before = set((folder / "findings").iterdir())
    last_lines: deque[str] = deque(maxlen=60)
    executions_before, shown = run.executions, 0.0
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.fuzz.process", harness.name, folder / "statistics.json"),
            *(folder / "corpus", f"-max_total_time={seconds}", f"-max_len={MAX_LENGTH}", "-timeout=120"),
            f"-runs={_RUNS_A_PROCESS}",
            *("-print_final_stats=1", f"-artifact_prefix={folder / 'findings'}/", "-rss_limit_mb=4096"),
        ],
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        errors="replace",
    )
    assert process.stderr
    for line in process.stderr:
        last_lines.append(line)
        if status := _STATUS.match(line):
            executions, *rest = map(int, status.groups())
            run.executions = executions_before + executions
            run.status = (rest[0], rest[1], rest[2])
            if time.monotonic() - shown > _SECONDS_BETWEEN_LINES:
                shown = time.monotonic()
                print(f"{harness.name}: {run.executions:,} executions, {line.strip()}", flush=True)
        if (statistic := _STATISTIC.match(line)) and statistic[1] == "peak_rss_mb":
            run.peak_mib = max(run.peak_mib, int(statistic[2]))
        if (statistic := _STATISTIC.match(line)) and statistic[1] == "number_of_executed_units":
            run.executions = executions_before + int(statistic[2])
    if process.wait() == 0:
        return
    new = sorted(set((folder / "findings").iterdir()) - before)
    if not new:
        raise SystemExit("the fuzzer ended without naming an input:\n" + "".join(last_lines))
    lines = [line.strip() for line in last_lines]
    headings = [at for at, line in enumerate(lines) if "Uncaught Python exception" in line]
    finding = {"input": new[0].name, "error": lines[headings[0] + 1] if headings else lines[-1]}
    print(f"{harness.name}: FOUND {finding}", flush=True)
    run.findings.append(finding)


def _figures(harness: Harness, run: Run, folder: Path) -> dict[str, Any]:
    inputs = sorted((folder / "corpus").iterdir())

    def replay() -> None:
        for path in inputs:
            try:
                harness.check(path.read_bytes())
            except Finding as finding:  # being traced takes its time
                if "it took" not in str(finding):
                    raise

    return {
        "machine": machine(),
        "seconds": round(run.seconds),
        "executions": run.executions,
        "executions_per_second": round(run.executions / run.seconds, 1),
        "counters": run.status[0],
        "features": run.status[1],
        "corpus": run.status[2],
        "peak_mib": run.peak_mib,
        **json.loads((folder / "statistics.json").read_text()),
        "limits": {"seconds": SECONDS, "input_bytes": INPUT_BYTES, "memory_bytes": MEMORY_BYTES},
        "modules": unreached(harness.modules, harness.without, replay),
        "findings": run.findings,
    }


def keep(name: str, fresh: dict[str, Any]) -> None:
    """Put figures in the place of those of that name in `docs/figures/fuzz.json`."""
    with FIGURES.open("a+") as file:  # two runs may end at once
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        figures: dict[str, Any] = {**json.loads(file.read() or "{}"), name: fresh}
        file.truncate(0)
        file.write(json.dumps(dict(sorted(figures.items())), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    sys.exit(main())
