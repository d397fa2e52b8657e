"""What the shims add to MiniStack, seen through AWS's APIs."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import awswrangler as wr
import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sandbox.ministack import ACCOUNT, REPOSITORY, MiniStack

if TYPE_CHECKING:
    from mypy_boto3_athena.type_defs import WorkGroupConfigurationTypeDef

Run = dict[str, Any]


def in_a_process(code: str) -> subprocess.CompletedProcess[str]:
    """Run code that imports MiniStack, which reads the environment and starts threads when it is imported."""
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )


def deploy(template: dict[str, Any], stack: str, *, update: bool = False) -> None:
    cloudformation = boto3.client("cloudformation")
    body = json.dumps(template)
    if update:
        cloudformation.update_stack(StackName=stack, TemplateBody=body)
        waiter = cloudformation.get_waiter("stack_update_complete")
        waiter.wait(StackName=stack, WaiterConfig={"Delay": 1})
    else:
        cloudformation.create_stack(StackName=stack, TemplateBody=body)
        cloudformation.get_waiter("stack_create_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})


def delete(stack: str) -> None:
    cloudformation = boto3.client("cloudformation")
    cloudformation.delete_stack(StackName=stack)
    cloudformation.get_waiter("stack_delete_complete").wait(StackName=stack, WaiterConfig={"Delay": 1})


def test_another_version_of_ministack_is_refused() -> None:
    done = in_a_process(
        "from pathlib import Path; from sandbox import shims; shims.MINISTACK_VERSION = '1.0.0';"
        "shims.install(Path('nowhere'))"
    )
    assert done.returncode == 1
    assert "shims are for ministack 1.0.0, but 1.5.33 is installed" in done.stderr


def test_no_schedule_fires_by_itself() -> None:
    done = in_a_process(
        "import threading; from sandbox.shims import schedules; schedules.install(ready=False);"
        "from ministack.services import scheduler; scheduler.start_scheduler();"
        "print([thread.name for thread in threading.enumerate() if 'scheduler' in thread.name])"
    )
    assert done.stdout == "[]\n", done.stderr


def test_a_schedule_keeps_its_time_zone(aws: MiniStack) -> None:
    def template(hour: int) -> dict[str, Any]:
        properties = {
            "Name": "mornings",
            "ScheduleExpression": f"cron(0 {hour} * * ? *)",
            "ScheduleExpressionTimezone": "America/Sao_Paulo",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {
                "Arn": "arn:aws:lambda:us-east-1:000000000000:function:f",
                "RoleArn": "arn:aws:iam::000000000000:role/r",
            },
        }
        return {"Resources": {"Schedule": {"Type": "AWS::Scheduler::Schedule", "Properties": properties}}}

    stack = f"schedule-{uuid4()}"
    for hour, update in ((7, False), (9, True)):
        deploy(template(hour), stack, update=update)
        schedule = boto3.client("scheduler").get_schedule(Name="mornings")
        assert schedule["ScheduleExpression"] == f"cron(0 {hour} * * ? *)"
        assert schedule["ScheduleExpressionTimezone"] == "America/Sao_Paulo"


def test_cloudformation_creates_replaces_and_deletes_named_queries(aws: MiniStack) -> None:
    athena = boto3.client("athena")

    def template(**queries: str) -> dict[str, Any]:
        resources: dict[str, Any] = {
            name: {
                "Type": "AWS::Athena::NamedQuery",
                "Properties": {
                    "Name": name,
                    "Database": "default",
                    "QueryString": sql,
                    "WorkGroup": "primary",
                },
            }
            for name, sql in queries.items()
        }
        return {"Resources": resources, "Outputs": {"Id": {"Value": {"Ref": "One"}}}}

    def known() -> dict[str, str]:
        ids = athena.list_named_queries(WorkGroup="primary")["NamedQueryIds"]
        found = [athena.get_named_query(NamedQueryId=query)["NamedQuery"] for query in ids]
        return {query["Name"]: query["QueryString"] for query in found}

    stack = f"queries-{uuid4()}"
    deploy(template(One="SELECT 1", Two="SELECT 2"), stack)
    assert known() == {"One": "SELECT 1", "Two": "SELECT 2"}
    deploy(template(One="SELECT 11"), stack, update=True)
    assert known() == {"One": "SELECT 11"}
    cloudformation = boto3.client("cloudformation")
    (deployed,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    query = athena.get_named_query(NamedQueryId=deployed["Outputs"][0]["OutputValue"])
    assert query["NamedQuery"]["QueryString"] == "SELECT 11"
    delete(stack)
    assert known() == {}


def test_a_resource_names_its_stack_and_one_that_no_stack_has_is_an_error(aws: MiniStack) -> None:
    cloudformation, bucket = boto3.client("cloudformation"), f"owned-{uuid4().hex[:12]}"
    properties = {"BucketName": bucket}
    bucket_of_a_stack = {"Type": "AWS::S3::Bucket", "Properties": properties, "DeletionPolicy": "Retain"}
    deploy({"Resources": {"Bucket": bucket_of_a_stack}}, "Owner")
    (found,) = cloudformation.describe_stack_resources(PhysicalResourceId=bucket)["StackResources"]
    assert (found["StackName"], found["ResourceType"]) == ("Owner", "AWS::S3::Bucket")
    delete("Owner")
    with pytest.raises(cloudformation.exceptions.ClientError, match=f"Stack for {bucket} does not exist"):
        cloudformation.describe_stack_resources(PhysicalResourceId=bucket)


def test_an_alarm_on_an_expression_is_kept_with_its_window(aws: MiniStack) -> None:
    cloudwatch = boto3.client("cloudwatch")

    def template(threshold: int) -> dict[str, Any]:
        metric = {"Namespace": "N", "MetricName": "Missing", "Dimensions": [{"Name": "d", "Value": "v"}]}
        stat = {"Metric": metric, "Period": 86400, "Stat": "Minimum"}
        properties = {
            "AlarmName": "expression",
            "Metrics": [
                {"Id": "filled", "Expression": "FILL(missing, 1)"},
                {"Id": "missing", "MetricStat": stat, "ReturnData": False},
            ],
            "EvaluationWindow": {"WallClockWindow": {"Timezone": "+09:30"}},
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "EvaluationPeriods": 1,
            "Threshold": threshold,
            "TreatMissingData": "breaching",
        }
        return {"Resources": {"Alarm": {"Type": "AWS::CloudWatch::Alarm", "Properties": properties}}}

    stack = f"alarm-{uuid4()}"
    for threshold, update in ((1, False), (2, True)):
        deploy(template(threshold), stack, update=update)
        (alarm,) = cloudwatch.describe_alarms(AlarmNames=["expression"])["MetricAlarms"]
        expression, metric = alarm["Metrics"]
        assert expression["Expression"] == "FILL(missing, 1)"
        assert metric["MetricStat"]["Metric"]["MetricName"] == "Missing"
        assert metric["ReturnData"] is False
        assert alarm["EvaluationWindow"] == {"WallClockWindow": {"Timezone": "+09:30"}}
        assert (alarm["Threshold"], alarm["TreatMissingData"]) == (threshold, "breaching")
        assert "MetricName" not in alarm


def make_function(name: str, code: io.BytesIO, **settings: Any) -> None:
    boto3.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="index.handler",
        Role=f"arn:aws:iam::{ACCOUNT}:role/{name}",
        Code={"ZipFile": code.getvalue()},
        **settings,
    )


def test_a_function_of_many_files_is_unpacked_and_compiled_once(aws: MiniStack) -> None:
    functions, code = boto3.client("lambda"), io.BytesIO()
    said = "import used\ndef handler(event, context):\n    return [used.__file__, used.__cached__]\n"
    with zipfile.ZipFile(code, "w") as archive:
        for module, text in [("index", said), ("used", ""), *((f"other{each}", "") for each in range(100))]:
            archive.writestr(zipfile.ZipInfo(f"{module}.py"), text)
    places = []
    for name in (f"first-{uuid4()}", f"second-{uuid4()}"):
        make_function(name, code)
        answer = json.load(functions.invoke(FunctionName=name)["Payload"])
        places.append([Path(place).resolve() for place in answer])
        functions.delete_function(FunctionName=name)
    (unpacked, compiled), second = places
    assert second == [unpacked, compiled]
    assert unpacked.parent.parent == REPOSITORY / "build"
    assert compiled.is_file() is not sys.dont_write_bytecode  # as the environment asks, here and there


def test_a_dead_letter_is_the_event_itself_with_the_error_as_attributes(aws: MiniStack) -> None:
    sqs, functions, name = boto3.client("sqs"), boto3.client("lambda"), f"failing-{uuid4()}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    raise ValueError('no such thing')\n")
    make_function(name, code, DeadLetterConfig={"TargetArn": arn})
    functions.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    event = {"Records": [{"s3": {"object": {"key": "a%3Db"}}}]}
    functions.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event).encode())
    answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=20, MessageAttributeNames=["All"])
    (message,) = answer["Messages"]
    assert json.loads(message["Body"]) == event
    attributes = message["MessageAttributes"]
    assert attributes.keys() == {"RequestID", "ErrorCode", "ErrorMessage"}
    assert attributes["ErrorMessage"]["StringValue"] == "no such thing"


def test_a_query_result_is_where_athena_says(aws: MiniStack, bucket: str) -> None:
    athena, s3, group = boto3.client("athena"), boto3.client("s3"), f"group-{uuid4()}"
    configuration: WorkGroupConfigurationTypeDef = {
        "EnforceWorkGroupConfiguration": True,
        "ResultConfiguration": {"OutputLocation": f"s3://{bucket}/results/"},
    }
    athena.create_work_group(Name=group, Configuration=configuration)
    # awswrangler fetches the result from there
    frame = wr.athena.read_sql_query(
        "SELECT 'PETR4' AS ticker, 643 AS lines", database="default", workgroup=group, ctas_approach=False
    )
    assert frame.to_dict("records") == [{"ticker": "PETR4", "lines": 643}]
    (query,) = athena.list_query_executions(WorkGroup=group)["QueryExecutionIds"]
    execution = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
    assert execution["ResultConfiguration"]["OutputLocation"] == f"s3://{bucket}/results/{query}.csv"
    assert s3.get_object(Bucket=bucket, Key=f"results/{query}.csv")["Body"].read()


def query(sql: str, work_group: str, *values: str) -> list[list[str | None]]:
    """The rows of a query, as Athena gives them."""
    athena = boto3.client("athena")
    parameters: Any = {"ExecutionParameters": list(values)} if values else {}
    execution = athena.start_query_execution(QueryString=sql, WorkGroup=work_group, **parameters)
    name = execution["QueryExecutionId"]
    while True:
        status = athena.get_query_execution(QueryExecutionId=name)["QueryExecution"]["Status"]
        if status["State"] not in {"QUEUED", "RUNNING"}:
            break
        time.sleep(0.05)
    assert status["State"] == "SUCCEEDED", status
    rows = athena.get_query_results(QueryExecutionId=name)["ResultSet"]["Rows"]
    return [[datum.get("VarCharValue") for datum in row["Data"]] for row in rows[1:]]


@pytest.fixture
def work_group(bucket: str) -> str:
    name = f"group-{uuid4()}"
    boto3.client("athena").create_work_group(
        Name=name, Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{bucket}/results/"}}
    )
    return name


def test_cloudformation_creates_changes_renames_and_deletes_prepared_statements(aws: MiniStack) -> None:
    athena, cloudformation = boto3.client("athena"), boto3.client("cloudformation")

    def template(name: str, sql: str) -> dict[str, Any]:
        properties = {
            "StatementName": name,
            "WorkGroup": "primary",
            "QueryStatement": sql,
            "Description": "what it answers",
        }
        statement = {"Type": "AWS::Athena::PreparedStatement", "Properties": properties}
        return {"Resources": {"One": statement}, "Outputs": {"Name": {"Value": {"Ref": "One"}}}}

    def known() -> dict[str, str]:
        found = athena.list_prepared_statements(WorkGroup="primary")["PreparedStatements"]
        names = [statement["StatementName"] for statement in found]
        return {
            name: athena.get_prepared_statement(StatementName=name, WorkGroup="primary")["PreparedStatement"][
                "QueryStatement"
            ]
            for name in names
        }

    stack = f"statements-{uuid4()}"
    deploy(template("first", "SELECT 1 WHERE 1 = ?"), stack)
    assert known() == {"first": "SELECT 1 WHERE 1 = ?"}
    (deployed,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    assert deployed["Outputs"][0]["OutputValue"] == "first"
    deploy(template("first", "SELECT 2 WHERE 1 = ?"), stack, update=True)
    assert known() == {"first": "SELECT 2 WHERE 1 = ?"}
    deploy(template("second", "SELECT 2 WHERE 1 = ?"), stack, update=True)
    assert known() == {"second": "SELECT 2 WHERE 1 = ?"}
    delete(stack)
    assert known() == {}


def test_a_decimal_is_told_with_the_digits_after_its_point(work_group: str) -> None:
    """By MiniStack's own word it has none, and awswrangler would cut the cents off."""
    sql = "SELECT CAST(1.50 AS decimal(18, 2)) AS amount, CAST(NULL AS decimal(9, 3)) AS nothing, 2 AS count"
    athena = boto3.client("athena")
    query = athena.start_query_execution(QueryString=sql, WorkGroup=work_group)["QueryExecutionId"]
    wr.athena.wait_query(query)
    answer = athena.get_query_results(QueryExecutionId=query)["ResultSet"]
    columns = answer["ResultSetMetadata"]["ColumnInfo"]
    digits = [(column["Type"], column["Precision"], column["Scale"]) for column in columns]
    assert digits == [("decimal", 38, 2), ("decimal", 38, 0), ("integer", 10, 0)]


