"""The function that owns the visual job, against an emulator's Glue and a server that takes its answers.

What no emulator does, refuse, be late, deny, a second server does that speaks as Glue does.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from sandbox.ministack import ACCOUNT, REGION, MiniStack
from tests.lambda_functions import load

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_glue.type_defs import JobCommandTypeDef
    from mypy_boto3_s3 import S3Client

STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Pipeline/1a2b"
OTHER_STACK = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/Other/3c4d"
AN_HOUR = 3600.0

Event = dict[str, Any]


owner = load("visual_job")


@dataclass(frozen=True)
class Context:
    """What Lambda tells of an invocation."""

    seconds: float = AN_HOUR

    def get_remaining_time_in_millis(self) -> int:
        return int(self.seconds * 1000)


@dataclass
class Received:
    """A request that a server got: its method, headers and body."""

    method: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """A server that records what it gets and answers what it is told to."""

    answer: Callable[[Received], tuple[int, bytes]]
    address: str = ""
    received: list[Received] = field(default_factory=list)


@contextmanager
def _serving(server: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Received(self.command, dict(self.headers.items()), body)
            server.received.append(request)
            status, content = server.answer(request)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_PUT = do_POST = _do  # noqa: N815 - the library's names

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, args=[0.01], daemon=True).start()
        server.address = f"http://127.0.0.1:{http.server_port}"
        try:
            yield server
        finally:
            http.shutdown()


@pytest.fixture
def cloudformation() -> Iterator[Server]:
    with _serving(Server(lambda _: (200, b""))) as server:
        yield server


@pytest.fixture
def glue(aws: MiniStack) -> GlueClient:
    return boto3.client("glue")


@pytest.fixture
def s3(aws: MiniStack) -> S3Client:
    return boto3.client("s3")


@pytest.fixture
def bucket(s3: S3Client) -> str:
    name = f"refined-{uuid.uuid4().hex}"
    s3.create_bucket(Bucket=name)
    return name


def properties(bucket: str = "refined", name: str | None = None, **changes: Any) -> dict[str, Any]:
    """The resource's properties as CloudFormation sends them: every number and boolean a text."""
    name = name or f"refine-{uuid.uuid4().hex[:8]}"
    return {
        "ServiceToken": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:owner",
        "ServiceTimeout": "900",
        "Name": name,
        "JobMode": "VISUAL",
        "Role": f"arn:aws:iam::{ACCOUNT}:role/refine",
        "Command": {
            "Name": "glueetl",
            "PythonVersion": "3",
            "ScriptLocation": f"s3://{bucket}/visual/{name}.py",
        },
        "GlueVersion": "5.1",
        "WorkerType": "G.1X",
        "NumberOfWorkers": "2",
        "Timeout": "20",
        "MaxRetries": "0",
        "ExecutionProperty": {"MaxConcurrentRuns": "1"},
        "JobRunQueuingEnabled": "true",
        "DefaultArguments": {"--refined_table": "true", "--limit": "7"},
        "CodeGenConfigurationNodes": nodes("raw"),
        "Tags": {"project": "bovespa"},
        **changes,
    }


def nodes(source: str) -> dict[str, Any]:
    """A graph of two nodes, with numbers and booleans in it."""
    return {
        "node-1": {
            "S3ParquetSource": {
                "Name": "Quotes",
                "Paths": [f"s3://{source}/"],
                "Recurse": "true",
                "AdditionalOptions": {"BoundedSize": "5000000000"},
            }
        },
        "node-2": {
            "S3GlueParquetTarget": {
                "Name": "Table",
                "Inputs": ["node-1"],
                "Path": "s3://refined/",
                "SchemaChangePolicy": {"EnableUpdateCatalog": "false"},
            }
        },
    }


