"""`python -m scraper redrive`: the starter gets the events back for which it could not start a run.

SQS's own StartMessageMoveTask does not do it: it moves the messages of a queue whose source is another queue,
not those that Lambda has put there.

The starter is invoked so that its answer is known, and a message is deleted only after the runs are started.
A message whose events failed again, or that nobody understands, stays. None is lost; an interruption between
start and deletion has a run started once more by the next redrive, which is harmless.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from operating.dead_letters import DeadLetters, Letter
from operating.names import Names, UsageError
from operating.progress import Display, counted, display

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

_HIDDEN_SECONDS = 900
"""For how long a message is hidden from others, and from this command, while it is worked on."""


def run(asked: argparse.Namespace, environment: Mapping[str, str]) -> bool:
    """Run the command.

    Args:
        asked: What `operating.arguments.redrive` declares.
        environment: The process's environment.

    Returns:
        Whether no message had to stay.

    Raises:
        operating.names.UsageError: It could not begin.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: AWS refuses.
    """
    names = Names.find(asked, environment)
    queue = DeadLetters(names.require("dead_letters"))
    starter = Starter(names.require("starter"))
    started: list[Letter] = []
    kept: list[Letter] = []
    with display() as show:
        tell = show.of("redrive")
        try:
            letters = queue.receive(hidden_seconds=_HIDDEN_SECONDS, most=asked.limit, at_once=1)
            for number, letter in enumerate(letters, start=1):
                tell("messages", number, 0)
                kept.append(letter)  # until it is known to be done with
                if _is_done(letter, None if asked.dry_run else starter, queue, show):
                    started.append(kept.pop())
        finally:
            for letter in kept:
                # Its time may be over, and somebody else have it
                with suppress(ClientError):
                    queue.show_again(letter)
        show.ended("redrive")
        if not started and not kept:
            show.result("The dead-letter queue is empty")
        elif asked.dry_run:
            show.result(f"{counted(len(kept), 'message')} on the dead-letter queue; nothing was done")
        else:
            show.result(f"{counted(len(started), 'message')} done and deleted, {len(kept)} stay")
    return asked.dry_run or not kept


def _is_done(letter: Letter, starter: Starter | None, queue: DeadLetters, show: Display) -> bool:
    """Give a letter to the starter, if there is one; whether its runs are started and it is deleted."""
    what = f"{letter.sent:%Y-%m-%d %H:%M} UTC  {letter.id}"
    try:
        sessions = ", ".join(map(str, letter.sessions()))
    except ValueError as error:
        show.result(f"{what}  stays, as {error}. The starter had said: {letter.error}")
        return False
    what = f"{what}  {sessions}"
    if starter is None:
        show.result(f"{what}  {letter.error}")
        return False
    try:
        runs = starter.start(letter.body)
    except StarterError as error:
        show.result(f"{what}  stays, as {error}")
        return False
    queue.delete(letter)
    show.result(f"{what}  {', '.join(runs)}")
    return True


class StarterError(RuntimeError):
    """The starter was invoked and failed; the message says how."""


class Starter:
    """The function that starts runs of the job.

    Args:
        name: Its name.

    Raises:
        UsageError: There is no such function.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: Lambda refuses.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        # An invocation must not be repeated behind our back; the function ends within 30 seconds
        self._lambda: LambdaClient = boto3.client(
            "lambda", config=Config(read_timeout=60, retries={"total_max_attempts": 1})
        )

    def start(self, event: str) -> list[str]:
        """Invoke it with an event and wait.

        Returns:
            The ids of the runs.

        Raises:
            StarterError: It failed.
        """
        try:
            answer = self._lambda.invoke(FunctionName=self._name, Payload=event.encode(), LogType="Tail")
        except self._lambda.exceptions.ResourceNotFoundException as error:
            raise UsageError(
                f"There is no function {self._name}. Name the one of the stack's output StarterFunction"
            ) from error
        except self._lambda.exceptions.TooManyRequestsException as error:
            raise StarterError(f"Lambda throttles it: {error}") from error
        payload = json.loads(answer["Payload"].read() or "null")
        if answer.get("FunctionError"):
            said = payload if isinstance(payload, dict) else {}
            log = base64.b64decode(answer.get("LogResult", "")).decode(errors="replace").strip()
            message = said.get("errorMessage") or log.rpartition("\n")[2] or "it does not say why"
            raise StarterError(f"the starter failed: {said.get('errorType', 'error')}: {message}")
        runs: list[str] = payload["job_run_ids"]
        return runs
