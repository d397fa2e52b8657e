"""From a script to a graph and back, deployed over one another: one job at a time, and the same rows.

Each deployment works on the lake that the one before has left, after a restart of the emulator in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from io import StringIO
from pathlib import Path

import boto3
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from sandbox import environment
from sandbox.arguments import SCRIPT, SIMULATED, VISUAL
from sandbox.b3.server import B3Server
from sandbox.b3.sources import SimulatedSource
from sandbox.console import Show
from sandbox.environment import Sandbox
from sandbox.pipeline import JobRun, Partition, Pipeline
from sandbox.request import Request
from sandbox.run import run
from tests.sandbox.at_work import RoleAtWork, roles_at_work
from tests.sandbox.deployed import MARKET, SESSIONS, morning_after, port_for_b3, quotes_of, started

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("visual sandbox")]

FIRST, SECOND = SESSIONS


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What there was while a stack was deployed.

    Attributes:
        jobs: The Glue jobs of the account, with the number of their nodes.
        named: The name of the job in the stack's outputs.
        resources: Names of what the stacks could have left behind, by kind.
        rows: The refined rows of each session, by ISIN.
        compact: The rows of each session's compact file, as they lie in it.
        compact_sessions: The sessions that are partitions of the compact table.
        folders: The refined folders, and the partitions in the catalog.
        job_runs: The job runs that were started meanwhile.
        roles: What the roles may do, and what was decided on their calls.
    """

    jobs: dict[str, int]
    named: str
    resources: dict[str, set[str]]
    rows: dict[date, pa.Table]
    compact: dict[date, pa.Table]
    compact_sessions: set[date]
    folders: tuple[set[Partition], set[Partition]]
    job_runs: list[JobRun]
    roles: dict[str, RoleAtWork]


@dataclass(frozen=True, kw_only=True)
class Journey:
    """A stack whose job was a script, then a graph, then a script.

    Attributes:
        shown: What a run of the sandbox shows of the graph, which finds nothing new, in lines.
    """

    script: Seen
    visual: Seen
    shown: list[str]
    back: Seen


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    folder = tmp_path_factory.mktemp("visual")
    with B3Server(SimulatedSource(SESSIONS, MARKET), port=port_for_b3()) as b3:
        with _deployed(folder, b3, SCRIPT) as sandbox:
            script = _look(sandbox, _arrives(sandbox, FIRST))
        with _deployed(folder, b3, VISUAL) as sandbox:
            # The session that the script refined, and one that only the graph does
            job_runs = [_refined_again(sandbox, FIRST), *_arrives(sandbox, SECOND)]
            _glue_writes_its_script(sandbox)
            shown = StringIO()
            run(sandbox, Request(b3=SIMULATED, sessions=SESSIONS), Show(shown))
            visual = _look(sandbox, job_runs)
        with _deployed(folder, b3, SCRIPT) as sandbox:
            back = _look(sandbox, [_refined_again(sandbox, SECOND)])
    return Journey(script=script, visual=visual, shown=shown.getvalue().splitlines(), back=back)


@contextmanager
def _deployed(folder: Path, b3: B3Server, job: str) -> Iterator[Sandbox]:
    with (
        pytest.MonkeyPatch.context() as variables,
        started(folder, b3, variables, job=job) as sandbox,
    ):
        yield sandbox


def _arrives(sandbox: Sandbox, session: date) -> list[JobRun]:
    """The schedule fires on the morning after; the event of the raw object starts the job."""
    pipeline = Pipeline(sandbox.deployment)
    before = pipeline.job_runs()
    pipeline.fire(pipeline.schedule(), morning_after(session))
    return pipeline.watch_job_runs([session], before)


def _refined_again(sandbox: Sandbox, session: date) -> JobRun:
    """Somebody starts the job by hand, as the starter does."""
    pipeline = Pipeline(sandbox.deployment)
    return pipeline.watch(pipeline.start_job(session))


def _glue_writes_its_script(sandbox: Sandbox) -> None:
    """What Glue does on AWS when it is given a graph, and the emulator does not."""
    job = boto3.client("glue").get_job(JobName=sandbox.deployment.glue_job_name)["Job"]
    bucket, _, key = job["Command"]["ScriptLocation"].removeprefix("s3://").partition("/")
    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"# generated")


def _look(sandbox: Sandbox, job_runs: list[JobRun]) -> Seen:
    pipeline, names = Pipeline(sandbox.deployment), sandbox.deployment
    sandbox.refresh_lake()
    jobs = boto3.client("glue").get_jobs()["Jobs"]
    scripts = boto3.client("s3").list_objects_v2(Bucket=names.refined_bucket, Prefix="visual/")
    functions = boto3.client("lambda").get_paginator("list_functions").paginate()
    roles = boto3.client("iam").get_paginator("list_roles").paginate()
    log_groups = boto3.client("logs").get_paginator("describe_log_groups").paginate()
    return Seen(
        jobs={job["Name"]: len(job.get("CodeGenConfigurationNodes", {})) for job in jobs},
        named=names.glue_job_name,
        resources={
            "functions": {each["FunctionName"] for page in functions for each in page["Functions"]},
            "roles": {each["RoleName"] for page in roles for each in page["Roles"]},
            "log groups": {each["logGroupName"] for page in log_groups for each in page["logGroups"]},
            "scripts of Glue": {each["Key"] for each in scripts.get("Contents", [])},
        },
        rows={
            session: ds.dataset(folder, partitioning="hive").to_table().sort_by("isin")
            for session, folder in _folders(sandbox.lake / "refined")
        },
        compact={
            session: _of_one_file(folder) for session, folder in _folders(sandbox.lake / "refined_compact")
        },
        compact_sessions=set(pipeline.registered_sessions()),
        folders=(pipeline.refined_folders(), pipeline.registered_partitions()),
        job_runs=job_runs,
        roles=roles_at_work(sandbox),
    )


