"""The keys of both buckets, written once: every part of the pipeline makes some, and reads others.

The starter function alone, which is deployed as one file, has a copy of `DAILY_KEY`; a test holds them
together. This module imports nothing beyond the standard library.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

RAW = "raw/"
"""What the raw tables' keys begin with, and nothing else in the raw bucket."""

COTAHIST = f"{RAW}cotahist/"
COTAHIST_REVISIONS = f"{RAW}cotahist_revisions/"
INDEX_PORTFOLIO = f"{RAW}index_portfolio/"
CORPORATE_ACTIONS = f"{RAW}corporate_actions/"
INDEX_LEVELS = f"{RAW}index_level/"
"""What the keys of a raw table begin with."""
SESSIONS = f"{COTAHIST}trade_date="
REVISIONS = f"{COTAHIST_REVISIONS}trade_date="
PORTFOLIOS = f"{INDEX_PORTFOLIO}portfolio_date="
"""The same, up to the date."""

QUARANTINE = "quarantine/"
"""What the readers refused."""
BACKFILLS = "backfill/"
"""What was loaded of each year, or why it was not."""
CANARY = "canary/"
CANARY_MEMORY = f"{CANARY}cotahist.json"
"""What the canary has seen."""
ACTIONS_STATE = "corporate_actions/"
ACTIONS_MEMORY = f"{ACTIONS_STATE}memory.json"
"""The distribution number that each paper had last, and which issuers B3 was asked for when."""
ACTIONS_BACKFILL = f"{ACTIONS_STATE}backfill.json"
"""Which issuers' history was loaded."""

WIDE_FOLDER, COMPACT_FOLDER = "refined", "refined_compact"
"""Of the refined bucket."""
MEMBERS_FOLDER = "refined_index_members"
"""Of the members of indices."""
WIDE, COMPACT = f"{WIDE_FOLDER}/trade_date=", f"{COMPACT_FOLDER}/trade_date="
MEMBERS = f"{MEMBERS_FOLDER}/trade_date="
"""What the keys of the refined tables begin with, up to the date."""
EVENTS_FOLDER, FACTORS_FOLDER = "refined_events", "refined_factors"
"""Of the tables of corporate actions and of what they do to prices, of one file each."""
RUNS_FOLDER = "refined_runs"
"""Of what the job keeps of the sessions to make them of; no table."""
RUNS = f"{RUNS_FOLDER}/"
ADJUSTMENT_MEMORY = f"{RUNS}tables.json"
"""What the tables of events and factors were made of when they were made last."""
TABLE_FOLDERS = (WIDE_FOLDER, COMPACT_FOLDER, MEMBERS_FOLDER, EVENTS_FOLDER, FACTORS_FOLDER)
"""Of the refined tables."""
REFINED_FOLDERS = (*TABLE_FOLDERS, RUNS_FOLDER)
"""All that the job writes."""
REFINED_FILE = "part-00000.parquet"
"""The script's name of a file of either table; the visual mode's are Spark's."""

_DAY = r"(\d{4}-\d{2}-\d{2})"
_FILE = r"[^/_.][^/]*\.parquet"  # as Hive and Athena see it: what begins so is hidden

DAILY_KEY = re.compile(rf"{SESSIONS}{_DAY}/daily\.parquet")
"""Its arrival starts the job. Groups: the date."""
SESSION_KEY = re.compile(rf"{SESSIONS}{_DAY}/(daily|backfill)\.parquet")
"""Groups: the date, and which of B3's files it is of."""
REFUSED_KEY = re.compile(rf"{QUARANTINE}cotahist/{_DAY}/[^/]+")
"""Groups: the session's date."""
REVISION_KEY = re.compile(rf"{REVISIONS}{_DAY}/revisions\.parquet")
"""Groups: the date."""
PORTFOLIO_KEY = re.compile(rf"{PORTFOLIOS}{_DAY}/([A-Z0-9]+)\.parquet")
"""Groups: the portfolio's date, the index."""
ACTIONS_KEY = re.compile(rf"{CORPORATE_ACTIONS}([A-Z0-9]{{4}})\.parquet")
"""Groups: the issuing code."""
LEVELS_KEY = re.compile(rf"{INDEX_LEVELS}([A-Z0-9]+)_(\d{{4}})\.parquet")
"""Groups: the index, the year."""
WIDE_KEY = re.compile(rf"{WIDE}([^/]+)/ticker=([^/]+)/{_FILE}")
"""Groups: the date, and the ticker as it is escaped."""
YEAR_OF_RUNS_KEY = re.compile(rf"{RUNS}(\d{{4}})\.parquet")
"""Groups: the year."""
COMPACT_KEY = re.compile(rf"{COMPACT}{_DAY}/{_FILE}")
"""Groups: the date."""


def daily(session: date) -> str:
    """The key of the quotes of a session that the daily path has taken."""
    return f"{SESSIONS}{session.isoformat()}/daily.parquet"


def backfill(session: date) -> str:
    """The key of the quotes of a session that were loaded from its year's file."""
    return f"{SESSIONS}{session.isoformat()}/backfill.parquet"


def revisions(session: date) -> str:
    """The key of the lines in which a session's daily and annual files differ."""
    return f"{REVISIONS}{session.isoformat()}/revisions.parquet"


def manifest(year: int) -> str:
    """The key of what was loaded of a year."""
    return f"{BACKFILLS}COTAHIST_A{year}.json"


def failure(year: int) -> str:
    """The key of why a year was not loaded."""
    return f"{BACKFILLS}COTAHIST_A{year}.failed.json"


def portfolio(index: str, day: date) -> str:
    """The key of an index's portfolio."""
    return f"{PORTFOLIOS}{day.isoformat()}/{index}.parquet"


def corporate_actions(issuer: str) -> str:
    """The key of what B3 has said of an issuer's corporate actions."""
    return f"{CORPORATE_ACTIONS}{issuer}.parquet"


def index_levels(index: str, year: int) -> str:
    """The key of an index's levels of a year."""
    return f"{INDEX_LEVELS}{index}_{year}.parquet"


def month_of_runs(session: date) -> str:
    """The key of the runs of a session's month."""
    return f"{RUNS}{session:%Y-%m}.parquet"


def year_of_runs(session: date) -> str:
    """The key of the runs of a session's year."""
    return f"{RUNS}{session:%Y}.parquet"


def partition_folder(root: str, names: Iterable[str], values: Iterable[str]) -> str:
    """The folder of a partition, with its values escaped as Hive and Spark do it."""
    parts = (f"{name}={_SPECIAL.sub(_escaped, value)}" for name, value in zip(names, values, strict=True))
    return "/".join([root, *parts])


_SPECIAL = re.compile(r"[\x01-\x1f\x7f\"#%'*/:=?\\{\[\]^]")


def _escaped(character: re.Match[str]) -> str:
    return f"%{ord(character[0]):02X}"
