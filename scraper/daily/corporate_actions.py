"""Asks B3 for corporate actions: of whom there is a cause to ask, and of the others once a month.

COTAHIST says on which session a paper went ex: its distribution number (DISMES) rises. So the issuers of
papers whose number rose since their session before are asked, before the quotes are written, so that the job
which their arrival starts finds the answers. A rise that no answer explains is asked for again each morning
for `PATIENCE`. Where ESPECI says ATZ, a nominal update, alone, nothing left the paper, and there is no cause.
Beside that a sweep goes through all issuers that trade, a portion a day, as B3 announces and corrects.

What a run may cost is bounded: in calls, in seconds, and by what the function has left. Whatever fails here
is told and costs no quotes; what was not asked is asked by the next run.

The memory is one small object of the raw bucket, `corporate_actions/memory.json`. If it is gone or cannot be
read, that is told, and it begins anew: a paper's first sight is no rise. Sessions older than the one that it
knows of a paper change nothing. Two runs at once may ask twice, or forget what the other has asked.
"""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
import pyarrow as pa
from botocore.exceptions import BotoCoreError, ClientError

from scraper.b3.client import ACTIONS_DEADLINE, DEADLINE, Absent, B3Client
from scraper.b3.corporate_actions.layout import issuer_of
from scraper.b3.corporate_actions.reader import (
    Actions,
    merge,
    read_cash_history,
    read_supplement,
    total_pages,
)
from scraper.b3.cotahist.layout import CASH_MARKET, FUND
from scraper.b3.errors import InvalidData, ScraperError, message_of
from scraper.b3.oddities import Oddity
from scraper.daily.canary import Canary
from scraper.raw.bucket import Lineage, RawBucket
from scraper.runtime.log_context import about

if TYPE_CHECKING:
    from collections.abc import Sequence

CORPORATE_ACTIONS = "corporate_actions"
"""The name of the source, in results and in quarantine."""

PATIENCE = timedelta(days=45)
"""For how long a rise that nothing explains is asked for, and how long an issuer that does not trade is."""
RENEWED_AFTER = timedelta(days=28)
"""A sweep asks nobody again before that."""
SWEEP_DAYS = 20
"""In how many days a sweep goes through all issuers: fewer than a month has sessions."""
UNKNOWN_AFTER = timedelta(days=7)
"""An issuer that B3 says it does not know, as it does of many whose shares are at home elsewhere, is asked
again for a rise after that."""
SECONDS = 240.0
"""Of a run, for corporate actions in all: a hundred calls at a pause of two seconds."""

