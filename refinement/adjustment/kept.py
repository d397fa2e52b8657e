"""What a run need not make again: rows of events and factors of papers of which nothing has changed.

With the tables goes a memory of what they were made of: of each paper its runs, of each object of corporate
actions its ETag, and the sessions. A paper that has merely traded on keeps its rows, with its newest session
in place of the one before; whatever else is new about it, or about its issuer, has it made anew. So a
morning's work is that of the papers that went ex, however long the history. Rows that are kept are those that
would be made: where that cannot be told, as after other code has made them, all are made.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from refinement.adjustment.runs import ISSUER_LETTERS

_CODE = ("refinement", "refinement.adjustment")
_ENDS = ("last_session", "last_close")


class Paper(NamedTuple):
    """What a paper's rows are made of.

    Attributes:
        digest: Of its runs, but for where the last of each kind ends. Empty of a paper whose last run has no
            distribution number: its rows may depend on that end, too.
        in_cash: Its last session with a cash line; empty if it has none.
        last: Its last session.
        issuers: The issuing codes that its tickers begin with.
    """

    digest: str
    in_cash: str
    last: str
    issuers: tuple[str, ...]

    def has_traded_on(self, former: Paper | None) -> bool:
        """Whether it is what it was, but for newer sessions, if any, that go on as the former ones."""
        return (
            former is not None
            and self.digest == former.digest != ""
            and self.in_cash >= former.in_cash
            and self.last >= former.last
            and self.issuers == former.issuers
        )


def papers_of(runs: pa.Table) -> dict[str, Paper]:
    """The papers of `refinement.adjustment.runs.together`'s runs, by ISIN."""
    if not runs.num_rows:
        return {}
    isin = runs["isin"].to_pylist()
    in_cash = runs["in_cash"].to_numpy()
    ends_paper = np.append(np.asarray(isin[1:]) != np.asarray(isin[:-1]), True)
    is_open = pa.array(ends_paper | ~in_cash)
    texts: list[Any] = []
    for name in runs.column_names:
        column: Any = runs[name].combine_chunks().cast(pa.string()).fill_null("-")
        texts.append(pc.if_else(is_open, "", column) if name in _ENDS else column)
    join: Any = pc.binary_join_element_wise
    rows = zip(
        isin,
        join(*texts, "\t").to_pylist(),
        in_cash.tolist(),
        runs["last_session"].cast(pa.string()).to_pylist(),
        pc.utf8_slice_codeunits(runs["ticker"], 0, ISSUER_LETTERS).to_pylist(),
        runs["number"].is_valid().to_pylist(),
        strict=True,
    )
    found = {}
    for name, group in groupby(rows, itemgetter(0)):
        own = list(group)
        _, _, is_in_cash, end, _, is_numbered = own[-1]
        digest = hashlib.blake2b("\n".join(text for _, text, *_ in own).encode(), digest_size=16).hexdigest()
        found[name] = Paper(
            digest if is_numbered or not is_in_cash else "",
            end if is_in_cash else "",
            max(last for *_, last, _, _ in own),
            tuple(sorted({issuer for *_, issuer, _ in own})),
        )
    return found


def names_in(actions: pa.Table) -> list[str]:
    """Of which ISINs and issuers an object of corporate actions speaks."""
    named = pc.unique(pa.concat_arrays([*actions["isin"].chunks, *actions["issuer"].chunks]))
    return sorted(filter(None, named.to_pylist()))


class Memory(NamedTuple):
    """What both tables were made of.

    Attributes:
        code: A digest of the code that made them.
        tables: Their ETags, by key.
        sessions: How many sessions there were, and a digest of them.
        actions: ETag of each object of corporate actions, and of whom it speaks.
        papers: The papers, by ISIN.
    """

    code: str
    tables: Mapping[str, str]
    sessions: tuple[int, str]
    actions: Mapping[str, tuple[str, Sequence[str]]]
    papers: Mapping[str, Paper]

    @classmethod
    def of(
        cls,
        *,
        tables: Mapping[str, str],
        sessions: Iterable[dt.date],
        actions: Mapping[str, tuple[str, Sequence[str]]],
        papers: Mapping[str, Paper],
    ) -> Self:
        """The memory of tables that have just been made."""
        days = list(sessions)
        return cls(code(), tables, (len(days), _digest(days)), actions, papers)

    @classmethod
    def read(cls, body: bytes) -> Self | None:
        """A memory from its bytes; None if it is none that this code can use."""
        try:
            found = json.loads(body)
            papers = {
                isin: Paper(one[0], one[1], one[2], tuple(one[3])) for isin, one in found["papers"].items()
            }
            actions = {key: (tag, names) for key, (tag, names) in found["actions"].items()}
            count, digest = found["sessions"]
            memory = cls(found["code"], found["tables"], (count, digest), actions, papers)
        except (ValueError, KeyError, TypeError):
            return None  # then all is made anew
        return memory if memory.code == code() else None

    def body(self) -> bytes:
        """Its bytes."""
        return json.dumps(self._asdict(), sort_keys=True, separators=(",", ":")).encode()

    def has_sessions_before(self, days: Sequence[dt.date]) -> bool:
        """Whether of some sessions, in order, the first are those that it was made of."""
        count, digest = self.sessions
        return _digest(days[:count]) == digest


