"""The runbook as its tests see it: sections by their anchors, in each the commands and what they are to show.

`Shell` runs a section's commands as they stand in it, by bash. There `aws`, `python` and `make` are functions
that hand their arguments to this process, which does what the tools would do: `python -m scraper` by its own
`main`, `aws` by botocore (`tests.aws_cli`), since the AWS CLI is no package of this project's.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import select
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.aws_cli import AwsCliError
from tests.aws_cli import main as aws

DOCS = Path(__file__).resolve().parents[1] / "docs"
RUNBOOKS = {"en": DOCS / "runbook.md", "pt-BR": DOCS / "runbook.pt-BR.md"}

_ANCHOR = re.compile(r'^<a id="([^"]+)"></a>$', re.MULTILINE)
_BLOCK = re.compile(r"^```(bash|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

Tool = Callable[[Sequence[str]], int]
"""What a tool does with its arguments: it prints, and returns its exit code."""


@dataclass(frozen=True)
class Section:
    """A section of the runbook.

    Attributes:
        anchor: Its id.
        title: Its heading.
        commands: Its blocks of commands.
        shown: Its blocks of what they show.
    """

    anchor: str
    title: str
    commands: list[str]
    shown: list[str]


def sections(language: str) -> dict[str, Section]:
    """The sections by their anchors, in the order of the document."""
    text = RUNBOOKS[language].read_text(encoding="utf-8")
    anchors = [*_ANCHOR.finditer(text)]
    found = {}
    for place, anchor in enumerate(anchors):
        end = anchors[place + 1].start() if place + 1 < len(anchors) else len(text)
        body = text[anchor.end() : end]
        blocks = [(match[1], match[2]) for match in _BLOCK.finditer(body)]
        found[anchor[1]] = Section(
            anchor=anchor[1],
            title=body.strip().partition("\n")[0],
            commands=[block for kind, block in blocks if kind == "bash"],
            shown=[block for kind, block in blocks if kind == "text"],
        )
    return found


def calls(block: str, tool: str) -> list[list[str]]:
    """The arguments of each call of a tool in a block of commands; what the shell would fill in is `111`."""
    found = []
    text = re.sub(r'"\$\(output \w+\)"|"\$\w+"', "111", block)
    for call in re.findall(rf"^(?:\w+\(\) \{{ |\w+=\$\()?({tool} .*?)(?:; \}}|\))?$", text, re.MULTILINE):
        words = shlex.split(call)
        found.append(words[1 : words.index(">")] if ">" in words else words[1:])
    return found


def shape(line: str) -> str:
    """A line without its figures, so that what the runbook shows can be held against what is shown."""
    return " ".join("#" if re.search(r"\d", word) else word for word in line.split())


_FUNCTIONS = r"""
source() { :; }
hand_over() {
  printf '%s\0' "${STACK_NAME-}" "$@" > "$TOOLS/words"
  echo > "$TOOLS/asked"
  read -r code < "$TOOLS/answered"
  cat "$TOOLS/complained" >&2
  cat "$TOOLS/said"
  return "$code"
}
aws() { hand_over aws "$@"; }
python() { hand_over python "$@"; }
make() { hand_over make "$@"; }
"""


class Shell:
    """Runs blocks of commands by bash.

    Args:
        folder: Where they run.
        prelude: Commands before each block.
        tools: What `aws`, `python` and `make` do.
    """

    def __init__(self, folder: Path, prelude: str, tools: Mapping[str, Tool]) -> None:
        self._folder = folder
        self._prelude = prelude
        self._tools = tools

    def run(self, block: str, **variables: object) -> str:
        """Run a block and return what it printed, standard error as well.

        Args:
            block: The commands.
            variables: Variables of the shell.
        """
        environment = os.environ | {name: str(value) for name, value in variables.items()}
        with TemporaryDirectory() as folder, ExitStack() as opened:
            asked, answered = (_fifo(Path(folder, name), opened) for name in ("asked", "answered"))
            printed = opened.enter_context(Path(folder, "printed").open("w+", encoding="utf-8"))
            process = opened.enter_context(
                subprocess.Popen(
                    ["bash", "-u", "-c", _FUNCTIONS + self._prelude + block],
                    cwd=self._folder,
                    env=environment | {"TOOLS": folder},
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=subprocess.STDOUT,
                )
            )
            while process.poll() is None:
                if select.select([asked], [], [], 0.02)[0]:
                    os.read(asked, 1)
                    os.write(answered, f"{self._answer(Path(folder))}\n".encode())
            return Path(printed.name).read_text(encoding="utf-8")

    def _answer(self, folder: Path) -> int:
        """Do what a tool is asked; its exit code. What it printed is left in `said`."""
        stack, *words = (folder / "words").read_text().split("\0")[:-1]
        said, complained = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self._folder),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(complained),
            pytest.MonkeyPatch.context() as environment,
        ):
            environment.setenv("STACK_NAME", stack)
            try:
                code = self._tools[words[0]](words[1:])
            except Exception as error:  # noqa: BLE001  # bash waits for an answer, whatever happens
                code = 99
                complained.write(f"{type(error).__name__}: {error}\n")
        (folder / "said").write_text(said.getvalue())
        (folder / "complained").write_text(complained.getvalue())
        return code


def _fifo(path: Path, opened: ExitStack) -> int:
    """A named pipe, which neither end has to wait for the other to open."""
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDWR)
    opened.callback(os.close, descriptor)
    return descriptor


def aws_tool(words: Sequence[str]) -> int:
    """What `aws` does."""
    try:
        sys.stdout.write(aws(words))
    except AwsCliError as error:
        sys.stdout.write(f"{error}\n")
        return 252
    return 0
