"""The language of a user's locale."""

from __future__ import annotations

import pytest

from notebooks import style
from notebooks.language import LANGUAGES, language_of
from notebooks.report import _parser


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
