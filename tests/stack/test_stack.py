"""What the template says of the resources that the pipeline consists of."""

from __future__ import annotations

import json
import re
from datetime import time
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from operating.estimate import LAMBDA_MEMORY_GB, LAMBDA_STORAGE_GB
from refinement import columns
from scraper.b3.client import YEAR_MAX_BYTES
from scraper.history.handler import DOWNLOAD_SECONDS
from scraper.runtime.settings import BUNDLE, Settings
from stacks.bundling import EXTRA_CA_NAME
from stacks.config import REPOSITORY
from stacks.named_query import NAMED_QUERIES
from tests.stack.synthesis import assemble, function_of, resources, text_of

BUCKETS = ("RawBucket", "RefinedBucket", "QueryResultsBucket")


def _bucket(document: dict[str, Any], name: str) -> dict[str, Any]:
    (bucket,) = (
        bucket
        for logical_id, bucket in resources(document, "AWS::S3::Bucket")
        if f"Storage{name}" in logical_id
    )
    return bucket


def _rules(document: dict[str, Any], name: str) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = _bucket(document, name)["Properties"]["LifecycleConfiguration"]["Rules"]
    return rules


# Buckets


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_private_encrypted_and_versioned(document: dict[str, Any], name: str) -> None:
    properties = _bucket(document, name)["Properties"]

    assert properties["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "BlockPublicPolicy": True,
        "IgnorePublicAcls": True,
        "RestrictPublicBuckets": True,
    }
    assert properties["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert properties["BucketEncryption"]["ServerSideEncryptionConfiguration"] == [
        {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    ]
    assert properties["VersioningConfiguration"] == {"Status": "Enabled"}


def test_every_bucket_refuses_requests_without_tls(document: dict[str, Any]) -> None:
    refused: dict[str, set[str]] = {}
    for _, policy in resources(document, "AWS::S3::BucketPolicy"):
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            assert statement["Effect"] == "Deny"
            assert statement["Principal"] == {"AWS": "*"}
            if statement["Action"] != "s3:*":  # who may write (test_bucket_policies.py)
                continue
            refused.setdefault(policy["Properties"]["Bucket"]["Ref"], set()).add(
                json.dumps(statement["Condition"])
            )

    assert set(refused) == {logical_id for logical_id, _ in resources(document, "AWS::S3::Bucket")}
    for conditions in refused.values():
        assert json.dumps({"Bool": {"aws:SecureTransport": "false"}}) in conditions
        assert json.dumps({"NumericLessThan": {"s3:TlsVersion": 1.2}}) in conditions


@pytest.mark.parametrize("name", BUCKETS)
def test_what_uploads_and_replaced_versions_leave_behind_goes(document: dict[str, Any], name: str) -> None:
    (general,) = (rule for rule in _rules(document, name) if "Prefix" not in rule)

    assert general["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    assert general["NoncurrentVersionExpiration"] == {"NoncurrentDays": 30}
    assert general["ExpiredObjectDeleteMarker"] is True
    assert "ExpirationInDays" not in general


@pytest.mark.parametrize(
    ("name", "prefix", "days"),
    [
        ("RawBucket", "quarantine/", 90),
        ("QueryResultsBucket", "results/", 7),
    ],
)
def test_only_what_is_temporary_expires(document: dict[str, Any], name: str, prefix: str, days: int) -> None:
    expiring = {
        rule.get("Prefix"): rule["ExpirationInDays"]
        for rule in _rules(document, name)
        if "ExpirationInDays" in rule
    }

    assert expiring == {prefix: days}


def test_the_removal_policy_decides_what_becomes_of_the_data_and_of_what_protects_them(
    document: dict[str, Any], changed: dict[str, Any]
) -> None:
    """A first deployment that fails leaves nothing: CloudFormation's guide on RetainExceptOnCreate."""
    for template, policies in (
        (document, ("RetainExceptOnCreate", "Retain")),
        (changed, ("Delete", "Delete")),
    ):
        kept = [*resources(template, "AWS::S3::Bucket"), *resources(template, "AWS::S3::BucketPolicy")]
        assert len(kept) == 6
        for _, one in kept:
            assert (one["DeletionPolicy"], one["UpdateReplacePolicy"]) == policies


def test_the_workgroup_goes_with_the_stack_whatever_has_been_asked_in_it(
    document: dict[str, Any], changed: dict[str, Any]
) -> None:
    """Or `cdk destroy` stops: of one with a history Athena says that it is not empty."""
    for template in (document, changed):
        ((_, workgroup),) = resources(template, "AWS::Athena::WorkGroup")
        assert workgroup["Properties"]["RecursiveDeleteOption"] is True


# Ingestion


def test_the_schedule_runs_the_scraper_three_times_a_morning_in_sao_paulo(document: dict[str, Any]) -> None:
    ((_, schedule),) = resources(document, "AWS::Scheduler::Schedule")
    ((scraper, _),) = (
        item
        for item in resources(document, "AWS::Lambda::Function")
        if item[1]["Properties"]["Handler"] == "scraper.daily.handler.handler"
    )
    properties = schedule["Properties"]
    target = properties["Target"]

    assert properties["ScheduleExpression"] == "cron(0 7,9,11 * * ? *)"
    assert properties["ScheduleExpressionTimezone"] == "America/Sao_Paulo"
    assert properties["State"] == "ENABLED"
    assert json.loads(target["Input"]) == {"scheduled_time": "<aws.scheduler.scheduled-time>"}
    assert text_of(target["Arn"]) == f"<{scraper}.Arn>"
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 3}


def test_the_scraper_gets_its_settings_and_the_layer_of_the_region(
    template: Template, document: dict[str, Any]
) -> None:
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Handler": "scraper.daily.handler.handler",
            "Runtime": "python3.13",
            "Architectures": ["x86_64"],
            "MemorySize": 1024,
            "Timeout": 900,
            "Environment": {
                "Variables": {
                    "RAW_BUCKET": {"Ref": Match.string_like_regexp("StorageRawBucket")},
                    "QUOTES_BASE_URL": "https://bvmf.bmfbovespa.com.br",
                    "INDEX_BASE_URL": "https://sistemaswebb3-listados.b3.com.br",
                    "INDEX_CODES": "IBOV",
                    "LOOKBACK_SESSIONS": "10",
                    "SESSION_DEADLINE": "11:30",
                    "POWERTOOLS_SERVICE_NAME": "BovespaPipeline",
                }
            },
            "Layers": [{"Fn::FindInMap": [Match.any_value(), {"Ref": "AWS::Region"}, "Arn"]}],
        },
    )
    layers = document["Mappings"]["AWSSDKPandasLayerOfRegion"]
    assert layers["sa-east-1"] == {
        "Arn": "arn:aws:lambda:sa-east-1:336392948345:layer:AWSSDKPandas-Python313:12"
    }
    assert layers["cn-north-1"] == {
        "Arn": "arn:aws-cn:lambda:cn-north-1:406640652441:layer:AWSSDKPandas-Python313:9"
    }


