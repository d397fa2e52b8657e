"""Who may write which bucket, whatever their own permissions: the buckets' policies, evaluated as S3 does.

The evaluation is MiniStack's, which the deployed pipeline is held to as well; every caller here is taken to
have all permissions of S3, so that only the bucket's policy can refuse.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy

from lake.names import RESERVED
from tests.stack.synthesis import CHANGED, LOADER, as_list, resources, text_of, without_hash

ACCOUNT = "111122223333"
IAM = f"arn:aws:iam::{ACCOUNT}:"
SSO = "role/aws-reserved/sso.amazonaws.com/sa-east-1/AWSReservedSSO_Data_0123456789abcdef"

SCRAPER, BACKFILL, JOB, OWNER = (
    f"{IAM}role/{name}"
    for name in ("IngestionScraperRole", "IngestionBackfillRole", "RefineRole", "RefineVisualRole")
)
ROOT, PERSON, SSO_PERSON = f"{IAM}root", f"{IAM}user/ana", f"{IAM}{SSO}"
OTHERS = {
    "another workload of the account": f"{IAM}role/reports",
    "an administrator's role": f"{IAM}role/Admin",
    "the starter": f"{IAM}role/StarterRole",
    "the schedule": f"{IAM}role/IngestionScheduleRole",
    "a role that is named like a person": f"{IAM}role/user/ana",
    "a user of another account": "arn:aws:iam::999999999999:user/ana",
    "a role of another account with the name of ours": "arn:aws:iam::999999999999:role/IngestionScraperRole",
    "somebody without credentials": "",
}

RAW_KEYS = (
    "raw/cotahist/trade_date=2024-11-08/daily.parquet",
    "raw/index_portfolio/portfolio_date=2024-11-08/IBOV.parquet",
    "backfill/COTAHIST_A2023.json",
    "quarantine/cotahist/2024-11-08/0.zip",
    "canary/cotahist.json",
    "raw/corporate_actions/ZZAA.parquet",
    "corporate_actions/memory.json",
)
REFINED_KEYS = (
    "refined/trade_date=2024-11-08/ticker=ZXAA3/part-0.parquet",
    "refined_compact/trade_date=2024-11-08/part-0.parquet",
)
SCRIPT_KEY = "visual/BovespaPipeline-refine-visual.py"
WRITES = (
    "PutObject",
    "DeleteObject",
    "DeleteObjectVersion",
    "PutObjectTagging",
    "PutObjectAcl",
    "AbortMultipartUpload",
    "ReplicateObject",
    "ReplicateDelete",
)


def policy_of(document: dict[str, Any], bucket: str) -> dict[str, Any]:
    """A bucket's policy as S3 has it, with the account, the roles' names and the bucket's filled in."""
    (policy,) = (
        each["Properties"]["PolicyDocument"]
        for _, each in resources(document, "AWS::S3::BucketPolicy")
        if text_of(each["Properties"]["Bucket"]).startswith(f"<Storage{bucket}")
    )
    return {
        "Statement": [
            {
                **{name: statement[name] for name in ("Effect", "Principal", "Action")},
                "Sid": statement.get("Sid", ""),
                "Resource": [filled_in(each) for each in as_list(statement["Resource"])],
                "Condition": {
                    operator: {
                        key: [filled_in(each) for each in as_list(value)] for key, value in keys.items()
                    }
                    for operator, keys in statement["Condition"].items()
                },
            }
            for statement in policy["Statement"]
        ]
    }


def filled_in(value: Any) -> str:
    text = (
        without_hash(text_of(value)).replace("<AWS::Partition>", "aws").replace("<AWS::AccountId>", ACCOUNT)
    )
    if text.startswith("<Storage"):
        return text.replace("<", "arn:aws:s3:::").replace(">", "")
    return text.replace("<", f"{IAM}role/").replace(">", "")


def refused(policy: dict[str, Any], *, principal: str, action: str, resource: str, **request: Any) -> bool:
    context = EvalContext(
        principal_arn=principal,
        principal_type="",
        principal_account=principal.split(":")[4] if principal else "",
        action=f"s3:{action}",
        resource_arn=f"arn:aws:s3:::{resource}",
        region="sa-east-1",
        secure_transport=request.pop("tls", True),
        service_context=request,
    )
    return evaluate_resource_policy(policy, context).decision == "Deny"


@pytest.fixture(scope="module")
def raw(document: dict[str, Any]) -> dict[str, Any]:
    return policy_of(document, "RawBucket")


@pytest.fixture(scope="module")
def refined(visual: dict[str, Any]) -> dict[str, Any]:
    return policy_of(visual, "RefinedBucket")


@pytest.mark.parametrize("action", WRITES)
@pytest.mark.parametrize("who", OTHERS)
def test_others_write_neither_raw_nor_refined(
    raw: dict[str, Any], refined: dict[str, Any], who: str, action: str
) -> None:
    for key in RAW_KEYS:
        assert refused(raw, principal=OTHERS[who], action=action, resource=f"StorageRawBucket/{key}")
    for key in (*REFINED_KEYS, SCRIPT_KEY):
        resource = f"StorageRefinedBucket/{key}"
        assert refused(refined, principal=OTHERS[who], action=action, resource=resource)


