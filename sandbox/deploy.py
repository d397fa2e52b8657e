"""Deployment of the stack into the emulator, by the CDK's own command line: bootstrap, synth, deploy.

Only what comes with the project is used: the CLI from `node_modules`, Node and Python from the environment
that this runs in. What was made from the same files and settings is not made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import Self

from botocore.exceptions import ClientError

from operating.learner_lab import Lab
from sandbox.ministack import ACCOUNT, REGION, REPOSITORY, MiniStack, without_aws
from stacks.arguments import REFUSED

_CDK = REPOSITORY / "node_modules" / ".bin" / "cdk"
# Names in a `Cdk`'s folder
OUTPUTS = "outputs.json"
ASSEMBLY = "cdk.out"
INPUTS = "cdk.inputs"  # of the cloud assembly beside it
_DEPLOYED = "deployed.json"  # in the emulator's folder, so that it goes with what is deployed
# Not of the app: what it does not read, and what is made from the rest
_OTHERS = {"build", "cdk.out", "node_modules", "reports", "tests", "docs", "benchmarks", "__pycache__"}
_PROGRESS = re.compile(rb"\| +(\d+)/(\d+) \|")


class DeployError(RuntimeError):
    """The CDK's command line failed; the message has the reason that it gave, and names its log."""


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The names of what was deployed, from the stack's outputs; an address of the emulator for the queue."""

    raw_bucket: str
    refined_bucket: str
    scraper_function: str
    backfill_function: str
    schedule_name: str
    starter_function: str
    dead_letter_queue: str
    glue_job_name: str
    raw_database: str
    refined_database: str
    refined_table: str
    refined_compact_table: str
    joined_index: str
    work_group: str

    @classmethod
    def from_outputs(cls, outputs: Mapping[str, str]) -> Self:
        """Take the names from a stack's outputs, `RawBucket` and so on.

        Raises:
            KeyError: The stack does not have one of them.
        """
        return cls(**{field.name: outputs[field.name.title().replace("_", "")] for field in fields(cls)})


def deployed_stack(folder: Path) -> str:
    """Name of the stack that was last deployed from a `Cdk`'s folder."""
    (name,) = json.loads((folder / OUTPUTS).read_text())
    return str(name)


