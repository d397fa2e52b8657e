"""Reads again what lies in quarantine, once the readers have learned to read it.

It goes the way of a fresh download: the same checks, the same writes, the address where B3 served it as its
source. What the daily path has written since is left as it is, as B3 served that later; a backfilled session
gives way to its daily file, as always. What is read stays in quarantine until its 90 days are over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from scraper.b3.client import Absent, FoundFile, Progress
from scraper.b3.index_portfolio.address import index_of
from scraper.daily.ingest import COTAHIST, INDEX_PORTFOLIO, Outcome, Result, store_portfolio, store_session
from scraper.raw.bucket import Quarantined, RawBucket


def take_session(raw: RawBucket, session: date) -> Iterator[Result]:
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
        yield result
        if result.outcome is not Outcome.INVALID:
            return


def take_portfolios(raw: RawBucket, day: date) -> Iterator[Result]:
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
            yield Result(source=INDEX_PORTFOLIO, outcome=Outcome.FAILED, key=refused.key, message=message)
        elif index not in taken:
            pages = raw.read_quarantined(refused)
            result = store_portfolio(
                raw, index, pages, address=refused.address, today=day, served=refused.kept
            )
            yield result
            if result.outcome is not Outcome.INVALID:
                taken.add(index)


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
