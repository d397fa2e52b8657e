"""Which partitions a query reads, by its text and the catalog alone.

Athena prunes partitions by what a query demands of their keys: at planning where that is a constant, and
otherwise as soon as the other side of a join, or a subquery, has its values (dynamic partition pruning). Here
both are done at once: of every SELECT that reads a table, the conditions on the partition key are evaluated
against the registered partitions. A condition that depends on what is in the files prunes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.optimizer.pushdown_predicates import pushdown_predicates
from sqlglot.optimizer.pushdown_projections import pushdown_projections
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope

KEY = "trade_date"
METADATA = "$partitions"

UNPARTITIONED = {"index_level"}
"""Tables of which the key is a column like others."""

_OUTSIDE = "$outside"  # stands for a source that has another name inside

Schema = Mapping[str, Mapping[str, Mapping[str, str]]]
"""Types of the columns, by database, table and column; without the tables of partitions."""

CatalogOnly = Mapping[str, exp.CTE]
"""The names of a query's WITH that come from the catalog alone, with their definitions, in their order."""


class Reading(NamedTuple):
    """A SELECT's reading of a table.

    Attributes:
        table: The table's name.
        columns: The columns of it that the query needs, the partition key among them.
        left: A query, in DuckDB's SQL, for the partitions that the SELECT's conditions leave.
    """

    table: str
    columns: list[str]
    left: str


def readings(sql: str, schema: Schema, *, with_objects: bool = False) -> list[Reading]:
    """Every reading of a table in a query. A name of its WITH is worked out as often as it is used.

    Args:
        sql: The query.
        schema: The tables.
        with_objects: Whether also of tables that are not partitioned by the key, of an object or a few each.
    """
    known: dict[str, Any] = {
        database: {**tables, **{f"{table}{METADATA}": {KEY: "date"} for table in tables}}
        for database, tables in schema.items()
    }
    tree = qualify(sqlglot.parse_one(sql, read="athena"), schema=known, dialect="athena")
    root = build_scope(pushdown_projections(pushdown_predicates(tree, dialect="athena")))
    if root is None:
        raise ValueError(f"not a query: {sql}")
    found = _readings(root, _catalog_only(root))
    keyed = {table for tables in schema.values() for table, fields in tables.items() if KEY in fields}
    keyed -= UNPARTITIONED
    return [reading for reading in found if with_objects or reading.table in keyed]


def sessions_read(reading: Reading, sessions: Mapping[tuple[str, str], Iterable[date]]) -> set[date]:
    """The sessions whose partitions a reading leaves.

    Args:
        reading: The reading.
        sessions: The sessions that have a partition, by database and table.
    """
    with duckdb.connect() as connection:
        for (database, table), days in sessions.items():
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{database}"')
            values = ", ".join(f"(DATE '{day}')" for day in days) or "(NULL)"
            name = f'"{database}"."{table}{METADATA}"'
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM (VALUES {values}) AS days ({KEY})")  # noqa: S608 - names of ours
        return {day for (day,) in connection.execute(reading.left).fetchall()}


def _readings(scope: Scope, catalog_only: CatalogOnly, demands: Sequence[exp.Expr] = ()) -> Iterator[Reading]:
    """The readings of a SELECT and of what it selects from.

    Args:
        scope: The SELECT.
        catalog_only: The names that come from the catalog alone.
        demands: What is demanded of its partition key from outside, of a table `_OUTSIDE`.
    """
    for alias, (_, source) in scope.selected_sources.items():
        decided = _decided(scope, alias, catalog_only)
        if isinstance(source, Scope):
            parts = _parts(source)
            # sqlglot moves no condition into the parts of a UNION; Trino does
            inside = [_on(condition, alias, _OUTSIDE) for condition in decided] if len(parts) > 1 else []
            for part in parts:
                yield from _readings(part, catalog_only, inside)
        elif not source.name.endswith(METADATA):
            columns = {column.name for column in scope.columns if column.table == alias}
            conditions = [*decided, *(_on(demand, _OUTSIDE, alias) for demand in demands)]
            left = _left(scope, alias, source, conditions, catalog_only)
            yield Reading(source.name, sorted(columns), left.sql(dialect="duckdb"))
    for inner in scope.subquery_scopes:
        yield from _readings(inner, catalog_only)


def _parts(scope: Scope) -> list[Scope]:
    """The SELECTs of a UNION, or the SELECT itself."""
    if not scope.set_operation_scopes:
        return [scope]
    return [part for each in scope.set_operation_scopes for part in _parts(each)]


def _left(
    scope: Scope, alias: str, table: exp.Table, conditions: Sequence[exp.Expr], catalog_only: CatalogOnly
) -> exp.Select:
    """The query for the partitions that conditions leave of a table."""
    partitions = exp.table_(f"{table.name}{METADATA}", db=table.db, quoted=True, alias=alias)
    query = exp.select(exp.column(KEY, alias)).distinct().from_(partitions)
    for name in _beside(scope, alias, catalog_only):
        node, _ = scope.selected_sources[name]
        query = query.join(exp.table_(node.name, alias=name), join_type="cross")
    for condition in conditions:
        query = query.where(condition.copy())
    for name, cte in catalog_only.items():
        query = query.with_(name, as_=cte.this.copy())
    return query


def _beside(scope: Scope, alias: str, catalog_only: CatalogOnly) -> list[str]:
    """What comes from the catalog among a SELECT's other sources."""
    sources = ((name, node) for name, (node, _) in scope.selected_sources.items() if name != alias)
    return [name for name, node in sources if isinstance(node, exp.Table) and node.name in catalog_only]


def _decided(scope: Scope, alias: str, catalog_only: CatalogOnly) -> list[exp.Expr]:
    """What a SELECT demands of a source, as far as its partition key and the catalog decide it."""
    select = scope.expression
    others = _beside(scope, alias, catalog_only)

    def is_decided(condition: exp.Expr) -> bool:
        own = [column for column in condition.find_all(exp.Column) if column.parent_select is select]
        return (
            all(column.table in others or (column.table, column.name) == (alias, KEY) for column in own)
            and any(column.table == alias for column in own)
            and all(_in_catalog(table, catalog_only) for table in condition.find_all(exp.Table))
        )

    return [condition for condition in _conditions(select) if is_decided(condition)]


def _conditions(select: exp.Expr) -> Iterator[exp.Expr]:
    """What holds for each row of a SELECT's sources, one by one."""
    joins = [join for join in select.args.get("joins") or [] if not join.side]
    where = select.args.get("where")
    for condition in (*(join.args.get("on") for join in joins), where and where.this):
        if condition is not None:
            yield from condition.flatten() if isinstance(condition, exp.And) else [condition]


def _on(condition: exp.Expr, alias: str, other: str) -> exp.Expr:
    """A condition on the partition key of one source, as one on that of another."""

    def moved(node: exp.Expr) -> exp.Expr:
        is_key = isinstance(node, exp.Column) and (node.table, node.name) == (alias, KEY)
        return exp.column(KEY, other) if is_key else node

    return condition.transform(moved)


def _catalog_only(root: Scope) -> dict[str, exp.CTE]:
    """The names of the WITH that come from the catalog alone."""
    found: dict[str, exp.CTE] = {}
    with_ = root.expression.args.get("with_")
    for cte in with_.expressions if with_ else []:
        if all(_in_catalog(table, found) for table in cte.this.find_all(exp.Table)):
            found[cte.alias] = cte
    return found


def _in_catalog(table: exp.Table, catalog_only: CatalogOnly) -> bool:
    return table.name.endswith(METADATA) or (not table.db and table.name in catalog_only)
