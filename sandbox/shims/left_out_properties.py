"""Properties of resources that MiniStack's services know and its CloudFormation leaves out.

Without them a schedule is in UTC, and what a function cannot do is lost, not put on its dead-letter queue.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import lambda_svc, scheduler
from ministack.services.cloudformation.provisioners import _RESOURCE_HANDLERS

Properties = dict[str, Any]
Record = Callable[[str, Properties], Properties]
Provision = Callable[..., tuple[str, Any]]


def _schedule(name: str, properties: Properties) -> Properties:
    record: Properties = scheduler._schedules[f"{properties.get('GroupName', 'default')}/{name}"]
    return record


def _function(name: str, _properties: Properties) -> Properties:
    record: Properties = lambda_svc._functions[name]["config"]
    return record


_LEFT_OUT: dict[str, tuple[str, Record]] = {
    "AWS::Scheduler::Schedule": ("ScheduleExpressionTimezone", _schedule),
    "AWS::Lambda::Function": ("DeadLetterConfig", _function),
}
"""By type: the property, and where the service keeps the resource of a name."""


def install() -> None:
    """Have resources created and updated with these properties, too."""
    handlers: dict[str, Any] = dict(_RESOURCE_HANDLERS)
    for kind, (property_name, record) in _LEFT_OUT.items():
        # A creation gets the properties second, an update the old ones second and the new ones third
        for action, place in (("create", 1), ("update", 2)):
            handlers[kind][action] = _completing(handlers[kind][action], place, property_name, record)


def _completing(provision: Provision, place: int, property_name: str, record: Record) -> Provision:
    def provision_and_complete(*arguments: Any) -> tuple[str, Any]:
        properties: Properties = arguments[place]
        name, attributes = provision(*arguments)
        if property_name in properties:
            record(name, properties)[property_name] = properties[property_name]
        return name, attributes

    return provision_and_complete
