"""One run of the scraper: from what B3 serves to what the raw bucket holds.

A run takes the portfolios first, so that they are there when the quotes' arrival starts the Glue job, then
the quotes of D-1, then those of every other recent session that the raw bucket lacks, then the levels of the
indices, of the year of D-1 whole, unless the bucket has that of D-1 already. Each file is for itself: one
that fails is reported, and the others go on. Corporate actions of papers that a session shows to
have gone ex are taken before its quotes are written (`scraper.daily.corporate_actions`), others at the end.

Which days have a session is B3's word: a day of the calendar for which B3 has no file is no error, and B3 is
asked for the weekdays on which the calendar has the exchange closed, too. A refusal of B3's is not its word:
an HTML page in place of one session's file may say that there is none, but a page that is a firewall's by its
words, or several pages in one run, say nothing. So what a page means is decided when the run has asked for
everything.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import partial
from typing import Any

import pandas as pd
from botocore.exceptions import BotoCoreError, ClientError

from lake.keys import index_levels as levels_key
from scraper.b3.calendar import closed_weekdays, day_in_sao_paulo, sessions_before
from scraper.b3.client import Absence, Absent, B3Client, RefusedError
from scraper.b3.cotahist.reader import open_text, read_text
from scraper.b3.errors import InvalidData, ScraperError, message_of
from scraper.b3.index_level.reader import read_levels
from scraper.b3.index_portfolio.reader import read_portfolio, total_pages
from scraper.b3.oddities import Notes, Oddity, TrailerCount, as_json
from scraper.daily.canary import Canary
from scraper.daily.corporate_actions import CORPORATE_ACTIONS, CorporateActions
from scraper.raw.bucket import Lineage, RawBucket
from scraper.runtime.log_context import about
from scraper.runtime.settings import Settings

COTAHIST = "cotahist"
INDEX_PORTFOLIO = "index_portfolio"
INDEX_LEVEL = "index_level"

_SEVERAL = 2
"""Pages in one run that are no coincidence."""

logger = logging.getLogger(__name__)


class Outcome(StrEnum):
    """What became of one file in a run."""

    NEW = "new"
    """It was written, for the first time or in place of other content."""
    UNCHANGED = "unchanged"
    """The raw bucket already holds exactly this content; nothing was written."""
    NO_SESSION = "no session"
    """B3 has no file of that day and would have it by now: there was no session."""
    NOT_YET_PUBLISHED = "not yet published"
    """B3 has no file of that day, but may still publish it."""
    SUPERSEDED = "superseded"
    """It comes from quarantine, and the raw bucket holds what B3 served later; nothing was written."""
    INVALID = "invalid"
    """A reader refused it: it lies in quarantine, and what the partition held is still there."""
    REFUSED = "refused"
    """B3's firewall, or a page of errors, answered in place of B3: whether there is a file is not known."""
    FAILED = "failed"
    """It could not be fetched, read or written; what the partition held is still there."""
    INCOMPLETE = "incomplete"
    """Some issuers could not be asked for their corporate actions, or the answers be read: the next run asks
    again, and the quotes are not concerned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a run did with one file.

    Attributes:
        source: `COTAHIST`, `INDEX_PORTFOLIO` or `INDEX_LEVEL`, or `CORPORATE_ACTIONS` for all those of a run.
        outcome: What became of it.
        date: The session, of levels the last that there is, or the portfolio's own date; None where it is not
            known.
        index: Code of the index; None for quotes.
        issuer: Issuing code, where the corporate actions are those of one issuer.
        key: Key in the raw bucket of the content, or of the refused bytes.
        rows: Rows written; of corporate actions, those that were not known before.
        volume: Financial volume of the quotes written, in the session's currency (`lake.currency`).
        sha256: SHA-256 of what was read (see `scraper.raw.bucket.Lineage`).
        message: Why, unless the outcome is "new" or "unchanged"; of corporate actions, who was asked.
        trailer_count: What the trailer of the quotes written counts.
        oddities: What of the content written was kept although it is odd.
        is_stored: Whether the raw bucket holds the session after the run, from whichever run; None of all
            that is no session.
        absence: How B3 said that it has no file; None where it did not say so.
        news: What is new in it, in words (see `scraper.daily.canary`).
        failures: Of corporate actions: how many answers there are not.
    """

    source: str
    outcome: Outcome
    date: date | None = None
    index: str | None = None
    issuer: str | None = None
    key: str | None = None
    rows: int | None = None
    volume: Decimal | None = None
    sha256: str | None = None
    message: str | None = None
    trailer_count: TrailerCount | None = None
    oddities: tuple[Oddity, ...] = ()
    is_stored: bool | None = None
    absence: Absence | None = None
    news: tuple[str, ...] = ()
    failures: int | None = None

    @property
    def name(self) -> str:
        """The file in words: "cotahist 2024-11-08", "index_portfolio IBOV 2024-07-16"."""
        return " ".join(
            str(part) for part in (self.source, self.index, self.issuer, self.date) if part is not None
        )

    @property
    def is_error(self) -> bool:
        """Whether someone has to look at it."""
        return self.outcome in {Outcome.INVALID, Outcome.REFUSED, Outcome.FAILED}

    def summary(self) -> dict[str, Any]:
        """What is known, for JSON: the date in ISO format and the volume as text, which keeps its cents."""
        known = {name: value for name, value in asdict(self).items() if value is not None and value != ()}
        as_text = ("outcome", "date", "volume", "trailer_count", "absence")
        known |= {name: str(known[name]) for name in as_text if name in known}
        return known | ({"oddities": as_json(self.oddities)} if self.oddities else {})


