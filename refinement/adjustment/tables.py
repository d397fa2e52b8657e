"""The tables of events and factors, and the view of adjusted prices, in the Glue Data Catalog."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

from lake.keys import EVENTS_FOLDER, FACTORS_FOLDER
from lake.names import adjustment_tables
from refinement import log
from refinement.catalog import Catalog, Table, glue_columns
from refinement.columns import (
    ADJUSTED_COLUMNS,
    COMPACT_COLUMNS,
    COMPACT_KEYS,
    COMPACT_SUFFIX,
    EVENT_COLUMNS,
    FACTOR_COLUMNS,
    INDEX,
    of_index,
)
from refinement.errors import RefineError

_PRICES = ("open", "high", "low", "close", "average_price")
_TRINO_TYPES = {"string": "varchar", "int": "integer"}
_IS_VIEW = {"presto_view": "true", "comment": "Presto View"}


def events_table(refined_table: str, bucket: str) -> Table:
    """The table of events, of the refined table's name."""
    name, _, _ = adjustment_tables(refined_table)
    return Table(
        name=name,
        location=f"s3://{bucket}/{EVENTS_FOLDER}",
        description="One row per paper, ex-date and corporate action of B3's, held against the rise of the "
        "paper's distribution number.",
        columns=EVENT_COLUMNS,
        keys=(),
    )


def factors_table(refined_table: str, bucket: str) -> Table:
    """The table of factors, of the refined table's name."""
    _, name, _ = adjustment_tables(refined_table)
    return Table(
        name=name,
        location=f"s3://{bucket}/{FACTORS_FOLDER}",
        description="One row per paper and span of sessions, with what its prices are multiplied by to be "
        "those of the paper's newest session.",
        columns=FACTOR_COLUMNS,
        keys=(),
    )


def view_query(database: str, refined_table: str) -> str:
    """The view of adjusted prices, in Athena's SQL: each row of the compact table, with its factors."""
    _, factors, _ = adjustment_tables(refined_table)
    columns = [f"daily.{field.name}" for field in (*COMPACT_COLUMNS, *COMPACT_KEYS)]
    columns += [f"CAST(daily.{name} AS double) * factors.split_factor AS {name}_adjusted" for name in _PRICES]
    columns += [
        "CAST(daily.quantity AS double) / factors.split_factor AS quantity_adjusted",
        "CAST(daily.close AS double) * factors.total_return_factor AS close_total_return",
        "CASE WHEN daily.isin IS NULL THEN 'no ISIN' WHEN factors.isin IS NULL THEN 'refined before factors "
        "were made: run the job once more' ELSE factors.reason END AS adjustment_reason",
    ]
    return (
        f"SELECT {', '.join(columns)} "  # noqa: S608 - names of columns, and of tables that the job owns
        f'FROM "{database}"."{refined_table}{COMPACT_SUFFIX}" AS daily '
        f'LEFT JOIN "{database}"."{factors}" AS factors ON factors.isin = daily.isin '
        "AND daily.trade_date BETWEEN factors.first_session AND factors.last_session"
    )


def prepare(glue: GlueClient, *, database: str, refined_table: str, bucket: str, index: str = INDEX) -> None:
    """Create tables and view where missing, and give them what they lack.

    The view's comments name the index that its weights are of.

    Raises:
        RefineError: One that is there is not the job's.
    """
    for table in (events_table(refined_table, bucket), factors_table(refined_table, bucket)):
        Catalog(glue, database=database, table=table).prepare()
    _prepare_view(glue, database, refined_table, index)


def check(glue: GlueClient, *, database: str, refined_table: str, bucket: str) -> None:
    """Look whether tables and view can be the job's, and change nothing.

    Raises:
        RefineError: As `prepare` does.
    """
    for table in (events_table(refined_table, bucket), factors_table(refined_table, bucket)):
        Catalog(glue, database=database, table=table).check()
    with suppress(glue.exceptions.EntityNotFoundException):
        _existing_view(glue, database, refined_table)


def _prepare_view(glue: GlueClient, database: str, refined_table: str, index: str) -> None:
    wanted = _view(database, refined_table, index)
    try:
        there = _existing_view(glue, database, refined_table)
    except glue.exceptions.EntityNotFoundException:
        with suppress(glue.exceptions.AlreadyExistsException):  # another run has just created it
            glue.create_table(DatabaseName=database, TableInput=wanted)
        log.line(f"view {database}.{wanted['Name']} created")
        return
    is_same = all(there.get(part) == wanted[part] for part in ("ViewOriginalText", "Description"))
    if not is_same or _comments(there) != _comments(wanted):
        glue.update_table(DatabaseName=database, TableInput=wanted)
        log.line(f"view {database}.{wanted['Name']} updated")


def _existing_view(glue: GlueClient, database: str, refined_table: str) -> Any:
    _, _, name = adjustment_tables(refined_table)
    there = glue.get_table(DatabaseName=database, Name=name)["Table"]
    if there.get("TableType") != "VIRTUAL_VIEW":
        raise RefineError(
            f"{database}.{name} is no view, and this job's view of adjusted prices has that name: give the "
            "pipeline a name of its own, refined_table, or drop what is there."
        )
    return there


def _comments(view: Any) -> list[tuple[str, str]]:
    columns = view["StorageDescriptor"].get("Columns", [])
    return [(column["Name"], column.get("Comment", "")) for column in columns]


def _view(database: str, refined_table: str, index: str) -> Any:
    """A view as Athena stores those that it makes: its text and its columns, in Base64.

    Its description says no more than its comment: Trino takes the one for the other, and knows a view by it.
    """
    _, _, name = adjustment_tables(refined_table)
    columns = of_index((*COMPACT_COLUMNS, *COMPACT_KEYS, *ADJUSTED_COLUMNS), index)
    definition = {
        "originalSql": view_query(database, refined_table),
        "catalog": "awsdatacatalog",
        "schema": database,
        "columns": [
            {"name": field.name, "type": _TRINO_TYPES.get(field.type, field.type)} for field in columns
        ],
        "runAsInvoker": True,  # it has no owner, whose permissions Trino would ask for
    }
    encoded = base64.b64encode(json.dumps(definition).encode()).decode()
    return {
        "Name": name,
        "Description": _IS_VIEW["comment"],
        "TableType": "VIRTUAL_VIEW",
        "Parameters": dict(_IS_VIEW),
        "PartitionKeys": [],
        "StorageDescriptor": {"Columns": glue_columns(columns), "Location": "", "SerdeInfo": {}},
        "ViewOriginalText": f"/* Presto View: {encoded} */",
        "ViewExpandedText": "/* Presto View */",
    }
