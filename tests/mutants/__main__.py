"""`python -m tests.mutants --part readers --count 25`: draw mutants, and run the tests on each.

It needs `requirements-mutants.txt`, and for the runs the checkout's own environment, of `make setup`. The
checkout is left as it is: a copy of its tracked files is changed. It exits with 0 whatever the tests see,
with 1 if they fail on the source as it is, and with 2 if it is called in a way that makes no sense.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from tests.mutants.drawing import Mutant, draw
from tests.mutants.parts import PARTS, REPOSITORY, sources

_TIMES = 4
"""A mutant's tests may take so many times as long as those of the source ..."""
_SECONDS = 10.0
"""... and so many seconds more, as another run of the machine's may come between."""
_LINKED = (".venv", "node_modules", "build")


class Outcome(StrEnum):
    """What the tests made of a mutant."""

    KILLED = "killed"
    TIMED_OUT = "timed out"
    """They took too long, which anyone would notice: it counts as killed."""
    SURVIVED = "survived"


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a part's tests.

    Attributes:
        outcome: What they made of what they ran on.
        seconds: How long they took.
        output: What they said.
    """

    outcome: Outcome
    seconds: float
    output: str

    @property
    def failed(self) -> str:
        """The test that failed; empty if that is not known."""
        named = re.search(r"^(?:FAILED|ERROR) (\S+)", self.output, re.MULTILINE)
        return named[1].rpartition("/")[2] if named else ""


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of a checkout, for tests to run in.

    Attributes:
        folder: Where it is.
        environment: The variables that its tests run with.
    """

    folder: Path
    environment: Mapping[str, str]

    def run(self, tests: Sequence[str], *, timeout: float | None = None, keeps_bytecode: bool = False) -> Run:
        """Run some files of tests up to the first failure, or for so many seconds; none of it goes on."""
        command = [
            str(self.folder / ".venv" / "bin" / "python"),
            "-m",
            "pytest",
            "-x",
            "-q",
            "-n",
            "0",
            *tests,
        ]
        # Bytecode is told to be of a source by its size and its second, which a mutant may have in common
        no_bytecode = {} if keeps_bytecode else {"PYTHONDONTWRITEBYTECODE": "1"}
        started = time.monotonic()
        with tempfile.TemporaryFile(mode="w+", errors="replace") as output:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env={**self.environment, **no_bytecode},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                outcome = Outcome.KILLED if process.wait(timeout) else Outcome.SURVIVED
            except subprocess.TimeoutExpired:
                outcome = Outcome.TIMED_OUT
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)  # Spark's Java, too
                    process.wait()
            output.seek(0)
            return Run(outcome, time.monotonic() - started, output.read())

    @contextmanager
    def mutated(self, mutant: Mutant) -> Iterator[None]:
        """The copy with a mutant in the place of its source; then as it was, to the second."""
        path = self.folder / mutant.source.path
        times = path.stat()
        path.write_text(mutant.text, encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(mutant.source.text, encoding="utf-8")
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@contextmanager
def copy_of_checkout() -> Iterator[Copy]:
    """A copy of what git tracks in this checkout, as it is now, and links to what set-up has made in it."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as scratch:
        folder, temporary = Path(scratch, "tree"), Path(scratch, "tmp")
        temporary.mkdir()
        for name in filter(None, listed.decode().split("\0")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if (REPOSITORY / name).exists():
                shutil.copy2(REPOSITORY / name, folder / name)
        for name in _LINKED:
            if (REPOSITORY / name).exists():
                (folder / name).symlink_to((REPOSITORY / name).resolve())
        # The tests look for B3's own files beside the checkout; what a run that is killed leaves goes, too
        b3_files = {"B3_FILES": str(REPOSITORY.parent / "shared" / "b3")}
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        yield Copy(folder, {**b3_files, **environment, "TMPDIR": str(temporary)})


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--count", type=int, default=100, help="how many mutants, over all parts alike (100)")
    parser.add_argument("--seed", default="1", help="another draws others (1)")
    parser.add_argument("--list", action="store_true", help="draw and print them, and run nothing")
    parser.add_argument("--at", type=int, metavar="N", help="only the Nth of those that are drawn")
    asked = parser.parse_args()
    if importlib.util.find_spec("cosmic_ray") is None:
        parser.error(
            "cosmic-ray is not installed: pip install -r requirements-mutants.txt -c constraints.txt"
        )
    if asked.count < 1 or (asked.at is not None and not 1 <= asked.at <= asked.count):
        parser.error("--count and --at count from 1, and --at up to --count")
    if not asked.list and not (REPOSITORY / ".venv" / "bin" / "python").exists():
        parser.error("there is no .venv to run the tests in: make setup")
    drawn = drawn_of(list(PARTS) if asked.part == "all" else [asked.part], asked.count, asked.seed)
    if asked.list:
        for number, (part, mutant) in enumerate(drawn, 1):
            if asked.at in {None, number}:
                print(f"{number}/{len(drawn)} {part} {mutant}\n{mutant.diff()}\n")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # with the tests that run, too
    with copy_of_checkout() as copy:
        return measure(copy, drawn, asked.at)


def drawn_of(parts: Sequence[str], count: int, seed: str) -> list[tuple[str, Mutant]]:
    """As many mutants of each part, which depend on the seed and their number, not on the other parts."""
    from tests.mutants.operators import CosmicRay  # noqa: PLC0415  # is not everywhere installed

    operators = CosmicRay()
    drawn = []
    for number, part in enumerate(parts):
        share = count // len(parts) + (number < count % len(parts))
        mutants = draw(sources(PARTS[part]), operators, count=share, seed=f"{seed} {part}")
        drawn += [(part, mutant) for mutant in mutants]
    return drawn


def measure(copy: Copy, drawn: Sequence[tuple[str, Mutant]], at: int | None) -> int:
    """Run the tests on mutants, or on one, a part at a time; 1 if they fail without any."""
    for part in dict.fromkeys(part for part, _ in drawn):
        ours = [
            (number, mutant)
            for number, (its, mutant) in enumerate(drawn, 1)
            if its == part and at in {None, number}
        ]
        if not ours:
            continue
        print(f"{part}: the tests on the source as it is", flush=True)
        unmutated = copy.run(PARTS[part].tests, keeps_bytecode=True)
        if unmutated.outcome is not Outcome.SURVIVED:
            print(f"{unmutated.output}\n{part}: they fail on the source as it is", file=sys.stderr)
            return 1
        timeout = _TIMES * unmutated.seconds + _SECONDS
        print(f"{part}: they pass in {unmutated.seconds:.1f} s; a mutant has {timeout:.0f} s", flush=True)
        results = []
        for number, mutant in ours:
            with copy.mutated(mutant):
                run = copy.run(PARTS[part].tests, timeout=timeout)
            results.append((mutant, run.outcome))
            line = f"{number}/{len(drawn)} {part} {run.outcome} {run.seconds:.1f} s: {mutant} {run.failed}"
            print(line.rstrip(), flush=True)
        print(f"\n{summary(part, results)}\n", flush=True)
    return 0


def summary(part: str, results: Sequence[tuple[Mutant, Outcome]]) -> str:
    """What came of a part's mutants, in figures, and the survivors."""
    survivors = [mutant for mutant, outcome in results if outcome is Outcome.SURVIVED]
    timed_out = sum(outcome is Outcome.TIMED_OUT for _, outcome in results)
    figures = (
        f"{part}: {len(results)} mutants, {len(results) - len(survivors)} killed "
        f"({timed_out} of them timed out), {len(survivors)} survived"
    )
    return "\n\n".join([figures, *(f"{mutant}\n{mutant.diff()}" for mutant in survivors)])


if __name__ == "__main__":
    sys.exit(main())
