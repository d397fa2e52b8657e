"""Whose the refined tables are, as Glue and CloudFormation answer; for a stack: tests/sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from operating import tables

OURS, OTHER = "ours-refined", "other-refined"
OUTPUTS = {
    "RefinedDatabase": "default",
    "RefinedBucket": OURS,
    "RefinedTable": "daily",
    "RefinedCompactTable": "daily_compact",
}


class Account:
    """An account's Glue and CloudFormation, which answer what they are told to, in order."""

    def __init__(self) -> None:
        self.clients = {
            name: boto3.client(name, region_name="sa-east-1") for name in ("glue", "cloudformation")
        }
        self.stubs = {name: Stubber(client) for name, client in self.clients.items()}
        for stub in self.stubs.values():
            stub.activate()

    def has_table(self, bucket: str | None) -> None:
        if bucket is None:
            self.stubs["glue"].add_client_error("get_table", "EntityNotFoundException")
            return
        table = {"Name": "any", "StorageDescriptor": {"Location": f"s3://{bucket}/refined/"}}
        self.stubs["glue"].add_response("get_table", {"Table": table})

    def has_bucket(self, stack: str | None) -> None:
        stub = self.stubs["cloudformation"]
        if stack is None:
            stub.add_client_error("describe_stack_resources", "ValidationError", "Stack for x does not exist")
            return
        one = {
            "StackName": stack,
            "LogicalResourceId": "Refined",
            "ResourceType": "AWS::S3::Bucket",
            "Timestamp": "2026-11-26T00:00:00Z",
            "ResourceStatus": "CREATE_COMPLETE",
        }
        stub.add_response("describe_stack_resources", {"StackResources": [one]})


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    account = Account()
    monkeypatch.setattr(boto3, "client", account.clients.__getitem__)
    monkeypatch.setattr(tables, "outputs", lambda _stack: OUTPUTS)
    yield account
    for stub in account.stubs.values():
        stub.assert_no_pending_responses()


@pytest.fixture
def dropped(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    dropped: list[str] = []

    def drop(_database: str, table: str) -> bool:
        dropped.append(table)
        return True

    monkeypatch.setattr(tables, "drop_table", drop)
    return dropped


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["tables", *arguments])
    return tables.main()


@pytest.mark.parametrize("arguments", [(), ("--drop",)])
def test_the_table_of_another_stack_is_never_dropped(
    account: Account, dropped: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any, arguments: tuple[str]
) -> None:
    account.has_table(OTHER)
    account.has_bucket("TheirPipeline")
    for _ in ("compact", "members", "events", "factors"):
        account.has_table(None)
    assert run(monkeypatch, *arguments) == 1
    assert "which stack TheirPipeline has: give BovespaPipeline tables of its own" in capsys.readouterr().out
    assert dropped == []


def test_the_table_of_a_pipeline_that_is_gone_is_dropped_when_it_is_asked(
    account: Account, dropped: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for arguments, code, said in (((), 1, "--drop takes it out"), (("--drop",), 0, "dropped; its files")):
        account.has_table(OTHER)
        account.has_bucket(None)
        account.has_table(OURS)
        account.has_bucket("BovespaPipeline")
        account.has_table(None)  # the members
        account.has_table(OTHER)  # the events
        account.has_bucket(None)
        account.has_table(None)
        assert run(monkeypatch, *arguments) == code
        out = capsys.readouterr().out
        assert f"table default.daily lies in {OTHER}, which no stack has: {said}" in out
        assert f"table default.daily_compact lies in {OURS}, the refined bucket of BovespaPipeline" in out
        assert f"table default.daily_events lies in {OTHER}, which no stack has: {said}" in out
    assert dropped == ["daily", "daily_events"]


def test_without_permission_to_look_nothing_is_dropped(
    account: Account, dropped: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    account.has_table(OTHER)
    account.stubs["cloudformation"].add_client_error("describe_stack_resources", "AccessDenied")
    assert run(monkeypatch, "--drop") == 1
    assert "could not look" in capsys.readouterr().err
    assert dropped == []


def test_before_the_first_run_there_is_none(
    account: Account, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    for _ in ("wide", "compact", "members", "events", "factors"):
        account.has_table(None)
    assert run(monkeypatch) == 0
    assert "no refined table in default yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("statuses", "stack"),
    [
        ({"left": "CREATE_COMPLETE", "other": "CREATE_COMPLETE"}, "Other"),
        # Deleted with the setting retain, the stack is remembered for 90 days with all that it had
        ({"left": "DELETE_SKIPPED", "other": "DELETE_COMPLETE"}, ""),
        # Beyond the hundredth resource the bucket itself is not told
        ({"other": "CREATE_COMPLETE"}, "Other"),
        ({"other": "DELETE_COMPLETE"}, ""),
        ({"left": "DELETE_FAILED", "other": "DELETE_COMPLETE"}, "Other"),
    ],
)
def test_a_bucket_that_a_deleted_stack_has_left_is_nobody_s(statuses: dict[str, str], stack: str) -> None:
    client = boto3.client("cloudformation", region_name="us-east-1")
    resources: Any = [
        {
            "StackName": "Other",
            "LogicalResourceId": name,
            "PhysicalResourceId": name,
            "ResourceType": "AWS::S3::Bucket",
            "Timestamp": "2026-11-27T00:00:00Z",
            "ResourceStatus": status,
        }
        for name, status in statuses.items()
    ]
    with Stubber(client) as stub:
        asked = {"PhysicalResourceId": "left"}
        stub.add_response("describe_stack_resources", {"StackResources": resources}, asked)
        assert tables.owner("left", client) == stack
