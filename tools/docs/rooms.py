"""`python -m tools.docs.rooms`: draw the rooms of the code and what each uses, into `docs/rooms.svg`.

A room is a folder of modules. `tests/unit/test_rooms.py` fails when the picture is behind, or when rooms or
modules import each other in a circle.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tools.docs import drawing
from tools.docs.drawing import Box

REPOSITORY = Path(__file__).resolve().parents[2]
FILE = REPOSITORY / "docs" / "rooms.svg"

ROOMS = {
    "lake": ("keys, currencies, names", "join"),
    "scraper.b3": ("what B3 publishes, a room a dataset", "source"),
    "scraper.runtime": ("settings, metrics, logs", "plain"),
    "scraper.raw": ("the raw bucket", "source"),
    "scraper.daily": ("the morning's sessions", "source"),
    "scraper.history": ("years at once", "source"),
    "operating": ("status, replay, redrive, smoke", "code"),
    "scraper": ("python -m scraper", "code"),
    "lambda_src": ("the starter, the visual job's owner", "plain"),
    "refinement": ("one row a stock, two tables", "sum"),
    "glue_scripts": ("the job: script and graph", "sum"),
    "analysis": ("charts, report, Athena", "rename"),
    "stacks": ("what is deployed", "target"),
    "app": ("cdk deploy", "target"),
    "sandbox.b3": ("a simulated B3", "plain"),
    "sandbox": ("the pipeline on this machine", "plain"),
}
"""Of each room what it is for, and its colour; tests, tools and benchmarks use all of them."""


def room_of(module: str) -> str | None:
    """The room that a module is in; None if it is in none."""
    return max((room for room in ROOMS if f"{module}.".startswith(f"{room}.")), key=len, default=None)


@cache
def modules() -> dict[str, Path]:
    """The modules of all rooms, by their names."""
    files = [REPOSITORY / "app.py"]
    for folder in sorted({room.partition(".")[0] for room in ROOMS} - {"app"}):
        files += sorted((REPOSITORY / folder).rglob("*.py"))
    names = {".".join(file.relative_to(REPOSITORY).with_suffix("").parts): file for file in files}
    return {name.removesuffix(".__init__"): file for name, file in names.items()}


def imports(file: Path, among: Mapping[str, Path]) -> set[str]:
    """Those of some modules that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # A package's module, or what a module has
            found |= {
                name if (name := f"{node.module}.{alias.name}") in among else node.module
                for alias in node.names
            }
    return found & among.keys()


@cache
def imported() -> dict[str, set[str]]:
    """Of each module the others that it imports."""
    every = modules()
    return {name: imports(file, every) - {name} for name, file in every.items()}


@cache
def uses() -> dict[str, set[str]]:
    """Of each room the rooms that it imports from."""
    found: dict[str, set[str]] = {room: set() for room in ROOMS}
    for name, others in imported().items():
        room = room_of(name)
        if room is not None:
            used = {room_of(module) for module in others} - {room, None}
            found[room] |= {str(other) for other in used}
    return found


def draw() -> str:
    """The picture: an arrow from a room to each that builds on it, but for those that others imply."""
    found = uses()
    implied = {room: {far for near in found[room] for far in _reached(near, found)} for room in ROOMS}
    inputs = {room: sorted(found[room] - implied[room]) for room in ROOMS}
    boxes = {room: Box(room, said, style) for room, (said, style) in ROOMS.items()}
    return drawing.draw("The rooms of the code, and what builds on what", boxes, inputs)


def _reached(room: str, found: Mapping[str, set[str]]) -> set[str]:
    return found[room] | {far for near in found[room] for far in _reached(near, found)}


def main() -> None:
    """Write the picture."""
    FILE.write_text(draw(), encoding="utf-8")


if __name__ == "__main__":
    main()
