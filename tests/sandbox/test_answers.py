"""What is shown of the named queries' answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from io import StringIO
from types import SimpleNamespace
from typing import cast

import pytest

from sandbox.answers import SHOWN, ask
from sandbox.console import Show
from sandbox.pipeline import Pipeline, QueryResult, StageError
from tests.sandbox.deployed import Deployed

MOST_TRADED = "Most traded stocks of a session"
MOVERS = "Top gainers and losers of a session"


@dataclass
class Answers:
    """The part of a pipeline that is asked, with its answers given."""

    queries: dict[str, tuple[str, QueryResult]]
    sessions: int
    deployment: SimpleNamespace

    def named_queries(self) -> list[tuple[str, str]]:
        return sorted((name, sql) for name, (sql, _) in self.queries.items())

    def query(self, sql: str) -> QueryResult:
        (result,) = (result for text, result in self.queries.values() if text == sql)
        return result

    def compact_sessions(self) -> list[date]:
        return [date(2025, 3, 1) + timedelta(days=day) for day in range(self.sessions)]


def shown(queries: dict[str, tuple[str, QueryResult]], *, sessions: int) -> list[str]:
    out = StringIO()
    answers = Answers(queries, sessions, SimpleNamespace(work_group="Group"))
    ask(cast(Pipeline, answers), Show(out))
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


@pytest.mark.parametrize(("header", "sessions"), [("-- Needs sessions: 21", 21), ("-- Title", 1)])
def test_a_query_without_rows_is_a_failure_otherwise(header: str, sessions: int) -> None:
    with pytest.raises(StageError, match="named query 'Broken' returned no rows"):
        shown({"Broken": (f"{header}\nSELECT 1", rows())}, sessions=sessions)


@pytest.mark.sandbox
@pytest.mark.xdist_group("sandbox")
def test_the_queries_that_are_shown_are_queries_of_the_stack(in_sandbox: Deployed) -> None:
    out = StringIO()
    ask(in_sandbox.pipeline, Show(out))
    assert {*SHOWN} <= {*out.getvalue().splitlines()}
