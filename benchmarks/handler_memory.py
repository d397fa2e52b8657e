"""Peak memory of the scraper's handler while it takes one session of some 12,000 quotes.

`python -m benchmarks.handler_memory`. The real handler runs in a process of its own, as in the function: it
downloads from a B3 on loopback and writes to an emulated S3, both of them outside of what is measured. The
session is simulated, as large as B3's of 2024-11-08.
"""

import json
import os
import subprocess
import sys
from datetime import date
from typing import Any

from benchmarks.environments import REPOSITORY
from benchmarks.figures import machine, table, write
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import B3Server
from sandbox.b3.sources import SimulatedSource
from sandbox.ministack import MiniStack

SESSION = date(2024, 11, 8)
SESSION_QUOTES = 12_226
MARKET_TICKERS = 600
GOAL_BYTES = 450_000_000
BUCKET = "handler-memory"

_HANDLER_PROCESS = """
import json, sys, time
from types import SimpleNamespace
from benchmarks.measure import peak_bytes

started = time.perf_counter()
from scraper.daily.handler import handler
imported, imported_peak = time.perf_counter(), peak_bytes()
context = SimpleNamespace(
    function_name="scraper", memory_limit_in_mb=1024, invoked_function_arn="", aws_request_id=""
)
summary = handler({"date": sys.argv[1]}, context)
print(json.dumps({
    "summary": summary,
    "import_seconds": imported - started,
    "import_peak_bytes": imported_peak,
    "handler_seconds": time.perf_counter() - imported,
    "peak_bytes": peak_bytes(),
}))
"""


def main() -> None:
    """Measures, prints a Markdown table and writes `build/benchmarks/handler_memory.json`.

    Raises:
        AssertionError: The handler did not write the session's quotes.
    """
    market = SimulatedMarket(tickers=MARKET_TICKERS, quotes=SESSION_QUOTES)
    with B3Server(SimulatedSource([SESSION], market)) as b3, MiniStack.start() as aws:
        measured = _measure(b3, aws)
    quotes = next(result for result in measured["summary"] if result["source"] == "cotahist")
    # A simulated session varies around its size
    assert quotes["outcome"] == "new", quotes
    assert abs(quotes["rows"] - SESSION_QUOTES) < SESSION_QUOTES // 20, quotes
    report = {
        "session": SESSION.isoformat(),
        "quotes": quotes["rows"],
        "machine": machine(),
        "goal_bytes": GOAL_BYTES,
        **{name: value for name, value in measured.items() if name != "summary"},
    }
    write("handler_memory", report)
    _print_table(report)


def _measure(b3: B3Server, aws: MiniStack) -> dict[str, Any]:
    aws.client("s3").create_bucket(Bucket=BUCKET)
    done = subprocess.run(
        [sys.executable, "-c", _HANDLER_PROCESS, SESSION.isoformat()],
        check=True,
        stdout=subprocess.PIPE,
        cwd=REPOSITORY,
        env={
            **os.environ,
            **aws.environment(),
            "RAW_BUCKET": BUCKET,
            "QUOTES_BASE_URL": b3.base_url,
            "INDEX_BASE_URL": b3.base_url,
        },
    )
    # Before it, the handler has printed its log
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _print_table(report: dict[str, Any]) -> None:
    print(f"### The scraper's handler: {report['session']}, {report['quotes']:,} quotes\n")
    steps = (
        ("import", report["import_seconds"], report["import_peak_bytes"]),
        ("download, read, write", report["handler_seconds"], report["peak_bytes"]),
    )
    rows = [(step, f"{seconds:.1f}", f"{peak / 1e6:.0f} MB") for step, seconds, peak in steps]
    print(table(["step", "seconds", "peak memory"], rows))
    met = "met" if report["peak_bytes"] < GOAL_BYTES else "NOT met"
    machine = report["machine"]
    print(
        f"\nGoal, under {GOAL_BYTES / 1e6:.0f} MB: {met}. One cold process; "
        f"Python {machine['python']}, {machine['cpus']} CPUs.\n"
    )


if __name__ == "__main__":
    main()
