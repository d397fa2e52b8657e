"""A Learner Lab's account: IAM refuses, one role is there, and the pipeline is deployed, works, and goes.

By the commands of `make deploy LAB=1` and `make destroy LAB=1`, with the job as a script, then as a graph.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from operating.learner_lab import ROLE, SETTINGS, Lab, drop_empty_database
from operating.stack import outputs
from sandbox import environment, kept
from sandbox.arguments import SCRIPT, SIMULATED, VISUAL
from sandbox.b3.server import B3Server
from sandbox.b3.sources import SimulatedSource
from sandbox.console import Show
from sandbox.deploy import Cdk, DeployError, Deployment
from sandbox.kept import KeptLake
from sandbox.ministack import ACCOUNT, REGION, REPOSITORY, MiniStack
from sandbox.pipeline import Pipeline
from sandbox.request import Request
from scraper.b3.calendar import sessions_before
from tests.leading import lead_to
from tests.sandbox.deployed import MARKET

STACK = "BovespaPipeline"
PERSON = f"arn:aws:sts::{ACCOUNT}:assumed-role/voclabs/user0000000=Ana"
TRUST = json.dumps(
    {
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ]
    }
)
POLICY = json.dumps({"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})


@pytest.fixture(scope="module")
def aws() -> Iterator[MiniStack]:
    with MiniStack.start(lab=True) as aws:
        yield aws


class TestAccount:
    """What the account refuses, and what it does not."""

    def test_people_are_sessions_of_a_role_with_temporary_keys(self, aws: MiniStack) -> None:
        assert aws.client("sts").get_caller_identity()["Arn"] == PERSON
        assert aws.environment()["AWS_SESSION_TOKEN"]

    @pytest.mark.parametrize(
        ("operation", "request_"),
        [
            ("create_role", {"RoleName": "mine", "AssumeRolePolicyDocument": TRUST}),
            ("create_user", {"UserName": "ana"}),
            ("create_policy", {"PolicyName": "all", "PolicyDocument": POLICY}),
            ("put_role_policy", {"RoleName": ROLE, "PolicyName": "all", "PolicyDocument": POLICY}),
            (
                "attach_role_policy",
                {"RoleName": ROLE, "PolicyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
            ),
            ("update_assume_role_policy", {"RoleName": ROLE, "PolicyDocument": TRUST}),
            ("delete_role", {"RoleName": ROLE}),
        ],
    )
    def test_iam_is_not_to_be_changed(self, aws: MiniStack, operation: str, request_: dict[str, str]) -> None:
        action = "".join(word.capitalize() for word in operation.split("_"))
        with pytest.raises(ClientError, match=f"not authorized to perform: iam:{action}"):
            getattr(aws.client("iam"), operation)(**request_)

    def test_there_is_the_role_with_its_trust(self, aws: MiniStack) -> None:
        document: Any = aws.client("iam").get_role(RoleName=ROLE)["Role"]["AssumeRolePolicyDocument"]
        (statement,) = document["Statement"]
        services = {service.removesuffix(".amazonaws.com") for service in statement["Principal"]["Service"]}
        assert services == {"lambda", "glue", "scheduler", "events", "athena", "s3", "sqs", "sns", "logs"}

    @pytest.mark.parametrize(
        ("kind", "properties", "action"),
        [
            ("Role", {"AssumeRolePolicyDocument": json.loads(TRUST)}, "iam:CreateRole"),
            ("User", {}, "iam:CreateUser"),
            ("ManagedPolicy", {"PolicyDocument": json.loads(POLICY)}, "iam:CreatePolicy"),
            (
                "Policy",
                {"PolicyDocument": json.loads(POLICY), "PolicyName": "all", "Roles": [ROLE]},
                "iam:PutRolePolicy",
            ),
        ],
    )
    def test_cloudformation_is_refused_the_same(
        self, aws: MiniStack, kind: str, properties: dict[str, Any], action: str
    ) -> None:
        reason = _failed(aws, {"Type": f"AWS::IAM::{kind}", "Properties": properties})
        assert f"{PERSON} is not authorized to perform: {action}" in reason

    def test_another_role_is_passed_to_no_service(self, aws: MiniStack) -> None:
        for role in (f"arn:aws:iam::{ACCOUNT}:role/voclabs", f"arn:aws:iam::{ACCOUNT}:role/not-there"):
            function = {
                "Code": {"ZipFile": "def handler(event, context): pass"},
                "Runtime": "python3.13",
                "Handler": "index.handler",
                "Role": role,
            }
            reason = _failed(aws, {"Type": "AWS::Lambda::Function", "Properties": function})
            assert f"iam:PassRole on resource: {role}" in reason
            with pytest.raises(ClientError, match="iam:PassRole"):
                aws.client("glue").create_job(Name="mine", Role=role, Command={"Name": "glueetl"})
        aws.client("glue").create_job(Name="mine", Role=ROLE, Command={"Name": "glueetl"})
        aws.client("glue").delete_job(JobName="mine")

    def test_the_bucket_for_assets_is_made_once_and_goes_if_it_was_made_here(
        self, aws: MiniStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lead_to(aws, monkeypatch)
        lab, s3 = Lab.find(), aws.client("s3")
        assert lab == Lab(account=ACCOUNT, region=REGION)
        assert lab.assets == f"cdk-hnb659fds-assets-{ACCOUNT}-{REGION}"
        assert [lab.make_asset_bucket(), lab.make_asset_bucket()] == [True, False]
        s3.put_bucket_versioning(Bucket=lab.assets, VersioningConfiguration={"Status": "Enabled"})
        for body in (b"one", b"two"):
            s3.put_object(Bucket=lab.assets, Key="asset", Body=body)
        s3.delete_object(Bucket=lab.assets, Key="asset")
        assert [lab.remove_asset_bucket(), lab.remove_asset_bucket()] == ["deleted", "was not there"]
        s3.create_bucket(Bucket=lab.assets)
        assert lab.remove_asset_bucket() == "stays: it was not made by this command"
        s3.delete_bucket(Bucket=lab.assets)

    def test_the_bucket_for_assets_stays_while_another_deployment_runs_its_job_from_it(
        self, aws: MiniStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lead_to(aws, monkeypatch)
        lab, cloudformation = Lab.find(), aws.client("cloudformation")
        template = {
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {"ScraperFunction": {"Value": "scraper"}},
        }
        cloudformation.create_stack(StackName="second", TemplateBody=json.dumps(template))
        _end_of_work(cloudformation, "second")
        lab.make_asset_bucket()
        assert lab.remove_asset_bucket() == "stays: second needs what is in it"
        _delete(cloudformation, "second")
        assert lab.remove_asset_bucket() == "deleted"

    def test_the_database_goes_if_the_job_made_it_and_nothing_else_is_in_it(
        self, aws: MiniStack, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        lead_to(aws, monkeypatch)
        glue, before = aws.client("glue"), datetime.now(UTC) - timedelta(minutes=1)
        glue.create_database(DatabaseInput={"Name": "default"})
        glue.create_table(DatabaseName="default", TableInput={"Name": "somebodys"})
        assert drop_empty_database("default", since=before) == "stays: it has other tables"
        glue.delete_table(DatabaseName="default", Name="somebodys")
        later = datetime.now(UTC) + timedelta(minutes=1)
        assert drop_empty_database("default", since=later) == "stays: it was there before the stack"
        assert drop_empty_database("default", since=before) == "deleted, as it was empty"
        assert drop_empty_database("default", since=before) == "was not there"


def _failed(aws: MiniStack, resource: dict[str, Any]) -> str:
    """Why CloudFormation did not make a resource; the stack is deleted again."""
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(
        StackName="mine",
        TemplateBody=json.dumps({"Resources": {"Mine": resource}}),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        OnFailure="DO_NOTHING",
    )
    assert _end_of_work(cloudformation, "mine") == "CREATE_FAILED"
    events = cloudformation.describe_stack_events(StackName="mine")["StackEvents"]
    _delete(cloudformation, "mine")
    return " ".join(event.get("ResourceStatusReason", "") for event in events)


def _end_of_work(cloudformation: Any, name: str) -> str:
    """A stack's status when nobody is at work on it any more."""
    while (status := _status(cloudformation, name)).endswith("_IN_PROGRESS"):
        time.sleep(0.05)
    return status


