"""A resource's stack is found by the resource's name alone, as DescribeStackResources does it on AWS.

MiniStack asks for the stack's name, and says otherwise that there is no such stack.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_DescribeStackResources.html
"""

from __future__ import annotations

from typing import Any

from ministack.services import cloudformation as service
from ministack.services.cloudformation import handlers as service_handlers

# MiniStack has no types that hold
cloudformation: Any = service
handlers: Any = service_handlers

Parameters = dict[str, Any]

_ACTION = "DescribeStackResources"
_GONE = "DELETE_COMPLETE"


def install() -> None:
    """Have the stack looked up where only a resource is named."""
    by_stack = handlers._ACTION_HANDLERS[_ACTION]

    def describe(params: Parameters) -> Any:
        resource = handlers._p(params, "PhysicalResourceId")
        if not resource or handlers._p(params, "StackName"):
            return by_stack(params)
        stack = _stack_of(resource)
        if stack is None:
            return handlers._error("ValidationError", f"Stack for {resource} does not exist")
        return by_stack({**params, "StackName": [stack]})

    handlers._ACTION_HANDLERS[_ACTION] = describe


def _stack_of(resource: str) -> str | None:
    """The stack that has a resource of that name; None if none has."""
    for name, stack in cloudformation._stacks.items():
        there = stack.get("_resources", {}).values()
        if stack.get("StackStatus") != _GONE and any(
            each.get("PhysicalResourceId") == resource for each in there
        ):
            return str(name)
    return None
