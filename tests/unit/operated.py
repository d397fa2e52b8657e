"""What the commands of operation work on, as a test makes it: buckets, tables, job, starter, queue."""

from __future__ import annotations

import io
import json
import uuid
import zipfile
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from sandbox.ministack import ACCOUNT, REGION
from tests.lambda_functions import source
from tests.unit.both_ends import Bucket

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_sqs import SQSClient

_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("ticker", pa.string()),
    ("lines", pa.int32()),
    ("volume", pa.decimal128(24, 2)),
]
COMPACT = pa.schema(_COLUMNS)


class Operated:
    """A pipeline whose job does what a test says, and whose refined files a test writes.

    Attributes:
        raw: The raw bucket.
        refined: The refined bucket.
    """

    def __init__(self, raw: Bucket) -> None:
        self.raw = raw
        name = uuid.uuid4().hex
        self.refined = Bucket(f"refined-{name}")
        self.glue: GlueClient = boto3.client("glue")
        self.sqs: SQSClient = boto3.client("sqs")
        self._lambda: LambdaClient = boto3.client("lambda")
        self.database, self.job, self.starter = f"db_{name}", f"refine-{name}", f"starter-{name}"
        self.queue = self.sqs.create_queue(QueueName=f"dead-{name}")["QueueUrl"]
        self.glue.create_database(DatabaseInput={"Name": self.database})
        for table, keys in (("wide", ["trade_date", "ticker"]), ("compact", ["trade_date"])):
            columns: Any = [{"Name": key, "Type": "string"} for key in keys]
            self.glue.create_table(
                DatabaseName=self.database, TableInput={"Name": table, "PartitionKeys": columns}
            )
        self.job_says("pass")
        self.glue.create_job(
            Name=self.job,
            Role="arn:aws:iam::000000000000:role/refine",
            Command={"Name": "glueetl", "ScriptLocation": f"s3://{self.raw.name}/script.py"},
            Timeout=5,
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

    def job_says(self, script: str) -> None:
        """Change what the job does."""
        self.raw.put("script.py", script.encode())

    def start(self, **arguments: str) -> str:
        """Start a run of the job."""
        given = {f"--{name}": value for name, value in arguments.items()}
        return self.glue.start_job_run(JobName=self.job, Arguments=given)["JobRunId"]

    def runs(self) -> list[dict[str, str]]:
        """The arguments of each run of the job, oldest first, less those that Glue adds."""
        return [dict(run["Arguments"]) for run in self.glue.get_job_runs(JobName=self.job)["JobRuns"]]

    def add_starter(self, *, notified: bool = False, job: str | None = None) -> None:
        """Deploy the starter.

        Args:
            notified: Whether the arrival of a raw session invokes it.
            job: The job that it starts; this one's unless another is named.
        """
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.write(source("start_refine"), "index.py")
        self._lambda.create_function(
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

    def ignore_arrivals(self) -> None:
        """Let no arrival invoke the starter any more: what runs then, a command has started."""
        self.raw.s3.put_bucket_notification_configuration(Bucket=self.raw.name, NotificationConfiguration={})

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