_FORGOTTEN_AFTER = timedelta(days=3 * 365)
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_RIGHTS = slice(4, 8)
"""Of ESPECI: what the paper is ex of."""
_NOMINAL_UPDATE = "ATZ"
_RESERVE = 60.0
"""Seconds of the function that are left to what is not asking."""
_FAILURES_IN_A_ROW = 3
"""After so many B3 is left alone until the next run."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What B3 says of an issuer, read and not yet written.

    Attributes:
        calls: How many calls it took.
        pages: The answers as B3 served them; none if it knows nothing of what was asked.
        actions: What was read; None likewise.
        lineage: Where it comes from; None likewise.
    """

    calls: int
    pages: tuple[bytes, ...] = ()
    actions: Actions | None = None
    lineage: Lineage | None = None

    @property
    def trading_name(self) -> str | None:
        """NOMRES, where the answer has it."""
        return None if self.actions is None else self.actions.trading_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What became of asking for an issuer.

    Attributes:
        calls: How many calls it took.
        table: All that is known of the issuer now; None if B3 knows nothing of what was asked.
        new: Events that were not known before.
        oddities: What was kept although it is odd.
    """

    calls: int
    table: pa.Table | None = None
    new: int = 0
    oddities: tuple[Oddity, ...] = ()


def ask_supplement(b3: B3Client, raw: RawBucket, issuer: str, *, is_fund: bool, today: date) -> Said:
    """Ask for what B3's supplement says of an issuer, by ISIN.

    Args:
        b3: Whom to ask.
        raw: Where refused bytes go.
        issuer: Issuing code.
        is_fund: Whether the funds' call is asked.
        today: The day in São Paulo.

    Raises:
        InvalidData: The answer was refused and lies in quarantine.
        DownloadError: B3 gave no usable answer.
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: S3 does not take refused bytes.
    """
    answer = b3.supplement(issuer, is_fund=is_fund)
    if isinstance(answer, Absent):
        return Said(calls=1)
    return supplement(raw, issuer, answer.content, address=answer.url, is_fund=is_fund, today=today)


def supplement(raw: RawBucket, issuer: str, body: bytes, *, address: str, is_fund: bool, today: date) -> Said:
    """Read a supplement that was served.

    Args:
        raw: Where refused bytes go.
        issuer: Issuing code that was asked for.
        body: The answer.
        address: Where it was served.
        is_fund: Whether by the funds' call.
        today: The day in São Paulo on which it was.

    Raises:
        InvalidData, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: As of
            `ask_supplement`.
    """
    with _refusals(raw, [body], address, today):
        actions = read_supplement(body, issuer=issuer, is_fund=is_fund, seen=today, source=address)
    return _said([body], actions, address)


def ask_cash_history(b3: B3Client, raw: RawBucket, issuer: str, trading_name: str, *, today: date) -> Said:
    """Ask for what B3 says that a company of that trading name has paid since 1995.

    Args:
        b3: Whom to ask.
        raw: Where refused bytes go.
        issuer: Issuing code that the rows are to be kept under.
        trading_name: NOMRES.
        today: The day in São Paulo.

    Raises:
        InvalidData, DownloadError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: As of
            `ask_supplement`.
    """
    first = b3.cash_history_page(trading_name, 1)
    if isinstance(first, Absent):
        return Said(calls=1)
    pages = [first.content]
    # A page that is not there is one that the reader misses
    with _refusals(raw, pages, first.url, today):
        for number in range(2, total_pages(first.content, source=first.url) + 1):
            page = b3.cash_history_page(trading_name, number)
            pages.append(b"" if isinstance(page, Absent) else page.content)
    return cash_history(raw, issuer, pages, address=first.url, today=today)


def cash_history(raw: RawBucket, issuer: str, pages: Sequence[bytes], *, address: str, today: date) -> Said:
    """Read a cash history that was served.

    Args:
        raw: Where refused bytes go.
        issuer: Issuing code that the rows are to be kept under.
        pages: The answers, in order.
        address: Where the first one was served.
        today: The day in São Paulo on which they were.

    Raises:
        InvalidData, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: As of
            `ask_supplement`.
    """
    with _refusals(raw, pages, address, today):
        actions = read_cash_history(pages, issuer=issuer, seen=today, source=address)
    return _said(pages, actions, address)


def _said(pages: Sequence[bytes], actions: Actions, address: str) -> Said:
    sha256 = hashlib.sha256(b"\n".join(pages)).hexdigest()
    lineage = Lineage(address, sha256, oddities=actions.oddities)
    return Said(calls=len(pages), pages=(*pages,), actions=actions, lineage=lineage)


@contextmanager
def _refusals(raw: RawBucket, pages: Sequence[bytes], address: str, today: date) -> Iterator[None]:
    """Put what a reader refuses within the block into quarantine."""
    try:
        yield
    except InvalidData as error:
        raw.quarantine(
            pages,
            source=CORPORATE_ACTIONS,
            day=today,
            extension="json",
            address=address,
            reason=str(error),
        )
        raise


def store(raw: RawBucket, issuer: str, said: Sequence[Said]) -> Asked:
    """Add what B3 says of an issuer, in however many answers, to what is known, by one write.

    Args:
        raw: Where to write to.
        issuer: Issuing code.
        said: The answers, of which the last one's lineage becomes the object's.

    Raises:
        OvertakenError, botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: It is not written.
    """
    calls = sum(each.calls for each in said)
    tables = [each.actions.table for each in said if each.actions is not None]
    lineages = [each.lineage for each in said if each.lineage is not None]
    if not tables:
        return Asked(calls=calls)
    table = merge(tables)
    if table.num_rows == 0:
        return Asked(calls=calls, table=table)
    oddities = tuple(oddity for lineage in lineages for oddity in lineage.oddities)
    merged = raw.merge_actions(issuer, table, lineage=replace(lineages[-1], oddities=oddities))
    return Asked(calls=calls, table=merged.table, new=merged.new, oddities=oddities)


@dataclass(frozen=True, slots=True)
class Rise:
    """A paper's distribution number rose, and no event that is known explains it.

    Attributes:
        isin: The paper.
        issuer: Its issuing code.
        before: Its session before.
        session: The session on which the number was higher.
        count: By how much.
        asked: The day on which B3 was last asked for it; None if it never was.
    """

    isin: str
    issuer: str
    before: date
    session: date
    count: int
    asked: date | None = None

    def is_explained(self, table: pa.Table) -> bool:
        """Whether there are events of the paper on its days, as many as the number rose by."""
        papers, days = (table[name].to_pylist() for name in ("isin", "last_date_prior"))
        events = sum(
            isin == self.isin and day is not None and self.before <= day < self.session
            for isin, day in zip(papers, days, strict=True)
        )
        return bool(events >= self.count)


@dataclass(frozen=True, slots=True)
class Issuer:
    """What is remembered of an issuer.

    Attributes:
        is_fund: Whether the funds' call is to be asked.
        traded: The last session in which a paper of it traded.
        asked: The day on which B3 last answered; None if it never did.
        is_known: Whether it knew the issuer then.
    """

    is_fund: bool
    traded: date
    asked: date | None = None
    is_known: bool = True


@dataclass(slots=True)
class Memory:
    """What was seen, and who was asked.

    Attributes:
        papers: Of each ISIN its last session and the distribution number that it had.
        issuers: By issuing code.
        rises: That are not explained.
    """

    papers: dict[str, tuple[date, int]] = field(default_factory=dict)
    issuers: dict[str, Issuer] = field(default_factory=dict)
    rises: list[Rise] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For JSON; the same memory is the same text."""
        return {
            "papers": {isin: f"{day} {number}" for isin, (day, number) in sorted(self.papers.items())},
            "issuers": {
                code: asdict(issuer) | {"traded": str(issuer.traded), "asked": text_of(issuer.asked)}
                for code, issuer in sorted(self.issuers.items())
            },
            "rises": [
                asdict(rise)
                | {"before": str(rise.before), "session": str(rise.session), "asked": text_of(rise.asked)}
                for rise in sorted(self.rises, key=lambda rise: (rise.session, rise.isin))
            ],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `to_json` made.

        Raises:
            KeyError, TypeError, ValueError, AttributeError: The document is none.
        """
        papers = {str(isin): str(seen).split() for isin, seen in document["papers"].items()}
        return cls(
            papers={isin: (date.fromisoformat(day), int(number)) for isin, (day, number) in papers.items()},
            issuers={
                str(code): Issuer(
                    bool(each["is_fund"]),
                    date.fromisoformat(each["traded"]),
                    day_of(each["asked"]),
                    bool(each["is_known"]),
                )
                for code, each in document["issuers"].items()
            },
            rises=[
                Rise(
                    str(each["isin"]),
                    str(each["issuer"]),
                    date.fromisoformat(each["before"]),
                    date.fromisoformat(each["session"]),
                    int(each["count"]),
                    day_of(each["asked"]),
                )
                for each in document["rises"]
            ],
        )

    def learn(self, session: date, quotes: pd.DataFrame) -> None:
        """Take in a session: the numbers of its papers, and the rises since their session before."""
        cash = quotes[quotes["tpmerc"] == CASH_MARKET]
        columns = (cash[name].tolist() for name in ("codisi", "codneg", "codbdi", "especi", "dismes"))
        numbers: dict[str, int] = {}
        for isin, ticker, bulletin, especi, number in zip(*columns, strict=True):
            issuer = issuer_of(ticker)
            if issuer is None or not _ISIN.fullmatch(isin):
                continue
            self._meet(issuer, session, is_fund=bulletin == FUND)
            day, before = self.papers.get(isin, (session, number))
            if day < session and number > before and especi[_RIGHTS].strip() != _NOMINAL_UPDATE:
                self.rises.append(Rise(isin, issuer, day, session, number - before))
            if day <= session:
                numbers[isin] = max(number, numbers.get(isin, 0))
        self.papers |= {isin: (session, number) for isin, number in numbers.items()}
        newest = max(day for day, _ in self.papers.values()) if self.papers else session
        self.papers = {
            isin: seen for isin, seen in self.papers.items() if newest - seen[0] <= _FORGOTTEN_AFTER
        }

    def _meet(self, code: str, session: date, *, is_fund: bool) -> None:
        known = self.issuers.get(code)
        if known is None:
            self.issuers[code] = Issuer(is_fund, session)
        elif known.traded <= session:
            is_fund = is_fund or (known.is_fund and known.traded == session)
            self.issuers[code] = replace(known, is_fund=is_fund, traded=session)

    def give_up(self, today: date) -> list[Rise]:
        """Forget rises that have been asked for long enough; which they are."""
        late = [rise for rise in self.rises if today - rise.session > PATIENCE]
        self.rises = [rise for rise in self.rises if rise not in late]
        return late

    def of_rises(self, today: date) -> list[str]:
        """The issuers to ask for rises, those never asked for and the newest first."""
        due = [rise for rise in self.rises if self._is_due(rise, today)]
        due.sort(key=lambda rise: (rise.asked is not None, -rise.session.toordinal(), rise.issuer))
        return list(dict.fromkeys(rise.issuer for rise in due))

    def _is_due(self, rise: Rise, today: date) -> bool:
        if rise.asked is None:
            return True
        issuer = self.issuers.get(rise.issuer)
        is_known = issuer is None or issuer.is_known
        return today - rise.asked >= (timedelta(days=1) if is_known else UNKNOWN_AFTER)

    def of_sweep(self, today: date) -> list[str]:
        """The issuers to ask today although there is no rise, those longest not asked first."""
        trading = {code: each for code, each in self.issuers.items() if today - each.traded <= PATIENCE}
        asked_today = sum(each.asked == today for each in trading.values())
        portion = -(-len(trading) // SWEEP_DAYS) - asked_today
        due = [
            code
            for code, each in trading.items()
            if each.asked is None or today - each.asked >= RENEWED_AFTER
        ]
        due.sort(key=lambda code: (trading[code].asked or date.min, code))
        return due[: max(portion, 0)]

    def note(self, code: str, today: date, table: pa.Table | None) -> None:
        """Remember that B3 answered for an issuer: `table` is all that is known of it, None for nothing."""
        self.issuers[code] = replace(self.issuers[code], asked=today, is_known=table is not None)
        self.rises = [
            replace(rise, asked=today) if rise.issuer == code else rise
            for rise in self.rises
            if rise.issuer != code or table is None or not rise.is_explained(table)
        ]


def text_of(day: date | None) -> str | None:
    """A day for JSON."""
    return None if day is None else str(day)


def day_of(text: str | None) -> date | None:
    """What `text_of` made."""
    return None if text is None else date.fromisoformat(text)


@dataclass(slots=True)
class Report:
    """What a run has done.

    Attributes:
        issuers: For which B3 answered.
        calls: How many calls that took.
        new: Events that were not known before.
        unknown: Issuers that B3 says it does not know.
        open_rises: Rises that nothing explains yet.
        left: Issuers that are due and were not asked.
        given_up: Rises that are not asked for any more.
        failures: What failed, in words.
        oddities: What was kept although it is odd.
        pages: What was answered and read.
    """

    issuers: int = 0
    calls: int = 0
    new: int = 0
    unknown: int = 0
    open_rises: int = 0
    left: int = 0
    given_up: list[Rise] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    oddities: list[Oddity] = field(default_factory=list)
    pages: list[bytes] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell."""
        return not (self.calls or self.failures or self.given_up)

    def __str__(self) -> str:
        told = [f"{self.issuers} issuers asked, {self.unknown} of them unknown to B3"]
        told.append(f"{self.open_rises} rises of the distribution number unexplained")
        if self.left:
            told.append(f"{self.left} issuers left to the next run")
        told += [
            f"given up after {PATIENCE.days} days: {rise.isin}, ex on {rise.session}"
            for rise in self.given_up
        ]
        return "; ".join([*told, *self.failures])


class CorporateActions:
    """The corporate actions of one run.

    Args:
        b3: Whom to ask.
        raw: The raw bucket.
        today: The day in São Paulo.
        calls: How many calls the run may make.
        seconds: How many seconds it may take for them.
        remaining: Seconds that the function has left; None where nobody counts them.
        clock: Seconds that only ever increase.
    """

    def __init__(
        self,
        b3: B3Client,
        raw: RawBucket,
        *,
        today: date,
        calls: int,
        seconds: float = SECONDS,
        remaining: Callable[[], float] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._b3, self._raw, self._today = b3, raw, today
        self._calls, self._seconds = calls, seconds
        self._remaining, self._clock = remaining, clock
        self._spent = 0.0
        self._in_a_row = 0
        self._memory: Memory | None = None
        self._stored: dict[str, Any] | None = None
        self._failed: set[str] = set()
        self.report = Report()

    def session(self, day: date, quotes: pd.DataFrame, *, files_left: int = 0) -> None:
        """Learn the rises of a session, and ask for them, before its quotes are written.

        Args:
            day: The session.
            quotes: Its quotes.
            files_left: Files that the run has yet to take, for which it needs its time.
        """

        def learn_and_ask(memory: Memory) -> None:
            memory.learn(day, quotes)
            self._keep(memory)  # should the run end here, the next one knows the rises
            self._ask(memory.of_rises(self._today), memory, files_left)

        self._guarded(learn_and_ask)

    def finish(self) -> None:
        """Ask for what is left: rises of former days, and the day's portion of the sweep."""

        def ask(memory: Memory) -> None:
            self.report.given_up = memory.give_up(self._today)
            self._ask(memory.of_rises(self._today), memory, 0)
            self._ask(memory.of_sweep(self._today), memory, 0)
            self.report.left = len({*memory.of_rises(self._today), *memory.of_sweep(self._today)})

        self._guarded(ask)

    def news(self) -> tuple[str, ...]:
        """What is new in the run's answers (see `scraper.daily.canary`)."""
        return Canary(self._raw).corporate_actions(self._today, self.report.pages)

    def _guarded(self, work: Callable[[Memory], None]) -> None:
        """Do something with the memory and keep it; what fails, in words, since it is to cost no quotes."""
        started = self._clock()
        try:
            memory = self._recall()
            try:
                work(memory)
            finally:
                self._keep(memory)
                self.report.open_rises = len(memory.rises)
        except (ScraperError, BotoCoreError, ClientError) as error:
            self._fail(message_of(error))
        except Exception as error:
            logger.exception("corporate actions: unexpected error")
            self._fail(f"{type(error).__name__}: {error}")
        finally:
            self._spent += self._clock() - started

    def _ask(self, issuers: Iterable[str], memory: Memory, files_left: int) -> None:
        started = self._clock()
        for code in self._within_bounds(issuers, started, files_left):
            with about(issuer=code):
                self._ask_one(code, memory)

    def _ask_one(self, code: str, memory: Memory) -> None:
        is_fund = memory.issuers[code].is_fund
        try:
            said = ask_supplement(self._b3, self._raw, code, is_fund=is_fund, today=self._today)
            asked = store(self._raw, code, [said])
        except (ScraperError, BotoCoreError, ClientError) as error:
            self.report.calls += 1
            self._in_a_row += 1
            self._failed.add(code)
            self._fail(f"{code}: {message_of(error)}")
            return
        self._in_a_row = 0
        memory.note(code, self._today, asked.table)
        self.report.issuers += 1
        self.report.calls += asked.calls
        self.report.new += asked.new
        self.report.unknown += asked.table is None
        self.report.oddities += asked.oddities
        self.report.pages += said.pages
        logger.info("corporate actions of %s: %d new", code, asked.new)

    def _within_bounds(self, issuers: Iterable[str], started: float, files_left: int) -> Iterator[str]:
        """The issuers, those that failed in this run left out, until the run may ask no more."""
        least = files_left * DEADLINE + ACTIONS_DEADLINE + _RESERVE
        for code in issuers:
            if (
                self.report.calls >= self._calls
                or self._in_a_row >= _FAILURES_IN_A_ROW
                or self._spent + self._clock() - started >= self._seconds
                or (self._remaining is not None and self._remaining() < least)
            ):
                return
            if code not in self._failed:
                yield code

    def _fail(self, message: str) -> None:
        logger.warning("corporate actions: %s", message)
        self.report.failures.append(message)

    def _keep(self, memory: Memory) -> None:
        document = memory.to_json()
        if document != self._stored:
            self._raw.write_actions_memory(document)
            self._stored = document

    def _recall(self) -> Memory:
        """The memory; an empty one if there is none, or, which is told, if it is not one of ours."""
        if self._memory is None:
            try:
                self._stored = self._raw.read_actions_memory()
                self._memory = Memory() if self._stored is None else Memory.from_json(self._stored)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                self._fail(f"the memory is damaged and begins anew ({type(error).__name__}: {error})")
                self._memory = Memory()
        return self._memory
