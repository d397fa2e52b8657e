"""EventBridge Scheduler keeps schedules but fires none: which morning it is, the sandbox decides.

MiniStack would fire them by the machine's clock, in UTC whatever the schedule's time zone, and would pass on
`<aws.scheduler.scheduled-time>` as it stands.

Where a kept stack is to be put to work, the functions that its schedules and buckets invoke get ready
meanwhile: what they import takes a second or two.
"""

from __future__ import annotations

import re
import threading
from typing import Any

from ministack.core import lambda_runtime as runtime
from ministack.services import lambda_svc, s3, scheduler

_FUNCTION = re.compile(r"arn:aws:lambda:[^:]+:\d+:function:([\w-]+)")

functions: Any = lambda_svc  # MiniStack has no types
lambda_runtime: Any = runtime


def install(*, ready: bool) -> None:
    """Keep MiniStack from starting the thread that fires schedules; functions get `ready`, or do not."""
    scheduler.start_scheduler = _get_functions_ready if ready else lambda: None


def _get_functions_ready() -> None:
    kept: Any = [*scheduler._schedules._data.values(), *s3._bucket_notifications._data.values()]
    invoked = {name for one in kept for name in _FUNCTION.findall(str(one))}
    for function in functions._functions._data.values():
        if function["config"]["FunctionName"] in invoked:
            threading.Thread(target=_get_ready, args=(function,), daemon=True).start()


def _get_ready(function: dict[str, Any]) -> None:
    """Start a process of a function; one that cannot start says so to whoever invokes it."""
    config, code = function["config"], function["code_zip"]
    worker, _ = lambda_runtime.acquire_worker(config["FunctionName"], config, code, config["Version"])
    try:
        lambda_runtime.ensure_spawned(worker)
    finally:
        lambda_runtime.release_worker(worker)
