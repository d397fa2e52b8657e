"""What a run of the sandbox is asked for: which B3, which sessions and history of it, and the job's mode."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Self

from sandbox.arguments import (
    DUCKDB,
    ENOUGH_SESSIONS,
    LIVE,
    MOST_HISTORY,
    MOST_SESSIONS,
    RECORDED,
    SCRIPT,
    SIMULATED,
)
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.server import Source
from sandbox.b3.sources import RecordedFolder, SimulatedSource, quote_files
from sandbox.b3.years import annual_zip_name
from scraper.b3.calendar import SAO_PAULO, day_in_sao_paulo, last_session, sessions_before

LAB = "lab"
"""Part of the name of a folder whose account is one of a Learner Lab."""

_LOOKBACK = 10
"""Sessions that one morning of the schedule takes (design: every session missing from the last ten)."""

_DAILY_FILE = re.compile(r"COTAHIST_D(\d{2})(\d{2})(\d{4})\.ZIP")


_OWN_SETTINGS = {
    "stack_name": "it has one stack",
    "lookback_sessions": "SESSIONS=... says how many sessions are taken",
    "glue_job_mode": "JOB=visual deploys the graph",
    "quotes_base_url": "B3=... says which B3 is asked",
    "index_base_url": "B3=... says which B3 is asked",
}


class RequestError(ValueError):
    """What was asked for cannot be had; the message says why and what to ask for instead."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """Which B3 to ask for which sessions.

    Attributes:
        b3: `SIMULATED`, `LIVE`, or the folder of recorded files.
        sessions: The sessions to take, oldest first.
        history: The sessions before them to load from B3's annual files, oldest first.
        job: What the Glue job is deployed as, `SCRIPT` or `VISUAL`.
        settings: Settings of the stack that are not those of `cdk.json`, by their names there.
        lab: Whether the account is to be one of a Learner Lab.
        engine: What is to answer Athena's queries, one of `sandbox.arguments.ENGINES`.
    """

    b3: str
    sessions: tuple[date, ...]
    history: tuple[date, ...] = ()
    job: str = SCRIPT
    settings: Mapping[str, str] = field(default_factory=dict)
    lab: bool = False
    engine: str = DUCKDB

    @classmethod
    def parse(
        cls,
        b3: str,
        *,
        now: datetime,
        session: date | None = None,
        count: int = 1,
        history: int | None = 0,
        job: str = SCRIPT,
        settings: Sequence[str] = (),
        lab: bool = False,
        engine: str = DUCKDB,
    ) -> Self:
        """Settle which sessions are meant.

        Args:
            b3: `SIMULATED`, `LIVE`, or a folder with B3's files in the paths of B3's addresses.
            now: The present, with its time zone.
            session: The last session to take; by default the last one before the day of `now` in São Paulo,
                or the newest recorded one.
            count: How many sessions up to it.
            history: How many sessions before those to load as history; None for as many as it takes to have
                `ENOUGH_SESSIONS` of a simulated B3, and none of another one.
            job: What the Glue job is to be, `SCRIPT` or `VISUAL`.
            settings: Settings of the stack, as `name=value`.
            lab: Whether the account is to be one of a Learner Lab.
            engine: What is to answer Athena's queries, one of `sandbox.arguments.ENGINES`.

        Raises:
            RequestError: The folder has no daily files, or lacks an annual file that history needs; or the
                day is no session or has none recorded; or a setting is not one, or not to be set here.
        """
        if history is None:
            history = max(0, ENOUGH_SESSIONS - count) if b3 == SIMULATED else 0
        if not 1 <= count <= MOST_SESSIONS:
            raise RequestError(f"{count} sessions asked for, expected 1 to {MOST_SESSIONS}")
        if not 0 <= history <= MOST_HISTORY:
            raise RequestError(f"{history} sessions of history asked for, expected 0 to {MOST_HISTORY}")
        if b3 not in {SIMULATED, LIVE}:
            b3 = str(Path(b3).expanduser())  # not every shell does so behind B3=
        recorded = None if b3 in {SIMULATED, LIVE} else _recorded_sessions(Path(b3))
        session = session or (max(recorded) if recorded else last_session(now))
        if session >= day_in_sao_paulo(now):
            raise RequestError(f"{session} is not over in São Paulo, the last session is {last_session(now)}")
        days = sessions_before(_morning_after(session), history + count)
        past, sessions = days[:history], days[history:]
        if sessions[-1] != session:
            raise RequestError(f"{session:%A %Y-%m-%d} is no session, the last before it is {sessions[-1]}")
        if recorded is not None and session not in recorded:
            there = ", ".join(map(str, sorted(recorded)))
            raise RequestError(f"{b3} has no file of session {session}; recorded are {there}")
        if recorded is not None:
            _require_annual_files(Path(b3), past)
        return cls(
            b3=b3,
            sessions=tuple(sessions),
            history=tuple(past),
            job=job,
            settings=_settings(settings),
            lab=lab,
            engine=engine,
        )

    @property
    def session(self) -> date:
        """The newest session."""
        return self.sessions[-1]

    @property
    def wide_sessions(self) -> tuple[date, ...]:
        """The sessions that the wide table is to have: all, or the newest where the setting bounds it."""
        most = self.settings.get("wide_sessions", "0")
        return self.sessions[-int(most) :] if most.isdigit() else self.sessions

    @property
    def kind(self) -> str:
        """`SIMULATED`, `LIVE` or `RECORDED`."""
        return self.b3 if self.b3 in {SIMULATED, LIVE} else RECORDED

    @property
    def lookback(self) -> int:
        """How many sessions one morning has to look back."""
        return min(len(self.sessions), _LOOKBACK)

    @property
    def mornings(self) -> list[datetime]:
        """The instants, in UTC, at which the schedule is to be fired, so that together they take them all."""
        return [_morning_after(session) for session in self.sessions[::-1][::_LOOKBACK][::-1]]

    def source(self, market: SimulatedMarket | None = None) -> Source | None:
        """What the local B3 serves; None for B3 itself.

        Args:
            market: The market to simulate, by default the one of about 150 tickers and 3,000 quotes.
        """
        if self.b3 == SIMULATED:
            return SimulatedSource((*self.history, *self.sessions), market or SimulatedMarket())
        return None if self.b3 == LIVE else RecordedFolder(Path(self.b3), self.session)


def _morning_after(session: date) -> datetime:
    """07:00 in São Paulo on the day after, when the schedule first runs for that session."""
    return datetime.combine(session + timedelta(days=1), time(7), SAO_PAULO).astimezone(UTC)


def _settings(given: Sequence[str]) -> dict[str, str]:
    pairs = [setting.partition("=") for setting in given]
    if wrong := [name for name, equals, _ in pairs if not name or not equals]:
        raise RequestError(f"-c {wrong[0]}: expected a setting of cdk.json as name=value")
    for name, _, _ in pairs:
        if name in _OWN_SETTINGS:
            raise RequestError(f"-c {name}=...: the sandbox sets {name} itself; {_OWN_SETTINGS[name]}")
    return {name.strip(): value.strip() for name, _, value in pairs}


def _require_annual_files(folder: Path, history: Sequence[date]) -> None:
    there = quote_files(folder)
    names = [annual_zip_name(year) for year in sorted({session.year for session in history})]
    if lacking := [name for name in names if name not in there]:
        raise RequestError(
            f"{folder} has no {', '.join(lacking)}; history is loaded from B3's annual files: put them "
            "beside the daily ones, under their own names, or ask for no history"
        )


def _recorded_sessions(folder: Path) -> set[date]:
    if not folder.is_dir():
        raise RequestError(
            f"B3={folder}: there is no such folder; expected {SIMULATED}, {LIVE}, or a folder with B3's files"
        )
    names = (_DAILY_FILE.fullmatch(name) for name in quote_files(folder))
    try:
        sessions = {date(int(name[3]), int(name[2]), int(name[1])) for name in names if name}
    except ValueError:
        raise RequestError(
            f"{folder} has a COTAHIST_DDDMMYYYY.ZIP whose name is no day; rename or remove it"
        ) from None
    if not sessions:
        raise RequestError(
            f"{folder} has no COTAHIST_DDDMMYYYY.ZIP, neither itself nor in InstDados/SerHist/; expected "
            f"{SIMULATED}, {LIVE}, or a folder with B3's daily files under their own names"
        )
    return sessions