def test_the_scraper_understands_the_settings_that_the_stack_gives_it(changed: dict[str, Any]) -> None:
    settings = _settings(changed, "scraper.daily.handler.handler")

    assert settings.quotes_base_url == "http://127.0.0.1:8080"
    assert settings.index_base_url == "https://sistemaswebb3-listados.b3.com.br"
    assert settings.index_codes == ("IBOV", "SMLL")
    assert settings.lookback_sessions == 3
    assert settings.corporate_actions_calls == 100
    assert settings.session_deadline == time(10, 30)
    assert settings.extra_ca_file == BUNDLE / EXTRA_CA_NAME


def test_the_backfill_has_what_a_year_needs_and_is_tried_once_more(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Handler": "scraper.history.handler.handler",
            "Runtime": "python3.13",
            "MemorySize": 2048,
            "EphemeralStorage": {"Size": 2048},
            "Timeout": 900,
        },
    )
    template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig",
        {
            "MaximumRetryAttempts": 1,
            "MaximumEventAgeInSeconds": 3600,
            "FunctionName": {"Ref": Match.string_like_regexp("IngestionBackfill")},
        },
    )


def test_the_function_s_disk_holds_the_largest_year_that_is_downloaded(document: dict[str, Any]) -> None:
    backfill = function_of(document, "scraper.history.handler.handler")

    # Beside the ZIP, sessions of one and a half times its size (42 bytes of Parquet for 31 of ZIP a quote),
    # and as much in pieces where the file mixes them
    assert backfill["EphemeralStorage"]["Size"] * 2**20 > YEAR_MAX_BYTES * (1 + 2 * 1.5)
    # The download, then two minutes for the rest, before the function is stopped
    assert backfill["Timeout"] > DOWNLOAD_SECONDS + 120


