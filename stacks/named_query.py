"""The named queries: what each file of `named_queries/` says, and the two texts that Athena is given of it.

A file begins with comment lines:

    -- Gaps at the open | Gaps na abertura
    -- EN: Which stocks opened away from the close before?
    -- PT: Quais papéis abriram longe do fechamento anterior?
    -- Parameter: trade_date | date | ${last_session} | The session | O pregão
    -- Parameter: minimum_volume_brl | decimal | 1000000 | Least cash volume | Volume mínimo à vista
    -- Scans: two files of the compact table | dois arquivos da tabela compacta
    -- Needs sessions: 2

A parameter has a name, a type, what stands for it in the saved query, and its meaning in both languages. The
SQL after them names databases and tables by the placeholders `${refined_database}`, `${refined_table}`,
`${compact_table}`, `${members_table}`, `${events_table}`, `${factors_table}` and `${raw_database}`, and each
parameter once, as `${trade_date}`, in the order of its lines. The index whose weights the refined rows have
is `${joined_index}`, in the header, too. Of the one text come two: the saved query, which has the defaults,
and the prepared statement, which has question marks. `$$partitions` is Athena's metadata table of a table's
partitions, which it answers from the catalog alone:
https://docs.aws.amazon.com/athena/latest/ug/querying-glue-catalog-listing-partitions.html

Other placeholders stand for what several queries have. Members of a WITH are `${calendar}`, the exchange's
calendar, and `${lake_sessions}`, a row for each session in the compact table, from the catalog alone:

    trade_date          the session
    number              its place among the exchange's sessions: 1 more than that of the one just before it.
                        Sessions of another currency are a million away, so that no span reaches across
    previous_session    the exchange's previous session, in the lake or not
    missing_before      how many sessions of the exchange lie between it and the lake's session before it;
                        null in the lake's first

A figure of "the day" is against the session whose number is 1 less, or null; never across a gap.

A query that compares prices asks which by a parameter `prices`, and has the member `${prices_asked}`, which
takes it; without a row if it is none of the three. What reads the compact table as `daily` joins the table of
factors by `${factors}`, or with what was asked by `${factors_of_prices}`, and then has two columns for it:

    ${price_factor}     what brings a price of the row to the terms of its base: their ratio between two rows
                        of one base is what happened in between
    ${price_base}       the base; prices of one base can be compared, others cannot, nor those without one

`${compared}` is the member `compared` of a member `prices` with `ticker`, `trade_date`, `close`, `factor` and
`base`: its rows with `previous_close`, the close of the ticker's row before in terms of the row itself, null
where that cannot be proven; and `traded_before`, whether there is such a row with a close.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from string import Template
from typing import NamedTuple, Self

from lake.currency import FIRST_IN_BRL
from lake.names import adjustment_tables, members_table
from scraper.b3.calendar import KNOWN_DAYS, closed_weekdays

NAMED_QUERIES = Path(__file__).parent / "named_queries"

# Trino's `sequence` makes at most 10,000 days. Outside of them, the previous session is the lake's
_SHARED = {
    "lake_sessions": """${calendar},
