"""What a process and those that it has started take: memory and processor time, read from Linux's /proc.

It is looked at from outside, again and again: a process that comes and goes between two looks is not seen.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_KINDS = {"sandbox.spark_runner": "driver", "java": "JVM"}  # a driver's folder is named after its Java
_OTHER = "other"
PROCESSES = ("emulator", *_KINDS.values())
"""The kinds of process."""


class ProcessTree:
    """The processes of the jobs that an emulator runs, and the emulator.

    Args:
        root: Process id of the emulator.

    Attributes:
        peak_bytes: Most memory at one look, by kind of process, and of the "job", which are all but the
            emulator; memory that processes share counts once.
        job_bytes: The job's memory at each look.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._ticks: dict[int, tuple[str, int]] = {}
        self.peak_bytes: dict[str, int] = {}
        self.job_bytes: list[int] = []
        self.look()
        # What a Java that runs share has taken before is not this one's
        self._before = {process: ticks for process, (_, ticks) in self._ticks.items()}
        self._before[root] = _ticks(root)

    def look(self) -> None:
        """Take note of what there is now."""
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (status := _status(int(entry.name))):
                children.setdefault(int(status[1]), []).append(int(entry.name))
        held: dict[str, int] = {}
        waiting = list(children.get(self._root, []))
        while waiting:
            process = waiting.pop()
            waiting += children.get(process, [])
            known = self._ticks.get(process, (_OTHER, 0))[0]
            kind = _kind(process) if known == _OTHER else known  # one that ends has no command any more
            self._ticks[process] = (kind, _ticks(process))
            size = _bytes(process)
            for each in (kind, "job"):
                held[each] = held.get(each, 0) + size
        self.job_bytes.append(held.get("job", 0))
        for kind, size in held.items():
            self.peak_bytes[kind] = max(size, self.peak_bytes.get(kind, 0))

    def processor_seconds(self) -> dict[str, float]:
        """Processor seconds up to the last look, by kind of process."""
        seconds = {"emulator": (_ticks(self._root) - self._before[self._root]) / _TICKS}
        for process, (kind, ticks) in self._ticks.items():
            seconds[kind] = seconds.get(kind, 0) + (ticks - self._before.get(process, 0)) / _TICKS
        return seconds


def _kind(process: int) -> str:
    command = _read(process, "cmdline").replace("\0", " ")
    return next((kind for text, kind in _KINDS.items() if text in command), _OTHER)


def _ticks(process: int) -> int:
    status = _status(process)
    return int(status[11]) + int(status[12]) if status else 0


def _status(process: int) -> list[str]:
    """What follows the process's name in its status: state, parent, ..., user ticks, system ticks, ..."""
    return _read(process, "stat").rpartition(")")[2].split()


def _bytes(process: int) -> int:
    size = re.search(r"^Pss:\s+(\d+) kB$", _read(process, "smaps_rollup"), re.MULTILINE)
    return int(size[1]) * 1024 if size else 0


def _read(process: int, name: str) -> str:
    try:
        return Path(f"/proc/{process}/{name}").read_text()
    except OSError:  # it has ended
        return ""