def test_the_estimate_counts_with_the_function_s_own_memory_and_disk(document: dict[str, Any]) -> None:
    backfill = function_of(document, "scraper.history.handler.handler")

    assert backfill["MemorySize"] == LAMBDA_MEMORY_GB * 1024
    assert backfill["EphemeralStorage"]["Size"] == LAMBDA_STORAGE_GB * 1024


def test_scraper_and_backfill_are_one_bundle_that_nothing_but_the_schedule_runs(
    document: dict[str, Any],
) -> None:
    scraper = function_of(document, "scraper.daily.handler.handler")
    backfill = function_of(document, "scraper.history.handler.handler")
    ((_, schedule),) = resources(document, "AWS::Scheduler::Schedule")

    assert backfill["Code"] == scraper["Code"]
    assert backfill["Layers"] == scraper["Layers"]
    assert backfill["LoggingConfig"] != scraper["LoggingConfig"]
    assert "IngestionBackfill" not in json.dumps(schedule)


def test_the_backfill_understands_the_settings_that_the_stack_gives_it(changed: dict[str, Any]) -> None:
    settings = _settings(changed, "scraper.history.handler.handler")

    assert settings.raw_bucket.startswith("<StorageRawBucket")
    assert settings.quotes_base_url == "http://127.0.0.1:8080"
    assert settings.extra_ca_file == BUNDLE / EXTRA_CA_NAME


def _settings(document: dict[str, Any], handler: str) -> Settings:
    """What a function understands of the variables that the template gives it."""
    variables = function_of(document, handler)["Environment"]["Variables"]
    return Settings.from_environment({name: text_of(value) for name, value in variables.items()})


def test_a_layer_of_one_s_own_replaces_the_mapping(changed: dict[str, Any]) -> None:
    assert "Mappings" not in changed
    scraper = function_of(changed, "scraper.daily.handler.handler")
    assert scraper["Layers"] == ["arn:aws:lambda:xx-north-1:123456789012:layer:Mine:1"]


# Refinement


def test_only_a_new_session_starts_the_job(document: dict[str, Any]) -> None:
    ((starter, _),) = (
        item for item in resources(document, "AWS::Lambda::Function") if item[0].startswith("StarterFunction")
    )
    ((_, notifications),) = resources(document, "Custom::S3BucketNotifications")
    (configuration,) = notifications["Properties"]["NotificationConfiguration"][
        "LambdaFunctionConfigurations"
    ]

    assert configuration["Events"] == ["s3:ObjectCreated:*"]
    assert text_of(configuration["LambdaFunctionArn"]) == f"<{starter}.Arn>"
    rules = {rule["Name"]: rule["Value"] for rule in configuration["Filter"]["Key"]["FilterRules"]}
    assert rules == {"prefix": "raw/cotahist/", "suffix": "daily.parquet"}


def test_what_the_starter_cannot_start_is_tried_again_and_then_kept(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Lambda::Function",
        {
            "Handler": "index.handler",
            "Runtime": "python3.13",
            "Timeout": 30,
            "Environment": {"Variables": {"GLUE_JOB_NAME": {"Ref": Match.string_like_regexp("RefineJob")}}},
            "DeadLetterConfig": {
                "TargetArn": {"Fn::GetAtt": [Match.string_like_regexp("DeadLetters"), "Arn"]}
            },
        },
    )
    template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig",
        {"MaximumRetryAttempts": 2, "FunctionName": {"Ref": Match.string_like_regexp("StarterFunction")}},
    )
    template.has_resource_properties(
        "AWS::SQS::Queue", {"SqsManagedSseEnabled": True, "MessageRetentionPeriod": 14 * 24 * 3600}
    )
    template.has_resource_properties(
        "AWS::SQS::QueuePolicy",
        {
            "PolicyDocument": {
                "Statement": [
                    Match.object_like(
                        {
                            "Effect": "Deny",
                            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                        }
                    )
                ]
            }
        },
    )


def test_a_run_that_fails_is_repeated_by_the_schedule_alone(template: Template) -> None:
    """Lambda itself would repeat each invocation twice ("Asynchronous invocation" in its guide)."""
    template.has_resource_properties(
        "AWS::Lambda::EventInvokeConfig",
        {"MaximumRetryAttempts": 0, "FunctionName": {"Ref": Match.string_like_regexp("IngestionScraper")}},
    )


def test_the_job_is_small_ends_and_runs_few_at_a_time(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Glue::Job",
        {
            "GlueVersion": "5.1",
            "Command": {"Name": "glueetl", "PythonVersion": "3"},
            "WorkerType": "G.1X",
            "NumberOfWorkers": 2,
            "Timeout": 20,
            "ExecutionProperty": {"MaxConcurrentRuns": 3},
            "JobRunQueuingEnabled": True,
            "MaxRetries": 0,
        },
    )


