"""`python -m scraper`: what the Lambda functions do, from a terminal: `ingest` sessions, `backfill` years.

It talks to whatever boto3's own configuration points at: AWS, or another S3 by AWS_ENDPOINT_URL.
"""

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from scraper.cli import backfill
from scraper.cli.names import Names, add_stack_arguments
from scraper.errors import ScraperError
from scraper.ingest import Result, run
from scraper.settings import Settings

DONE, FILES_FAILED, NOT_STARTED, INTERRUPTED = 0, 1, 2, 130
"""Exit codes: every file was taken; some failed or were refused; the run could not begin; Ctrl-C."""

_NO_CREDENTIALS = (
    "No AWS credentials were found. Set AWS_PROFILE, run `aws sso login` or `aws configure`, or export what "
    "`python -m sandbox up` prints."
)
_NO_BUCKET = (
    "There is no bucket {}. Name the stack by --stack or STACK_NAME, or the raw bucket, an output of the "
    "stack, by --bucket or RAW_BUCKET."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name; the process's own by default.

    Returns:
        The exit code, one of `DONE`, `FILES_FAILED` and `NOT_STARTED`.
    """
    asked = _parser().parse_args(arguments)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s", force=True)
    logging.getLogger("scraper").setLevel(logging.INFO)
    bucket = asked.bucket or os.environ.get("RAW_BUCKET", "")
    try:
        return DONE if asked.run(asked, os.environ) else FILES_FAILED
    except ScraperError as error:
        return _not_started(str(error))
    except NoCredentialsError:
        return _not_started(_NO_CREDENTIALS)
    except (BotoCoreError, ClientError) as error:
        if isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchBucket":
            return _not_started(_NO_BUCKET.format(error.response["Error"].get("BucketName", bucket)))
        return _not_started(f"s3://{bucket}: {error}" if bucket else str(error))
    except KeyboardInterrupt:
        print("Interrupted. What is done stays done; the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED


def _ingest(asked: argparse.Namespace, environment: Mapping[str, str]) -> bool:
    """Run `ingest`; whether no file failed."""
    given = {"RAW_BUCKET": Names.find(asked, environment).bucket, "INDEX_CODES": asked.index}
    settings = Settings.from_environment(
        {**environment, **{name: value for name, value in given.items() if value}}
    )
    results = []
    for result in run(settings, now=datetime.now(UTC), session=asked.date):
        print(_line(result, settings.raw_bucket), flush=True)
        results.append(result)
    return not any(result.is_error for result in results)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scraper", description="B3's files into the raw bucket.")
    commands = parser.add_subparsers(required=True, metavar="command")
    command = commands.add_parser(
        "ingest",
        help="take what the raw bucket lacks",
        description="Take the portfolio of each index, then the quotes of the last session and of every "
        "recent one that the raw bucket lacks. Content that is there is not written again.",
    )
    command.add_argument("--date", type=_date, metavar="YYYY-MM-DD", help="the one session to take quotes of")
    command.add_argument("--index", metavar="CODES", help="indices, as IBOV,SMLL (INDEX_CODES, else IBOV)")
    add_stack_arguments(command)
    command.set_defaults(run=_ingest)
    history = commands.add_parser(
        "backfill",
        help="load the history since 1986 from B3's annual files",
        description="Load B3's annual files into the raw bucket, a file a session, then run the Glue job "
        "once for all of them. Finished years are not loaded again, and after an interruption the same "
        "command goes on. Sessions that were ingested day by day are left as they are.",
    )
    backfill.add_arguments(history)
    history.set_defaults(run=backfill.run)
    return parser


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a day as YYYY-MM-DD") from None


def _line(result: Result, bucket: str) -> str:
    parts = [f"{result.name:<34}{result.outcome:<18}"]
    if result.rows is not None:
        parts.append(f"{result.rows:,} rows")
    if result.volume is not None:
        parts.append(f"BRL {result.volume:,}")
    if result.key is not None:
        parts.append(f"s3://{bucket}/{result.key}")
    if result.message is not None:
        parts.append(result.message)
    return "  ".join(parts)


def _not_started(message: str) -> int:
    print(message, file=sys.stderr)
    return NOT_STARTED


if __name__ == "__main__":
    sys.exit(main())
