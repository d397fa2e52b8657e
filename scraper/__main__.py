"""`python -m scraper`: what the Lambda functions do, from a terminal, and what the person in charge needs.

`ingest` takes sessions and `backfill` years from B3; `status` says how the last sessions stand, `replay`
rebuilds sessions, and `redrive` gives the starter back what it could not start. It talks to whatever boto3's
own configuration points at: AWS, or an emulator of it by AWS_ENDPOINT_URL.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module

from operating import arguments
from scraper.b3.errors import ScraperError

DONE, FILES_FAILED, NOT_STARTED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: all is done, or well; something failed, or is missing; AWS or the request refused; Ctrl-C."""

_COMMANDS = (
    (
        arguments.ingest,
        "take what the raw bucket lacks",
        "Take the portfolio of each index, then the quotes of the last session and of every recent one that "
        "the raw bucket lacks, then the levels of each index. Content that is there is not written again.",
    ),
    (
        arguments.backfill,
        "load the history since 1986 from B3's annual files",
        "Load B3's annual files into the raw bucket, a file a session, then run the Glue job once for all of "
        "them. Finished years are not loaded again, and after an interruption the same command goes on. "
        "Sessions that were ingested day by day are left as they are. With --corporate-actions, load what B3 "
        "says of the issuers that the raw quotes name.",
    ),
    (
        arguments.status,
        "how the last sessions stand",
        "Show for the last sessions what raw bucket, tables and catalog hold, whether it adds up, how late "
        "it came, what is missing, and why. Ends with 0 if all is well, with 1 if something is missing.",
    ),
    (
        arguments.replay,
        "rebuild sessions, from B3, raw or quarantine",
        "Rebuild a session, or those of a range: from what B3 serves now, from what raw holds, or from what "
        "was refused, once the readers have learned to read it. The Glue job runs once for each; then raw "
        "and refined are held against each other. It may be repeated at will: rows, files and partitions "
        "end the same.",
    ),
    (
        arguments.redrive,
        "have the starter try the dead letters again",
        "Give the starter the events back for which it could not start the job. A message is deleted when "
        "its runs are started; one that fails again, or is no such event, stays.",
    ),
)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        words: What was said, without the program's name; the process's own by default.

    Returns:
        The exit code, one of `DONE`, `FILES_FAILED`, `NOT_STARTED` and `INTERRUPTED`.
    """
    asked = parser().parse_args(words)
    # What --help does without takes most of a second to import
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    from operating.refusals import explained  # noqa: PLC0415

    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s", force=True)
    logging.getLogger("scraper").setLevel(logging.INFO)
    bucket = asked.bucket or os.environ.get("RAW_BUCKET", "")
    try:
        return DONE if import_module(asked.module).run(asked, os.environ) else FILES_FAILED
    except ScraperError as error:
        return _not_started(str(error))
    except (BotoCoreError, ClientError) as error:
        return _not_started(explained(error, bucket))
    except KeyboardInterrupt:
        print("Interrupted. What is done stays done; the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The command line's own parser: each command with its arguments, and the module that runs it."""
    made = argparse.ArgumentParser(
        prog="python -m scraper", description="B3's files into the raw bucket, and the lake's operation."
    )
    commands = made.add_subparsers(required=True, metavar="command")
    for declare, summary, description in _COMMANDS:
        command = commands.add_parser(declare.__name__, help=summary, description=description)
        declare(command)
        command.set_defaults(module=f"operating.{declare.__name__}")
    return made


def _not_started(message: str) -> int:
    print(message, file=sys.stderr)
    return NOT_STARTED


if __name__ == "__main__":
    sys.exit(main())
