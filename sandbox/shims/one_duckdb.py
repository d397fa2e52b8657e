"""One DuckDB for all queries, where MiniStack makes one for each.

Each has as many threads as there are processors, and looks anew at all files of a table: several queries at
once take nearly twice as long as in one. What a query makes there ends with it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import cache
from typing import Any

from ministack.services import athena

Run = Callable[..., Coroutine[Any, Any, dict[str, Any]]]


def install() -> None:
    """Have queries run in one DuckDB, which is made for the first."""
    athena._run_duckdb = _in_one(athena._run_duckdb)


def _in_one(run: Run) -> Run:
    async def run_in_one(*query: Any) -> dict[str, Any]:
        _make()
        return await run(*query)

    return run_in_one


@cache
def _make() -> None:
    import duckdb  # noqa: PLC0415 - which most emulators are not asked for

    database = duckdb.connect(":memory:")
    database.execute("SET GLOBAL parquet_metadata_cache = true")  # no file is ever changed: `table_files`

    def connect(*_of_its_own: Any) -> Any:
        connection = database.cursor()
        connection.begin()  # never committed
        return connection

    vars(duckdb)["connect"] = connect
