"""`python -m analysis.report`: a trading session as one HTML page (`analysis.session_page`)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from analysis.language import LANGUAGES, language_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: 0 when the page is written, 1 when it could not be."""
    asked = _parser().parse_args(arguments)
    # What --help does without takes more than a second to import
    from analysis.athena import Lake, LakeError  # noqa: PLC0415
    from analysis.session_page import page, read, write  # noqa: PLC0415

    try:
        say(f"{f'Session {asked.date}' if asked.date else 'The last session'}: asking Athena ...")
        session = read(Lake.find(), asked.date)
        say(f"Session {session.day}: {len(session.stocks):,} stocks, {session.window}; drawing ...")
        text = page(session, asked.language)
        path = asked.output or Path("reports") / f"pregao-{session.day}.html"
        write(path, text)
    except (LakeError, OSError) as error:
        say(f"No report: {error}")
        return 1
    say(f"{path}: {len(text.encode()):,} bytes")
    return 0


def say(text: str) -> None:
    """Tell on standard error what happens."""
    print(text, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analysis.report", description=__doc__)
    parser.add_argument(
        "--date", type=_day, metavar="YYYY-MM-DD", help="the session; by default the last one in the lake"
    )
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        default=language_of(os.environ),
        help="by default the locale's (%(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="by default reports/pregao-YYYY-MM-DD.html"
    )
    return parser


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a day as YYYY-MM-DD") from None


if __name__ == "__main__":
    sys.exit(main())
