"""What the sandbox's commands do: `run` and `up` on a pipeline, the others on the lake that one has left."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from importlib.util import find_spec
from types import MappingProxyType

from sandbox.arguments import DUCKDB, LIVE, RECORDED, SIMULATED
from sandbox.b3.server import B3Server
from sandbox.console import Show
from sandbox.engines import have
from sandbox.environment import HOME, Sandbox, b3_server, prepare_folder, sessions_of, start
from sandbox.failures import explain, require_b3
from sandbox.history import made_beside
from sandbox.kept import KeptLake, NoLakeError, execute
from sandbox.ministack import REPOSITORY
from sandbox.request import Request, RequestError
from sandbox.run import run
from sandbox.spark_java import one_begun

NOTEBOOK_SESSIONS = 64
"""What the notebook and the pictures need: the sixty that they show, and some before them to compare with."""

_STARTING_JOBS = {"backfill", "ingest", "redrive", "replay"}
"""Commands of `python -m scraper` that start job runs, for which Java gets ready meanwhile."""

_B3 = {
    SIMULATED: "B3 is SIMULATED: no company, price or volume below is anybody's",
    LIVE: "B3 is asked itself",
    RECORDED: "B3's own files, recorded in {b3}",
}


def carry_out(arguments: argparse.Namespace, more: Sequence[str]) -> int:
    """Do what a command says; 0 after success, 1 when a stage failed, 2 when the request makes no sense.

    Args:
        arguments: What `sandbox.arguments.parse` has made of it.
        more: What comes after `--`.
    """
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)  # in order, whichever way it is told to end
    if arguments.command in ("run", "up"):
        asked = partial(
            Request.parse,
            arguments.b3,
            session=arguments.date,
            count=arguments.sessions,
            history=arguments.history,
            job=arguments.job,
            settings=arguments.context,
            lab=arguments.lab,
            engine=arguments.engine,
        )
        return _run_pipeline(asked, Show(), fresh=arguments.fresh, stay=arguments.command == "up")
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
        # In a container there is often nobody but root
        as_root = ["--allow-root"] if os.geteuid() == 0 else []
        lab = [*python, "jupyterlab", *quiet, *as_root, "notebooks/pregao.ipynb", *more]
        variables = {"LANGUAGE": arguments.language} if arguments.language else {}
        return _run_command(
            lab, show, sessions=NOTEBOOK_SESSIONS, variables=variables, engine=arguments.engine
        )
    with one_begun() if _STARTING_JOBS & {*more} else nullcontext():
        return _run_command(more, show, engine=arguments.engine)


def _run_pipeline(
    asked: Callable[..., Request], show: Show, *, fresh: bool = False, stay: bool = False
) -> int:
    """Run what is asked for, which is settled by the time of day.

    Returns:
        The exit code.
    """
    started = time.monotonic()
    log = HOME / "failure.log"
    try:
        request = asked(now=datetime.now(UTC))
        if request.kind == LIVE:
            require_b3()
        _announce(request, show)
        have(request.engine, show)
        folder = prepare_folder(request, fresh=fresh, show=show)
        log = folder / "failure.log"
        there = {*sessions_of(folder, "refined_compact")}
        with (
            nullcontext() if {*request.sessions} <= there else one_begun(),  # Java, if there is work for it
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
                meanwhile=made_beside(server, request.session, {*request.history} - there),
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
        return _run_pipeline(partial(Request.parse, SIMULATED, history=sessions), show)
    if len(lake.sessions) >= sessions:
        return 0
    lacking = f"the lake has {lake.describe()}, {sessions} sessions are needed"
    if lake.b3 != SIMULATED:
        raise NoLakeError(f"{lacking}: run `make sandbox HISTORY={sessions}` with the B3=... that it is of")
    if lake.is_up:
        raise NoLakeError(f"{lacking}: end the sandbox that is up, or start it with --history {sessions}")
    show.line(f"{lacking}: loads history first")
    asked = partial(
        Request.parse, SIMULATED, session=lake.newest, history=sessions, job=lake.job, lab=lake.lab
    )
    return _run_pipeline(asked, show)


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