STATEMENT = """
SELECT name, day, amount  -- whose name is it?
FROM (
    VALUES ('a?', DATE '2026-11-19', 1.50), ('it''s', DATE '2026-11-18', 20), ('b', NULL, 3)
) AS t (name, day, amount)
WHERE (name = ? OR ? IS NULL) AND day >= ? AND amount < ?
"""


@pytest.mark.parametrize(
    ("using", "names"),
    [
        ("'a?', 1, DATE '2026-11-19', 2", ["a?"]),
        ("'it''s', 1, CAST('2026-11-18' AS DATE), 20.5", ["it's"]),
        ("'', NULL, DATE '2026-11-01' - INTERVAL '1' DAY, 1e3", ["a?", "it's"]),
        ("'none, of them', 1, DATE '2026-11-19', -1 + 3", []),
    ],
)
def test_a_prepared_statement_is_executed_with_values_of_each_type(
    work_group: str, using: str, names: list[str]
) -> None:
    boto3.client("athena").create_prepared_statement(
        StatementName="find_by", WorkGroup=work_group, QueryStatement=STATEMENT
    )
    assert [row[0] for row in query(f"EXECUTE find_by USING {using}", work_group)] == names
    assert [row[0] for row in query(f'execute "find_by"\n  using {using} ;', work_group)] == names


