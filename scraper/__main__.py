"""`python -m scraper`: the same run as the Lambda function's, from a terminal.

It talks to whatever boto3's own configuration points at: AWS, or another S3 by AWS_ENDPOINT_URL.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from scraper.errors import ScraperError
from scraper.ingest import Result, run
from scraper.settings import Settings

DONE, FILES_FAILED, NOT_STARTED = 0, 1, 2
"""Exit codes: every file was taken; some failed or were refused; the run could not begin."""

_NO_CREDENTIALS = (
    "No AWS credentials were found. Set AWS_PROFILE, run `aws sso login` or `aws configure`, or export what "
    "`python -m sandbox up` prints."
)
_NO_BUCKET = "There is no bucket {}. Name the raw bucket, an output of the stack, by --bucket or RAW_BUCKET."


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
    given = {"RAW_BUCKET": asked.bucket, "INDEX_CODES": asked.index}
    environment = os.environ | {name: value for name, value in given.items() if value}
    bucket = environment.get("RAW_BUCKET", "")
    try:
        settings = Settings.from_environment(environment)
        results = []
        for result in run(settings, now=datetime.now(UTC), session=asked.date):
            print(_line(result, settings.raw_bucket), flush=True)
            results.append(result)
    except ScraperError as error:
        return _not_started(str(error))
    except NoCredentialsError:
        return _not_started(_NO_CREDENTIALS)
    except (BotoCoreError, ClientError) as error:
        missing = isinstance(error, ClientError) and error.response["Error"]["Code"] == "NoSuchBucket"
        return _not_started(_NO_BUCKET.format(bucket) if missing else f"s3://{bucket}: {error}")
    return FILES_FAILED if any(result.is_error for result in results) else DONE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scraper", description="B3's files into the raw bucket.")
    command = parser.add_subparsers(required=True, metavar="command").add_parser(
        "ingest",
        help="take what the raw bucket lacks",
        description="Take the portfolio of each index, then the quotes of the last session and of every "
        "recent one that the raw bucket lacks. Content that is there is not written again.",
    )
    command.add_argument("--date", type=_date, metavar="YYYY-MM-DD", help="the one session to take quotes of")
    command.add_argument("--index", metavar="CODES", help="indices, as IBOV,SMLL (INDEX_CODES, else IBOV)")
    command.add_argument("--bucket", metavar="NAME", help="the raw bucket (RAW_BUCKET)")
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
