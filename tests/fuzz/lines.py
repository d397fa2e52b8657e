"""Which lines of a reader's functions inputs reach: what atheris's own counters do not say in words."""

from __future__ import annotations

import inspect
import sys
import threading
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.harness import REPOSITORY


def unreached(
    modules: Iterable[str], without: Collection[str], replay: Callable[[], None]
) -> dict[str, dict[str, Any]]:
    """Replay something, and say of each module how many lines its functions have and which were not reached.

    Args:
        modules: Files, from the repository's root.
        without: Functions in them that do not count.
        replay: What is watched, in all of its threads.

    Returns:
        For each module "lines", their number, and "unreached", each line with its function and text.
    """
    paths = {module: REPOSITORY / module for module in modules}
    lines = {str(path): _lines(path, without) for path in paths.values()}
    reached: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        file = frame.f_code.co_filename
        if file not in lines:
            return None
        if event == "line":
            reached.add((file, frame.f_lineno))
        return trace

    threading.settrace(trace)
    sys.settrace(trace)
    try:
        replay()
    finally:
        sys.settrace(None)
        threading.settrace(None)
    return {module: _report(path, lines[str(path)], reached) for module, path in paths.items()}


def _report(path: Path, lines: dict[int, str], reached: set[tuple[str, int]]) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8").splitlines()
    missed = sorted(line for line in lines if (str(path), line) not in reached)
    return {
        "lines": len(lines),
        "unreached": [{"function": lines[line], "code": text[line - 1].strip()} for line in missed],
    }


def _lines(path: Path, without: Collection[str]) -> dict[int, str]:
    """The lines of a module's functions that do something, and the name of the function."""
    module = compile(path.read_text(encoding="utf-8"), str(path), "exec")
    found: dict[int, str] = {}
    waiting: list[CodeType] = [module]
    while waiting:
        code = waiting.pop()
        waiting += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
        # Functions have locals of their own, the module and its classes do not
        if code.co_flags & inspect.CO_NEWLOCALS and code.co_qualname not in without:
            own = {line for _, _, line in code.co_lines() if line is not None and line != code.co_firstlineno}
            found |= {line: found.get(line, code.co_qualname) for line in own}
    return found
