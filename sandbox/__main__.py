"""The sandbox's command line.

`run` takes sessions through the pipeline, `up` then leaves it running. `exec` runs any command on the lake
that they have left; `report`, `notebook` and `pictures` are names for three such commands.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

from analysis.language import LANGUAGES
from sandbox.b3.server import B3Server
from sandbox.console import Show
from sandbox.engines import have
from sandbox.environment import HOME, Sandbox, b3_server, prepare_folder, sessions_of, start
from sandbox.failures import explain, require_b3
from sandbox.kept import KeptLake, NoLakeError, execute
from sandbox.ministack import DUCKDB, ENGINES, REPOSITORY
from sandbox.request import (
    ENOUGH_SESSIONS,
    LIVE,
    MOST_HISTORY,
    MOST_SESSIONS,
    RECORDED,
    SCRIPT,
    SIMULATED,
    VISUAL,
    Request,
    RequestError,
)
from sandbox.run import run
from stacks.arguments import stray

NOTEBOOK_SESSIONS = 64
"""What the notebook and the pictures need: the sixty that they show, and some before them to compare with."""

_B3 = {
    SIMULATED: "B3 is SIMULATED: no company, price or volume below is anybody's",
    LIVE: "B3 is asked itself",
    RECORDED: "B3's own files, recorded in {b3}",
}


class _Parser(argparse.ArgumentParser):
    """Tells what it cannot read as every other failure is told."""

    def error(self, message: str) -> NoReturn:
        """Tell it, and end with 2."""
        Show(sys.stderr).failure(f"{stray(sys.argv[1:]) or message}. See: {self.prog} --help")
        raise SystemExit(2)


def main() -> int:
    """Run the command line; 0 after success, 1 when a stage failed, 2 when the request makes no sense."""
    arguments, more = _parse(sys.argv[1:])
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)  # in order, whichever way it is told to end
    if arguments.command in ("run", "up"):
        return _run_pipeline(
            Show(),
            b3=arguments.b3,
            session=arguments.date,
            count=arguments.sessions,
            history=arguments.history,
            job=arguments.job,
            settings=arguments.context,
            fresh=arguments.fresh,
            lab=arguments.lab,
            engine=arguments.engine,
            stay=arguments.command == "up",
        )
    show = Show(sys.stderr)  # standard output is the command's
    python = [sys.executable, "-m"]
    if arguments.command == "report":
        day = ["--date", str(arguments.date)] if arguments.date else []
        language = ["--language", arguments.language] if arguments.language else []
        return _run_command(
            [*python, "analysis.report", *day, *language, *more], show, engine=arguments.engine
        )
    if arguments.command == "pictures":
        return _run_command([*python, "analysis.pictures", *more], show, sessions=NOTEBOOK_SESSIONS)
    if arguments.command == "notebook":
        if find_spec("jupyterlab") is None:
            show.failure("JupyterLab is not installed; `make notebook` installs it and opens the notebook")
            return 2
        # It tells nobody that it runs here
        quiet = ("--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=")
        lab = [*python, "jupyterlab", *quiet, "notebooks/pregao.ipynb", *more]
        variables = {"LANGUAGE": arguments.language} if arguments.language else {}
        return _run_command(
            lab, show, sessions=NOTEBOOK_SESSIONS, variables=variables, engine=arguments.engine
        )
    return _run_command(more, show)


def _run_pipeline(
    show: Show,
    *,
    b3: str = SIMULATED,
    session: date | None = None,
    count: int = 1,
    history: int | None = None,
    job: str = SCRIPT,
    settings: Sequence[str] = (),
    fresh: bool = False,
    lab: bool = False,
    engine: str = DUCKDB,
    stay: bool = False,
) -> int:
    started = time.monotonic()
    log = HOME / "failure.log"
    try:
        request = Request.parse(
            b3,
            session=session,
            count=count,
            now=datetime.now(UTC),
            history=history,
            job=job,
            settings=settings,
            lab=lab,
            engine=engine,
        )
        if request.kind == LIVE:
            require_b3()
        _announce(request, show)
        have(engine, show)
        folder = prepare_folder(request, fresh=fresh, show=show)
        log = folder / "failure.log"
        with (
            _java(request, folder),
            b3_server(request.source(), folder) as server,
            start(
                folder,
                b3=server,
                lookback=request.lookback,
                show=show,
                job=request.job,
                settings=request.settings,
                lab=request.lab,
                engine=request.engine,
            ) as sandbox,
        ):
            sandbox.aws.enter()
            run(sandbox, request, show, b3=server)
            show.heading(f"Done in {time.monotonic() - started:.0f} s. The lake, as plain Parquet files:")
            for part in ("raw", "refined", "refined_compact"):
                show.line(str((HOME / "lake" / part).relative_to(REPOSITORY)))
            show.line("What it shows: make report, make notebook")
            if stay:
                _stay(sandbox, server, show)
    except RequestError as error:
        show.failure(str(error))
        return 2
    except KeyboardInterrupt:
        show.heading("Stopped." if stay else "Stopped. The next run goes on from here.")
        return 0 if stay else 130
    except Exception as error:  # noqa: BLE001  whatever it is, it is told in a paragraph and logged whole
        show.failure(explain(error, log))
        return 1
    return 0


def _java(request: Request, folder: Path) -> AbstractContextManager[None]:
    """A Java for the job, which starts while the stack is deployed; none if there is nothing to refine."""
    if {*request.sessions} <= {*sessions_of(folder, "refined_compact")}:
        return nullcontext()
    from sandbox.spark_java import one_begun  # noqa: PLC0415 - and Spark with it

    return one_begun()


def _parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The arguments, and what comes after `--`, which is another command's."""
    own, more = list(argv), []
    if "--" in own:
        more = own[own.index("--") + 1 :]
        own = own[: own.index("--")]
    parser = _Parser(prog="python -m sandbox", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("run", "the pipeline, once"), ("up", "the pipeline, and leave AWS running")):
        _add_run_arguments(commands.add_parser(name, help=what))
    on_lake = "what comes after -- is passed on"
    commands.add_parser("exec", help="a command on the lake of the last run: exec -- aws s3 ls")
    report = commands.add_parser("report", help=f"python -m analysis.report on that lake; {on_lake}")
    report.add_argument("--date", type=_day, metavar="YYYY-MM-DD", help="the session")
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
    parser.add_argument(
        "--date", type=_day, metavar="YYYY-MM-DD", help="the session; by default the last one"
    )
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


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a day as YYYY-MM-DD") from None


