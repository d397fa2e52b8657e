"""The emulator's life: it ends with its owner, and keeps its state or says that it is lost."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from sandbox.ministack import REPOSITORY, FolderInUseError, MiniStack, UncleanFolderError, without_aws
from tests.leading import lead_to

STACK = """
Resources:
  WorkGroup:
    Type: AWS::Athena::WorkGroup
    Properties:
      Name: kept
      WorkGroupConfiguration:
        ResultConfiguration: {OutputLocation: "s3://results/"}
"""


def test_nothing_is_left_after_an_emulator_without_a_folder() -> None:
    with MiniStack.start() as aws:
        assert aws.log.exists()
    assert not aws.folder.exists()


def test_what_leads_to_a_real_account_is_shut_out() -> None:
    user = {
        "AWS_PROFILE": "work",
        "AWS_SESSION_TOKEN": "secret",
        "AWS_ENDPOINT_URL_S3": "https://s3",
        "HOME": "/",
    }
    assert without_aws(user) == {"HOME": "/"}


def test_an_emulator_ends_when_its_owner_is_killed() -> None:
    script = (
        "import sys; from sandbox.ministack import MiniStack; aws = MiniStack.start();"
        "print(aws.endpoint, aws.folder, flush=True); sys.stdin.read()"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    endpoint, folder = owner.stdout.readline().split()
    address = urlsplit(endpoint)
    with owner, socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        os.kill(owner.pid, signal.SIGKILL)
        assert connection.recv(1) == b""  # the emulator has closed it, and it removes its folder next
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port), timeout=30)
    assert Path(folder).name.startswith("sandbox-aws-")


def test_what_was_deployed_and_stored_outlives_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MiniStack.start(tmp_path) as aws:
        lead_to(aws, monkeypatch)
        s3, athena = boto3.client("s3"), boto3.client("athena")
        for bucket in ("results", "kept"):
            s3.create_bucket(Bucket=bucket)
        s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
        versions = [s3.put_object(Bucket="kept", Key="a/b", Body=body)["VersionId"] for body in (b"1", b"2")]
        cloudformation = boto3.client("cloudformation")
        cloudformation.create_stack(StackName="kept", TemplateBody=STACK)
        cloudformation.get_waiter("stack_create_complete").wait(StackName="kept", WaiterConfig={"Delay": 1})
        # Its row holds what JSON has no type for
        athena.start_query_execution(QueryString="SELECT DATE '2024-11-08', 1.10", WorkGroup="kept")

    with MiniStack.start(tmp_path) as aws:
        lead_to(aws, monkeypatch)
        s3, athena = boto3.client("s3"), boto3.client("athena")
        bodies = [
            s3.get_object(Bucket="kept", Key="a/b", VersionId=version)["Body"].read() for version in versions
        ]
        assert bodies == [b"1", b"2"]
        group = athena.get_work_group(WorkGroup="kept")["WorkGroup"]
        assert group["Configuration"]["ResultConfiguration"]["OutputLocation"] == "s3://results/"
        (stack,) = boto3.client("cloudformation").describe_stacks(StackName="kept")["Stacks"]
        assert stack["StackStatus"] == "CREATE_COMPLETE"


def test_two_emulators_do_not_share_a_folder(tmp_path: Path) -> None:
    with MiniStack.start(tmp_path), pytest.raises(FolderInUseError, match="at work"):
        MiniStack.start(tmp_path)


def test_the_folder_of_an_emulator_that_was_killed_is_refused(tmp_path: Path) -> None:
    aws = MiniStack.start(tmp_path)
    aws._process.kill()
    aws._process.wait()
    with pytest.raises(UncleanFolderError, match=f"remove {tmp_path}"):
        MiniStack.start(tmp_path)
