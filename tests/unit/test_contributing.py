"""What contributors and GitHub are told holds: files and targets exist, tools are pinned, forms complete."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.unit.test_dependencies import pin, requirements
from tests.unit.test_secrets import tracked_files

REPOSITORY = Path(__file__).resolve().parents[2]
GITHUB = REPOSITORY / ".github"
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
GUIDES = {"en": REPOSITORY / "CONTRIBUTING.md", "pt": REPOSITORY / "CONTRIBUTING.pt-BR.md"}
FORMS = sorted(path for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
EACH_GUIDE = pytest.mark.parametrize("language", GUIDES)
EACH_FORM = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)

_PATH = re.compile(r"[\w.<>-]+(/[\w.<>-]+)+/?|[\w.-]+\.(json|md|py|toml|txt|yml)")


def guide(language: str) -> str:
    return GUIDES[language].read_text(encoding="utf-8")


def code(text: str) -> list[str]:
    """The commands and names in a text: the lines of its code blocks, and what stands in backticks."""
    lines = [
        line for block in re.findall(r"^```\w*\n(.*?)^```$", text, re.M | re.S) for line in block.split("\n")
    ]
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S))
    return [line.partition("#")[0].strip() for line in lines] + spans


def paths(text: str) -> list[str]:
    """The files and folders that a text names, arguments of commands and links among them."""
    words = [word for each in code(text) for word in each.split() if _PATH.fullmatch(word)]
    return words + re.findall(r"\]\((?!https?:|#)([^)#]+)", text)


def commands(text: str) -> list[list[str]]:
    """What a text has make do: a target each, and the variables that it is given."""
    return [each.split()[1:] for each in code(text) if each.startswith("make ")]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@EACH_GUIDE
def test_every_path_that_is_named_exists(language: str) -> None:
    named = paths(guide(language))
    assert len(named) > 60
    # <dataset> and <query> stand for those that there are. A tool's own place is there once it is set up
    patterns = {re.sub(r"<\w+>", "*", path) for path in named if not path.startswith(".venv")}
    assert sorted(pattern for pattern in patterns if not any(REPOSITORY.glob(pattern.rstrip("/")))) == []


@EACH_GUIDE
def test_every_command_is_a_target_of_the_makefile(language: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
    named = {target for target, *_ in commands(guide(language))}
    assert len(named) >= 8
    assert named <= targets


@EACH_GUIDE
def test_every_variable_of_a_command_is_one_that_the_makefile_reads(language: str) -> None:
    given = {each.partition("=")[0] for _, *arguments in commands(guide(language)) for each in arguments}
    assert given == {"WITH", "PART", "READER"}
    assert given <= {*re.findall(r"\$\((\w+)\)", MAKEFILE)}


@EACH_GUIDE
def test_a_part_of_the_tests_is_a_folder_of_them(language: str) -> None:
    parts = re.findall(r"PART=(\w+)", guide(language))
    assert parts
    assert [part for part in parts if not (REPOSITORY / "tests" / part).is_dir()] == []


def test_both_languages_have_the_same_sections_and_name_the_same_code() -> None:
    english, portuguese = map(guide, ("en", "pt"))
    levels = [re.findall(r"^(#+) ", text, re.M) for text in (english, portuguese)]
    assert levels[0] == levels[1]
    steps = [re.findall(r"^(\d\.|-) ", text, re.M) for text in (english, portuguese)]
    assert steps[0] == steps[1]
    twins = {"CONTRIBUTING.md", "CONTRIBUTING.pt-BR.md"}
    assert sorted({*code(english)}) == sorted({*code(portuguese)})
    assert {*paths(english)} - twins == {*paths(portuguese)} - twins


@EACH_GUIDE
def test_a_recipe_has_five_steps_at_most(language: str) -> None:
    recipes = guide(language).split("\n### ")[1:]
    assert len(recipes) == 6
    for recipe in recipes:
        numbers = [int(number) for number in re.findall(r"^(\d)\. ", recipe, re.M)]
        assert numbers == [*range(1, len(numbers) + 1)]
        assert 1 < len(numbers) <= 5


def test_every_hook_runs_a_pinned_tool_of_the_environment_and_downloads_nothing() -> None:
    (local,) = load(REPOSITORY / ".pre-commit-config.yaml")["repos"]
    assert local["repo"] == "local"
    pinned = {each.name for each in requirements("requirements-dev.txt") if pin(each)}
    for hook in local["hooks"]:
        assert {"id", "name", "entry"} <= hook.keys()
        assert hook["language"] == "system"
        assert "additional_dependencies" not in hook
        folder, _, tool = hook["entry"].split()[0].rpartition("/")
        assert (folder, tool in pinned) == (".venv/bin", True), hook["entry"]


def test_the_hooks_check_what_the_makefile_checks() -> None:
    (local,) = load(REPOSITORY / ".pre-commit-config.yaml")["repos"]
    for hook in local["hooks"]:
        command = hook["entry"].removeprefix(".venv/bin/").removesuffix(" --force-exclude")
        assert re.search(rf"[@ ]{command}( |$)", MAKEFILE, re.M), command


def test_the_bot_proposes_what_there_is_in_a_group_a_week() -> None:
    document = load(GITHUB / "dependabot.yml")
    assert document["version"] == 2
    updates = {each["package-ecosystem"]: each for each in document["updates"]}
    assert updates.keys() == {"pip", "github-actions", "npm"}
    for update in updates.values():
        assert update["schedule"] == {"interval": "weekly"}
        ((_, group),) = update["groups"].items()
        assert group == {"patterns": ["*"]}
        assert ("directory" in update) != ("directories" in update)
        for folder in update.get("directories", [update.get("directory")]):
            assert (REPOSITORY / folder.lstrip("/")).is_dir()
    for folder in updates["pip"]["directories"]:
        assert any((REPOSITORY / folder.lstrip("/")).glob("requirements*.txt"))


def test_what_the_bot_leaves_alone_is_pinned_here() -> None:
    files = ("requirements.txt", "requirements-dev.txt", "requirements-notebook.txt")
    pinned = {each.name for file in files for each in requirements(file)}
    (pip,) = (
        each for each in load(GITHUB / "dependabot.yml")["updates"] if each["package-ecosystem"] == "pip"
    )
    assert {each["dependency-name"] for each in pip["ignore"]} <= pinned


@EACH_FORM
def test_an_issue_form_has_what_github_demands(form: Path) -> None:
    """https://docs.github.com/en/communities/using-templates-to-encourage-useful-issues-and-pull-requests/syntax-for-issue-forms"""
    document = load(form)
    assert all(isinstance(document[key], str) and document[key].strip() for key in ("name", "description"))
    fields = [each for each in document["body"] if each["type"] != "markdown"]
    assert fields
    for each in document["body"]:
        assert each["type"] in ("markdown", "input", "textarea", "dropdown")
        assert isinstance(each["attributes"]["value" if each["type"] == "markdown" else "label"], str)
        if each["type"] == "dropdown":
            options = each["attributes"]["options"]
            assert all(isinstance(option, str) for option in options)
            assert len({*options}) == len(options)
    for name in (each["id"] for each in fields):
        assert re.fullmatch(r"[\w-]+", name)
    for unique in ([each["id"] for each in fields], [each["attributes"]["label"] for each in fields]):
        assert len({*unique}) == len(unique)
    for each in fields:
        assert isinstance(each.get("validations", {}).get("required", False), bool)


