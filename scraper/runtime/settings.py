"""The scraper's settings: the environment, parsed and checked once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from pathlib import Path
from urllib.parse import urlsplit

from scraper.b3.client import ACTIONS_PAUSE, YEAR_DEADLINE, B3Client
from scraper.b3.cotahist import address as cotahist
from scraper.b3.errors import ScraperError
from scraper.b3.index_portfolio import address as index_portfolio

BUNDLE = Path(__file__).resolve().parents[2]
"""The folder that holds the package: in the function the bundle's root."""

_INDEX_CODE = re.compile(r"[A-Z0-9]{1,12}")
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class SettingsError(ScraperError, ValueError):
    """A setting is missing or is not what it should be; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a run needs to know of its surroundings.

    Attributes:
        raw_bucket: Name of the raw bucket (`RAW_BUCKET`).
        refined_bucket: Name of the refined bucket (`REFINED_BUCKET`), by which a run sees that a session was
            not refined; None where it is not to look.
        quotes_base_url: Scheme and host of B3's quotes (`QUOTES_BASE_URL`).
        index_base_url: Scheme and host of B3's portfolios and levels of indices, and of corporate actions
            (`INDEX_BASE_URL`).
        index_codes: Indices whose portfolios and levels are fetched (`INDEX_CODES`, separated by commas).
        lookback_sessions: How many sessions up to D-1 are looked after (`LOOKBACK_SESSIONS`).
        corporate_actions_calls: How many calls a run may make for corporate actions, none if it is not to
            ask (`CORPORATE_ACTIONS_CALLS`).
        session_deadline: Time of the day in São Paulo at which D-1 is to be in the bucket, minutes and no
            seconds (`SESSION_DEADLINE`, such as 11:30); it is told by a metric whether it is.
        extra_ca_file: Certificates to trust beside certifi's (`EXTRA_CA_FILE`, relative to the bundle).
    """

    raw_bucket: str
    refined_bucket: str | None
    quotes_base_url: str
    index_base_url: str
    index_codes: tuple[str, ...]
    lookback_sessions: int
    corporate_actions_calls: int
    session_deadline: time
    extra_ca_file: Path | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "Settings":
        """Parse the variables that are named above; one that is empty counts as not set.

        Raises:
            SettingsError: A variable is missing or wrong.
        """
        given = {name: value.strip() for name, value in environment.items() if value.strip()}
        if "RAW_BUCKET" not in given:
            raise SettingsError(
                "RAW_BUCKET is not set; set it, or --bucket, to the raw bucket's name, or give the stack's"
            )
        extra_ca_file = given.get("EXTRA_CA_FILE")
        return cls(
            raw_bucket=given["RAW_BUCKET"],
            refined_bucket=given.get("REFINED_BUCKET"),
            quotes_base_url=_base_url("QUOTES_BASE_URL", given.get("QUOTES_BASE_URL", cotahist.BASE_URL)),
            index_base_url=_base_url("INDEX_BASE_URL", given.get("INDEX_BASE_URL", index_portfolio.BASE_URL)),
            index_codes=_index_codes("INDEX_CODES", given.get("INDEX_CODES", "IBOV")),
            lookback_sessions=_at_least(1, "LOOKBACK_SESSIONS", given.get("LOOKBACK_SESSIONS", "10")),
            corporate_actions_calls=_at_least(
                0, "CORPORATE_ACTIONS_CALLS", given.get("CORPORATE_ACTIONS_CALLS", "100")
            ),
            session_deadline=_time_of_day("SESSION_DEADLINE", given.get("SESSION_DEADLINE", "11:30")),
            extra_ca_file=BUNDLE / extra_ca_file if extra_ca_file else None,
        )

    @property
    def actions_pause(self) -> float:
        """Seconds between two calls for levels or corporate actions."""
        # On this machine there is nobody to be spared
        return 0 if urlsplit(self.index_base_url).hostname in _LOOPBACK else ACTIONS_PAUSE

    def b3_client(self, *, year_deadline: float = YEAR_DEADLINE) -> B3Client:
        """A client for these hosts and certificates.

        Args:
            year_deadline: Seconds for the download of a year.

        Raises:
            DownloadError: `extra_ca_file` cannot be read.
        """
        return B3Client(
            quotes_base_url=self.quotes_base_url,
            index_base_url=self.index_base_url,
            extra_ca_file=self.extra_ca_file,
            year_deadline=year_deadline,
            actions_pause=self.actions_pause,
        )


def _index_codes(name: str, value: str) -> tuple[str, ...]:
    codes = tuple(code.strip().upper() for code in value.split(","))
    for code in codes:
        if not _INDEX_CODE.fullmatch(code):
            raise SettingsError(f"{name}: found {code!r}, expected codes of B3's indices, such as IBOV,SMLL")
    return codes


def _base_url(name: str, value: str) -> str:
    parts = urlsplit(value)
    # Plain HTTP never leaves the machine
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise SettingsError(f"{name}: found {value!r}, expected https://<host>, or http:// on this machine")
    return value


def _at_least(least: int, name: str, value: str) -> int:
    if not value.isdecimal() or int(value) < least:
        raise SettingsError(f"{name}: found {value!r}, expected a whole number of at least {least}")
    return int(value)


def _time_of_day(name: str, value: str) -> time:
    if not _TIME_OF_DAY.fullmatch(value):
        raise SettingsError(f"{name}: found {value!r}, expected a time of the day, such as 11:30")
    return time.fromisoformat(value)
