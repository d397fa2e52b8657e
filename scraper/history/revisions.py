"""What B3 revised: a session of the daily file against the same session of the annual one.

Both files hold a session's lines in another order, so they are compared as multisets of lines: a line counts
as often as it stands in the file. Of the two, the lake shows the daily one (`backfill`); the lines in
which they differ are kept beside it as table `cotahist_revisions`, an object a session that differs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from scraper.b3.cotahist.layout import FILE_COLUMN
from scraper.b3.cotahist.reader import COTAHIST_SCHEMA

DAILY, ANNUAL = "daily", "annual"

REVISIONS_SCHEMA = COTAHIST_SCHEMA.append(pa.field(FILE_COLUMN.name, pa.string()))
"""A line of one of the files, and which: `daily` or `annual`."""

MOST_EXAMPLES = 5
"""Lines of a session that are named."""

_KEY = ("codneg", "tpmerc", "prazot")
_LINES_LOOKED_AT = 1_000
"""For the examples. A session in which more differ is another one altogether."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """How the two files of a session differ.

    Attributes:
        day: The session.
        daily_lines: Lines that only the daily file has.
        annual_lines: Lines that only the annual file has.
        examples: Some of them: ticker, market, term, and the fields that differ, or which file has the line.
        trouble: Why they could not be compared; None if they were.
    """

    day: date
    daily_lines: int = 0
    annual_lines: int = 0
    examples: tuple[str, ...] = ()
    trouble: str | None = None

    def __str__(self) -> str:
        if self.trouble is not None:
            return f"{self.day}: daily and annual file could not be compared: {self.trouble}"
        return (
            f"{self.day}: lines that only the daily file has: {self.daily_lines:,}, only the annual one: "
            f"{self.annual_lines:,}; {'; '.join(self.examples)}"
        )

    def to_json(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"day": self.day.isoformat(), "examples": [*self.examples]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Revision:
        """What `to_json` made.

        Raises:
            KeyError, TypeError, ValueError: The document is none.
        """
        return cls(
            day=date.fromisoformat(document["day"]),
            daily_lines=int(document["daily_lines"]),
            annual_lines=int(document["annual_lines"]),
            examples=tuple(map(str, document["examples"])),
            trouble=document["trouble"],
        )


def difference(daily: pa.Table, annual: pa.Table) -> pa.Table:
    """The lines that only one of the files has, as often as it has them more than the other.

    Some 50 ms for 12,000 lines; no copy of a line is made in Python.

    Args:
        daily: Rows of `COTAHIST_SCHEMA`, in any order.
        annual: The same.

    Returns:
        Rows of `REVISIONS_SCHEMA`, by ticker, market and term, then by all else: the same for the same files.
    """
    signed = [
        table.select(COTAHIST_SCHEMA.names).append_column("more", pa.array([sign] * len(table), pa.int64()))
        for table, sign in ((daily, -1), (annual, 1))
    ]
    counted = pa.concat_tables(signed).group_by(COTAHIST_SCHEMA.names).aggregate([("more", "sum")])
    counted = counted.filter(pc.not_equal(counted["more_sum"], pa.scalar(0, pa.int64())))
    more: list[int] = counted["more_sum"].to_numpy().tolist()
    repeated = [place for place, count in enumerate(more) for _ in range(abs(count))]
    file = pa.array([ANNUAL if more[place] > 0 else DAILY for place in repeated], pa.string())
    lines = counted.select(COTAHIST_SCHEMA.names).take(pa.array(repeated, pa.int64()))
    lines = lines.append_column(REVISIONS_SCHEMA.field(FILE_COLUMN.name), file).cast(REVISIONS_SCHEMA)
    others = [name for name in REVISIONS_SCHEMA.names if name not in _KEY]
    return lines.sort_by([(name, "ascending") for name in (*_KEY, *others)])


def revision_of(day: date, lines: pa.Table) -> Revision:
    """What `difference` found, in numbers and some examples."""
    annual = lines[FILE_COLUMN.name].to_pylist().count(ANNUAL)
    return Revision(day=day, daily_lines=len(lines) - annual, annual_lines=annual, examples=_examples(lines))


def _examples(lines: pa.Table) -> tuple[str, ...]:
    by_key: dict[tuple[str, ...], dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for line in lines.slice(0, _LINES_LOOKED_AT).to_pylist():
        by_key[tuple(line[name] for name in _KEY)][line[FILE_COLUMN.name]].append(line)
    return tuple(
        f"{' '.join(part for part in key if part)}: {_how(files)}"
        for key, files in list(by_key.items())[:MOST_EXAMPLES]
    )


def _how(files: Mapping[str, list[dict[str, Any]]]) -> str:
    if len(files) == 1:
        return f"only in the {next(iter(files))} file"
    daily, annual = files[DAILY], files[ANNUAL]
    if len(daily) != 1 or len(annual) != 1:
        return f"{len(daily)} times in the daily file, {len(annual)} times in the annual one"
    names = [name for name in COTAHIST_SCHEMA.names if daily[0][name] != annual[0][name]]
    return ", ".join(f"{name} {daily[0][name]} and then {annual[0][name]}" for name in names)
