"""What the job keeps of the sessions, in the refined bucket, and the tables of events and factors made of it.

A month's runs lie in one object, a year's in another. Each is made anew, whole, of what it is made of: a
month of its sessions' compact files, a year of its months, the tables of all years and all that B3 states of
corporate actions. With a year goes which files it was made of, by their ETags: where the bucket's differ, the
month is made again. So it does not matter in which order sessions come, how often, or which run died.

A morning reads the files of one month, its year's twelve objects, and one object a year of the history; rows
are made of the papers about which there is something new (`refinement.adjustment.kept`).
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from lake import keys
from refinement import arrow, aws, files, log
from refinement.adjustment import kept, runs
from refinement.adjustment.actions import Action, Book, rows_of
from refinement.adjustment.factors import adjust
from refinement.columns import ACTION_COLUMNS, COMPACT_COLUMNS, EVENT_COLUMNS, FACTOR_COLUMNS, Field
from refinement.errors import RefineError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ROUNDS, _ROUNDS_OF_ACTIONS = 10, 3
_MADE_OF = b"made_of"
_SCALES = {"ratio": 11, "amount": 11, "close_before": 6}
_ACTIONS = arrow.schema(Field(name, ACTION_COLUMNS[name], "") for name in Action._fields)
SESSION = arrow.schema(field for field in COMPACT_COLUMNS if field.name in runs.SESSION_COLUMNS)
"""What is needed of a session's refined rows."""
IN_HAND = "in hand"
"""Stands for the ETag of a session whose rows the run has before its file is written."""

EVENTS_KEY = f"{keys.EVENTS_FOLDER}/{keys.REFINED_FILE}"
FACTORS_KEY = f"{keys.FACTORS_FOLDER}/{keys.REFINED_FILE}"


class Files(NamedTuple):
    """What tables are made of: files of each session, and of B3's corporate actions, with their ETags."""

    sessions: dict[dt.date, dict[str, str]]
    actions: dict[str, str]


class Tables(NamedTuple):
    """Events and factors of all papers, by paper and date: `EVENT_COLUMNS` and `FACTOR_COLUMNS`."""

    events: pa.Table
    spans: pa.Table


def refresh(
    s3: S3Client,
    *,
    raw_bucket: str,
    refined_bucket: str,
    in_hand: Mapping[dt.date, pa.Table] | None = None,
    written: Mapping[str, pa.Table] | None = None,
) -> Tables:
    """Make the tables of events and factors what the sessions and B3's corporate actions make them.

    If another run has published meanwhile, once more: who writes last has seen what was there by then. Only
    what B3 states may go on being written, as by a backfill of hours: after some tries the tables are of what
    was found last, and the next run sees the rest.

    Args:
        s3: A client for many calls at a time.
        raw_bucket: The bucket with the corporate actions.
        refined_bucket: The bucket with the sessions' compact files.
        in_hand: Rows of sessions that are about to be published in place of what lies there.
        written: Those of compact files that the run has written, by ETag: what has another is read. All have
            the columns of `SESSION`.

    Returns:
        What the tables hold.

    Raises:
        RefineError: Others went on publishing sessions; or an object is not as it should be.
    """
    state = _State(s3, raw_bucket, refined_bucket, in_hand or {}, written or {})
    found = state.find()
    for tries in range(1, _ROUNDS + 1):
        made = state.make(found)
        now = state.find()
        if now == found:
            return made
        if now.sessions == found.sessions and tries >= _ROUNDS_OF_ACTIONS:
            log.line("corporate actions go on being written: those since are for the next run")
            return made
        log.line("sessions or corporate actions were published meanwhile: events and factors once more")
        found = now
    raise RefineError(f"others published sessions {_ROUNDS} times while events and factors were made")