def _run_command(
    command: Sequence[str],
    show: Show,
    *,
    sessions: int = 1,
    variables: Mapping[str, str] = MappingProxyType({}),
    engine: str = DUCKDB,
) -> int:
    """Run a command on the kept lake, which is first given as many sessions as the command needs."""
    try:
        if sessions > 1 and (code := _have_sessions(sessions, show)):
            return code
        have(engine, show)
        with KeptLake.find().open(show, engine=engine) as environment:
            return execute(command, {**environment, **variables})
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  whatever it is, it is told in a paragraph and logged whole
        show.failure(explain(error, HOME / "failure.log"))
        return 1


def _have_sessions(sessions: int, show: Show) -> int:
    """See that the lake has so many sessions: a simulated one is given what it lacks.

    Returns:
        The exit code of the run that was needed, 0 if none was.

    Raises:
        NoLakeError: The lake has fewer, and they are not simulated, or a sandbox is up on it.
    """
    try:
        lake = KeptLake.find()
    except NoLakeError:
        return _run_pipeline(show, history=sessions)
    if len(lake.sessions) >= sessions:
        return 0
    lacking = f"the lake has {lake.describe()}, {sessions} sessions are needed"
    if lake.b3 != SIMULATED:
        raise NoLakeError(f"{lacking}: run `make sandbox HISTORY={sessions}` with the B3=... that it is of")
    if lake.is_up:
        raise NoLakeError(f"{lacking}: end the sandbox that is up, or start it with --history {sessions}")
    show.line(f"{lacking}: loads history first")
    return _run_pipeline(show, session=lake.newest, history=sessions, job=lake.job, lab=lake.lab)


def _announce(request: Request, show: Show) -> None:
    first, last = request.sessions[0], request.session
    what = f"session {last}" if first == last else f"{len(request.sessions)} sessions, {first} to {last}"
    if request.history:
        what += f", and {len(request.history)} before"
    show.heading(f"The Bovespa pipeline on this machine: {what}")
    show.warning(_B3[request.kind].format(b3=request.b3))
    if request.lab:
        show.warning(
            "The account is a Learner Lab's: nobody makes a role, and LabRole is every role of the stack"
        )


def _stay(sandbox: Sandbox, b3: B3Server | None, show: Show) -> None:
    """Leave AWS, and B3 if it is served here, running until Ctrl-C."""
    show.heading("AWS is running. In another terminal, for boto3, the AWS CLI and python -m scraper:")
    for name, value in {**sandbox.aws.environment(), **sandbox.names(b3)}.items():
        show.line(f"export {name}={shlex.quote(value)}")
    show.heading("Ctrl-C ends it; the lake is kept.")
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
