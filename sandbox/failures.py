"""Failures as people need them: a paragraph that says what was wrong, what to do, and where the log is.

What else is known, a traceback or what a process has said, goes into that log.
"""

from __future__ import annotations

import errno
import traceback
from pathlib import Path

import requests
from botocore.exceptions import BotoCoreError, ClientError

from sandbox.console import first_line
from sandbox.deploy import DeployError
from sandbox.kept import NoLakeError
from sandbox.ministack import REPOSITORY, EmulatorError
from sandbox.pipeline import StageError
from sandbox.request import RequestError
from sandbox.trino.installation import TrinoUnavailableError
from scraper.b3.cotahist import address

_B3_SECONDS = 10


def explain(error: Exception, log: Path) -> str:
    """The paragraph for a failure; the details are written to the log that it names.

    Args:
        error: What was raised, being handled.
        log: The file for the details.
    """
    if isinstance(error, NoLakeError | EmulatorError | DeployError | TrinoUnavailableError):
        return _short(str(error))
    if isinstance(error, StageError):
        details = "\n\n".join([str(error), error.details])
        return _short(f"{error}{_logged(log, details) if error.details else ''}")
    trace = traceback.format_exc()
    if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}:
        what = f"the disk is full: {error}. Make room (a sandbox takes 2 GB), and run the same command again"
    elif isinstance(error, OSError):
        what = f"a file or a port could not be used: {error}. Put that right, and run the same command again"
    elif isinstance(error, BotoCoreError | ClientError):
        what = (
            f"the AWS emulator did not do what it was asked for: {first_line(str(error))}. Run the same "
            "command again; if it stays so, begin anew by `python -m sandbox run --fresh`"
        )
    else:
        what = (
            f"an error that nobody has thought of, {type(error).__name__}: {first_line(str(error))}. Run "
            "the same command again; if it stays so, begin anew by `python -m sandbox run --fresh`, and "
            "report it with the log"
        )
    return _short(f"{what}{_logged(log, trace)}")


def require_b3() -> None:
    """See that B3 can be reached, before everything else is set up to ask it.

    Raises:
        RequestError: It cannot.
    """
    try:
        requests.head(address.BASE_URL, timeout=_B3_SECONDS)
    except requests.exceptions.SSLError:
        return  # the scraper verifies by its own certificates, and tells what is wrong with B3's
    except requests.exceptions.RequestException as error:
        raise RequestError(
            f"B3=live asks B3 itself, and {address.BASE_URL} cannot be reached from here "
            f"({type(error).__name__}): connect to the network or set HTTPS_PROXY, or use B3=simulated or "
            "B3=<folder>"
        ) from error


def _logged(log: Path, details: str) -> str:
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(details, encoding="utf-8")
    except OSError as error:
        return f". No log could be written: {error}"
    return f". The log: {log}"


def _short(text: str) -> str:
    """The text with paths below the project as they are from there."""
    return text.replace(f"{REPOSITORY}/", "")