class Cdk:
    """The CDK's command line, pointed at an emulator.

    Args:
        aws: The emulator.
        folder: Folder for the cloud assembly, the logs and the CLI's own files.
    """

    def __init__(self, aws: MiniStack, folder: Path) -> None:
        self._aws = aws
        self._folder = folder
        self._assembly = folder / ASSEMBLY
        executables = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        self._environment = {
            **without_aws(os.environ),
            **aws.environment(),
            "PATH": executables,
            "CDK_HOME": str(folder / "cdk-home"),
            "CDK_DISABLE_CLI_TELEMETRY": "1",
            "CDK_DISABLE_VERSION_CHECK": "1",
            # Of the CDK's own, beside cdk-nag's: two seconds for warnings, which `make synth` shows
            "CDK_VALIDATION": "false",
        }

    def deploy(self, context: Mapping[str, str], progress: Callable[[str], None]) -> Deployment:
        """Bootstrap the emulator's account, as far as it takes, and synthesise and deploy the app.

        Args:
            context: Settings that go before those of `cdk.json`.
            progress: Is told what happens, in a few words, as it happens.

        Raises:
            DeployError: A step failed.
        """
        inputs, outputs = digest_of(context), self._folder / OUTPUTS
        if self._is_deployed(inputs):
            progress("unchanged")
        else:
            progress("bootstrap, synth")
            with ThreadPoolExecutor() as both:
                prepared = both.submit(self._prepare, with_roles=not context.get("existing_role"))
                self._synth(inputs, context)
                prepared.result()
            self._run(
                "deploy",
                *("--app", str(self._assembly), "--outputs-file", str(outputs)),
                *("--require-approval", "never", "--method", "direct"),  # nobody looks at a change set here
                progress=progress,
            )
            self._remember(inputs)
        (stack,) = json.loads(outputs.read_text()).values()
        return Deployment.from_outputs(stack)

    def destroy(self) -> None:
        """Delete the stack that `deploy` deployed; its buckets have to be empty.

        Raises:
            DeployError: CloudFormation could not.
        """
        self._run("destroy", "--app", str(self._assembly), "--force")

    def _prepare(self, *, with_roles: bool) -> None:
        """Have there be what the CDK deploys by: its roles and its bucket, or the bucket alone."""
        if not with_roles:
            lab = Lab(account=ACCOUNT, region=REGION)
            lab.make_asset_bucket(self._aws.client("s3"))
            return
        # From a folder without a cdk.json, or it would synthesise the app, too
        self._run(
            *("bootstrap", f"aws://{ACCOUNT}/{REGION}", "--no-version-reporting"),
            at=self._folder,
        )

    def _synth(self, inputs: str, context: Mapping[str, str]) -> None:
        of = self._folder / INPUTS
        if of.exists() and of.read_text() == inputs and self._assembly.is_dir():
            return
        of.unlink(missing_ok=True)
        settings = [f"--context={name}={value}" for name, value in context.items()]
        self._run("synth", "--quiet", "--output", str(self._assembly), *settings)
        of.write_text(inputs)

    def _is_deployed(self, inputs: str) -> bool:
        """Whether the stack is what these inputs made of it when `deploy` was last at work on it."""
        remembered = self._aws.folder / _DEPLOYED
        if not remembered.exists() or not (self._folder / OUTPUTS).exists():
            return False
        try:
            return bool(json.loads(remembered.read_text()) == [inputs, *self._state()])
        except (ValueError, ClientError):  # not written whole, or no stack any more
            return False

    def _remember(self, inputs: str) -> None:
        (self._aws.folder / _DEPLOYED).write_text(json.dumps([inputs, *self._state()]))

    def _state(self) -> list[str]:
        """The stack's name, its status and when it was last worked on."""
        name = deployed_stack(self._folder)
        (stack,) = self._aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
        return [name, stack["StackStatus"], str(stack.get("LastUpdatedTime", stack["CreationTime"]))]

    def _run(
        self,
        command: str,
        *arguments: str,
        at: Path = REPOSITORY,
        progress: Callable[[str], None] | None = None,
    ) -> None:
        log = self._folder / f"cdk-{command}.log"
        line = [str(_CDK), command, "--no-notices", "--no-color", "--ci", *arguments]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                line, cwd=at, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as process,
        ):
            for said in process.stdout or ():
                output.write(said)
                output.flush()
                if progress and (count := _PROGRESS.search(said)):
                    progress(f"{int(count[1])} of {int(count[2])} resources")
        if process.returncode:
            lines = log.read_text(errors="replace").splitlines()
            raise DeployError(f"{_reason(command, lines)}. What the CDK said: {log}")


def _reason(command: str, said: Sequence[str]) -> str:
    """Why a command of the CDK failed: what the app refused, else the last line that speaks of an error."""
    lines = [line.strip() for line in said if line.strip()]
    if refused := next((line for line in lines if line.startswith(REFUSED)), None):
        return refused
    errors = [line for line in lines if re.search(r"error|fail|denied|refused", line, re.IGNORECASE)]
    return f"cdk {command} failed: {(errors or lines or ['it said nothing'])[-1].rstrip('.')}"


def digest_of(context: Mapping[str, str]) -> str:
    """A digest of what the cloud assembly is made from: files, settings, and what makes it of them."""
    digest = hashlib.sha256(repr([sys.version, metadata.version("aws-cdk-lib"), _CDK]).encode())
    for name, value in sorted(context.items()):
        digest.update(repr([name, value]).encode())
    named = [REPOSITORY / value for value in context.values()]  # a certificate, for one
    own = [
        file
        for place in REPOSITORY.iterdir()
        if place.name not in _OTHERS and not place.name.startswith(".")
        for file in ([place] if place.is_file() else place.rglob("*"))
        if file.suffix != ".pyc"
    ]
    for file in (*sorted(own), *named, Path.home() / ".cdk.json"):
        if file.is_file():
            digest.update(repr([str(file), hashlib.sha256(file.read_bytes()).hexdigest()]).encode())
    return digest.hexdigest()
