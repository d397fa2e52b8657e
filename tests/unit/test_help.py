"""What the commands import before they know what they are to do: nothing that makes anybody wait."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

HEAVY = {
    "aws_cdk",
    "awswrangler",
    "boto3",
    "botocore",
    "matplotlib",
    "numpy",
    "pandas",
    "pyarrow",
    "requests",
}
"""Packages that take tenths of a second to import."""

_WATCHED = """
import runpy, sys
try:
    runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
finally:
    print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "words",
    [
        ["scraper"],
        *(["scraper", command] for command in ("ingest", "backfill", "status", "replay", "redrive")),
        ["sandbox"],
        *(["sandbox", command] for command in ("run", "up", "exec", "report", "notebook", "pictures")),
        ["analysis.report"],
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED, *words, "--help"],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    )
    assert done.stdout.startswith("usage: ")
    imported = set(done.stderr.split())
    assert "argparse" in imported
    assert imported & HEAVY == set()
