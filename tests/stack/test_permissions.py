"""Least privilege: each statement of each policy in the template."""

from __future__ import annotations

import ast
import re
from typing import Any

import pytest

from stacks.config import REPOSITORY
from tests.stack.synthesis import as_list, permissions, policy_statements, resources, synthesise, text_of

BELOW_A_PREFIX_OF_OURS = re.compile(
    r"<Storage(Raw|Refined)Bucket\w+\.Arn>/(raw|raw/cotahist|backfill|quarantine|refined|refined_compact)/\*"
)


def test_no_statement_has_a_wildcard_action(either: dict[str, Any]) -> None:
    statements = list(policy_statements(either))

    assert len(statements) > 10
    for statement in statements:
        assert statement["Effect"] == "Allow"
        assert not any("*" in action for action in as_list(statement["Action"])), statement


def test_a_wildcard_resource_lies_below_a_prefix_of_our_own_buckets(either: dict[str, Any]) -> None:
    for statement in policy_statements(either):
        for resource in map(text_of, as_list(statement["Resource"])):
            assert "*" not in resource or BELOW_A_PREFIX_OF_OURS.fullmatch(resource), statement


def test_no_role_has_a_managed_or_an_inline_policy_beside_these(either: dict[str, Any]) -> None:
    for logical_id, role in resources(either, "AWS::IAM::Role"):
        assert not {"ManagedPolicyArns", "Policies"} & role["Properties"].keys(), logical_id


def test_every_role_is_assumed_by_one_service(document: dict[str, Any]) -> None:
    services = {
        logical_id: statement["Principal"]
        for logical_id, role in resources(document, "AWS::IAM::Role")
        for statement in role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    }

    assert sorted(principal["Service"] for principal in services.values()) == [
        "glue.amazonaws.com",
        "lambda.amazonaws.com",
        "lambda.amazonaws.com",
        "lambda.amazonaws.com",
        "lambda.amazonaws.com",
        "scheduler.amazonaws.com",
    ]


def test_the_starter_may_start_the_job_and_nothing_else(document: dict[str, Any]) -> None:
    assert permissions(document, "StarterRole") == {
        "glue:StartJobRun": {
            "arn:<AWS::Partition>:glue:<AWS::Region>:<AWS::AccountId>:job/<RefineJob>",
        },
        "logs:CreateLogStream": {"<StarterLogs>"},
        "logs:PutLogEvents": {"<StarterLogs>"},
        "sqs:SendMessage": {"<StarterDeadLetters>"},
    }


def test_the_scraper_may_use_the_raw_bucket_and_nothing_else(document: dict[str, Any]) -> None:
    below_raw = "<StorageRawBucket>/raw/*"

    assert permissions(document, "IngestionScraperRole") == {
        "s3:ListBucket": {"<StorageRawBucket>"},
        "s3:GetObject": {below_raw},
        "s3:PutObject": {below_raw, "<StorageRawBucket>/quarantine/*"},
        "s3:DeleteObject": {below_raw},
        "s3:AbortMultipartUpload": {below_raw},
        "logs:CreateLogStream": {"<IngestionLogs>"},
        "logs:PutLogEvents": {"<IngestionLogs>"},
    }


def test_the_backfill_writes_sessions_manifests_and_refused_files_and_reads_manifests(
    document: dict[str, Any],
) -> None:
    sessions, manifests, refused = (
        f"<StorageRawBucket>/{prefix}/*" for prefix in ("raw/cotahist", "backfill", "quarantine")
    )

    assert permissions(document, "IngestionBackfillRole") == {
        "s3:ListBucket": {"<StorageRawBucket>"},
        "s3:GetObject": {manifests},
        "s3:PutObject": {sessions, manifests, refused},
        "s3:DeleteObject": {sessions, manifests},
        "s3:AbortMultipartUpload": {refused},
        "logs:CreateLogStream": {"<IngestionBackfillLogs>"},
        "logs:PutLogEvents": {"<IngestionBackfillLogs>"},
    }


def test_the_schedule_may_run_the_scraper_and_nothing_else(document: dict[str, Any]) -> None:
    assert permissions(document, "IngestionScheduleRole") == {"lambda:InvokeFunction": {"<IngestionScraper>"}}


def test_the_cdk_s_own_function_may_set_the_notification_and_nothing_else(document: dict[str, Any]) -> None:
    assert permissions(document, "StorageNotificationsRole") == {
        "s3:PutBucketNotification": {"<StorageRawBucket>"},
        "logs:CreateLogStream": {"<StarterNotificationLogs>"},
        "logs:PutLogEvents": {"<StarterNotificationLogs>"},
    }


