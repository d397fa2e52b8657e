"""The view of adjusted prices, read as a user reads it: by Athena's API, and by awswrangler."""

# ruff: noqa: S608 - the queries are made of this file's names

from __future__ import annotations

import json
import uuid
from base64 import b64decode
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import awswrangler as wr
import boto3
import pyarrow as pa
import pytest
import sqlglot

from lake import keys
from refinement import arrow, files
from refinement.adjustment import tables
from refinement.adjustment.state import refresh
from refinement.catalog import Catalog, compact_table
from refinement.columns import ACTION_COLUMNS, ADJUSTED_COLUMNS, COMPACT_COLUMNS, COMPACT_KEYS, Field
from refinement.errors import RefineError
from sandbox.ministack import MiniStack
from tests.fixtures.adjustment import ISIN, action, row, session_table, stock

if TYPE_CHECKING:
    from mypy_boto3_athena.type_defs import WorkGroupConfigurationTypeDef

D = Decimal
TABLE = "prices_daily"
DAYS = [date(2025, 12, 29), date(2025, 12, 30), date(2026, 1, 2), date(2026, 1, 5)]
OTHER = {"isin": "BRZZBBACNOR1", "ticker": "ZZBB3"}


class Prices:
    """A database with the view, and a work group."""

    def __init__(self) -> None:
        name = uuid.uuid4().hex
        self.database, self.bucket, self.work_group = f"db_{name}", f"refined-{name}", f"group-{name}"
        self.s3, self.glue = boto3.client("s3"), boto3.client("glue")
        self.s3.create_bucket(Bucket=self.bucket)
        configuration: WorkGroupConfigurationTypeDef = {
            "ResultConfiguration": {"OutputLocation": f"s3://{self.bucket}/results/"},
            "EnforceWorkGroupConfiguration": True,
        }
        boto3.client("athena").create_work_group(Name=self.work_group, Configuration=configuration)

    def make(self) -> None:
        market = [
            [row(1, "20", open=D("19.9"), quantity=100), row(5, "3", **OTHER)],
            [row(1, "20", quantity=100), row(5, "3", **OTHER)],
            [row(2, "19", quantity=100), row(6, "3", **OTHER)],
            [row(3, "9.5", quantity=250), row(6, "4", **OTHER), row(9, "1", isin=None, ticker="ZZNN3")],
        ]
        for day, rows in zip(DAYS, market, strict=True):
            body = files.parquet(session_table(rows), files.COMPACT_FILE)
            self.s3.put_object(Bucket=self.bucket, Key=f"{keys.COMPACT}{day}/{keys.REFINED_FILE}", Body=body)
        actions = [
            action(rate=D(1), last_date_prior=DAYS[1]),
            stock("DESDOBRAMENTO", "100", DAYS[2]),
        ]
        schema = arrow.schema(Field(name, kind, "") for name, kind in ACTION_COLUMNS.items())
        stated = pa.Table.from_pylist([one._asdict() for one in actions], schema=schema)
        key = keys.corporate_actions("ZZAA")
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=files.parquet(stated, {}))
        refresh(self.s3, raw_bucket=self.bucket, refined_bucket=self.bucket)
        compact = Catalog(self.glue, database=self.database, table=compact_table(TABLE, self.bucket))
        compact.prepare()
        compact.synchronise((str(day), "") for day in DAYS)
        self.prepare()

    def prepare(self) -> None:
        tables.prepare(self.glue, database=self.database, refined_table=TABLE, bucket=self.bucket)

    def view(self) -> Any:
        return self.glue.get_table(DatabaseName=self.database, Name=f"{TABLE}_adjusted")["Table"]

    def query(self, sql: str) -> Any:
        return wr.athena.read_sql_query(
            sql,
            database=self.database,
            workgroup=self.work_group,
            ctas_approach=False,
            athena_query_wait_polling_delay=0.1,
        )


@pytest.fixture
def prices(aws: MiniStack) -> Prices:
    made = Prices()
    made.make()
    return made


