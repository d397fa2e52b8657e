"""An AWS on this machine: MiniStack, started in a process of its own on a free loopback port.

Nothing of the user's AWS set-up is read or touched, nothing is left behind: credentials, configuration
files, profiles and the metadata service are shut out, all state lies in one folder, and the process ends with
its owner.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import boto3
import botocore.session
from botocore.config import Config
from botocore.loaders import create_loader

from operating.learner_lab import ROLE as LAB_ROLE
from sandbox.arguments import DUCKDB
from sandbox.learner_lab import PEOPLE, session_credentials

REPOSITORY = Path(__file__).resolve().parent.parent
REGION = "us-east-1"
ACCOUNT = "000000000000"

# Names in an emulator's folder
LOG = "emulator.log"
MARK = "in-use"  # is there while it works, and says at which endpoint
MIRROR = "mirror"
OBJECTS = "s3"
JOB_RUNS = "job-runs"
DECISIONS, DECISIONS_BEFORE = "decisions.jsonl", "decisions-before.jsonl"

ROLE_PREFIX = "JOB_ROLE_"
"""What the names of the variables begin with that hold the credentials of a job's role."""

SPARK_GATEWAY = "SPARK_JAVA_GATEWAY"
"""The variable that leads a job run to the Java that runs share."""

FAILED, FAILED_IN_SPARK = 3, 1
"""How a job run's process ends after an error: one of the job's own, or one that Spark or its Java has a part
in."""

_START_TIMEOUT_SECONDS = 60
_STOP_TIMEOUT_SECONDS = 30
_MODELS = create_loader()  # of AWS's services, which each session would read anew


class EmulatorError(RuntimeError):
    """The emulator did not start, or did not end when it was told to."""


class FolderInUseError(EmulatorError):
    """Another emulator works in the folder."""


class UncleanFolderError(EmulatorError):
    """The last emulator in the folder was killed before it wrote what it keeps."""