class IngestError(ScraperError):
    """A run is over, and some of its files failed or were refused; the message names each.

    Attributes:
        results: The results of the whole run.
    """

    def __init__(self, results: Sequence[Result]) -> None:
        self.results = results
        errors = [result for result in results if result.is_error]
        super().__init__(
            f"{len(errors)} of {len(results)} files were not ingested. "
            + " | ".join(f"{result.name}: {result.outcome}: {result.message}" for result in errors)
        )


def run(
    settings: Settings,
    *,
    now: datetime,
    session: date | None = None,
    remaining: Callable[[], float] | None = None,
) -> Iterator[Result]:
    """Do what `ingest` does, with the settings' B3 and raw bucket.

    Args:
        settings: What else it needs to know.
        now: As of `ingest`.
        session: As of `ingest`.
        remaining: Seconds that the function has left; None where nobody counts them.
    """
    b3, raw = settings.b3_client(), RawBucket(settings.raw_bucket)
    actions = None
    if settings.corporate_actions_calls:
        today, calls = day_in_sao_paulo(now), settings.corporate_actions_calls
        actions = CorporateActions(b3, raw, today=today, calls=calls, remaining=remaining)
    return ingest(
        b3,
        raw,
        now=now,
        session=session,
        index_codes=settings.index_codes,
        level_codes=settings.index_codes,
        lookback_sessions=settings.lookback_sessions,
        actions=actions,
    )


def ingest(
    b3: B3Client,
    raw: RawBucket,
    *,
    now: datetime,
    session: date | None = None,
    index_codes: Sequence[str],
    level_codes: Sequence[str] = (),
    lookback_sessions: int,
    actions: CorporateActions | None = None,
) -> Iterator[Result]:
    """Bring the raw bucket up to date with B3, file by file as the results are taken.

    Args:
        b3: Where to download from.
        raw: Where to write to.
        now: An instant with its time zone; it says what D-1 is.
        session: Take exactly this one. Without it: D-1, also when it is there, as B3 republishes corrections,
            and every session that is missing from the bucket among the last `lookback_sessions`; B3 is also
            asked for the weekdays among them that the calendar takes for holidays.
        index_codes: Indices whose portfolios are taken.
        level_codes: Indices whose levels are taken.
        lookback_sessions: How many sessions up to D-1 are to be in the bucket.
        actions: Takes corporate actions; None leaves them out.

    Yields:
        A result for each file, as it comes, and one for corporate actions if any issuer was asked; those of
        sessions in whose place a page came, last. A file that
        fails is a result, too, and does not end the run.

    Raises:
        ValueError: `now` has no time zone, or `lookback_sessions` is not positive.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: The bucket cannot be listed.
    """
    today = day_in_sao_paulo(now)
    asked_for, *before = [session] if session else _days_to_look_at(now, lookback_sessions)
    present = raw.sessions_present([asked_for, *before])

    def each() -> Iterator[Result]:
        for index in index_codes:
            yield _result_of(partial(_take_portfolio, b3, raw, index, today), INDEX_PORTFOLIO, index=index)
        days = [asked_for, *(day for day in before if day not in present)]
        for left, day in zip(reversed(range(len(days))), days, strict=True):
            ask = partial(actions.session, day, files_left=left + len(level_codes)) if actions else None
            take = partial(_take_session, b3, raw, day, today, before_writing=ask)
            with about(session_date=day):
                result = _result_of(take, COTAHIST, date=day)
            is_stored = day in present or result.outcome in {Outcome.NEW, Outcome.UNCHANGED}
            yield replace(result, is_stored=is_stored)
        for index in level_codes:
            take = partial(_take_levels, b3, raw, index, asked_for, today, anew=session is not None)
            yield _result_of(take, INDEX_LEVEL, index=index)
        if actions:
            if session is None:
                actions.finish()
            yield from _result_of_actions(actions)

    yield from tell_refusals(each())


