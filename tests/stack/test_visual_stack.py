"""The stack with the job in visual mode: the same but for the job, whose request is one that Glue takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.validate import ParamValidator

from glue_scripts.visual import build_nodes
from lake import keys
from sandbox.ministack import ACCOUNT, REGION, MiniStack
from tests.lambda_functions import load
from tests.stack.synthesis import permissions, policy_statements, resources, synthesise, text_of

JOB_ARN = "arn:<AWS::Partition>:glue:<AWS::Region>:<AWS::AccountId>:job/"
SCRIPT_KEY = "visual/BovespaPipeline-refine-visual.py"
OWN_SCRIPT = f"<StorageRefinedBucket>/{SCRIPT_KEY}"
LAMBDA_EVENT_BYTES = 256 * 1024

Document = dict[str, Any]


@pytest.fixture
def request_of_visual(visual: Document) -> dict[str, Any]:
    """The CreateJob request in it."""
    return _request(visual)


def _resource(document: Document) -> tuple[str, dict[str, Any]]:
    ((logical_id, resource),) = resources(document, "Custom::VisualGlueJob")
    return logical_id, resource["Properties"]


def _request(document: Document) -> dict[str, Any]:
    """What the template holds of the request, intrinsic functions made texts."""
    _, properties = _resource(document)
    request: dict[str, Any] = _resolved(
        {name: value for name, value in properties.items() if name not in {"ServiceToken", "ServiceTimeout"}}
    )
    return request


def _resolved(value: Any) -> Any:
    match value:
        case {"Ref": _} | {"Fn::GetAtt": _} | {"Fn::Join": _} | {"Fn::Sub": _}:
            return text_of(value)
        case dict():
            return {name: _resolved(item) for name, item in value.items()}
        case list():
            return [_resolved(item) for item in value]
    return value


def _as_cloudformation_sends(value: Any) -> Any:
    match value:
        case dict():
            return {name: _as_cloudformation_sends(item) for name, item in value.items()}
        case list():
            return [_as_cloudformation_sends(item) for item in value]
        case bool():
            return str(value).lower()
    return str(value)


# One of the two jobs, and the rest as it was


def test_there_is_one_job_and_nothing_of_the_other(document: Document, visual: Document) -> None:
    script_alone = set(document["Resources"]) - set(visual["Resources"])
    visual_alone = set(visual["Resources"]) - set(document["Resources"])

    assert {document["Resources"][each]["Type"] for each in script_alone} == {"AWS::Glue::Job"}
    assert sorted(visual["Resources"][each]["Type"] for each in visual_alone) == [
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Function",
        "AWS::Logs::LogGroup",
        "Custom::VisualGlueJob",
    ]
    assert len(script_alone) == 1
    assert all(each.startswith("RefineVisual") for each in visual_alone)


def test_everything_else_is_the_same_but_for_the_name_of_the_job(
    document: Document, visual: Document
) -> None:
    """Starter, permissions, tables, buckets, queries: compared whole, the job's id and script set aside."""
    script_job, visual_job = (
        next(iter(each))[0]
        for each in (resources(document, "AWS::Glue::Job"), resources(visual, "Custom::VisualGlueJob"))
    )
    script_location = permissions(document, "RefineRole")["s3:GetObject"]
    assets = {each for each in script_location if each.endswith((".py", ".zip"))}
    assert len(assets) == 2

    def comparable(resource: Any) -> Any:
        text = json.dumps(resource)
        return json.loads(text.replace(script_job, "<job>").replace(visual_job, "<job>"))

    different = {
        logical_id
        for logical_id in document["Resources"].keys() & visual["Resources"].keys()
        if comparable(document["Resources"][logical_id]) != comparable(visual["Resources"][logical_id])
    }

    assert {re.sub(r"[0-9A-F]{8}$", "", each) for each in different} == {
        "RefineRoleDefaultPolicy",
        "StorageRefinedBucketPolicy",  # which names the function's role (test_bucket_policies.py)
    }
    roles = [permissions(each, "RefineRole") for each in (document, visual)]
    roles[0]["s3:GetObject"] -= {each for each in assets if each.endswith(".py")}
    roles[1]["s3:GetObject"].remove(OWN_SCRIPT)
    # Spark writes by Hadoop's S3A: it reads what is there, asks for the folders, and writes in parts
    written = [f"{folder}/*" for folder in (keys.WIDE_FOLDER, keys.COMPACT_FOLDER)]
    by_s3a = {f"<StorageRefinedBucket>/{key}" for key in (*written, "refined", "refined_compact")}
    assert roles[1].pop("s3:AbortMultipartUpload") == by_s3a
    for action in ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"):
        assert by_s3a <= roles[1][action]
        roles[0][action] |= by_s3a
    # Of the calls by which Glue's own target updates the catalog AWS says nothing
    for call in ("Get", "BatchGet", "Create", "Update"):
        assert roles[1].pop(f"glue:{call}Partition") == roles[1]["glue:GetPartitions"]
    assert roles[0] == roles[1]
    assert document["Outputs"].keys() == visual["Outputs"].keys()


