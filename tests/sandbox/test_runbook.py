"""Every procedure of the runbook, tried: its commands, as they stand there, on the deployed pipeline.

Each test brings about what its sections are for, has bash run their commands, and looks at what has become of
it by AWS's own APIs. What the tests add to the lake goes at the end: others ask for its last sessions.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, Self, cast

import boto3
import pytest
from botocore.exceptions import ClientError

import operating.range_run
import operating.replay
import operating.status
from lake import keys
from operating import teardown
from operating.stack import outputs
from sandbox.b3.formats import Quote, daily_member_name, daily_zip_name, encode_session, zip_file
from sandbox.b3.server import Document
from sandbox.b3.sources import SimulatedSource
from sandbox.deploy import Cdk
from sandbox.pipeline import JobRun
from scraper.__main__ import FILES_FAILED, main
from tests.leading import lead_to
from tests.runbook import Shell, aws_tool, sections, shape
from tests.sandbox.deployed import MARKET, SESSIONS, Deployed, quotes_of, remove_sessions

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

RUNBOOK = sections("en")
MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2024, 6, day) for day in (3, 4, 5, 6))
STACK = ("--stack", "BovespaPipeline")
OURS = (MONDAY, TUESDAY, WEDNESDAY, THURSDAY)


class B3(SimulatedSource):
    """A B3 whose files a test puts and takes away."""

    def __init__(self) -> None:
        super().__init__([WEDNESDAY, THURSDAY], MARKET)
        self.files: dict[str, bytes] = {}

    def publish(self, session: date, quotes: Sequence[Quote]) -> None:
        text = encode_session(session, quotes)
        self.files[daily_zip_name(session)] = zip_file(text, daily_member_name(session))

    def quotes(self, name: str) -> Document | None:
        if name in self.files:
            return Document(body=self.files[name], content_type="application/zip")
        # The annual file alone has the others
        return super().quotes(name) if name.startswith("COTAHIST_A") else None


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Whoever has the runbook at hand.

    Attributes:
        deployed: The pipeline.
        b3: Its B3.
        shell: Where the commands are run.
    """

    deployed: Deployed
    b3: B3
    shell: Shell

    def does(self, anchor: str, blocks: slice = slice(None), **variables: object) -> str:
        """Run blocks of a section's commands, and return what they print."""
        return "".join(self.shell.run(block, **variables) for block in RUNBOOK[anchor].commands[blocks])

    def output(self, name: str) -> str:
        """An output of the stack."""
        return outputs(STACK[1])[name]

    def runs(self) -> list[JobRun]:
        """The job's runs, oldest first."""
        return self.deployed.pipeline.job_runs()

    def figures(self, session: date) -> tuple[int, Decimal]:
        """Lines and volume of a session: catalogued, and the same in raw and in both tables."""
        pipeline = self.deployed.pipeline
        assert session in pipeline.registered_sessions()
        assert pipeline.registered_partitions() == pipeline.refined_folders()
        totals = pipeline.totals(session)
        assert totals.agree
        return totals.lines, totals.volume


