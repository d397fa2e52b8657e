"""Partitions that are found by an expression, page by page, and the indexes by which Glue finds them.

MiniStack answers GetPartitions with every partition of the table at once, drops the indexes that a new table
is given, and takes an index twice. It compares each new partition with every other, one after another, so
that a year of them would take hours, and may lose some when two calls at once change a table's.

Of Glue's expressions, these are understood: comparisons of a key with a literal, joined by AND. They compare
texts, which for dates and names is their order. Another one is refused.
"""

from __future__ import annotations

import base64
import operator
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from ministack.core.responses import error_response_json, get_account_id, json_response
from ministack.services import glue as service

Request = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Partition = dict[str, Any]
Call = Callable[[Request], Answer]

_PAGE = 1000  # the most, and as many as Glue answers with unless it is asked for fewer
_OK = 200
_COMPARISON = re.compile(r"\s*(\w+)\s*(=|<>|<=|>=|<|>)\s*'((?:[^']|'')*)'\s*", re.ASCII)
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_CHANGES = ("_create_partition", "_batch_create_partition", "_batch_update_partition", "_delete_partition")

glue: Any = service  # MiniStack has no types


def install() -> None:
    """Have the partition calls answer as Glue's do."""
    glue._get_partitions = _get_partitions
    glue._batch_create_partition = _batch_create_partition
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
    names = [key["Name"] for key in table["PartitionKeys"]]
    comparisons = []
    for part in re.split(r"\bAND\b", request.get("Expression") or "", flags=re.IGNORECASE):
        comparison = _COMPARISON.fullmatch(part)
        if comparison and comparison[1] in names:
            compare, literal = _OPERATORS[comparison[2]], comparison[3].replace("''", "'")
            comparisons.append((names.index(comparison[1]), compare, literal))
        elif part:
            return error_response_json("InvalidInputException", f"Unsupported expression: {part}", 400)
    found: list[Partition] = [
        partition
        for partition in glue._partitions.get(_table(request), [])
        if all(compare(partition["Values"][place], literal) for place, compare, literal in comparisons)
    ]
    start = int(base64.b64decode(request["NextToken"])) if request.get("NextToken") else 0
    end = start + min(request.get("MaxResults") or _PAGE, _PAGE)
    answer: dict[str, Any] = {"Partitions": found[start:end]}
    if end < len(found):
        answer["NextToken"] = base64.b64encode(str(end).encode()).decode()
    return _answer(answer)


def _batch_create_partition(request: Request) -> Answer:
    name = _table(request)
    if name not in glue._tables:
        return _no_table(request)
    partitions: list[Partition] = glue._partitions.get(name, [])
    known = {tuple(partition["Values"]) for partition in partitions}
    errors = []
    for each in request["PartitionInputList"]:
        if tuple(each["Values"]) in known:
            detail = {"ErrorCode": "AlreadyExistsException", "ErrorMessage": "Partition already exists."}
            errors.append({"PartitionValues": each["Values"], "ErrorDetail": detail})
            continue
        known.add(tuple(each["Values"]))
        place = {"DatabaseName": request["DatabaseName"], "TableName": request["TableName"]}
        partitions.append({**each, **place, "CreationTime": int(time.time()), "CatalogId": get_account_id()})
    glue._partitions[name] = partitions
    return _answer({"Errors": errors})


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
