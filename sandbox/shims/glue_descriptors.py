"""Storage descriptors as Glue tells them: what is no object and was not given has a value all the same.

MiniStack tells what was given and no more. Trino, which reads the catalog through AWS's own library, needs
the number of buckets.

https://docs.aws.amazon.com/glue/latest/webapi/API_StorageDescriptor.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ministack.services import glue as service

Request = dict[str, Any]
Record = dict[str, Any]
Call = Callable[[Request], Any]

_DEFAULTS = {"Compressed": False, "NumberOfBuckets": 0, "StoredAsSubDirectories": False}

glue: Any = service  # MiniStack has no types


def install() -> None:
    """Have tables and partitions told so; those that `glue_partitions` finds, it completes itself."""
    glue._get_table = _completing(glue._get_table, _table)
    glue._get_tables = _completing(glue._get_tables, _tables)
    glue._get_partition = _completing(glue._get_partition, _partitions)


def complete(records: Iterable[Record]) -> None:
    """Give the descriptors of tables or partitions what they lack."""
    for record in records:
        descriptor = record.get("StorageDescriptor")
        if descriptor is not None:
            for name, value in _DEFAULTS.items():
                descriptor.setdefault(name, value)


def _completing(call: Call, of: Callable[[Request], Iterable[Record]]) -> Call:
    def complete_and_call(request: Request) -> Any:
        complete(of(request))
        return call(request)

    return complete_and_call


def _table(request: Request) -> Iterable[Record]:
    table = glue._tables.get(f"{request['DatabaseName']}/{request['Name']}")
    return [table] if table else []


def _tables(request: Request) -> Iterable[Record]:
    return [table for name, table in glue._tables.items() if name.startswith(f"{request['DatabaseName']}/")]


def _partitions(request: Request) -> Iterable[Record]:
    partitions: list[Record] = glue._partitions.get(f"{request['DatabaseName']}/{request['TableName']}", [])
    return partitions
