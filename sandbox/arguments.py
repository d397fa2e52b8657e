"""What may be said to the sandbox's command line.

Apart from what its commands do, so that `--help`, and a word that is wrong, need not wait for what that takes
to import.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from typing import NoReturn

from analysis.language import LANGUAGES
from operating.arguments import day
from stacks.arguments import stray

SIMULATED = "simulated"
LIVE = "live"
RECORDED = "recorded"
"""The kind of B3 that a folder is."""

SCRIPT = "script"
VISUAL = "visual"

MOST_SESSIONS = 250
"""The most that a run takes: about a year."""

MOST_HISTORY = 500
"""The most that a run loads as history: about two years."""

ENOUGH_SESSIONS = 22
"""Sessions with which every named query answers, and the volatility of 21 daily returns is one of 21."""

DUCKDB, TRINO = ENGINES = ("duckdb", "trino")
"""What can answer Athena's queries."""


class _Parser(argparse.ArgumentParser):
    """Tells what it cannot read as every other failure is told."""

    def error(self, message: str) -> NoReturn:
        """Tell it, and end with 2."""
        from sandbox.console import Show  # noqa: PLC0415 - drawing takes longer than reading what was said

        Show(sys.stderr).failure(f"{stray(sys.argv[1:]) or message}. See: {self.prog} --help")
        raise SystemExit(2)


def parse(argv: Sequence[str], description: str) -> tuple[argparse.Namespace, list[str]]:
    """The arguments, and what comes after `--`, which is another command's."""
    own, more = list(argv), []
    if "--" in own:
        more = own[own.index("--") + 1 :]
        own = own[: own.index("--")]
    parser = _Parser(prog="python -m sandbox", description=description)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("run", "the pipeline, once"), ("up", "the pipeline, and leave AWS running")):
        _add_run_arguments(commands.add_parser(name, help=what))
    on_lake = "what comes after -- is passed on"
    _add_engine(commands.add_parser("exec", help="a command on the lake of the last run: exec -- aws s3 ls"))
    report = commands.add_parser("report", help=f"python -m analysis.report on that lake; {on_lake}")
    report.add_argument("--date", type=day, metavar="YYYY-MM-DD", help="the session")
    notebook = commands.add_parser("notebook", help=f"JupyterLab on that lake; {on_lake}")
    for each in (report, notebook):
        each.add_argument(
            "--language", choices=LANGUAGES, help="of words and numbers; by default the locale's"
        )
        _add_engine(each)
    commands.add_parser("pictures", help=f"python -m analysis.pictures on that lake; {on_lake}")
    arguments = parser.parse_args(own)
    if more and arguments.command in ("run", "up"):
        parser.error(f"{arguments.command} takes nothing after --, found {shlex.join(more)}")
    if not more and arguments.command == "exec":
        parser.error("exec needs a command after --, such as: exec -- aws s3 ls")
    return arguments, more


def _add_run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--b3", default=SIMULATED, help="simulated (the default), live, or a folder with B3's files"
    )
    parser.add_argument("--date", type=day, metavar="YYYY-MM-DD", help="the session; by default the last one")
    parser.add_argument(
        "--sessions", type=int, default=1, metavar="N", help=f"how many up to it, at most {MOST_SESSIONS}"
    )
    parser.add_argument(
        "--history",
        type=int,
        metavar="N",
        help=f"how many before those to load from annual files, at most {MOST_HISTORY}; by default "
        f"so many of a simulated B3 that there are {ENOUGH_SESSIONS} in all, and none of another one",
    )
    parser.add_argument(
        "--job",
        choices=(SCRIPT, VISUAL),
        default=SCRIPT,
        help="what the Glue job is deployed as (%(default)s)",
    )
    parser.add_argument(
        *("-c", "--context"),
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of cdk.json, as for the CDK: -c index_codes=IBOV,SMLL",
    )
    parser.add_argument(
        "--lab", action="store_true", help="in an account as a Learner Lab's, in which nobody makes a role"
    )
    _add_engine(parser)
    parser.add_argument("--fresh", action="store_true", help="begin with an empty lake")


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default=DUCKDB,
        help="what answers Athena's queries (%(default)s); trino is what Athena is made of, and is fetched "
        "when it is first asked for",
    )
