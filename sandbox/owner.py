"""How a process ends with the one that started it: the starter holds the other end of its standard input.

A pipe is closed when its owner closes it and when its owner dies, in whatever way; no signal and no process
group does that everywhere.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable


def when_owner_ends(action: Callable[[], object]) -> None:
    """Call `action` in a thread of its own as soon as standard input reaches its end."""

    def watch() -> None:
        # Not through sys.stdin: its lock, held here, would abort an interpreter that ends by itself
        while os.read(0, 4096):
            pass
        action()

    threading.Thread(target=watch, name="owner-watch", daemon=True).start()
