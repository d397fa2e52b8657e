"""Loads history: B3's annual files into the raw bucket, a file a session, verified before a byte is uploaded.

A year goes through five steps. Its ZIP is downloaded to disk; its quotes are read in blocks and staged on
disk, a Parquet file a session, so that memory holds a block and a session, never a year; what is staged is
verified; then the sessions are uploaded, and last the manifest. A year that is refused leaves nothing in
`raw/`, and its ZIP lies in quarantine. A year that was interrupted has no manifest, or its old one, and is
done again; what had been uploaded is there with the same bytes, and is not uploaded again.

A session that the daily path has ingested wins over the annual file: it is newer than any file that was
written later, as B3 corrects sessions in the daily files, and it may arrive while a year is being uploaded.
How the two differ is told and kept (`scraper.history.revisions`).

The manifest also says which sessions no range run of the Glue job has refined yet, so that an interruption
between load and refinement loses nothing.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import logging
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.exceptions import BotoCoreError, ClientError

from lake.currency import totals
from scraper.b3.calendar import sessions_between
from scraper.b3.client import Absence, Absent, B3Client, FoundFile, RefusedError, refusal
from scraper.b3.client import Progress as DownloadProgress
from scraper.b3.cotahist.layout import FIRST_YEAR
from scraper.b3.cotahist.reader import COTAHIST_SCHEMA, count_of_year, read_year
from scraper.b3.errors import InvalidData, ScraperError, message_of
from scraper.b3.oddities import Notes, Oddity, TrailerCount, as_json
from scraper.daily.canary import codes_of, news_of, unknown_codes
from scraper.daily.ingest import COTAHIST
from scraper.history.revisions import Revision, difference, revision_of
from scraper.history.span import Span, span_of
from scraper.raw.bucket import READER_VERSION, Lineage, Partition, RawBucket, encode_session

LONGEST_GAP = 5
"""Consecutive sessions of the calendar that a file may lack. In 1990 the exchange was closed for as long; a
file that was cut lacks weeks."""

SCRATCH_PREFIX = "bovespa-backfill-"
"""Begins the names of the temporary folders."""

STAGED_ROWS = 100_000
"""Quotes that are held before they are written to disk: some 25 MB. A file in which the sessions are mixed
is thus written in few pieces, not in one for each time that the session changes."""

UPLOADS = 8
"""Sessions of a year that are uploaded at once."""

COMPARED = 2
"""Sessions that are compared at once, some 30 MB each."""

_ENCODED = 2
"""Sessions that are written to disk, or read from it, at once."""
_TROUBLE_CHARACTERS = 300

Progress = Callable[[str, int, int], None]
"""Is told what is being done with a year, how much of it is done, and of how much (0: not known)."""

logger = logging.getLogger(__name__)


class YearSource(Protocol):
    """Where the ZIP of a year comes from: B3, or `operating.quarantine`."""

    def year_quotes(
        self, year: int, path: Path, progress: DownloadProgress | None = None, /
    ) -> FoundFile | Absent:
        """The ZIP, written to a file."""


class BackfillError(ScraperError):
    """A year could not be loaded, by no fault of its file."""


@dataclass(frozen=True, slots=True)
class Task:
    """A year to load, and the days of it that are asked for."""

    year: int
    days: Span


def tasks(days: Span) -> list[Task]:
    """A task a year for a span of days, oldest first."""
    return [
        Task(year, Span(max(days.first, date(year, 1, 1)), min(days.last, date(year, 12, 31))))
        for year in range(days.first.year, days.last.year + 1)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session of an annual file.

    Attributes:
        day: Its day.
        rows: Its quotes.
        volume: Their financial volume, in the session's currency (`lake.currency`).
        md5: MD5 of its `backfill.parquet`; None where the daily path's file stands in its place.
    """

    day: date
    rows: int
    volume: Decimal
    md5: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was loaded of a year. It is the last object that a load writes.

    Attributes:
        year: The year.
        source: Address of the ZIP.
        sha256: SHA-256 of the ZIP, in hexadecimal.
        reader_version: Version of the readers (`scraper.raw.bucket.READER_VERSION`).
        days: The days that were looked for; the last one lies before the day of the load.
        sessions: The sessions that the file has of those days.
        missing: Sessions of the calendar that the file does not have.
        unexpected: Sessions of the file that the calendar does not have.
        written: How many sessions the load wrote.
        unchanged: How many were there with the same bytes.
        to_refine: The days that hold sessions which no run of the Glue job has refined; None if it has all.
        refine_run: Id of the job run that was last started for `to_refine`; None if there was none.
        request: Who asked for the load, where that was said (see `scraper.history.handler`).
        trailer_count: What the file's trailer counts; None where readers of version 1 did not say.
        oddities: What of the file was kept although it is odd.
        compared: How many sessions the daily path has, so that both files were held against each other.
        revised: Those in which they differ.
        news: Codes of the file that no table has, in words (see `scraper.daily.canary`).
    """

    year: int
    source: str
    sha256: str
    reader_version: str
    days: Span
    sessions: tuple[Session, ...]
    missing: tuple[date, ...]
    unexpected: tuple[date, ...]
    written: int
    unchanged: int
    to_refine: Span | None
    refine_run: str | None
    request: str | None
    trailer_count: TrailerCount | None = None
    oddities: tuple[Oddity, ...] = ()
    compared: int = 0
    revised: tuple[Revision, ...] = ()
    news: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """Quotes of all sessions."""
        return sum(session.rows for session in self.sessions)

    @property
    def volumes(self) -> dict[str, Decimal]:
        """Their financial volume, by currency: 1994 has two."""
        return totals((session.day, session.volume) for session in self.sessions)

    def is_finished(self, days: Span, partitions: Mapping[date, Partition]) -> bool:
        """Whether there is nothing left to do for these days.

        That is so if the load covers them, was made by this version of the readers, and its sessions are
        still there: with the bytes that it wrote, or as the daily path has written them since.
        """
        there = {
            day: partition.daily or partition.backfill is not None for day, partition in partitions.items()
        }
        as_written = all(
            there.get(session.day)
            and (partitions[session.day].daily or session.md5 in {None, partitions[session.day].backfill})
            for session in self.sessions
        )
        return self.reader_version == READER_VERSION and self.days.covers(days) and as_written

    def to_json(self) -> dict[str, Any]:
        """For JSON: days in ISO format, volumes as text, which keeps their cents."""
        return {
            "year": self.year,
            "source": self.source,
            "sha256": self.sha256,
            "reader_version": self.reader_version,
            "days": _span_to_json(self.days),
            "rows": self.rows,
            "volume": {currency: str(volume) for currency, volume in self.volumes.items()},
            "written": self.written,
            "unchanged": self.unchanged,
            "to_refine": self.to_refine and _span_to_json(self.to_refine),
            "refine_run": self.refine_run,
            "request": self.request,
            "trailer_count": self.trailer_count,
            "oddities": as_json(self.oddities),
            "compared": self.compared,
            "revised": [revision.to_json() for revision in self.revised],
            "news": [*self.news],
            "calendar": {
                "missing": [day.isoformat() for day in self.missing],
                "unexpected": [day.isoformat() for day in self.unexpected],
            },
            "sessions": [
                asdict(session) | {"day": session.day.isoformat(), "volume": str(session.volume)}
                for session in self.sessions
            ],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Manifest:
        """What `to_json` made.

        Raises:
            BackfillError: The document is not a manifest.
        """
        try:
            return cls(
                year=int(document["year"]),
                source=str(document["source"]),
                sha256=str(document["sha256"]),
                reader_version=str(document["reader_version"]),
                days=_span_from_json(document["days"]),
                sessions=tuple(
                    Session(
                        day=date.fromisoformat(session["day"]),
                        rows=int(session["rows"]),
                        volume=Decimal(session["volume"]),
                        md5=session["md5"],
                    )
                    for session in document["sessions"]
                ),
                missing=tuple(map(date.fromisoformat, document["calendar"]["missing"])),
                unexpected=tuple(map(date.fromisoformat, document["calendar"]["unexpected"])),
                written=int(document["written"]),
                unchanged=int(document["unchanged"]),
                to_refine=document["to_refine"] and _span_from_json(document["to_refine"]),
                refine_run=document["refine_run"],
                request=document["request"],
                trailer_count=_trailer_count_from_json(document.get("trailer_count")),
                oddities=tuple(map(Oddity.from_json, document.get("oddities", ()))),
                compared=int(document.get("compared", 0)),
                revised=tuple(map(Revision.from_json, document.get("revised", ()))),
                news=tuple(map(str, document.get("news", ()))),
            )
        except (KeyError, TypeError, ValueError, ArithmeticError) as error:
            raise BackfillError(
                f"the manifest of {document.get('year', 'a year')} is not one of this version "
                f"({type(error).__name__}: {error}); delete it, and load the year again"
            ) from error


def _span_to_json(span: Span) -> list[str]:
    return [span.first.isoformat(), span.last.isoformat()]


def _span_from_json(days: Sequence[str]) -> Span:
    first, last = map(date.fromisoformat, days)
    return Span(first, last)


def _trailer_count_from_json(count: str | None) -> TrailerCount | None:
    return None if count is None else TrailerCount(count)


class Outcome(StrEnum):
    """What became of a year."""

    LOADED = "loaded"
    """Its sessions are in the raw bucket, and so is the manifest."""
    NOT_YET_PUBLISHED = "not yet published"
    """The current year has had no session yet, and B3 no file."""
    INVALID = "invalid"
    """The file was refused: it lies in quarantine, and `raw/` is as it was."""
    FAILED = "failed"
    """It could not be fetched, read or written. What had been uploaded stays, and is not uploaded again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class YearResult:
    """What became of a year.

    Attributes:
        year: The year.
        outcome: What became of it.
        manifest: What is loaded of it; None where nothing was, this time.
        seconds: How long it took.
        message: Why, unless it was loaded.
        key: Where in the raw bucket the refused ZIP lies.
    """

    year: int
    outcome: Outcome
    manifest: Manifest | None = None
    seconds: float = 0.0
    message: str | None = None
    key: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether someone has to look at it."""
        return self.outcome in {Outcome.INVALID, Outcome.FAILED}


LoadYear = Callable[[Task, Progress], YearResult]
"""Loads a year and tells how far it is."""


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A task, what an earlier load has left of it, and whether that is all that is asked for."""

    task: Task
    manifest: Manifest | None
    finished: bool