def test_values_can_be_given_beside_the_query(work_group: str) -> None:
    athena = boto3.client("athena")
    athena.create_prepared_statement(StatementName="find_by", WorkGroup=work_group, QueryStatement=STATEMENT)
    values = ("'a?'", "1", "DATE '2026-11-19'", "2")
    assert query("EXECUTE find_by", work_group, *values) == query(STATEMENT, work_group, *values)
    (newest, *_) = athena.list_query_executions(WorkGroup=work_group)["QueryExecutionIds"]
    execution = athena.get_query_execution(QueryExecutionId=newest)["QueryExecution"]
    assert execution["ExecutionParameters"] == list(values)
    assert "?" in execution["Query"] or execution["Query"] == "EXECUTE find_by"


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("EXECUTE find_by USING 'a', 1, DATE '2026-11-19'", "expected 4 but found 3"),
        ("EXECUTE find_by USING 'a', 1, DATE '2026-11-19', 2, 3", "expected 4 but found 5"),
        ("EXECUTE find_by", "expected 4 but found 0"),
        ("SELECT 1 WHERE 1 = ?", "expected 1 but found 0"),
        ("EXECUTE nobodys USING 1", "PreparedStatement nobodys was not found in workGroup group-"),
        ("EXECUTE find_by USING 'a', 1, 2, 3 FROM t", "expected values"),
        ("EXECUTE find_by USING 'a', , 2", "SYNTAX_ERROR"),
    ],
)
def test_a_wrong_number_of_values_is_refused(work_group: str, sql: str, reason: str) -> None:
    athena = boto3.client("athena")
    athena.create_prepared_statement(StatementName="find_by", WorkGroup=work_group, QueryStatement=STATEMENT)
    with pytest.raises(athena.exceptions.InvalidRequestException, match=reason):
        athena.start_query_execution(QueryString=sql, WorkGroup=work_group)
    assert athena.list_query_executions(WorkGroup=work_group)["QueryExecutionIds"] == []