def _result_of_actions(actions: CorporateActions) -> Iterator[Result]:
    """The one result for all that a run has asked of corporate actions; none if there is nothing to tell."""
    report = actions.report
    if report.is_empty:
        return
    outcome = Outcome.INCOMPLETE if report.failures else Outcome.NEW if report.new else Outcome.UNCHANGED
    yield Result(
        source=CORPORATE_ACTIONS,
        outcome=outcome,
        rows=report.new,
        message=str(report),
        oddities=tuple(report.oddities),
        news=actions.news(),
        failures=len(report.failures),
    )


def _days_to_look_at(now: datetime, lookback_sessions: int) -> list[date]:
    """D-1 by the calendar; then, newest first, what else may have been a session since the first one.

    Those are the calendar's other sessions, and the weekdays on which it has the exchange closed: should it
    be wrong, B3 has a file.
    """
    *before, last = sessions_before(now, lookback_sessions)
    closed = closed_weekdays(min([*before, last]), day_in_sao_paulo(now) - timedelta(days=1))
    return [last, *sorted([*before, *closed], reverse=True)]


def tell_refusals(results: Iterable[Result]) -> Iterator[Result]:
    """Pass the results of a run on, those with a page at the end, when it shows what the pages are.

    If there are several, of sessions of the calendar or of portfolios, they are refusals. Weekdays on which
    the calendar has the exchange closed are no evidence: for them a page may be B3's usual answer.
    """
    held: list[Result] = []
    refused = 0
    for result in results:
        if result.absence is Absence.PAGE:
            held.append(result)
        else:
            refused += result.outcome is Outcome.REFUSED
            yield result
    are_refusals = several_pages([result.date for result in held if result.date], refused=refused)
    for result in held:
        if are_refusals:
            message = f"{result.message} in place of several files: B3's firewall, or one of its errors"
            yield replace(result, outcome=Outcome.REFUSED, message=message, absence=None)
        else:
            yield result


def several_pages(days: Collection[date], *, refused: int = 0) -> bool:
    """Whether pages in place of the files of these days are refusals, for there being several.

    Args:
        days: The days.
        refused: How many other files were refused in the same run.
    """
    return refused + sum(is_expected(day) for day in days) >= _SEVERAL


def is_expected(day: date) -> bool:
    """Whether the calendar has a session on that day."""
    return not closed_weekdays(day, day)


def outcome_of_absence(session: date, today: date) -> Outcome:
    """What it means that B3 has no file of a session: that it may still come, or that there was none."""
    return Outcome.NOT_YET_PUBLISHED if today <= session + timedelta(days=1) else Outcome.NO_SESSION


def _result_of(take: Callable[[], Result], source: str, **identity: Any) -> Result:
    """The result of taking a file; of whatever fails on the way, the result that says so."""
    failed = partial(Result, source=source, outcome=Outcome.FAILED, **identity)
    name = failed().name
    logger.info("%s: asking B3", name)
    try:
        return take()
    except RefusedError as error:
        return replace(failed(message=message_of(error)), outcome=Outcome.REFUSED)
    except (ScraperError, BotoCoreError, ClientError) as error:
        return failed(message=message_of(error))
    except Exception as error:
        # An error of ours in one file must not cost the others, whose portfolio B3 may not serve again
        logger.exception("%s: unexpected error", name)
        return failed(message=f"{type(error).__name__}: {error}")


