"""Athena's SQL, which is Trino's, where MiniStack would have DuckDB read it as its own.

Much is called otherwise there, such as `sequence`, `day_of_week` and `approx_percentile`; sqlglot translates.
What it cannot read is left as it is. It does not know the columns' types, so that dividing a whole column by
another is a fraction here and a whole number on AWS.
"""

from __future__ import annotations

from typing import Any

import sqlglot
from ministack.services import athena as service
from sqlglot.errors import SqlglotError

athena: Any = service  # MiniStack has no types


def install() -> None:
    """Have queries translated before they run."""
    run = athena._run_duckdb

    async def run_translated(query: str, *where: Any) -> Any:
        return await run(_translated(query), *where)

    athena._run_duckdb = run_translated


def _translated(query: str) -> str:
    if athena._detect_statement_type(query) != "DML":
        return query
    try:
        (translated,) = sqlglot.transpile(query, read="athena", write="duckdb", comments=False)
    except (SqlglotError, ValueError):
        return query
    return translated
