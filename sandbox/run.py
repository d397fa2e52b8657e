"""One run of the sandbox, shown as it happens: the schedule is fired, and every stage after it looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox import history
from sandbox.answers import ask
from sandbox.arguments import LIVE, RECORDED, SIMULATED
from sandbox.b3.index import INDICES
from sandbox.b3.server import B3Server
from sandbox.b3.sources import RecordedFolder
from sandbox.console import Show, Step, count, first_line
from sandbox.engines import NAMES
from sandbox.environment import Sandbox
from sandbox.pipeline import JobRun, Pipeline, ScraperFailedError, StageError
from sandbox.request import Request
from scraper.b3.calendar import SAO_PAULO
from scraper.daily.corporate_actions import CORPORATE_ACTIONS
from scraper.daily.ingest import INDEX_LEVEL, INDEX_PORTFOLIO

Summary = dict[str, Any]
"""What the scraper tells of one file (see `scraper.daily.ingest.Result.summary`)."""


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
    with _lake_laid_out_if_it_fails(sandbox, show):
        job_runs_before = pipeline.job_runs()
        new = _scrape(pipeline, request, show)
        left = pipeline.unrefined(request.wide_sessions)[0] - {*new}
        # History comes beside the job runs of the daily path, and after the portfolio that its weights are of
        with history.load(sandbox, pipeline, request.history, b3) as loading:
            _refine(pipeline, sandbox, new, job_runs_before, show)
            _take_up(pipeline, sandbox, left, show)
            loading.finish(show)
        _take_up_history(pipeline, sandbox, show)
        with ThreadPoolExecutor(1) as beside:  # from here on nothing more is written
            laid_out = beside.submit(sandbox.refresh_lake)
            history.check(pipeline, request.history, show)
            _check(pipeline, request, show)
            ask(pipeline, show, engine=NAMES[request.engine])
    laid_out.result()


@contextmanager
def _lake_laid_out_if_it_fails(sandbox: Sandbox, show: Show) -> Iterator[None]:
    """Lay the lake out as plain files where the block ends early: what there is, is to look at."""
    try:
        yield
    except BaseException:
        try:
            sandbox.refresh_lake()
        except (BotoCoreError, ClientError, OSError) as error:  # AWS may be what has failed
            show.warning(f"the lake's plain files are not up to date: {error}")
        raise


def _scrape(pipeline: Pipeline, request: Request, show: Show) -> list[date]:
    """Fire the schedule; return the sessions that are new in the raw bucket."""
    schedule = pipeline.schedule()
    show.heading("Schedule")
    show.line(f"{schedule.expression}, {schedule.time_zone}, invokes {schedule.target.rpartition(':')[2]}")
    files: list[Summary] = []
    lacking: list[str] = []
    for morning in request.mornings:
        local = morning.astimezone(SAO_PAULO)
        show.line(f"fired for {local:%A %Y-%m-%d %H:%M} with {schedule.input_at(morning)}")
        with show.step("scraper") as step:
            try:
                answer = pipeline.fire(schedule, morning)
            except ScraperFailedError as error:
                lacking = _lacking_of_indices(request, error)
                answer = [file for file in error.files if file not in error.errors]
            taken = [file["outcome"] for file in answer if file["source"] != CORPORATE_ACTIONS]
            step.outcome = _tally([*taken, *["lacking"] * len(lacking)])
        files += answer
    _show_files(pipeline, files, show)
    for reason in lacking:
        show.warning(reason)
    _say_whether_weights_are_known(pipeline, request, show)
    if request.session not in pipeline.raw_sessions():
        raise StageError(
            f"B3 has no file of session {request.session}, so it did not get into the raw bucket; ask for "
            "another session by DATE=YYYY-MM-DD"
        )
    quotes = [file for file in files if file["source"] == "cotahist"]
    return [date.fromisoformat(file["date"]) for file in quotes if file["outcome"] == "new"]


def _lacking_of_indices(request: Request, error: ScraperFailedError) -> list[str]:
    """What to say if the run failed for nothing but what a folder of recorded files lacks of its indices.

    Raises:
        StageError: It failed for something else, too.
    """
    source = request.source() if request.kind == RECORDED else None
    reasons, others = [], []
    for file in error.errors:
        what, name = "", None
        if isinstance(source, RecordedFolder) and file["source"] == INDEX_PORTFOLIO:
            what, name = "portfolio", source.lacks_portfolio(file["index"])
        elif isinstance(source, RecordedFolder) and file["source"] == INDEX_LEVEL:
            what, name = "levels", source.lacks_levels(file["index"])
        if name is None:
            others.append(file)
        else:
            reasons.append(f"no {what} of the {file['index']}: {request.b3} has no {name}")
    if reasons and not others:
        return reasons
    if not others:
        raise StageError(f"the scraper failed: {error}", details=error.details) from error
    told = "; ".join(
        f"{_name(file)}: {file['outcome']}: {file.get('message', '').rstrip('.')}" for file in others
    )
    raise StageError(
        f"the scraper did not take {told}. {_REMEDY[request.kind]}"
        if told
        else f"the scraper failed: {error}",
        details=error.details,
    ) from error


_REMEDY = {
    SIMULATED: "The simulated B3 has the indices " + ", ".join(INDICES) + ".",
    LIVE: "What B3 did not give is asked for again by the next run; what the readers refused is in the raw "
    "bucket's quarantine/.",
    RECORDED: "Put a sound file in its place, or ask for another session by DATE=YYYY-MM-DD",
}


def _name(file: Summary) -> str:
    return " ".join(str(file[part]) for part in ("source", "index", "date") if part in file)


def _say_whether_weights_are_known(pipeline: Pipeline, request: Request, show: Show) -> None:
    """Say so where the job will find no portfolio for the oldest session."""
    dates, oldest = pipeline.portfolio_dates(), request.sessions[0]
    if any(day <= oldest for day in dates):
        return
    there = f"the oldest portfolio is of {min(dates)}, later than" if dates else "there is no portfolio for"
    show.line(f"{there} session {oldest}: its index weights and sectors stay null")


def _show_files(pipeline: Pipeline, files: Sequence[Summary], show: Show) -> None:
    show.heading("Raw bucket")
    absent = [file for file in files if file["outcome"] in {"no session", "not yet published"}]
    for file in files:
        if file["source"] == CORPORATE_ACTIONS:
            told = f"corporate actions, {count(file['rows'], 'new row')}: {file['message']}"
            show.line(f"{file['outcome']:<9}  {told}")
        elif file not in absent:
            key = file["key"]
            rows = f"{file['rows']:,} rows, " if "rows" in file else ""
            show.line(f"{file['outcome']:<9}  {key}  {rows}{pipeline.raw_size(key):,} bytes")
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
        job_runs = pipeline.watch_job_runs(new, before, _progress(sandbox, step))
        step.outcome = f"job runs: {_tally(job_run.state for job_run in job_runs)}"
    _show_job_runs(sandbox, job_runs, show)


def _take_up(pipeline: Pipeline, sandbox: Sandbox, left: set[date], show: Show) -> None:
    """Start the job for sessions that an earlier run has scraped and not refined."""
    if left:
        show.line(f"an earlier run has left {_days(left)} in the raw bucket alone: the job is started")
        _watch(pipeline, sandbox, [pipeline.start_job(session) for session in sorted(left)], show)


def _take_up_history(pipeline: Pipeline, sandbox: Sandbox, show: Show) -> None:
    """Start the job for sessions of history that an earlier run has loaded and not refined."""
    _, left = pipeline.unrefined(())
    if left:
        show.line(
            f"an earlier run has left history, {_days(left)}, in the raw bucket alone: the job is started"
        )
        _watch(pipeline, sandbox, [pipeline.start_job(min(left), max(left))], show)


def _watch(pipeline: Pipeline, sandbox: Sandbox, run_ids: Sequence[str], show: Show) -> None:
    """Watch job runs that were started here."""
    with show.step(count(len(run_ids), "job run"), slow=True) as step:
        job_runs = [pipeline.watch(run_id, _progress(sandbox, step)) for run_id in run_ids]
        step.outcome = _tally(job_run.state for job_run in job_runs)
    _show_job_runs(sandbox, job_runs, show)


def _progress(sandbox: Sandbox, step: Step) -> Callable[[JobRun], None]:
    def show_progress(job_run: JobRun) -> None:
        if not job_run.has_ended:
            said = sandbox.aws.job_run_log(job_run.id)
            lines = said.read_text(errors="replace").splitlines() if said.exists() else []
            step.doing(f"{job_run.arguments} {job_run.state}  {lines[-1].strip() if lines else ''}"[:80])

    return show_progress


def _show_job_runs(sandbox: Sandbox, job_runs: Sequence[JobRun], show: Show) -> None:
    for job_run in job_runs:
        show.line(f"{job_run.id}  {job_run.arguments}  {job_run.state}  {job_run.seconds} s")
    failed = [job_run for job_run in job_runs if job_run.state != "SUCCEEDED"]
    if failed:
        logs = ", ".join(str(sandbox.aws.job_run_log(one.id)) for one in failed)
        raise StageError(
            f"{len(failed)} of {count(len(job_runs), 'job run')} did not succeed. The first, "
            f"{failed[0].arguments}, says: {first_line(failed[0].message) or 'nothing'}. Raw data "
            f"are safe, and the next run starts the job again. What the job printed: {logs}",
            details="\n".join(f"{one.arguments}: {one.message}" for one in failed),
        )


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
    missing, surplus = raw - compact | set(request.wide_sessions) & raw - wide, (wide | compact) - raw
    if missing or surplus:
        raise StageError(
            f"sessions only in the raw bucket: {_some(missing)}, only in the refined one: {_some(surplus)}; "
            "begin anew by `python -m sandbox run --fresh`"
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


def _days(sessions: Collection[date]) -> str:
    """One session by its day, several by their number, the first and the last."""
    first, last = min(sessions), max(sessions)
    return str(first) if first == last else f"{count(len(sessions), 'session')}, {first} to {last}"


def _some(items: set[Any]) -> str:
    """How many there are, and the first of them."""
    if not items:
        return "none"
    names = [" ".join(map(str, item)) if isinstance(item, tuple) else str(item) for item in sorted(items)[:3]]
    return f"{len(items)} ({', '.join(names)}{', ...' if len(items) > len(names) else ''})"
