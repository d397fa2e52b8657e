"""Athena's views, such as the job's of adjusted prices, where MiniStack would look for files of theirs.

A view is a table of the Glue catalog whose text holds its query, in Base64. Here the query takes the place of
the view's name, as often as there is a view among its tables.

https://docs.aws.amazon.com/athena/latest/ug/views.html
"""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from ministack.services import athena as service
from ministack.services import glue as glue_service

_TEXT = re.compile(r"/\* Presto View: (\S+) \*/")
_DEPTH = 10

athena: Any = service  # MiniStack has no types
glue: Any = glue_service


def install() -> None:
    """Have views be read by their queries, before these are translated."""
    run = athena._run_duckdb

    async def run_expanded(query: str, database: str, *where: Any) -> Any:
        return await run(expanded(query, database), database, *where)

    athena._run_duckdb = run_expanded


def expanded(query: str, database: str) -> str:
    """A query with the views' own in place of their names.

    Raises:
        ValueError: A view is made of itself.
    """
    for _ in range(_DEPTH):
        views = [
            (reference, text)
            for reference in athena._table_references(query)
            if (text := _query_of(f"{reference.database or database or 'default'}/{reference.table}"))
        ]
        if not views:
            return query
        for reference, text in reversed(views):
            alias = "" if reference.aliased else f' AS "{reference.table}"'
            query = f"{query[: reference.start]}({text}){alias}{query[reference.end :]}"
    raise ValueError(f"views of views, more than {_DEPTH} deep: {query}")


def _query_of(table: str) -> str:
    """The query of a view of the catalog; empty if it is none."""
    found = _TEXT.fullmatch((glue._tables.get(table) or {}).get("ViewOriginalText") or "")
    if found is None:
        return ""
    query: str = json.loads(base64.b64decode(found[1]))["originalSql"]
    return query
