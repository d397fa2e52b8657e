"""Serves B3 by hand: `python -m sandbox.b3 2026-11-19 2026-11-20`; with `--folder`, recorded files."""

import argparse
import threading
from datetime import date
from pathlib import Path

from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import B3Server
from sandbox.b3.sessions import last_session_until
from sandbox.b3.sources import RecordedFolder, SimulatedSource


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.b3", description=__doc__)
    parser.add_argument("sessions", nargs="+", type=date.fromisoformat, help="YYYY-MM-DD")
    parser.add_argument(
        "--folder", type=Path, help="serve recorded files; the last session dates the portfolio"
    )
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    asked = parser.parse_args()
    if not asked.folder:
        for day in asked.sessions:
            if (last := last_session_until(day)) != day:
                parser.error(f"{day:%A} {day} is no session, the last before it is {last}")
    source = (
        RecordedFolder(asked.folder, max(asked.sessions))
        if asked.folder
        else SimulatedSource(asked.sessions, SimulatedMarket())
    )
    with B3Server(source, port=asked.port) as b3:
        print(
            f"B3 ({'recorded' if asked.folder else 'simulated'}) at {b3.base_url}; Ctrl-C stops it",
            flush=True,
        )
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
