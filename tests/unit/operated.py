"""What the commands of operation work on, as a test makes it: buckets, tables, job, starter, queue."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.ministack import ACCOUNT, REGION
from tests.lambda_functions import source
from tests.unit.both_ends import Bucket

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_sqs import SQSClient

_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("ticker", pa.string()),
    ("lines", pa.int32()),
    ("volume", pa.decimal128(24, 2)),
]
COMPACT = pa.schema(_COLUMNS)
_ROLE = f"arn:aws:iam::{ACCOUNT}:role/refine"


Ingest = Callable[..., None]
"""Takes a session from B3 to raw, and refines it (see `tests.unit.conftest.ingest`)."""


class Job:
    """A Glue job that does what a test says.

    Attributes:
        raw: The raw bucket, which has its script.
        job: Its name.
    """

    def __init__(self, raw: Bucket) -> None:
        self.raw = raw
        self.job = f"refine-{uuid.uuid4().hex}"
        self.glue: GlueClient = boto3.client("glue")
        self.job_says("pass")
        self.glue.create_job(
            Name=self.job,
            Role=_ROLE,
            Command={"Name": "glueetl", "ScriptLocation": f"s3://{raw.name}/script.py"},
            Timeout=5,
        )

    def job_says(self, script: str) -> None:
        """Change what the job does."""
        self.raw.put("script.py", script.encode())

    def job_waits_for(self, file: Path) -> None:
        """Have runs of the job last until a file is there, half a minute at most."""
        wait = f"    if os.path.exists({str(file)!r}): break\n    time.sleep(0.05)\n"
        self.job_says(f"import os, time\nfor _ in range(600):\n{wait}")

    def job_does_nothing(self) -> None:
        """Have runs of the job end at once. Others are processes, of which the emulator has one at a time."""
        no_spark: Any = {"Name": "pythonshell", "ScriptLocation": "s3://none"}
        self.glue.update_job(JobName=self.job, JobUpdate={"Role": _ROLE, "Command": no_spark})

    def start(self, **arguments: str) -> str:
        """Start a run of the job."""
        given = {f"--{name}": value for name, value in arguments.items()}
        return self.glue.start_job_run(JobName=self.job, Arguments=given)["JobRunId"]

    def runs(self) -> list[dict[str, str]]:
        """The arguments of each run of the job, oldest first, less those that Glue adds."""
        return [dict(run["Arguments"]) for run in self.glue.get_job_runs(JobName=self.job)["JobRuns"]]


class Operated(Job):
    """A pipeline whose refined files a test writes.

    Attributes:
        refined: The refined bucket.
    """

    def __init__(self, raw: Bucket) -> None:
        super().__init__(raw)
        name = uuid.uuid4().hex
        self.refined = Bucket(f"refined-{name}")
        self.sqs: SQSClient = boto3.client("sqs")
        self.database, self.starter = f"db_{name}", f"starter-{name}"
        self.queue = self.sqs.create_queue(QueueName=f"dead-{name}")["QueueUrl"]
        self.glue.create_database(DatabaseInput={"Name": self.database})
        for table, keys in (("wide", ["trade_date", "ticker"]), ("compact", ["trade_date"])):
            columns: Any = [{"Name": key, "Type": "string"} for key in keys]
            self.glue.create_table(
                DatabaseName=self.database, TableInput={"Name": table, "PartitionKeys": columns}
            )

    def environment(self) -> dict[str, str]:
        """The variables by which the commands find it all."""
        return {
            "RAW_BUCKET": self.raw.name,
            "REFINED_BUCKET": self.refined.name,
            "REFINED_DATABASE": self.database,
            "REFINED_TABLE": "wide",
            "REFINED_COMPACT_TABLE": "compact",
            "GLUE_JOB_NAME": self.job,
            "STARTER_FUNCTION": self.starter,
            "DEAD_LETTER_QUEUE": self.queue,
        }

    def add_starter(self, *, notified: bool = False, job: str | None = None) -> None:
        """Deploy the starter.

        Args:
            notified: Whether the arrival of a raw session invokes it.
            job: The job that it starts; this one's unless another is named.
        """
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.write(source("start_refine"), "index.py")
        boto3.client("lambda").create_function(
            FunctionName=self.starter,
            Runtime="python3.13",
            Handler="index.handler",
            Role=f"arn:aws:iam::{ACCOUNT}:role/starter",
            Code={"ZipFile": code.getvalue()},
            Environment={"Variables": {"GLUE_JOB_NAME": job or self.job}},
        )
        if notified:
            arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{self.starter}"
            rules: Any = [
                {"Name": "prefix", "Value": "raw/cotahist/"},
                {"Name": "suffix", "Value": "daily.parquet"},
            ]
            self.raw.s3.put_bucket_notification_configuration(
                Bucket=self.raw.name,
                NotificationConfiguration={
                    "LambdaFunctionConfigurations": [
                        {
                            "LambdaFunctionArn": arn,
                            "Events": ["s3:ObjectCreated:*"],
                            "Filter": {"Key": {"FilterRules": rules}},
                        }
                    ]
                },
            )

    def refine(self, session: date, volumes: dict[str, str], *, wide: bool = True) -> None:
        """Write and register what the job would of a session: of each ticker the volume, and a line."""
        rows = [(ticker, 1, Decimal(volume)) for ticker, volume in volumes.items()]
        self.put_compact(session, rows)
        self.register("compact", str(session))
        for ticker in volumes if wide else ():
            self.refined.put(f"refined/trade_date={session}/ticker={ticker}/part-00000.parquet")
            self.register("wide", str(session), ticker)

    def put_compact(self, session: date, rows: Sequence[tuple[str, int, Decimal]]) -> None:
        """Write the compact file of a session."""
        sink = io.BytesIO()
        named = [dict(zip(COMPACT.names, row, strict=True)) for row in rows]
        pq.write_table(pa.Table.from_pylist(named, schema=COMPACT), sink)
        self.refined.put(f"refined_compact/trade_date={session}/part-00000.parquet", sink.getvalue())

    def put_events(self, *rows: tuple[str, date, str]) -> None:
        """Write the table of events: of each its ticker, ex-date and status."""
        names = ("ticker", "ex_date", "status")
        sink = io.BytesIO()
        pq.write_table(pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows]), sink)
        self.refined.put("refined_events/part-00000.parquet", sink.getvalue())

    def register(self, table: str, *values: str) -> None:
        """Register a partition."""
        self.glue.create_partition(
            DatabaseName=self.database, TableName=table, PartitionInput={"Values": list(values)}
        )

    def unregister(self, table: str, *values: str) -> None:
        """Take a partition out of the catalog."""
        self.glue.delete_partition(DatabaseName=self.database, TableName=table, PartitionValues=list(values))

    def put_letter(self, body: str, error: str = "Rate exceeded") -> None:
        """Put a message on the queue, as Lambda does."""
        attributes: Any = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in (("RequestID", "r1"), ("ErrorCode", "200"), ("ErrorMessage", error))
        }
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=body, MessageAttributes=attributes)

    def letters(self) -> int:
        """How many messages can be received."""
        attributes = self.sqs.get_queue_attributes(
            QueueUrl=self.queue, AttributeNames=["ApproximateNumberOfMessages"]
        )["Attributes"]
        return int(attributes["ApproximateNumberOfMessages"])


def arrival(*sessions: object) -> str:
    """S3's event of the arrival of sessions, with their keys encoded as S3 encodes them."""
    keys = [f"raw/cotahist/trade_date%3D{session}/daily.parquet" for session in sessions]
    return json.dumps(
        {"Records": [{"eventSource": "aws:s3", "s3": {"object": {"key": key}}} for key in keys]}
    )


def deploy_stack(outputs: dict[str, str]) -> str:
    """Deploy a stack of which there is nothing but these outputs; its name."""
    name = f"Pipeline{uuid.uuid4().hex}"
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    cloudformation = boto3.client("cloudformation")
    cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    return name
