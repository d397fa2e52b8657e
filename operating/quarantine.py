"""Reads again what lies in quarantine, once the readers have learned to read it.

It goes the way of a fresh download: the same checks, the same writes, the address where B3 served it as its
source. What the daily path has written since is left as it is, as B3 served that later; a backfilled session
gives way to its daily file, as always; corporate actions are added to what is known, as of the day on which
B3 showed them; the levels of a year take the place of those that were there. What is read stays in quarantine
until its 90 days are over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from scraper.b3.client import Absent, FoundFile, Progress
from scraper.b3.corporate_actions.address import Question, question_of
from scraper.b3.corporate_actions.layout import Call
from scraper.b3.errors import InvalidData, ScraperError, message_of
from scraper.b3.index_level.address import question_of as levels_question_of
from scraper.b3.index_portfolio.address import index_of
from scraper.daily.canary import Canary
from scraper.daily.corporate_actions import CORPORATE_ACTIONS, cash_history, store, supplement
from scraper.daily.ingest import (
    COTAHIST,
    INDEX_LEVEL,
    INDEX_PORTFOLIO,
    Outcome,
    Result,
    store_levels,
    store_portfolio,
    store_session,
)
from scraper.history.corporate_actions import survey_of
from scraper.raw.bucket import Quarantined, RawBucket

Tried = tuple[str, Result]
"""What B3 was asked for, and what became of one refused answer to it."""


def take_session(raw: RawBucket, session: date) -> Iterator[Tried]:
    """Read the refused files of a session, the newest first, until one is read.

    Args:
        raw: The raw bucket.
        session: The session.

    Yields:
        A result for each that was tried.
    """
    for refused in raw.quarantined(COTAHIST, session.isoformat()):
        (content,) = raw.read_quarantined(refused)
        result = store_session(raw, session, content, address=refused.address, served=refused.kept)
        yield str(session), result
        if result.outcome is not Outcome.INVALID:
            return


def take_portfolios(raw: RawBucket, day: date) -> Iterator[Tried]:
    """Read the refused portfolios of a day's runs, the newest first, of each index until one is read.

    Args:
        raw: The raw bucket.
        day: The day of the runs.

    Yields:
        A result for each that was tried.
    """
    taken = set[str]()
    for refused in raw.quarantined(INDEX_PORTFOLIO, day.isoformat()):
        index = index_of(refused.address)
        if index is None:
            message = f"{refused.key}: its address, {refused.address}, does not say of which index it is"
            yield refused.key, _failed(INDEX_PORTFOLIO, refused, message)
        elif index not in taken:
            pages = raw.read_quarantined(refused)
            result = store_portfolio(
                raw, index, pages, address=refused.address, today=day, served=refused.kept
            )
            yield index, result
            if result.outcome is not Outcome.INVALID:
                taken.add(index)


def take_levels(raw: RawBucket, day: date) -> Iterator[Tried]:
    """Read the refused levels of a day, the newest first, of each index and year until one is read.

    Args:
        raw: The raw bucket.
        day: The day on which B3 served them.

    Yields:
        A result for each that was tried.
    """
    taken = set[str]()
    for refused in raw.quarantined(INDEX_LEVEL, day.isoformat()):
        question = levels_question_of(refused.address)
        if question is None:
            message = f"{refused.key}: its address, {refused.address}, does not say of which index it is"
            yield refused.key, _failed(INDEX_LEVEL, refused, message)
            continue
        asked = f"levels of {question.code} in {question.year}"
        if asked not in taken:
            (content,) = raw.read_quarantined(refused)
            result = store_levels(
                raw, *question, content, address=refused.address, today=day, served=refused.kept
            )
            yield asked, result
            if result.outcome is not Outcome.INVALID:
                taken.add(asked)


def take_actions(raw: RawBucket, day: date) -> Iterator[Tried]:
    """Read the refused corporate actions of a day, the newest first, of each question until one is read.

    Under which issuers a cash history is kept, whose address has a trading name alone, is what the backfill
    remembers of the quotes.

    Args:
        raw: The raw bucket.
        day: The day on which B3 showed them.

    Yields:
        A result for each that was tried, and issuer.
    """
    taken = set[str]()
    for refused in raw.quarantined(CORPORATE_ACTIONS, day.isoformat()):
        question = question_of(refused.address)
        try:
            issuers = [] if question is None else _issuers(raw, question)
        except ValueError as error:
            yield refused.key, _failed(CORPORATE_ACTIONS, refused, f"{refused.key}: {error}")
            continue
        if question is None or not issuers:
            message = (
                f"{refused.key}: of no issuer that is known, by its address, {refused.address}; "
                "python -m scraper backfill --corporate-actions asks B3 again"
            )
            yield refused.key, _failed(CORPORATE_ACTIONS, refused, message)
            continue
        for issuer in issuers:
            asked = " ".join((*question, issuer))
            if asked not in taken:
                result = _actions_of(raw, refused, question, issuer, day)
                yield asked, result
                if result.outcome is not Outcome.INVALID:
                    taken.add(asked)


def _issuers(raw: RawBucket, question: Question) -> list[str]:
    """The issuing codes that an answer is of."""
    if question.call is not Call.CASH_HISTORY:
        return [question.of_whom]
    issuers = survey_of(raw).issuers
    return [code for code, issuer in sorted(issuers.items()) if question.of_whom in issuer.names]


def _actions_of(raw: RawBucket, refused: Quarantined, question: Question, issuer: str, day: date) -> Result:
    pages, address = raw.read_quarantined(refused), refused.address
    try:
        if question.call is Call.CASH_HISTORY:
            said = cash_history(raw, issuer, pages, address=address, today=day)
        else:
            is_fund = question.call is Call.FUNDS
            body = b"\n".join(pages)
            said = supplement(raw, issuer, body, address=address, is_fund=is_fund, today=day)
        asked = store(raw, issuer, [said])
    except ScraperError as error:
        outcome = Outcome.INVALID if isinstance(error, InvalidData) else Outcome.FAILED
        return _failed(CORPORATE_ACTIONS, refused, message_of(error), outcome=outcome, issuer=issuer)
    return Result(
        source=CORPORATE_ACTIONS,
        outcome=Outcome.NEW if asked.new else Outcome.UNCHANGED,
        issuer=issuer,
        rows=asked.new,
        oddities=asked.oddities,
        news=Canary(raw).corporate_actions(day, pages),
    )


def _failed(
    source: str,
    refused: Quarantined,
    message: str,
    *,
    outcome: Outcome = Outcome.FAILED,
    issuer: str | None = None,
) -> Result:
    return Result(source=source, outcome=outcome, issuer=issuer, key=refused.key, message=message)


class QuarantinedYear:
    """Stands in for B3 where a year is loaded from its refused ZIP.

    Args:
        raw: The raw bucket.
        refused: The ZIP.
    """

    def __init__(self, raw: RawBucket, refused: Quarantined) -> None:
        self._raw = raw
        self._refused = refused

    def year_quotes(self, _year: int, path: Path, _progress: Progress | None = None) -> FoundFile | Absent:
        """The ZIP, as a file."""
        self._raw.download_quarantined(self._refused, path)
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return FoundFile(self._refused.address, path, sha256, path.stat().st_size)
