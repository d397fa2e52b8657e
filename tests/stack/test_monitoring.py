"""Who is told, of what, and how: the topic, the alarms, the rules and the dashboard in the template."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest

from benchmarks import cost
from operating.range_run import size_of
from refinement import errors, log, run
from scraper.runtime.metrics import Metric
from stacks import monitoring
from stacks.config import REPOSITORY
from stacks.monitoring import Section, offset_of_midnight, session_deadline
from tests.stack.synthesis import CHANGED, as_list, function_of, resources, text_of

Document = dict[str, Any]

ALARMS = {
    Section.NO_NEW_SESSION,
    Section.SCRAPER_ERRORS,
    Section.QUARANTINE_USED,
    Section.DEAD_LETTERS_WAITING,
}
RULES = set(Section) - ALARMS


def topic_of(document: Document) -> str:
    ((logical_id, _),) = resources(document, "AWS::SNS::Topic")
    return logical_id


def alarms(document: Document) -> dict[str, dict[str, Any]]:
    """Properties of the alarms by the sections of the runbook."""
    found = (alarm["Properties"] for _, alarm in resources(document, "AWS::CloudWatch::Alarm"))
    return {alarm["AlarmName"].removeprefix("BovespaPipeline-"): alarm for alarm in found}


def rules(document: Document) -> dict[str, dict[str, Any]]:
    found = (rule["Properties"] for _, rule in resources(document, "AWS::Events::Rule"))
    return {re.findall(r"topic: ([\w-]+)\.", rule["Description"])[0]: rule for rule in found}


def template_of(rule: dict[str, Any]) -> str:
    (target,) = rule["Targets"]
    return text_of(target["InputTransformer"]["InputTemplate"])


def told(document: Document) -> dict[str, str]:
    """What a person reads, by the sections of the runbook."""
    descriptions = {section: alarm["AlarmDescription"] for section, alarm in alarms(document).items()}
    return descriptions | {section: template_of(rule) for section, rule in rules(document).items()}


# Who is told


def test_nobody_is_subscribed_unless_configured(document: Document, changed: Document) -> None:
    assert list(resources(document, "AWS::SNS::Subscription")) == []
    ((_, subscription),) = resources(changed, "AWS::SNS::Subscription")
    assert subscription["Properties"] == {
        "Protocol": "email",
        "Endpoint": "analyst@example.com",
        "TopicArn": {"Ref": topic_of(changed)},
    }


def test_alarms_and_rules_alone_publish_to_the_topic_and_over_tls_alone(document: Document) -> None:
    topic = topic_of(document)
    ((_, policy),) = resources(document, "AWS::SNS::TopicPolicy")
    assert policy["Properties"]["Topics"] == [{"Ref": topic}]
    by_principal = {
        json.dumps(statement["Principal"]): statement
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
    }
    for statement in by_principal.values():
        assert (statement["Action"], statement["Resource"]) == ("sns:Publish", {"Ref": topic})

    anybody = by_principal.pop('"*"')
    assert anybody["Effect"] == "Deny"
    assert anybody["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    of_alarms = by_principal.pop('{"Service": "cloudwatch.amazonaws.com"}')
    assert of_alarms["Effect"] == "Allow"
    assert of_alarms["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    sources = {text_of(arn) for arn in of_alarms["Condition"]["ArnEquals"]["aws:SourceArn"]}
    assert sources == {
        f"<{logical_id}.Arn>" for logical_id, _ in resources(document, "AWS::CloudWatch::Alarm")
    }
    # EventBridge takes no condition there ("Using resource-based policies for Amazon EventBridge")
    of_rules = by_principal.pop('{"Service": "events.amazonaws.com"}')
    assert (of_rules["Effect"], "Condition" in of_rules) == ("Allow", False)
    assert by_principal == {}


# Of what


def test_there_is_an_alarm_or_a_rule_for_each_section_and_each_tells_the_topic(either: Document) -> None:
    topic = {"Ref": topic_of(either)}
    assert alarms(either).keys() == ALARMS
    assert rules(either).keys() == RULES
    for alarm in alarms(either).values():
        assert alarm["AlarmActions"] == [topic]
        assert alarm.get("ActionsEnabled", True) is True
    for rule in rules(either).values():
        assert [target["Arn"] for target in rule["Targets"]] == [topic]
        assert rule["State"] == "ENABLED"


@pytest.mark.parametrize("section", Section)
def test_what_is_told_says_what_to_do_and_where_the_rest_is(document: Document, section: Section) -> None:
    text = told(document)[section]
    assert re.search(rf"\. What to do: [A-Za-z].+\. Runbook: docs/runbook\.md#{section}\"?$", text)
    assert len(text) < 1024  # CloudWatch's limit of a description


def test_a_fork_s_runbook_is_named_by_its_own_address(changed: Document) -> None:
    url = CHANGED["runbook_url"]
    for section, text in told(changed).items():
        assert f"Runbook: {url}#{section}" in text
    assert "docs/runbook.md" not in json.dumps(changed).replace(url, "")


@pytest.mark.parametrize("name", ["runbook.md", "runbook.pt-BR.md"])
def test_every_section_that_is_named_is_in_the_runbook(name: str) -> None:
    text = (REPOSITORY / "docs" / name).read_text(encoding="utf-8")
    headed = re.findall(r'^<a id="([\w-]+)"></a>\n+#{1,3} \S', text, flags=re.MULTILINE)
    assert set(Section) <= set(headed)
    assert len(headed) == len(set(headed))


def test_the_document_of_the_alarms_names_each_and_the_metrics(document: Document) -> None:
    text = (REPOSITORY / "docs" / "alarms.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (alarm|rule) on ", text, flags=re.MULTILINE))
    assert rows == {section: "alarm" if section in ALARMS else "rule" for section in Section}
    assert set(Metric) <= set(re.findall(r"`(\w+)`", text))


# No new session


def test_the_alarm_on_sessions_looks_at_the_best_run_of_a_morning_and_takes_none_for_a_bad_one(
    document: Document,
) -> None:
    alarm = alarms(document)[Section.NO_NEW_SESSION]
    expression, metric = alarm["Metrics"]
    assert (expression["Expression"], expression["ReturnData"]) == ("FILL(missing, 1)", True)
    assert (metric["Id"], metric["ReturnData"]) == ("missing", False)
    assert metric["MetricStat"] == {
        "Metric": {
            "Namespace": "BovespaPipeline",
            "MetricName": "SessionsMissing",
            "Dimensions": [{"Name": "service", "Value": "BovespaPipeline"}],
        },
        "Period": 86400,
        "Stat": "Minimum",
    }
    assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (1, 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["TreatMissingData"] == "breaching"
    assert alarm["EvaluationWindow"] == {"WallClockWindow": {"Timezone": "+09:30"}}


@pytest.mark.parametrize(
    ("hours", "deadline"),
    [
        ((7, 9, 11), time(11, 30)),
        ((7,), time(7, 30)),
        ((8, 19), time(8, 30)),  # the evening's run has the morning's session at hand
        ((13, 20), time(20, 30)),
        ((0,), time(0, 30)),
    ],
)
def test_a_session_is_due_half_an_hour_after_the_last_run_of_the_morning(
    hours: tuple[int, ...], deadline: time
) -> None:
    assert session_deadline(hours) == deadline


@pytest.mark.parametrize("hour", range(24))
@pytest.mark.parametrize("year", [2025, 2026, 2027])
def test_it_is_midnight_at_the_offset_when_it_is_the_deadline_in_sao_paulo(hour: int, year: int) -> None:
    offset = offset_of_midnight(time(hour, 30))
    assert re.fullmatch(r"[+-](0\d|1[0-2]):[0-5][05]", offset)
    for month in (1, 7):
        there = datetime.fromisoformat(f"{year}-0{month}-15T00:00:00{offset}")
        assert there.astimezone(ZoneInfo("America/Sao_Paulo")).time() == time(hour, 30)


def test_the_scraper_stamps_its_metrics_by_the_deadline_that_the_alarm_looks_at(changed: Document) -> None:
    variables = function_of(changed, "scraper.daily.handler.handler")["Environment"]["Variables"]
    assert variables["SESSION_DEADLINE"] == "10:30"  # of runs at 8 and at 10
    window = alarms(changed)[Section.NO_NEW_SESSION]["EvaluationWindow"]["WallClockWindow"]
    midnight = datetime.fromisoformat(f"2026-11-24T00:00:00{window['Timezone']}")
    assert midnight.astimezone(UTC) + timedelta(hours=-3) == datetime(2026, 11, 23, 10, 30, tzinfo=UTC)


# The other alarms


@pytest.mark.parametrize(
    ("section", "metric", "dimension"),
    [
        (Section.SCRAPER_ERRORS, ("AWS/Lambda", "Errors", "Sum"), "<IngestionScraper"),
        (Section.QUARANTINE_USED, ("BovespaPipeline", "FilesQuarantined", "Sum"), "BovespaPipeline"),
        (
            Section.DEAD_LETTERS_WAITING,
            ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum"),
            "<StarterDeadLetters",
        ),
    ],
)
def test_one_of_it_is_enough_and_nothing_is_no_news(
    document: Document, section: Section, metric: tuple[str, str, str], dimension: str
) -> None:
    alarm = alarms(document)[section]
    assert (alarm["Namespace"], alarm["MetricName"], alarm["Statistic"]) == metric
    ((value),) = (text_of(each["Value"]) for each in alarm["Dimensions"])
    assert value.startswith(dimension)
    assert (alarm["Threshold"], alarm["EvaluationPeriods"]) == (1, 1)
    assert alarm["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
    assert alarm["TreatMissingData"] == "notBreaching"


def test_a_morning_s_failures_are_one_message_and_the_next_morning_s_another(document: Document) -> None:
    # The runs are 4 hours apart at most, and 20 until the next morning
    for section in (Section.SCRAPER_ERRORS, Section.QUARANTINE_USED):
        assert 4 * 3600 < alarms(document)[section]["Period"] < 20 * 3600


def test_alarms_metrics_and_dashboard_stay_within_what_is_free(document: Document) -> None:
    assert len(alarms(document)) == cost.ALARMS == 4  # of ten
    assert len(Metric) == 9  # of ten
    ((_, dashboard),) = resources(document, "AWS::CloudWatch::Dashboard")  # of three
    assert len(list(metrics_of(body_of(dashboard)))) <= 50  # each


# Rules: whether they match is asked of an EventBridge


def matches(document: Document, section: Section, event: dict[str, Any]) -> bool:
    pattern = json.dumps(rules(document)[section]["EventPattern"])
    every_event = {
        "id": "1",
        "account": "000000000000",
        "time": "2026-11-24T10:00:00Z",
        "region": "us-east-1",
    }
    answer = boto3.client("events").test_event_pattern(
        EventPattern=re.sub(r'\{"Ref": "Refine\w+"\}', '"the-job"', pattern),
        Event=json.dumps({**every_event, "resources": [], **event}),
    )
    return answer["Result"]


def job_event(state: str, message: str | None = None, job: str = "the-job") -> dict[str, Any]:
    detail = {"jobName": job, "severity": "ERROR", "state": state, "jobRunId": "jr_1"}
    if message is not None:
        detail["message"] = message
    return {"source": "aws.glue", "detail-type": "Glue Job State Change", "detail": detail}


def which(document: Document, event: dict[str, Any]) -> set[Section]:
    return {section for section in RULES if matches(document, Section(section), event)}


@pytest.mark.parametrize(
    ("event", "section"),
    [
        (job_event("FAILED", "RefineError: no raw quotes: expected daily.parquet"), Section.GLUE_RUN_FAILED),
        (job_event("FAILED"), Section.GLUE_RUN_FAILED),
        (job_event("TIMEOUT", "Job run exceeded its timeout"), Section.GLUE_RUN_FAILED),
        (job_event("ERROR", "Internal service error"), Section.GLUE_RUN_FAILED),
        (
            job_event(
                "FAILED",
                f"Error Category: UNCLASSIFIED_ERROR; InvariantBroken: {errors.InvariantBroken('volume')}",
            ),
            Section.INVARIANT_BROKEN,
        ),
        (job_event("SUCCEEDED", "Job run succeeded"), None),
        (job_event("STOPPED", "stopped by a person"), None),
        (job_event("FAILED", "of another job", job="another"), None),
        (
            {
                "source": "aws.glue",
                "detail-type": "Glue Job Run Status",
                "detail": {
                    "jobName": "the-job",
                    "severity": "INFO",
                    "notificationCondition": {"NotifyDelayAfter": 10.0},
                    "state": "RUNNING",
                    "jobRunId": "jr_1",
                    "message": "Job is in RUNNING state",
                    "startedOn": "2026-11-24T10:00:00Z",
                },
            },
            Section.GLUE_RUN_TOO_LONG,
        ),
        (
            {
                "source": "aws.athena",
                "detail-type": "Athena Query State Change",
                "detail": {
                    "versionId": "0",
                    "currentState": "CANCELLED",
                    "previousState": "RUNNING",
                    "statementType": "DML",
                    "queryExecutionId": "01234567-0123-0123-0123-012345678901",
                    "workgroupName": "BovespaPipeline",
                    "sequenceNumber": "3",
                },
            },
            Section.ATHENA_CUTOFF_HIT,
        ),
        (
            {
                "source": "aws.athena",
                "detail-type": "Athena Query State Change",
                "detail": {"currentState": "CANCELLED", "workgroupName": "primary"},
            },
            None,
        ),
        (
            {
                "source": "aws.athena",
                "detail-type": "Athena Query State Change",
                "detail": {"currentState": "FAILED", "workgroupName": "BovespaPipeline"},
            },
            None,
        ),
    ],
)
@pytest.mark.usefixtures("aws")
def test_an_event_is_told_once_or_not_at_all(
    document: Document, event: dict[str, Any], section: Section | None
) -> None:
    assert which(document, event) == ({section} if section else set())


def test_the_words_by_which_the_rule_knows_a_broken_invariant_are_the_job_s(document: Document) -> None:
    assert monitoring.INVARIANT_BROKEN == errors.INVARIANT_BROKEN
    script = (REPOSITORY / "glue_scripts" / "visual.py").read_text(encoding="utf-8")
    assert script.count(f'"{errors.INVARIANT_BROKEN}: ') == 2


def test_the_text_of_a_rule_holds_nothing_that_would_need_escaping(document: Document) -> None:
    """EventBridge does not escape what it puts in; the message is a JSON text all the same."""
    for rule in rules(document).values():
        (target,) = rule["Targets"]
        transformer = target["InputTransformer"]
        paths = set(transformer["InputPathsMap"].values())
        # Names and states of AWS's own; an error's message could hold quotes and line breaks
        assert paths <= {
            "$.detail.jobRunId",
            "$.detail.jobName",
            "$.detail.state",
            "$.detail.queryExecutionId",
        }
        filled = re.sub(r"<[\w-]+>", "value", template_of(rule))
        assert isinstance(json.loads(filled), str)


def test_glue_reports_a_run_that_takes_half_of_its_time_out(
    document: Document, visual: Document, changed: Document
) -> None:
    for each, minutes in ((document, 10), (changed, 30)):
        ((_, job),) = resources(each, "AWS::Glue::Job")
        assert job["Properties"]["NotificationProperty"] == {"NotifyDelayAfter": minutes}
    ((_, graph),) = resources(visual, "Custom::VisualGlueJob")
    assert graph["Properties"]["NotificationProperty"] == {"NotifyDelayAfter": 10}
    # A range, whose time-out is its own, is not told by the job's
    size = size_of(sessions=9_925, partitions=4_432_243, compact_only=False)
    assert size.told_after_minutes == size.timeout_minutes // 2 > 60


# The dashboard

DOCUMENTED = {
    "AWS/Lambda": ({"Duration", "Errors"}, {"FunctionName"}),
    "AWS/SQS": ({"ApproximateNumberOfMessagesVisible"}, {"QueueName"}),
    "AWS/S3": ({"BucketSizeBytes"}, {"BucketName", "StorageType"}),
    "AWS/Events": ({"TriggeredRules"}, {"RuleName"}),
}
"""Metrics of AWS's that there are, with their dimensions, as its guides list them."""


