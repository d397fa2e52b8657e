"""Gives a reader every seed and every case, in a process of its own with bounded memory: `replay daily`."""

from __future__ import annotations

import sys

from tests.fuzz.cases import FOUND, TRIED
from tests.fuzz.harness import HARNESSES, limit_memory


def main(reader: str) -> None:
    """Raises what the harness raises."""
    harness = HARNESSES[reader]
    seeds = harness.seeds()
    inputs = [*seeds, *(case.make() for case in (*FOUND, *TRIED) if reader in case.readers)]
    for seed in seeds:
        harness.check(seed)  # so that what is loaded once, and its threads, do not count
    limit_memory()
    for data in inputs:
        harness.check(data)
    print(f"{len(inputs)} inputs")


if __name__ == "__main__":
    main(sys.argv[1])
