"""What answers Athena's queries in the sandbox: DuckDB, which is there, or a Trino, to be fetched first."""

from __future__ import annotations

from sandbox.arguments import DUCKDB, TRINO
from sandbox.console import Show
from sandbox.trino.installation import MEGABYTES, VERSION, install, installed

NAMES = {DUCKDB: "DuckDB", TRINO: f"Trino {VERSION}"}
"""What each is called."""


def have(engine: str, show: Show) -> None:
    """See that an engine is there: a Trino is fetched from Maven Central, the first time.

    Args:
        engine: One of `sandbox.arguments.ENGINES`.
        show: Where to show that it takes a while.

    Raises:
        sandbox.trino.installation.TrinoUnavailableError: It cannot be had.
    """
    if engine == TRINO and installed() is None:
        with show.step(f"{NAMES[TRINO]} from Maven Central, {MEGABYTES} MB", slow=True) as step:
            step.outcome = "installed in build/" if install() else ""
