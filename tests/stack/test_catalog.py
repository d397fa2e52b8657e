"""The raw tables in the catalog: what Athena needs to know to find a session."""

from __future__ import annotations

from typing import Any

import pytest

from tests.stack.synthesis import resources, text_of


def _table(document: dict[str, Any], name: str) -> dict[str, Any]:
    for _, table in resources(document, "AWS::Glue::Table"):
        properties: dict[str, Any] = table["Properties"]
        if properties["TableInput"]["Name"] == name:
            return properties
    raise AssertionError(f"no table {name}")


def test_the_stack_owns_the_raw_database_and_not_the_refined_one(document: dict[str, Any]) -> None:
    ((logical_id, database),) = resources(document, "AWS::Glue::Database")

    assert database["Properties"]["DatabaseInput"]["Name"] == "bovespa"
    for name in ("cotahist", "cotahist_revisions", "index_portfolio", "index_level", "corporate_actions"):
        assert text_of(_table(document, name)["DatabaseName"]) == f"<{logical_id}>"


@pytest.mark.parametrize(
    ("name", "key", "values"),
    [
        ("cotahist", "trade_date", "1986-01-01,NOW"),
        ("cotahist_revisions", "trade_date", "1986-01-01,NOW"),
        ("index_portfolio", "portfolio_date", "2010-01-01,NOW+14DAYS"),
    ],
)
def test_athena_finds_a_day_s_partition_by_itself(
    document: dict[str, Any], name: str, key: str, values: str
) -> None:
    table = _table(document, name)["TableInput"]
    parameters = table["Parameters"]

    assert table["PartitionKeys"] == [
        {"Name": key, "Type": "date", "Comment": table["PartitionKeys"][0]["Comment"]}
    ]
    assert str(parameters["projection.enabled"]).lower() == "true"
    assert parameters[f"projection.{key}.type"] == "date"
    assert parameters[f"projection.{key}.format"] == "yyyy-MM-dd"
    assert parameters[f"projection.{key}.range"] == values
    location = text_of(table["StorageDescriptor"]["Location"])
    assert location.startswith("s3://<StorageRawBucket")
    assert location.endswith(f">/raw/{name}/")
    assert text_of(parameters["storage.location.template"]) == f"{location}{key}=${{{key}}}/"


def test_quotes_have_b3_s_fields_with_exact_types_and_a_meaning(document: dict[str, Any]) -> None:
    descriptor = _table(document, "cotahist")["TableInput"]["StorageDescriptor"]
    types = {column["Name"]: column["Type"] for column in descriptor["Columns"]}

    # 26 fields of the layout, without TIPREG, which is always 01, and DATA, which is the partition
    assert len(types) == 24
    assert types["codneg"] == types["tpmerc"] == types["codbdi"] == "string"
    assert types["preult"] == types["preofv"] == types["preexe"] == "decimal(13,2)"
    assert types["voltot"] == "decimal(18,2)"
    assert types["ptoexe"] == "decimal(13,6)"
    assert types["totneg"] == types["quatot"] == types["fatcot"] == types["dismes"] == "bigint"
    assert types["datven"] == "date"
    assert all(column["Comment"] for column in descriptor["Columns"])


def test_revisions_have_the_columns_of_the_quotes_and_the_file_that_has_the_line(
    document: dict[str, Any],
) -> None:
    quotes, revisions = (
        [(column["Name"], column["Type"]) for column in table["TableInput"]["StorageDescriptor"]["Columns"]]
        for table in (_table(document, "cotahist"), _table(document, "cotahist_revisions"))
    )
    assert revisions == [*quotes, ("file", "string")]


def test_portfolios_have_exact_weights(document: dict[str, Any]) -> None:
    columns = _table(document, "index_portfolio")["TableInput"]["StorageDescriptor"]["Columns"]

    assert {column["Name"]: column["Type"] for column in columns} == {
        "index_code": "string",
        "ticker": "string",
        "asset": "string",
        "share_class": "string",
        "sector": "string",
        "weight": "decimal(9,3)",
        "sector_weight": "decimal(9,3)",
        "theoretical_quantity": "bigint",
        "reductor": "decimal(24,8)",
    }


def test_levels_are_exact_and_in_no_partition(document: dict[str, Any]) -> None:
    table = _table(document, "index_level")["TableInput"]
    columns = table["StorageDescriptor"]["Columns"]

    assert table.get("PartitionKeys", []) == []
    assert text_of(table["StorageDescriptor"]["Location"]).endswith(">/raw/index_level/")
    assert {column["Name"]: column["Type"] for column in columns} == {
        "index_code": "string",
        "trade_date": "date",
        "level": "decimal(18,2)",
        "note": "string",
    }


def test_corporate_actions_have_exact_amounts_and_no_partition(document: dict[str, Any]) -> None:
    table = _table(document, "corporate_actions")["TableInput"]
    columns = table["StorageDescriptor"]["Columns"]
    types = {column["Name"]: column["Type"] for column in columns}

    assert table.get("PartitionKeys", []) == []
    assert "projection.enabled" not in table.get("Parameters", {})
    assert text_of(table["StorageDescriptor"]["Location"]).endswith(">/raw/corporate_actions/")
    assert len(types) == 26
    assert {types[name] for name in ("rate", "factor", "percentage", "price_unit", "closing_price")} == {
        "decimal(24,11)"
    }
    assert {types[name] for name in ("last_date_prior", "payment_date", "first_seen")} == {"date"}
    assert (types["quoted_per_shares"], types["occurrence"]) == ("bigint", "int")
    assert all(column["Comment"] for column in columns)


def test_the_raw_tables_are_read_as_parquet(document: dict[str, Any]) -> None:
    for name in ("cotahist", "cotahist_revisions", "index_portfolio", "index_level", "corporate_actions"):
        descriptor = _table(document, name)["TableInput"]["StorageDescriptor"]
        assert descriptor["InputFormat"] == "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
        assert descriptor["SerdeInfo"]["SerializationLibrary"] == (
            "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
        )
