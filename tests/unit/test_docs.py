"""What the READMEs say follows from the code, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from stacks.named_query import NAMED_QUERIES
from tools.docs import queries, tables

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("language", tables.READMES)
def test_the_column_tables_are_those_of_the_schemas(language: str) -> None:
    text = tables.READMES[language].read_text(encoding="utf-8")
    assert tables.updated(text, language) == text, "run `make docs`"


def test_every_column_has_its_portuguese_and_nothing_else_has() -> None:
    columns = {row.name for rows in tables.tables().values() for row in rows}
    assert set(tables.PORTUGUESE) == columns


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


def test_every_fault_has_a_test_that_exists() -> None:
    text = (REPOSITORY / "docs" / "faults.md").read_text(encoding="utf-8")
    proofs = re.findall(r"(tests/[\w/]+\.py)::(\w+)", text)
    assert len(proofs) >= 25
    for file, test in proofs:
        assert f"def {test}(" in (REPOSITORY / file).read_text(encoding="utf-8"), f"{file}::{test}"


@pytest.mark.parametrize("language", tables.READMES)
def test_every_test_that_proves_a_requirement_exists(language: str) -> None:
    text = tables.READMES[language].read_text(encoding="utf-8")
    proofs = re.findall(r"(tests/[\w/]+\.py)::(\w+)", text)
    assert len(proofs) >= 8
    for file, test in proofs:
        assert f"def {test}(" in (REPOSITORY / file).read_text(encoding="utf-8"), f"{file}::{test}"