def test_the_job_reads_raw_and_writes_refined(document: dict[str, Any]) -> None:
    allowed = permissions(document, "RefineRole")
    own = {f"<StorageRefinedBucket>/{key}" for key in ("refined/*", "refined_compact/*")}
    (script,) = allowed["s3:GetObject"] - {"<StorageRawBucket>/raw/*"}

    assert re.fullmatch(r"arn:<AWS::Partition>:s3:::cdk-hnb659fds-assets-[^*]+/[0-9a-f]{64}\.py", script)
    assert allowed["s3:PutObject"] == allowed["s3:DeleteObject"] == own
    assert allowed["s3:ListBucket"] == {"<StorageRawBucket>", "<StorageRefinedBucket>"}
    assert {action for action in allowed if action.startswith("s3:")} == {
        "s3:ListBucket",
        "s3:GetObject",
        "s3:PutObject",
        "s3:DeleteObject",
    }


def test_to_bound_the_wide_table_the_job_needs_no_further_permission(document: dict[str, Any]) -> None:
    assert permissions(synthesise(wide_sessions=250), "RefineRole") == permissions(document, "RefineRole")


def test_the_job_in_visual_mode_may_also_read_what_it_writes_and_in_parts() -> None:
    allowed = permissions(synthesise(glue_job_mode="visual"), "RefineRole")
    folders = ("refined", "refined/*", "refined_compact", "refined_compact/*")
    own = {f"<StorageRefinedBucket>/{key}" for key in folders}

    for action in ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"):
        assert allowed[action] == own
    assert own < allowed["s3:GetObject"]


def test_the_job_may_use_its_own_tables_and_database_in_the_catalog(document: dict[str, Any]) -> None:
    catalog = {
        f"arn:<AWS::Partition>:glue:<AWS::Region>:<AWS::AccountId>:{resource}"
        for resource in (
            "catalog",
            "database/default",
            "table/default/bovespa_daily",
            "table/default/bovespa_daily_compact",
        )
    }

    for action, where in permissions(document, "RefineRole").items():
        assert not action.startswith("glue:") or where == catalog


def test_the_job_may_call_of_the_catalog_what_its_script_calls(document: dict[str, Any]) -> None:
    """Read off the script: a call without its permission does not wait for the first deployment."""
    source = ast.parse((REPOSITORY / "glue_scripts" / "refine.py").read_text())
    called = set()
    for node in ast.walk(source):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="_glue"), attr="get_paginator")):
                (operation,) = (
                    argument.value for argument in node.args if isinstance(argument, ast.Constant)
                )
                called.add(str(operation))
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="_glue"), attr=operation)):
                called.add(operation)
    actions = {"glue:" + "".join(word.capitalize() for word in operation.split("_")) for operation in called}

    assert "glue:CreateTable" in actions
    assert actions == {action for action in permissions(document, "RefineRole") if action.startswith("glue:")}


@pytest.mark.parametrize(
    ("role", "prefixes"),
    [
        ("IngestionScraperRole", {"raw/*", "quarantine/*"}),
        ("IngestionBackfillRole", {"raw/cotahist/*", "backfill/*", "quarantine/*"}),
        ("RefineRole", {"raw/*", "refined/*", "refined_compact/*"}),
    ],
)
def test_listing_is_confined_to_the_folders_of_the_role(
    document: dict[str, Any], role: str, prefixes: set[str]
) -> None:
    listings = [
        each for each in policy_statements(document, role) if "s3:ListBucket" in as_list(each["Action"])
    ]

    assert {
        prefix for each in listings for prefix in each["Condition"]["StringLikeIfExists"]["s3:prefix"]
    } == prefixes
    assert all(each["Condition"].keys() == {"StringLikeIfExists"} for each in listings)


def test_a_function_is_invoked_by_the_raw_bucket_of_this_account_alone(document: dict[str, Any]) -> None:
    ((_, permission),) = resources(document, "AWS::Lambda::Permission")
    properties = permission["Properties"]

    assert properties["Action"] == "lambda:InvokeFunction"
    assert properties["Principal"] == "s3.amazonaws.com"
    assert properties["SourceAccount"] == {"Ref": "AWS::AccountId"}
    assert text_of(properties["SourceArn"]).startswith("<StorageRawBucket")
