"""Before the stack is destroyed: its buckets emptied, its table dropped, against a real S3 and Glue API."""

from __future__ import annotations

import json
import uuid

import boto3
import pytest

from sandbox.ministack import MiniStack
from stacks import teardown

pytestmark = pytest.mark.usefixtures("aws")


@pytest.fixture
def bucket() -> str:
    """A versioned bucket with three versions of two objects, one of them deleted since."""
    s3 = boto3.client("s3")
    name = f"teardown-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"one", b"two"):
        s3.put_object(Bucket=name, Key="raw/a", Body=body)
    s3.put_object(Bucket=name, Key="raw/b", Body=b"three")
    s3.delete_object(Bucket=name, Key="raw/b")
    return name


@pytest.fixture
def stack(bucket: str) -> str:
    """A deployed stack with the outputs that the teardown reads; all three buckets are the same one."""
    name = f"Teardown{uuid.uuid4().hex[:8]}"
    values = dict.fromkeys(teardown.BUCKETS, bucket) | {
        "RefinedDatabase": f"db_{uuid.uuid4().hex[:8]}",
        "RefinedTable": "bovespa_daily",
    }
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {key: {"Value": value} for key, value in values.items()},
    }
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    return name


def remaining(bucket: str) -> int:
    listed = boto3.client("s3").list_object_versions(Bucket=bucket)
    return len(listed.get("Versions", [])) + len(listed.get("DeleteMarkers", []))


def test_every_version_and_delete_marker_goes(bucket: str) -> None:
    assert teardown.empty(bucket) == 4
    assert remaining(bucket) == 0


def test_a_table_is_dropped_once() -> None:
    glue = boto3.client("glue")
    database = f"db_{uuid.uuid4().hex[:8]}"
    glue.create_database(DatabaseInput={"Name": database})
    glue.create_table(DatabaseName=database, TableInput={"Name": "bovespa_daily"})
    assert teardown.drop_table(database, "bovespa_daily")
    assert not teardown.drop_table(database, "bovespa_daily")


def test_nothing_is_deleted_unless_the_stacks_name_is_typed(
    stack: str, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["teardown", "--stack", stack])
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert teardown.main() == 1
    assert remaining(bucket) == 4


def test_the_whole_stacks_data_go_when_its_name_is_typed(
    stack: str, bucket: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["teardown", "--stack", stack])
    monkeypatch.setattr("builtins.input", lambda _: stack)
    assert teardown.main() == 0
    assert remaining(bucket) == 0
    assert f"{bucket}: 4 object versions deleted" in capsys.readouterr().out


def test_a_stack_that_is_not_there_is_an_error_that_names_it(
    aws: MiniStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["teardown", "--stack", "NoSuchStack", "--yes"])
    assert teardown.main() == 1
    assert "NoSuchStack" in capsys.readouterr().err
