"""Dead letters as Lambda writes them: the event itself, with the error as the message's attributes.

MiniStack puts on a dead-letter queue what Lambda gives to a destination: a record in which the event is a
part. Destinations are left as they are.
"""

from __future__ import annotations

import json
from typing import Any

from ministack.core.responses import new_uuid
from ministack.services import lambda_svc, sqs

_MESSAGE_LIMIT = 1024  # bytes of the error message that Lambda keeps


def install() -> None:
    """Have functions put their dead letters on queues as Lambda does."""
    service: Any = lambda_svc  # MiniStack has no types
    to_destination = service._route_async_failure

    def route(target: str, name: str, event: Any, result: dict[str, Any]) -> None:
        config = service._functions.get(name, {}).get("config", {})
        is_dead_letter = target == (config.get("DeadLetterConfig") or {}).get("TargetArn")
        if not is_dead_letter or sqs._queue_by_arn(target) is None:
            to_destination(target, name, event, result)
            return
        said = result.get("body")
        message = said.get("errorMessage") if isinstance(said, dict) else None
        attributes = {
            "RequestID": ("String", new_uuid()),
            "ErrorCode": ("Number", "200"),
            "ErrorMessage": (
                "String",
                (message or "Unhandled").encode()[:_MESSAGE_LIMIT].decode(errors="ignore"),
            ),
        }
        queue = target.rpartition(":")[2]
        sqs._act_send_message(
            {
                "QueueUrl": queue,
                "MessageBody": json.dumps(event),
                "MessageAttributes": {
                    each: {"DataType": kind, "StringValue": value}
                    for each, (kind, value) in attributes.items()
                },
            },
            queue,
        )

    service._route_async_failure = route