def request(kind: str, cloudformation: Server, current: dict[str, Any], **more: Any) -> Event:
    return {
        "RequestType": kind,
        "RequestId": uuid.uuid4().hex,
        "StackId": STACK,
        "ResponseURL": f"{cloudformation.address}/answer?signature=x",
        "ResourceType": "Custom::VisualGlueJob",
        "LogicalResourceId": "RefineVisual",
        "ResourceProperties": current,
        **more,
    }


def answered(cloudformation: Server) -> dict[str, Any]:
    """The one answer that there was."""
    (received,) = cloudformation.received
    cloudformation.received.clear()
    content: dict[str, Any] = json.loads(received.body)
    return content


def create(cloudformation: Server, wanted: dict[str, Any]) -> dict[str, Any]:
    owner.handler(request("Create", cloudformation, wanted), Context())
    return answered(cloudformation)


def update(cloudformation: Server, former: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    more = {"PhysicalResourceId": former["Name"], "OldResourceProperties": former}
    owner.handler(request("Update", cloudformation, wanted, **more), Context())
    return answered(cloudformation)


def delete(cloudformation: Server, former: dict[str, Any]) -> dict[str, Any]:
    event = request("Delete", cloudformation, former, PhysicalResourceId=former["Name"])
    owner.handler(event, Context())
    return answered(cloudformation)


def tags_of(glue: GlueClient, name: str) -> dict[str, str]:
    return glue.get_tags(ResourceArn=f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{name}")["Tags"]


def names(glue: GlueClient) -> set[str]:
    return {job["Name"] for job in glue.get_jobs()["Jobs"]}


def test_a_creation_makes_the_job_with_numbers_and_booleans_again(
    glue: GlueClient, cloudformation: Server
) -> None:
    wanted = properties()

    answer = create(cloudformation, wanted)

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", wanted["Name"])
    job = glue.get_job(JobName=wanted["Name"])["Job"]
    assert job["JobMode"] == "VISUAL"
    assert job["JobRunQueuingEnabled"] is True
    assert (job["NumberOfWorkers"], job["Timeout"], job["MaxRetries"]) == (2, 20, 0)
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}
    assert job["Command"] == wanted["Command"]
    graph = job["CodeGenConfigurationNodes"]
    assert graph["node-1"]["S3ParquetSource"]["Recurse"] is True
    assert graph["node-1"]["S3ParquetSource"]["AdditionalOptions"] == {"BoundedSize": 5_000_000_000}
    assert graph["node-2"]["S3GlueParquetTarget"]["SchemaChangePolicy"] == {"EnableUpdateCatalog": False}
    # What is a text in Glue's model stays one, whatever it looks like
    assert job["DefaultArguments"] == {"--refined_table": "true", "--limit": "7"}
    assert job["GlueVersion"] == "5.1"


def test_the_job_is_tagged_as_configured_and_as_the_stack_s(glue: GlueClient, cloudformation: Server) -> None:
    wanted = properties()

    create(cloudformation, wanted)

    assert tags_of(glue, wanted["Name"]) == {"project": "bovespa", "cloudformation:stack-id": STACK}


def test_an_answer_is_what_cloudformation_expects(aws: MiniStack, cloudformation: Server) -> None:
    wanted = properties()
    event = request("Create", cloudformation, wanted)

    owner.handler(event, Context())

    (received,) = cloudformation.received
    assert received.method == "PUT"
    # The address is signed for an empty content type
    assert received.headers["Content-Type"] == ""
    assert json.loads(received.body) == {
        "Status": "SUCCESS",
        "PhysicalResourceId": wanted["Name"],
        "StackId": STACK,
        "RequestId": event["RequestId"],
        "LogicalResourceId": "RefineVisual",
    }


def test_a_creation_whose_answer_was_lost_can_be_repeated(glue: GlueClient, cloudformation: Server) -> None:
    wanted = properties()
    create(cloudformation, wanted)

    answer = create(cloudformation, {**wanted, "Timeout": "25"})

    assert answer["Status"] == "SUCCESS"
    assert glue.get_job(JobName=wanted["Name"])["Job"]["Timeout"] == 25


def test_an_update_replaces_the_whole_definition_and_keeps_the_job(
    glue: GlueClient, cloudformation: Server
) -> None:
    former = properties(Description="Of the former graph")
    create(cloudformation, former)
    made = glue.get_job(JobName=former["Name"])["Job"]["CreatedOn"]
    wanted = properties(
        name=former["Name"], CodeGenConfigurationNodes=nodes("other"), Tags={"owner": "research"}
    )

    answer = update(cloudformation, former, wanted)

    assert (answer["Status"], answer["PhysicalResourceId"]) == ("SUCCESS", former["Name"])
    job = glue.get_job(JobName=former["Name"])["Job"]
    assert job["CreatedOn"] == made
    assert job["CodeGenConfigurationNodes"]["node-1"]["S3ParquetSource"]["Paths"] == ["s3://other/"]
    assert not job.get("Description")
    assert tags_of(glue, former["Name"]) == {"owner": "research", "cloudformation:stack-id": STACK}


def test_a_tag_that_somebody_else_has_put_on_the_job_stays(glue: GlueClient, cloudformation: Server) -> None:
    former = properties()
    create(cloudformation, former)
    arn = f"arn:aws:glue:{REGION}:{ACCOUNT}:job/{former['Name']}"
    glue.tag_resource(ResourceArn=arn, TagsToAdd={"cost-centre": "7"})

    update(cloudformation, former, {**former, "Timeout": "25"})

    assert tags_of(glue, former["Name"])["cost-centre"] == "7"


def test_a_job_that_was_deleted_by_hand_is_made_again(glue: GlueClient, cloudformation: Server) -> None:
    former = properties()
    create(cloudformation, former)
    glue.delete_job(JobName=former["Name"])

    answer = update(cloudformation, former, {**former, "Timeout": "25"})

    assert answer["Status"] == "SUCCESS"
    assert glue.get_job(JobName=former["Name"])["Job"]["Timeout"] == 25


def test_a_new_name_replaces_the_job_and_its_script(
    glue: GlueClient, s3: S3Client, bucket: str, cloudformation: Server
) -> None:
    former, wanted = properties(bucket), properties(bucket)
    create(cloudformation, former)
    for each in (former, wanted):
        s3.put_object(Bucket=bucket, Key=f"visual/{each['Name']}.py", Body=b"what Glue generated")

    # CloudFormation deletes the former resource as soon as it is told another physical id
    assert update(cloudformation, former, wanted)["PhysicalResourceId"] == wanted["Name"]
    assert {former["Name"], wanted["Name"]} <= names(glue)
    assert delete(cloudformation, former)["Status"] == "SUCCESS"

    assert {former["Name"], wanted["Name"]} & names(glue) == {wanted["Name"]}
    listed = s3.list_objects_v2(Bucket=bucket)["Contents"]
    assert [item["Key"] for item in listed] == [f"visual/{wanted['Name']}.py"]


def test_a_deletion_takes_the_job_and_its_script_and_can_be_repeated(
    glue: GlueClient, s3: S3Client, bucket: str, cloudformation: Server
) -> None:
    former = properties(bucket)
    create(cloudformation, former)
    s3.put_object(Bucket=bucket, Key=f"visual/{former['Name']}.py", Body=b"what Glue generated")
    s3.put_object(Bucket=bucket, Key="refined/part-00000.parquet", Body=b"rows")

    answers = [delete(cloudformation, former) for _ in range(2)]

    assert [answer["Status"] for answer in answers] == ["SUCCESS", "SUCCESS"]
    assert answers[0]["PhysicalResourceId"] == former["Name"]
    assert former["Name"] not in names(glue)
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == [
        "refined/part-00000.parquet"
    ]


@pytest.mark.parametrize("tags", [{}, {"cloudformation:stack-id": OTHER_STACK}])
def test_a_job_of_somebody_else_is_neither_changed_nor_deleted(
    glue: GlueClient, s3: S3Client, bucket: str, cloudformation: Server, tags: dict[str, str]
) -> None:
    wanted = properties(bucket)
    command: JobCommandTypeDef = {"Name": "glueetl", "ScriptLocation": "s3://theirs/theirs.py"}
    glue.create_job(Name=wanted["Name"], Role="theirs", Command=command, Tags=tags)
    s3.put_object(Bucket=bucket, Key=f"visual/{wanted['Name']}.py", Body=b"theirs, too")

    refused = create(cloudformation, wanted)

    assert refused["Status"] == "FAILED"
    assert f"A Glue job {wanted['Name']} exists that this stack did not create" in refused["Reason"]
    # After a creation that failed, CloudFormation asks to delete what it was told of
    assert delete(cloudformation, {**wanted, "Name": refused["PhysicalResourceId"]})["Status"] == "SUCCESS"
    assert glue.get_job(JobName=wanted["Name"])["Job"]["Command"] == command
    assert "Contents" in s3.list_objects_v2(Bucket=bucket)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Timeouts": "20"}, 'Unknown parameter in input: "Timeouts"'),
        ({"Timeout": "soon"}, "Invalid type for parameter Timeout, value: soon"),
        ({"JobRunQueuingEnabled": "yes"}, "Invalid type for parameter JobRunQueuingEnabled, value: yes"),
        ({"Command": "glueetl"}, "Invalid type for parameter Command, value: glueetl"),
        (
            {"CodeGenConfigurationNodes": {"node-1": {"S3ParquetSource": {"Name": "Quotes"}}}},
            'Missing required parameter in CodeGenConfigurationNodes.node-1.S3ParquetSource: "Paths"',
        ),
    ],
)
def test_a_request_that_is_not_glue_s_is_refused_by_the_name_of_its_member(
    glue: GlueClient, cloudformation: Server, changes: dict[str, Any], said: str
) -> None:
    wanted = properties(**changes)

    refused = create(cloudformation, wanted)

    assert refused["Status"] == "FAILED"
    assert said in refused["Reason"]
    assert wanted["Name"] not in names(glue)


