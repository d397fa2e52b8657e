"""Who asks for a stack that is worked on is answered when that has ended, not meanwhile.

The CDK's command line asks as soon as it has begun, and then every five seconds; here a stack takes one or
two. On AWS, where it takes minutes, the answer comes at once.
"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import parse_qs

from ministack.services import cloudformation as service

# MiniStack has no types that hold
cloudformation: Any = service

_SECONDS = 10.0
"""Longer the answer is not held back."""
_BETWEEN_LOOKS = 0.05
_REVIEW = "REVIEW_IN_PROGRESS"  # nobody is at work on that one


def install() -> None:
    """Have DescribeStacks of a named stack wait."""
    answer = cloudformation.handle_request

    async def answer_later(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        asked = parse_qs(body.decode(errors="replace"))
        if asked.get("Action") == ["DescribeStacks"] and "StackName" in asked:
            name = asked["StackName"][0].rpartition(":stack/")[2].partition("/")[0]
            clock = asyncio.get_running_loop().time
            until = clock() + _SECONDS
            while _is_worked_on(name) and clock() < until:
                await asyncio.sleep(_BETWEEN_LOOKS)
        return await answer(method, path, headers, body, query)

    cloudformation.handle_request = answer_later


def _is_worked_on(name: str) -> bool:
    status = cloudformation._stacks.get(name, {}).get("StackStatus", "")
    return bool(status.endswith("_IN_PROGRESS") and status != _REVIEW)
