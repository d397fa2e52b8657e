"""One run of the sandbox, shown as it happens: the schedule is fired, and every stage after it looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any

from sandbox.console import Show
from sandbox.environment import Sandbox
from sandbox.pipeline import JobRun, Pipeline, QueryResult, StageError
from sandbox.request import Request
from scraper.calendar import SAO_PAULO

_ROWS_SHOWN = 8
_NUMBERS = {"tinyint", "smallint", "integer", "bigint", "float", "double", "decimal"}  # of Athena's types

Summary = dict[str, Any]
"""What the scraper tells of one file (see `scraper.ingest.Result.summary`)."""


def run(sandbox: Sandbox, request: Request, show: Show) -> None:
    """Take the sessions from B3 to the answers of the named queries.

    Raises:
        StageError: A stage failed, or did not do what it should.
    """
    pipeline = Pipeline(sandbox.deployment)
    job_runs_before = pipeline.job_runs()
    new = _scrape(pipeline, request, show)
    _refine(pipeline, sandbox, new, job_runs_before, show)
    _check(pipeline, request, show)
    _ask(pipeline, show)
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
        span = days[0] if len(days) == 1 else f"{_count(len(days), 'day')}, {days[0]} to {days[-1]}"
        show.line(f"not at B3: {span} ({_tally(file['outcome'] for file in absent)})")


def _refine(
    pipeline: Pipeline, sandbox: Sandbox, new: Sequence[date], before: Sequence[JobRun], show: Show
) -> None:
    """Watch the job runs that the new raw objects start."""
    show.heading("S3 event, starter, Glue job")
    nodes = pipeline.job_nodes()
    what = f"a graph of {_count(nodes, 'node')}" if nodes else "a script"
    show.line(f"{pipeline.deployment.glue_job_name} is {what}")
    if not new:
        show.line("nothing is new: no event, no job run")
        return
    with show.step(f"{_count(len(new), 'new session')}", slow=True) as step:

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
        f"{_count(len(partitions), 'partition')} of {_count(len(wide), 'session')} registered: exactly the "
        "folders under refined/"
    )
    show.line(f"{_count(len(registered), 'session')} in the compact table: the files under refined_compact/")
    for session in sorted(wide & set(request.sessions)):
        with show.step(f"{session}") as step:
            totals = pipeline.totals(session)
            made = f"{totals.quotes:,} quotes, {totals.tickers:,} tickers, volume {totals.volume:,} BRL"
            step.outcome = f"{made} in all three"
        if not totals.agree:
            raise StageError(f"{session}: raw and refined tables do not add up to the same: {totals}")


def _ask(pipeline: Pipeline, show: Show) -> None:
    """Run the workgroup's named queries and show their first rows."""
    show.heading("Athena, named queries")
    queries = pipeline.named_queries()
    if not queries:
        raise StageError(f"workgroup {pipeline.deployment.work_group} has no named queries")
    for name, sql in queries:
        with show.step(name) as step:
            result = pipeline.query(sql)
            step.outcome = _count(len(result.rows), "row")
        if not result.rows:
            raise StageError(f"named query {name!r} returned no rows")
        _show_result(result, show)


def _show_result(result: QueryResult, show: Show) -> None:
    """Show the first rows. What is the same in all of them goes above them; a single row stands upright."""
    columns = [(column, kind in _NUMBERS) for column, kind in result.columns]
    rows = [
        [_cell(value, is_number=is_number) for value, (_, is_number) in zip(row, columns, strict=True)]
        for row in result.rows[:_ROWS_SHOWN]
    ]
    if len(rows) == 1:
        pairs = [[name, value] for (name, _), value in zip(columns, rows[0], strict=True)]
        show.table([("column", False), ("value", False)], pairs)
        return
    same = [place for place, values in enumerate(zip(*rows, strict=True)) if len(set(values)) == 1]
    above = [f"{columns[place][0]} {rows[0][place]}" for place in same]
    if len(result.rows) > len(rows):
        above.append(f"the first {len(rows)} rows")
    if above:
        show.line(", ".join(above), style="dim")
    kept = [place for place in range(len(columns)) if place not in same]
    show.table([columns[place] for place in kept], [[row[place] for place in kept] for row in rows])


def _cell(value: str | None, *, is_number: bool) -> str:
    if value is None:
        return "-"
    whole, point, decimals = value.partition(".")
    sign, digits = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    if is_number and digits.isdigit():
        return f"{sign}{int(digits):,}{point}{decimals}"
    return value


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _tally(names: Iterable[str]) -> str:
    """How often each occurs: "9 no session, 1 new"."""
    return ", ".join(f"{count} {name}" for name, count in Counter(names).items())


def _some(items: set[Any]) -> str:
    """How many there are, and the first of them."""
    if not items:
        return "none"
    names = [" ".join(map(str, item)) if isinstance(item, tuple) else str(item) for item in sorted(items)[:3]]
    return f"{len(items)} ({', '.join(names)}{', ...' if len(items) > len(names) else ''})"
