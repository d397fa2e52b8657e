"""What this process has taken so far. Contenders import it in environments of their own: no dependencies."""

import os
import re
import resource
import sys
from pathlib import Path


def peak_bytes() -> int:
    """Most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():
        # Unlike getrusage, which on Linux starts from what the parent process held
        peak = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        if peak:
            return int(peak[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def processor_seconds() -> float:
    """Seconds that this process has kept processors busy, all its threads together."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def machine_seconds() -> float:
    """Seconds that the machine's processors have been busy, all together; 0.0 where it does not say."""
    statistics = Path("/proc/stat")
    if not statistics.exists():
        return 0.0
    ticks = [int(number) for number in statistics.read_text().splitlines()[0].split()[1:9]]
    idle = sum(ticks[3:5])  # and waiting for disks
    return (sum(ticks) - idle) / os.sysconf("SC_CLK_TCK")
