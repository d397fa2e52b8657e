"""Before the stack is destroyed: its buckets emptied, its tables dropped, against a real S3 and Glue API."""

from __future__ import annotations

import json
import uuid
from typing import Any

import boto3
import pytest

from lake.names import RESERVED
from operating import teardown
from sandbox.ministack import MiniStack
from tests.fixtures.operated import deploy_stack

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


ADJUSTMENT = ("bovespa_index_members", "bovespa_events", "bovespa_factors", "bovespa_daily_adjusted")


@pytest.fixture
def database() -> str:
    """A database with the refined tables and the view, and one that is not the stack's."""
    glue = boto3.client("glue")
    name = f"db_{uuid.uuid4().hex[:8]}"
    glue.create_database(DatabaseInput={"Name": name})
    for table in ("bovespa_daily", "bovespa_daily_compact", *ADJUSTMENT, "somebody_elses"):
        glue.create_table(DatabaseName=name, TableInput={"Name": table})
    return name


@pytest.fixture
def stack(bucket: str, database: str) -> str:
    """A deployed stack with the outputs that the teardown reads; all three buckets are the same one."""
    return deploy_stack(
        dict.fromkeys(teardown.BUCKETS, bucket)
        | {
            "RefinedDatabase": database,
            "RefinedTable": "bovespa_daily",
            "RefinedCompactTable": "bovespa_daily_compact",
        }
    )


def tables(database: str) -> set[str]:
    return {table["Name"] for table in boto3.client("glue").get_tables(DatabaseName=database)["TableList"]}


def remaining(bucket: str) -> int:
    listed = boto3.client("s3").list_object_versions(Bucket=bucket)
    return len(listed.get("Versions", [])) + len(listed.get("DeleteMarkers", []))


@pytest.fixture
def reserved(bucket: str) -> dict[str, Any]:
    """The policy of the bucket, by which only the pipeline writes."""
    deny = {"Effect": "Deny", "Principal": {"AWS": "*"}}
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                **deny,
                "Action": "s3:*",
                "Resource": f"arn:aws:s3:::{bucket}/*",
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            },
            {
                "Sid": f"{RESERVED}Raw",
                **deny,
                "Action": "s3:DeleteObject*",
                "Resource": f"arn:aws:s3:::{bucket}/raw/*",
            },
        ],
    }
    boto3.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    return policy


def policy_of(bucket: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(boto3.client("s3").get_bucket_policy(Bucket=bucket)["Policy"])
    return document


def test_a_bucket_that_is_the_pipeline_s_alone_is_open_only_while_it_is_emptied(
    bucket: str, reserved: dict[str, Any]
) -> None:
    tls, _ = reserved["Statement"]
    with teardown.writable(bucket):
        assert policy_of(bucket)["Statement"] == [tls]
    assert policy_of(bucket) == reserved
    with pytest.raises(RuntimeError, match="in between"), teardown.writable(bucket):
        raise RuntimeError("in between")
    assert policy_of(bucket) == reserved


def test_a_bucket_without_a_policy_is_emptied_of_every_version_and_delete_marker(bucket: str) -> None:
    with teardown.writable(bucket):
        assert teardown.empty(bucket) == 4
    assert remaining(bucket) == 0


class Refusing:
    """An S3 whose policy of before goes on refusing for some calls."""

    def __init__(self, calls: int, code: str = "AccessDenied") -> None:
        self.calls, self.code = calls, code

    def delete_objects(self, **request: Any) -> dict[str, Any]:
        self.calls -= 1
        return {"Errors": [{"Key": "raw/a", "Code": self.code}]} if self.calls >= 0 else {}


def test_s3_may_refuse_for_a_while_after_its_policy_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teardown, "_PAUSE_SECONDS", 0)
    s3: Any = Refusing(calls=3)
    teardown._delete(s3, "bucket", [{"Key": "raw/a"}])
    assert s3.calls == -1


@pytest.mark.parametrize(("code", "patience"), [("AccessDenied", 0), ("InternalError", 60)])
def test_what_s3_goes_on_refusing_is_an_error(
    code: str, patience: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teardown, "_PATIENCE_SECONDS", patience)
    monkeypatch.setattr(teardown, "_PAUSE_SECONDS", 0)
    s3: Any = Refusing(calls=1_000_000, code=code)
    with pytest.raises(teardown.TeardownError, match=f"refused to delete 1 objects.*{code}"):
        teardown._delete(s3, "bucket", [{"Key": "raw/a"}])


def test_a_table_is_dropped_once(database: str) -> None:
    assert teardown.drop_table(database, "bovespa_daily")
    assert not teardown.drop_table(database, "bovespa_daily")


def test_nothing_is_deleted_unless_the_stacks_name_is_typed(
    stack: str, bucket: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["teardown", "--stack", stack])
    monkeypatch.setattr("builtins.input", lambda _: "yes")
    assert teardown.main() == 1
    assert remaining(bucket) == 4
    assert {"bovespa_daily", "bovespa_daily_compact"} < tables(database)


def test_the_whole_stacks_data_go_when_its_name_is_typed(
    stack: str,
    bucket: str,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.argv", ["teardown", "--stack", stack])
    monkeypatch.setattr("builtins.input", lambda _: stack)
    assert teardown.main() == 0
    assert remaining(bucket) == 0
    assert tables(database) == {"somebody_elses"}
    told = capsys.readouterr().out
    wide, compact = f"table {database}.bovespa_daily", f"table {database}.bovespa_daily_compact"
    others = [f"table {database}.{table}" for table in ADJUSTMENT]
    assert told.splitlines()[0].endswith(", ".join([bucket, wide, compact, *others]))
    for line in (f"{bucket}: 4 object versions deleted", f"{wide} dropped\n", f"{compact} dropped\n"):
        assert line in told


def test_a_stack_of_before_the_compact_table_loses_its_one_table(
    bucket: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = {"RefinedDatabase": database, "RefinedTable": "bovespa_daily"}
    name = deploy_stack(dict.fromkeys(teardown.BUCKETS, bucket) | outputs)
    monkeypatch.setattr("sys.argv", ["teardown", "--stack", name, "--yes"])
    assert teardown.main() == 0
    assert tables(database) == {"bovespa_daily_compact", "somebody_elses"}


def test_a_stack_that_is_not_there_is_an_error_that_names_it(
    aws: MiniStack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["teardown", "--stack", "NoSuchStack", "--yes"])
    assert teardown.main() == 1
    assert "NoSuchStack" in capsys.readouterr().err