def test_a_statement_belongs_to_its_work_group(work_group: str) -> None:
    athena = boto3.client("athena")
    athena.create_prepared_statement(
        StatementName="elsewhere", WorkGroup="primary", QueryStatement="SELECT 1 WHERE 1 = ?"
    )
    with pytest.raises(athena.exceptions.InvalidRequestException, match="was not found in workGroup"):
        athena.start_query_execution(QueryString="EXECUTE elsewhere USING 1", WorkGroup=work_group)
    athena.delete_prepared_statement(StatementName="elsewhere", WorkGroup="primary")


def test_a_table_s_partitions_are_those_of_the_catalog(work_group: str, bucket: str) -> None:
    glue, database = boto3.client("glue"), f"database_{uuid4().hex}"
    glue.create_database(DatabaseInput={"Name": database})
    location = f"s3://{bucket}/table"
    glue.create_table(
        DatabaseName=database,
        TableInput={
            "Name": "daily",
            "PartitionKeys": [{"Name": "trade_date", "Type": "date"}, {"Name": "ticker", "Type": "string"}],
            "StorageDescriptor": {"Columns": [{"Name": "volume", "Type": "int"}], "Location": location},
        },
    )
    table = f'"{database}"."daily$partitions"'
    assert query(f"SELECT * FROM {table}", work_group) == []  # noqa: S608 - names of ours, as below
    for values in (["2026-11-18", "IT'S"], ["2026-11-19", "ZXAA3"], ["2026-11-19", "ZXAB3"]):
        glue.create_partition(DatabaseName=database, TableName="daily", PartitionInput={"Values": values})
    # There is no file, and none of them is asked for
    counted = (
        f"SELECT trade_date, count(*) FROM {table} AS p WHERE p.trade_date > DATE '2026-11-18' GROUP BY 1"  # noqa: S608
    )
    assert query(counted, work_group) == [["2026-11-19", "2"]]
    assert query(f"SELECT ticker FROM {table} ORDER BY ticker LIMIT 1", work_group) == [["IT'S"]]  # noqa: S608
    last = f"WITH last AS (SELECT max(trade_date) AS day FROM {table}) SELECT day FROM last"  # noqa: S608
    assert query(last, work_group) == [["2026-11-19"]]
    glue.delete_database(Name=database)


