"""The process in which the AWS emulator runs: MiniStack's application on a socket that its starter bound.

`sandbox.ministack` starts it. It serves until its standard input reaches its end, which happens when the
starter closes it or dies, however it dies: no emulator outlives its owner.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import threading
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config


async def _serve(socket_fd: int) -> None:
    # MiniStack reads its settings from the environment when it is imported, not when it starts
    from ministack.app import app  # noqa: PLC0415

    loop = asyncio.get_running_loop()
    owner_gone = asyncio.Event()

    def watch_owner() -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(owner_gone.set)

    threading.Thread(target=watch_owner, name="owner-watch", daemon=True).start()

    async def shutdown() -> None:
        await owner_gone.wait()

    config = Config()
    config.bind = [f"fd://{socket_fd}"]
    config.keep_alive_timeout = 75
    config.graceful_timeout = 1
    await serve(app, config, shutdown_trigger=shutdown)


def main() -> None:
    """Serve AWS on the given socket; afterwards remove the scratch folder, and the state with it if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--socket", type=int, required=True, help="descriptor of the bound socket")
    parser.add_argument("--remove", type=Path, required=True, help="folder to remove at the end")
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.socket))
    shutil.rmtree(arguments.remove)  # only after an orderly end: a crash leaves its log to be read


if __name__ == "__main__":
    main()
