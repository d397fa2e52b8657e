"""Least privilege at work: the deployed functions and the job do all that they do with their roles alone.

The sandbox's AWS enforces permissions and writes down each decision (`sandbox.shims.authorization`). Here the
pipeline is brought to do what a quiet morning does not: tables and partitions that have to be put right,
files that have to go, history, and bytes that are refused. Then no call was refused; each permission was used
by one, or `tests/stack/roles.py` says why it is there; and without it a call would be refused.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest

import operating.backfill
from sandbox.b3.formats import zip_file
from sandbox.b3.server import Document
from sandbox.b3.sources import SimulatedSource
from scraper.__main__ import DONE, FILES_FAILED, main
from scraper.history.handler import invoke
from tests.leading import lead_to
from tests.sandbox.at_work import RoleAtWork, is_allowed, roles_at_work, unused
from tests.sandbox.deployed import MARKET, SESSIONS, Deployed, remove_sessions
from tests.stack.roles import ROLES
from tests.stack.synthesis import as_list

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

HISTORY = tuple(date(2023, 5, day) for day in (8, 9, 10))
LATER_DAILY, REFUSED = HISTORY[-1], date(2023, 5, 11)


class Damaged(SimulatedSource):
    """A B3 whose files are no quotes."""

    def quotes(self, name: str) -> Document | None:
        body = zip_file(b"not a quote\r\n", f"{name.removesuffix('.ZIP')}.TXT")
        return Document(
            body=body, content_type="application/zip", last_modified=datetime(2024, 1, 2, tzinfo=UTC)
        )


@pytest.fixture(scope="module")
def at_work(deployed: Deployed) -> Iterator[dict[str, RoleAtWork]]:
    """The roles by their logical id, after everything that makes one of them call something."""
    with pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        environment.setattr(operating.backfill, "invoke", partial(invoke, poll_seconds=0.2))
        try:
            _refine_over_damage(deployed)
            with deployed.b3.serving(SimulatedSource(HISTORY, MARKET)):
                _load_history(deployed)
            with deployed.b3.serving(Damaged([REFUSED], MARKET)):
                _refuse(deployed)
            yield roles_at_work(deployed.sandbox)
        finally:
            remove_sessions(deployed, [*HISTORY, REFUSED])


def _refine_over_damage(deployed: Deployed) -> None:
    """A table without its index and a column, a partition in the wrong place, files that are no more."""
    names, s3 = deployed.sandbox.deployment, boto3.client("s3")
    glue: Any = boto3.client("glue")  # its requests are made of its answers
    table = {"DatabaseName": names.refined_database, "Name": names.refined_table}
    kept = ("Name", "Description", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")
    before = glue.get_table(**table)["Table"]
    definition = {name: value for name, value in before.items() if name in kept}
    descriptor = definition["StorageDescriptor"]
    location = f"s3://{names.refined_bucket}/refined/trade_date={SESSIONS[0]}"
    ticker = next(ticker for session, ticker in deployed.pipeline.refined_folders() if session == SESSIONS[0])
    for key in (
        "refined/trade_date={}/ticker=GONE3/part-00000.parquet",
        "refined_compact/trade_date={}/x.parquet",
        "refined_index_members/trade_date={}/x.parquet",
    ):
        s3.put_object(Bucket=names.refined_bucket, Key=key.format(SESSIONS[0]))
    glue.delete_table(**table)
    glue.create_table(
        DatabaseName=names.refined_database,
        TableInput={
            **definition,
            "StorageDescriptor": {**descriptor, "Columns": descriptor["Columns"][:-1]},
        },
    )
    for value, where in ((ticker, f"{location}/elsewhere"), ("GONE3", f"{location}/ticker=GONE3")):
        glue.create_partition(
            DatabaseName=names.refined_database,
            TableName=names.refined_table,
            PartitionInput={
                "Values": [str(SESSIONS[0]), value],
                "StorageDescriptor": {**descriptor, "Location": where},
            },
        )
    run = glue.start_job_run(
        JobName=names.glue_job_name,
        Arguments={"--start_date": str(SESSIONS[0]), "--end_date": str(SESSIONS[-1])},
    )["JobRunId"]
    ended = deployed.pipeline.watch(run)
    assert (ended.state, ended.message) == ("SUCCEEDED", "")
    assert deployed.pipeline.registered_partitions() == deployed.pipeline.refined_folders()
    assert deployed.pipeline.compact_sessions() == list(SESSIONS)


def _load_history(deployed: Deployed) -> None:
    """By the function; then a day of it by the scraper, whose backfilled file goes; then all of it again."""
    names, s3 = deployed.sandbox.deployment, boto3.client("s3")
    before = deployed.pipeline.job_runs()
    command = ["backfill", "--from", str(HISTORY[0]), "--to", str(HISTORY[-1]), "--via", "lambda"]
    command += ["--no-refine", "--stack", names.work_group]
    # What an attempt that failed has left behind
    s3.put_object(Bucket=names.raw_bucket, Key="backfill/COTAHIST_A2023.failed.json", Body=b"{}")
    assert main(command) == DONE
    scrape(deployed, LATER_DAILY)
    partition = f"raw/cotahist/trade_date={LATER_DAILY}"
    assert _keys(names.raw_bucket, partition) == [f"{partition}/daily.parquet"]
    # What a writer leaves that ends between put and delete
    s3.put_object(Bucket=names.raw_bucket, Key=f"{partition}/backfill.parquet")
    # What an earlier load found to differ, and does no more
    revisions = f"raw/cotahist_revisions/trade_date={LATER_DAILY}/revisions.parquet"
    s3.put_object(Bucket=names.raw_bucket, Key=revisions)
    assert main([*command, "--refresh"]) == DONE
    assert _keys(names.raw_bucket, partition) == [f"{partition}/daily.parquet"]
    assert _keys(names.raw_bucket, revisions) == []
    _shorten(names.raw_bucket, f"{partition}/daily.parquet")
    assert main([*command, "--refresh"]) == DONE
    assert _keys(names.raw_bucket, revisions) == [revisions]
    scrape(deployed, LATER_DAILY)
    assert _keys(names.raw_bucket, revisions) == []
    deployed.pipeline.watch_job_runs([LATER_DAILY], before)


def _shorten(bucket: str, key: str) -> None:
    """Take the first line out of a daily file, as if the annual one had it since."""
    s3 = boto3.client("s3")
    quotes = pq.read_table(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    shorter = io.BytesIO()
    pq.write_table(quotes.slice(1), shorter)
    s3.put_object(Bucket=bucket, Key=key, Body=shorter.getvalue())


def _refuse(deployed: Deployed) -> None:
    """Bytes that the readers refuse, of a session and of a year."""
    names = deployed.sandbox.deployment
    scrape(deployed, REFUSED)
    command = ["backfill", "--from", "2022", "--to", "2022", "--via", "lambda", "--no-refine"]
    assert main([*command, "--stack", names.work_group]) == FILES_FAILED
    sources = {key.split("/")[2] for key in _keys(names.raw_bucket, "quarantine/cotahist/")}
    assert {str(REFUSED), "2022"} <= sources


def scrape(deployed: Deployed, session: date) -> str:
    """Have the scraper take a session; return its error, empty without one."""
    answer = boto3.client("lambda").invoke(
        FunctionName=deployed.sandbox.deployment.scraper_function,
        Payload=json.dumps({"date": str(session)}).encode(),
    )
    payload = json.loads(answer["Payload"].read())
    return str(payload["errorMessage"]) if "FunctionError" in answer else ""


def _keys(bucket: str, prefix: str) -> list[str]:
    listed = boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for item in listed.get("Contents", [])]


def test_every_role_of_the_stack_was_watched(at_work: dict[str, RoleAtWork]) -> None:
    assert set(at_work) == set(ROLES["script"])
    silent = {name for name, role in at_work.items() if not role.calls}
    assert silent == {"IngestionScheduleRole"}  # the sandbox fires the schedule itself


def test_no_call_of_a_role_was_refused(at_work: dict[str, RoleAtWork]) -> None:
    refused = [call for role in at_work.values() for call in role.calls if not call["allowed"]]
    # The runbook's test has the starter start a job that is none, and asks what comes of it
    assert [call for call in refused if not call["resource"].endswith(":job/none")] == []


def test_a_permission_that_no_call_has_used_has_its_reason(at_work: dict[str, RoleAtWork]) -> None:
    for name, role in at_work.items():
        expected = ROLES["script"][name].unseen
        assert {action for action, _ in unused(role)} == set(expected), (name, unused(role))
        assert all(len(reason.split()) > 4 for reason in expected.values())


def test_without_any_permission_that_was_used_a_call_would_be_refused(at_work: dict[str, RoleAtWork]) -> None:
    """So none is there twice, and taking one away does not go unnoticed."""
    taken_away = 0
    for name, role in at_work.items():
        for each in role.allowed:
            calls = [call for call in role.calls if each.covers(call)]
            rest = [other for other in role.allowed if other != each]
            assert not calls or not all(is_allowed(call, rest) for call in calls), (name, each)
            taken_away += bool(calls)
    assert taken_away > 30


def test_the_schedule_s_one_permission_is_on_the_function_that_it_invokes(
    at_work: dict[str, RoleAtWork], in_sandbox: Deployed
) -> None:
    (allowed,) = at_work["IngestionScheduleRole"].allowed
    assert allowed.action == "lambda:InvokeFunction"
    assert allowed.resource == in_sandbox.pipeline.schedule().target


def test_a_function_fails_when_a_permission_is_taken_away(
    at_work: dict[str, RoleAtWork], in_sandbox: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    iam, names = boto3.client("iam"), in_sandbox.sandbox.deployment
    function = boto3.client("lambda").get_function_configuration(FunctionName=names.scraper_function)
    role = function["Role"].rpartition("/")[2]
    (policy,) = iam.list_role_policies(RoleName=role)["PolicyNames"]
    document: Any = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    less = {**document, "Statement": [_without("s3:PutObject", each) for each in document["Statement"]]}
    session = date(2023, 5, 12)
    monkeypatch.setattr(in_sandbox.b3, "now", SimulatedSource([session], MARKET))
    iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(less))
    try:
        error = scrape(in_sandbox, session)
    finally:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
    assert "not authorized to perform: s3:PutObject" in error
    assert _keys(names.raw_bucket, f"raw/cotahist/trade_date={session}") == []


def _without(action: str, statement: dict[str, Any]) -> dict[str, Any]:
    return {**statement, "Action": [each for each in as_list(statement["Action"]) if each != action]}


def test_the_buckets_refuse_another_role_of_the_account_whatever_it_may_do(in_sandbox: Deployed) -> None:
    iam, names = boto3.client("iam"), in_sandbox.sandbox.deployment
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    everything = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    role = iam.create_role(RoleName="reports", AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    iam.put_role_policy(
        RoleName="reports", PolicyName="all", PolicyDocument=json.dumps({"Statement": [everything]})
    )
    session = boto3.client("sts").assume_role(RoleArn=role["Role"]["Arn"], RoleSessionName="test")
    credentials = session["Credentials"]
    s3 = boto3.client(
        "s3",
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
    )
    refined = next(iter(_keys(names.refined_bucket, "refined/")))
    try:
        for bucket, key in (
            (names.raw_bucket, "raw/cotahist/trade_date=2025-03-13/daily.parquet"),
            (names.raw_bucket, "raw/cotahist/trade_date=2025-03-14/daily.parquet"),
            (names.refined_bucket, refined),
            (names.refined_bucket, "refined_compact/trade_date=2025-03-14/part-00000.parquet"),
        ):
            for call in (s3.put_object, s3.delete_object):
                with pytest.raises(
                    s3.exceptions.ClientError, match="explicit deny in a resource-based policy"
                ):
                    call(Bucket=bucket, Key=key)
        # It is no other permission that is missing
        assert s3.get_object(Bucket=names.refined_bucket, Key=refined)["ContentLength"] > 0
        s3.put_object(Bucket=names.refined_bucket, Key="elsewhere", Body=b"")
    finally:
        boto3.client("s3").delete_object(Bucket=names.refined_bucket, Key="elsewhere")
        iam.delete_role_policy(RoleName="reports", PolicyName="all")
        iam.delete_role(RoleName="reports")