def _take_session(
    b3: B3Client,
    raw: RawBucket,
    session: date,
    today: date,
    *,
    before_writing: Callable[[pd.DataFrame], None] | None = None,
) -> Result:
    result = partial(Result, source=COTAHIST, date=session)
    answer = b3.quotes(session)
    if isinstance(answer, Absent):
        message = f"{answer.url}: {answer.reason}"
        return result(outcome=outcome_of_absence(session, today), message=message, absence=answer.reason)
    return store_session(raw, session, answer.content, address=answer.url, before_writing=before_writing)


def store_session(
    raw: RawBucket,
    session: date,
    content: bytes,
    *,
    address: str,
    served: datetime | None = None,
    before_writing: Callable[[pd.DataFrame], None] | None = None,
) -> Result:
    """Read the quotes of a session and write them, or put their bytes into quarantine.

    Args:
        raw: Where to write to.
        session: The session.
        content: The ZIP, as B3 served it.
        address: Where it was served.
        served: When, if not now: what the daily path has written since then is left as it is.
        before_writing: Takes the quotes before their arrival in the bucket starts the job.
    """
    result, notes, text = partial(Result, source=COTAHIST, date=session), Notes(), b""
    try:
        text = open_text(content, source=address)
        lineage = Lineage(address, _sha256(text))
        if key := raw.find_session(session, lineage):
            return result(outcome=Outcome.UNCHANGED, key=key, sha256=lineage.sha256)
        quotes = _read_quotes(text, session, address, notes)
    except InvalidData as error:
        key = raw.quarantine(
            [content], source=COTAHIST, day=session, extension="zip", address=address, reason=str(error)
        )
        news = Canary(raw).refused(session, text)
        return result(outcome=Outcome.INVALID, key=key, message=str(error), news=news)
    if message := _superseded(raw.session_written(session), served):
        return result(outcome=Outcome.SUPERSEDED, message=message)
    lineage = replace(lineage, trailer_count=notes.trailer_count, oddities=notes.oddities)
    if before_writing is not None:
        before_writing(quotes)
    return result(
        outcome=Outcome.NEW,
        key=raw.write_session(quotes, session=session, lineage=lineage),
        rows=len(quotes),
        volume=quotes["voltot"].sum(),
        sha256=lineage.sha256,
        trailer_count=notes.trailer_count,
        oddities=notes.oddities,
        news=Canary(raw).session(session, quotes, notes.trailer_count),
    )


def _read_quotes(text: bytes, session: date, source: str, notes: Notes) -> pd.DataFrame:
    quotes = read_text(text, session=session, source=source, notes=notes)
    if quotes.empty:
        raise InvalidData(source=source, found="no quote", expected="the quotes of a session")
    return quotes


def _take_portfolio(b3: B3Client, raw: RawBucket, index: str, today: date) -> Result:
    first = b3.portfolio_page(index, 1)
    pages = [first.content]
    try:
        for number in range(2, total_pages(first.content, source=first.url) + 1):
            pages.append(b3.portfolio_page(index, number).content)
    except InvalidData as error:
        return _refuse_portfolio(raw, index, pages, address=first.url, today=today, error=error)
    return store_portfolio(raw, index, pages, address=first.url, today=today)


def store_portfolio(
    raw: RawBucket,
    index: str,
    pages: Sequence[bytes],
    *,
    address: str,
    today: date,
    served: datetime | None = None,
) -> Result:
    """Read the portfolio of an index and write it, or put its pages into quarantine.

    Args:
        raw: Where to write to.
        index: Code of the index.
        pages: The pages, as B3 served them.
        address: Where the first one was served.
        today: The day on which they were served.
        served: When, if not now: what was written since then is left as it is.
    """
    try:
        portfolio = read_portfolio(pages, index=index, source=address)
    except InvalidData as error:
        return _refuse_portfolio(raw, index, pages, address=address, today=today, error=error)
    day, oddities = portfolio.portfolio_date, portfolio.oddities
    lineage = Lineage(address, _sha256(b"\n".join(pages)), oddities=oddities)
    result = partial(Result, source=INDEX_PORTFOLIO, index=index, date=day, sha256=lineage.sha256)
    if key := raw.find_portfolio(index, day, lineage):
        return result(outcome=Outcome.UNCHANGED, key=key)
    if message := _superseded(raw.portfolio_written(index, day), served):
        return result(outcome=Outcome.SUPERSEDED, message=message)
    return result(
        outcome=Outcome.NEW,
        key=raw.write_portfolio(portfolio.frame, index=index, portfolio_date=day, lineage=lineage),
        rows=len(portfolio.frame),
        oddities=oddities,
        news=Canary(raw).portfolio(day, pages),
    )


