"""The lake, for notebooks and the session report: Athena's answers as data frames.

It asks the stack that `STACK_NAME` names, in whatever boto3's own configuration points at: AWS, or a running
sandbox by AWS_ENDPOINT_URL. Names come from the stack's outputs. Money comes as decimals. A query should say
which `trade_date`s it needs: Athena then reads no others.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from itertools import pairwise
from typing import Any

import awswrangler as wr
import pandas as pd
from awswrangler.exceptions import QueryCancelled, QueryFailed
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
)

from analysis.style import Format
from lake.currency import FIRST_IN_BRL
from lake.names import adjustment_tables
from operating.names import UsageError, stack_outputs
from scraper.b3.calendar import KNOWN_DAYS, sessions_between

DEFAULT_STACK = "BovespaPipeline"
_SIMULATED = "SIMULADA"  # what the companies of the simulated market are called, with a number behind it
_POLL_SECONDS = 0.2  # most queries here end in less than the second that awswrangler would wait

_SOURCES = {
    "en": ("Source: B3, COTAHIST", "Simulated data: no company or price is anybody's"),
    "pt": ("Fonte: B3, COTAHIST", "Dados simulados: nenhuma empresa ou preço é real"),
}
_DAYS = {"en": ("session of {last}", "{first} to {last}"), "pt": ("pregão de {last}", "{first} a {last}")}


class LakeError(RuntimeError):
    """The lake cannot be asked, or has not what was asked for; the message says what to do."""


@dataclass(frozen=True)
class Window:
    """The last sessions up to one, as many of those that were wanted as the lake has in the same currency.

    Attributes:
        sessions: The sessions, oldest first; at least one.
        wanted: How many were wanted.
        before: The lake's session before the first, whose closes the first one's changes need; the first one
            itself where the lake begins with it.
    """

    sessions: tuple[date, ...]
    wanted: int
    before: date

    @property
    def first(self) -> date:
        """The oldest session."""
        return self.sessions[0]

    @property
    def last(self) -> date:
        """The newest session."""
        return self.sessions[-1]

    @property
    def changes(self) -> int:
        """In how many of its sessions a close can be compared with the exchange's session before."""
        return sum(missing == 0 for missing in self.missing_before.values())

    @property
    def missing_before(self) -> dict[date, int | None]:
        """How many sessions of the exchange lie between each of its sessions and the lake's one before.

        Null for the first where the lake, or the currency, begins with it. Of days that the calendar is not
        trusted for, none is missing.
        """
        missing: dict[date, int | None] = {
            day: _missing_between(earlier, day) for earlier, day in pairwise((self.before, *self.sessions))
        }
        if self.before == self.first:
            missing[self.first] = None
        return missing

    @property
    def missing(self) -> int:
        """How many sessions of the exchange the lake lacks from the first of its sessions to the last."""
        return sum(missing or 0 for day, missing in self.missing_before.items() if day > self.first)

    @property
    def previous(self) -> date | None:
        """The exchange's session before the last: the lake's where it has it; null where neither is known."""
        earlier = (self.before, *self.sessions)[-2]
        expected = _sessions_known(earlier, self.last)
        return expected[-1] if expected else earlier if earlier < self.last else None

    @property
    def numbers(self) -> str:
        """Its sessions and the one before, as rows of VALUES, of three columns.

        The session; its place among the exchange's sessions, so that those of consecutive sessions differ by
        one; and how many sessions the lake lacks between the row of the first and its own.
        """
        missing, rows = 0, []
        for place, day in enumerate(dict.fromkeys((self.before, *self.sessions))):
            missing += self.missing_before.get(day) or 0
            rows.append(f"(DATE '{day}', {place + missing}, {missing})")
        return ", ".join(rows)

    def marked(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A frame of its sessions, by `trade_date`, with `missing_before`, for a chart to show."""
        missing = self.missing_before
        return frame.assign(missing_before=[missing.get(day) or 0 for day in frame["trade_date"]])

    def __str__(self) -> str:
        few = "" if len(self.sessions) == self.wanted else f", of {self.wanted} wanted: the lake has no more"
        lacks = f"; between them the lake lacks {self.missing} of the exchange's" if self.missing else ""
        count = "1 session" if len(self.sessions) == 1 else f"{len(self.sessions)} sessions"
        return f"{count}, {self.first} to {self.last}{few}{lacks}"


def _missing_between(earlier: date, later: date) -> int:
    return len(_sessions_known(earlier, later))


def _sessions_known(earlier: date, later: date) -> list[date]:
    """The exchange's sessions after one day and before another, where the calendar is trusted."""
    first, last = (
        max(earlier + timedelta(days=1), KNOWN_DAYS[0]),
        min(later - timedelta(days=1), KNOWN_DAYS[1]),
    )
    return sessions_between(first, last) if first <= last else []


@dataclass(frozen=True)
class Lake:
    """A stack's tables in Athena.

    Attributes:
        stack: Its name.
        work_group: Athena's workgroup, which says where results go and how much a query may scan.
        database: The refined tables' database.
        table: The compact table: a row per session and stock.
        quotes: The raw table of quotes, with its database: what the refined rows have to add up to.
        events: The table of corporate actions, held against distribution numbers.
        factors: The table of what makes prices comparable.
        levels: The raw table of the indices' closes, with its database.
        index: The index that the rows have weights of.
    """

    stack: str
    work_group: str
    database: str
    table: str
    quotes: str
    events: str
    factors: str
    levels: str
    index: str

    @classmethod
    def find(cls, environment: Mapping[str, str] = os.environ) -> Lake:
        """The lake of the stack that `STACK_NAME` names, or of the one that this project deploys by default.

        Raises:
            LakeError: There are no credentials, no such stack, or it has no lake.
        """
        stack = environment.get("STACK_NAME") or DEFAULT_STACK
        with _explained():
            try:
                outputs = stack_outputs(stack)
            except UsageError as error:
                raise LakeError(
                    f"There is no stack {stack} in this account and region. STACK_NAME names another; "
                    "AWS_PROFILE and AWS_REGION lead to another account and region."
                ) from error
        try:
            events, factors, _ = adjustment_tables(outputs["RefinedTable"])
            return cls(
                stack=stack,
                work_group=outputs["WorkGroup"],
                database=outputs["RefinedDatabase"],
                table=outputs["RefinedCompactTable"],
                quotes=f"{outputs['RawDatabase']}.cotahist",
                events=events,
                factors=factors,
                levels=f"{outputs['RawDatabase']}.index_level",
                index=outputs["JoinedIndex"],
            )
        except KeyError as error:
            raise LakeError(
                f"Stack {stack} has no output {error}: is it this project's? Deploy it anew: make deploy"
            ) from error

    @cached_property
    def sessions(self) -> tuple[date, ...]:
        """The sessions in the compact table, oldest first.

        Raises:
            LakeError: There are none.
        """
        with _explained():
            try:
                partitions = wr.catalog.get_partitions(database=self.database, table=self.table)
            except ClientError as error:
                if error.response["Error"]["Code"] != "EntityNotFoundException":
                    raise
                partitions = {}
        if not partitions:
            raise LakeError(
                f"Table {self.database}.{self.table} has no session yet. The pipeline of stack {self.stack} "
                "brings one every morning; `python -m scraper backfill` loads history."
            )
        return tuple(sorted(date.fromisoformat(day) for (day,) in partitions.values()))

    def window(self, count: int, last: date | str | None = None) -> Window:
        """The last `count` sessions up to one of them, or as many as there are.

        Args:
            count: How many, at least 1.
            last: The newest of them, a date or its text; by default the newest of the lake.

        Raises:
            LakeError: `last` is not in the lake; the message says which sessions are near.
        """
        if count < 1:
            raise LakeError(f"{count} sessions were asked for, expected at least 1")
        session = self.sessions[-1] if last is None else _day(last)
        place = bisect_left(self.sessions, session)
        if place == len(self.sessions) or self.sessions[place] != session:
            raise LakeError(
                f"Session {session} is not in {self.database}.{self.table}. It has {self._near(place)}."
            )
        begin = bisect_left(self.sessions, FIRST_IN_BRL) if session >= FIRST_IN_BRL else 0
        first = max(place - count + 1, begin)
        return Window(
            sessions=self.sessions[first : place + 1],
            wanted=count,
            before=self.sessions[max(first - 1, begin)],
        )

    def priced(self, prices: str) -> str:
        """The compact table's rows with what makes their prices comparable, to stand in a FROM.

        Args:
            prices: `total_return` (what a holder has had, distributions reinvested), `adjusted` (in equal
                shares) or `traded` (as they stand in the table).

        Returns:
            A subquery of the table's columns and of two more: `factor`, by which a price is to be multiplied,
            and `base`: prices of one base can then be compared; others cannot, nor those without one. The
            terms are those of the base, so to have those of a session divide by its factor.

        Raises:
            LakeError: `prices` is none of them.
        """
        if prices == "traded":
            return f"(SELECT *, 1e0 AS factor, 'traded' AS base FROM {self.table})"  # noqa: S608 - our own names
        bases = {"total_return": "total_return_base", "adjusted": "split_base"}
        if prices not in bases:
            raise LakeError(f"found prices {prices!r}, expected total_return, adjusted or traded")
        base = bases[prices]
        return f"""(
            SELECT
                priced.*,
                spans.{base}_factor AS factor,
                spans.isin || CAST(spans.{base} AS varchar) AS base
            FROM {self.table} AS priced
            LEFT JOIN {self.factors} AS spans
                ON spans.isin = priced.isin
                AND spans.first_session <= priced.trade_date
                AND spans.last_session >= priced.trade_date
        )"""  # noqa: S608 - our own names

    def query(self, sql: str, **values: object) -> pd.DataFrame:
        """Ask Athena.

        Args:
            sql: A query in Athena's SQL; tables without a database are those of the refined one.
            values: What stands for `:name` in it: texts, numbers, dates.

        Returns:
            The rows. Decimals are `decimal.Decimal`, dates `datetime.date`, other numbers nullable.

        Raises:
            LakeError: Athena could not run the query; the message has its reason.
        """
        with _explained():
            try:
                frame: pd.DataFrame = wr.athena.read_sql_query(
                    sql,
                    database=self.database,
                    workgroup=self.work_group,
                    ctas_approach=False,
                    params=values,
                    athena_query_wait_polling_delay=_POLL_SECONDS,
                )
            except (QueryFailed, QueryCancelled) as error:
                raise LakeError(f"Athena: {error}\nThe query was:\n{sql}") from error
        return frame

    def is_simulated(self, session: date) -> bool:
        """Whether a session is the sandbox's: its companies are all called SIMULADA and a number."""
        found = self.query(
            f"""
            SELECT count(*) AS stocks, count_if(company LIKE '{_SIMULATED} %') AS simulated
            FROM {self.table}
            WHERE trade_date = :session AND cash_volume > 0
            """,  # noqa: S608 - our own names
            session=session,
        )
        stocks, simulated = int(found["stocks"].iloc[0]), int(found["simulated"].iloc[0])
        return 0 < stocks == simulated

    def most_traded(self, session: date) -> str:
        """The ticker with the largest volume of a session, over all markets."""
        found = self.query(
            f"""
            SELECT ticker FROM {self.table}
            WHERE trade_date = :session AND cash_volume > 0
            ORDER BY volume DESC, ticker LIMIT 1
            """,  # noqa: S608 - our own names
            session=session,
        )
        if found.empty:
            raise LakeError(f"In session {session} nothing was traded in the cash market.")
        return str(found["ticker"].iloc[0])

    def _near(self, place: int) -> str:
        if len(self.sessions) == 1:
            return f"one session, {self.sessions[0]}"
        near = ", ".join(map(str, self.sessions[max(place - 3, 0) : place + 3]))
        return f"{len(self.sessions)} sessions, {self.sessions[0]} to {self.sessions[-1]}; near it: {near}"


def source_line(language: str, first: date, last: date, *, simulated: bool) -> str:
    """What stands below a chart: where its figures come from, or that they are invented, and their days."""
    form = Format(language)
    one, more = _DAYS[language]
    days = (one if first == last else more).format(first=form.day(first), last=form.day(last))
    return f"{_SOURCES[language][simulated]}; {days}"


def _day(text: date | str) -> date:
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise LakeError(f"found {text!r}, expected a day as YYYY-MM-DD") from None


@contextmanager
def _explained() -> Iterator[None]:
    """Say what is wrong with the way to AWS in words that lead further."""
    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise LakeError(
            "No AWS credentials were found. Set AWS_PROFILE, run `aws sso login` or `aws configure`, or "
            "export what `python -m sandbox up` prints."
        ) from error
    except NoRegionError as error:
        raise LakeError("No AWS region is set. Set AWS_REGION to the stack's, such as us-east-1.") from error
    except EndpointConnectionError as error:
        raise LakeError(f"{error}. Is the sandbox running, or the network there?") from error
    except ClientError as error:
        problem: Any = error.response["Error"]
        raise LakeError(f"AWS, {error.operation_name}: {problem['Code']}: {problem['Message']}") from error
    except BotoCoreError as error:
        raise LakeError(f"AWS: {error}") from error
