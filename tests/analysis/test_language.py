"""The language of a user's locale."""

from __future__ import annotations

import os
import subprocess

import pytest

from analysis import style
from analysis.language import LANGUAGES, language_of
from analysis.report import _parser
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "pt_BR.UTF-8"}, "pt"),
        ({"LANG": "pt_PT"}, "pt"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "pt_BR.UTF-8", "LC_ALL": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "pt_BR.UTF-8"}, "pt"),
        ({"LANG": "pt_BR.UTF-8", "LC_ALL": "", "LC_MESSAGES": ""}, "pt"),
        ({"LANG": "en_US.UTF-8", "LANGUAGE": "pt_BR:en"}, "pt"),
        ({"LANG": "pt_BR.UTF-8", "LANGUAGE": "en"}, "en"),
    ],
)
def test_portuguese_where_the_locale_is_and_english_elsewhere(
    environment: dict[str, str], expected: str
) -> None:
    assert language_of(environment) == expected


def test_there_is_a_style_for_each_language() -> None:
    assert style.LANGUAGES == LANGUAGES


@pytest.mark.parametrize(("locale", "said", "expected"), [("pt_BR", [], "pt"), ("pt_BR", ["en"], "en")])
def test_the_report_is_in_the_locale_s_language_unless_another_is_said(
    monkeypatch: pytest.MonkeyPatch, locale: str, said: list[str], expected: str
) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LANG", locale)
    arguments = [word for language in said for word in ("--language", language)]
    assert _parser().parse_args(arguments).language == expected


@pytest.mark.parametrize(
    ("target", "words", "environment", "runs"),
    [
        ("report", ["LANGUAGE=pt"], {}, 'python -m sandbox report --engine "duckdb" --language "pt"'),
        ("report", ["LANGUAGE=pt", "LAKE=aws"], {}, 'python -m analysis.report --language "pt"'),
        ("notebook", ["LANGUAGE=pt"], {}, 'python -m sandbox notebook --engine "duckdb" --language "pt"'),
        ("report", [], {"LANGUAGE": "fr_FR:pt"}, 'python -m sandbox report --engine "duckdb"'),
    ],
)
def test_make_passes_on_the_language_that_it_is_told_and_not_gettext_s(
    target: str, words: list[str], environment: dict[str, str], runs: str
) -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target, *words],
        cwd=REPOSITORY,
        env={**{k: v for k, v in os.environ.items() if k not in {"LANGUAGE", "MAKEFLAGS"}}, **environment},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    command = " ".join(shown.splitlines()[-1].split())
    assert command.endswith(runs)
