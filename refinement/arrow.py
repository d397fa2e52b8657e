"""Types, as Glue and Spark spell them and as Arrow has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from refinement.columns import Field

if TYPE_CHECKING:
    from datetime import date

    from pyspark.sql import DataFrame


def schema(fields: Iterable[Field]) -> pa.Schema:
    """Arrow's schema for columns of a table."""
    return pa.schema([(name, _arrow_type(kind)) for name, kind, _ in fields])


def by_session(rows: DataFrame, schema: pa.Schema) -> dict[date, pa.Table]:
    """The rows of each session (`trade_date`), with the columns of the schema, in one pass of Spark."""
    found: dict[date, list[dict[str, Any]]] = {}
    for row in rows.select("trade_date", *schema.names).collect():
        values = row.asDict()
        found.setdefault(values.pop("trade_date"), []).append(values)
    return {session: pa.Table.from_pylist(found[session], schema) for session in sorted(found)}


def python_values(column: pa.ChunkedArray[Any]) -> list[Any]:
    """A column's values as Python has them, of equal ones one: to make each by itself takes long."""
    encoded = column.combine_chunks().dictionary_encode()
    known = [*encoded.dictionary.to_pylist(), None]
    places = encoded.indices.fill_null(len(known) - 1).to_numpy(zero_copy_only=False)
    return [known[place] for place in places.tolist()]


def _arrow_type(kind: str) -> pa.DataType:
    """Arrow's type for one that is spelled as in Glue and Spark."""
    if kind.startswith("decimal"):
        precision, scale = map(int, re.findall(r"\d+", kind))
        return pa.decimal128(precision, scale)
    return _ARROW_TYPES[kind]


def differences(found: pa.Schema, columns: Mapping[str, str]) -> list[str]:
    """The columns that a file lacks or has with another type, in words; types are spelled as in Glue."""
    kinds = {field.name: _glue_type(field.type) for field in found}
    return [
        f"column {name}: expected {kind}, found {kinds.get(name, 'none')}"
        for name, kind in columns.items()
        if kinds.get(name) != kind
    ]


def _glue_type(kind: pa.DataType) -> str:
    """The spelling in Glue and Spark of an Arrow type; Arrow's own where those have none."""
    if isinstance(kind, pa.Decimal128Type):
        return f"decimal({kind.precision},{kind.scale})"
    spellings = {arrow: name for name, arrow in _ARROW_TYPES.items()} | {pa.large_string(): "string"}
    return spellings.get(kind, str(kind))


_ARROW_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "date": pa.date32(),
}
