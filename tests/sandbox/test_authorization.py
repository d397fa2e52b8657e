"""Permissions in the sandbox's AWS: enforced for roles as AWS does, and each decision written down."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.ministack import ACCOUNT, REGION, MiniStack
from tests.leading import lead_to

GLUE = f"arn:aws:glue:{REGION}:{ACCOUNT}:"


@pytest.fixture(scope="module")
def enforcing() -> Iterator[MiniStack]:
    with MiniStack.start(enforce_permissions=True) as aws:
        yield aws


@pytest.fixture(autouse=True)
def as_root(enforcing: MiniStack, monkeypatch: pytest.MonkeyPatch) -> None:
    lead_to(enforcing, monkeypatch)


class Role:
    """A role with certain permissions, and a session of it."""

    def __init__(self, name: str, *allowed: tuple[str, str]) -> None:
        iam = boto3.client("iam")
        trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        document: Any = {"Statement": [trust]}
        self.arn = iam.create_role(
            Path="/team/", RoleName=name, AssumeRolePolicyDocument=json.dumps(document)
        )["Role"]["Arn"]
        policy = {"Statement": [{"Effect": "Allow", "Action": do, "Resource": on} for do, on in allowed]}
        iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(policy))
        assumed = boto3.client("sts").assume_role(RoleArn=self.arn, RoleSessionName="test")["Credentials"]
        self._session = boto3.Session(
            aws_access_key_id=assumed["AccessKeyId"],
            aws_secret_access_key=assumed["SecretAccessKey"],
            aws_session_token=assumed["SessionToken"],
        )

    def client(self, service: Any) -> Any:
        return self._session.client(service)


def decisions(aws: MiniStack, role: str) -> list[tuple[str, str, bool]]:
    lines = aws.decisions
    return [
        (each["action"], each["resource"], each["allowed"])
        for each in lines
        if each["principal"].split("/")[1] == role
    ]


@pytest.fixture(scope="module")
def table(enforcing: MiniStack) -> str:
    with pytest.MonkeyPatch.context() as variables:
        lead_to(enforcing, variables)
        glue = boto3.client("glue")
        glue.create_database(DatabaseInput={"Name": "lake"})
        glue.create_table(DatabaseName="lake", TableInput={"Name": "fish"})
    return "fish"


def test_a_call_on_a_table_needs_the_permission_on_its_database_and_the_catalog_too(
    enforcing: MiniStack, table: str
) -> None:
    places = [f"{GLUE}table/lake/fish", f"{GLUE}database/lake", f"{GLUE}catalog"]
    complete = Role("complete", *[("glue:GetTable", place) for place in places])
    assert complete.client("glue").get_table(DatabaseName="lake", Name=table)["Table"]["Name"] == "fish"
    for index, missing in enumerate(places):
        role = Role(f"less-{index}", *[("glue:GetTable", place) for place in places if place != missing])
        with pytest.raises(ClientError, match="not authorized to perform: glue:GetTable"):
            role.client("glue").get_table(DatabaseName="lake", Name=table)
    assert decisions(enforcing, "complete") == [("glue:GetTable", place, True) for place in places]
    assert ("glue:GetTable", f"{GLUE}table/lake/fish", False) in decisions(enforcing, "less-0")


@pytest.mark.parametrize(
    ("operation", "request_", "resource"),
    [
        ("get_database", {"Name": "lake"}, "database/lake"),
        ("create_database", {"DatabaseInput": {"Name": "pond"}}, "database/pond"),
        ("create_table", {"DatabaseName": "lake", "TableInput": {"Name": "new"}}, "table/lake/new"),
        ("get_partitions", {"DatabaseName": "lake", "TableName": "fish"}, "table/lake/fish"),
        ("get_job", {"JobName": "refine"}, "job/refine"),
        ("create_job", {"Name": "refine", "Role": "r", "Command": {"Name": "glueetl"}}, "job/refine"),
        ("get_tags", {"ResourceArn": f"{GLUE}job/refine"}, "job/refine"),
        ("start_job_run", {"JobName": "refine"}, "job/refine"),
    ],
)
def test_a_call_of_glue_is_about_the_resource_that_aws_says(
    enforcing: MiniStack, table: str, operation: str, request_: dict[str, Any], resource: str
) -> None:
    name = operation.replace("_", "-")
    with pytest.raises(ClientError, match="not authorized"):
        getattr(Role(name, ("s3:ListAllMyBuckets", "*")).client("glue"), operation)(**request_)
    action = "glue:" + "".join(word.capitalize() for word in operation.split("_"))
    assert decisions(enforcing, name)[0] == (action, f"{GLUE}{resource}", False)


def test_a_bucket_s_policy_knows_a_session_by_its_role_and_the_connection_as_one_with_tls() -> None:
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="kept")
    kept, other = (Role(name, ("s3:PutObject", "arn:aws:s3:::kept/*")) for name in ("keeper", "other"))
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::kept/*"}
    conditions = [
        {"ArnNotLike": {"aws:PrincipalArn": [kept.arn]}},
        {"Bool": {"aws:SecureTransport": "false"}},
    ]
    policy = {"Statement": [{**deny, "Condition": condition} for condition in conditions]}
    s3.put_bucket_policy(Bucket="kept", Policy=json.dumps(policy))

    kept.client("s3").put_object(Bucket="kept", Key="a", Body=b"")
    with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
        other.client("s3").put_object(Bucket="kept", Key="a", Body=b"")


def test_an_emulator_that_does_not_enforce_decides_nothing(tmp_path: Any) -> None:
    with MiniStack.start(tmp_path) as aws:
        glue = boto3.client(
            "glue", endpoint_url=aws.endpoint, aws_access_key_id="anybody", aws_secret_access_key="any"
        )
        glue.create_database(DatabaseInput={"Name": "open"})
        assert aws.decisions == []
