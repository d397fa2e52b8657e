"""`python -m benchmarks [name ...]`: run all benchmarks, or those named, and print their tables."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from benchmarks import (
    adjustment,
    commands,
    coverage,
    decade,
    handler_memory,
    range_run,
    reader_year,
    reads,
)

BENCHMARKS: dict[str, Callable[[], object]] = {
    "commands": commands.main,
    "reader_year": reader_year.main,
    "handler_memory": handler_memory.main,
    "range_run": range_run.main,
    "decade": decade.main,
    "reads": reads.main,
    "adjustment": adjustment.main,
    "coverage": coverage.main,
}


def main() -> None:
    """Run the benchmarks named on the command line, all of them where none is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *BENCHMARKS], metavar=f"{{{','.join(BENCHMARKS)}}}")
    for name in parser.parse_args().names or BENCHMARKS:
        BENCHMARKS[name]()


if __name__ == "__main__":
    main()