def survey(raw: RawBucket, asked: Sequence[Task], *, refresh: bool = False) -> list[Surveyed]:
    """Look which years are finished. Nothing is asked of B3.

    Args:
        raw: The raw bucket.
        asked: The years.
        refresh: Take no year for finished.

    Raises:
        BackfillError: A manifest cannot be read.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: S3 refuses.
    """

    def look(task: Task) -> Surveyed:
        manifest = read_manifest(raw, task.year)
        if manifest is None or refresh:
            return Surveyed(task, manifest, finished=False)
        return Surveyed(task, manifest, manifest.is_finished(task.days, raw.partitions(task.year)))

    with ThreadPoolExecutor(max_workers=UPLOADS) as pool:
        return list(pool.map(look, asked))


def read_manifest(raw: RawBucket, year: int) -> Manifest | None:
    """What was loaded of a year; None if nothing was.

    Raises:
        BackfillError: It cannot be read.
    """
    document = raw.read_manifest(year)
    return None if document is None else Manifest.from_json(document)


def load_years(
    asked: Sequence[Task],
    load: LoadYear,
    *,
    jobs: int,
    progress: Callable[[int], Progress],
) -> Iterator[YearResult]:
    """Load years, several at a time; a year that fails is a result and does not end the others.

    Args:
        asked: The years.
        load: Loads one of them: `load_year`, or `scraper.history.handler.invoke`.
        jobs: How many at a time.
        progress: Makes what is told of a year's progress.

    Yields:
        A result for each year, as they come.
    """
    stopping = threading.Event()

    def watched(year: int) -> Progress:
        tell = progress(year)

        def tell_unless_stopped(stage: str, done: int, total: int) -> None:
            if stopping.is_set():
                raise BackfillError("interrupted; the same command goes on from here")
            tell(stage, done, total)

        return tell_unless_stopped

    pool = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="year")
    try:
        running = [pool.submit(_result_of, load, task, watched(task.year)) for task in asked]
        for done in as_completed(running):
            yield done.result()
    finally:
        # Whoever takes no more results, by Ctrl-C for instance, does not want the other years to go on
        stopping.set()
        pool.shutdown(cancel_futures=True)