def test_properties_of_no_use_are_answered_too(aws: MiniStack, cloudformation: Server) -> None:
    owner.handler(request("Create", cloudformation, {}), Context())

    refused = answered(cloudformation)
    assert (refused["Status"], refused["PhysicalResourceId"]) == ("FAILED", "RefineVisual")
    assert "Name" in refused["Reason"]


# A Glue that does not do as it is told

Reply = tuple[int, dict[str, Any]]
NOT_FOUND: Reply = (400, {"__type": "EntityNotFoundException", "Message": "no such job"})
CREATED: Reply = (200, {"Name": "refine"})


@contextmanager
def _glue_that(monkeypatch: pytest.MonkeyPatch, reply: Callable[[str], Reply]) -> Iterator[list[str]]:
    """Glue's endpoint, replying to each operation by its name; yields the operations that were called."""
    operations: list[str] = []

    def answer(received: Received) -> tuple[int, bytes]:
        operations.append(received.headers["X-Amz-Target"].removeprefix("AWSGlue."))
        status, content = reply(operations[-1])
        return status, json.dumps(content).encode()

    with _serving(Server(answer)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_GLUE", server.address)
        yield operations


def _refusing(code: str, message: str) -> Callable[[str], Reply]:
    return lambda operation: (
        NOT_FOUND if operation == "GetJob" else (400, {"__type": code, "Message": message})
    )


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner, "_IAM_PAUSES", (0.0, 0.0))
    monkeypatch.setattr(owner, "_DELIVERY_PAUSES", (0.0, 0.0))