def test_the_job_s_arguments_are_those_of_the_contract(document: dict[str, Any]) -> None:
    ((_, job),) = resources(document, "AWS::Glue::Job")
    arguments = {name: text_of(value) for name, value in job["Properties"]["DefaultArguments"].items()}

    assert arguments.pop("--raw_bucket").startswith("<StorageRawBucket")
    assert arguments.pop("--refined_bucket").startswith("<StorageRefinedBucket")
    assert re.fullmatch(r"s3://cdk-hnb659fds-assets-.*/[0-9a-f]{64}\.zip", arguments.pop("--extra-py-files"))
    assert arguments == {
        "--job-language": "python",
        "--refined_database": "default",
        "--refined_table": "bovespa_daily",
        "--index_codes": "IBOV",
        "--wide_sessions": "0",
        "--custom-logGroup-prefix": "/aws-glue/jobs/BovespaPipeline",
    }


def test_the_job_is_told_how_many_sessions_the_wide_table_keeps(changed: dict[str, Any]) -> None:
    ((_, job),) = resources(changed, "AWS::Glue::Job")

    assert job["Properties"]["DefaultArguments"]["--wide_sessions"] == "250"


def test_the_compact_table_is_named_as_the_script_names_it(document: dict[str, Any]) -> None:
    names = {name: output["Value"] for name, output in document["Outputs"].items()}

    assert names["RefinedCompactTable"] == names["RefinedTable"] + columns.COMPACT_SUFFIX


def test_the_job_runs_the_script_of_this_repository(document: dict[str, Any]) -> None:
    ((_, job),) = resources(document, "AWS::Glue::Job")
    bucket, key = text_of(job["Properties"]["Command"]["ScriptLocation"]).rsplit("/", 1)
    (script,) = (
        asset["source"]["path"]
        for asset in assemble().assets.values()
        if key in {place["objectKey"] for place in asset["destinations"].values()}
    )

    assert bucket.startswith("s3://cdk-hnb659fds-assets-")
    assert script == str(REPOSITORY / "glue_scripts" / "refine.py")


# Analytics


def test_the_workgroup_enforces_its_settings(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Athena::WorkGroup",
        {
            "Name": "BovespaPipeline",
            "WorkGroupConfiguration": {
                "EnforceWorkGroupConfiguration": True,
                "PublishCloudWatchMetricsEnabled": True,
                "BytesScannedCutoffPerQuery": 1_024_000_000,
                "EngineVersion": {"SelectedEngineVersion": "Athena engine version 3"},
                "ResultConfiguration": {
                    "EncryptionConfiguration": {"EncryptionOption": "SSE_S3"},
                    "OutputLocation": {
                        "Fn::Join": [
                            "",
                            ["s3://", {"Ref": Match.string_like_regexp("QueryResultsBucket")}, "/results/"],
                        ]
                    },
                },
            },
        },
    )


def test_each_question_is_in_the_workgroup_saved_and_prepared(document: dict[str, Any]) -> None:
    queries = [query["Properties"] for _, query in resources(document, "AWS::Athena::NamedQuery")]
    statements = [each["Properties"] for _, each in resources(document, "AWS::Athena::PreparedStatement")]
    files = [path.stem for path in NAMED_QUERIES.glob("*.sql")]

    assert len({query["Name"] for query in queries}) == len(files)
    assert sorted(each["StatementName"] for each in statements) == sorted(files)
    assert {each["Description"] for each in statements} == {query["Description"] for query in queries}
    for properties in (*queries, *statements):
        assert text_of(properties["WorkGroup"]).startswith("<AnalyticsWorkGroup")
        text = properties.get("QueryString") or properties["QueryStatement"]
        assert '"default"."bovespa_' in text
        assert "${" not in text
    assert {query["Database"] for query in queries} == {"default"}


def test_the_queries_name_the_tables_that_are_configured(renamed: dict[str, Any]) -> None:
    texts = [
        each["Properties"]["QueryStatement"]
        for _, each in resources(renamed, "AWS::Athena::PreparedStatement")
    ]

    named = {name for text in texts for name in re.findall(r'"\w+"\."[\w$]+"', text)}
    assert named == {
        '"lake"."daily"',
        '"lake"."daily_compact"',
        '"lake"."daily_compact$partitions"',
        '"lake"."daily_index_members"',
        '"lake"."daily_index_members$partitions"',
        '"lake"."daily_events"',
        '"lake"."daily_factors"',
        '"quotes"."cotahist"',
        '"quotes"."cotahist_revisions"',
        '"quotes"."index_level"',
    }


