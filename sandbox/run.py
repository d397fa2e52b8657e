"""One run of the sandbox, shown as it happens: the schedule is fired, and every stage after it looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sandbox import history
from sandbox.answers import ask, count
from sandbox.b3.server import B3Server
from sandbox.console import Show
from sandbox.environment import Sandbox
from sandbox.pipeline import JobRun, Pipeline, StageError
from sandbox.request import Request
from scraper.calendar import SAO_PAULO

Summary = dict[str, Any]
"""What the scraper tells of one file (see `scraper.ingest.Result.summary`)."""


def run(sandbox: Sandbox, request: Request, show: Show, *, b3: B3Server | None = None) -> None:
    """Take the sessions from B3 to the answers of the named queries.

    Args:
        sandbox: The running sandbox, which the environment has to lead to.
        request: Which sessions.
        show: Where to show what happens.
        b3: The B3 that is served here; None for B3 itself.

    Raises:
        StageError: A stage failed, or did not do what it should.
    """
    pipeline = Pipeline(sandbox.deployment)
    job_runs_before = pipeline.job_runs()
    new = _scrape(pipeline, request, show)
    _refine(pipeline, sandbox, new, job_runs_before, show)
    history.load(sandbox, pipeline, request.history, b3, show)
    _check(pipeline, request, show)
    ask(pipeline, show)
    sandbox.refresh_lake()


def _scrape(pipeline: Pipeline, request: Request, show: Show) -> list[date]:
    """Fire the schedule; return the sessions that are new in the raw bucket."""
    schedule = pipeline.schedule()
    show.heading("Schedule")
    show.line(f"{schedule.expression}, {schedule.time_zone}, invokes {schedule.target.rpartition(':')[2]}")
    files: list[Summary] = []
    for morning in request.mornings:
        local = morning.astimezone(SAO_PAULO)
        show.line(f"fired for {local:%A %Y-%m-%d %H:%M} with {schedule.input_at(morning)}")
        with show.step("scraper") as step:
            answer = pipeline.fire(schedule, morning)
            step.outcome = _tally(file["outcome"] for file in answer)
        files += answer
    _show_files(pipeline, files, show)
    if request.session not in pipeline.raw_sessions():
        raise StageError(f"session {request.session} did not get into the raw bucket")
    quotes = [file for file in files if file["source"] == "cotahist"]
    return [date.fromisoformat(file["date"]) for file in quotes if file["outcome"] == "new"]


def _show_files(pipeline: Pipeline, files: Sequence[Summary], show: Show) -> None:
    show.heading("Raw bucket")
    absent = [file for file in files if file["outcome"] in {"no session", "not yet published"}]
    for file in files:
        if file not in absent:
            stored = pipeline.raw_object(file["key"])
            rows = f"{file['rows']:,} rows, " if "rows" in file else ""
            show.line(f"{file['outcome']:<9}  {stored.key}  {rows}{stored.size:,} bytes")
    if absent:
        days = sorted(file["date"] for file in absent)
        span = days[0] if len(days) == 1 else f"{count(len(days), 'day')}, {days[0]} to {days[-1]}"
        show.line(f"not at B3: {span} ({_tally(file['outcome'] for file in absent)})")


def _refine(
    pipeline: Pipeline, sandbox: Sandbox, new: Sequence[date], before: Sequence[JobRun], show: Show
) -> None:
    """Watch the job runs that the new raw objects start."""
    show.heading("S3 event, starter, Glue job")
    nodes = pipeline.job_nodes()
    what = f"a graph of {count(nodes, 'node')}" if nodes else "a script"
    show.line(f"{pipeline.deployment.glue_job_name} is {what}")
    if not new:
        show.line("nothing is new: no event, no job run")
        return
    with show.step(f"{count(len(new), 'new session')}", slow=True) as step:

        def show_progress(job_run: JobRun) -> None:
            if not job_run.has_ended:
                said = sandbox.aws.job_run_log(job_run.id)
                lines = said.read_text(errors="replace").splitlines() if said.exists() else []
                step.doing(f"{job_run.trade_date} {job_run.state}  {lines[-1].strip() if lines else ''}"[:80])

        job_runs = pipeline.watch_job_runs(new, before, show_progress)
        step.outcome = f"job runs: {_tally(job_run.state for job_run in job_runs)}"
    for job_run in job_runs:
        seconds = f"{job_run.seconds} s"
        show.line(f"{job_run.id}  --trade_date {job_run.trade_date}  {job_run.state}  {seconds}")
    failed = [job_run for job_run in job_runs if job_run.state != "SUCCEEDED"]
    if failed:
        reasons = [
            f"{one.trade_date}: {one.message}; see {sandbox.aws.job_run_log(one.id)}" for one in failed
        ]
        raise StageError("\n".join([f"{len(failed)} of {len(job_runs)} job runs did not succeed:", *reasons]))


def _check(pipeline: Pipeline, request: Request, show: Show) -> None:
    """Hold buckets, catalog and tables against one another."""
    show.heading("Refined tables")
    folders, partitions = pipeline.refined_folders(), pipeline.registered_partitions()
    if folders != partitions:
        raise StageError(
            "the catalog's partitions are not the folders under refined/: without a partition "
            f"{_some(folders - partitions)}, without a folder {_some(partitions - folders)}"
        )
    files, registered = pipeline.compact_sessions(), pipeline.registered_sessions()
    if files != registered:
        unregistered, empty = Counter(files) - Counter(registered), Counter(registered) - Counter(files)
        raise StageError(
            "the compact table's partitions are not the files under refined_compact/: without a partition "
            f"{_some(set(unregistered))}, without a file {_some(set(empty))}"
        )
    raw, wide, compact = pipeline.raw_sessions(), {trade_date for trade_date, _ in folders}, set(files)
    # History may be in the compact table alone
    missing, surplus = raw - compact | set(request.sessions) & raw - wide, (wide | compact) - raw
    if missing or surplus:
        raise StageError(
            f"sessions only in the raw bucket: {_some(missing)}, only in the refined one: {_some(surplus)}; "
            "run the Glue job for them, or begin anew with --fresh"
        )
    show.line(
        f"{count(len(partitions), 'partition')} of {count(len(wide), 'session')} registered: exactly the "
        "folders under refined/"
    )
    show.line(f"{count(len(registered), 'session')} in the compact table: the files under refined_compact/")
    for session in sorted(wide & set(request.sessions)):
        with show.step(f"{session}") as step:
            totals = pipeline.totals(session)
            made = f"{totals.quotes:,} quotes, {totals.tickers:,} tickers, volume {totals.volume:,} BRL"
            step.outcome = f"{made} in all three"
        if not totals.agree:
            raise StageError(f"{session}: raw and refined tables do not add up to the same: {totals}")


def _tally(names: Iterable[str]) -> str:
    """How often each occurs: "9 no session, 1 new"."""
    return ", ".join(f"{count} {name}" for name, count in Counter(names).items())


def _some(items: set[Any]) -> str:
    """How many there are, and the first of them."""
    if not items:
        return "none"
    names = [" ".join(map(str, item)) if isinstance(item, tuple) else str(item) for item in sorted(items)[:3]]
    return f"{len(items)} ({', '.join(names)}{', ...' if len(items) > len(names) else ''})"
