"""The notebook as it is committed: clean, bilingual, and its SQL such as Athena takes."""

from __future__ import annotations

import ast
from typing import Any

import nbformat
import pytest
import sqlglot
from sqlglot import exp

from analysis import charts
from analysis.pictures import IMAGES, NOTEBOOK, load
from analysis.style import THEMES

CHARTS = {
    *("market_breadth", "turnover_by_sector", "candles", "index_treemap"),
    *("put_call_ratio", "volatility_against_return", "option_expiries", "total_return"),
    "stock_against_index",
}

PRICED = {"lake.priced(RETURNS)": "returns_of_the_table", "lake.priced(LEVELS)": "levels_of_the_table"}
TABLES = {
    "lake.table": "the_table",
    "lake.events": "the_events",
    "lake.factors": "the_factors",
    "lake.levels": "the_levels",
    **PRICED,
}


@pytest.fixture(scope="module")
def notebook() -> Any:
    return nbformat.read(NOTEBOOK, as_version=4)


def code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def queries(notebook: Any) -> list[str]:
    """The SQL of the cells, a table's name in place of the expression for it."""
    found = []
    for node in (node for cell in code(notebook) for node in ast.walk(ast.parse(cell.source))):
        if isinstance(node, ast.JoinedStr) and any("SELECT" in ast.unparse(part) for part in node.values):
            texts = [
                part.value if isinstance(part, ast.Constant) else _stand_in(part) for part in node.values
            ]
            found.append("".join(map(str, texts)))
    return found


def _stand_in(part: ast.expr) -> str:
    """What a query could have in place of an expression: its sessions, a table, or the table's prices."""
    assert isinstance(part, ast.FormattedValue)
    said = ast.unparse(part.value)
    return "(DATE '2031-01-06', 1, 0)" if said.endswith(".numbers") else TABLES[said]


def test_it_is_committed_without_outputs_and_counts(notebook: Any) -> None:
    nbformat.validate(notebook)
    assert [cell.id for cell in code(notebook) if cell.outputs or cell.execution_count] == []
    assert set(notebook.metadata) == {"kernelspec", "language_info"}


def test_each_chart_is_drawn_once_in_a_section_of_its_own(notebook: Any) -> None:
    called = [
        node.func.attr
        for cell in code(notebook)
        for node in ast.walk(ast.parse(cell.source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and getattr(node.func.value, "id", "") == "charts"
    ]
    assert sorted(called) == sorted(CHARTS)
    assert all(hasattr(charts, name) for name in called)
    headings = [cell.source for cell in notebook.cells if cell.source.startswith("## ")]
    assert len(headings) == len(CHARTS)
    assert all(" / " in heading for heading in headings)  # in English and in Portuguese


def test_every_section_says_how_to_read_it_in_both_languages(notebook: Any) -> None:
    readings = [cell.source for cell in notebook.cells if cell.source.startswith("**How to read it.**")]
    assert len(readings) == len(CHARTS)
    assert all("***Como ler.**" in reading for reading in readings)


def test_every_query_is_athena_s_sql_and_names_the_sessions_that_it_reads(notebook: Any) -> None:
    found = queries(notebook)
    assert len(found) == len(CHARTS) + 1  # total return has its events from a table of their own
    for sql in found:
        (statement,) = sqlglot.parse(sql, read="athena")
        assert statement is not None
        reading = [
            select
            for select in statement.find_all(exp.Select)
            if (table := select.find(exp.Table))
            and table.name in {"the_table", "the_events", *PRICED.values()}
        ]
        assert reading
        for select in reading:
            where = select.args["where"].sql()
            dates = ("trade_date = :last", "trade_date BETWEEN :", "ex_date BETWEEN :")
            assert any(text in where for text in dates)


def test_changes_are_of_total_return_levels_of_equal_shares_and_both_can_be_set(notebook: Any) -> None:
    (parameters,) = (cell.source for cell in code(notebook) if "parameters" in cell.metadata.get("tags", ()))
    assert 'RETURNS = "total_return"' in parameters
    assert 'LEVELS = "adjusted"' in parameters
    expected = {"breadth": "RETURNS", "candles": "LEVELS", "treemap": "RETURNS", "risk": "RETURNS"}
    sources = {cell.id: cell.source for cell in code(notebook)}
    for name, prices in expected.items():
        assert f"FROM {{lake.priced({prices})}} AS daily" in sources[name]
        assert f"prices={prices}" in sources[name]
        assert "FROM {lake.table}" not in sources[name]


def test_parameters_can_be_given_other_values_and_unknown_ones_are_refused() -> None:
    changed = load({"LANGUAGE": "pt", "SESSIONS": 5})
    assert "LANGUAGE = 'pt'\nSESSIONS = 5" in [cell.source for cell in changed.cells]
    with pytest.raises(KeyError, match="TICKERS; the notebook's parameters are SESSION, SESSIONS, TICKER"):
        load({"TICKERS": "ZXAA3"})


def test_the_pictures_of_the_readme_are_the_notebook_s_simulated_and_small(notebook: Any) -> None:
    drawn = [cell.id for cell in code(notebook) if "charts." in cell.source and "SELECT" in cell.source]
    assert sorted(path.name for path in IMAGES.iterdir()) == sorted(
        f"{name}-{theme}.svg" for name in drawn for theme in THEMES
    )
    for path in IMAGES.iterdir():
        svg = path.read_text(encoding="utf-8")
        assert "Simulated data: no company or price is anybody's" in svg
        assert len(svg.encode()) < 150_000