exchange AS (
    -- The exchange's sessions: those of the lake, and those of the calendar that it lacks
    SELECT
        trade_date,
        max(in_lake) AS in_lake,
        row_number() OVER (ORDER BY trade_date)
            + CASE WHEN trade_date >= ${first_in_brl} THEN 1000000 ELSE 0 END AS number,
        row_number() OVER (ORDER BY trade_date) AS place,
        lag(trade_date) OVER (ORDER BY trade_date) AS previous_session
    FROM (
        SELECT trade_date, 1 AS in_lake
        FROM "${refined_database}"."${compact_table}$$partitions"
        UNION ALL
        SELECT trade_date, 0
        FROM calendar
    ) AS every_session
    GROUP BY trade_date
),
lake_sessions AS (
    SELECT
        trade_date,
        number,
        previous_session,
        place - lag(place) OVER (ORDER BY trade_date) - 1 AS missing_before
    FROM exchange
    WHERE in_lake = 1
)""",
    "calendar": """calendar AS (
    -- Weekdays on which the exchange means to open, by its calendar as it was known at the deployment
    SELECT CAST(days.trade_date AS date) AS trade_date
    FROM UNNEST(sequence(${calendar_begin}, ${calendar_end}, INTERVAL '1' DAY)) AS days (trade_date)
    WHERE day_of_week(days.trade_date) <= 5
        AND CAST(days.trade_date AS date) NOT IN (
            SELECT CAST(closed.day AS date)
            FROM UNNEST(split(${closed_weekdays}, ' ')) AS closed (day)
        )
)""",
    "prices_asked": """asked AS (
    SELECT kinds.prices
    FROM (
        VALUES 'adjusted', 'total_return', 'traded'
    ) AS kinds (prices)
    WHERE kinds.prices = ${prices}
)""",
    "factors_of_prices": """CROSS JOIN asked
    ${factors}""",
    "factors": """LEFT JOIN "${refined_database}"."${factors_table}" AS factors
        ON factors.isin = daily.isin
        AND factors.first_session <= daily.trade_date
        AND factors.last_session >= daily.trade_date""",
    "price_factor": """CASE asked.prices
            WHEN 'adjusted' THEN factors.split_base_factor
            WHEN 'total_return' THEN factors.total_return_base_factor
            WHEN 'traded' THEN 1e0
        END""",
    "price_base": """CASE asked.prices
            WHEN 'adjusted' THEN factors.isin || CAST(factors.split_base AS varchar)
            WHEN 'total_return' THEN factors.isin || CAST(factors.total_return_base AS varchar)
            WHEN 'traded' THEN asked.prices
        END""",
    "compared": """compared AS (
    -- With the close of the row before, in terms of the row's own session; null where that is not proven
    SELECT
        *,
        CASE
            WHEN lag(base) OVER earlier = base
                THEN CAST(CAST(lag(close) OVER earlier AS double) * (lag(factor) OVER earlier / factor)
                    AS decimal(18, 6))
        END AS previous_close,
        lag(close) OVER earlier IS NOT NULL AS traded_before
    FROM prices
    WINDOW earlier AS (PARTITION BY ticker ORDER BY trade_date)
)""",
}
"""What several queries have, by its placeholder, the former of which may have the latter; see the module."""

DEFAULTS = {
    "last_session": '(SELECT max(trade_date) FROM "${refined_database}"."${compact_table}$$partitions")',
    "session_20_before": "(SELECT min(trade_date) FROM (SELECT trade_date "
    'FROM "${refined_database}"."${compact_table}$$partitions" ORDER BY trade_date DESC LIMIT 21))',
    "first_index": "'${joined_index}'",
    "most_traded_ticker": '(SELECT ticker FROM "${refined_database}"."${compact_table}" WHERE trade_date = '
    '(SELECT max(trade_date) FROM "${refined_database}"."${compact_table}$$partitions") '
    "ORDER BY volume DESC, ticker LIMIT 1)",
}
"""What a parameter can have for a default besides a literal: a subquery, or the joined index, by its name."""

TYPES = ("date", "varchar", "decimal", "bigint")

_HEADER = ("EN", "PT", "Scans", "Needs sessions")
_PARAMETER_FIELDS = 5
_PLACEHOLDER = re.compile(r"\$\{(\w+)\}", re.ASCII)


class Text(NamedTuple):
    """A text in English and in Portuguese."""

    en: str
    pt: str


class QueryFileError(ValueError):
    """A file of `named_queries/` is not as it should be; the message says what was expected."""


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The names that the placeholders of the queries stand for.

    Attributes:
        refined_database: Database of the refined tables.
        refined_table: The one with a file for each session and ticker.
        compact_table: The one with a file for each session.
        raw_database: Database of the raw tables.
        joined_index: Code of the index whose weights the refined rows have.
    """

    refined_database: str
    refined_table: str
    compact_table: str
    raw_database: str
    joined_index: str

    def placeholders(self) -> dict[str, str]:
        """Each placeholder's name; those of members, events and factors follow from the refined table's."""
        events, factors, _ = adjustment_tables(self.refined_table)
        return {
            **asdict(self),
            "members_table": members_table(self.refined_table),
            "events_table": events,
            "factors_table": factors,
        }


BY_DEFAULT = Tables(
    refined_database="default",
    refined_table="bovespa_daily",
    compact_table="bovespa_daily_compact",
    raw_database="bovespa",
    joined_index="IBOV",
)
"""The names that follow from the settings in `cdk.json`."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a query.

    Attributes:
        name: Its name.
        type: One of `TYPES`.
        default: What the saved query has in its place: a literal, or a name of `DEFAULTS` as a placeholder.
        meaning: What it is.
    """

    name: str
    type: str
    default: str
    meaning: Text