def body_of(dashboard: dict[str, Any]) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(text_of(dashboard["Properties"]["DashboardBody"]))
    return body


@pytest.fixture
def body(document: Document) -> dict[str, Any]:
    ((_, dashboard),) = resources(document, "AWS::CloudWatch::Dashboard")
    return body_of(dashboard)


def metrics_of(body: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of each metric that the dashboard's graphs read."""
    for widget in body["widgets"]:
        for line in widget["properties"].get("metrics", []):
            if isinstance(line[0], dict):  # an expression
                continue
            namespace, name, *pairs = (each for each in line if not isinstance(each, dict))
            yield namespace, name, dict(zip(pairs[::2], pairs[1::2], strict=True))


def test_every_metric_on_the_dashboard_is_one_that_there_is(document: Document, body: dict[str, Any]) -> None:
    seen: dict[str, set[str]] = {}
    for namespace, name, dimensions in metrics_of(body):
        seen.setdefault(namespace, set()).add(name)
        if namespace == "BovespaPipeline":
            assert dimensions == {"service": "BovespaPipeline"}
            continue
        names, wanted = DOCUMENTED[namespace]
        assert name in names
        assert dimensions.keys() == wanted
    assert seen.pop("BovespaPipeline") == set(Metric)
    assert seen == {namespace: names for namespace, (names, _) in DOCUMENTED.items()}


def test_the_dashboard_asks_for_what_athena_scanned_in_the_workgroup(body: dict[str, Any]) -> None:
    (widget,) = (each for each in body["widgets"] if "Athena, scanned" in each["properties"].get("title", ""))
    ((expression,),) = widget["properties"]["metrics"]
    # Of whichever dimensions beside it, such as the query's state
    search = 'Namespace="AWS/Athena" MetricName="ProcessedBytes" WorkGroup="BovespaPipeline"'
    assert expression["expression"] == f"SEARCH('{search}', 'Sum', 86400)"


def test_a_long_name_of_a_stack_leaves_room_for_those_of_its_alarms(renamed: Document) -> None:
    for _, rule in resources(renamed, "AWS::Events::Rule"):
        assert "Name" not in rule["Properties"]  # EventBridge takes 64 characters
    for _, alarm in resources(renamed, "AWS::CloudWatch::Alarm"):
        assert len(alarm["Properties"]["AlarmName"]) <= 255


def test_the_dashboard_reads_this_stack_s_resources_alone(document: Document, body: dict[str, Any]) -> None:
    kinds = {
        "FunctionName": "AWS::Lambda::Function",
        "QueueName": "AWS::SQS::Queue",
        "BucketName": "AWS::S3::Bucket",
        "RuleName": "AWS::Events::Rule",
    }
    for _, _, dimensions in metrics_of(body):
        for dimension, kind in kinds.items():
            if dimension in dimensions:
                logical_id = dimensions[dimension].strip("<>").partition(".")[0]
                assert document["Resources"][logical_id]["Type"] == kind


def test_the_dashboard_is_one_page_without_gaps_or_overlaps(body: dict[str, Any]) -> None:
    cells: set[tuple[int, int]] = set()
    for widget in body["widgets"]:
        for x in range(widget["x"], widget["x"] + widget["width"]):
            for y in range(widget["y"], widget["y"] + widget["height"]):
                assert x < 24
                assert (x, y) not in cells
                cells.add((x, y))
    height = max(y for _, y in cells) + 1
    assert len(cells) == 24 * height
    assert height <= 30
    titles = [widget["properties"].get("title", "") for widget in body["widgets"]]
    for what in ("Sessions", "Rows", "Volume", "longest run", "Glue job", "GiB s", "Athena", "Files", "told"):
        assert any(what in title for title in titles), what


def test_the_dashboard_shows_every_alarm(document: Document, body: dict[str, Any]) -> None:
    (status,) = (widget for widget in body["widgets"] if widget["type"] == "alarm")
    assert {arn.strip("<>") for arn in status["properties"]["alarms"]} == {
        f"{logical_id}.Arn" for logical_id, _ in resources(document, "AWS::CloudWatch::Alarm")
    }


def test_functions_cost_by_their_own_memory(document: Document, body: dict[str, Any]) -> None:
    (widget,) = (each for each in body["widgets"] if "GiB s" in each["properties"].get("title", ""))
    expression, *durations = widget["properties"]["metrics"]
    memory = {
        f"<{logical_id}>": function["Properties"].get("MemorySize", 128)
        for logical_id, function in resources(document, "AWS::Lambda::Function")
    }
    said = dict(re.findall(r"(\w+) / 1000 \* ([\d.]+)", expression[0]["expression"]))
    ids = {line[-1]["id"]: memory[line[3]] for line in durations}
    assert {name: float(gib) * 1024 for name, gib in said.items()} == ids
    assert sorted(ids.values()) == [128, 1024, 2048]


def test_the_table_of_job_runs_is_read_off_the_line_with_which_a_run_ends(
    body: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (widget,) = (each for each in body["widgets"] if each["type"] == "log")
    query = widget["properties"]["query"]
    assert "SOURCE '<RefineOutputLogs" in query
    assert "seconds * 2 as dpu_seconds" in query
    expression = re.search(r"parse @message /(.+)/$", query, flags=re.MULTILINE)
    assert expression

    first, last = (datetime(2024, 11, day, tzinfo=UTC).date() for day in (4, 8))
    phases = log.Phases()
    with phases.of("rows"), phases.of("files"):
        pass
    names = ["--raw_bucket", "r", "--refined_bucket", "f", "--refined_database", "d", "--refined_table", "t"]
    dates = ["--start_date", str(first), "--end_date", str(last), "--JOB_RUN_ID", "jr_0f3a"]
    monkeypatch.setattr(log, "_run", "")
    log.label(run.parse_arguments([*dates, *names]))
    log.line(f"done: {log.span([first, last])}; {phases}")
    line = capsys.readouterr().out.rstrip("\n")

    found = re.search(expression[1].replace("(?<", "(?P<"), line)
    assert found
    assert float(found["seconds"]) >= 0
    assert found["phases"] == "files 0.00 s, rows 0.00 s"
    assert (found["run"], found["session_date"]) == ("jr_0f3a", "2024-11-04/2024-11-08")


# Logs


def test_lambda_writes_its_own_lines_as_json_too(document: Document) -> None:
    formats = {
        function["Properties"]["Handler"]: function["Properties"]["LoggingConfig"].get("LogFormat")
        for logical_id, function in resources(document, "AWS::Lambda::Function")
        if not logical_id.startswith("BucketNotifications")
    }
    assert formats == {
        "scraper.daily.handler.handler": "JSON",
        "scraper.history.handler.handler": "JSON",
        "index.handler": "JSON",
    }


def test_lines_and_metrics_name_the_stack(document: Document) -> None:
    services = [
        as_list(function["Properties"]["Environment"]["Variables"].get("POWERTOOLS_SERVICE_NAME"))
        for _, function in resources(document, "AWS::Lambda::Function")
        if function["Properties"]["Handler"].startswith("scraper.")
    ]
    assert services == [["BovespaPipeline"], ["BovespaPipeline"]]
