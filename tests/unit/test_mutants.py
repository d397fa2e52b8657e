"""`make mutants`: what is drawn, and where it is written. What comes of a run is a measurement."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.mutants.__main__ import Copy, Outcome, summary
from tests.mutants.drawing import Change, Mutant, draw, meaning
from tests.mutants.parts import PARTS, REPOSITORY, Source, sources

PYTHON = REPOSITORY / ".venv-mutants" / "bin" / "python"

TEXT = '''"""At most 1 of 2 | 3."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Pair = tuple[int | str, 2]

Of = Callable[[int | None], str | None]
LIMIT: int | None = 7 + 8


def sum_of(first: int | str, *, second: bytes | None = None) -> int | None:
    """Of 4 | 5."""
    found: int | None = first | second
    return found or LIMIT + {**first, 9: 10}
'''


REPLACED = {"|": "&", "+": "&", "*": "/", **dict.fromkeys("123456789", "0")}


class Replaced:
    """Replaces single characters: "|" and "+" by "&", digits by 0, "*" by "/", which may not compile."""

    def changes(self, text: str) -> list[Change]:
        return [
            Change(text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at) - 1, "replaced", at)
            for at, character in enumerate(text)
            if character in REPLACED
        ]

    def changed(self, text: str, change: Change) -> str:
        at = change.occurrence
        return text[:at] + REPLACED[text[at]] + text[at + 1 :]


def drawn(count: int = 100, seed: str = "1") -> list[Mutant]:
    return draw([Source("a.py", TEXT)], Replaced(), count=count, seed=seed)


def test_the_same_seed_draws_the_same_and_a_smaller_count_the_first_of_them() -> None:
    assert drawn() == drawn()
    assert drawn(3) == drawn()[:3]
    assert drawn() != drawn(seed="2")


def test_a_mutant_differs_in_one_place_and_compiles() -> None:
    for mutant in drawn():
        compile(mutant.text, "mutant", "exec")
        differ = [at for at, pair in enumerate(zip(TEXT, mutant.text, strict=True)) if len(set(pair)) == 2]
        assert differ == [mutant.change.occurrence]
        assert len(re.findall(r"^[-+](?![-+])", mutant.diff(), re.MULTILINE)) == 2


def test_annotations_docstrings_types_and_ways_to_pass_arguments_are_left_alone() -> None:
    """What is left: 7, 8 and the plus between them, `first | second`, `LIMIT +`, 9 and 10."""
    assert sorted((mutant.change.line, TEXT[mutant.change.occurrence]) for mutant in drawn()) == [
        *((9, "+"), (9, "7"), (9, "8")),
        *((14, "|"), (15, "+"), (15, "1"), (15, "9")),
    ]


def test_what_does_not_compile_has_no_meaning() -> None:
    assert meaning("a = {*b}\n") != meaning("a = {-b}\n")
    assert meaning("a = {/b}\n") is None


@pytest.mark.parametrize("part", PARTS)
def test_every_part_has_its_source_and_its_tests(part: str) -> None:
    assert sources(PARTS[part])
    assert [test for test in PARTS[part].tests if not (REPOSITORY / test).exists()] == []


def test_a_copy_holds_the_mutant_for_its_run_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(TEXT)
    before, mutant = path.stat().st_mtime_ns, drawn(1)[0]
    with Copy(tmp_path, {}).mutated(mutant):
        assert path.read_text() == mutant.text
    assert (path.read_text(), path.stat().st_mtime_ns) == (TEXT, before)


def test_a_mutant_that_takes_too_long_counts_as_killed_and_survivors_are_shown() -> None:
    results = list(zip(drawn(3), (Outcome.KILLED, Outcome.TIMED_OUT, Outcome.SURVIVED), strict=True))
    figures, survivor = summary("readers", results).split("\n\n", 1)
    assert figures == "readers: 3 mutants, 2 killed (1 of them timed out), 1 survived"
    assert survivor == f"a.py:{drawn(3)[2].change.line} replaced\n{drawn(3)[2].diff()}"


def test_the_operators_of_cosmic_ray_draw_the_same_twice() -> None:
    if not PYTHON.exists():
        pytest.skip("cosmic-ray is not installed: make mutants")
    command = [str(PYTHON), "-m", "tests.mutants", "--list", "--part", "catalog", "--count", "4"]
    first, second = (
        subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert first == second
    assert len(re.findall(r"^\d/4 catalog refinement/catalog\.py:\d+ \w+$", first, re.MULTILINE)) == 4
