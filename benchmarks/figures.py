"""What the benchmarks measured: a JSON file each, fresh in `build/benchmarks`, kept in `docs/figures`.

The documents' tables are made from the kept ones, so that they can be made again without measuring.
"""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.environments import BUILD, REPOSITORY
from tools.docs.markers import replaced

DOCS = REPOSITORY / "docs"
KEPT = DOCS / "figures"

Report = dict[str, Any]


def write(name: str, report: Report) -> None:
    """Writes a benchmark's report to `build/benchmarks`."""
    BUILD.mkdir(parents=True, exist_ok=True)
    _path(BUILD, name).write_text(json.dumps(report, indent=2) + "\n")


def keep(name: str) -> Report:
    """Takes a benchmark's report over into `docs/figures`, if there is a fresh one, and returns the kept one.

    Raises:
        FileNotFoundError: The benchmark has never been run.
    """
    fresh, kept = _path(BUILD, name), _path(KEPT, name)
    if fresh.exists():
        KEPT.mkdir(exist_ok=True)
        kept.write_text(fresh.read_text())
    if not kept.exists():
        raise FileNotFoundError(f"neither {fresh} nor {kept} exists: run `python -m benchmarks {name}` first")
    report: Report = json.loads(kept.read_text())
    return report


def machine() -> dict[str, Any]:
    """What the benchmarks run on, and the day."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "python": platform.python_version(),
    }


def describe(machine: dict[str, Any]) -> str:
    """`machine()` in a line."""
    return (
        f"{machine['date']}, {machine['cpus']} CPUs ({machine['processor']}), "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, {machine['system']}, Python {machine['python']}"
    )


def table(headings: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """A Markdown table, the first `left` columns of which are text and the others numbers."""
    rules = ["---"] * left + ["---:"] * (len(headings) - left)
    return "\n".join(f"| {' | '.join(line)} |" for line in (headings, rules, *rows))


def update(document: Path, blocks: dict[str, str]) -> None:
    """Writes blocks between their markers in a document.

    Raises:
        ValueError: A marker is missing.
    """
    text = document.read_text(encoding="utf-8")
    for name, block in blocks.items():
        text = replaced(text, name, block, document=document.name)
    document.write_text(text, encoding="utf-8")


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
