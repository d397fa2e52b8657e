"""Loads corporate actions of all issuers that the raw quotes name: what B3's service has of the past.

Of each issuer the supplement is asked by its issuing code, and, of a company, what it has paid since 1995 by
each trading name (NOMRES) that its papers have had: that is how issuers that are no longer listed are known.
One trading name can be of several codes, whose rows are then kept under each.

How far it is stands in one object of the raw bucket, `corporate_actions/backfill.json`: whose quotes were
looked through, and what was asked. So it goes on after an interruption, and a later run looks through new
sessions and asks for new names alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from scraper.b3.client import B3Client
from scraper.b3.corporate_actions.address import asked_name
from scraper.b3.errors import ScraperError, message_of
from scraper.daily.canary import Canary
from scraper.daily.corporate_actions import (
    Asked,
    Said,
    ask_cash_history,
    ask_supplement,
    day_of,
    store,
    text_of,
)
from scraper.history.backfill import Progress
from scraper.raw.bucket import NamedIssuer, RawBucket

_READERS = 8
"""Sessions that are looked through at a time."""
_KEPT_EVERY = 20
"""Issuers after which it is kept how far it is."""
_FAILURES_IN_A_ROW = 5
"""After so many B3 is left alone."""

Answer = tuple[str | None, Said]
"""What B3 says, and of which trading name; None of a supplement."""


class ServiceDownError(ScraperError):
    """B3's service keeps failing, so that there is no sense in asking for the others now."""


@dataclass(slots=True)
class Issuer:
    """What is known of an issuer, and was asked.

    Attributes:
        is_fund: Whether the funds' call knows it, which has no history.
        supplement: The day on which its supplement was taken; None if it is to be asked.
        names: The trading names of its papers, with the day on which the history was taken.
    """

    is_fund: bool = False
    supplement: date | None = None
    names: dict[str, date | None] = field(default_factory=dict)

    @property
    def to_ask(self) -> list[str]:
        """Trading names whose history is to be asked for."""
        return [] if self.is_fund else [name for name, day in sorted(self.names.items()) if day is None]

    @property
    def calls(self) -> int:
        """How many calls are left, if each history is one page."""
        return (self.supplement is None) + len(self.to_ask)


