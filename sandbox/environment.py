"""The sandbox itself: a B3 to ask, and an AWS with the stack deployed in it, kept from one run to the next.

Each kind of B3 has a sandbox of its own, so that simulated, recorded and live sessions never share a lake. So
has the job in visual mode, which would find its work done in the script's lake, and so has a Learner Lab's
account. A lake grows as in
production, forward in time. For a session before its newest one, a simulated or recorded lake begins anew, as
all of it can be had again.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType

import boto3

from lake import keys
from operating.learner_lab import SETTINGS
from sandbox.arguments import DUCKDB, LIVE, SCRIPT, VISUAL
from sandbox.b3.server import B3Server, Source
from sandbox.console import Show
from sandbox.deploy import ASSEMBLY, INPUTS, OUTPUTS, Cdk, Deployment, digest_of
from sandbox.deployed import Images
from sandbox.ministack import REPOSITORY, MiniStack, UncleanFolderError
from sandbox.mirror import BucketMirror
from sandbox.request import LAB, Request

HOME = REPOSITORY / ".sandbox"
AWS = "aws"
"""Where in a sandbox's folder the emulator keeps everything."""

_IMAGE = (AWS, OUTPUTS, INPUTS, ASSEMBLY)


@dataclass(frozen=True, kw_only=True)
class Sandbox:
    """A running sandbox.

    Attributes:
        folder: Where everything lies that it keeps.
        aws: The emulator.
        deployment: The names of what is deployed in it.
    """

    folder: Path
    aws: MiniStack
    deployment: Deployment

    @property
    def lake(self) -> Path:
        """The lake as plain files, in `raw/`, `refined/` and beside it: what `refresh_lake` found."""
        return _lake(self.folder)

    def names(self, b3: B3Server | None = None) -> dict[str, str]:
        """The variables by which this project's commands find the stack, and the B3 that is served here."""
        names = {"STACK_NAME": self.deployment.work_group}
        return names | ({"QUOTES_BASE_URL": b3.base_url, "INDEX_BASE_URL": b3.base_url} if b3 else {})

    def refresh_lake(self) -> None:
        """Bring the plain files up to date with the buckets, which the environment has to lead to."""
        self.lake.mkdir(exist_ok=True)
        buckets = {
            self.deployment.raw_bucket: ["raw"],
            self.deployment.refined_bucket: [*keys.TABLE_FOLDERS],
        }
        for bucket, folders in buckets.items():
            mirror = BucketMirror(boto3.client("s3"), bucket, self.aws.mirror, store=self.aws.objects(bucket))
            mirror.pull()
            for folder in folders:
                _link(self.lake / folder, mirror.root / folder)


@contextmanager
def start(
    folder: Path,
    *,
    b3: B3Server | None,
    lookback: int,
    show: Show,
    job: str = SCRIPT,
    settings: Mapping[str, str] = MappingProxyType({}),
    lab: bool = False,
    engine: str = DUCKDB,
    meanwhile: AbstractContextManager[None] | None = None,
) -> Iterator[Sandbox]:
    """Start the emulator and deploy the stack, or take one that was deployed of the same files and settings.

    Args:
        folder: Where it keeps everything.
        b3: The server that the scraper is to ask; None for B3 itself.
        lookback: How many sessions back the scraper looks for missing ones.
        show: Where to show what happens.
        job: What the Glue job is deployed as, `SCRIPT` or `VISUAL`.
        settings: Further settings of the stack, by their names in `cdk.json`.
        lab: Whether the account is one of a Learner Lab.
        engine: What answers Athena's queries.
        meanwhile: What is entered as soon as this process only waits: for the emulator, then for the CDK.

    Raises:
        sandbox.ministack.EmulatorError: The emulator did not start, or another one works in the folder.
        sandbox.deploy.DeployError: The stack was not deployed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    context = {
        "lookback_sessions": str(lookback),
        "glue_job_mode": job,
        "glue_concurrent_runs": "1",  # each takes what a machine has
        **(SETTINGS if lab else {}),
        **settings,
    }
    if b3:
        context |= {"quotes_base_url": b3.base_url, "index_base_url": b3.base_url}
    images = Images(HOME / "deployed", _IMAGE)
    digest = digest_of({**context, "in a lab": str(lab)})
    is_empty = not (folder / AWS).exists()
    is_restored = is_empty and images.restore(digest, folder)
    # Copied beside a thread that computes, an image's files would each wait for Python
    with meanwhile or nullcontext(), ExitStack() as running:
        with show.step("AWS emulator (MiniStack)") as step:
            first = DUCKDB if is_empty and not is_restored else engine  # it is started again below
            aws = running.enter_context(_emulator(folder, show, lab=lab, engine=first))
            step.outcome = aws.endpoint
        begins = "bucket for assets, cdk" if context.get("existing_role") else "cdk bootstrap,"
        with show.step(f"{begins} synth, deploy", slow=not is_restored) as step:
            deployment = Cdk(aws, folder).deploy(context, step.doing)
            step.outcome = f"stack {deployment.work_group}"
            if is_restored:
                step.outcome += ", as an earlier run has deployed it"
            elif is_empty:
                running.close()  # it writes what it keeps when it ends
                try:
                    images.keep(digest, folder)
                except OSError as error:
                    show.warning(f"the next empty lake will be deployed anew: {error}")
                again = _emulator(folder, show, lab=lab, port=_port_of(aws), engine=engine)
                aws = running.enter_context(again)
        yield Sandbox(folder=folder, aws=aws, deployment=deployment)


@contextmanager
def b3_server(source: Source | None, folder: Path) -> Iterator[B3Server | None]:
    """Serve the source, if there is one, on the port of the last time: the stack's settings stay the same."""
    if source is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    memory = folder / "b3-port"
    remembered = memory.read_text() if memory.exists() else ""
    port = int(remembered) if remembered.isdigit() else 0  # empty where a run was killed as it wrote it
    with B3Server(source, port=port if is_free(port) else 0) as server:
        memory.write_text(server.base_url.rpartition(":")[2])
        yield server