def _result_of(load: LoadYear, task: Task, progress: Progress) -> YearResult:
    started = time.monotonic()
    try:
        result = load(task, progress)
    except (ScraperError, BotoCoreError, ClientError, OSError) as error:
        result = YearResult(year=task.year, outcome=Outcome.FAILED, message=message_of(error))
    except Exception as error:
        # An error of ours in one year must not cost the others
        logger.exception("%s: unexpected error", task.year)
        message = f"{type(error).__name__}: {error}"
        result = YearResult(year=task.year, outcome=Outcome.FAILED, message=message)
    return replace(result, seconds=time.monotonic() - started)


def load_year(
    task: Task,
    progress: Progress,
    *,
    b3: YearSource,
    raw: RawBucket,
    today: date,
    accept_gaps: bool = False,
    request: str | None = None,
) -> YearResult:
    """Load a year, whether or not it was loaded before. It needs up to 300 MB for temporary files.

    Args:
        task: The year, and the days that are asked for.
        progress: Is told how far it is.
        b3: Where to download from.
        raw: Where to write to.
        today: The day in São Paulo; sessions up to the day before it are expected.
        accept_gaps: Take a file that lacks more than `LONGEST_GAP` consecutive sessions of the calendar.
        request: Goes into the manifest.

    Returns:
        A result that is not "failed".

    Raises:
        ScraperError: The file could not be downloaded, or what was staged is not what was read.
        OSError: The temporary files cannot be written.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: S3 refuses.
    """
    prior = read_manifest(raw, task.year)
    days = Span(task.days.first, min(task.days.last, today - timedelta(days=1)))
    with tempfile.TemporaryDirectory(prefix=SCRATCH_PREFIX) as folder:
        path = Path(folder, f"COTAHIST_A{task.year}.ZIP")
        answer = b3.year_quotes(
            task.year, path, lambda done, announced: progress("download", done, announced or 0)
        )
        if isinstance(answer, Absent):
            return _absent(task, answer, days)
        try:
            staged, lineage, news = _stage(answer, days, Path(folder), progress)
            calendar = sessions_between(days.first, days.last)
            missing, unexpected = _differences(calendar, [session.day for session in staged])
            if not accept_gaps:
                _refuse_gaps(calendar, missing, answer.url, is_over=task.year < today.year)
        except InvalidData as error:
            key = raw.quarantine_year(
                path,
                source=COTAHIST,
                year=task.year,
                sha256=answer.sha256,
                address=answer.url,
                reason=str(error),
            )
            return YearResult(year=task.year, outcome=Outcome.INVALID, message=str(error), key=key)
        path.unlink()
        sessions, written = _upload(raw, staged, Path(folder), lineage, progress)
        revised = _compare(raw, sessions, Path(folder), lineage, progress)
    manifest = Manifest(
        year=task.year,
        source=answer.url,
        sha256=answer.sha256,
        reader_version=READER_VERSION,
        days=days,
        sessions=sessions,
        missing=missing,
        unexpected=unexpected,
        written=written,
        unchanged=sum(session.md5 is not None for session in sessions) - written,
        to_refine=_to_refine(sessions, prior),
        refine_run=None,
        request=request,
        trailer_count=lineage.trailer_count,
        oddities=lineage.oddities,
        compared=sum(session.md5 is None for session in sessions),
        revised=revised,
        news=news,
    )
    raw.write_manifest(task.year, manifest.to_json())
    return YearResult(year=task.year, outcome=Outcome.LOADED, manifest=manifest)