class _State:
    def __init__(
        self,
        s3: S3Client,
        raw_bucket: str,
        refined_bucket: str,
        in_hand: Mapping[dt.date, pa.Table],
        written: Mapping[str, pa.Table],
    ) -> None:
        self._s3 = s3
        self._raw = raw_bucket
        self._refined = refined_bucket
        self._in_hand = in_hand
        self._written = written

    def find(self) -> Files:
        """What there is to make the tables of."""
        sessions: dict[dt.date, dict[str, str]] = defaultdict(dict)
        for item in aws.objects(self._s3, self._refined, keys.COMPACT):
            if name := keys.COMPACT_KEY.fullmatch(item["Key"]):
                sessions[dt.date.fromisoformat(name[1])][item["Key"]] = item["ETag"]
        sessions.update({day: {"": IN_HAND} for day in self._in_hand})
        listed = aws.objects(self._s3, self._raw, keys.CORPORATE_ACTIONS)
        actions = {item["Key"]: item["ETag"] for item in listed if keys.ACTIONS_KEY.fullmatch(item["Key"])}
        return Files(dict(sorted(sessions.items())), actions)

    def make(self, found: Files) -> Tables:
        """Bring the runs up to date, and write both tables."""
        of_all = self._runs(found.sessions)
        papers = kept.papers_of(of_all)
        there = self._there()
        former = self._former(found, there)
        known = former.memory.actions if former else {}
        changed = {key for key, tag in found.actions.items() if key not in known or known[key][0] != tag}
        read = self._actions(changed)
        names = {key: kept.names_in(read[key]) if key in read else known[key][1] for key in found.actions}
        stale = set(papers)
        if former:
            gone = known.keys() - found.actions.keys()
            before = [known[key][1] for key in (*gone, *(changed & known.keys()))]
            stale = former.stale(papers, {name for key in changed for name in names[key]}.union(*before))
        issuers = {issuer for isin in stale for issuer in papers[isin].issuers}
        wanted = stale | issuers
        read |= self._actions(key for key in names.keys() - read.keys() if not wanted.isdisjoint(names[key]))
        beside = [isin for isin, paper in papers.items() if not issuers.isdisjoint(paper.issuers)]
        of_some = of_all.filter(pc.is_in(of_all["isin"], value_set=pa.array(beside, pa.string())))
        adjusted = adjust(
            dict(runs.by_paper(of_some)), Book(_rows(read.values())), found.sessions, only=stale
        )
        made = Tables(_table(adjusted.events, EVENT_COLUMNS), _table(adjusted.spans, FACTOR_COLUMNS))
        if former:
            pairs = zip(former.kept(papers, stale), made, strict=True)
            made = Tables(*(pa.concat_tables(pair).sort_by("isin").combine_chunks() for pair in pairs))
        tags = {
            key: self._write(key, files.parquet(table, files.COMPACT_FILE), there, f"{table.num_rows:,} rows")
            for key, table in zip((EVENTS_KEY, FACTORS_KEY), made, strict=True)
        }
        actions = {key: (tag, names[key]) for key, tag in found.actions.items()}
        memory = kept.Memory.of(tables=tags, sessions=found.sessions, actions=actions, papers=papers)
        self._write(keys.ADJUSTMENT_MEMORY, memory.body(), there)
        return made

    def _there(self) -> dict[str, tuple[int, str]]:
        """Size and ETag of what the last run has made, as far as it is there."""
        return {
            item["Key"]: (item["Size"], item["ETag"])
            for key in (EVENTS_KEY, FACTORS_KEY, keys.ADJUSTMENT_MEMORY)
            for item in aws.objects(self._s3, self._refined, key)
        }

    def _former(self, found: Files, there: Mapping[str, tuple[int, str]]) -> kept.Former | None:
        """What the last run has made, if what it was made of is known, and sessions have only followed."""
        if keys.ADJUSTMENT_MEMORY not in there:
            return None
        memory = kept.Memory.read(aws.read(self._s3, self._refined, keys.ADJUSTMENT_MEMORY))
        if memory is None or not memory.has_sessions_before(list(found.sessions)):
            return None
        # By the listing: to ask for what is not there is denied to who may list some folders alone
        if any(key not in there or there[key][1] != tag for key, tag in memory.tables.items()):
            return None
        tables = []
        for key, columns in ((EVENTS_KEY, EVENT_COLUMNS), (FACTORS_KEY, FACTOR_COLUMNS)):
            try:
                answer = self._s3.get_object(Bucket=self._refined, Key=key, IfMatch=memory.tables[key])
            except ClientError as error:
                if error.response["Error"]["Code"] == "PreconditionFailed":  # another run has made it since
                    return None
                raise
            table = pq.ParquetFile(pa.BufferReader(answer["Body"].read())).read()
            tables.append(table.cast(arrow.schema(columns)))
        return kept.Former(memory, *tables)

    def _runs(self, sessions: Mapping[dt.date, dict[str, str]]) -> pa.Table:
        """The runs of all sessions, after those that are not as the sessions are were made again."""
        listed = [item["Key"] for item in aws.objects(self._s3, self._refined, keys.RUNS)]
        there = [key for key in listed if keys.YEAR_OF_RUNS_KEY.fullmatch(key)]
        years = dict(zip(there, aws.in_parallel(self._read, there, aws.CALLS), strict=True))
        of_year: dict[str, dict[dt.date, dict[str, str]]] = defaultdict(dict)
        for day, tags in sessions.items():
            of_year[keys.year_of_runs(day)][day] = tags
        parts = []
        for key, days in of_year.items():
            year = years.get(key)
            if year is None or _made_of(year) != _recorded(days):
                year = self._make_year(key, days, set(listed))
            parts.append(year)
        return runs.together(parts)

    def _make_year(self, key: str, days: Mapping[dt.date, dict[str, str]], listed: set[str]) -> pa.Table:
        months: dict[str, dict[dt.date, dict[str, str]]] = defaultdict(dict)
        for day, tags in days.items():
            months[keys.month_of_runs(day)][day] = tags
        parts = []
        for month, own in months.items():
            recorded = _recorded(own)
            part = self._read(month) if month in listed else None
            if part is None or _made_of(part) != recorded:
                part = runs.of_sessions(dict(zip(own, self._sessions(own), strict=True)))
                self._put_runs(month, part, recorded)
            parts.append(part)
        year = runs.together(parts)
        self._put_runs(key, year, _recorded(days))
        return year

    def _sessions(self, days: Mapping[dt.date, dict[str, str]]) -> list[pa.Table]:
        def rows(day: dt.date) -> pa.Table:
            if day in self._in_hand:
                return self._in_hand[day]
            return pa.concat_tables(
                [
                    self._written[tag] if tag in self._written else self._read(key, runs.SESSION_COLUMNS)
                    for key, tag in days[day].items()
                ]
            )

        return aws.in_parallel(rows, days, aws.CALLS)

    def _actions(self, there: Iterable[str]) -> dict[str, pa.Table]:
        """The rows of some objects of corporate actions, `_ACTIONS`, by key."""
        found = sorted(there)
        return dict(zip(found, aws.in_parallel(self._read_actions, found, aws.CALLS), strict=True))

    def _read_actions(self, key: str) -> pa.Table:
        file = self._open(key, self._raw)
        if problems := arrow.differences(file.schema_arrow, ACTION_COLUMNS):
            raise RefineError(
                f"s3://{self._raw}/{key} does not have the raw table's schema: {'; '.join(problems)}. Events "
                "and factors are as they were; ask B3 for that issuer again with this version of the scraper."
            )
        return file.read(columns=_ACTIONS.names).select(_ACTIONS.names).cast(_ACTIONS)

    def _read(self, key: str, columns: Iterable[str] = ()) -> pa.Table:
        """A Parquet object of the refined bucket, or those of some columns that it has."""
        file = self._open(key, self._refined)
        wanted = [name for name in columns if name in file.schema_arrow.names]
        return file.read(columns=wanted or None)

    def _open(self, key: str, bucket: str) -> pq.ParquetFile:
        body = aws.read(self._s3, bucket, key)
        try:
            return pq.ParquetFile(pa.BufferReader(body))
        except pa.ArrowInvalid as error:
            raise RefineError(
                f"s3://{bucket}/{key} cannot be read as Parquet: {error}. Remove it, and run the job again."
            ) from error

    def _put_runs(self, key: str, table: pa.Table, made_of: Mapping[str, dict[str, str]]) -> None:
        # Arrow's schema goes along: it has what the file was made of
        named = table.replace_schema_metadata({_MADE_OF: json.dumps(made_of).encode()})
        body = files.parquet(named, {"compression": files.COMPACT_FILE["compression"]})
        self._s3.put_object(Bucket=self._refined, Key=key, Body=body)

    def _write(self, key: str, body: bytes, there: Mapping[str, tuple[int, str]], what: str = "") -> str:
        """Put an object of the refined bucket, unless it is there; return its ETag."""
        written = files.put(self._s3, self._refined, key, body, there.get(key))
        if what:
            log.line(f"s3://{self._refined}/{key}: {what}{'' if written else ', unchanged'}")
        return written or there[key][1]