def test_the_starter_starts_the_visual_job_and_nothing_else(visual: Document) -> None:
    logical_id, _ = _resource(visual)
    (starter,) = (
        function["Properties"]
        for name, function in resources(visual, "AWS::Lambda::Function")
        if name.startswith("StarterFunction")
    )

    assert starter["Environment"] == {"Variables": {"GLUE_JOB_NAME": {"Ref": logical_id}}}
    assert permissions(visual, "StarterRole")["glue:StartJobRun"] == {f"{JOB_ARN}<RefineVisual>"}
    assert visual["Outputs"]["GlueJobName"]["Value"] == {"Ref": logical_id}


def test_the_two_jobs_are_defined_alike(document: Document, request_of_visual: dict[str, Any]) -> None:
    ((_, job),) = resources(document, "AWS::Glue::Job")
    script = _resolved(job["Properties"])
    for each in (script, request_of_visual):
        del each["Command"]["ScriptLocation"]
    # The graph takes no session out of its tables: the setting is the script's alone (see stacks.config)
    assert script["DefaultArguments"].pop("--wide_sessions") == "0"
    packages = [each["DefaultArguments"].pop("--extra-py-files") for each in (script, request_of_visual)]
    script_s, graph_s = (each.rpartition("/")[2] for each in packages)
    assert script_s == graph_s
    # So are runs beside each other
    runs = [each.pop("ExecutionProperty") for each in (script, request_of_visual)]
    assert runs == [{"MaxConcurrentRuns": 3}, {"MaxConcurrentRuns": 1}]

    assert {name: request_of_visual.get(name) for name in script} == script
    assert request_of_visual.keys() - script.keys() == {"Name", "JobMode", "CodeGenConfigurationNodes"}
    assert request_of_visual["JobMode"] == "VISUAL"


# The request


@pytest.mark.parametrize("operation", ["CreateJob", "UpdateJob"])
def test_the_request_is_valid_by_glue_s_service_model(
    request_of_visual: dict[str, Any], operation: str
) -> None:
    model = botocore.session.get_session().get_service_model("glue").operation_model(operation).input_shape
    assert model is not None
    parameters = request_of_visual
    if operation == "UpdateJob":
        name, _tags = request_of_visual.pop("Name"), request_of_visual.pop("Tags")
        parameters = {"JobName": name, "JobUpdate": request_of_visual}

    report = ParamValidator().validate(parameters, model)

    assert not report.has_errors(), report.generate_report()


def test_the_graph_is_that_of_the_repository(request_of_visual: dict[str, Any]) -> None:
    arguments = request_of_visual["DefaultArguments"]

    assert request_of_visual["CodeGenConfigurationNodes"] == build_nodes(
        raw_bucket=arguments["--raw_bucket"],
        refined_bucket=arguments["--refined_bucket"],
        refined_database="default",
        refined_table="bovespa_daily",
    )