@pytest.mark.parametrize("others", [0, 20], ids=["few files", "many files"])
def test_a_query_reads_a_table_s_objects_as_they_are(work_group: str, bucket: str, others: int) -> None:
    """Those that a query has read are kept for the next one, unless they are others meanwhile."""
    glue, s3, database = boto3.client("glue"), boto3.client("s3"), f"database_{uuid4().hex}"
    glue.create_database(DatabaseInput={"Name": database})
    glue.create_table(
        DatabaseName=database,
        TableInput={
            "Name": "daily",
            "Parameters": {"classification": "parquet"},
            "PartitionKeys": [{"Name": "ticker", "Type": "string"}],
            "StorageDescriptor": {
                "Columns": [{"Name": "volume", "Type": "int"}],
                "Location": f"s3://{bucket}/table/",
            },
        },
    )

    def put(ticker: str, *volumes: int, name: str = "part-00000.parquet") -> str:
        file, key = io.BytesIO(), f"table/ticker={ticker}/{name}"
        pq.write_table(pa.table({"volume": pa.array(volumes, pa.int32())}), file)
        s3.put_object(Bucket=bucket, Key=key, Body=file.getvalue())
        return key

    def rows() -> list[list[str | None]]:
        asked = f"""SELECT ticker, volume FROM "{database}"."daily" WHERE ticker < 'ZXB' ORDER BY 1, 2"""  # noqa: S608
        return query(asked, work_group)

    for number in range(others):
        put(f"ZXB{number}", number)
    put("ZXAA3", 1, 2)
    second = put("ZXAB3", 3)
    put("ZXAC3", 4, name="_hidden.parquet")
    assert rows() == rows() == [["ZXAA3", "1"], ["ZXAA3", "2"], ["ZXAB3", "3"]]
    put("ZXAA3", 5)
    s3.delete_object(Bucket=bucket, Key=second)
    assert rows() == [["ZXAA3", "5"]]
    put("ZXAA3", 1, 2)  # as it was at first
    assert rows() == [["ZXAA3", "1"], ["ZXAA3", "2"]]
    glue.delete_database(Name=database)