@dataclass(frozen=True, kw_only=True)
class NamedQuery:
    """A named query.

    Attributes:
        stem: Name of its file, and of the prepared statement.
        title: Its title.
        question: What it answers.
        parameters: In the order of the prepared statement's question marks.
        scans: What it reads.
        needs_sessions: How many sessions the tables must hold for it to have rows.
        sql: The saved query: the whole file, with the defaults.
        statement: The prepared statement: the SQL alone, with question marks.
    """

    stem: str
    title: Text
    question: Text
    parameters: tuple[Parameter, ...]
    scans: Text
    needs_sessions: int
    sql: str
    statement: str

    @property
    def name(self) -> str:
        """Its name in Athena."""
        return self.title.en

    @property
    def description(self) -> str:
        """The question in both languages."""
        return f"EN: {self.question.en} PT: {self.question.pt}"

    @classmethod
    def read(cls, path: Path, tables: Tables) -> Self:
        """Read a file.

        Raises:
            KeyError: The file has a placeholder that there is nothing for.
            QueryFileError: A line of the header is missing or malformed, or the SQL does not have each
                parameter once, in the header's order.
        """
        header, body = _split(path.read_text(encoding="utf-8"))
        header = [line.replace("${joined_index}", tables.joined_index) for line in header]
        for name, text in _SHARED.items():
            body = body.replace(f"${{{name}}}", text)
        if not header:
            raise QueryFileError(
                f"{path}: expected comment lines first, of which the first is the title, English | Portuguese"
            )
        lines = {key: _line(path, header, key) for key in _HEADER}
        parameters = tuple(_parameter(path, line) for line in header[1:] if line.startswith("Parameter:"))
        unknown = len(header) - 1 - len(_HEADER) - len(parameters)
        if unknown:
            raise QueryFileError(f"{path}: {unknown} comment lines before the SQL are none of {_HEADER}")
        _check_use(path, body, parameters)
        if not lines["Needs sessions"].isdecimal():
            raise QueryFileError(f"{path}: Needs sessions: {lines['Needs sessions']!r}, expected a number")

        names = tables.placeholders()
        defaults = {name: _filled(sql, names) for name, sql in DEFAULTS.items()}
        values = {each.name: _filled(each.default, defaults) for each in parameters}
        commented = {name: f"/* {name} */ {value}" for name, value in values.items()}
        return cls(
            stem=path.stem,
            title=_text(path, header[0]),
            question=Text(lines["EN"], lines["PT"]),
            parameters=parameters,
            scans=_text(path, lines["Scans"]),
            needs_sessions=int(lines["Needs sessions"]),
            sql=_comments(path.stem, header, parameters) + _filled(body, {**names, **commented}),
            statement=_filled(body, {**names, **dict.fromkeys(values, "?")}),
        )

    @classmethod
    def read_all(cls, tables: Tables) -> list[Self]:
        """Read every file of `named_queries/`, by name."""
        return [cls.read(path, tables) for path in sorted(NAMED_QUERIES.glob("*.sql"))]


def _comments(stem: str, header: list[str], parameters: tuple[Parameter, ...]) -> str:
    """The header as it stands in the saved query, which is where a person changes a default."""
    lines = [line for line in header if not line.startswith("Parameter:")]
    for each in parameters:
        lines.append(f"{each.name} ({each.type}): {each.meaning.en} | {each.meaning.pt}")
    if parameters:
        names = ", ".join(f"<{each.name}>" for each in parameters)
        lines.append(f"EXECUTE {stem} USING {names}")
    # Athena's console asks for a value for each question mark; whether it knows comments, AWS does not say
    return "".join(f"-- {line}\n" for line in lines).replace("?", "")


@cache
def _closed_weekdays() -> str:
    """The weekdays of `KNOWN_DAYS` on which the exchange did not mean to open: one text, as SQL."""
    return f"'{' '.join(map(str, closed_weekdays(*KNOWN_DAYS)))}'"


def _filled(text: str, values: Mapping[str, str]) -> str:
    first, last = KNOWN_DAYS
    known = {
        **values,
        "calendar_begin": f"DATE '{first}'",
        "calendar_end": f"DATE '{last}'",
        "closed_weekdays": _closed_weekdays(),
        "first_in_brl": f"DATE '{FIRST_IN_BRL}'",
    }
    return Template(text).substitute(known)


def _split(text: str) -> tuple[list[str], str]:
    """The header's lines without their dashes, and what comes after them."""
    header: list[str] = []
    lines = text.splitlines(keepends=True)
    for line in lines:
        if not line.startswith("--"):
            break
        header.append(line.removeprefix("--").strip())
    return header, "".join(lines[len(header) :])


def _line(path: Path, header: list[str], key: str) -> str:
    found = [line.removeprefix(f"{key}:").strip() for line in header[1:] if line.startswith(f"{key}:")]
    if len(found) != 1 or not found[0]:
        raise QueryFileError(f"{path}: expected one comment line `-- {key}: ...` before the SQL")
    return found[0]


def _text(path: Path, line: str) -> Text:
    parts = [part.strip() for part in line.split("|")]
    if len(parts) != len(Text._fields) or not all(parts):
        raise QueryFileError(f"{path}: {line!r}, expected English | Portuguese")
    return Text(*parts)


def _parameter(path: Path, line: str) -> Parameter:
    fields = [field.strip() for field in line.removeprefix("Parameter:").split("|")]
    if len(fields) != _PARAMETER_FIELDS or not all(fields) or fields[1] not in TYPES:
        raise QueryFileError(
            f"{path}: {line!r}, expected Parameter: name | one of {', '.join(TYPES)} | default | "
            "meaning in English | meaning in Portuguese"
        )
    name, kind, default, english, portuguese = fields
    return Parameter(name=name, type=kind, default=default, meaning=Text(english, portuguese))


def _check_use(path: Path, body: str, parameters: tuple[Parameter, ...]) -> None:
    declared = [parameter.name for parameter in parameters]
    used = [name for name in _PLACEHOLDER.findall(body) if name in declared]
    if used != declared:
        raise QueryFileError(
            f"{path}: the SQL has the parameters {used}, expected each once and in the header's order, "
            f"{declared}"
        )
    if "?" in body:
        raise QueryFileError(f"{path}: a question mark in the SQL; parameters are written ${{name}}")
