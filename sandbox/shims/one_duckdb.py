"""One DuckDB for all queries, where MiniStack makes one for each.

Each has as many threads as there are processors, and looks anew at all files of a table: several queries at
once take nearly twice as long as in one. What a query makes there ends with it.

A table of many small files is read once, as long as it consists of the same ones: to open them takes longer
than to answer most questions.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ministack.services import athena as service

_MANY, _SMALL = 20, 16 * 2**20
"""Files, and bytes in all of them, from which on and up to which a table is kept."""

athena: Any = service  # MiniStack has no types


def install() -> None:
    """Have queries run in one DuckDB, which is made for the first."""
    run, relation_of = athena._run_duckdb, athena._table_relation
    kept: dict[str, tuple[str, str]] = {}

    async def run_in_one(*query: Any) -> Any:
        _database()
        return await run(*query)

    def kept_relation_of(table: dict[str, Any], files: Sequence[str]) -> str:
        files_read: str = relation_of(table, files)  # with each file's ETag in its name
        location = table["StorageDescriptor"]["Location"]
        name, of = kept.get(location, (f"kept_{len(kept)}", ""))
        if of != files_read:
            if len(files) < _MANY or sum(Path(file).stat().st_size for file in files) > _SMALL:
                return files_read
            _database().execute(f"CREATE OR REPLACE TABLE {name} AS FROM {files_read}")
            kept[location] = name, files_read
        return name

    athena._run_duckdb = run_in_one
    athena._table_relation = kept_relation_of


@cache
def _database() -> Any:
    import duckdb  # noqa: PLC0415 - which most emulators are not asked for

    database = duckdb.connect(":memory:")
    database.execute("SET GLOBAL parquet_metadata_cache = true")  # no file is ever changed: `table_files`

    def connect(*_of_its_own: Any) -> Any:
        connection = database.cursor()
        connection.begin()  # never committed
        return connection

    vars(duckdb)["connect"] = connect
    return database
