"""Where atheris fuzzes a reader: `python -m tests.fuzz.process daily STATISTICS [libFuzzer's options]`.

It ends with the first input that the harness finds fault with, which libFuzzer then writes to a file.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
from pathlib import Path

import atheris

# What comes before must not be looked at again, so that it does not count as the reader's
import pandas  # noqa: F401
import pyarrow  # noqa: F401
import requests  # noqa: F401


def main() -> None:
    """Fuzz until libFuzzer's options say that it is enough."""
    name, statistics = sys.argv[1], Path(sys.argv[2])
    sys.modules.pop("zipfile")  # so that it is loaded again and tells where it goes, too
    with atheris.instrument_imports(include=["scraper", "zipfile"], enable_loader_override=False):
        harness_module = importlib.import_module("tests.fuzz.harness")
    mutations = importlib.import_module("tests.fuzz.mutations")
    harness = harness_module.HARNESSES[name]
    mutate = mutations.mutation_of(name)
    for seed in harness.seeds():
        harness.check(seed)
    harness_module.limit_memory()
    # The same run goes on in several processes
    slowest = json.loads(statistics.read_text())["slowest_seconds"] if statistics.exists() else 0.0

    def check(data: bytes) -> None:
        nonlocal slowest
        harness.check(data)
        if harness_module.slowest > slowest:
            slowest = harness_module.slowest
            statistics.write_text(json.dumps({"slowest_seconds": slowest, "slowest_bytes": len(data)}))

    def mutated(data: bytes, limit: int, seed: int) -> bytes:
        return bytes(mutate(data, random.Random(seed), atheris.Mutate, limit))

    harness_module.slowest = 0.0  # type: ignore[attr-defined]  # of a module that is not known before it runs
    atheris.Setup([sys.argv[0], *sys.argv[3:]], check, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