def test_a_query_that_fails_is_nothing_to_the_next(work_group: str) -> None:
    with pytest.raises(AssertionError, match="Conversion Error"):
        query("SELECT CAST('many' AS integer)", work_group)
    assert query("SELECT CAST('1' AS integer)", work_group) == [["1"]]


def test_a_query_is_in_athenas_sql_and_not_in_duckdbs(work_group: str) -> None:
    sql = """
    SELECT day_of_week(min(days.day)), approx_percentile(date_diff('day', DATE '2026-11-01', days.day), 0.5)
    FROM UNNEST(sequence(DATE '2026-11-22', DATE '2026-11-24', INTERVAL '1' DAY)) AS days (day)
    """
    # A Sunday is day 7
    assert query(sql, work_group) == [["7", "22"]]


@pytest.fixture
def bucket(aws: MiniStack) -> str:
    name = f"job-{uuid4()}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def make_job(bucket: str, script: str | None, **default_arguments: str) -> str:
    """Make a Spark job of a script, and return its name; without a script its address leads nowhere."""
    name = f"job-{uuid4()}"
    key = f"scripts/{name}.py"
    if script is not None:
        boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=script.encode())
    boto3.client("glue").create_job(
        Name=name,
        Role="arn:aws:iam::000000000000:role/r",
        Command={"Name": "glueetl", "ScriptLocation": f"s3://{bucket}/{key}"},
        DefaultArguments={f"--{argument}": value for argument, value in default_arguments.items()},
        GlueVersion="5.1",
        Timeout=5,
    )
    return name


def ended(job: str, runs: list[str], seen: set[str] | None = None) -> list[Run]:
    """Wait until the runs have ended; note the states that they had on the way."""
    glue = boto3.client("glue")
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        found: list[Any] = [glue.get_job_run(JobName=job, RunId=run)["JobRun"] for run in runs]
        if seen is not None:
            seen.update(run["JobRunState"] for run in found)
        if all(run["JobRunState"] in {"SUCCEEDED", "FAILED", "TIMEOUT"} for run in found):
            return found
        time.sleep(0.05)
    raise TimeoutError(f"job {job} has not ended: {found}")