def prepare_folder(request: Request, *, fresh: bool, show: Show) -> Path:
    """The folder for the kind of B3 and job that is asked, empty if the lake in it has to begin anew."""
    parts = (request.kind, *([LAB] if request.lab else []), *([VISUAL] if request.job == VISUAL else []))
    folder = HOME / "-".join(parts)
    newest = max(sessions_of(folder, "raw/cotahist"), default=None)
    if fresh:
        show.line("begins with an empty lake, as asked")
        _empty(folder)
    elif newest and request.session < newest and request.b3 != LIVE:
        show.line(f"begins with an empty lake: the last one has sessions up to {newest}")
        _empty(folder)
    elif newest:
        show.line(f"goes on with the lake of the last run, which has sessions up to {newest}")
    HOME.mkdir(exist_ok=True)
    folder.mkdir(exist_ok=True)
    _link(HOME / "lake", _lake(folder))
    return folder


def _lake(folder: Path) -> Path:
    return folder / "lake"


def sessions_of(folder: Path, part: str) -> list[date]:
    """The sessions that a sandbox's lake has in a part of it, such as `refined_compact`, oldest first."""
    sessions = (_lake(folder) / part).glob("trade_date=*")
    return sorted(date.fromisoformat(session.name.removeprefix("trade_date=")) for session in sessions)


def _empty(folder: Path) -> None:
    """Drop what is kept, all or nothing at once: what is interrupted half-way must not look like a lake."""
    dropped = folder / "dropped"
    shutil.rmtree(dropped, ignore_errors=True)
    for kept in (AWS, "lake"):
        if (folder / kept).exists():
            dropped.mkdir(exist_ok=True)
            (folder / kept).rename(dropped / kept)
    shutil.rmtree(dropped, ignore_errors=True)


@contextmanager
def _emulator(
    folder: Path, show: Show, *, lab: bool = False, port: int = 0, engine: str = DUCKDB
) -> Iterator[MiniStack]:
    """Start the emulator on what is kept; on nothing, if the last run was ended where that cannot be used."""
    try:
        aws = MiniStack.start(
            folder / AWS, port, enforce_permissions=True, lab=lab, engine=engine, ready=True
        )
        if half_deployed := _half_deployed(aws):
            aws.stop()
            show.warning(
                f"the last run was ended while it deployed {half_deployed}: begins with an empty lake"
            )
    except UncleanFolderError:
        half_deployed = "the stack"
        show.warning("the last run was killed and its state is lost: begins with an empty lake")
    if half_deployed:
        _empty(folder)
        aws = MiniStack.start(folder / AWS, enforce_permissions=True, lab=lab, engine=engine)
    with aws:
        yield aws


def _port_of(aws: MiniStack) -> int:
    """The port of an emulator that has ended; 0 if somebody else has it by now."""
    port = int(aws.endpoint.rpartition(":")[2])
    return port if is_free(port) else 0


def _half_deployed(aws: MiniStack) -> str | None:
    """The name of a stack that a deployment is at work on, which nobody is going to end."""
    stacks = aws.client("cloudformation").describe_stacks()["Stacks"]
    at_work = (stack["StackName"] for stack in stacks if stack["StackStatus"].endswith("_IN_PROGRESS"))
    return next(at_work, None)


def _link(link: Path, target: Path) -> None:
    """Make `link` a relative symbolic link to `target`, whatever it was before."""
    link.unlink(missing_ok=True)
    link.symlink_to(os.path.relpath(target, link.parent))


def is_free(port: int) -> bool:
    """Whether a server may listen on a loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