def _rows(actions: Iterable[pa.Table]) -> Iterator[Action]:
    table = pa.concat_tables([_ACTIONS.empty_table(), *actions])
    return rows_of({name: arrow.python_values(table[name]) for name in _ACTIONS.names})


def _table(rows: Iterable[tuple[Any, ...]], columns: tuple[Field, ...]) -> pa.Table:
    values = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in columns]
    arrays = [
        pa.array(_stored(column, field), arrow.schema([field]).field(0).type)
        for field, column in zip(columns, values, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=arrow.schema(columns))


def _recorded(days: Mapping[dt.date, dict[str, str]]) -> dict[str, dict[str, str]]:
    return {day.isoformat(): dict(sorted(tags.items())) for day, tags in days.items()}


def _made_of(table: pa.Table) -> dict[str, dict[str, str]]:
    """The files that runs were made of; none where the object does not say so."""
    made_of: dict[str, dict[str, str]] = json.loads((table.schema.metadata or {}).get(_MADE_OF, b"{}"))
    return made_of


def _stored(values: list[Any], field: Field) -> list[Any]:
    """Values as a table has them: decimals rounded to those of their column, or to doubles."""
    if field.type == "double":
        return [None if value is None else float(value) for value in values]
    if field.name not in _SCALES:
        return values
    last = Decimal(1).scaleb(-_SCALES[field.name])
    return [None if value is None else value.quantize(last, ROUND_HALF_UP) for value in values]