def test_each_row_of_the_compact_table_has_adjusted_prices_or_the_reason(prices: Prices) -> None:
    frame = prices.query(
        "SELECT trade_date, ticker, close, close_adjusted, close_total_return, quantity_adjusted, "
        f"adjustment_reason FROM {TABLE}_adjusted ORDER BY ticker, trade_date"
    )
    rows = frame.astype(object).where(frame.notna(), None).to_numpy().tolist()
    unexplained = f"the distribution number rose by 1 on {DAYS[2]}, of which B3 states no event"
    assert [(each[1], *each[3:]) for each in rows] == [
        ("ZZAA3", 10.0, 9.5, 200.0, None),  # 20 / 2; 20 * 19 / 20 / 2; 100 shares are 200
        ("ZZAA3", 10.0, 9.5, 200.0, None),
        ("ZZAA3", 9.5, 9.5, 200.0, None),
        ("ZZAA3", 9.5, 9.5, 250.0, None),
        ("ZZBB3", None, None, None, unexplained),
        ("ZZBB3", None, None, None, unexplained),
        ("ZZBB3", 3.0, 3.0, None, None),  # what has no quantity has none adjusted
        ("ZZBB3", 4.0, 4.0, None, None),
        ("ZZNN3", None, None, None, "no ISIN"),
    ]
    assert rows[0][2] == D("20.000000")  # as traded
    (opened,) = prices.query(
        f"SELECT a.open_adjusted FROM {prices.database}.{TABLE}_adjusted AS a WHERE a.trade_date = DATE "
        f"'{DAYS[0]}' AND a.isin = '{ISIN}'"
    )["open_adjusted"]
    assert opened == 9.95


def test_the_view_and_a_table_are_joined_as_any_two_tables(prices: Prices) -> None:
    frame = prices.query(
        f"WITH adjusted AS (SELECT * FROM {TABLE}_adjusted) SELECT count(*) AS rows, "
        "sum(factors.split_factor) AS factors FROM adjusted JOIN prices_factors AS factors "
        "ON factors.isin = adjusted.isin AND adjusted.trade_date = factors.first_session"
    )
    # ZZAA3: from the first, third and fourth session on; ZZBB3: from the first, without, and the third
    assert frame.to_numpy().tolist() == [[5, 0.5 + 0.5 + 1 + 1]]


def test_the_catalog_has_the_view_as_athena_keeps_its_own(prices: Prices) -> None:
    view = prices.view()
    columns = (*COMPACT_COLUMNS, *COMPACT_KEYS, *ADJUSTED_COLUMNS)
    assert (view["TableType"], view["Parameters"]["presto_view"]) == ("VIRTUAL_VIEW", "true")
    assert view["ViewExpandedText"] == "/* Presto View */"
    # By this comment Trino knows a view, and it takes a description for the comment
    assert (view["Parameters"]["comment"], view["Description"]) == ("Presto View", "Presto View")
    assert [(each["Name"], each["Type"]) for each in view["StorageDescriptor"]["Columns"]] == [
        (name, kind) for name, kind, _ in columns
    ]
    text = view["ViewOriginalText"].removeprefix("/* Presto View: ").removesuffix(" */")
    definition = json.loads(b64decode(text))
    assert (definition["catalog"], definition["schema"]) == ("awsdatacatalog", prices.database)
    assert definition["runAsInvoker"] is True
    spelling = {"string": "varchar", "int": "integer"}
    assert definition["columns"] == [
        {"name": name, "type": spelling.get(kind, kind)} for name, kind, _ in columns
    ]
    parsed: Any = sqlglot.parse_one(definition["originalSql"], read="athena")
    assert [each.alias_or_name for each in parsed.selects] == [field.name for field in columns]


def test_a_view_of_before_is_brought_up_to_date_and_one_that_is_right_left_alone(prices: Prices) -> None:
    name = f"{TABLE}_adjusted"
    old = {"Name": name, "TableType": "VIRTUAL_VIEW", "ViewOriginalText": "/* Presto View: e30= */"}
    wanted = prices.view()["ViewOriginalText"]
    prices.glue.update_table(DatabaseName=prices.database, TableInput=old)  # type: ignore[arg-type]
    prices.prepare()
    assert prices.view()["ViewOriginalText"] == wanted
    before = prices.view()
    prices.prepare()
    assert prices.view() == before
    described: Any = {**old, "ViewOriginalText": wanted, "Description": "The rows of the compact table"}
    prices.glue.update_table(DatabaseName=prices.database, TableInput=described)
    prices.prepare()
    assert prices.view()["Description"] == before["Description"]


def test_a_table_in_the_place_of_the_view_is_refused_before_anything_is_written(prices: Prices) -> None:
    name = f"{TABLE}_adjusted"
    prices.glue.delete_table(DatabaseName=prices.database, Name=name)
    prices.glue.create_table(DatabaseName=prices.database, TableInput={"Name": name, "TableType": "EXTERNAL"})
    with pytest.raises(RefineError, match=f"{prices.database}.{name} is no view"):
        tables.check(prices.glue, database=prices.database, refined_table=TABLE, bucket=prices.bucket)
