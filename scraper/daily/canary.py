"""A canary: what is new in B3's files and answers, told once, before it breaks something.

The readers accept codes of no table, since to refuse a session for one would lose it. So what is new goes on
unseen until somebody's query is wrong. Here each file is held against what is known: the codes of B3's
tables, those that this bucket has seen beside them, and the last sessions. What is new is told and then
known: a code for its first session, a size or a share of zeros for the first session that is off.

Its memory is one small object of the raw bucket, `canary/cotahist.json`. It is a help and no more: if it is
gone or cannot be read, that is told, and it begins anew; two runs at once may tell a thing twice, or forget a
session. Whatever fails here fails no file.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from decimal import Decimal
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from botocore.exceptions import BotoCoreError, ClientError

from scraper.b3.cotahist.layout import RECORD_LENGTH
from scraper.b3.errors import message_of
from scraper.b3.json_answer import parse
from scraper.b3.oddities import TrailerCount

if TYPE_CHECKING:
    from scraper.raw.bucket import RawBucket


def _set(codes: str) -> frozenset[str]:
    return frozenset(codes.split())


MARKETS = _set("010 012 013 017 020 021 030 050 060 070 080")
"""TPMERC: B3's layout, and 021, which real files have."""

BULLETIN_CODES = _set(
    "02 05 06 07 08 09 10 11 12 14 18 22 26 32 33 38 42 46 48 49 50 51 52 53 54 56 58 60 61 62 66 68 70 71 "
    "74 75 78 82 83 84 90 96 99 13 34 35 36 93"
)
"""CODBDI: B3's layout, and, from 13 on, what real files have beside it."""

RECORD_TYPES = _set("00 01 99")

PORTFOLIO_FIELDS = frozenset(
    f"{name}.{value}"
    for name, values in {
        "answer": "page header results",
        "page": "pageNumber pageSize totalRecords totalPages",
        "header": "date text part partAcum textReductor reductor theoricalQty",
        "results": "segment cod asset type part partAcum theoricalQty",
    }.items()
    for value in values.split()
)
"""Names in GetPortfolioDay's answer, as seen from 2022 to 2026."""

ACTION_FIELDS: Mapping[str, frozenset[str]] = {
    "answer": _set(
        "stockCapital quotedPerSharSince commonSharesForm preferredSharesForm hasCommom hasPreferred "
        "roundLot tradingName numberCommonShares numberPreferredShares totalNumberShares code codeCVM "
        "segment quotedPer form fund ifd tradingLot quantity "
        "cashDividends stockDividends subscriptions page results"
    ),
    "page": _set("pageNumber pageSize totalRecords totalPages"),
    "cashDividends": _set(
        "assetIssued paymentDate rate relatedTo approvedOn isinCode label lastDatePrior remarks"
    ),
    "stockDividends": _set("assetIssued factor approvedOn isinCode label lastDatePrior remarks"),
    "subscriptions": _set(
        "assetIssued percentage priceUnit tradingPeriod subscriptionDate approvedOn isinCode label "
        "lastDatePrior remarks"
    ),
    "results": _set(
        "typeStock dateApproval valueCash ratio corporateAction lastDatePriorEx dateClosingPricePriorExDate "
        "closingPricePriorExDate quotedPerShares corporateActionPrice lastDateTimePriorEx"
    ),
}
"""Names in the answers of corporate actions, of companies and funds, by the part that has them, as seen in
2026."""

LEVEL_FIELDS = frozenset(
    {"answer.min", "answer.max", "answer.results"}
    | {
        f"{part}.{name}"
        for part in ("min", "max", "results")
        for name in ("day", *(f"rateValue{month}" for month in range(1, 13)))
    }
)
"""Names in the answer with the levels of a year, as seen in 2026."""

ACTION_LISTS = ("cashDividends", "stockDividends", "subscriptions", "results")
"""The parts of `ACTION_FIELDS` that are lists of events."""

ACTION_LABELS = frozenset(
    {
        *("DIVIDENDO", "JRS CAP PROPRIO", "RENDIMENTO"),
        *("DESDOBRAMENTO", "BONIFICACAO", "GRUPAMENTO", "SUBSCRICAO"),
        *("CIS RED CAP", "INCORPORACAO", "RESG TOTAL RV", "REST CAP ACOES"),
    }
)
"""What B3 calls its events, as seen in 2026. Of another one it is to be found out whether it has a ratio."""

