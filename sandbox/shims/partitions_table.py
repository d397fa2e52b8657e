"""Athena's metadata table of a table's partitions, such as `"default"."bovespa_daily_compact$partitions"`.

Athena answers it from the Glue catalog's registered partitions, without reading a file; MiniStack knows no
such table. Here it becomes a list of values, with the partition keys for its columns.

https://docs.aws.amazon.com/athena/latest/ug/querying-glue-catalog-listing-partitions.html
"""

from __future__ import annotations

import json
from typing import Any

from ministack.services import athena as service
from ministack.services import glue as glue_service

_SUFFIX = "$partitions"

athena: Any = service  # MiniStack has no types
glue: Any = glue_service


def install() -> None:
    """Have the metadata table in place before the tables themselves are."""
    rewrite = athena._rewrite_data_paths

    async def rewrite_all(query: str, database: str, catalog: str | None = None) -> Any:
        return await rewrite(_with_values(query, database), database, catalog)

    athena._rewrite_data_paths = rewrite_all


def _with_values(query: str, database: str) -> str:
    for reference in reversed(athena._table_references(query)):
        name = f"{reference.database or database or 'default'}/{reference.table.removesuffix(_SUFFIX)}"
        table = glue._tables.get(name)
        if reference.table.endswith(_SUFFIX) and table is not None:
            alias = "" if reference.aliased else f' AS "{reference.table}"'
            values = _values(table["PartitionKeys"], glue._partitions.get(name, []))
            query = f"{query[: reference.start]}{values}{alias}{query[reference.end :]}"
    return query


def _values(keys: list[dict[str, Any]], partitions: list[dict[str, Any]]) -> str:
    """A derived table of the partitions, a column a key, with the key's type.

    They are a text, which MiniStack passes over at once, where it would look at each of a thousand values.
    """
    columns = [
        f"CAST(value[{place}] AS {athena._duckdb_type(key)}) AS {_quoted(key['Name'])}"
        for place, key in enumerate(keys, 1)
    ]
    rows = json.dumps([partition["Values"] for partition in partitions]).replace("'", "''")
    values = f"SELECT unnest(from_json('{rows}', '[[\"VARCHAR\"]]')) AS value"
    return f"(SELECT {', '.join(columns)} FROM ({values}))"  # noqa: S608 - each of them quoted


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