def _refuse_portfolio(
    raw: RawBucket, index: str, pages: Sequence[bytes], *, address: str, today: date, error: InvalidData
) -> Result:
    # Its own date may be what could not be read, so it is filed under the day of the run
    key = raw.quarantine(
        pages, source=INDEX_PORTFOLIO, day=today, extension="json", address=address, reason=str(error)
    )
    return Result(source=INDEX_PORTFOLIO, outcome=Outcome.INVALID, index=index, key=key, message=str(error))


def _take_levels(
    b3: B3Client, raw: RawBucket, index: str, session: date, today: date, *, anew: bool
) -> Result:
    """The levels of a session's year, if the bucket lacks that of the session or they are wanted anew."""
    until = raw.levels_until(index, session.year)
    # What a level of a day to come would be, were there one, must not keep the next mornings from asking
    if until is not None and session <= until <= today and not anew:
        key = levels_key(index, session.year)
        return Result(source=INDEX_LEVEL, outcome=Outcome.UNCHANGED, index=index, date=until, key=key)
    answer = b3.levels(index, session.year)
    result = store_levels(raw, index, session.year, answer.content, address=answer.url, today=today)
    if result.outcome is Outcome.NO_SESSION:
        message = f"{result.message}; is {index} an index of B3?"
        return replace(result, outcome=Outcome.FAILED, message=message)
    if not result.is_error and (result.date is None or result.date < session):
        message = f"B3 has no level of {index} of {session} yet"
        return replace(result, date=result.date or session, message=message)
    return result


def store_levels(
    raw: RawBucket,
    index: str,
    year: int,
    content: bytes,
    *,
    address: str,
    today: date,
    served: datetime | None = None,
) -> Result:
    """Read the levels of an index in a year and write them, or put their bytes into quarantine.

    The outcome is "no session" if B3 knows no such index, or not in that year, and "not yet published" if it
    knows it and has no level yet.

    Args:
        raw: Where to write to.
        index: Code of the index.
        year: The year.
        content: The answer, as B3 served it.
        address: Where it was served.
        today: The day on which it was.
        served: When, if not now: what was written since then is left as it is.
    """
    result = partial(Result, source=INDEX_LEVEL, index=index)
    try:
        levels = read_levels(content, index=index, year=year, source=address)
    except InvalidData as error:
        key = raw.quarantine(
            [content], source=INDEX_LEVEL, day=today, extension="json", address=address, reason=str(error)
        )
        return result(outcome=Outcome.INVALID, key=key, message=str(error))
    if levels is None:
        message = f"{address}: B3 knows no level of {index} in {year}"
        return result(outcome=Outcome.NO_SESSION, message=message)
    if levels.last is None:
        message = f"{address}: B3 has no level of {index} in {year}"
        return result(outcome=Outcome.NOT_YET_PUBLISHED, message=message)
    lineage = Lineage(address, _sha256(content), oddities=levels.oddities, last_session=levels.last)
    result = partial(result, date=levels.last, sha256=lineage.sha256)
    if known := raw.find_levels(index, year, lineage):
        return result(outcome=Outcome.UNCHANGED, key=known)
    if later := _superseded(raw.levels_written(index).get(year), served):
        return result(outcome=Outcome.SUPERSEDED, message=later)
    return result(
        outcome=Outcome.NEW,
        key=raw.write_levels(levels.frame, index=index, year=year, lineage=lineage),
        rows=len(levels.frame),
        oddities=levels.oddities,
        news=Canary(raw).levels(levels.last, content),
    )


def _superseded(written: datetime | None, served: datetime | None) -> str | None:
    """Why what B3 served at some time is not written: what there is was written since, as far as is known."""
    if written is None or served is None or written < served:
        return None
    return f"raw holds what was written at {written:%F %T}, and B3 had served this by {served:%F %T} UTC"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
