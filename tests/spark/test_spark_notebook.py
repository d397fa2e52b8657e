"""The Spark notebook, executed as Athena does it: on a Spark of its own, with the charts from their ZIP.

The tables are those that the job makes of simulated sessions and of what B3 states of their papers, in a Hive
metastore, which the Glue Data Catalog is to Spark. What the notebook finds is held against the quotes of the
market (`tests.notebook_frames`); where prices are compared, with the table of factors.
"""

from __future__ import annotations

import base64
import json
import os
import pickle
import re
import shutil
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import nbformat
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from nbclient import NotebookClient
from pyspark.sql import SparkSession
from sqlglot import expressions as exp

from lake import keys
from sandbox import local_spark
from sandbox.b3.formats import encode_levels, encode_supplement
from sandbox.b3.market import SimulatedMarket
from sandbox.ministack import MiniStack, without_aws
from scraper.b3.calendar import sessions_between
from scraper.b3.corporate_actions.reader import read_supplement
from scraper.b3.index_level.layout import LEVEL_COLUMNS
from scraper.b3.index_level.reader import read_levels
from stacks.bundling import REPOSITORY, charts_bundle
from tests.leading import lead_to
from tests.notebook_frames import ByHand, NotebookFrames
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
    settings = {
        **local_spark.settings_for(one_session=True),
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.shuffle.partitions": "1",
        "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:catalog;create=true",
    }
    kept = {
        name: value
        for name, value in without_aws(os.environ).items()
        if not (local_spark.is_of_spark(name) or name.startswith("PYTHON"))
    }
    return {**kept, "MPLBACKEND": "agg", **local_spark.java_environment(folder, more=settings)}


@pytest.fixture(scope="module")
def frames(executed: Executed) -> dict[str, Any]:
    return executed.found


@pytest.fixture(scope="module")
def ticker(executed: Executed) -> str:
    return str(executed.found["ticker"])


@pytest.fixture(scope="module")
def by_hand(executed: Executed) -> ByHand:
    factors, events = (
        pq.read_table(executed.lake / TABLES[f"bovespa_{name}"]).to_pylist() for name in ("factors", "events")
    )
    return ByHand(MARKET, SESSIONS, portfolio_date=SESSIONS[0], factors=factors, events=events)


class TestFrames(NotebookFrames):
    """Those of the notebook on Spark."""


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