def _absent(task: Task, answer: Absent, days: Span) -> YearResult:
    if answer.reason is Absence.PAGE and sessions_between(date(task.year, 1, 1), days.last):
        raise RefusedError(f"{refusal(answer)}. Run it again later")
    message = f"{answer.url}: {answer.reason}"
    if not sessions_between(date(task.year, 1, 1), days.last):
        return YearResult(year=task.year, outcome=Outcome.NOT_YET_PUBLISHED, message=message)
    raise BackfillError(f"{message}; B3 has annual files since {FIRST_YEAR}. Run it again later")


def _stage(
    answer: FoundFile, days: Span, folder: Path, progress: Progress
) -> tuple[list[Session], Lineage, tuple[str, ...]]:
    """Write the sessions' Parquet files to the folder, and verify them against what was read.

    Returns:
        The sessions; their lineage, which is known when the file has been read to its end; and its codes
        that no table has, in words.
    """
    staging = _Staging(folder, Lineage(answer.url, answer.sha256, count_of_year(days.first.year)))
    rows, volume, empty = 0, Decimal(0), True
    notes = Notes()
    codes: dict[str, Counter[str]] = defaultdict(Counter)
    batches = read_year(
        answer.path,
        year=days.first.year,
        source=answer.url,
        progress=lambda done, total: progress("read", done, total),
        notes=notes,
    )
    for day, batch in batches:
        empty = False
        if day in days:
            staging.add(day, batch)
            for kind, counts in codes_of(batch).items():
                codes[kind].update(counts)
            rows += batch.num_rows
            volume += _volume(batch["voltot"])
    if empty:
        raise InvalidData(source=answer.url, found="no quote", expected="the quotes of a year")
    lineage = Lineage(answer.url, answer.sha256, notes.trailer_count, notes.oddities)
    staged = staging.close(lineage)
    found = sum(session.rows for session in staged), sum(session.volume for session in staged)
    if found != (rows, volume):
        raise BackfillError(
            f"{answer.url}: the staged files hold {found[0]} quotes and {found[1]} of VOLTOT, expected "
            f"{rows} and {volume}, as was read; nothing was uploaded. "
            f"Is the disk of {folder} sound? Run it again"
        )
    return staged, lineage, tuple(news_of(codes, unknown_codes(codes, {}), "quotes"))