def _delete(cloudformation: Any, name: str) -> None:
    cloudformation.delete_stack(StackName=name)
    while _status(cloudformation, name):
        time.sleep(0.05)


def _status(cloudformation: Any, name: str) -> str:
    stacks = [each for each in cloudformation.describe_stacks()["Stacks"] if each["StackName"] == name]
    return str(stacks[0]["StackStatus"]) if stacks else ""


def test_a_lab_has_a_sandbox_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (environment, kept):
        monkeypatch.setattr(module, "HOME", tmp_path)
    found = []
    for job in (SCRIPT, VISUAL):
        request = Request(b3=SIMULATED, sessions=(date(2025, 3, 13),), job=job, lab=True)
        folder = environment.prepare_folder(request, fresh=False, show=Show(StringIO()))
        (folder / "lake/refined_compact/trade_date=2025-03-13").mkdir(parents=True)
        lake = KeptLake.find()
        found.append((folder.name, lake.b3, lake.job, lake.lab))
    assert found == [
        ("simulated-lab", SIMULATED, SCRIPT, True),
        ("simulated-lab-visual", SIMULATED, VISUAL, True),
    ]


@dataclass(frozen=True, kw_only=True)
class Journey:
    """A lab, from nothing to nothing.

    Attributes:
        refused: What the CDK said of the stack as it is by default.
        script: What there was once the job was deployed as a script.
        visual: What there was once it was a graph.
        destroyed: What the last command has said.
        before: What there was in the account before, by kind.
        after: What there is after it.
        decisions: What was decided on calls of people and of the role.
    """

    refused: str
    script: Seen
    visual: Seen
    destroyed: str
    before: dict[str, list[str]]
    after: dict[str, list[str]]
    decisions: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there was while the stack was deployed: what the command said, and what the account has."""

    said: str
    session: date
    job: str
    run: str
    roles: set[str]
    stacks: set[str]
    partitions: set[str]
    folders: set[str]


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    folder = tmp_path_factory.mktemp("lab")
    sessions = sessions_before(datetime.now(UTC), 3)  # the smoke test asks for the last one
    with (
        MiniStack.start(folder / "aws", lab=True) as aws,
        B3Server(SimulatedSource(sessions, MARKET)) as b3,
        pytest.MonkeyPatch.context() as variables,
    ):
        lead_to(aws, variables)
        tools = (Path(sys.executable).parent, REPOSITORY / "node_modules" / ".bin", os.environ["PATH"])
        variables.setenv("PATH", os.pathsep.join(map(str, tools)))
        variables.setenv("CDK_HOME", str(folder / "cdk-home"))
        b3_settings = {
            "quotes_base_url": b3.base_url,
            "index_base_url": b3.base_url,
            "lookback_sessions": "1",
        }
        refused = _refused(aws, folder / "default")
        before = _whole_account()
        arguments = [word for name, value in b3_settings.items() for word in ("-c", f"{name}={value}")]
        arguments += ["--output", str(folder / "cdk.out")]
        script = _look(_command("deploy", *arguments), lambda pipeline: pipeline.job_runs()[0].id)
        visual = _look(
            _command("deploy", *arguments, "-c", "glue_job_mode=visual"),
            lambda pipeline: pipeline.start_job(script.session),
        )
        destroyed = _command("destroy", "--yes", *arguments)
        yield Journey(
            refused=refused,
            script=script,
            visual=visual,
            destroyed=destroyed,
            before=before,
            after=_whole_account(),
            decisions=aws.decisions,
        )


def _refused(aws: MiniStack, folder: Path) -> str:
    """What a deployment begins with in an account of one's own."""
    folder.mkdir()
    with pytest.raises(DeployError) as refused:
        Cdk(aws, folder)._prepare(with_roles=True)
    said = f"{refused.value}\n{(folder / 'cdk-bootstrap.log').read_text()}"
    _delete(aws.client("cloudformation"), "CDKToolkit")
    return said