# The stack as a whole


def test_logs_are_kept_for_as_long_as_configured_and_not_longer(either: dict[str, Any]) -> None:
    groups = dict(resources(either, "AWS::Logs::LogGroup"))

    assert {group["Properties"]["RetentionInDays"] for group in groups.values()} == {30}
    # Each function, the CDK's own among them, writes to one of them: none makes a group that stays for ever
    used = {
        function["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
        for _, function in resources(either, "AWS::Lambda::Function")
    }
    assert used < set(groups)
    names = {text_of(group["Properties"].get("LogGroupName", "")) for group in groups.values()}
    assert {"/aws-glue/jobs/BovespaPipeline/output", "/aws-glue/jobs/BovespaPipeline/error"} <= names


def test_no_function_is_told_a_secret(either: dict[str, Any]) -> None:
    """A variable that is not here has to be looked at: everybody who may describe a function reads it."""
    told = {
        name
        for _, function in resources(either, "AWS::Lambda::Function")
        for name in function["Properties"].get("Environment", {"Variables": {}})["Variables"]
    }

    assert told == {
        "RAW_BUCKET",
        "REFINED_BUCKET",
        "QUOTES_BASE_URL",
        "INDEX_BASE_URL",
        "CORPORATE_ACTIONS_CALLS",
        "INDEX_CODES",
        "LOOKBACK_SESSIONS",
        "GLUE_JOB_NAME",
        "POWERTOOLS_SERVICE_NAME",
        "SESSION_DEADLINE",
    }


def test_every_resource_that_takes_tags_has_the_configured_ones(changed: dict[str, Any]) -> None:
    wanted = {"project": "bovespa", "owner": "research"}

    for kind in (
        "AWS::S3::Bucket",
        "AWS::Lambda::Function",
        "AWS::IAM::Role",
        "AWS::SQS::Queue",
        "AWS::Logs::LogGroup",
        "AWS::Athena::WorkGroup",
        "AWS::SNS::Topic",
        "AWS::CloudWatch::Alarm",
        "AWS::Events::Rule",
    ):
        for _, resource in resources(changed, kind):
            tags = {tag["Key"]: tag["Value"] for tag in resource["Properties"]["Tags"]}
            assert wanted.items() <= tags.items(), resource
    ((_, job),) = resources(changed, "AWS::Glue::Job")
    assert job["Properties"]["Tags"] == wanted


def test_the_outputs_name_what_a_person_looks_for(document: dict[str, Any]) -> None:
    assert set(document["Outputs"]) == {
        "RawBucket",
        "RefinedBucket",
        "QueryResultsBucket",
        "ScraperFunction",
        "BackfillFunction",
        "ScheduleName",
        "StarterFunction",
        "DeadLetterQueue",
        "GlueJobName",
        "RawDatabase",
        "RefinedDatabase",
        "RefinedTable",
        "RefinedCompactTable",
        "JoinedIndex",
        "WorkGroup",
        "AlarmTopic",
        "Dashboard",
    }
    assert text_of(document["Outputs"]["RawBucket"]["Value"]).startswith("<StorageRawBucket")
    assert document["Outputs"]["RefinedCompactTable"]["Value"] == "bovespa_daily_compact"


def test_the_template_names_no_account_and_no_region_of_its_own(document: dict[str, Any]) -> None:
    text = json.dumps({**document, "Mappings": {}})

    assert "us-east-1" not in text
    assert "sa-east-1" not in text


def test_two_pipelines_fit_into_one_account(spark: dict[str, Any], renamed: dict[str, Any]) -> None:
    names = [
        {
            text_of(resource["Properties"][name])
            for kind, name in [
                ("AWS::Athena::WorkGroup", "Name"),
                ("AWS::Logs::LogGroup", "LogGroupName"),
                ("AWS::CloudWatch::Alarm", "AlarmName"),
                ("AWS::CloudWatch::Dashboard", "DashboardName"),
            ]
            for _, resource in resources(each, kind)
            if name in resource["Properties"]
        }
        for each in (spark, renamed)
    ]

    # The workgroup and the dashboard have one name; Spark has a workgroup and a log group
    assert len(names[0]) == len(names[1]) == 3 + 4 + 2
    assert names[0].isdisjoint(names[1])
