"""The whole job and corporate actions: from raw quotes and what B3 states to events, factors and the view."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from glue_scripts.visual import build_nodes
from lake import keys as lake_keys
from refinement.adjustment.actions import Action
from refinement.adjustment.state import EVENTS_KEY, FACTORS_KEY
from refinement.columns import EVENT_COLUMNS, FACTOR_COLUMNS
from refinement.errors import RefineError
from sandbox.visual.interpreter import Interpreter
from tests.fixtures.adjustment import action, actions_table, stock
from tests.spark.raw_files import BB, RAW, REFINED, Lake, empty
from tests.spark.rows import cash, odd_lot

pytestmark = pytest.mark.xdist_group("spark")

D = Decimal
FIRST, LAST_WITH, EX, AFTER = date(2031, 3, 11), date(2031, 3, 12), date(2031, 3, 13), date(2031, 3, 14)
PAID = action(rate=D("0.50"), last_date_prior=LAST_WITH, isin="BRZZAAACNOR0", issuer="ZZAA")
SPLIT = stock("DESDOBRAMENTO", "100", EX, isin="BRZZAAACNOR0", asset_issued="BRZZAAACNOR0", issuer="ZZAA")
QUOTES = {
    FIRST: [cash(dismes=7, preult=D("10.20")), *BB],
    LAST_WITH: [cash(dismes=7, preult=D("10.00")), odd_lot(dismes=7), *BB],
    EX: [cash(dismes=8, preult=D("9.60"), especi="ON  ED  NM"), *BB],
    AFTER: [cash(dismes=9, preult=D("4.70"), especi="ON  EB  NM"), *BB],
}


@pytest.fixture
def sessions(lake: Lake) -> Lake:
    """Four sessions around a dividend and a split."""
    for day, quotes in QUOTES.items():
        lake.put_session(quotes, day)
    put_actions(lake, [PAID, SPLIT])
    return lake


def put_actions(lake: Lake, actions: Iterable[Action]) -> None:
    file = lake.folder / RAW / lake_keys.corporate_actions("ZZAA")
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(actions_table(actions), file)


def factors(lake: Lake, isin: str = "BRZZAAACNOR0") -> list[tuple[Any, ...]]:
    rows = pq.read_table(pa.BufferReader(lake.adjustment()[FACTORS_KEY][1])).to_pylist()
    return [
        (each["first_session"], each["split_factor"], each["total_return_factor"])
        for each in rows
        if each["isin"] == isin
    ]


def weighed_by(sessions: Lake) -> str:
    """What the view of adjusted prices says of its weights."""
    view = next(each for each in sessions.catalogued() if each["Name"] == "bovespa_daily_adjusted")
    columns: Any = view["StorageDescriptor"]
    return next(str(each["Comment"]) for each in columns["Columns"] if each["Name"] == "index_weight")


WORKED_OUT = [
    (FIRST, 0.5, 0.475),  # (10.00 - 0.50) / 10.00, and two shares for one
    (EX, 0.5, 0.5),
    (AFTER, 1.0, 1.0),
]


def test_a_run_makes_events_and_factors_and_catalogues_them_and_the_graph_makes_the_same(
    sessions: Lake, spark: SparkSession
) -> None:
    """The graph of the rows of two sessions that it is about to publish."""
    sessions.run_range(FIRST, LAST_WITH)
    nodes = build_nodes(
        raw_bucket=RAW,
        refined_bucket=REFINED,
        refined_database=sessions.database,
        refined_table=sessions.table,
    )
    argv = [
        "--start_date",
        str(EX),
        "--end_date",
        str(AFTER),
        "--raw_bucket",
        RAW,
        "--refined_bucket",
        REFINED,
    ]
    argv += ["--refined_database", sessions.database, "--refined_table", sessions.table]
    argv += ["--index_codes", "SMLL,IBOV"]
    Interpreter(json.loads(json.dumps(nodes)), argv, spark).results("node-adjusted")
    by_graph = {key: body for key, (_, body) in sessions.adjustment().items()}
    assert factors(sessions) == WORKED_OUT
    assert weighed_by(sessions) == "Weight in the SMLL [percent]; null outside the index"
    sessions.run_range(EX, AFTER)
    assert weighed_by(sessions) == "Weight in the IBOV [percent]; null outside the index"
    assert {key: body for key, (_, body) in sessions.adjustment().items()} == by_graph
    events = pq.read_table(pa.BufferReader(sessions.adjustment()[EVENTS_KEY][1])).to_pylist()
    assert [(each["ex_date"], each["kind"], each["status"]) for each in events] == [
        (EX, "dividend", "proven"),
        (AFTER, "split", "proven"),
    ]
    tables = {table["Name"]: table for table in sessions.catalogued()}
    assert tables.keys() == {
        *("bovespa_daily", "bovespa_daily_compact", "bovespa_daily_adjusted"),
        *("bovespa_events", "bovespa_factors", "bovespa_index_members"),
    }
    for name, columns in (("bovespa_events", EVENT_COLUMNS), ("bovespa_factors", FACTOR_COLUMNS)):
        assert tables[name]["StorageDescriptor"]["Location"] == f"s3://{REFINED}/refined_{name[8:]}/"
        assert tables[name]["StorageDescriptor"]["Columns"] == [
            {"Name": column, "Type": kind, "Comment": comment} for column, kind, comment in columns
        ]
    assert tables["bovespa_daily_adjusted"]["TableType"] == "VIRTUAL_VIEW"

    # A table of events that is another's is refused before anything is written
    table: Any = tables["bovespa_events"]
    descriptor: Any = {**table["StorageDescriptor"], "Location": "s3://elsewhere/refined_events/"}
    sessions.glue.update_table(
        DatabaseName=sessions.database, TableInput={"Name": table["Name"], "StorageDescriptor": descriptor}
    )
    sessions.put_session(QUOTES[AFTER], AFTER + timedelta(days=3))
    before = sessions.state()
    with pytest.raises(RefineError, match="bovespa_events is not the one that this job writes: location"):
        sessions.run("--trade_date", str(AFTER + timedelta(days=3)))
    assert sessions.state() == before


def test_sessions_one_by_one_backwards_and_corrected_end_in_the_same_bytes(sessions: Lake) -> None:
    sessions.run_range(FIRST, AFTER)
    straight = {key: body for key, (_, body) in sessions.adjustment().items()}

    empty(boto3.client("s3"), REFINED)
    put_actions(sessions, [SPLIT])
    sessions.put_session([cash(dismes=7, preult=D("77.00"))], LAST_WITH)  # to be corrected
    for day in (AFTER, LAST_WITH, EX):
        sessions.run("--trade_date", str(day))
    assert factors(sessions)[-1][1:] == (1.0, 1.0)
    sessions.put_session(QUOTES[LAST_WITH], LAST_WITH)
    put_actions(sessions, [SPLIT, PAID])
    for day in (LAST_WITH, FIRST):
        sessions.run("--trade_date", str(day))
    assert {key: body for key, (_, body) in sessions.adjustment().items()} == straight


def test_where_factors_cannot_be_made_the_session_is_published_and_the_run_says_so(lake: Lake) -> None:
    lake.put_session(QUOTES[FIRST], FIRST)
    broken = lake.folder / RAW / lake_keys.corporate_actions("ZZAA")
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"<html>")
    with pytest.raises(RefineError, match=f"cannot be read as Parquet.*sessions are published, {FIRST}"):
        lake.run("--trade_date", str(FIRST))
    assert lake.row("ZZAA3", FIRST)["close"] == D("10.20")
    broken.unlink()
    boto3.client("s3").delete_object(Bucket=RAW, Key=lake_keys.corporate_actions("ZZAA"))
    lake.run("--trade_date", str(FIRST))
    assert factors(lake) == [(FIRST, 1.0, 1.0)]
