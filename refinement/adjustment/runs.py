"""From when to when each paper had which distribution number: all that adjusting needs of the sessions.

A run is consecutive sessions of a paper's cash line with one number, ticker and currency. A month's runs are
made of its sessions, a year's of its months, the lake's of its years, by one and the same function, which
gives the same whichever way they are put together.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lake.currency import FIRST_IN_BRL
from refinement import arrow

ISSUER_LETTERS = 4
"""Of a ticker, the issuing code."""


class Run(NamedTuple):
    """Sessions of a paper's cash line, one after another, with the same distribution number.

    Attributes:
        isin: The paper.
        in_cash: Whether it has a cash line in them. Sessions without one are a single run of their own,
            which says from when to when there are any.
        first_session: The first of the sessions.
        last_session: The last of them.
        ticker: The paper's ticker in all of them.
        share_class: ESPECI of the first session: it shows of what the paper is ex.
        number: The distribution number; None where the sessions were refined before it was kept.
        first_close: Close of the first session [BRL per unit; thousands of CRR before the Real].
        last_close: Close of the last session, likewise.
    """

    isin: str
    in_cash: bool
    first_session: dt.date
    last_session: dt.date
    ticker: str
    share_class: str | None
    number: int | None
    first_close: Decimal | None
    last_close: Decimal | None


_COLUMNS: dict[str, pa.DataType] = {
    "isin": pa.string(),
    "in_cash": pa.bool_(),
    "first_session": pa.date32(),
    "last_session": pa.date32(),
    "ticker": pa.string(),
    "share_class": pa.string(),
    "number": pa.int32(),
    "first_close": pa.decimal128(18, 6),
    "last_close": pa.decimal128(18, 6),
}
SCHEMA = pa.schema(_COLUMNS)
SESSION_COLUMNS = ("isin", "ticker", "share_class", "close", "distribution_number")
"""What is read of a session's refined rows. A file of before the last of them was kept may lack it."""


def of_sessions(sessions: Mapping[dt.date, pa.Table]) -> pa.Table:
    """The runs of some sessions.

    Args:
        sessions: Their refined rows, `SESSION_COLUMNS`.

    Returns:
        The runs, `SCHEMA`, by paper and session. Rows without an ISIN are in none.
    """
    return together(_runs_of_one_session(day, rows) for day, rows in sorted(sessions.items()))


def _runs_of_one_session(day: dt.date, rows: pa.Table) -> pa.Table:
    unknown = pa.chunked_array([pa.nulls(rows.num_rows, pa.int32())])
    known = "distribution_number" in rows.column_names
    number = rows["distribution_number"] if known else unknown
    close = rows["close"]
    session = pa.chunked_array([pa.array([day] * rows.num_rows, pa.date32())])
    # A row of options alone has neither close nor number
    in_cash = pc.or_(close.is_valid(), number.is_valid())
    columns: list[Any] = [
        *(rows["isin"], in_cash, session, session, rows["ticker"], rows["share_class"]),
        *(number.cast(pa.int32()), close, close),
    ]
    runs = pa.Table.from_arrays(columns, names=SCHEMA.names).cast(SCHEMA)
    return runs.filter(runs["isin"].is_valid())


def together(parts: Iterable[pa.Table]) -> pa.Table:
    """One table of the runs of several spans of time, with those joined that go on from one to the next."""
    runs = pa.concat_tables([SCHEMA.empty_table(), *parts]).combine_chunks()
    if not runs.num_rows:
        return runs
    runs = runs.sort_by(
        [(name, "ascending") for name in ("isin", "in_cash", "first_session", "last_session", "ticker")]
    )
    in_brl = runs["first_session"].to_numpy() >= np.datetime64(FIRST_IN_BRL)
    in_cash = runs["in_cash"].to_numpy()
    number = np.asarray(pc.if_else(runs["number"].is_valid(), runs["number"], pa.scalar(-1, pa.int32())))
    isin, ticker = (
        runs[name].dictionary_encode().unify_dictionaries().combine_chunks() for name in ("isin", "ticker")
    )
    other = _steps(number) | _steps(_codes(ticker)) | _steps(in_brl)
    begins = np.flatnonzero(
        np.concatenate(([True], _steps(_codes(isin)) | _steps(in_cash) | other & in_cash[1:]))
    )
    beginning, ending = runs.take(begins), runs.take(np.append(begins[1:], runs.num_rows) - 1)
    columns = [
        (ending if name in ("last_session", "last_close") else beginning)[name] for name in SCHEMA.names
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA).combine_chunks()


def _codes(texts: Any) -> NDArray[np.generic]:
    """Numbers that are equal where texts are."""
    return np.asarray(texts.indices)


def _steps(values: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where a value differs from the one before; of all but the first."""
    return np.asarray(values[1:] != values[:-1], np.bool_)


def by_paper(runs: pa.Table) -> Iterator[tuple[str, list[Run]]]:
    """The runs of each paper, `together`'s, as Python has them."""
    rows = map(Run._make, zip(*(arrow.python_values(runs[name]) for name in SCHEMA.names), strict=True))
    return ((isin, list(own)) for isin, own in groupby(rows, attrgetter("isin")))