def test_whoever_reports_a_figure_is_asked_which_and_what_b3_says() -> None:
    fields = load(GITHUB / "ISSUE_TEMPLATE" / "wrong_figure.yml")["body"]
    required = {each["id"] for each in fields if each.get("validations", {}).get("required")}
    assert {"session", "ticker", "column", "b3"} <= required


def test_the_form_chooser_has_the_keys_that_github_knows() -> None:
    chooser = load(GITHUB / "ISSUE_TEMPLATE" / "config.yml")
    assert isinstance(chooser["blank_issues_enabled"], bool)
    for link in chooser.get("contact_links", []):
        assert link.keys() == {"name", "url", "about"}


@pytest.mark.parametrize("file", ["SECURITY.md", ".github/PULL_REQUEST_TEMPLATE.md"])
def test_every_file_that_github_s_own_pages_name_exists(file: str) -> None:
    named = paths((REPOSITORY / file).read_text(encoding="utf-8"))
    assert named
    assert [path for path in named if not (REPOSITORY / path).exists()] == []


def test_every_file_is_as_the_editor_is_told_to_leave_it() -> None:
    settings = (REPOSITORY / ".editorconfig").read_text(encoding="utf-8")
    assert re.search(r"^\[Makefile\]\nindent_style = tab$", settings, re.M)
    assert "\n\t" in MAKEFILE
    files = [path for path in tracked_files() if "corpus" not in path.parts]
    texts = {path.relative_to(REPOSITORY).as_posix(): path.read_bytes() for path in files}
    assert [name for name, text in texts.items() if b"\r" in text] == []
    assert [name for name, text in texts.items() if text and not text.endswith(b"\n")] == []
    assert [name for name, text in texts.items() if name != "Makefile" and b"\n\t" in text] == []
    written_by_hand = {name: text for name, text in texts.items() if not name.endswith(".svg")}
    assert [name for name, text in written_by_hand.items() if re.search(rb"[ \t]\n", text)] == []