def _command(*words: str) -> str:
    command = [sys.executable, "-m", "operating.learner_lab", *words]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def _look(said: str, run_of: Callable[[Pipeline], str]) -> Seen:
    names = Deployment.from_outputs(outputs(STACK))
    pipeline = Pipeline(names)
    ended = pipeline.watch(run_of(pipeline))
    (session,) = pipeline.raw_sessions()
    functions = boto3.client("lambda").list_functions()["Functions"]
    schedule = boto3.client("scheduler").get_schedule(Name=names.schedule_name)
    job = boto3.client("glue").get_job(JobName=names.glue_job_name)["Job"]
    return Seen(
        said=said,
        session=session,
        job=job.get("JobMode", "SCRIPT"),
        run=f"{ended.state} {ended.message}".strip(),
        roles={*(each["Role"] for each in functions), schedule["Target"]["RoleArn"], job["Role"]},
        stacks={each["StackName"] for each in boto3.client("cloudformation").describe_stacks()["Stacks"]},
        partitions={f"{day} {ticker}" for day, ticker in pipeline.registered_partitions()},
        folders={f"{day} {ticker}" for day, ticker in pipeline.refined_folders()},
    )


def _whole_account() -> dict[str, list[str]]:
    """The names of what there is, by kind."""
    glue, logs = boto3.client("glue"), boto3.client("logs")
    return {
        "buckets": [each["Name"] for each in boto3.client("s3").list_buckets()["Buckets"]],
        "stacks": [each["StackName"] for each in boto3.client("cloudformation").describe_stacks()["Stacks"]],
        "functions": [each["FunctionName"] for each in boto3.client("lambda").list_functions()["Functions"]],
        "jobs": [each["Name"] for each in glue.get_jobs()["Jobs"]],
        "databases": [each["Name"] for each in glue.get_databases()["DatabaseList"]],
        "log groups": [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]],
        "schedules": [each["Name"] for each in boto3.client("scheduler").list_schedules()["Schedules"]],
        "queues": boto3.client("sqs").list_queues().get("QueueUrls", []),
        "topics": [each["TopicArn"] for each in boto3.client("sns").list_topics()["Topics"]],
        "workgroups": [each["Name"] for each in boto3.client("athena").list_work_groups()["WorkGroups"]],
        "roles": [each["RoleName"] for each in boto3.client("iam").list_roles()["Roles"]],
    }


