"""The sandbox's command line: `run` takes sessions through the pipeline, `up` then leaves it running."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import time
from datetime import UTC, date, datetime

from sandbox.b3.server import B3Server
from sandbox.console import Show
from sandbox.deploy import DeployError
from sandbox.environment import HOME, Sandbox, b3_server, prepare_folder, start
from sandbox.ministack import REPOSITORY, EmulatorError
from sandbox.pipeline import StageError
from sandbox.request import LIVE, MOST_SESSIONS, SCRIPT, SIMULATED, VISUAL, Request, RequestError
from sandbox.run import run

_B3 = {
    SIMULATED: "B3 is SIMULATED: no company, price or volume below is anybody's",
    LIVE: "B3 is asked itself",
    "recorded": "B3's own files, recorded in {b3}",
}


def main() -> int:
    """Run the command line; 0 after success, 1 when a stage failed, 2 when the request makes no sense."""
    arguments = _parse(sys.argv[1:])
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.default_int_handler)  # in order, whichever way it is told to end
    show = Show()
    started = time.monotonic()
    try:
        request = Request.parse(
            arguments.b3,
            session=arguments.date,
            count=arguments.sessions,
            now=datetime.now(UTC),
            job=arguments.job,
        )
    except RequestError as error:
        show.failure(str(error))
        return 2
    _announce(request, show)
    folder = prepare_folder(request, fresh=arguments.fresh, show=show)
    try:
        with (
            b3_server(request.source(), folder) as b3,
            start(folder, b3=b3, lookback=request.lookback, show=show, job=request.job) as sandbox,
        ):
            sandbox.aws.enter()
            run(sandbox, request, show)
            show.heading(f"Done in {time.monotonic() - started:.0f} s. The lake, as plain Parquet files:")
            for part in ("raw", "refined", "refined_compact"):
                show.line(str((HOME / "lake" / part).relative_to(REPOSITORY)))
            if arguments.command == "up":
                _stay(sandbox, b3, show)
    except (StageError, DeployError, EmulatorError) as error:
        show.failure(str(error))
        logs = folder.relative_to(REPOSITORY)
        show.line(f"logs: {logs}/cdk-*.log, {logs}/aws/emulator.log, {logs}/aws/job-runs/")
        return 1
    except KeyboardInterrupt:
        show.heading("Stopped.")
        return 0 if arguments.command == "up" else 130
    return 0


def _parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox", description=__doc__)
    parser.add_argument("command", choices=("run", "up"))
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
        "--job",
        choices=(SCRIPT, VISUAL),
        default=SCRIPT,
        help="what the Glue job is deployed as (%(default)s)",
    )
    parser.add_argument("--fresh", action="store_true", help="begin with an empty lake")
    return parser.parse_args(argv)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a day as YYYY-MM-DD") from None


def _announce(request: Request, show: Show) -> None:
    first, last = request.sessions[0], request.session
    what = f"session {last}" if first == last else f"{len(request.sessions)} sessions, {first} to {last}"
    show.heading(f"The Bovespa pipeline on this machine: {what}")
    show.warning(_B3[request.kind].format(b3=request.b3))


def _stay(sandbox: Sandbox, b3: B3Server | None, show: Show) -> None:
    """Leave AWS, and B3 if it is served here, running until Ctrl-C."""
    show.heading("AWS is running. In another terminal, for boto3, the AWS CLI and python -m scraper:")
    names = {"STACK_NAME": sandbox.deployment.work_group}
    if b3:
        names |= {"QUOTES_BASE_URL": b3.base_url, "INDEX_BASE_URL": b3.base_url}
    for name, value in {**sandbox.aws.environment(), **names}.items():
        show.line(f"export {name}={shlex.quote(value)}")
    show.heading("Ctrl-C ends it; the lake is kept.")
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
