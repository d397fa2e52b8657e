"""What the security documents say holds: proofs exist, both languages agree, the template is a valid one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.linting import cfn_lint
from tests.unit.test_workflows import FILES, WITH_ROLE

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
LANGUAGES = pytest.mark.parametrize("language", ["", ".pt-BR"])


def text_of(name: str, language: str) -> str:
    return (DOCS / f"{name}{language}.md").read_text(encoding="utf-8")


def code(language: str) -> list[tuple[str, str]]:
    """Kind and text of each code block of the deployment's page."""
    return re.findall(r"```(\w*)\n(.*?)```", text_of("deploy", language), re.DOTALL)


@LANGUAGES
def test_every_test_that_the_threat_model_names_exists(language: str) -> None:
    proofs = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", text_of("threat-model", language))
    assert len(proofs) >= 14
    for file, test in proofs:
        assert f"def {test}(" in (REPOSITORY / file).read_text(encoding="utf-8"), f"{file}::{test}"


def test_the_threat_models_name_the_same_proofs_of_the_same_threats() -> None:
    english, portuguese = (
        re.findall(r"^\| ([STRIDE]) .*`(tests/\S+)`", text_of("threat-model", language), re.MULTILINE)
        for language in ("", ".pt-BR")
    )
    assert english == portuguese
    assert {letter for letter, _ in english} == set("STRIDE")


@LANGUAGES
def test_the_threat_model_is_a_page(language: str) -> None:
    assert len(text_of("threat-model", language).split()) < 1100


def test_what_is_to_be_typed_is_the_same_in_both_languages() -> None:
    assert code("") == code(".pt-BR")


def test_the_roles_for_github_are_a_template_without_a_fault(tmp_path: Path) -> None:
    (template,) = (text for kind, text in code("") if kind == "yaml")
    assert cfn_lint(template) == []


def test_the_roles_trust_the_environments_of_the_workflows_alone() -> None:
    (template,) = (text for kind, text in code("") if kind == "yaml")
    trusted = re.findall(r"sub:\n((?: +- .*\n)+)", template)
    # Repositories of before 2026-07-15 send their names alone, later ones ids, too: GitHub's announcement of
    # immutable subject claims
    assert sorted(re.findall(r"!Sub (\S+)", "".join(trusted))) == sorted(
        f"repo:${{{repository}}}:environment:{environment}"
        for _, environment in WITH_ROLE.values()
        for repository in ("Repository", "RepositoryIds")
    )
    assert template.count("aud: sts.amazonaws.com") == len(trusted) == len(WITH_ROLE)


@LANGUAGES
def test_every_workflow_and_each_of_its_variables_is_described(language: str) -> None:
    text = text_of("deploy", language)
    for file in FILES:
        assert f"`{file.name}`" in text
        for variable in re.findall(r"vars\.(\w+)", file.read_text()):
            assert f"`{variable}`" in text


@LANGUAGES
@pytest.mark.parametrize("name", ["deploy", "threat-model"])
def test_every_file_that_a_page_links_exists(name: str, language: str) -> None:
    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)", text_of(name, language))
    assert linked
    assert [path for path in linked if not (DOCS / path).exists()] == []
