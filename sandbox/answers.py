"""The answers of the named queries: a line each, and as tables those that speak for themselves."""

from __future__ import annotations

import re
import time

from sandbox.console import Show
from sandbox.pipeline import Pipeline, QueryResult, StageError

SHOWN: dict[str, str | None] = {
    "Session overview and breadth": None,
    "Most traded stocks of a session": None,
    "Top gainers and losers of a session": "side",
}
"""The named queries whose first rows are shown; with a column, the first rows of each of its values."""

_NEEDS = re.compile(r"^-- Needs sessions: (\d+)$", re.MULTILINE)
_ROWS_SHOWN = 8
_NUMBERS = {"tinyint", "smallint", "integer", "bigint", "float", "double", "decimal"}  # of Athena's types


def ask(pipeline: Pipeline, show: Show) -> None:
    """Run the named queries.

    A query says in a comment of its own how many sessions it needs. In a lake with fewer it may have no rows.

    Raises:
        StageError: There are no named queries, or one failed, or has no rows for no such reason.
    """
    show.heading("Athena, named queries")
    queries = pipeline.named_queries()
    if not queries:
        raise StageError(f"workgroup {pipeline.deployment.work_group} has no named queries")
    sessions = len(pipeline.compact_sessions())
    width = max(len(name) for name, _ in queries)
    shown: dict[str, QueryResult] = {}
    for name, sql in queries:
        started = time.monotonic()
        with show.waiting(name):
            result = pipeline.query(sql)
        rows = _rows(name, sql, result, sessions)
        show.line(f"{name:<{width}}  {rows:>8}  {time.monotonic() - started:4.1f} s")
        if result.rows and name in SHOWN:
            shown[name] = result
    for name, each in SHOWN.items():
        if name in shown:
            show.heading(name)
            _show_result(_first_rows(shown[name], each=each), len(shown[name].rows), show)


def _rows(name: str, sql: str, result: QueryResult, sessions: int) -> str:
    if result.rows:
        return count(len(result.rows), "row")
    needs = int(said[1]) if (said := _NEEDS.search(sql)) else 1
    if sessions >= needs:
        raise StageError(f"named query {name!r} returned no rows")
    return f"none: needs {needs} sessions, has {sessions}"


def _first_rows(result: QueryResult, *, each: str | None) -> QueryResult:
    """The first rows, or those of each value of a column."""
    if each is None:
        return QueryResult(columns=result.columns, rows=result.rows[:_ROWS_SHOWN])
    place = [column for column, _ in result.columns].index(each)
    values = dict.fromkeys(row[place] for row in result.rows)
    rows = [
        row
        for value in values
        for row in [row for row in result.rows if row[place] == value][: _ROWS_SHOWN // len(values)]
    ]
    return QueryResult(columns=result.columns, rows=rows)


def _show_result(result: QueryResult, of: int, show: Show) -> None:
    """Show rows. What is the same in all of them goes above them; a single row stands upright.

    Args:
        result: The rows.
        of: How many the query has.
        show: Where to show them.
    """
    columns = [(column, kind in _NUMBERS) for column, kind in result.columns]
    rows = [
        [_cell(value, is_number=is_number) for value, (_, is_number) in zip(row, columns, strict=True)]
        for row in result.rows
    ]
    if len(rows) == 1:
        pairs = [[name, value] for (name, _), value in zip(columns, rows[0], strict=True)]
        show.table([("column", False), ("value", False)], pairs)
        return
    same = [place for place, values in enumerate(zip(*rows, strict=True)) if len(set(values)) == 1]
    above = [f"{columns[place][0]} {rows[0][place]}" for place in same]
    if of > len(rows):
        above.append(f"{len(rows)} of {of} rows")
    if above:
        show.line(", ".join(above), style="dim")
    kept = [place for place in range(len(columns)) if place not in same]
    show.table([columns[place] for place in kept], [[row[place] for place in kept] for row in rows])


def _cell(value: str | None, *, is_number: bool) -> str:
    if value is None:
        return "-"
    whole, point, decimals = value.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    if is_number and digits.isdigit():
        return f"{sign}{int(digits):,}{point}{decimals}"
    return value


def count(number: int, what: str) -> str:
    """A number of things: "1 row", "1,000 rows"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"
