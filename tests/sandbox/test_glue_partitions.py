"""Partitions in the emulator's Glue: found by expression and page, indexed, and none lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import boto3
import pytest

from sandbox.ministack import MiniStack

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

INDEX: Any = {"Keys": ["trade_date", "ticker"], "IndexName": "by_date"}
DAYS = ("2031-03-13", "2031-03-14", "2031-03-17")


@pytest.fixture
def glue(aws: MiniStack) -> GlueClient:
    return boto3.client("glue")


@pytest.fixture
def where(glue: GlueClient) -> Any:
    """An empty table with an index, partitioned by date and ticker."""
    database = f"partitioned_{uuid4().hex}"
    glue.create_database(DatabaseInput={"Name": database})
    keys: Any = [{"Name": "trade_date", "Type": "date"}, {"Name": "ticker", "Type": "string"}]
    glue.create_table(
        DatabaseName=database,
        TableInput={"Name": "daily", "PartitionKeys": keys},
        PartitionIndexes=[INDEX],
    )
    return {"DatabaseName": database, "TableName": "daily"}


def create(glue: GlueClient, where: Any, *values: tuple[str, str]) -> list[Any]:
    inputs: Any = [{"Values": each} for each in values]
    return list(glue.batch_create_partition(**where, PartitionInputList=inputs).get("Errors", []))


def found(glue: GlueClient, where: Any, **query: Any) -> list[tuple[str, ...]]:
    pages = glue.get_paginator("get_partitions").paginate(**where, **query)
    return [tuple(partition["Values"]) for page in pages for partition in page["Partitions"]]


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("trade_date = '2031-03-14'", DAYS[1:2]),
        ("trade_date >= '2031-03-14' AND trade_date <= '2031-03-17'", DAYS[1:]),
        ("trade_date > '2031-03-13' and trade_date < '2031-03-17'", DAYS[1:2]),
        ("trade_date <> '2031-03-14' AND ticker = 'D''OR3'", (DAYS[0], DAYS[2])),
        ("ticker = 'NONE3'", ()),
        ("((ticker = 'D''OR3'))", DAYS),
        ("trade_date IN ('2031-03-17', '2031-03-13')", (DAYS[0], DAYS[2])),
        ("trade_date BETWEEN '2031-03-13' AND '2031-03-14'", DAYS[:2]),
        ("NOT (trade_date = '2031-03-13' OR \"trade_date\" > '2031-03-14')", DAYS[1:2]),
        ("ticker = 'NONE3' OR trade_date = DATE '2031-03-14'", DAYS[1:2]),
        ("ticker LIKE 'D_OR%' AND ticker NOT LIKE '%4'", DAYS),
        (
            "ticker NOT IN ('A', 'B') AND trade_date NOT BETWEEN '2031-03-14' AND '2031-03-16'",
            (DAYS[0], DAYS[2]),
        ),
        ("'2031-03-14' < trade_date", DAYS[2:]),
        ("ticker IS NULL", ()),
        ("trade_date IS NOT NULL AND ticker <> 'NONE3'", DAYS),
        ("", DAYS),
    ],
)
def test_those_that_an_expression_names_are_found(
    glue: GlueClient, where: Any, expression: str, days: tuple[str, ...]
) -> None:
    create(glue, where, *[(day, "D'OR3") for day in DAYS])
    assert found(glue, where, Expression=expression) == [(day, "D'OR3") for day in days]


@pytest.mark.parametrize(
    "expression",
    [
        *("price > '1'", "ticker = 1", "upper(ticker) = 'A'", "trade_date = 'yesterday'", "ticker ="),
        *("ticker", "trade_date IN (SELECT '2031-03-14')", "ticker = trade_date"),
    ],
)
def test_an_expression_that_is_not_understood_is_refused(
    glue: GlueClient, where: Any, expression: str
) -> None:
    with pytest.raises(glue.exceptions.InvalidInputException, match="Unsupported expression"):
        glue.get_partitions(**where, Expression=expression)


def test_keys_are_compared_by_their_types(glue: GlueClient, where: Any) -> None:
    kinds = {"month": "int", "rate": "decimal(9,2)", "code": "string"}
    keys: Any = [{"Name": name, "Type": kind} for name, kind in kinds.items()]
    table = {**where, "TableName": "typed"}
    glue.create_table(DatabaseName=where["DatabaseName"], TableInput={"Name": "typed", "PartitionKeys": keys})
    values: Any = [("9", "9.50", "9"), ("10", "-10.00", "10"), ("__HIVE_DEFAULT_PARTITION__", "0", "11")]
    create(glue, table, *values)
    for expression, rows in {
        "month < 10": values[:1],
        "month > 9": values[1:2],
        "rate < -9.5": values[1:2],
        "code < '9'": values[1:],
        "month IS NULL": values[2:],
        "NOT month = 9": values[1:2],  # of what is null, SQL does not know
        "month = 9 OR code = '11'": [values[0], values[2]],
    }.items():
        assert found(glue, table, Expression=expression) == rows, expression


def test_each_is_of_one_segment(glue: GlueClient, where: Any) -> None:
    values = [(DAYS[0], f"ZZ{number:03d}") for number in range(100)]
    create(glue, where, *values)
    segments = [
        found(glue, where, Segment={"SegmentNumber": number, "TotalSegments": 5}) for number in range(5)
    ]
    assert sorted(each for segment in segments for each in segment) == values
    assert all(segments)


def test_several_are_got_at_once_and_those_that_are_not_there_are_told(glue: GlueClient, where: Any) -> None:
    create(glue, where, *[(day, "ZZAA3") for day in DAYS])
    wanted: Any = [{"Values": [day, "ZZAA3"]} for day in (DAYS[2], "2031-03-15", DAYS[0])]
    got = glue.batch_get_partition(**where, PartitionsToGet=wanted)
    assert [partition["Values"] for partition in got["Partitions"]] == [
        [DAYS[2], "ZZAA3"],
        [DAYS[0], "ZZAA3"],
    ]
    assert got["UnprocessedKeys"] == [wanted[1]]


def test_one_with_other_values_is_known_by_these_alone(glue: GlueClient, where: Any) -> None:
    old, new = [DAYS[0], "ZZAA3"], [DAYS[0], "ZZBB3"]
    create(glue, where, (DAYS[0], "ZZAA3"))
    change: Any = {"PartitionValueList": old, "PartitionInput": {"Values": new}}
    glue.batch_update_partition(**where, Entries=[change])
    got = glue.batch_get_partition(**where, PartitionsToGet=[{"Values": old}, {"Values": new}])
    assert [partition["Values"] for partition in got["Partitions"]] == [new]
    (error,) = create(glue, where, (DAYS[0], "ZZBB3"), (DAYS[0], "ZZAA3"))
    assert error["PartitionValues"] == new


def test_descriptors_have_glue_s_defaults(glue: GlueClient, where: Any) -> None:
    """Trino, which takes them for given, fails where the number of buckets is missing."""
    database = where["DatabaseName"]
    described: Any = {"Location": "s3://bucket/daily", "NumberOfBuckets": 4}
    for name, descriptor in {"plain": {"Location": "s3://bucket/daily"}, "bucketed": described}.items():
        table: Any = {"Name": name, "StorageDescriptor": descriptor, "PartitionKeys": [{"Name": "day"}]}
        glue.create_table(DatabaseName=database, TableInput=table)
    place: Any = {"DatabaseName": database, "TableName": "plain"}
    glue.create_partition(
        **place, PartitionInput={"Values": ["1"], "StorageDescriptor": {"Location": "s3://b/1"}}
    )

    tables = {table["Name"]: table for table in glue.get_tables(DatabaseName=database)["TableList"]}
    descriptors = [
        tables["plain"]["StorageDescriptor"],
        glue.get_table(DatabaseName=database, Name="plain")["Table"]["StorageDescriptor"],
        glue.get_partition(**place, PartitionValues=["1"])["Partition"]["StorageDescriptor"],
        glue.get_partitions(**place)["Partitions"][0]["StorageDescriptor"],
        glue.batch_get_partition(**place, PartitionsToGet=[{"Values": ["1"]}])["Partitions"][0][
            "StorageDescriptor"
        ],
    ]
    for descriptor in descriptors:
        assert descriptor["NumberOfBuckets"] == 0
        assert descriptor["Compressed"] is descriptor["StoredAsSubDirectories"] is False
    assert tables["bucketed"]["StorageDescriptor"]["NumberOfBuckets"] == 4


def test_the_columns_of_partitions_are_left_out_where_they_are_not_wanted(
    glue: GlueClient, where: Any
) -> None:
    """https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartitions.html, ExcludeColumnSchema."""
    descriptor = {"Location": "s3://b/1", "Columns": [{"Name": "close", "Type": "double"}]}
    partition: Any = {"Values": [DAYS[0], "ZZAA3"], "StorageDescriptor": descriptor}
    glue.batch_create_partition(**where, PartitionInputList=[partition])
    (bare,) = glue.get_partitions(**where, ExcludeColumnSchema=True)["Partitions"]
    assert "Columns" not in bare["StorageDescriptor"]
    assert bare["StorageDescriptor"]["Location"] == "s3://b/1"
    (whole,) = glue.get_partitions(**where)["Partitions"]
    assert whole["StorageDescriptor"]["Columns"] == descriptor["Columns"]


def test_many_come_page_by_page(glue: GlueClient, where: Any) -> None:
    values = [(DAYS[0], f"ZZ{number:04d}") for number in range(2_100)]
    for start in range(0, len(values), 100):
        assert create(glue, where, *values[start : start + 100]) == []
    pages = list(glue.get_paginator("get_partitions").paginate(**where))
    assert [len(page["Partitions"]) for page in pages] == [1_000, 1_000, 100]
    assert found(glue, where, PaginationConfig={"PageSize": 700}) == values


def test_one_that_is_there_is_refused_and_the_others_of_the_batch_are_made(
    glue: GlueClient, where: Any
) -> None:
    create(glue, where, (DAYS[0], "ZZAA3"))
    (error,) = create(glue, where, (DAYS[0], "ZZAA3"), (DAYS[0], "ZZBB4"))
    assert error["PartitionValues"] == [DAYS[0], "ZZAA3"]
    assert error["ErrorDetail"]["ErrorCode"] == "AlreadyExistsException"
    assert found(glue, where) == [(DAYS[0], "ZZAA3"), (DAYS[0], "ZZBB4")]


def test_none_is_lost_when_many_calls_come_at_once(glue: GlueClient, where: Any) -> None:
    names = [f"ZZ{number:03d}" for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: create(glue, where, (DAYS[0], name)), names))
        list(
            threads.map(
                lambda name: glue.delete_partition(**where, PartitionValues=[DAYS[0], name]), names[::2]
            )
        )
    assert sorted(found(glue, where)) == [(DAYS[0], name) for name in names[1::2]]


def test_a_table_that_does_not_exist_has_none(glue: GlueClient, where: Any) -> None:
    elsewhere = {**where, "TableName": "other"}
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        found(glue, elsewhere)
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        create(glue, elsewhere, (DAYS[0], "ZZAA3"))


def test_a_table_keeps_the_index_that_it_was_made_with_and_gets_it_but_once(
    glue: GlueClient, where: Any
) -> None:
    (index,) = glue.get_partition_indexes(**where)["PartitionIndexDescriptorList"]
    assert index["IndexName"] == INDEX["IndexName"]
    assert [key["Name"] for key in index["Keys"]] == INDEX["Keys"]
    with pytest.raises(glue.exceptions.AlreadyExistsException):
        glue.create_partition_index(**where, PartitionIndex=INDEX)
