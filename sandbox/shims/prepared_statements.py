"""Prepared statements: in CloudFormation, and by `EXECUTE ... USING` and `ExecutionParameters` in queries.

MiniStack's Athena keeps prepared statements and does nothing with them: it hands `EXECUTE` and question marks
to DuckDB. Its CloudFormation lacks them. As in Athena, a value is SQL (`'ZXAA3'`, `DATE '2026-11-19'`, `20`),
and a statement belongs to a workgroup. A statement that is not there and a wrong number of values are
refused.

https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-athena-preparedstatement.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlglot
from ministack.core.responses import error_response_json
from ministack.services import athena as service
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS
from sqlglot.errors import SqlglotError

Properties = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]

_OK = 200
EXECUTE = re.compile(
    r"""\s*EXECUTE\s+(?P<name>"[^"]+"|[\w@:]+)(?:\s+USING\s+(?P<values>.+?))?\s*;?\s*""",
    re.IGNORECASE | re.DOTALL,
)
"""A query that calls a prepared statement: its `name`, perhaps in quotes, and its `values`, if any."""

athena: Any = service  # MiniStack has no types


class RefusedError(Exception):
    """Athena would refuse the query; the message is its reason."""


def install() -> None:
    """Register the resource type, and have queries take parameters."""
    _RESOURCE_HANDLERS["AWS::Athena::PreparedStatement"] = {
        "create": _create,
        "update": _update,
        "delete": _delete,
    }
    athena._start_query_execution = _with_parameters(athena._start_query_execution)


def _create(_logical_id: str, properties: Properties, _stack_name: str) -> tuple[str, Properties]:
    """Return the physical id, which is the statement's name, and no attributes."""
    status, _headers, body = athena._create_prepared_statement(properties)
    if status != _OK:
        raise ValueError(json.loads(body)["message"])
    return properties["StatementName"], {}


def _update(physical_id: str, old: Properties, new: Properties, stack_name: str) -> tuple[str, Properties]:
    """Replace the statement, which on AWS a new name or workgroup does; anything else changes it in place."""
    _delete(physical_id, old)
    return _create("", new, stack_name)


def _delete(physical_id: str, properties: Properties) -> None:
    # With its workgroup, statements may be gone already
    athena._delete_prepared_statement({"StatementName": physical_id, "WorkGroup": properties["WorkGroup"]})


def _with_parameters(start: Callable[[Properties], Answer]) -> Callable[[Properties], Answer]:
    def start_with_values(request: Properties) -> Answer:
        asked: str = request.get("QueryString", "")
        try:
            sql = _filled(
                asked, request.get("ExecutionParameters") or [], request.get("WorkGroup", "primary")
            )
        except RefusedError as refusal:
            refused: Answer = error_response_json(
                "InvalidRequestException", str(refusal), 400, extra={"AthenaErrorCode": "MALFORMED_QUERY"}
            )
            return refused
        answer = start({**request, "QueryString": sql})
        if answer[0] == _OK:
            # What was asked is what GetQueryExecution tells
            execution = athena._executions[json.loads(answer[2])["QueryExecutionId"]]
            execution["Query"] = asked
            if request.get("ExecutionParameters"):
                execution["ExecutionParameters"] = request["ExecutionParameters"]
        return answer

    return start_with_values


def _filled(asked: str, values: Sequence[str], work_group: str) -> str:
    """A query with its values in place of its question marks."""
    execute = EXECUTE.fullmatch(asked)
    if execute is None:
        return _replaced(asked, values)
    name = execute["name"].strip('"')
    statement = athena._prepared_statements.get(f"{work_group}/{name}")
    if statement is None:
        raise RefusedError(f"PreparedStatement {name} was not found in workGroup {work_group}")
    return _replaced(statement["QueryStatement"], [*values, *_values(execute["values"] or "")])


def _values(using: str) -> Iterator[str]:
    if not using:
        return
    try:
        tree = sqlglot.parse_one(f"SELECT {using}", read="athena")
    except SqlglotError as error:
        raise RefusedError(f"SYNTAX_ERROR: USING {using}: {error}") from error
    if {key for key, value in tree.args.items() if value} != {"expressions"}:
        raise RefusedError(f"SYNTAX_ERROR: USING {using}: expected values")
    yield from (value.sql(dialect="athena") for value in tree.expressions)


def _replaced(sql: str, values: Sequence[str]) -> str:
    marks = [start for kind, text, start, _ in athena._sql_tokens(sql) if (kind, text) == ("punct", "?")]
    if len(marks) != len(values):
        raise RefusedError(
            f"SYNTAX_ERROR: Incorrect number of parameters: expected {len(marks)} but found {len(values)}"
        )
    for start, value in reversed(list(zip(marks, values, strict=True))):
        sql = f"{sql[:start]}({value}){sql[start + 1 :]}"
    return sql