def test_a_run_gets_the_jobs_arguments_with_its_own_in_front_of_them(bucket: str) -> None:
    script = (
        "import json, sys, boto3\n"
        "values = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
        "boto3.client('s3').put_object(Bucket=values['--out'], Key='seen', Body=json.dumps(values))\n"
    )
    job = make_job(bucket, script, out=bucket, mode="default", other="default")
    run = boto3.client("glue").start_job_run(JobName=job, Arguments={"--mode": "own"})["JobRunId"]
    assert [one["JobRunState"] for one in ended(job, [run])] == ["SUCCEEDED"]
    seen = json.loads(boto3.client("s3").get_object(Bucket=bucket, Key="seen")["Body"].read())
    assert (seen["--mode"], seen["--other"], seen["--JOB_RUN_ID"]) == ("own", "default", run)


def test_a_run_that_raises_fails_with_the_errors_last_line(bucket: str) -> None:
    job = make_job(bucket, "raise ValueError('no raw quotes of 2024-11-08')")
    run = boto3.client("glue").start_job_run(JobName=job)["JobRunId"]
    (failed,) = ended(job, [run])
    assert failed["JobRunState"] == "FAILED"
    assert failed["ErrorMessage"] == "ValueError: no raw quotes of 2024-11-08"


def test_a_run_whose_script_is_missing_fails(bucket: str) -> None:
    job = make_job(bucket, None)
    run = boto3.client("glue").start_job_run(JobName=job)["JobRunId"]
    (failed,) = ended(job, [run])
    assert failed["JobRunState"] == "FAILED"
    assert "Not Found" in failed["ErrorMessage"]


def test_runs_of_a_job_follow_one_another(bucket: str) -> None:
    script = (
        "import sys, time\n"
        "begun = time.time_ns()\n"
        "import boto3\n"
        "values = dict(zip(sys.argv[1::2], sys.argv[2::2]))\n"
        "put = boto3.client('s3').put_object\n"
        "put(Bucket=values['--out'], Key=values['--JOB_RUN_ID'], Body=f'{begun} {time.time_ns()}'.encode())\n"
    )
    glue, s3 = boto3.client("glue"), boto3.client("s3")
    job = make_job(bucket, script, out=bucket)
    runs = [glue.start_job_run(JobName=job)["JobRunId"] for _ in range(3)]
    seen: set[str] = set()
    assert [run["JobRunState"] for run in ended(job, runs, seen)] == ["SUCCEEDED"] * 3
    assert "WAITING" in seen
    spans = sorted(s3.get_object(Bucket=bucket, Key=run)["Body"].read().split() for run in runs)
    begins_and_ends = [int(instant) for span in spans for instant in span]
    assert begins_and_ends == sorted(begins_and_ends)


def test_a_run_that_is_stopped_ends_and_the_next_one_has_its_turn(bucket: str) -> None:
    glue = boto3.client("glue")
    stopped = make_job(bucket, "import time; time.sleep(600)")
    run = glue.start_job_run(JobName=stopped)["JobRunId"]
    while glue.get_job_run(JobName=stopped, RunId=run)["JobRun"]["JobRunState"] != "RUNNING":
        time.sleep(0.05)
    glue.batch_stop_job_run(JobName=stopped, JobRunIds=[run])
    job = make_job(bucket, "")
    assert [one["JobRunState"] for one in ended(job, [glue.start_job_run(JobName=job)["JobRunId"]])] == [
        "SUCCEEDED"
    ]
    assert glue.get_job_run(JobName=stopped, RunId=run)["JobRun"]["JobRunState"] == "STOPPED"


