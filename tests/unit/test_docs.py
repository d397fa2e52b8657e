"""What the READMEs say follows from the code, in both languages."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from benchmarks import fuzzing
from operating.learner_lab import ROLE
from operating.preflight import CHECKS
from operating.preflight_lab import checks
from stacks.named_query import NAMED_QUERIES
from tests.fixtures.adjustment import action, of_one, stock
from tests.fixtures.adjustment import row as refined_row
from tools.docs import queries, tables

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("language", tables.READMES)
def test_the_column_tables_are_those_of_the_schemas(language: str) -> None:
    text = tables.READMES[language].read_text(encoding="utf-8")
    assert tables.updated(text, language) == text, "run `make docs`"


def test_every_column_has_its_portuguese_and_nothing_else_has() -> None:
    columns = {row.name for rows in tables.tables().values() for row in rows}
    assert set(tables.PORTUGUESE) == columns


@pytest.mark.parametrize("language", tables.ADJUSTMENT)
def test_the_tables_of_adjusted_prices_are_those_of_the_schemas(language: str) -> None:
    text = tables.ADJUSTMENT[language].read_text(encoding="utf-8")
    assert tables.updated_adjustment(text, language) == text, "run `make docs`"


@pytest.mark.parametrize("language", tables.ADJUSTMENT)
def test_the_worked_example_of_adjusted_prices_is_what_the_code_makes(language: str) -> None:
    text = tables.ADJUSTMENT[language].read_text(encoding="utf-8").replace(",", ".")
    lines = re.findall(r"^\| \d+ (?:de )?(?:December|January|dezembro|janeiro) \|.*$", text, re.MULTILINE)
    shown = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    days = [date(2025, 12, 30), date(2026, 1, 2), date(2026, 1, 5)]
    rows = [refined_row(int(cells[2]), cells[1]) for cells in shown]
    stated = [
        action(rate=Decimal("1.00"), last_date_prior=days[0]),
        stock("DESDOBRAMENTO", "100", days[1]),
    ]
    _, spans = of_one(days, rows, stated)
    for cells, span in zip(shown, spans, strict=True):
        split, total = span.split_factor, span.total_return_factor
        assert split is not None
        assert total is not None
        close = Decimal(cells[1])
        made = [split, total, close * split, close * total]
        assert [Decimal(cell) for cell in cells[4:]] == made


@pytest.mark.parametrize("language", tables.READMES)
def test_every_named_query_is_in_the_readme(language: str) -> None:
    text = tables.READMES[language].read_text(encoding="utf-8")
    missing = [path.stem for path in sorted(NAMED_QUERIES.glob("*.sql")) if f"`{path.stem}`" not in text]
    assert missing == []


@pytest.mark.parametrize("language", queries.DOCUMENTS)
def test_the_queries_are_described_by_their_own_headers(language: str) -> None:
    text = queries.DOCUMENTS[language].read_text(encoding="utf-8")
    assert queries.updated(text, language) == text, "run `make docs`"


def test_every_named_query_is_described_once() -> None:
    described = [stem for stems in queries.GROUPS.values() for stem in stems]
    assert sorted(described) == [path.stem for path in sorted(NAMED_QUERIES.glob("*.sql"))]


@pytest.mark.parametrize("language", tables.READMES)
def test_every_file_that_the_readme_names_exists(language: str) -> None:
    text = tables.READMES[language].read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    assert linked
    assert [name for name in linked if not (REPOSITORY / name).exists()] == []


SAME_TEST = {"en": "the same", "pt": "o mesmo"}
"""How a row says that its test is that of the row above."""


@pytest.mark.parametrize("language", fuzzing.FAULTS)
def test_every_fault_has_its_four_cells_and_a_test_that_exists(language: str) -> None:
    rows = [row for section in _faults(language) for row in section]
    assert len(rows) >= 50
    for row in rows:
        assert len(row) == 4, row
        assert all(row), row
        assert _tests(row) or row[-1] == SAME_TEST[language], row
        for mark, file, test in _tests(row):
            text = (REPOSITORY / file).read_text(encoding="utf-8")
            assert not test or f"def {test}(" in text, f"{file}::{test}"
            with_the_others = re.search(r"^pytestmark = .*\b(long_)?faults\b", text, re.MULTILINE) is None
            assert bool(mark) == with_the_others, f"{file}::{test}: ° marks what `make test` runs"


def test_both_languages_have_the_same_faults_of_the_same_tests_in_the_same_order() -> None:
    english, portuguese = (
        [[_said_in_both(row, language) for row in section] for section in _faults(language)]
        for language in fuzzing.FAULTS
    )
    assert english == portuguese


def _faults(language: str) -> list[list[list[str]]]:
    """The rows on faults, by section; the table of the fuzzer's runs is none."""
    text = fuzzing.FAULTS[language].read_text(encoding="utf-8").partition("<!-- fuzz-runs -->")[0]
    return [_rows(section) for section in text.split("\n## ")]


