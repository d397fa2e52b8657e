"""One DuckDB for all queries, where MiniStack makes one for each.

Each has as many threads as there are processors, and looks anew at all files of a table: several queries at
once take nearly twice as long as in one. What a query makes there ends with it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from ministack.services import athena as service

athena: Any = service  # MiniStack has no types


def install() -> None:
    """Have queries run in one DuckDB, which is made for the first."""
    run = athena._run_duckdb

    async def run_in_one(*query: Any) -> Any:
        _make()
        return await run(*query)

    athena._run_duckdb = run_in_one


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
