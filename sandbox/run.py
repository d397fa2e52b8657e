"""One run of the sandbox, shown as it happens: the schedule is fired, and every stage after it is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from typing import Any

from sandbox.console import Show
from sandbox.environment import Sandbox
from sandbox.pipeline import JobRun, Pipeline, QueryResult, StageError
from sandbox.request import Request
from scraper.calendar import SAO_PAULO

_ROWS_SHOWN = 8
_NUMBERS = {"tinyint", "smallint", "integer", "bigint", "float", "double", "decimal"}

Summary = dict[str, Any]
"""What the scraper tells of one file (see `scraper.ingest.Result.summary`)."""


def run(sandbox: Sandbox, request: Request, show: Show) -> None:
    """Take the sessions from B3 to the answers of the named queries.

    Raises:
        StageError: A stage failed, or did not do what it should.
    """
    pipeline = Pipeline(sandbox.deployment)
    before = pipeline.job_runs()
    new = _scrape(pipeline, request, show)
    _refine(pipeline, sandbox, new, before, show)
    _check(pipeline, request, show)
    _ask(pipeline, show)
    sandbox.refresh_lake()


def _scrape(pipeline: Pipeline, request: Request, show: Show) -> list[date]:
    """Fire the schedule; return the sessions that are new in the raw bucket."""
    schedule = pipeline.schedule()
    show.heading("Schedule")
    show.line(f"{schedule.expression}, {schedule.time_zone}: {schedule.target.rpartition(':')[2]}")
    files: list[Summary] = []
    for morning in request.mornings:
        show.line(f"fired for {morning.astimezone(SAO_PAULO):%Y-%m-%d %H:%M}: {schedule.input_at(morning)}")
        with show.step("scraper") as step:
            answer = pipeline.fire(schedule, morning)
            outcomes = Counter(file["outcome"] for file in answer)
            step.outcome = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
        files += answer

    show.heading("Raw bucket")
    absent = [file for file in files if file["outcome"] in {"no session", "not yet published"}]
    for file in [file for file in files if file not in absent]:
        stored = pipeline.raw_object(file["key"])
        rows = f"{file['rows']:,} rows, " if "rows" in file else ""
        show.line(f"{file['outcome']:<9}  {stored.key}  {rows}{stored.size:,} bytes")
    if absent:
        days = sorted(file["date"] for file in absent)
        show.line(
            f"B3 has no file of {len(days)} of the days asked for, {days[0]} to {days[-1]}: {absent[0]['outcome']}"
        )
    if request.session not in pipeline.raw_sessions():
        raise StageError(f"the raw bucket has no session {request.session}")
    return [date.fromisoformat(file["date"]) for file in files if _is_new_session(file)]


def _is_new_session(file: Summary) -> bool:
    return bool(file["source"] == "cotahist" and file["outcome"] == "new")


def _refine(
    pipeline: Pipeline, sandbox: Sandbox, new: Sequence[date], before: Sequence[JobRun], show: Show
) -> None:
    """Watch the job runs that the new raw objects have started."""
    show.heading("Glue job")
    if not new:
        show.line("nothing is new: no event, no job run")
        return
    with show.step(f"{len(new)} S3 events, starter, job runs") as step:

        def seen(job_run: JobRun) -> None:
            if not job_run.has_ended:
                log = sandbox.aws.job_run_log(job_run.id)
                lines = log.read_text(errors="replace").split("\n") if log.exists() else []
                last = next((line.strip() for line in reversed(lines) if line.strip()), "")
                step.doing(f"{job_run.trade_date} {job_run.state}  {last}")

        runs = pipeline.watch_job_runs(new, before, seen)
        states = Counter(job_run.state for job_run in runs)
        step.outcome = ", ".join(f"{count} {state}" for state, count in states.items())
    for job_run in runs:
        show.line(f"{job_run.id}  --trade_date {job_run.trade_date}  {job_run.state}  {job_run.seconds} s")
    failed = [job_run for job_run in runs if job_run.state != "SUCCEEDED"]
    if failed:
        logs = "\n".join(
            f"{one.trade_date}: {one.message}; see {sandbox.aws.job_run_log(one.id)}" for one in failed
        )
        raise StageError(f"{len(failed)} of {len(runs)} job runs did not succeed:\n{logs}")


def _check(pipeline: Pipeline, request: Request, show: Show) -> None:
    """Hold bucket, catalog and both tables against one another."""
    show.heading("Refined table")
    folders, partitions = pipeline.refined_folders(), pipeline.registered_partitions()
    if folders != partitions:
        raise StageError(
            f"the catalog's partitions are not the folders under refined/: {_some(folders - partitions)} are not "
            f"registered, {_some(partitions - folders)} are registered without a folder"
        )
    raw, refined = pipeline.raw_sessions(), {trade_date for trade_date, _ in folders}
    if raw != refined:
        raise StageError(
            f"the sessions in the raw and the refined bucket differ: {_some(raw ^ refined)}. Run the job for them "
            "(aws glue start-job-run), or begin anew with --fresh"
        )
    show.line(
        f"{len(partitions):,} partitions registered, {len(refined)} sessions: exactly the folders under refined/"
    )
    for session in sorted(refined & set(request.sessions)):
        with show.step(f"{session}") as step:
            totals = pipeline.totals(session)
            step.outcome = (
                f"{totals.quotes:,} quotes, {totals.tickers:,} tickers, volume {totals.volume:,} BRL"
            )
        if not totals.agree:
            raise StageError(f"{session}: raw and refined table do not add up to the same: {totals}")


def _some(items: set[Any]) -> str:
    """How many there are, and a few of them."""
    first = ", ".join(
        " ".join(map(str, item)) if isinstance(item, tuple) else str(item) for item in sorted(items)[:3]
    )
    return f"{len(items)} ({first})" if items else "none"


def _ask(pipeline: Pipeline, show: Show) -> None:
    """Run the workgroup's named queries and show their first rows."""
    show.heading("Athena")
    queries = pipeline.named_queries()
    if not queries:
        raise StageError(f"workgroup {pipeline.deployment.work_group} has no named queries")
    for name, sql in queries:
        with show.step(f"named query {name}") as step:
            result = pipeline.query(sql)
            step.outcome = f"{len(result.rows)} rows"
        if not result.rows:
            raise StageError(f"named query {name} returned no rows")
        _show_result(name, result, show)


def _show_result(name: str, result: QueryResult, show: Show) -> None:
    columns = [(column, kind in _NUMBERS) for column, kind in result.columns]
    rows = [
        [_cell(value, is_number=is_number) for value, (_, is_number) in zip(row, columns, strict=True)]
        for row in result.rows[:_ROWS_SHOWN]
    ]
    more = f", the first {_ROWS_SHOWN} of {len(result.rows)} rows" if len(result.rows) > _ROWS_SHOWN else ""
    show.table(f"{name}{more}", columns, rows)


def _cell(value: str | None, *, is_number: bool) -> str:
    if value is None:
        return "-"
    if is_number and value.lstrip("-").replace(".", "", 1).isdigit():
        whole, point, decimals = value.partition(".")
        return f"{int(whole):,}{point}{decimals}" if not value.startswith("-0") else value
    return value
