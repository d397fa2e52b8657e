"""Trino's protocol of statements: one is sent, its answer comes page by page, and it can be stopped.

https://trino.io/docs/435/develop/client-protocol.html
"""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote

from sandbox.trino.server import CATALOG, OPENER

_USER = "athena"
_BUSY = (502, 503, 504)
_BUSY_SECONDS = 0.1
_NO_NODES, _NODES_SECONDS = "NO_NODES_AVAILABLE", 120
_SECONDS = 60
"""How long Trino may take for a page; it answers within a second, with an empty one if need be."""

Statistics = dict[str, Any]
"""Trino's own of a query, such as `physicalInputBytes`."""


class QueryFailedError(Exception):
    """Trino could not answer; the message is `<name of the error>: <what it says>`.

    Attributes:
        name: The name of the error.
        is_users: Whether the query is at fault.
    """

    def __init__(self, error: Mapping[str, Any]) -> None:
        super().__init__(f"{error['errorName']}: {error['message']}")
        self.name: str = error["errorName"]
        self.is_users = error["errorType"] == "USER_ERROR"


class QueryStoppedError(Exception):
    """The query was stopped by who has asked."""


@dataclass
class Answer:
    """What a query has answered, so far.

    Attributes:
        columns: Name and Trino's type of each column.
        rows: The rows, their values as Trino writes them as text; None is null.
        statistics: Trino's own.
    """

    columns: list[tuple[str, str]] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)
    statistics: Statistics = field(default_factory=dict)


def ask(
    address: str,
    sql: str,
    answer: Answer,
    *,
    database: str,
    token: str,
    is_unwanted: Callable[[], bool],
    prepared: Mapping[str, str] | None = None,
) -> None:
    """Run a query to its end.

    A Trino that has just started knows itself as a node that can read only some seconds later; a query that
    comes too early is asked again.

    Args:
        address: Trino's.
        sql: The query.
        answer: Where to put what it answers, as it comes.
        database: The one of tables that are named without one.
        token: By which to find the query among Trino's (`session.traceToken`).
        is_unwanted: Is asked, page by page, whether the query is to be stopped.
        prepared: Statements that `EXECUTE` may name.

    Raises:
        QueryFailedError: Trino could not run it.
        QueryStoppedError: It was unwanted.
    """
    headers = {
        "X-Trino-User": _USER,
        "X-Trino-Catalog": CATALOG,
        "X-Trino-Schema": database,
        "X-Trino-Time-Zone": "UTC",
        "X-Trino-Trace-Token": token,
    }
    if prepared:
        headers["X-Trino-Prepared-Statement"] = ",".join(
            f"{quote(name)}={quote(statement)}" for name, statement in prepared.items()
        )
    deadline = time.monotonic() + _NODES_SECONDS
    while True:
        try:
            _run(_call("POST", f"{address}/v1/statement", sql.encode(), headers), answer, is_unwanted)
        except QueryFailedError as error:
            if error.name != _NO_NODES or time.monotonic() > deadline:
                raise
            time.sleep(_BUSY_SECONDS)
        else:
            return


def _run(page: Any, answer: Answer, is_unwanted: Callable[[], bool]) -> None:
    while True:
        answer.statistics = page["stats"]
        if error := page.get("error"):
            raise QueryFailedError(error)
        answer.columns = [(each["name"], each["type"]) for each in page.get("columns", [])] or answer.columns
        answer.rows += [[_text(value) for value in row] for row in page.get("data", [])]
        following = page.get("nextUri")
        if is_unwanted():
            if following:
                _call("DELETE", following)
            raise QueryStoppedError
        if following is None:
            return
        page = _call("GET", following)


def _call(method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
    request = urllib.request.Request(url, body, dict(headers or {"X-Trino-User": _USER}), method=method)  # noqa: S310 - http
    while True:
        try:
            with OPENER.open(request, timeout=_SECONDS) as response:
                content = response.read()
        except HTTPError as error:
            if error.code not in _BUSY:
                raise
            time.sleep(_BUSY_SECONDS)
            continue
        return json.loads(content, parse_float=str) if content else None  # numbers as they are written


def _text(value: Any) -> str | None:
    """A value as Athena has it in its results."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_nested, value))}]"
    if isinstance(value, dict):
        pairs = [f"{name}={_nested(each)}" for name, each in value.items()]
        return f"{{{', '.join(pairs)}}}"
    return str(value)


def _nested(value: Any) -> str:
    text = _text(value)
    return "null" if text is None else text