@pytest.mark.parametrize("action", WRITES)
@pytest.mark.parametrize("principal", [SCRAPER, BACKFILL, PERSON, SSO_PERSON, ROOT])
def test_raw_is_written_by_those_who_ingest_and_by_people_of_the_account(
    raw: dict[str, Any], principal: str, action: str
) -> None:
    for key in RAW_KEYS:
        assert not refused(raw, principal=principal, action=action, resource=f"StorageRawBucket/{key}")


@pytest.mark.parametrize("principal", [SCRAPER, BACKFILL, PERSON, SSO_PERSON, OWNER])
def test_refined_is_written_by_the_job_alone(refined: dict[str, Any], principal: str) -> None:
    for key in REFINED_KEYS:
        resource = f"StorageRefinedBucket/{key}"
        for action in WRITES:
            assert refused(refined, principal=principal, action=action, resource=resource)
            assert not refused(refined, principal=JOB, action=action, resource=resource)
            assert not refused(refined, principal=ROOT, action=action, resource=resource)


def test_the_job_writes_nothing_into_raw(raw: dict[str, Any]) -> None:
    for key in RAW_KEYS:
        assert refused(raw, principal=JOB, action="PutObject", resource=f"StorageRawBucket/{key}")


def test_the_script_that_glue_generates_is_written_for_the_job_s_owner_or_by_glue(
    refined: dict[str, Any],
) -> None:
    script = f"StorageRefinedBucket/{SCRIPT_KEY}"

    for principal in (JOB, OWNER, ROOT):
        assert not refused(refined, principal=principal, action="PutObject", resource=script)
    assert refused(refined, principal=PERSON, action="PutObject", resource=script)
    by_service = {"aws:principalisawsservice": "true"}
    assert not refused(refined, principal="", action="PutObject", resource=script, **by_service)
    # Which holds for the script alone
    table = f"StorageRefinedBucket/{REFINED_KEYS[0]}"
    assert refused(refined, principal="", action="PutObject", resource=table, **by_service)


def test_reading_is_left_to_everybody_s_own_permissions(raw: dict[str, Any], refined: dict[str, Any]) -> None:
    anybody = OTHERS["an administrator's role"]

    for action in ("GetObject", "GetObjectVersion", "ListBucket"):
        for policy, resource in ((raw, f"StorageRawBucket/{RAW_KEYS[0]}"), (refined, "StorageRefinedBucket")):
            assert not refused(policy, principal=anybody, action=action, resource=resource)


@pytest.mark.parametrize("bucket", ["RawBucket", "RefinedBucket", "QueryResultsBucket"])
def test_nobody_reaches_a_bucket_without_tls(document: dict[str, Any], bucket: str) -> None:
    policy = policy_of(document, bucket)

    for resource in (f"Storage{bucket}", f"Storage{bucket}/raw/a"):
        for principal in (SCRAPER, JOB, PERSON, ""):
            call = {"principal": principal, "action": "GetObject", "resource": resource}
            assert refused(policy, **call, tls=False)
            assert refused(policy, **call, **{"s3:tlsversion": "1.1"})
            assert not refused(policy, **call, **{"s3:tlsversion": "1.2"})


def test_the_operators_are_those_of_the_setting(changed: dict[str, Any]) -> None:
    policy = policy_of(changed, "RawBucket")
    resource = f"StorageRawBucket/{RAW_KEYS[0]}"

    for principal in (SCRAPER, ROOT, f"{IAM}role/Admin", LOADER):
        assert not refused(policy, principal=principal, action="PutObject", resource=resource)
    for principal in (PERSON, SSO_PERSON, f"{IAM}role/Administrator"):
        assert refused(policy, principal=principal, action="PutObject", resource=resource)


def test_without_operators_there_is_the_pipeline_alone(renamed: dict[str, Any]) -> None:
    policy = policy_of(renamed, "RawBucket")
    resource = f"StorageRawBucket/{RAW_KEYS[0]}"

    assert refused(policy, principal=PERSON, action="PutObject", resource=resource)
    assert not refused(policy, principal=SCRAPER, action="PutObject", resource=resource)


def test_the_statements_are_known_by_their_ids(visual: dict[str, Any]) -> None:
    """The teardown takes them out of the policies by these."""
    ids = {
        bucket: [each["Sid"] for each in policy_of(visual, bucket)["Statement"] if each["Sid"]]
        for bucket in ("RawBucket", "RefinedBucket", "QueryResultsBucket")
    }

    assert ids == {
        "RawBucket": [f"{RESERVED}Raw"],
        "RefinedBucket": [f"{RESERVED}Refined", f"{RESERVED}Script"],
        "QueryResultsBucket": [],
    }


def test_a_policy_of_a_hundred_operators_fits_into_what_s3_takes(changed: dict[str, Any]) -> None:
    assert len(CHANGED["operators"]) == 100
    assert len(json.dumps(policy_of(changed, "RawBucket"))) < 20 * 1024