@pytest.fixture(scope="module")
def operator(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    b3 = B3()
    with deployed.b3.serving(b3), pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        for name in ("RAW_BUCKET", "GLUE_JOB_NAME"):
            environment.delenv(name, raising=False)
        for name in ("QUOTES_BASE_URL", "INDEX_BASE_URL"):
            environment.setenv(name, deployed.server.base_url)
        environment.setattr(operating.range_run, "POLL_SECONDS", 0.2)
        environment.setattr(operating.replay, "POLL_SECONDS", 0.2)
        (prelude,) = RUNBOOK["before-anything"].commands
        assert deployed.sandbox.deployment.work_group in prelude  # which is the stack's name
        tools = {"aws": aws_tool, "python": lambda words: main(words[2:])}
        shell = Shell(tmp_path_factory.mktemp("operator"), prelude, tools)
        yield Operator(deployed=deployed, b3=b3, shell=shell)
        remove_sessions(deployed, OURS)


def figures_of(quotes: Sequence[Quote]) -> tuple[int, Decimal]:
    return len(quotes), sum((quote.voltot for quote in quotes), Decimal(0))


def looks_as_shown(anchor: str, printed: str) -> bool:
    """Whether every line that the runbook shows of a section is among the printed ones, but for figures."""
    shapes = {shape(line) for line in printed.splitlines()}
    return {shape(line) for block in RUNBOOK[anchor].shown for line in block.splitlines()} <= shapes


def set_clock(monkeypatch: pytest.MonkeyPatch, instant: datetime) -> None:
    """Have `status` take this for the present."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cast(Self, instant.astimezone(tz))

    monkeypatch.setattr(operating.status, "datetime", Clock)


def test_a_late_session_is_waited_for_until_b3_has_it(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(monkeypatch, datetime(2024, 6, 4, 11, 0, tzinfo=UTC))  # Tuesday, 08:00 in São Paulo
    assert looks_as_shown("b3-is-late", operator.does("b3-is-late", D=MONDAY))
    operator.b3.publish(MONDAY, quotes_of(MONDAY))
    assert "B3 has it; python -m scraper replay" in operator.does("no-new-session")


def test_a_day_without_a_file_is_told_as_no_session(operator: Operator) -> None:
    assert looks_as_shown("unknown-holiday", operator.does("unknown-holiday", D=TUESDAY))
    assert main(["status", "--to", str(TUESDAY), "--sessions", "1", "--ask-b3", *STACK]) == 0


def test_a_dead_letter_is_put_back_once_the_starter_can_start_the_job(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions, starter = boto3.client("lambda"), operator.output("StarterFunction")
    names = operator.deployed.sandbox.deployment
    operator.b3.publish(MONDAY, quotes_of(MONDAY))
    functions.update_function_configuration(
        FunctionName=starter, Environment={"Variables": {"GLUE_JOB_NAME": "none"}}
    )
    try:
        assert main(["ingest", "--date", str(MONDAY), *STACK]) == 0
        seen = _until(operator, "dead-letters-waiting", "1 message on the dead-letter queue")
        assert "glue:StartJobRun" in seen, "the starter may start the one job alone"
        assert "0 messages done and deleted, 1 stay" in operator.does("dead-letters-waiting", slice(1, 2))
    finally:
        functions.update_function_configuration(
            FunctionName=starter, Environment={"Variables": {"GLUE_JOB_NAME": names.glue_job_name}}
        )
    before = operator.runs()
    printed = operator.does("dead-letters-waiting", slice(1, 2))
    assert looks_as_shown("dead-letters-waiting", printed)
    (run,) = operator.deployed.pipeline.watch_job_runs([MONDAY], before)
    assert run.state == "SUCCEEDED"
    assert operator.figures(MONDAY) == figures_of(quotes_of(MONDAY))
    assert operator.does("dead-letters-waiting", slice(0, 1)) == "The dead-letter queue is empty\n"
    set_clock(monkeypatch, datetime(2024, 6, 4, 11, 0, tzinfo=UTC))
    printed = operator.does("look-first")
    table = RUNBOOK["look-first"].shown[0].splitlines()[:3]
    # The runbook's session is of 2026; this one's trailer counts all records, as those of its time do
    shown = printed.replace("all records", "quotes")
    assert {shape(line) for line in table} <= {shape(line) for line in shown.splitlines()}


def test_a_refused_file_is_found_with_its_reason_and_its_correction_replaces_the_session(
    operator: Operator,
) -> None:
    whole = quotes_of(MONDAY)
    operator.b3.publish(MONDAY, whole)
    operator.b3.files[daily_zip_name(MONDAY)] = operator.b3.files[daily_zip_name(MONDAY)][:-40]
    event = json.dumps({"date": str(MONDAY)}).encode()
    name = operator.output("ScraperFunction")
    answer = boto3.client("lambda").invoke(FunctionName=name, Payload=event)
    assert answer["FunctionError"]
    errors = operator.does("scraper-errors", slice(0, 1))
    assert f"cotahist {MONDAY}: invalid" in errors
    refused = operator.does("quarantine-used")
    assert f"quarantine/cotahist/{MONDAY}/" in refused
    assert "damaged ZIP" in refused.splitlines()[-1]
    gone = next(quote.codisi for quote in whole if quote.tpmerc == "010")
    left = [quote for quote in whole if quote.codisi != gone]
    operator.b3.publish(MONDAY, left)
    before = len(operator.runs())
    shown = operator.does("replay-a-day", slice(0, 1), D=MONDAY)
    (run,) = operator.runs()[before:]
    assert (run.trade_date, run.state) == (str(MONDAY), "SUCCEEDED")
    assert f"job run: {run.id} SUCCEEDED" in shown
    assert operator.figures(MONDAY) == figures_of(left)
    assert '"outcome"' in operator.does("scraper-errors", slice(1, 2))


def test_rises_that_stay_unexplained_are_told_and_explained_by_asking_for_all_issuers(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of papers that went ex between the sessions of the lake, while nobody had asked for their issuers."""
    deployed, raw = operator.deployed, operator.output("RawBucket")
    set_clock(monkeypatch, datetime(2025, 4, 15, 11, 0, tzinfo=UTC))
    before = operator.does("rises-unexplained", slice(0, 1))
    assert looks_as_shown("rises-unexplained", before)
    deployed.b3.actions = SimulatedSource(SESSIONS, MARKET)
    try:
        printed = operator.does("rises-unexplained", slice(1, 2), D=MONDAY)
        assert re.search(r"events new .* 0 failed$", printed, re.MULTILINE)
        assert f"{MONDAY}  " in printed.splitlines()[-1]
        after = operator.does("rises-unexplained", slice(0, 1))
        assert _rises(after) < _rises(before)
    finally:
        deployed.b3.actions = None
        boto3.resource("s3").Bucket(raw).objects.filter(Prefix=keys.CORPORATE_ACTIONS).delete()


def _rises(printed: str) -> int:
    told = re.search(r"^(\d+) rises? of a distribution number", printed, re.MULTILINE)
    return int(told[1]) if told else 0


def _until(operator: Operator, anchor: str, text: str) -> str:
    """Run a section's first block until it shows a text."""
    deadline = time.monotonic() + 30
    while text not in (printed := operator.does(anchor, slice(0, 1))):
        assert time.monotonic() < deadline, printed
    return printed


def test_files_and_partitions_that_were_changed_or_deleted_by_hand_come_back(operator: Operator) -> None:
    names, s3, glue = operator.deployed.sandbox.deployment, boto3.client("s3"), boto3.client("glue")
    expected = operator.figures(MONDAY)
    compact = f"refined_compact/trade_date={MONDAY}/part-00000.parquet"
    other = f"refined_compact/trade_date={SESSIONS[0]}/part-00000.parquet"
    s3.copy_object(
        Bucket=names.refined_bucket, Key=compact, CopySource={"Bucket": names.refined_bucket, "Key": other}
    )
    printed = operator.does("invariant-broken", D=MONDAY)
    assert re.search(rf"^{MONDAY}.* NO .* failed$", printed, re.MULTILINE)

    s3.delete_object(Bucket=names.refined_bucket, Key=compact)
    tickers = [ticker for day, ticker in operator.deployed.pipeline.refined_folders() if day == MONDAY]
    for ticker in tickers:
        s3.delete_object(
            Bucket=names.refined_bucket,
            Key=f"refined/trade_date={MONDAY}/ticker={ticker}/part-00000.parquet",
        )
        glue.delete_partition(
            DatabaseName=names.refined_database,
            TableName=names.refined_table,
            PartitionValues=[str(MONDAY), ticker],
        )
    glue.delete_partition(
        DatabaseName=names.refined_database,
        TableName=names.refined_compact_table,
        PartitionValues=[str(MONDAY)],
    )
    assert looks_as_shown("partition-deleted", operator.does("partition-deleted", D=MONDAY))
    before = len(operator.runs())
    printed = operator.does("replay-a-day", slice(1, 2), D=MONDAY)
    assert looks_as_shown("replay-a-day", printed)
    assert len(operator.runs()) == before + 1
    assert operator.figures(MONDAY) == expected


def test_a_deleted_raw_object_is_restored(operator: Operator) -> None:
    """The one deleted last: the day's own file had taken the place of the backfill's, which stays deleted."""
    bucket, partition = operator.output("RawBucket"), f"raw/cotahist/trade_date={MONDAY}"
    key, replaced = f"{partition}/daily.parquet", f"{partition}/backfill.parquet"
    s3, runs = boto3.client("s3"), operator.runs()
    etag = s3.head_object(Bucket=bucket, Key=key)["ETag"]
    s3.put_object(Bucket=bucket, Key=replaced, Body=b"another")
    s3.delete_object(Bucket=bucket, Key=replaced)
    s3.delete_object(Bucket=bucket, Key=key)
    assert main(["status", "--to", str(MONDAY), "--sessions", "1", *STACK]) == (FILES_FAILED)
    printed = operator.does("restore-object", D=MONDAY)
    assert re.search(rf"^{MONDAY} .* ok$", printed, re.MULTILINE)
    assert s3.head_object(Bucket=bucket, Key=key)["ETag"] == etag
    assert operator.runs() == runs


def test_history_is_loaded_again(operator: Operator) -> None:
    before = len(operator.runs())
    printed = operator.does("load-history-again", FIRST=WEDNESDAY, D=THURSDAY)
    assert "Range run of the Glue job, 2024-06-05 to 2024-06-06" in printed
    assert [run.state for run in operator.runs()[before:]] == ["SUCCEEDED"]
    for session in (WEDNESDAY, THURSDAY):
        assert operator.figures(session) == figures_of(quotes_of(session))


def test_a_table_that_was_changed_is_refused_then_dropped_and_made_anew(operator: Operator) -> None:
    names, glue = operator.deployed.sandbox.deployment, boto3.client("glue")
    pipeline = operator.deployed.pipeline
    before = pipeline.registered_sessions(), {day: pipeline.totals(day) for day in (*SESSIONS, MONDAY)}
    table = glue.get_table(DatabaseName=names.refined_database, Name=names.refined_compact_table)["Table"]
    changed: Any = {name: table[name] for name in ("Name", "PartitionKeys", "StorageDescriptor")}
    for column in changed["StorageDescriptor"]["Columns"]:
        if column["Name"] == "volume":
            column["Type"] = "double"
    glue.update_table(DatabaseName=names.refined_database, TableInput=changed)
    assert main(["replay", "--date", str(MONDAY), "--source", "raw", *STACK]) == (FILES_FAILED)
    assert "is not the one that this job writes" in operator.does("glue-run-failed")
    operator.does("table-changed")
    assert pipeline.registered_sessions() == []
    printed = operator.does("replay-a-range", FIRST=before[0][0], D=before[0][-1])
    assert "job run: " in printed
    assert (pipeline.registered_sessions(), {day: pipeline.totals(day) for day in before[1]}) == before


def test_a_run_that_takes_too_long_is_found_and_stopped(operator: Operator) -> None:
    """On a job that takes its time, in place of the deployed one."""
    glue, iam, names = boto3.client("glue"), boto3.client("iam"), operator.deployed.sandbox.deployment
    boto3.client("s3").put_object(
        Bucket=names.refined_bucket, Key="sleep.py", Body=b"import time; time.sleep(60)"
    )
    iam.create_role(RoleName="sleeper", AssumeRolePolicyDocument="{}")
    script = f"arn:aws:s3:::{names.refined_bucket}/sleep.py"
    reads = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": script}
    policy = json.dumps({"Version": "2012-10-17", "Statement": reads})
    iam.put_role_policy(RoleName="sleeper", PolicyName="reads", PolicyDocument=policy)
    glue.create_job(
        Name="sleeper",
        Role="arn:aws:iam::000000000000:role/sleeper",
        Command={"Name": "glueetl", "ScriptLocation": f"s3://{names.refined_bucket}/sleep.py"},
        Timeout=5,
    )
    run_id = glue.start_job_run(JobName="sleeper")["JobRunId"]
    deadline = time.monotonic() + 30
    while glue.get_job_run(JobName="sleeper", RunId=run_id)["JobRun"]["JobRunState"] != "RUNNING":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    see, stop = RUNBOOK["glue-run-too-long"].commands
    assert run_id in operator.shell.run(f"output() {{ echo sleeper; }}\n{see}{stop}")
    assert glue.get_job_run(JobName="sleeper", RunId=run_id)["JobRun"]["JobRunState"] == "STOPPED"
    glue.delete_job(JobName="sleeper")
    iam.delete_role_policy(RoleName="sleeper", PolicyName="reads")
    iam.delete_role(RoleName="sleeper")
    boto3.client("s3").delete_object(Bucket=names.refined_bucket, Key="sleep.py")


def test_a_query_that_did_not_end_well_is_found(operator: Operator) -> None:
    """In a workgroup of its own, whose last queries these are."""
    athena = boto3.client("athena")
    athena.create_work_group(Name="operator")
    for sql in ("SELECT 1", "SELECT * FROM no_such_table"):
        query = athena.start_query_execution(
            QueryString=sql,
            WorkGroup="operator",
            ResultConfiguration={"OutputLocation": f"s3://{operator.output('QueryResultsBucket')}/operator/"},
        )["QueryExecutionId"]
        deadline = time.monotonic() + 30
        while athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"] in {
            "QUEUED",
            "RUNNING",
        }:
            assert time.monotonic() < deadline
    (block,) = RUNBOOK["athena-cutoff-hit"].commands
    printed = operator.shell.run(f"STACK_NAME=operator\n{block}")
    assert printed.startswith(f"{query}\t")
    assert "no_such_table does not exist" in printed
    assert printed.endswith("\tSELECT * FROM no_such_table\n")
    athena.delete_work_group(WorkGroup="operator", RecursiveDeleteOption=True)


