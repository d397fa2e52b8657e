"""The process in which the AWS emulator runs: MiniStack's application on a socket that its starter bound.

`sandbox.ministack` starts it. It serves until its owner ends, in whatever way: no emulator outlives it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import shutil
import sys
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config

from sandbox.arguments import DUCKDB, ENGINES
from sandbox.ministack import MARK
from sandbox.owner import when_owner_ends


async def _serve(asked: argparse.Namespace) -> list[str]:
    """Serve until the owner ends; return what could not be kept."""
    # MiniStack reads its settings from the environment when it is imported, not when it starts
    from ministack.app import app  # noqa: PLC0415

    from sandbox import shims  # noqa: PLC0415  # imports MiniStack's services

    installed = shims.install(asked.folder, lab_role=asked.lab_role, engine=asked.engine, ready=asked.ready)
    loop = asyncio.get_running_loop()
    owner_gone = asyncio.Event()
    when_owner_ends(lambda: loop.call_soon_threadsafe(owner_gone.set))

    async def shutdown() -> None:
        await owner_gone.wait()
        installed.job_runs.stop()
        if installed.trino is not None:
            installed.trino.stop()

    config = Config()
    config.bind = [f"fd://{asked.socket}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    await serve(app, config, shutdown_trigger=shutdown)
    return installed.save_failures.messages


def main() -> int:
    """Serve AWS until the owner ends, then clean up; 1 if the state could not be written."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the bound socket")
    parser.add_argument("--folder", type=Path, required=True, help="folder for state and logs")
    parser.add_argument("--remove", type=Path, required=True, help="folder to remove at the end")
    parser.add_argument("--lab-role", help="the one role of an account that lets nobody make another")
    parser.add_argument("--engine", choices=ENGINES, default=DUCKDB, help="what answers Athena's queries")
    parser.add_argument("--ready", action="store_true", help="functions of a kept stack get ready")
    arguments = parser.parse_args()
    if asyncio.run(_serve(arguments)):
        return 1  # the mark stays, and tells that the state is not to be trusted
    (arguments.folder / MARK).unlink()
    shutil.rmtree(arguments.remove)
    return 0


if __name__ == "__main__":
    code = main()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(code)  # in order: all is written. To take MiniStack's modules apart takes as long as to write it
