"""`python -m stacks.arguments ...`: whether arguments mean to the CDK's command line what they look like.

It takes the word behind a setting for the name of a stack, and says then that there is no such stack, or no
such environment. A setting with a blank in it, such as `-c index_codes=IBOV SMLL`, is meant as one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

REFUSED = "Setting refused: "
"""Begins the line that the app ends with when a setting is not what it has to be."""

_OPTIONS = ("-c", "--context")


def stray(arguments: Sequence[str]) -> str | None:
    """What to say of words behind a setting, as arguments of the CDK's or the sandbox's command line.

    Args:
        arguments: The words as the shell has separated them.

    Returns:
        What is wrong and how to write it; None where nothing is.
    """
    setting: list[str] = []
    for place, word in enumerate(arguments):
        if place and arguments[place - 1] in _OPTIONS:
            setting = [word]
        elif setting and not word.startswith("-"):
            setting.append(word)
        elif len(setting) > 1:
            break
        else:
            setting = []
    if len(setting) < 2:
        return None
    name = setting[0].partition("=")[0]
    return (
        f"-c {' '.join(setting)}: a blank ends a setting, so {' '.join(setting[1:])} would be taken for "
        f"something else; write -c {','.join(word.strip(',') for word in setting)}"
        + ("" if "=" in setting[0] else f" (a setting is name=value, as in {name}=...)")
    )


def main() -> int:
    """Look at the arguments: 0 if nothing is wrong with them, 2 with a line that says what is."""
    said = stray(sys.argv[1:])
    if said:
        sys.stderr.write(f"{said}\n")
    return 2 if said else 0


if __name__ == "__main__":
    sys.exit(main())