_NOT_READ = frozenset({"lastDateTimePriorEx"})
"""Of an event's fields; without them no column is poorer."""

SESSIONS = 10
"""Sessions that a session's size and shares are held against."""
FEWEST_SESSIONS = 5
"""Of fewer than so many nothing is said."""
_KEPT = 2 * SESSIONS
"""Sessions that are remembered, so that one that comes late has some before it."""
_FACTORS = {"rows": 2.0, "volume": 3.0}
"""From the median of the last sessions; a session that is cut short by half is within that of volumes."""
_POINTS = 0.15
"""From the median share of zeros. Between eras a bid is missing in 30 to 46 percent of the lines, from one
session to the next in some few percent more or less."""
_ZEROS = ("preofc", "preofv", "preult")
_SHOWN_CHARACTERS = 40
_MOST_TOLD = 5
"""New codes of a kind that a file may bring: a damaged one has any number."""

logger = logging.getLogger(__name__)

CODES: Mapping[str, frozenset[str]] = {
    "TPMERC": MARKETS,
    "CODBDI": BULLETIN_CODES,
    "TIPREG": RECORD_TYPES,
    "record length": frozenset({str(RECORD_LENGTH)}),
    "portfolio field": PORTFOLIO_FIELDS,
    "level field": LEVEL_FIELDS,
    "corporate action field": frozenset(
        f"{part}.{name}" for part, names in ACTION_FIELDS.items() for name in names
    ),
    "corporate action label": ACTION_LABELS,
    "corporate action without": frozenset(),
}
"""What is known without having been seen, by its kind."""


def codes_of(quotes: pa.RecordBatch | pa.Table) -> dict[str, Counter[str]]:
    """How many quotes have each market and each bulletin code; some milliseconds a session."""
    found: dict[str, Counter[str]] = {}
    for kind in ("TPMERC", "CODBDI"):
        counts = pc.value_counts(quotes[kind.lower()])
        found[kind] = Counter({str(one["values"]): int(one["counts"].as_py()) for one in counts})
    return found


def unknown_codes(
    found: Mapping[str, Counter[str]], seen: Mapping[str, Iterable[str]]
) -> dict[str, list[str]]:
    """The codes of each kind that neither B3's tables have nor were seen, in order; not more than some."""
    return {
        kind: sorted(set(counts) - CODES[kind] - {*seen.get(kind, ())})[:_MOST_TOLD]
        for kind, counts in found.items()
    }


