"""Athena for Apache Spark as an option: nothing without `athena_notebook`, least privilege with it.

What cfn-lint says of it is in `test_checks.py`.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.stack.synthesis import RENAMED, as_list, permissions, policy_statements, resources, text_of

ROLE = "SparkNotebooksRole"


def here(service: str, resource: str) -> str:
    return f"arn:<AWS::Partition>:{service}:<AWS::Region>:<AWS::AccountId>:{resource}"


WORKGROUP = here("athena", "workgroup/BovespaPipeline-spark")
LOGS = here("logs", "log-group:/aws-athena/BovespaPipeline-spark")


@pytest.fixture(scope="module")
def workgroup(spark: dict[str, Any]) -> dict[str, Any]:
    (properties,) = (
        each["Properties"]
        for logical_id, each in resources(spark, "AWS::Athena::WorkGroup")
        if logical_id.startswith("Spark")
    )
    return dict(properties)


def test_without_the_option_the_template_is_the_same_less_what_is_spark_s(
    document: dict[str, Any], spark: dict[str, Any]
) -> None:
    more = {name for name in spark["Resources"] if name.startswith("SparkNotebooks")}
    assert sorted(spark["Resources"][name]["Type"] for name in more) == [
        "AWS::Athena::WorkGroup",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Logs::LogGroup",
    ]
    less = {
        **spark,
        "Resources": {name: each for name, each in spark["Resources"].items() if name not in more},
        "Outputs": {name: each for name, each in spark["Outputs"].items() if not name.startswith("Spark")},
    }
    assert less == document


def test_the_workgroup_s_engine_is_the_one_with_notebooks_in_the_console(workgroup: dict[str, Any]) -> None:
    assert workgroup["Name"] == "BovespaPipeline-spark"
    configuration = workgroup["WorkGroupConfiguration"]
    assert configuration["EngineVersion"] == {"SelectedEngineVersion": "PySpark engine version 3"}
    assert text_of(configuration["ExecutionRole"]).startswith(f"<{ROLE}")


def test_results_are_encrypted_and_lie_where_they_expire(
    spark: dict[str, Any], workgroup: dict[str, Any]
) -> None:
    configuration = workgroup["WorkGroupConfiguration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    results = configuration["ResultConfiguration"]
    assert results["EncryptionConfiguration"] == {"EncryptionOption": "SSE_S3"}
    bucket, key = re.fullmatch(r"s3://<(\w+)>/(.*)", text_of(results["OutputLocation"])).groups()  # type: ignore[union-attr]
    assert key == "results/spark"
    rules = spark["Resources"][bucket]["Properties"]["LifecycleConfiguration"]["Rules"]
    assert [rule["ExpirationInDays"] for rule in rules if rule.get("Prefix") == "results/"] == [7]


def test_athena_s_log_group_is_the_stack_s_so_that_its_logs_expire(spark: dict[str, Any]) -> None:
    (group,) = (
        each for name, each in resources(spark, "AWS::Logs::LogGroup") if name.startswith("SparkNotebooks")
    )
    assert group["Properties"]["LogGroupName"] == "/aws-athena/BovespaPipeline-spark"
    assert group["Properties"]["RetentionInDays"] == 30
    assert group["DeletionPolicy"] == "Delete"


def test_the_role_is_assumed_by_athena_for_this_workgroup_of_this_account_alone(
    spark: dict[str, Any],
) -> None:
    (role,) = (each for name, each in resources(spark, "AWS::IAM::Role") if name.startswith(ROLE))
    properties = role["Properties"]
    (statement,) = properties["AssumeRolePolicyDocument"]["Statement"]
    condition = statement.pop("Condition")
    assert statement == {
        "Effect": "Allow",
        "Action": "sts:AssumeRole",
        "Principal": {"Service": "athena.amazonaws.com"},
    }
    assert condition["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert text_of(condition["ArnLike"]["aws:SourceArn"]) == WORKGROUP
    assert condition.keys() == {"StringEquals", "ArnLike"}
    assert not {"ManagedPolicyArns", "Policies"} & properties.keys()


def test_the_role_reads_the_lake_and_writes_its_results_and_nothing_else(spark: dict[str, Any]) -> None:
    allowed = permissions(spark, ROLE)
    (charts,) = (where for where in allowed["s3:GetObject"] if where.endswith(".zip"))
    assert re.fullmatch(r"arn:<AWS::Partition>:s3:::cdk-hnb659fds-assets-[^*]+/<hash>\.zip", charts)
    results = "<StorageQueryResultsBucket>/results/spark/*"
    catalog = {
        here("glue", resource)
        for resource in (
            "catalog",
            "database/bovespa",
            "database/default",
            "database/global_temp",
            "table/bovespa/index_level",
            "table/default/bovespa_daily",
            "table/default/bovespa_daily_compact",
            "table/default/bovespa_index_members",
            "table/default/bovespa_events",
            "table/default/bovespa_factors",
        )
    }
    streams = {LOGS, f"{LOGS}:log-stream:*"}
    assert allowed == {
        "s3:ListBucket": {"<StorageRawBucket>", "<StorageRefinedBucket>", "<StorageQueryResultsBucket>"},
        "s3:GetObject": {
            "<StorageRawBucket>/raw/cotahist/*",
            "<StorageRawBucket>/raw/index_level/*",
            "<StorageRawBucket>/raw/index_portfolio/*",
            "<StorageRefinedBucket>/refined/*",
            "<StorageRefinedBucket>/refined_compact/*",
            "<StorageRefinedBucket>/refined_index_members/*",
            "<StorageRefinedBucket>/refined_events/*",
            "<StorageRefinedBucket>/refined_factors/*",
            results,
            charts,
        },
        "s3:PutObject": {results},
        "s3:DeleteObject": {results},
        "glue:GetDatabase": catalog,
        "glue:GetTable": catalog,
        "glue:GetPartition": catalog,
        "glue:GetPartitions": catalog,
        "logs:CreateLogGroup": streams,
        "logs:CreateLogStream": streams,
        "logs:DescribeLogStreams": streams,
        "logs:PutLogEvents": streams,
        "logs:DescribeLogGroups": {here("logs", "log-group:*")},
        "cloudwatch:PutMetricData": {"*"},
        # https://docs.aws.amazon.com/athena/latest/ug/notebooks-spark-troubleshooting-workgroups.html
        "athena:GetWorkGroup": {WORKGROUP},
        "athena:CreatePresignedNotebookUrl": {WORKGROUP},
        "athena:TerminateSession": {WORKGROUP},
        "athena:GetSession": {WORKGROUP},
        "athena:GetSessionStatus": {WORKGROUP},
        "athena:ListSessions": {WORKGROUP},
        "athena:StartCalculationExecution": {WORKGROUP},
        "athena:GetCalculationExecutionCode": {WORKGROUP},
        "athena:StopCalculationExecution": {WORKGROUP},
        "athena:ListCalculationExecutions": {WORKGROUP},
        "athena:GetCalculationExecution": {WORKGROUP},
        "athena:GetCalculationExecutionStatus": {WORKGROUP},
        "athena:ListExecutors": {WORKGROUP},
        "athena:ExportNotebook": {WORKGROUP},
        "athena:UpdateNotebook": {WORKGROUP},
    }


def test_listing_is_confined_to_the_lake_s_folders_and_metrics_to_athena_s_namespace(
    spark: dict[str, Any],
) -> None:
    conditions = {
        action: each["Condition"]
        for each in policy_statements(spark, ROLE)
        for action in as_list(each["Action"])
        if "Condition" in each and action != "s3:ListBucket"
    }
    assert conditions == {
        "cloudwatch:PutMetricData": {"StringEquals": {"cloudwatch:namespace": "AmazonAthenaForApacheSpark"}}
    }
    prefixes = [
        each["Condition"]["StringLikeIfExists"]["s3:prefix"]
        for each in policy_statements(spark, ROLE)
        if as_list(each["Action"]) == ["s3:ListBucket"]
    ]
    assert sorted(prefixes) == [
        ["raw/cotahist/*", "raw/index_portfolio/*", "raw/index_level/*"],
        [f"refined{folder}/*" for folder in ("", "_compact", "_index_members", "_events", "_factors")],
        ["results/spark*"],
    ]


def test_names_follow_the_stack_s_and_the_refined_table_s(renamed: dict[str, Any]) -> None:
    allowed = permissions(renamed, ROLE)
    name = RENAMED["stack_name"]
    assert allowed["athena:StartCalculationExecution"] == {here("athena", f"workgroup/{name}-spark")}
    assert allowed["glue:GetTable"] == {
        here("glue", resource)
        for resource in (
            "catalog",
            "database/default",
            "database/global_temp",
            "database/lake",
            "database/quotes",
            "table/quotes/index_level",
            "table/lake/daily",
            "table/lake/daily_compact",
            "table/lake/daily_index_members",
            "table/lake/daily_events",
            "table/lake/daily_factors",
        )
    }
