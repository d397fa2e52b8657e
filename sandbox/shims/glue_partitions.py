"""Partitions that are found by an expression, page by page, and the indexes by which Glue finds them.

MiniStack answers GetPartitions with every partition of the table at once, and with the columns of each if
nobody wants them, too; it drops the indexes that a new table is given, and takes an index twice. It compares
each new partition with every other, one after another, so that a year of them would take hours, and may lose
some when two calls at once change a table's.

Those of a segment are found, too, as Trino asks for them: MiniStack answers each segment with all. It looks
for each of several partitions among all, one after another; there may be a thousand of eighty thousand. Here
they are known by their values from one call to the next.
"""

from __future__ import annotations

import base64
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, json_response
from ministack.services import glue as service

from sandbox.shims import glue_descriptors
from sandbox.shims.partition_expressions import UnsupportedExpressionError, condition

Request = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Partition = dict[str, Any]
Call = Callable[[Request], Answer]

_PAGE = 1000  # the most, and as many as Glue answers with unless it is asked for fewer
_OK = 200
_CHANGES = ("_create_partition", "_batch_create_partition", "_batch_update_partition", "_delete_partition")

glue: Any = service  # MiniStack has no types

_known: dict[str, tuple[list[Partition], dict[tuple[str, ...], Partition]]] = {}
"""By table, the list of its partitions and the same by their values."""


def install() -> None:
    """Have the partition calls answer as Glue's do."""
    glue._get_partitions = _get_partitions
    glue._batch_get_partition = _batch_get_partition
    glue._batch_create_partition = _batch_create_partition
    glue._batch_update_partition = _forgetting_values(glue._batch_update_partition)
    turn = threading.Lock()
    for name in _CHANGES:
        setattr(glue, name, _one_at_a_time(getattr(glue, name), turn))
    glue._create_table = _creating_with_indexes(glue._create_table)
    glue._create_partition_index = _creating_each_once(glue._create_partition_index)


def _table(request: Request) -> str:
    return f"{request['DatabaseName']}/{request['TableName']}"


def _get_partitions(request: Request) -> Answer:
    table = glue._tables.get(_table(request))
    if table is None:
        return _no_table(request)
    keys = {key["Name"]: key.get("Type", "string") for key in table["PartitionKeys"]}
    try:
        is_meant = condition(request.get("Expression") or "", keys)
    except UnsupportedExpressionError as error:
        return error_response_json("InvalidInputException", str(error), 400)
    found: list[Partition] = [
        partition
        for partition in glue._partitions.get(_table(request), [])
        if _is_of(partition, request.get("Segment")) and is_meant(partition["Values"])
    ]
    start = int(base64.b64decode(request["NextToken"])) if request.get("NextToken") else 0
    end = start + min(request.get("MaxResults") or _PAGE, _PAGE)
    page = found[start:end]
    glue_descriptors.complete(page)
    if request.get("ExcludeColumnSchema"):
        page = [_without_columns(partition) for partition in page]
    answer: dict[str, Any] = {"Partitions": page}
    if end < len(found):
        answer["NextToken"] = base64.b64encode(str(end).encode()).decode()
    return _answer(answer)


def _is_of(partition: Partition, segment: Request | None) -> bool:
    """Whether a partition is of a segment, of which each is in one; without a segment, all are meant."""
    if segment is None:
        return True
    number = zlib.crc32("/".join(partition["Values"]).encode()) % int(segment["TotalSegments"])
    return number == int(segment["SegmentNumber"])


def _without_columns(partition: Partition) -> Partition:
    descriptor = {**partition.get("StorageDescriptor", {})}
    descriptor.pop("Columns", None)
    return {**partition, "StorageDescriptor": descriptor}


def _by_values(table: str, partitions: list[Partition]) -> dict[tuple[str, ...], Partition]:
    """A table's partitions by their values: those that are known, as long as they are the same list's."""
    known_list, known = _known.get(table, ([], {}))
    if known_list is not partitions or len(known) != len(partitions):
        known = {tuple(each["Values"]): each for each in partitions}
        _known[table] = (partitions, known)
    return known


def _batch_get_partition(request: Request) -> Answer:
    name = _table(request)
    there = _by_values(name, glue._partitions.get(name, []))
    wanted = request["PartitionsToGet"]
    found = [there[values] for each in wanted if (values := tuple(each["Values"])) in there]
    glue_descriptors.complete(found)
    missing = [each for each in wanted if tuple(each["Values"]) not in there]
    return _answer({"Partitions": found, "UnprocessedKeys": missing})


def _batch_create_partition(request: Request) -> Answer:
    name = _table(request)
    if name not in glue._tables:
        return _no_table(request)
    partitions: list[Partition] = glue._partitions.get(name, [])
    known = _by_values(name, partitions)
    errors = []
    for each in request["PartitionInputList"]:
        values = tuple(each["Values"])
        if values in known:
            detail = {"ErrorCode": "AlreadyExistsException", "ErrorMessage": "Partition already exists."}
            errors.append({"PartitionValues": each["Values"], "ErrorDetail": detail})
            continue
        place = {"DatabaseName": request["DatabaseName"], "TableName": request["TableName"]}
        known[values] = {**each, **place, "CreationTime": int(time.time()), "CatalogId": get_account_id()}
        partitions.append(known[values])
    glue._partitions[name] = partitions
    return _answer({"Errors": errors})


def _forgetting_values(update: Call) -> Call:
    def update_and_forget(request: Request) -> Answer:
        answer = update(request)
        _known.clear()  # partitions have other values now, in the same list
        return answer

    return update_and_forget


def _creating_with_indexes(create_table: Call) -> Call:
    def create(request: Request) -> Answer:
        answer = create_table(request)
        if answer[0] == _OK:
            where = {"DatabaseName": request["DatabaseName"], "TableName": request["TableInput"]["Name"]}
            for index in request.get("PartitionIndexes", []):
                glue._create_partition_index({**where, "PartitionIndex": index})
        return answer

    return create


def _creating_each_once(create_partition_index: Call) -> Call:
    def create(request: Request) -> Answer:
        there = glue._partition_indexes.get(_table(request), [])
        name = request["PartitionIndex"]["IndexName"]
        if name in {index["IndexName"] for index in there}:
            return error_response_json("AlreadyExistsException", f"Index {name} already exists.", 400)
        return create_partition_index(request)

    return create


def _one_at_a_time(change: Call, turn: threading.Lock) -> Call:
    def change_in_turn(request: Request) -> Answer:
        with turn:
            return change(request)

    return change_in_turn


def _no_table(request: Request) -> Answer:
    answer: Answer = error_response_json(
        "EntityNotFoundException", f"Table {request['TableName']} not found.", 400
    )
    return answer


def _answer(content: dict[str, Any]) -> Answer:
    answer: Answer = json_response(content)
    return answer