def news_of(found: Mapping[str, Counter[str]], unknown: Mapping[str, Sequence[str]], what: str) -> list[str]:
    """New codes in words; `what` is what they are counted in."""
    return [
        f"{kind} {code!r}, in no table and not seen before ({what}: {found[kind][code]:,})"
        for kind, codes in unknown.items()
        for code in codes
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What is remembered of a session.

    Attributes:
        rows: Its quotes.
        volume: Their financial volume [BRL].
        zeros: The share of quotes in which a price is zero or null, from 0 to 1, by the price.
        trailer: What its trailer counts; None if that is not known.
    """

    rows: int
    volume: Decimal
    zeros: Mapping[str, float]
    trailer: str | None

    @classmethod
    def of(cls, quotes: pd.DataFrame, trailer: TrailerCount | None) -> Self:
        """That of a session's quotes, of which there is one at least."""
        zeros = {name: float((quotes[name].isna() | (quotes[name] == 0)).mean()) for name in _ZEROS}
        return cls(
            rows=len(quotes),
            volume=Decimal(quotes["voltot"].sum()),
            zeros={name: round(share, 4) for name, share in zeros.items()},
            trailer=None if trailer is None else str(trailer),
        )

    def to_json(self) -> dict[str, Any]:
        """For JSON: the volume as text, which keeps its cents."""
        return asdict(self) | {"volume": str(self.volume)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `to_json` made.

        Raises:
            KeyError, TypeError, ValueError, ArithmeticError: The document is none.
        """
        return cls(
            rows=int(document["rows"]),
            volume=Decimal(document["volume"]),
            zeros={name: float(document["zeros"][name]) for name in _ZEROS},
            trailer=None if document["trailer"] is None else str(document["trailer"]),
        )


@dataclass(slots=True)
class Memory:
    """What was seen before.

    Attributes:
        seen: The codes that no table has, by kind, with the day on which each was first seen.
        sessions: Profiles of the newest sessions.
    """

    seen: dict[str, dict[str, str]] = field(default_factory=dict)
    sessions: dict[date, Profile] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """For JSON; the same memory is the same text."""
        return {
            "seen": {kind: dict(sorted(days.items())) for kind, days in sorted(self.seen.items())},
            "sessions": {day.isoformat(): self.sessions[day].to_json() for day in sorted(self.sessions)},
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """What `to_json` made.

        Raises:
            KeyError, TypeError, ValueError, AttributeError, ArithmeticError: The document is none.
        """
        return cls(
            seen={
                str(kind): {str(code): str(day) for code, day in days.items()}
                for kind, days in document["seen"].items()
            },
            sessions={
                date.fromisoformat(day): Profile.from_json(profile)
                for day, profile in document["sessions"].items()
            },
        )

    def learn(self, day: date, found: Mapping[str, Counter[str]], what: str) -> list[str]:
        """Know the codes of a file from now on; those that are new, in words."""
        unknown = unknown_codes(found, self.seen)
        for kind, codes in unknown.items():
            for code in codes:
                self.seen.setdefault(kind, {})[code] = day.isoformat()
        return news_of(found, unknown, what)

    def compare(self, day: date, profile: Profile) -> list[str]:
        """Remember a session; how it differs from those before it, in words."""
        before = [self.sessions[each] for each in sorted(self.sessions) if each < day][-SESSIONS:]
        news = []
        if before and before[-1].trailer not in {None, profile.trailer} and profile.trailer is not None:
            news.append(
                f"the trailer counts {profile.trailer}, that of the session before {before[-1].trailer}"
            )
        for name, usual in _medians(before).items() if len(before) >= FEWEST_SESSIONS else ():
            side = _side(name, profile, usual)
            if side and side != _side(name, before[-1], usual):  # what lasts is told once
                shown = _written(name, _value(name, profile))
                news.append(
                    f"{name}: {shown}, where the last {len(before)} sessions have a median of "
                    f"{_written(name, usual)}"
                )
        self.sessions[day] = profile
        for old in sorted(self.sessions)[:-_KEPT]:
            del self.sessions[old]
        return news


def _medians(profiles: Sequence[Profile]) -> dict[str, float]:
    return {name: median(_value(name, profile) for profile in profiles) for name in (*_FACTORS, *_ZEROS)}


def _value(name: str, profile: Profile) -> float:
    return profile.zeros[name] if name in _ZEROS else float(getattr(profile, name))


def _side(name: str, profile: Profile, usual: float) -> int:
    """Whether a figure is far below (-1) or far above (1) the usual one."""
    value = _value(name, profile)
    if name in _ZEROS:
        return (value > usual + _POINTS) - (value < usual - _POINTS)
    return (value > usual * _FACTORS[name]) - (value < usual / _FACTORS[name])


def _written(name: str, value: float) -> str:
    if name in _ZEROS:
        return f"{value:.0%} zero"
    return f"BRL {value:,.0f}" if name == "volume" else f"{value:,.0f}"


def _read(page: bytes) -> Any:
    """An answer that its reader has read."""
    return parse(page, source="canary")


def _portfolio_parts(page: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of an answer, each with the name of the part that it is of."""
    answer = _read(page)
    yield from (("answer", answer), ("page", answer["page"]), ("header", answer["header"]))
    yield from (("results", row) for row in answer["results"])


def _level_parts(body: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    answer = _read(body)
    yield from (("answer", answer), *((name, answer.get(name) or {}) for name in ("min", "max")))
    yield from (("results", row) for row in answer["results"])


def _action_parts(page: bytes) -> Iterator[tuple[str, Mapping[str, Any]]]:
    content = _read(page)
    for answer in content if isinstance(content, list) else [content]:
        yield "answer", answer
        if "page" in answer:
            yield "page", answer["page"]
        for name in ACTION_LISTS:
            for row in answer.get(name) or ():
                yield name, row


def _shown_names(part: str, names: Iterable[str]) -> list[str]:
    return [f"{part}.{name[:_SHOWN_CHARACTERS]}" for name in names]


class Canary:
    """Holds the files of a run against what is known.

    Args:
        raw: The raw bucket, which keeps its memory.
    """

    def __init__(self, raw: RawBucket) -> None:
        self._raw = raw

    def session(self, day: date, quotes: pd.DataFrame, trailer: TrailerCount | None) -> tuple[str, ...]:
        """What is new in a session's quotes."""

        def look(memory: Memory) -> list[str]:
            codes = codes_of(pa.Table.from_pandas(quotes[["tpmerc", "codbdi"]], preserve_index=False))
            return memory.learn(day, codes, "quotes") + memory.compare(day, Profile.of(quotes, trailer))

        return self._told(look)

    def refused(self, day: date, text: bytes) -> tuple[str, ...]:
        """What is new in the records of a COTAHIST text that a reader refused: their types and lengths."""

        def look(memory: Memory) -> list[str]:
            found: dict[str, Counter[str]] = {"TIPREG": Counter(), "record length": Counter()}
            for line in re.finditer(rb"[^\r\n]+", text):  # one after another: there may be any number
                found["TIPREG"][line[0][:2].decode("latin-1")] += 1
                found["record length"][str(len(line[0]))] += 1
            return memory.learn(day, found, "records")

        return self._told(look)

    def portfolio(self, day: date, pages: Sequence[bytes]) -> tuple[str, ...]:
        """What is new in the pages of a portfolio, which were read: names that B3 has added."""
        return self._told_names(day, "portfolio field", chain.from_iterable(map(_portfolio_parts, pages)))

    def levels(self, day: date, body: bytes) -> tuple[str, ...]:
        """What is new in the levels of a year, which were read: names that B3 has added."""
        return self._told_names(day, "level field", _level_parts(body))

    def corporate_actions(self, day: date, pages: Sequence[bytes]) -> tuple[str, ...]:
        """What is new in answers of corporate actions, which were read: names, those gone, labels."""

        def look(memory: Memory) -> list[str]:
            found = {kind: Counter[str]() for kind in CODES if kind.startswith("corporate action ")}
            for page in pages:
                for part, values in _action_parts(page):
                    found["corporate action field"].update(_shown_names(part, values))
                    if part in ACTION_LISTS:
                        label = values.get("label", values.get("corporateAction"))
                        found["corporate action label"][str(label)[:_SHOWN_CHARACTERS]] += 1
                        gone = ACTION_FIELDS[part] - _NOT_READ - values.keys()
                        found["corporate action without"].update(_shown_names(part, gone))
            return memory.learn(day, found, "times")

        return self._told(look) if pages else ()

    def _told_names(
        self, day: date, kind: str, parts: Iterable[tuple[str, Mapping[str, Any]]]
    ) -> tuple[str, ...]:
        """What is new among the names of parts, which are read within the look."""

        def look(memory: Memory) -> list[str]:
            found = Counter(name for part, values in parts for name in _shown_names(part, values))
            return memory.learn(day, {kind: found}, "times")

        return self._told(look)

    def _told(self, look: Callable[[Memory], list[str]]) -> tuple[str, ...]:
        """What a look finds; what fails, in words, since it is to cost no file."""
        news: list[str] = []
        try:
            memory = self._recall(news)
            before = memory.to_json()
            news += look(memory)
            if memory.to_json() != before:
                self._raw.write_canary(memory.to_json())
        except (BotoCoreError, ClientError) as error:
            logger.warning("canary: %s", message_of(error))
            news.append(f"the canary could not read or write its memory: {message_of(error)}")
        except Exception as error:
            logger.exception("canary: unexpected error")
            news.append(f"the canary failed: {type(error).__name__}: {error}")
        return tuple(news)

    def _recall(self, news: list[str]) -> Memory:
        """The memory; an empty one if there is none, or, which is news, if it is not one of ours."""
        try:
            document = self._raw.read_canary()
            return Memory() if document is None else Memory.from_json(document)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            logger.warning("canary: %s: %s", type(error).__name__, error)
            news.append(f"the canary's memory is damaged and begins anew ({type(error).__name__}: {error})")
            return Memory()
