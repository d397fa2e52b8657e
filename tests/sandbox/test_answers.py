"""What is shown of the named queries' answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from io import StringIO
from types import SimpleNamespace
from typing import cast

import pytest

from sandbox.answers import ask
from sandbox.console import Show
from sandbox.pipeline import Pipeline, QueryResult, StageError
from scraper.b3.calendar import sessions_before

MOST_TRADED = "Most traded stocks of a session"
MOVERS = "Top gainers and losers of a session"


LAST = date(2025, 3, 28)  # a Friday; the session before it is Thursday's


@dataclass
class Answers:
    """The part of a pipeline that is asked, with its answers given."""

    queries: dict[str, tuple[str, QueryResult | StageError]]
    sessions: Sequence[date]
    portfolios: set[date]
    deployment: SimpleNamespace

    def named_queries(self) -> list[tuple[str, str]]:
        return sorted((name, sql) for name, (sql, _) in self.queries.items())

    def query(self, sql: str) -> QueryResult:
        (result,) = (result for text, result in self.queries.values() if text == sql)
        if isinstance(result, StageError):
            raise result
        return result

    def compact_sessions(self) -> list[date]:
        return [*self.sessions]

    def portfolio_dates(self) -> set[date]:
        return self.portfolios


def show_answers(
    out: StringIO,
    queries: Mapping[str, tuple[str, QueryResult | StageError]],
    *,
    sessions: int | Sequence[date],
    portfolios: Sequence[date] = (LAST,),
) -> None:
    if isinstance(sessions, int):
        sessions = sessions_before(datetime(2025, 3, 29, 12, tzinfo=UTC), sessions)
    answers = Answers({**queries}, sessions, {*portfolios}, SimpleNamespace(work_group="Group"))
    ask(cast(Pipeline, answers), Show(out), engine="DuckDB")


def shown(
    queries: Mapping[str, tuple[str, QueryResult | StageError]],
    *,
    sessions: int | Sequence[date],
    portfolios: Sequence[date] = (LAST,),
) -> list[str]:
    out = StringIO()
    show_answers(out, queries, sessions=sessions, portfolios=portfolios)
    return [line.rstrip() for line in out.getvalue().splitlines()]


def rows(*of: tuple[str, str]) -> QueryResult:
    return QueryResult(columns=[("side", "varchar"), ("trades", "bigint")], rows=[[*row] for row in of])


def test_each_query_has_a_line_and_those_that_speak_for_themselves_a_table() -> None:
    lines = shown(
        {
            MOST_TRADED: ("SELECT 1", rows(("a", "1234"), ("b", "12"))),
            "Another": ("SELECT 2", rows(*[("c", "7")] * 1200)),
        },
        sessions=1,
    )
    assert [line.split("  ")[1] for line in lines[2:4]] == ["Another", MOST_TRADED]
    assert "1,200 rows" in lines[2]
    assert "2 rows" in lines[3]
    assert lines[4:] == ["", MOST_TRADED, "  side  trades", "  a      1,234", "  b         12"]


def test_a_table_may_have_the_first_rows_of_each_side() -> None:
    gainers = [("gainer", str(place)) for place in range(1, 11)]
    losers = [("loser", str(place)) for place in range(1, 11)]
    lines = shown({MOVERS: ("SELECT 1", rows(*gainers, *losers))}, sessions=1)
    table = lines[lines.index(MOVERS) + 1 :]
    assert table[0] == "  8 of 20 rows"
    assert [line.split() for line in table[2:]] == [
        [side, str(place)] for side in ("gainer", "loser") for place in range(1, 5)
    ]


def test_a_query_without_rows_in_a_lake_that_is_too_small_for_it_says_so() -> None:
    needy = ("-- Title\n-- Needs sessions: 21\nSELECT 1", rows())
    (line,) = shown({"Needy": needy}, sessions=1)[2:]
    assert line.startswith("  Needy  none: needs 21 sessions, has 1")


INDEX_QUERY = "-- Needs sessions: 2\nSELECT sum(index_weight) FROM quotes"


def test_a_query_on_the_index_without_rows_names_the_portfolio_that_there_is_none_of() -> None:
    (line,) = shown({"Index": (INDEX_QUERY, rows())}, sessions=2, portfolios=())[2:]
    assert line.startswith("  Index  none: no index portfolio of 2025-03-28 or before")
    later = [date(2025, 3, 31)]
    (line,) = shown({"Index": (INDEX_QUERY, rows())}, sessions=2, portfolios=later)[2:]
    assert "no index portfolio of 2025-03-28 or before" in line


def test_a_query_without_rows_names_the_session_before_that_the_lake_lacks() -> None:
    gap = [date(2025, 3, 26), LAST]
    warning, line = shown({"Index": (INDEX_QUERY, rows())}, sessions=gap)[2:]
    assert warning.startswith("  the lake lacks 2025-03-27, the session before 2025-03-28: what is compared")
    assert line.startswith("  Index  none: the lake lacks 2025-03-27, the session before 2025-03-28")


def test_a_query_without_rows_for_no_such_reason_is_none_and_not_the_end() -> None:
    lines = shown({"Rare": ("SELECT 1", rows()), "Usual": ("SELECT 2", rows(("a", "1")))}, sessions=1)
    assert lines[2].startswith("  Rare   none: nothing up to 2025-03-28")
    assert lines[3].startswith("  Usual     1 row")


def test_a_query_that_fails_is_told_and_the_others_answer_before_the_run_fails() -> None:
    out = StringIO()
    broken = StageError("Athena: no such column", details="The query was:\nSELECT 1")
    with pytest.raises(StageError, match="1 named query failed: Broken") as failure:
        show_answers(
            out, {"Broken": ("SELECT 1", broken), MOST_TRADED: ("SELECT 2", rows(("a", "1")))}, sessions=1
        )
    assert "failed: Athena: no such column" in out.getvalue()
    assert out.getvalue().count(MOST_TRADED) == 2  # its line, and its table's heading
    assert "SELECT 1" in failure.value.details