def test_a_change_is_a_change_of_the_resource_in_what_says_it_alone(visual: Document) -> None:
    """Of the job its property, of the graph its nodes, of names what has them."""
    other = synthesise(
        glue_job_mode="visual",
        glue_worker_count=5,
        refined_table="other",
        stack_name="Second",
        raw_database="second",
    )
    before, after = _request(visual), _request(other)

    names = {"Name", "Command", "DefaultArguments"}
    assert _different(before, after) == {*names, "NumberOfWorkers", "CodeGenConfigurationNodes"}
    assert _different(before["Command"], after["Command"]) == {"ScriptLocation"}
    assert _different(before["DefaultArguments"], after["DefaultArguments"]) == {
        "--refined_table",
        "--custom-logGroup-prefix",
    }
    # So that two pipelines fit into one account
    assert before["Name"] == "BovespaPipeline-refine-visual"
    assert after["Name"] == "Second-refine-visual"


def _different(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    assert before.keys() == after.keys()
    return {name for name in before if before[name] != after[name]}


def test_an_update_with_the_former_graph_beside_it_fits_into_an_event(visual: Document) -> None:
    _, properties = _resource(visual)

    # Of an event, the two are all that is not a few names; CloudFormation invokes asynchronously
    assert 2 * len(json.dumps(_resolved(properties)).encode()) < LAMBDA_EVENT_BYTES // 2


def test_glue_s_script_has_a_key_of_its_own_that_nothing_expires(
    visual: Document, request_of_visual: dict[str, Any]
) -> None:
    location = request_of_visual["Command"]["ScriptLocation"]

    assert re.fullmatch(rf"s3://<StorageRefinedBucket\w+>/{re.escape(SCRIPT_KEY)}", location)
    (rules,) = (
        bucket["Properties"]["LifecycleConfiguration"]["Rules"]
        for logical_id, bucket in resources(visual, "AWS::S3::Bucket")
        if logical_id.startswith("StorageRefinedBucket")
    )
    expiring = [rule["Prefix"] for rule in rules if "ExpirationInDays" in rule]
    assert not any(SCRIPT_KEY.startswith(prefix) for prefix in expiring)


# The function that owns the job


@pytest.fixture
def made_job(aws: MiniStack, visual: Document) -> Iterator[str]:
    """The job that the function makes of the template's properties, texts as CloudFormation sends them."""
    name, glue = "made-of-the-template", boto3.client("glue")
    event = {
        "RequestType": "Create",
        "StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Pipeline/1a2b",
        "ResourceProperties": {**_as_cloudformation_sends(_request(visual)), "Name": name},
    }
    load("visual_job").VisualJob(event).put()
    yield name
    glue.delete_job(JobName=name)


def test_the_function_makes_of_texts_what_the_template_means(
    made_job: str, request_of_visual: dict[str, Any]
) -> None:
    job = boto3.client("glue").get_job(JobName=made_job)["Job"]

    del request_of_visual["Name"], request_of_visual["Tags"]
    assert {name: job.get(name) for name in request_of_visual} == request_of_visual


def test_the_job_s_role_is_passed_to_glue_alone(visual: Document) -> None:
    (passing,) = (
        statement
        for statement in policy_statements(visual, "RefineVisualRole")
        if statement["Action"] == "iam:PassRole"
    )

    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "glue.amazonaws.com"}}


def test_the_function_has_its_permissions_before_the_job_and_keeps_them_until_after(visual: Document) -> None:
    """CloudFormation makes what a resource depends on before it, and deletes it after it."""
    logical_id, properties = _resource(visual)
    function = visual["Resources"][properties["ServiceToken"]["Fn::GetAtt"][0]]
    policies = {
        name: policy["Properties"]["Roles"][0]["Ref"]
        for name, policy in resources(visual, "AWS::IAM::Policy")
    }

    def of(role: str) -> str:
        return next(name for name, owner in policies.items() if re.sub(r"[0-9A-F]{8}$", "", owner) == role)

    assert of("RefineVisualRole") in function["DependsOn"]
    assert of("RefineRole") in visual["Resources"][logical_id]["DependsOn"]


def test_an_answer_has_time_for_every_attempt_of_the_function(visual: Document) -> None:
    _, properties = _resource(visual)
    function = visual["Resources"][properties["ServiceToken"]["Fn::GetAtt"][0]]["Properties"]

    # Lambda tries an asynchronous invocation again after one and after two minutes
    assert int(properties["ServiceTimeout"]) > 3 * function["Timeout"] + 60 + 120
    assert function["Runtime"] == "python3.13"
