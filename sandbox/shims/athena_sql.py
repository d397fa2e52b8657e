"""Athena's SQL, which is Trino's, where MiniStack would have DuckDB read it as its own.

Both know most of the same functions, by other names or with other results: a whole number divided by another
is a whole number in Trino. What sqlglot cannot read is left as it is: MiniStack's own tests of SQL, such as
`read_parquet`, are of that kind.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import sqlglot
from ministack.services import athena as service
from sqlglot.errors import SqlglotError

Run = Callable[..., Coroutine[Any, Any, dict[str, Any]]]

athena: Any = service  # MiniStack has no types


def install() -> None:
    """Have queries translated before they run."""
    athena._run_duckdb = _translating(athena._run_duckdb)


def _translating(run: Run) -> Run:
    async def run_translated(query: str, *where: Any) -> dict[str, Any]:
        return await run(_translated(query), *where)

    return run_translated


def _translated(query: str) -> str:
    if athena._detect_statement_type(query) != "DML":
        return query
    try:
        (translated,) = sqlglot.transpile(query, read="athena", write="duckdb", comments=False)
    except (SqlglotError, ValueError):
        return query
    return translated