def _folders(table: Path) -> Iterator[tuple[date, Path]]:
    """The folder of each session."""
    for folder in table.iterdir():
        yield date.fromisoformat(folder.name.removeprefix("trade_date=")), folder


def _of_one_file(folder: Path) -> pa.Table:
    (file,) = folder.iterdir()
    return pq.read_table(file, partitioning=None)


def test_there_is_one_job_at_a_time_and_the_outputs_name_it(journey: Journey) -> None:
    for seen, nodes in ((journey.script, False), (journey.visual, True), (journey.back, False)):
        assert list(seen.jobs) == [seen.named]
        assert (seen.jobs[seen.named] > 0) is nodes
    assert journey.visual.named == "BovespaPipeline-refine-visual"


def test_the_way_there_and_back_leaves_no_orphan(journey: Journey) -> None:
    assert journey.visual.resources["scripts of Glue"] == {"visual/BovespaPipeline-refine-visual.py"}
    assert journey.visual.resources["functions"] > journey.script.resources["functions"]
    assert journey.back.resources == journey.script.resources


def test_no_call_of_a_role_is_refused_on_the_way(journey: Journey) -> None:
    for seen in (journey.script, journey.visual, journey.back):
        calls = [call for role in seen.roles.values() for call in role.calls]
        assert len(calls) > 20
        assert [call for call in calls if not call["allowed"]] == []


def test_the_starter_starts_the_graph_as_it_starts_the_script(journey: Journey) -> None:
    states = [(run.trade_date, run.state, run.message) for run in journey.visual.job_runs]
    assert states == [(FIRST.isoformat(), "SUCCEEDED", ""), (SECOND.isoformat(), "SUCCEEDED", "")]


def test_graph_and_script_make_the_same_rows_of_the_same_session(journey: Journey) -> None:
    pairs = [
        (journey.script.rows[FIRST], journey.visual.rows[FIRST]),
        (journey.back.rows[SECOND], journey.visual.rows[SECOND]),
        (journey.script.compact[FIRST], journey.visual.compact[FIRST]),
        (journey.back.compact[SECOND], journey.visual.compact[SECOND]),
    ]
    for by_script, by_graph in pairs:
        assert by_script.num_rows > 30
        # Columns, their order and their types; of some, Spark knows in only one way that none is null
        assert [(each.name, each.type) for each in by_graph.schema] == [
            (each.name, each.type) for each in by_script.schema
        ]
        assert by_graph.to_pylist() == by_script.to_pylist()


@pytest.mark.parametrize("session", SESSIONS)
def test_the_graph_s_rows_add_up_to_the_generated_quotes(journey: Journey, session: date) -> None:
    rows = journey.visual.rows[session].to_pylist()
    quotes = quotes_of(session)
    assert sum(row["volume"] for row in rows) == sum(quote.voltot for quote in quotes)
    assert sum(row["lines"] for row in rows) == len(quotes)
    assert {row["isin"] for row in rows} == {quote.codisi for quote in quotes}


@pytest.mark.parametrize("session", SESSIONS)
def test_the_graph_s_compact_rows_are_its_wide_ones_sorted_by_ticker(journey: Journey, session: date) -> None:
    wide, compact = journey.visual.rows[session], journey.visual.compact[session]
    columns = [name for name in wide.column_names if name not in {"trade_date", "ticker"}]
    assert compact.column_names == ["ticker", *columns]
    by_ticker = sorted(
        ({"ticker": str(row["ticker"]), **{name: row[name] for name in columns}} for row in wide.to_pylist()),
        key=lambda row: row["ticker"],
    )
    assert compact.to_pylist() == by_ticker
    assert journey.visual.compact_sessions == set(SESSIONS)


def test_every_folder_is_a_partition_whoever_wrote_it(journey: Journey) -> None:
    for seen in (journey.script, journey.visual, journey.back):
        folders, partitions = seen.folders
        assert folders == partitions
    assert journey.visual.folders == journey.back.folders


def test_a_run_tells_that_the_job_is_a_graph_and_asks_of_its_rows(journey: Journey) -> None:
    nodes = journey.visual.jobs[journey.visual.named]
    assert f"  BovespaPipeline-refine-visual is a graph of {nodes} nodes" in journey.shown
    answers = journey.shown[journey.shown.index("Refined tables") :]
    assert any("ticker" in line for line in answers)


def test_the_visual_job_has_a_sandbox_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "HOME", tmp_path)
    folders = [
        environment.prepare_folder(
            Request(b3=SIMULATED, sessions=SESSIONS, job=job), fresh=False, show=Show(StringIO())
        )
        for job in (SCRIPT, VISUAL)
    ]
    assert folders == [tmp_path / "simulated", tmp_path / "simulated-visual"]