class _Staging:
    """A folder that the sessions of a year are written to, in pieces where they do not come in one.

    Args:
        folder: The folder.
        expected: Their lineage, as far as it can be known before the file has been read to its end. Should it
            turn out to be another, what was written is written anew.
    """

    def __init__(self, folder: Path, expected: Lineage) -> None:
        self._folder = folder
        self._expected = expected
        self._held: dict[date, list[pa.RecordBatch]] = {}
        self._held_rows = 0
        self._pieces: dict[date, int] = {}

    def add(self, day: date, batch: pa.RecordBatch) -> None:
        """Take quotes of a session."""
        self._held.setdefault(day, []).append(batch)
        self._held_rows += batch.num_rows
        if self._held_rows >= STAGED_ROWS:
            self._flush()

    def close(self, lineage: Lineage) -> list[Session]:
        """Make one file of each session, and read back what it holds; oldest first."""
        self._flush()
        with ThreadPoolExecutor(_ENCODED) as threads:
            return [*threads.map(lambda day: self._finish(day, lineage), sorted(self._pieces))]

    def _flush(self) -> None:
        with ThreadPoolExecutor(_ENCODED) as threads:
            for day in threads.map(self._write, self._held):
                self._pieces[day] = self._pieces.get(day, 0) + 1
        self._held.clear()
        self._held_rows = 0

    def _write(self, day: date) -> date:
        content = encode_session(pa.Table.from_batches(self._held[day]), self._expected)
        _staged_file(self._folder, day, self._pieces.get(day, 0)).write_bytes(content)
        return day

    def _finish(self, day: date, lineage: Lineage) -> Session:
        path = _staged_file(self._folder, day)
        if self._pieces[day] > 1 or lineage != self._expected:
            pieces = [_staged_file(self._folder, day, piece) for piece in range(self._pieces[day])]
            quotes = pa.concat_tables([pq.read_table(piece, partitioning=None) for piece in pieces])
            path.write_bytes(encode_session(quotes, lineage))
        content = path.read_bytes()
        volumes = pq.read_table(io.BytesIO(content), columns=["voltot"])["voltot"]
        return Session(
            day=day,
            rows=len(volumes),
            volume=_volume(volumes),
            md5=hashlib.md5(content, usedforsecurity=False).hexdigest(),
        )


def _staged_file(folder: Path, day: date, piece: int = 0) -> Path:
    """The first piece becomes the session's whole file."""
    return folder / f"{day.isoformat()}.{piece}.parquet"


def _volume(voltot: Any) -> Decimal:
    total = pc.sum(voltot).as_py()
    return Decimal(0) if total is None else Decimal(total)


def _differences(
    calendar: Sequence[date], found: Sequence[date]
) -> tuple[tuple[date, ...], tuple[date, ...]]:
    """The sessions that only the calendar has, and those that only the file has."""
    return tuple(sorted({*calendar} - {*found})), tuple(sorted({*found} - {*calendar}))


def _refuse_gaps(calendar: Sequence[date], missing: Collection[date], source: str, *, is_over: bool) -> None:
    """Refuse a file that lacks too many sessions in a row.

    Single days are B3's word against the calendar's. At the end of the current year B3 may be late.
    """
    lacking = {*missing}
    for is_missing, run in itertools.groupby(calendar, key=lambda session: session in lacking):
        gap = list(run)
        if not is_missing or len(gap) <= LONGEST_GAP or (gap[-1] == calendar[-1] and not is_over):
            continue
        raise InvalidData(
            source=source,
            found=f"no quote of {len(gap)} sessions in a row, {gap[0]} to {gap[-1]}",
            expected=f"a file that lacks at most {LONGEST_GAP} consecutive sessions of the calendar",
            advice="It may be cut. Load it again; if it comes the same and B3 was closed, --accept-gaps.",
        )