def test_spark_reads_writes_and_deletes_at_s3_paths(bucket: str, tmp_path: Path) -> None:
    script = """
import sys
from pyspark.sql import SparkSession
bucket = sys.argv[sys.argv.index("--data") + 1]
spark = SparkSession.builder.getOrCreate()
assert spark.version == "3.5.6", spark.version
numbers = spark.read.text(f"s3://{bucket}/in/numbers.txt").selectExpr("CAST(value AS int) AS number")
numbers.selectExpr("sum(number) AS total").coalesce(1).write.parquet(f"s3://{bucket}/out")
old = spark._jvm.org.apache.hadoop.fs.Path(f"s3://{bucket}/in/old.txt")
old.getFileSystem(spark._jsc.hadoopConfiguration()).delete(old, False)
raise RuntimeError("after its work")
"""
    s3 = boto3.client("s3")
    s3.put_object(Bucket=bucket, Key="in/numbers.txt", Body=b"1\n20\n300\n")
    s3.put_object(Bucket=bucket, Key="in/old.txt", Body=b"")
    job = make_job(bucket, script, data=bucket)
    run = boto3.client("glue").start_job_run(JobName=job)["JobRunId"]
    (failed,) = ended(job, [run])
    assert failed["ErrorMessage"] == "RuntimeError: after its work"
    # What it did before it failed is done
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    assert "in/old.txt" not in keys
    (parquet,) = [key for key in keys if key.endswith(".parquet")]
    s3.download_file(bucket, parquet, str(tmp_path / "total.parquet"))
    assert pq.read_table(tmp_path / "total.parquet").to_pylist() == [{"total": 321}]


def test_spark_has_no_mirror_of_the_bucket_that_a_script_writes_to_by_s3s_api(
    bucket: str, aws: MiniStack
) -> None:
    script = """
import sys, boto3
bucket = sys.argv[sys.argv.index("--refined_bucket") + 1]
boto3.client("s3").put_object(Bucket=bucket, Key="refined/a", Body=b"1")
"""
    job = make_job(bucket, script, refined_bucket=bucket)
    run = boto3.client("glue").start_job_run(JobName=job)["JobRunId"]
    assert [one["JobRunState"] for one in ended(job, [run])] == ["SUCCEEDED"]
    assert boto3.client("s3").get_object(Bucket=bucket, Key="refined/a")["Body"].read() == b"1"
    assert not (aws.mirror / bucket).exists()


def test_runs_share_a_java_until_one_does_not_end_well(bucket: str, aws: MiniStack) -> None:
    script = """
import os, sys
from pyspark.sql import SparkSession
java = SparkSession.builder.getOrCreate()._jvm.java.lang
java.System.err.println(f"Java {java.ProcessHandle.current().pid()}")
match sys.argv[-1]:
    case "fail":
        raise RuntimeError("the job's own")
    case "fail in Spark":
        SparkSession.builder.getOrCreate().sql("SELEC 1")
    case "die":
        os._exit(1)
"""
    glue = boto3.client("glue")
    job = make_job(bucket, script, data=bucket)

    def java_of(state: str, **arguments: str) -> str:
        run = glue.start_job_run(JobName=job, Arguments=arguments)["JobRunId"]
        assert [one["JobRunState"] for one in ended(job, [run])] == [state]
        (said,) = re.findall(r"^Java \d+$", aws.job_run_log(run).read_text(), re.MULTILINE)
        return str(said)

    first = java_of("SUCCEEDED")
    assert java_of("FAILED", **{"--how": "fail"}) == first
    assert java_of("FAILED", **{"--how": "fail in Spark"}) == first
    second = java_of("FAILED", **{"--how": "die"})
    assert second != first
    assert java_of("SUCCEEDED") != second


def test_a_stack_is_described_when_nobody_is_at_work_on_it_any_more(aws: MiniStack) -> None:
    cloudformation = aws.client("cloudformation")
    never_told = {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Condition": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "1"},
        },
    }
    begun = cloudformation.create_stack(
        StackName=f"waits-{uuid4().hex[:8]}", TemplateBody=json.dumps({"Resources": never_told})
    )
    (stack,) = cloudformation.describe_stacks(StackName=begun["StackId"])["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
