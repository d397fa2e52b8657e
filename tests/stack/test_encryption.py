"""Encryption at rest in the three settings of `kms_key`: AWS's own keys, a key of the stack, a given key.

What each role may do with the key is in `tests/stack/roles.py`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aws_cdk import App, Stack
from aws_cdk.assertions import Match, Template
from aws_cdk.aws_sns import Topic

from stacks import key_policy
from stacks.config import Config
from stacks.encryption import Encryption
from tests.stack.synthesis import (
    CONTEXT,
    KEY,
    condition_text,
    resources,
    synthesise,
    text_of,
    without_hash,
)

KEY_TYPE = "AWS::KMS::Key"


def keepers(document: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    """The type of each resource that keeps data, and the key that encrypts it; None for one of AWS's."""
    for _, bucket in resources(document, "AWS::S3::Bucket"):
        (rule,) = bucket["Properties"]["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        encryption = rule["ServerSideEncryptionByDefault"]
        key = encryption.get("KMSMasterKeyID")
        assert encryption["SSEAlgorithm"] == ("aws:kms" if key else "AES256")
        assert rule.get("BucketKeyEnabled", False) is (key is not None)
        yield "bucket", key
    for _, queue in resources(document, "AWS::SQS::Queue"):
        key = queue["Properties"].get("KmsMasterKeyId")
        assert queue["Properties"].get("SqsManagedSseEnabled") is (None if key else True)
        yield "queue", key
    for _, topic in resources(document, "AWS::SNS::Topic"):
        yield "topic", topic["Properties"].get("KmsMasterKeyId")
    for _, group in resources(document, "AWS::Logs::LogGroup"):
        yield "log group", group["Properties"].get("KmsKeyId")
    for _, workgroup in resources(document, "AWS::Athena::WorkGroup"):
        results = workgroup["Properties"]["WorkGroupConfiguration"]["ResultConfiguration"]
        encryption = results["EncryptionConfiguration"]
        key = encryption.get("KmsKey")
        assert encryption["EncryptionOption"] == ("SSE_KMS" if key else "SSE_S3")
        yield "workgroup", key


def test_without_the_setting_aws_s_own_keys_encrypt_everything(document: dict[str, Any]) -> None:
    kinds = list(keepers(document))

    assert {key for _, key in kinds} == {None}
    assert {kind for kind, _ in kinds} == {"bucket", "queue", "topic", "log group", "workgroup"}
    # Of acknowledgements the reasons may speak of it
    described = [{**each, "Metadata": {}} for each in document["Resources"].values()]
    assert "kms" not in json.dumps([described, document["Outputs"]]).lower()


@pytest.mark.parametrize("mode", ["script", "visual"])
def test_a_key_of_the_stack_encrypts_everything_and_is_rotated(mode: str) -> None:
    document = synthesise(kms_key="create", glue_job_mode=mode)
    ((logical_id, key),) = resources(document, KEY_TYPE)

    assert key["Properties"]["EnableKeyRotation"] is True
    assert [text_of(used) for _, used in keepers(document)] == [f"<{logical_id}.Arn>"] * len(
        list(keepers(document))
    )


def test_a_given_key_encrypts_everything_and_the_stack_makes_none(given: dict[str, Any]) -> None:
    assert {key for _, key in keepers(given)} == {KEY}
    assert not list(resources(given, KEY_TYPE))


def test_the_key_outlives_the_stack_where_the_data_do(
    created: dict[str, Any], changed: dict[str, Any]
) -> None:
    (kept,), (destroyed,) = ([key for _, key in resources(each, KEY_TYPE)] for each in (created, changed))

    assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert (destroyed["DeletionPolicy"], destroyed["UpdateReplacePolicy"]) == ("Delete", "Delete")


def test_the_key_is_the_account_s_and_serves_the_logs_of_the_stack_alone(created: dict[str, Any]) -> None:
    ((_, key),) = resources(created, KEY_TYPE)
    account, logs, *publishers = key["Properties"]["KeyPolicy"]["Statement"]
    group = "arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:"

    assert text_of(account["Principal"]["AWS"]) == "arn:<AWS::Partition>:iam::<AWS::AccountId>:root"
    assert text_of(logs["Principal"]["Service"]) == "logs.<AWS::Region>.<AWS::URLSuffix>"
    assert condition_text(logs["Condition"]) == (
        "ArnLike kms:EncryptionContext:aws:logs:arn "
        f"{group}/aws-athena/BovespaPipeline-spark {group}/aws-glue/jobs/BovespaPipeline/* "
        f"{group}BovespaPipeline-*"
    )
    assert not any("*" in action for action in logs["Action"])
    cloudwatch, events = publishers
    assert cloudwatch["Principal"]["Service"] == "cloudwatch.amazonaws.com"
    assert condition_text(cloudwatch["Condition"]) == "StringEquals aws:SourceAccount <AWS::AccountId>"
    # Of EventBridge SNS knows no account: under a condition on it no rule's message would be delivered
    assert events["Principal"]["Service"] == "events.amazonaws.com"
    assert "Condition" not in events
    assert cloudwatch["Action"] == events["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]


def test_every_log_group_has_a_name_that_the_key_s_policy_lets_logs_encrypt(created: dict[str, Any]) -> None:
    """One without a name gets from CloudFormation one that begins with the stack's."""
    named = [
        group["Properties"]["LogGroupName"]
        for _, group in resources(created, "AWS::Logs::LogGroup")
        if "LogGroupName" in group["Properties"]
    ]

    assert sorted(named) == ["/aws-glue/jobs/BovespaPipeline/error", "/aws-glue/jobs/BovespaPipeline/output"]


def test_a_topic_that_a_later_construct_adds_is_encrypted_too_and_its_service_may_use_the_key() -> None:
    stack = Stack(App(), "Later")
    encryption = Encryption(
        stack, "Encryption", kms_key="create", removal_policy=Config.from_context(CONTEXT).removal_policy
    )
    Topic(stack, "Alarms")
    encryption.grant_publishers()

    template = Template.from_stack(stack)
    template.has_resource_properties(
        "AWS::SNS::Topic", {"KmsMasterKeyId": {"Fn::GetAtt": [Match.any_value(), "Arn"]}}
    )
    ((_, key),) = resources(dict(template.to_json()), KEY_TYPE)
    statement = key["Properties"]["KeyPolicy"]["Statement"][-2]
    assert statement["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert statement["Action"] == ["kms:Decrypt", "kms:GenerateDataKey"]
    assert condition_text(statement["Condition"]) == "StringEquals aws:SourceAccount <AWS::AccountId>"


def test_without_a_key_nobody_is_granted_anything() -> None:
    stack = Stack(App(), "Without")
    encryption = Encryption(
        stack, "Encryption", kms_key=None, removal_policy=Config.from_context(CONTEXT).removal_policy
    )
    encryption.grant_publishers()

    assert encryption.key is None
    assert "Resources" not in Template.from_stack(stack).to_json()


def test_the_stack_s_key_and_a_given_one_differ_in_nothing_but_the_key(
    created: dict[str, Any], given: dict[str, Any]
) -> None:
    (logical_id,) = (logical_id for logical_id, _ in resources(created, KEY_TYPE))
    with_given = {name: value for name, value in created["Resources"].items() if name != logical_id}
    text = json.dumps(with_given).replace(json.dumps({"Fn::GetAtt": [logical_id, "Arn"]}), json.dumps(KEY))

    assert json.loads(text) == given["Resources"]
    assert without_hash(f"<{logical_id}>") == "<EncryptionKey>"


def test_the_policy_for_a_given_key_is_printed_as_the_stack_s_own_key_has_it(
    created: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ["--account", "111122223333", "--region", "sa-east-1", "--stack", "Other"]
    monkeypatch.setattr("sys.argv", ["key_policy", *given])
    assert key_policy.main() == 0
    printed = json.loads(capsys.readouterr().out)

    ((_, key),) = resources(created, KEY_TYPE)
    text = text_of(key["Properties"]["KeyPolicy"]["Statement"][1]["Principal"]["Service"])
    assert [one["Principal"]["Service"] for one in printed] == [
        text.replace("<AWS::Region>", "sa-east-1").replace("<AWS::URLSuffix>", "amazonaws.com"),
        "cloudwatch.amazonaws.com",
        "events.amazonaws.com",
    ]
    assert printed[0]["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"] == [
        f"arn:aws:logs:sa-east-1:111122223333:log-group:{group}"
        for group in ("Other-*", "/aws-glue/jobs/Other/*", "/aws-athena/Other-spark")
    ]
    assert "Ref" not in json.dumps(printed)
