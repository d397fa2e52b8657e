"""The answers of the named queries: a line each, and as tables those that speak for themselves."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, time
from textwrap import wrap
from time import monotonic

from sandbox.console import Show, count, first_line
from sandbox.pipeline import Pipeline, QueryResult, StageError
from scraper.b3.calendar import SAO_PAULO, sessions_before

SHOWN: dict[str, str | None] = {
    "Session overview and breadth": None,
    "Most traded stocks of a session": None,
    "Top gainers and losers of a session": "side",
}
"""The named queries whose first rows are shown; with a column, the first rows of each of its values."""

_NEEDS = re.compile(r"^-- Needs sessions: (\d+)$", re.MULTILINE)
_WEIGHTS = re.compile(r"\b(index_weight|sector|\w+_index_members)\b")
_AT_ONCE = 4
_ROWS_SHOWN = 8
_WIDTH = 96
_UNBROKEN = "\N{NO-BREAK SPACE}"
_NUMBERS = {"tinyint", "smallint", "integer", "bigint", "float", "double", "decimal"}  # of Athena's types


def ask(pipeline: Pipeline, show: Show, *, engine: str) -> None:
    """Run the named queries, several at a time as a user's console would, and show them in their order.

    A query without rows is no failure: the reason stands in its line. One that fails is told, too, and the
    others go on.

    Args:
        pipeline: The pipeline.
        show: Where to show them.
        engine: The name of what answers.

    Raises:
        StageError: There are no named queries, or some failed.
    """
    show.heading(f"Athena ({engine}), named queries")
    queries = pipeline.named_queries()
    if not queries:
        raise StageError(
            f"workgroup {pipeline.deployment.work_group} has no named queries; begin anew by "
            "`python -m sandbox run --fresh`"
        )
    if gap := _gap(pipeline.compact_sessions()):
        show.warning(f"{gap}: what is compared with that session is null, or says what it is compared with")
    width = max(len(name) for name, _ in queries)
    shown: dict[str, QueryResult] = {}
    failed: dict[str, StageError] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = [pool.submit(_ask, pipeline, sql) for _, sql in queries]
        for (name, sql), answer in zip(queries, answers, strict=True):
            with show.waiting(name):
                result, seconds = answer.result()
            if isinstance(result, StageError):
                failed[name] = result
                rows = f"failed: {first_line(str(result))}"
            elif result.rows:
                rows = count(len(result.rows), "row")
                shown[name] = result
            else:
                rows = f"none: {_why_none(pipeline, sql)}"
            show.line(f"{name:<{width}}  {rows:>8}  {seconds:4.1f} s")
    for name, each in SHOWN.items():
        if name in shown:
            show.heading(name)
            _show_result(_first_rows(shown[name], each=each), len(shown[name].rows), show)
    if failed:
        raise StageError(
            f"{count(len(failed), 'named query', 'named queries')} failed: {', '.join(failed)}; the lake is "
            "there all the same, and the others have answered",
            details="\n\n".join(f"{name}: {error}\n{error.details}" for name, error in failed.items()),
        )


def _ask(pipeline: Pipeline, sql: str) -> tuple[QueryResult | StageError, float]:
    started = monotonic()
    try:
        return pipeline.query(sql), monotonic() - started
    except StageError as error:
        return error, monotonic() - started


def _why_none(pipeline: Pipeline, sql: str) -> str:
    """Why a query may have no rows: what it needs and the lake lacks."""
    sessions = pipeline.compact_sessions()
    needs = int(said[1]) if (said := _NEEDS.search(sql)) else 1
    if len(sessions) < needs:
        return f"needs {count(needs, 'session')}, has {len(sessions)}"
    if _WEIGHTS.search(sql) and not any(day <= sessions[-1] for day in pipeline.portfolio_dates()):
        return f"no index portfolio of {sessions[-1]} or before"
    gap = _gap(sessions) if needs > 1 else None
    return gap or f"nothing up to {sessions[-1]}"


def _gap(sessions: Sequence[date]) -> str | None:
    """What to say if the lake has other sessions, but not the exchange's one before its last."""
    if len(sessions) < 2:
        return None
    (expected,) = sessions_before(datetime.combine(sessions[-1], time(12), SAO_PAULO), 1)
    return (
        None if sessions[-2] == expected else f"the lake lacks {expected}, the session before {sessions[-1]}"
    )


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
    for line in wrap(", ".join(part.replace(" ", _UNBROKEN) for part in above), _WIDTH):
        show.line(line.replace(_UNBROKEN, " "), style="dim")
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
