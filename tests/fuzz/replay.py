"""Gives each reader every seed and every case, in a process of its own with bounded memory."""

from __future__ import annotations

from tests.fuzz.cases import FOUND, TRIED
from tests.fuzz.harness import HARNESSES, limit_memory


def main() -> None:
    """Raises what the harnesses raise."""
    seeds = [(harness, seed) for harness in HARNESSES.values() for seed in harness.seeds()]
    for harness, seed in seeds:
        harness.check(seed)  # so that what is loaded once, and its threads, do not count
    limit_memory()
    for harness, seed in seeds:
        harness.check(seed)
    cases = [(HARNESSES[reader], case) for case in (*FOUND, *TRIED) for reader in case.readers]
    for harness, case in cases:
        harness.check(case.make())
    print(f"{len(seeds)} seeds and {len(cases)} cases")


if __name__ == "__main__":
    main()