@pytest.mark.sandbox
@pytest.mark.xdist_group("learner lab sandbox")
class TestJourney:
    def test_the_stack_as_it_is_by_default_is_refused_by_name(self, journey: Journey) -> None:
        assert "iam:CreateRole" in journey.refused
        assert journey.before["stacks"] == []

    def test_every_role_is_the_one_and_there_was_no_bootstrap(self, journey: Journey) -> None:
        for seen in (journey.script, journey.visual):
            assert {role.rpartition("/")[2] for role in seen.roles} == {ROLE}
            assert seen.stacks == {STACK}

    def test_the_session_comes_to_its_partitions_in_both_modes(self, journey: Journey) -> None:
        assert (journey.script.job, journey.visual.job) == ("SCRIPT", "VISUAL")
        for seen in (journey.script, journey.visual):
            assert seen.run == "SUCCEEDED"
            tickers = {place.partition(" ")[0] for place in seen.partitions}
            assert tickers == {str(seen.session)}
            assert seen.partitions == seen.folders
            assert len(seen.partitions) > 20
        assert journey.visual.partitions == journey.script.partitions

    def test_no_call_of_people_or_of_the_role_was_refused(self, journey: Journey) -> None:
        refused = [each for each in journey.decisions if not each["allowed"]]
        assert refused == []
        callers = {each["principal"].split("/")[1] for each in journey.decisions}
        assert callers == {"voclabs", ROLE}

    def test_the_command_says_what_it_does_and_what_to_look_at(self, journey: Journey) -> None:
        said = journey.script.said
        assert f"Bucket for assets: cdk-hnb659fds-assets-{ACCOUNT}-{REGION}, made" in said
        assert "there already" in journey.visual.said
        assert f"{STACK} works: {journey.script.session} is in" in said
        assert f"#/editor/job/{STACK}-refine-visual" in journey.visual.said
        for place in (
            "S3, raw Parquet",
            "Glue, the catalog",
            f"Athena, workgroup {STACK}",
            "make report LAKE=aws",
        ):
            assert place in said

    def test_the_lab_is_left_as_it_was_found(self, journey: Journey) -> None:
        assert journey.after == journey.before
        assert journey.after["roles"] == [ROLE, "voclabs"]
        assert "assets-000000000000-us-east-1 deleted" in journey.destroyed

    def test_the_settings_of_a_lab_are_those_of_the_sandbox(self) -> None:
        assert dict(SETTINGS) == {
            "existing_role": "LabRole",
            "removal_policy": "destroy",
            "operators": "role/voclabs",
            "glue_concurrent_runs": "1",
        }