class Former(NamedTuple):
    """The tables as they lie there, and what they were made of."""

    memory: Memory
    events: pa.Table
    spans: pa.Table

    def stale(self, papers: Mapping[str, Paper], named: Iterable[str]) -> set[str]:
        """The papers whose rows have to be made anew.

        Args:
            papers: The papers as they are now.
            named: ISINs and issuers whose corporate actions have changed.
        """
        before = self.memory.papers
        changed = {isin for isin, paper in papers.items() if not paper.has_traded_on(before.get(isin))}
        touched = {*named, *changed}
        for isin in (*changed, *(before.keys() - papers.keys())):
            for there in (papers.get(isin), before.get(isin)):
                touched.update(there.issuers if there else ())
        stale = {
            isin for isin, paper in papers.items() if isin in touched or not touched.isdisjoint(paper.issuers)
        }
        return stale | self._waiting(papers)

    def _waiting(self, papers: Mapping[str, Paper]) -> set[str]:
        """Papers with an event for which there was no session yet: what has come since may be one."""
        was, now = self._of_rows(self.events, papers, "in_cash")
        stated = self.events["last_date_prior"].combine_chunks().cast(pa.string())
        is_waiting = pc.or_(
            self.events["ex_date"].combine_chunks().is_null(),
            pc.fill_null(pc.and_(pc.greater_equal(stated, was), pc.not_equal(was, now)), False),
        )
        waiting: list[Any] = self.events.filter(is_waiting)["isin"].to_pylist()
        return papers.keys() & waiting

    def _of_rows(self, rows: pa.Table, papers: Mapping[str, Paper], name: str) -> list[Any]:
        """What the memory has of each row's paper, and what there is of it now; empty if it is gone."""
        known = list(self.memory.papers)
        place = pc.index_in(rows["isin"].combine_chunks(), value_set=pa.array(known, pa.string()))
        gone = Paper("", "", "", ())
        return [
            pa.array([getattr(there.get(isin, gone), name) for isin in known], pa.string()).take(place)
            for there in (self.memory.papers, papers)
        ]

    def kept(self, papers: Mapping[str, Paper], stale: set[str]) -> tuple[pa.Table, pa.Table]:
        """The rows of papers that are not stale, with the newest session of each where they had it."""
        stay = pa.array(sorted(papers.keys() - stale), pa.string())
        events, spans = (
            table.filter(pc.is_in(table["isin"], value_set=stay)) for table in (self.events, self.spans)
        )
        was, now = (days.cast(pa.date32()) for days in self._of_rows(spans, papers, "last"))
        for name in ("last_session", "split_base", "total_return_base"):
            days: Any = spans[name].combine_chunks()
            moved = pc.if_else(pc.fill_null(pc.equal(days, was), False), now, days)
            spans = spans.set_column(spans.schema.get_field_index(name), spans.schema.field(name), moved)
        return events, spans


@cache
def code() -> str:
    """A digest of the code that makes the tables: rows that other code has made are not kept."""
    sources = (
        (f"{package}/{file.name}", file.read_bytes())
        for package in _CODE
        for file in resources.files(package).iterdir()
        if file.name.endswith(".py")
    )
    digest = hashlib.blake2b(digest_size=16)
    for name, source in sorted(sources):
        digest.update(name.encode() + hashlib.blake2b(source).digest())
    return digest.hexdigest()


def _digest(days: Iterable[dt.date]) -> str:
    return hashlib.blake2b(" ".join(map(str, days)).encode(), digest_size=16).hexdigest()
