"""The lake that the last run has left, opened again for a command: a report, a notebook, anything else.

The emulator is started on what it has kept, in which the stack is deployed already, and ends with the
command. Where a sandbox is up, the command works in that one.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Self

from sandbox.arguments import DUCKDB, SCRIPT, VISUAL
from sandbox.console import Show
from sandbox.deploy import deployed_stack
from sandbox.engines import NAMES
from sandbox.environment import AWS, HOME, sessions_of
from sandbox.ministack import (
    FolderInUseError,
    MiniStack,
    UncleanFolderError,
    aws_environment,
    without_aws,
)
from sandbox.request import LAB


class NoLakeError(RuntimeError):
    """There is no lake to open, or it cannot be opened; the message says what to run first."""


@dataclass(frozen=True, kw_only=True)
class KeptLake:
    """What the last run has left.

    Attributes:
        folder: Where that sandbox keeps everything.
        sessions: The sessions in its compact table, oldest first; at least one.
    """

    folder: Path
    sessions: tuple[date, ...]

    @classmethod
    def find(cls) -> Self:
        """Find the lake of the last run, to which `.sandbox/lake` leads.

        Raises:
            NoLakeError: There is none, or its run has not got as far as the compact table.
        """
        folder = (HOME / "lake").resolve().parent
        sessions = sessions_of(folder, "refined_compact")
        if not sessions:
            raise NoLakeError("there is no lake yet: run `make sandbox` first")
        return cls(folder=folder, sessions=tuple(sessions))

    @property
    def b3(self) -> str:
        """The kind of B3 that it is of (`Request.kind`)."""
        return self.folder.name.partition("-")[0]

    @property
    def job(self) -> str:
        """What the Glue job is deployed as in it."""
        return VISUAL if VISUAL in self.folder.name.split("-") else SCRIPT

    @property
    def lab(self) -> bool:
        """Whether it is in an account of a Learner Lab."""
        return LAB in self.folder.name.split("-")

    @property
    def newest(self) -> date:
        """The newest session that was scraped."""
        return max(sessions_of(self.folder, "raw/cotahist"))

    @property
    def is_up(self) -> bool:
        """Whether an emulator works in it."""
        return MiniStack.endpoint_at_work(self.folder / AWS) is not None

    def describe(self) -> str:
        """The lake in words."""
        first, last = self.sessions[0], self.sessions[-1]
        span = f"session {first}" if first == last else f"{len(self.sessions)} sessions, {first} to {last}"
        return f"{span}, {self.folder.name}"

    @contextmanager
    def open(self, show: Show, *, engine: str = DUCKDB) -> Iterator[dict[str, str]]:
        """Have AWS run on what was kept, while the context lasts.

        Args:
            show: Where to show what happens.
            engine: What is to answer Athena's queries; a sandbox that is up has its own.

        Yields:
            The environment for commands: this process's, less what leads to another AWS, plus what leads to
            this one and its stack.

        Raises:
            NoLakeError: The last emulator was killed.
            sandbox.ministack.EmulatorError: The emulator did not start.
        """
        with ExitStack() as running:
            with show.step(f"AWS emulator ({self.describe()})") as step:
                answers = "the engine of the sandbox that is up" if self.is_up else NAMES[engine]
                endpoint = self._endpoint(running, engine)
                step.outcome = f"{endpoint}, where Athena is {answers}"
            names = {"STACK_NAME": self._stack()}
            yield {**without_aws(os.environ), **aws_environment(endpoint, lab=self.lab), **names}

    def _stack(self) -> str:
        try:
            return deployed_stack(self.folder)
        except (OSError, ValueError) as error:
            raise NoLakeError(
                "the last run was ended before its stack was deployed: run `make sandbox` again"
            ) from error

    def _endpoint(self, running: ExitStack, engine: str) -> str:
        try:
            aws = MiniStack.start(self.folder / AWS, lab=self.lab, engine=engine)
            return running.enter_context(aws).endpoint
        except FolderInUseError:
            endpoint = MiniStack.endpoint_at_work(self.folder / AWS)
            if endpoint is None:
                raise
            return endpoint
        except UncleanFolderError as error:
            raise NoLakeError(
                "the last run was killed and the state of its lake is lost: run `make sandbox` again"
            ) from error


def execute(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end. Ctrl-C is for the command to answer; being told to end is passed on to it.

    Returns:
        Its exit code; as a shell has it, 128 and the signal's number if a signal ended it.

    Raises:
        NoLakeError: There is no such command.
    """
    handlers = {ending: signal.getsignal(ending) for ending in (signal.SIGINT, signal.SIGTERM)}
    try:
        with subprocess.Popen(command, env=environment) as process:
            signal.signal(signal.SIGINT, lambda *_: None)
            signal.signal(signal.SIGTERM, lambda *_: process.terminate())
            code = process.wait()
    except OSError as error:
        raise NoLakeError(f"cannot run {command[0]}: {error.strerror}") from error
    finally:
        for ending, handler in handlers.items():
            signal.signal(ending, handler)
    return code if code >= 0 else 128 - code