def _tests(row: list[str]) -> list[tuple[str, str, str]]:
    """Mark, file and name of each test of a row; no name where the whole file is meant."""
    return re.findall(r"(° )?`(tests/[\w/]+\.py)(?:::(\w+))?`", row[-1])


def _said_in_both(row: list[str], language: str) -> tuple[bool, list[tuple[str, str, str]], list[str]]:
    """What a row says in both languages: whether it has the test above, its own, what stands in backticks."""
    return row[-1].startswith(SAME_TEST[language]), _tests(row), sorted(re.findall(r"`[^`]+`", " ".join(row)))


@pytest.mark.parametrize("language", tables.READMES)
def test_every_test_that_proves_a_requirement_exists(language: str) -> None:
    text = tables.READMES[language].read_text(encoding="utf-8")
    proofs = re.findall(r"(tests/[\w/]+\.py)::(\w+)", text)
    assert len(proofs) >= 8
    for file, test in proofs:
        assert f"def {test}(" in (REPOSITORY / file).read_text(encoding="utf-8"), f"{file}::{test}"


HEADINGS = {"---", "behaviour", "comportamento", "fault", "falha"}
BEHAVIOUR = [REPOSITORY / "docs" / name for name in ("aws-behaviour.md", "aws-behaviour.pt-BR.md")]


def test_every_behaviour_of_aws_has_a_test_that_exists() -> None:
    for row in _rows(BEHAVIOUR[0].read_text(encoding="utf-8")):
        _, says, test, differs = row
        assert says, row
        assert differs, row
        proofs = re.findall(r"(tests/[\w/]+\.py)::(\w+)", test)
        assert proofs or test == "the same test", row
        for file, name in proofs:
            assert f"def {name}(" in (REPOSITORY / file).read_text(encoding="utf-8"), f"{file}::{name}"


def test_both_languages_name_the_same_pages_and_tests_of_each_behaviour() -> None:
    english, portuguese = (
        [_links(row) for row in _rows(file.read_text(encoding="utf-8"))] for file in BEHAVIOUR
    )
    assert len(english) > 25
    assert english == portuguese


@pytest.mark.parametrize("guide", ["deploy.md", "deploy.pt-BR.md"])
def test_the_guide_lists_the_permissions_that_the_preflight_takes(guide: str) -> None:
    text = (REPOSITORY / "docs" / guide).read_text(encoding="utf-8")
    section = text.partition("\n## ")[2].partition("\n## ")[0]
    (listed,) = re.findall(r"```\n((?:\w+:\w+\s+)+)```", section)
    assert sorted(listed.split()) == sorted(set().union(*(needed for _, _, needed in CHECKS)))
    for _, _, needed in checks(ROLE):
        assert [each for each in needed if each not in section] == []


def _rows(text: str) -> list[list[str]]:
    """The cells of each row of a document's tables, without their headings."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in rows if row[0] not in HEADINGS]


def _links(row: list[str]) -> list[str]:
    return re.findall(r"https://[^)\s]+|tests/[\w/]+\.py::\w+", " ".join(row))