@dataclass
class MiniStack:
    """A running emulator. Use it as a context manager: it is stopped at the end of the block.

    Attributes:
        endpoint: Address of every AWS service in it, such as `http://127.0.0.1:40123`.
        folder: Folder with all that it keeps.
        lab: Whether its account is one of a Learner Lab (`sandbox.learner_lab`).
    """

    endpoint: str
    folder: Path
    lab: bool
    _process: subprocess.Popen[bytes]

    @classmethod
    def start(
        cls,
        data_dir: Path | None = None,
        port: int = 0,
        *,
        enforce_permissions: bool = False,
        lab: bool = False,
        engine: str = DUCKDB,
        ready: bool = False,
    ) -> Self:
        """Start an emulator and wait until it answers.

        Args:
            data_dir: Folder that keeps buckets, catalog and stacks from one start to the next. Without it
                they live as long as the emulator.
            port: Loopback port to listen on; 0 takes a free one.
            enforce_permissions: Whether functions and jobs may do only what their roles allow, and the
                decisions are kept in `decisions`. Without, any credentials may do anything.
            lab: Whether the account is one of a Learner Lab, in which permissions are always enforced.
            engine: What answers Athena's queries, one of `ENGINES`. A Trino has to be installed
                (`sandbox.trino.installation`), and gets ready by itself; a query waits for it.
            ready: Whether the functions that schedules and buckets of a kept stack invoke get ready, too.

        Raises:
            EmulatorError: It ended, or did not answer in time; the message has its log's last line.
            FolderInUseError: Another one works in `data_dir`.
            UncleanFolderError: The last one in `data_dir` was killed. Remove the folder.
        """
        ephemeral = data_dir is None
        folder = Path(tempfile.mkdtemp(prefix="sandbox-aws-")) if data_dir is None else data_dir.resolve()
        scratch = folder / "scratch"
        scratch.mkdir(parents=True, exist_ok=True)
        with socket.socket() as bound, _mark(folder) as mark, (folder / LOG).open("wb") as output:
            # Bound here, listened on there: the port is known before the process starts and cannot be taken
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(("127.0.0.1", port))
            port = bound.getsockname()[1]
            endpoint = f"http://127.0.0.1:{port}"
            mark.write(endpoint.encode())
            mark.flush()
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "sandbox.emulator", "--socket", str(bound.fileno())),
                    *("--folder", str(folder), "--remove", str(folder if ephemeral else scratch)),
                    *("--engine", engine),
                    *(("--lab-role", LAB_ROLE) if lab else ()),
                    *(("--ready",) if ready else ()),
                ],
                cwd=REPOSITORY,
                env=_settings(
                    folder, scratch, port, keep=not ephemeral, enforce_permissions=enforce_permissions or lab
                ),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=[bound.fileno(), mark.fileno()],
                start_new_session=True,  # Ctrl-C reaches the owner alone, which ends the emulator in order
            )
        emulator = cls(endpoint=endpoint, folder=folder, lab=lab, _process=process)
        emulator._wait_until_ready()
        return emulator

    @staticmethod
    def endpoint_at_work(data_dir: Path) -> str | None:
        """The endpoint of the emulator that works in a folder; None if it has not begun, or has ended."""
        mark = data_dir.resolve() / MARK
        return (mark.read_text() or None) if mark.exists() else None

    @property
    def log(self) -> Path:
        """What the emulator has logged."""
        return self.folder / LOG

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """What it has decided on calls of functions and jobs (`sandbox.shims`).

        The decisions of the emulator that was in the folder before, if there was one, and then its own: a
        stack is deployed in one and used in the next.
        """
        files = (self.folder / name for name in (DECISIONS_BEFORE, DECISIONS))
        return [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]

    @property
    def pid(self) -> int:
        """Its process id; what it runs are that process's children."""
        return self._process.pid

    @property
    def mirror(self) -> Path:
        """The folder with the mirrors of the buckets (see `sandbox.mirror`)."""
        return self.folder / MIRROR

    def objects(self, bucket: str) -> Path:
        """The folder in which an emulator that keeps its objects has those of a bucket, as files by key."""
        return self.folder / OBJECTS / ACCOUNT / bucket

    def job_run_log(self, run_id: str) -> Path:
        """What a run of a Glue job has printed."""
        return self.folder / JOB_RUNS / f"{run_id}.log"

    def environment(self) -> dict[str, str]:
        """The variables that point boto3, the AWS CLI, the CDK and Spark jobs at this emulator alone."""
        return aws_environment(self.endpoint, lab=self.lab)

    def client(self, service: str) -> Any:
        """A client of one of its services, whatever the environment leads to."""
        environment = self.environment()
        return boto3.client(
            service,  # type: ignore[call-overload]  # by its name
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=environment.get("AWS_SESSION_TOKEN"),
            config=Config(proxies={}),
        )

    def enter(self) -> None:
        """Point every AWS client that this process makes from now on at the emulator."""
        for name in os.environ.keys() - without_aws(os.environ).keys():
            del os.environ[name]
        os.environ.update(self.environment())

    def stop(self) -> None:
        """End the emulator, after it has written what it keeps.

        Raises:
            EmulatorError: It had to be killed, or could not write everything.
        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=_STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.returncode:
            raise EmulatorError(f"the AWS emulator did not end in order, its state is lost; see {self.log}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self) -> None:
        # The user's proxy has no business with loopback
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with opener.open(f"{self.endpoint}/_ministack/ready", timeout=5):
                    return
            except OSError:
                time.sleep(0.05)
        self._process.kill()
        self._process.wait()
        said = self.log.read_text(errors="replace").strip().splitlines()
        reason = f" and ended with: {said[-1].strip()}" if said else ""
        raise EmulatorError(f"the AWS emulator did not start{reason}. Its log: {self.log}")


def _mark(folder: Path) -> IO[bytes]:
    """Open and lock the file that says that an emulator works in the folder.

    The emulator inherits the lock, and removes the file when it has written everything: a lock that is held
    means that one is at work, a file without a lock that one was killed.
    """
    path = folder / MARK
    left_behind = path.exists()
    mark = path.open("ab")
    try:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        mark.close()
        raise FolderInUseError(f"an AWS emulator is at work in {folder}; end it first") from None
    if left_behind:
        mark.close()
        raise UncleanFolderError(
            f"the last AWS emulator in {folder} was killed and its state is lost; remove {folder}"
        )
    return mark


def aws_environment(endpoint: str, *, lab: bool = False) -> dict[str, str]:
    """The variables that point AWS tools at `endpoint`, away from the user's own accounts and proxies.

    Args:
        endpoint: The emulator's address.
        lab: Whether whoever uses them is somebody in a Learner Lab; else the account's root.
    """
    root = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    direct = [host for host in os.environ.get("NO_PROXY", "").split(",") if host]
    no_proxy = ",".join(dict.fromkeys([*direct, "127.0.0.1", "localhost"]))
    return {
        "AWS_ENDPOINT_URL": endpoint,
        **(session_credentials(PEOPLE) if lab else root),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
    }


def new_session() -> boto3.Session:
    """A session of the environment as it is now: another keeps the credentials that it has once found.

    All of them share what they have read of AWS's models: of four services it takes a third of a second.
    """
    session = botocore.session.get_session()
    session.register_component("data_loader", _MODELS)
    made = boto3.Session(botocore_session=session)
    _MODELS.search_paths[:] = dict.fromkeys(_MODELS.search_paths)  # to which each session adds boto3's
    return made


def without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` less what could lead an AWS tool to a real account: profiles, tokens, endpoints."""
    return {name: value for name, value in environment.items() if not name.startswith("AWS_")}


def _settings(
    folder: Path, scratch: Path, port: int, *, keep: bool, enforce_permissions: bool
) -> dict[str, str]:
    """MiniStack's settings, by its own names, on top of this process's environment."""
    kept = "1" if keep else "0"
    return {
        **without_aws(os.environ),
        **aws_environment(f"http://127.0.0.1:{port}"),
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "AUTH": str(enforce_permissions).lower(),
        "PERSIST_STATE": kept,
        "STATE_DIR": str(folder / "state"),
        "S3_PERSIST": kept,
        "S3_DATA_DIR": str(folder / OBJECTS),
        "TMPDIR": str(scratch),
        # Listeners that nothing here uses, and a Docker that may be there but is not ours to use
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "DOCKER_HOST": f"unix://{scratch}/no-docker.sock",
    }
