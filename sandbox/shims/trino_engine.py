"""A Trino as Athena's engine, in place of MiniStack's DuckDB: queries as they are, on the emulator's own AWS.

Trino reads the emulator's Glue catalog and its S3 as Athena reads AWS's; prepared statements are Trino's own,
too. What comes back is Athena's: states, reasons, statistics, results on S3. Athena refuses what it cannot
parse before it runs, as an `InvalidRequestException`; here such a query fails.

https://docs.aws.amazon.com/athena/latest/APIReference/API_QueryExecutionStatus.html
https://docs.aws.amazon.com/athena/latest/APIReference/API_QueryRuntimeStatistics.html
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ministack.core.responses import error_response_json, json_response
from ministack.services import athena as service

from sandbox.shims import prepared_statements, result_types
from sandbox.trino.client import Answer, QueryFailedError, QueryStoppedError, Statistics, ask
from sandbox.trino.installation import TrinoUnavailableError, installed
from sandbox.trino.server import Trino, TrinoError

Execution = dict[str, Any]
Execute = Callable[..., Coroutine[Any, Any, None]]
Handle = Callable[..., Coroutine[Any, Any, Any]]

STOPPED = "Query cancelled by user"
CUT_OFF = "Bytes scanned limit was exceeded"

_AT_ONCE = 20  # Athena's smallest quota of active queries
_RUNTIME_STATISTICS = "AmazonAthena.GetQueryRuntimeStatistics"
_SYSTEM, _USER = 1, 2  # Athena's categories of errors

athena: Any = service  # MiniStack has no types
log = logging.getLogger("athena")


def install(folder: Path) -> Trino:
    """Start Trino and have it answer queries; the process is to be stopped when the service ends.

    Args:
        folder: Trino's own folder.

    Raises:
        TrinoUnavailableError: It is not installed.
    """
    installation = installed()
    if installation is None:
        raise TrinoUnavailableError("Trino is not installed: `python -m sandbox.trino` does it")
    trino = Trino.start(
        installation,
        folder,
        os.environ["AWS_ENDPOINT_URL"],
        key=os.environ["AWS_ACCESS_KEY_ID"],
        secret=os.environ["AWS_SECRET_ACCESS_KEY"],
    )
    # Threads of their own: those that the event loop has, serve what Trino asks meanwhile
    threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="trino")
    athena._execute_query = _by_trino(athena._execute_query, trino, threads)
    athena._stop_query_execution = _with_reason(athena._stop_query_execution)
    athena.handle_request = _with_runtime_statistics(athena.handle_request)
    return trino


def _by_trino(run_ddl: Execute, trino: Trino, threads: ThreadPoolExecutor) -> Execute:
    async def execute(query_id: str, query: str, database: str, ddl: Any, catalog: str | None = None) -> None:
        if ddl is not None:  # Hive's, which is not Trino's
            await run_ddl(query_id, query, database, ddl, catalog)
            return
        execution = athena._executions[query_id]
        status = execution["Status"]
        if status["State"] == "QUEUED":  # not stopped meanwhile
            status["State"] = "RUNNING"
        started = time.monotonic()
        sql, prepared = _statement(execution)
        limit = _cut_off(execution["WorkGroup"])
        answer = Answer()

        def is_unwanted() -> bool:
            return status["State"] == "CANCELLED" or _scanned(answer.statistics) > limit

        def run() -> None:
            trino.wait_until_ready()
            ask(
                trino.address,
                sql,
                answer,
                database=database,
                token=query_id,
                is_unwanted=is_unwanted,
                prepared=prepared,
            )

        try:
            await asyncio.get_running_loop().run_in_executor(threads, run)
        except QueryStoppedError:
            if status["State"] != "CANCELLED":
                status.update(State="CANCELLED", StateChangeReason=CUT_OFF)
        except (QueryFailedError, TrinoError, OSError) as error:
            log.error("Athena query %s failed: %s", query_id, error)  # noqa: TRY400 - what Trino says is all
            is_users = isinstance(error, QueryFailedError) and error.is_users
            told = {"ErrorCategory": _USER if is_users else _SYSTEM, "Retryable": False}
            status.update(
                State="FAILED",
                StateChangeReason=str(error),
                AthenaError={**told, "ErrorMessage": str(error)},
            )
        else:
            execution["_results"] = {"columns": [name for name, _ in answer.columns], "rows": answer.rows}
            execution["_column_types"] = [result_types.of_trino(kind) for _, kind in answer.columns]
            await athena._save_query_results(query_id)
            if status["State"] == "RUNNING":
                status["State"] = "SUCCEEDED"
        execution["Statistics"] |= _statistics(answer.statistics, started)
        execution["_rows"] = {
            "InputRows": answer.statistics.get("processedRows", 0),
            "InputBytes": _scanned(answer.statistics),
            "OutputRows": len(answer.rows),
        }
        status["CompletionDateTime"] = int(time.time())

    return execute


def _statement(execution: Execution) -> tuple[str, dict[str, str]]:
    """What Trino is to run, and the statement that it then needs to know."""
    asked = execution["Query"].rstrip().rstrip(";")
    values = list(execution.get("ExecutionParameters") or [])
    if execute := prepared_statements.EXECUTE.fullmatch(asked):
        name = execute["name"].strip('"')
        statement = athena._prepared_statements[f"{execution['WorkGroup']}/{name}"]["QueryStatement"]
        values += [execute["values"]] if execute["values"] else []
    elif values:
        name, statement = "asked", asked
    else:
        return asked, {}
    using = f" USING {', '.join(values)}" if values else ""
    return f'EXECUTE "{name}"{using}', {name: statement.rstrip().rstrip(";")}


def _cut_off(work_group: str) -> float:
    """How many bytes a query of a workgroup may scan."""
    configuration = athena._workgroups.get(work_group, {}).get("Configuration", {})
    return float(configuration.get("BytesScannedCutoffPerQuery") or "inf")


def _scanned(statistics: Statistics) -> int:
    scanned: int = statistics.get("physicalInputBytes", 0)
    return scanned


def _statistics(statistics: Statistics, started: float) -> dict[str, int]:
    """Athena's statistics, of Trino's."""
    queued = statistics.get("queuedTimeMillis", 0)
    engine = statistics.get("elapsedTimeMillis", 0) - queued
    total = max(int(1000 * (time.monotonic() - started)), engine + queued)
    return {
        "DataScannedInBytes": _scanned(statistics),
        "EngineExecutionTimeInMillis": engine,
        "QueryQueueTimeInMillis": queued,
        "ServiceProcessingTimeInMillis": total - engine - queued,
        "TotalExecutionTimeInMillis": total,
    }


def _with_reason(stop: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def stop_with_reason(request: dict[str, Any]) -> Any:
        answer = stop(request)
        status = athena._executions.get(request.get("QueryExecutionId"), {}).get("Status", {})
        if status.get("State") == "CANCELLED" and status["StateChangeReason"] != CUT_OFF:
            status["StateChangeReason"] = STOPPED
        return answer

    return stop_with_reason


def _with_runtime_statistics(handle: Handle) -> Handle:
    """With GetQueryRuntimeStatistics, by which Athena tells the rows that a query has read."""

    async def handle_all(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        if headers.get("x-amz-target") != _RUNTIME_STATISTICS:
            return await handle(method, path, headers, body, query)
        query_id = json.loads(body)["QueryExecutionId"]
        execution = athena._executions.get(query_id)
        if execution is None:
            return error_response_json("InvalidRequestException", f"Query {query_id} not found", 400)
        known = execution["Statistics"]
        timeline = {name: value for name, value in known.items() if name.endswith("InMillis")}
        statistics = {"Timeline": timeline, "Rows": execution.get("_rows", {})}
        return json_response({"QueryRuntimeStatistics": statistics})

    return handle_all
