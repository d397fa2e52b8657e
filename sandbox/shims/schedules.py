"""EventBridge Scheduler keeps schedules but fires none: which morning it is, the sandbox decides.

MiniStack would fire them by the machine's clock, in UTC whatever the schedule's time zone, and would pass on
`<aws.scheduler.scheduled-time>` as it stands. The time zone, which its CloudFormation leaves out, is added.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ministack.services import scheduler
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

_TIME_ZONE = "ScheduleExpressionTimezone"


def install() -> None:
    """Keep MiniStack from starting the thread that fires schedules, and give schedules their time zone."""
    scheduler.start_scheduler = lambda: None
    handlers = cast(dict[str, Any], _RESOURCE_HANDLERS["AWS::Scheduler::Schedule"])
    handlers["create"] = _with_time_zone(handlers["create"])
    handlers["update"] = _with_time_zone(handlers["update"])


def _with_time_zone(provision: Callable[..., tuple[str, Any]]) -> Callable[..., tuple[str, Any]]:
    def provision_and_add(*arguments: Any) -> tuple[str, Any]:
        *_, properties, _stack_name = arguments  # the new ones come last, also in an update
        name, attributes = provision(*arguments)
        schedule = scheduler._schedules[f"{properties.get('GroupName', 'default')}/{name}"]
        schedule[_TIME_ZONE] = properties.get(_TIME_ZONE, "UTC")
        return name, attributes

    return provision_and_add
