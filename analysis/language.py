"""In which language people are told: the one that they ask for, else their locale's."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("en", "pt")

_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


def language_of(environment: Mapping[str, str]) -> str:
    """The language of a user's locale: Portuguese if it begins with pt, English otherwise.

    Args:
        environment: The variables of a process. The first that is set counts of LANGUAGE (of which the first
            of its languages, as GNU gettext has it), LC_ALL, LC_MESSAGES, LANG.
    """
    value = next((environment[name] for name in _VARIABLES if environment.get(name)), "")
    return "pt" if value.partition(":")[0].lower().startswith("pt") else "en"
