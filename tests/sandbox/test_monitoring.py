"""The deployed pipeline tells: its functions' lines and metrics, and whoever listens to the topic."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest

from operating.stack import outputs
from scraper.runtime.metrics import Metric
from tests.sandbox.deployed import MORNING_AFTER, SESSIONS, Deployed

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

STACK = "BovespaPipeline"


def printed_by(function: str) -> list[dict[str, Any]]:
    """The JSON lines in a function's log."""
    configuration = boto3.client("lambda").get_function_configuration(FunctionName=function)
    group = configuration["LoggingConfig"]["LogGroup"]
    pages = boto3.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    messages = (event["message"] for page in pages for event in page["events"])
    return [json.loads(message) for message in messages if message.startswith("{")]


def test_the_scraper_s_lines_and_metrics_are_in_its_log(in_sandbox: Deployed) -> None:
    names = in_sandbox.sandbox.deployment
    # The emulator sometimes has the end of an invocation's output only with the next one
    for _ in range(2):
        in_sandbox.pipeline.fire(in_sandbox.pipeline.schedule(), MORNING_AFTER)
    printed = printed_by(names.scraper_function)
    lines = [line for line in printed if line.get("scheduled_time", "").startswith("2025-03-14")]

    assert {line["session_date"] for line in lines} == {str(session) for session in SESSIONS}
    assert all(line["function_request_id"] for line in lines)
    results = [line["result"] for line in lines if "result" in line]
    assert {result["outcome"] for result in results} >= {"unchanged"}
    blobs = [line for line in lines if "_aws" in line]
    told: set[str] = set()
    for blob in blobs:
        (declared,) = blob["_aws"]["CloudWatchMetrics"]
        assert (declared["Namespace"], declared["Dimensions"]) == (STACK, [["service"]])
        assert blob["service"] == STACK
        told |= {metric["Name"] for metric in declared["Metrics"]}
    assert told == set(Metric)
    assert {blob["SessionsMissing"][0] for blob in blobs if "SessionsMissing" in blob} == {0.0}


def test_the_job_s_lines_have_run_and_session(deployed: Deployed) -> None:
    for run in deployed.job_runs:
        log = deployed.sandbox.aws.job_run_log(run.id).read_text()
        lines = [line for line in log.splitlines() if " s  " in line and "[run=" in line]
        assert lines[-1].lstrip().partition(" s  ")[2].startswith(f"done: {run.trade_date}; ")
        assert all(line.endswith(f"[run={run.id} session_date={run.trade_date}]") for line in lines)


@pytest.fixture
def inbox(in_sandbox: Deployed) -> Iterator[str]:
    """A queue that gets what the topic's subscribers get."""
    sqs, sns = boto3.client("sqs"), boto3.client("sns")
    queue = sqs.create_queue(QueueName=f"inbox-{uuid4()}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    subscription = sns.subscribe(
        TopicArn=outputs(STACK)["AlarmTopic"], Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    yield queue
    sns.unsubscribe(SubscriptionArn=subscription)
    sqs.delete_queue(QueueUrl=queue)


def received(queue: str, seconds: float = 10) -> list[str]:
    """The messages that arrive within some seconds, or the first one."""
    sqs, deadline = boto3.client("sqs"), time.monotonic() + seconds
    found: list[str] = []
    while time.monotonic() < deadline and not found:
        answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=1, MaxNumberOfMessages=10)
        found += [json.loads(message["Body"])["Message"] for message in answer.get("Messages", [])]
    return found


def test_a_run_of_the_job_that_failed_is_told_in_words(in_sandbox: Deployed, inbox: str) -> None:
    glue, job = boto3.client("glue"), in_sandbox.sandbox.deployment.glue_job_name
    run = glue.start_job_run(JobName=job, Arguments={"--trade_date": "2025-03-05"})["JobRunId"]
    (text,) = received(inbox, seconds=240)
    failed = glue.get_job_run(JobName=job, RunId=run)["JobRun"]
    assert (failed["JobRunState"], "no raw quotes" in failed["ErrorMessage"]) == ("FAILED", True)
    text = text.strip('"')
    assert text.startswith(f"{STACK}, glue-run-failed: Run {run} of the Glue job ended in state FAILED. ")
    assert f"aws glue get-job-run --job-name {job} --run-id {run} " in text
    assert text.endswith("Runbook: docs/runbook.md#glue-run-failed")


def test_an_alarm_is_told_with_what_to_do(inbox: str) -> None:
    boto3.client("cloudwatch").set_alarm_state(
        AlarmName=f"{STACK}-no-new-session", StateValue="ALARM", StateReason="test"
    )
    (text,) = received(inbox)
    told = json.loads(text)
    assert (told["AlarmName"], told["NewStateValue"]) == (f"{STACK}-no-new-session", "ALARM")
    assert "Runbook: docs/runbook.md#no-new-session" in told["AlarmDescription"]


def test_the_dashboard_is_there(in_sandbox: Deployed) -> None:
    dashboard = boto3.client("cloudwatch").get_dashboard(DashboardName=outputs(STACK)["Dashboard"])
    assert len(json.loads(dashboard["DashboardBody"])["widgets"]) == 13