def test_cloudformation_gets_glue_s_own_words(
    aws: MiniStack, cloudformation: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _glue_that(monkeypatch, _refusing("InvalidInputException", "Node node-7 has no parent")):
        refused = create(cloudformation, properties(name="refine"))

    assert (refused["Status"], refused["PhysicalResourceId"]) == ("FAILED", "refine")
    assert "(InvalidInputException)" in refused["Reason"]
    assert "CreateJob operation: Node node-7 has no parent" in refused["Reason"]


@pytest.mark.parametrize("filling", ["x", '"\n', "São", "\x00"])
def test_a_long_refusal_is_cut_in_the_middle_to_what_cloudformation_reads(
    aws: MiniStack, cloudformation: Server, monkeypatch: pytest.MonkeyPatch, filling: str
) -> None:
    message = f"Value {filling * 5_000} failed to satisfy constraint: at most 51200"
    with _glue_that(monkeypatch, _refusing("InvalidInputException", message)):
        owner.handler(request("Create", cloudformation, properties(name="n" * 255)), Context())

    assert len(cloudformation.received[0].body) <= 4096
    refused = answered(cloudformation)
    assert "CreateJob operation: Value" in refused["Reason"]
    assert refused["Reason"].endswith("failed to satisfy constraint: at most 51200")


def test_a_glue_that_is_silent_is_answered_for_before_the_time_is_up(
    aws: MiniStack, cloudformation: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered_for = threading.Event()

    def take(_answer: Received) -> tuple[int, bytes]:
        answered_for.set()
        return 200, b""

    def silent(_operation: str) -> Reply:
        assert answered_for.wait(timeout=60)
        return NOT_FOUND

    cloudformation.answer = take
    with _glue_that(monkeypatch, silent):
        owner.handler(request("Create", cloudformation, properties()), Context(seconds=15.1))

    # And what Glue says at last is not answered any more
    late = answered(cloudformation)
    assert (late["Status"], late["Reason"]) == ("FAILED", "AWS did not answer within 15 seconds")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "is not authorized to perform: glue:CreateJob"),
        ("InvalidInputException", "Role refine should be given assume role permissions for Glue Service."),
    ],
)
@pytest.mark.usefixtures("no_pauses")
def test_a_role_that_aws_does_not_know_yet_is_tried_again(
    aws: MiniStack, cloudformation: Server, monkeypatch: pytest.MonkeyPatch, code: str, message: str
) -> None:
    refusals = iter([message, message])

    def reply(operation: str) -> Reply:
        if operation == "GetJob":
            return NOT_FOUND
        refusal = next(refusals, None)
        return (400, {"__type": code, "Message": refusal}) if refusal else CREATED

    with _glue_that(monkeypatch, reply) as operations:
        answer = create(cloudformation, properties())

    assert answer["Status"] == "SUCCESS"
    assert operations.count("CreateJob") == 3


@pytest.mark.usefixtures("no_pauses")
def test_a_permission_that_is_missing_for_good_is_told(
    aws: MiniStack, cloudformation: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _glue_that(monkeypatch, lambda _: (400, {"__type": "AccessDeniedException", "Message": "no"})):
        refused = create(cloudformation, properties())

    assert refused["Status"] == "FAILED"
    assert "AccessDeniedException" in refused["Reason"]


@pytest.mark.usefixtures("no_pauses")
def test_an_answer_that_does_not_get_through_is_given_again(glue: GlueClient, cloudformation: Server) -> None:
    statuses = iter([503, 500, 200])
    cloudformation.answer = lambda _: (next(statuses), b"")

    owner.handler(request("Create", cloudformation, properties()), Context())

    assert [json.loads(each.body)["Status"] for each in cloudformation.received] == ["SUCCESS"] * 3


@pytest.mark.usefixtures("no_pauses")
def test_an_answer_that_never_gets_through_is_left_to_lambda_to_repeat(
    glue: GlueClient, cloudformation: Server
) -> None:
    cloudformation.answer = lambda _: (503, b"")

    with pytest.raises(OSError, match="503"):
        owner.handler(request("Create", cloudformation, properties()), Context())