def test_the_schedule_is_stopped_and_goes_on(operator: Operator) -> None:
    scheduler, name = boto3.client("scheduler"), operator.output("ScheduleName")
    before: Any = scheduler.get_schedule(Name=name)
    printed = operator.does("stop-everything", slice(0, 1))
    assert looks_as_shown("stop-everything", printed)
    kept = ("Target", "ScheduleExpression", "ScheduleExpressionTimezone", "FlexibleTimeWindow", "Description")
    stopped: Any = scheduler.get_schedule(Name=name)
    assert stopped["State"] == "DISABLED"
    assert [stopped[part] for part in kept] == [before[part] for part in kept]
    operator.does("stop-everything", slice(1, 2))
    assert scheduler.get_schedule(Name=name)["State"] == before["State"] == "ENABLED"


def test_a_stack_is_removed_with_all_that_it_holds(
    operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second stack, in the same account: what the Makefile does, with that stack's name."""
    settings = {"stack_name": "Removable", "raw_database": "removable", "refined_table": "removable"}
    cdk = Cdk(operator.deployed.sandbox.aws, tmp_path)
    made: dict[str, str] = {}

    def make(words: Sequence[str]) -> int:
        if words[0] == "deploy":
            _, setting = words[1].split(" ")
            name, value = setting.split("=")
            deployment = cdk.deploy({**settings, name: value}, lambda _: None)
            made.update(raw=deployment.raw_bucket, refined=deployment.refined_bucket)
            boto3.client("s3").put_object(Bucket=made["raw"], Key="raw/x", Body=b"x")
            return 0
        monkeypatch.setattr("sys.argv", ["teardown", "--stack", "Removable"])
        monkeypatch.setattr("builtins.input", lambda _: "Removable")
        code = teardown.main()
        cdk.destroy()
        return code

    shell = Shell(tmp_path, "", {"make": make})
    (block,) = RUNBOOK["remove-the-stack"].commands
    printed = shell.run(block)
    assert "1 object versions deleted" in printed
    with pytest.raises(ClientError, match="does not exist"):
        boto3.client("cloudformation").describe_stacks(StackName="Removable")
    buckets = {bucket["Name"] for bucket in boto3.client("s3").list_buckets()["Buckets"]}
    assert not buckets & set(made.values())
    assert operator.output("RawBucket") in buckets