def _upload(
    raw: RawBucket, staged: Sequence[Session], folder: Path, lineage: Lineage, progress: Progress
) -> tuple[tuple[Session, ...], int]:
    """Put the sessions that are not there; of one that the daily path has, leave its file alone.

    Returns:
        The sessions, those that the daily path has without MD5, and how many were written.
    """
    year = staged[0].day.year if staged else 0
    before = raw.partitions(year) if staged else {}
    to_put = [session for session in staged if _lacks(before.get(session.day, Partition()), session)]

    def put(session: Session) -> None:
        content = _staged_file(folder, session.day).read_bytes()
        raw.put_backfill(content, session=session.day, lineage=lineage)

    progress("upload", 0, len(to_put))
    with ThreadPoolExecutor(max_workers=UPLOADS, thread_name_prefix="upload") as pool:
        try:
            for done, _ in enumerate(pool.map(put, to_put), start=1):
                progress("upload", done, len(to_put))
        except BaseException:
            pool.shutdown(cancel_futures=True)  # or the pool would end what nobody waits for
            raise
    # The daily writer puts its file and then deletes ours if it is there. Whoever of us comes second sees the
    # other's file, so that one file is left, and it is the daily one
    after = raw.partitions(year) if staged else {}
    daily = {day for day, partition in after.items() if partition.daily}
    for session in staged:
        if session.day in daily and after[session.day].backfill is not None:
            raw.delete_backfill(session.day)
    sessions = tuple(replace(session, md5=None) if session.day in daily else session for session in staged)
    return sessions, sum(session.day not in daily for session in to_put)


def _compare(
    raw: RawBucket, sessions: Sequence[Session], folder: Path, lineage: Lineage, progress: Progress
) -> tuple[Revision, ...]:
    """Hold the sessions that the daily path has against the annual file, and keep what differs.

    What an earlier load has kept of the others goes. A daily file that arrives in between is compared by the
    next load.
    """
    kept = raw.revisions(sessions[0].day.year) if sessions else {}
    daily = [session.day for session in sessions if session.md5 is None]
    for session in sessions:
        if session.md5 is not None and session.day in kept:
            raw.delete_revisions(session.day)

    def compare(day: date) -> Revision | None:
        content = raw.read_daily(day)
        if content is None:
            return None  # deleted by hand since it was listed
        try:
            quotes = pq.read_table(io.BytesIO(content)).select(COTAHIST_SCHEMA.names).cast(COTAHIST_SCHEMA)
        except (pa.ArrowException, KeyError, ValueError) as error:
            return Revision(day=day, trouble=f"{type(error).__name__}: {error}"[:_TROUBLE_CHARACTERS])
        annual = pq.read_table(_staged_file(folder, day), partitioning=None)
        lines = difference(quotes, annual.replace_schema_metadata(None))
        if not len(lines):
            if day in kept:
                raw.delete_revisions(day)
            return None
        differing = encode_session(lines, lineage)
        if kept.get(day) != hashlib.md5(differing, usedforsecurity=False).hexdigest():
            raw.put_revisions(differing, session=day, lineage=lineage)
        return revision_of(day, lines)

    revised = []
    with ThreadPoolExecutor(max_workers=COMPARED, thread_name_prefix="compare") as pool:
        try:
            for done, revision in enumerate(pool.map(compare, daily), start=1):
                progress("compare", done, len(daily))
                if revision is not None:
                    revised.append(revision)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return tuple(revised)


def _lacks(partition: Partition, session: Session) -> bool:
    return not partition.daily and partition.backfill != session.md5


def _to_refine(sessions: Sequence[Session], prior: Manifest | None) -> Span | None:
    """The days of the sessions that differ from what was refined, and of those that were not refined yet."""
    before = None if prior is None else prior.to_refine
    refined = {
        session.day: session.md5
        for session in (() if prior is None else prior.sessions)
        if before is None or session.day not in before
    }
    changed = [
        session.day
        for session in sessions
        if session.md5 is not None and refined.get(session.day) != session.md5
    ]
    return span_of(changed if before is None else [*changed, before.first, before.last])


def loader(
    *,
    b3: Callable[[], B3Client],
    raw: RawBucket,
    today: date,
    accept_gaps: bool,
    request: str | None = None,
) -> LoadYear:
    """`load_year` for `load_years`: each year with a client of its own, as years are loaded in parallel."""

    def load(task: Task, progress: Progress) -> YearResult:
        return load_year(
            task, progress, b3=b3(), raw=raw, today=today, accept_gaps=accept_gaps, request=request
        )

    return load