@dataclass(slots=True)
class Survey:
    """How far the backfill is.

    Attributes:
        sessions: Those whose quotes were looked through.
        issuers: By issuing code.
    """

    sessions: set[date] = field(default_factory=set)
    issuers: dict[str, Issuer] = field(default_factory=dict)

    @property
    def to_ask(self) -> list[str]:
        """The issuers that are not done, in order."""
        return [code for code, issuer in sorted(self.issuers.items()) if issuer.calls]

    @property
    def calls(self) -> int:
        """How many calls are left at least."""
        return sum(issuer.calls for issuer in self.issuers.values())

    def forget(self) -> None:
        """Have everything asked again."""
        for issuer in self.issuers.values():
            issuer.supplement = None
            issuer.names = dict.fromkeys(issuer.names)

    def to_json(self) -> dict[str, Any]:
        """For JSON; the same survey is the same text."""
        return {
            "sessions": sorted(map(str, self.sessions)),
            "issuers": {
                code: {
                    "is_fund": issuer.is_fund,
                    "supplement": text_of(issuer.supplement),
                    "names": {name: text_of(day) for name, day in sorted(issuer.names.items())},
                }
                for code, issuer in sorted(self.issuers.items())
            },
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `to_json` made.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: The document is none.
        """
        return cls(
            sessions={date.fromisoformat(day) for day in document["sessions"]},
            issuers={
                str(code): Issuer(
                    bool(each["is_fund"]),
                    day_of(each["supplement"]),
                    {str(name): day_of(day) for name, day in each["names"].items()},
                )
                for code, each in document["issuers"].items()
            },
        )

    def meet(self, named: NamedIssuer) -> None:
        """Take in an issuer as a session's quotes name it."""
        issuer = self.issuers.setdefault(named.issuer, Issuer())
        issuer.is_fund |= named.is_fund
        if name := asked_name(named.trading_name):
            issuer.names.setdefault(name, None)


def survey_of(raw: RawBucket) -> Survey:
    """How far the backfill of a bucket is.

    Raises:
        ValueError: What was kept of it is none of ours.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: S3 refuses.
    """
    kept = raw.read_actions_backfill()
    try:
        return Survey() if kept is None else Survey.from_json(kept)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"corporate_actions/backfill.json: {type(error).__name__}: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuerResult:
    """What became of an issuer.

    Attributes:
        issuer: Its issuing code.
        calls: How many calls it took.
        new: Events that were not known before.
        is_known: Whether B3 knows anything of it.
        message: What failed; None if nothing did.
    """

    issuer: str
    calls: int
    new: int
    is_known: bool
    message: str | None = None


class ActionsBackfill:
    """The corporate actions of all issuers.

    Args:
        b3: Whom to ask.
        raw: The raw bucket.
        today: The day in São Paulo.
        refresh: Whether to ask again for what was taken.

    Attributes:
        survey: How far it is.
        news: What is new in the answers so far, in words (see `scraper.daily.canary`).

    Raises:
        ValueError: What was kept of an earlier run is none of ours.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: S3 refuses.
    """

    def __init__(self, b3: B3Client, raw: RawBucket, *, today: date, refresh: bool = False) -> None:
        self._b3, self._raw, self._today = b3, raw, today
        self.survey = survey_of(raw)
        self.news: list[str] = []
        self._pages: list[bytes] = []
        if refresh:
            self.survey.forget()

    def look(self, progress: Progress) -> None:
        """Look through the quotes of sessions that were not, for issuers and their names.

        Args:
            progress: Is told how many sessions there are, and how many are done.
        """
        keys = {day: key for day, key in self._raw.session_keys().items() if day not in self.survey.sessions}
        days = sorted(keys)
        with ThreadPoolExecutor(_READERS) as readers:
            found = readers.map(lambda day: self._raw.named_issuers(keys[day]), days)
            for done, (day, named) in enumerate(zip(days, found, strict=True), start=1):
                for each in named:
                    self.survey.meet(each)
                self.survey.sessions.add(day)
                progress("look", done, len(days))

    def load(self, progress: Progress) -> Iterator[IssuerResult]:
        """Ask for all issuers that are not done, one after the other, as the results are taken.

        Args:
            progress: Is told how many issuers there are, and how many are done.

        Yields:
            A result an issuer. One that fails is a result, too, and is asked again by the next run.

        Raises:
            ServiceDownError: Several have failed one after the other.
        """
        to_ask = self.survey.to_ask
        in_a_row = 0
        try:
            for done, code in enumerate(to_ask, start=1):
                result = self._load(code)
                progress("issuers", done, len(to_ask))
                in_a_row = in_a_row + 1 if result.message else 0
                if done % _KEPT_EVERY == 0:
                    self.keep()
                yield result
                if in_a_row == _FAILURES_IN_A_ROW:
                    raise ServiceDownError(
                        f"{in_a_row} issuers in a row failed, the last one with: {result.message}. What was "
                        "taken is kept: run this again later"
                    )
        finally:
            self.keep()

    def keep(self) -> None:
        """Write how far it is, and find out what is new in the answers since it was last written."""
        self.news += Canary(self._raw).corporate_actions(self._today, self._pages)
        self._pages.clear()
        self._raw.write_actions_backfill(self.survey.to_json())

    def _load(self, code: str) -> IssuerResult:
        answers: list[Answer] = []
        asked, message = Asked(calls=0), None
        try:
            try:
                self._ask(code, answers)
            finally:
                # By one write; also what came before a call that failed
                asked = store(self._raw, code, [said for _, said in answers])
                self._note(code, answers)
                self._pages += (page for _, said in answers for page in said.pages)
        except (ScraperError, BotoCoreError, ClientError) as error:
            message = message_of(error)
        return IssuerResult(
            issuer=code,
            calls=sum(said.calls for _, said in answers) + (message is not None),
            new=asked.new,
            is_known=asked.table is not None and asked.table.num_rows > 0,
            message=message,
        )

    def _ask(self, code: str, answers: list[Answer]) -> None:
        """Ask for what is not known of an issuer, adding each answer as it comes."""
        issuer = self.survey.issuers[code]
        if issuer.supplement is None:
            said = ask_supplement(self._b3, self._raw, code, is_fund=issuer.is_fund, today=self._today)
            answers.append((None, said))
            if said.trading_name:
                issuer.names.setdefault(asked_name(said.trading_name), None)
        for name in issuer.to_ask:
            said = ask_cash_history(self._b3, self._raw, code, name, today=self._today)
            answers.append((name, said))

    def _note(self, code: str, answers: Iterable[Answer]) -> None:
        """Remember which questions of an issuer are answered, and the answers written."""
        issuer = self.survey.issuers[code]
        for name, _ in answers:
            if name is None:
                issuer.supplement = self._today
            else:
                issuer.names[name] = self._today
