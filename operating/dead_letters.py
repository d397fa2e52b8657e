"""The dead-letter queue of the starter: S3 events for which no run of the job could be started.

Lambda puts an event there as it was, after its last attempt, with the error as the message's attributes.
Receiving takes nothing away: a message that is not deleted is there again after a while.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

import boto3

from lake import keys

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

_A_CALL = 10
"""Messages that one call receives at most."""
_WAIT_SECONDS = 1
"""A call that waits asks every server of the queue; one that does not may find none though there are some."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message of the queue.

    Attributes:
        id: Its id.
        receipt: What it is deleted by.
        body: Its text: the event.
        sent: When it was put there.
        error: What the function said, as `code message`.
    """

    id: str
    receipt: str
    body: str
    sent: datetime
    error: str

    def sessions(self) -> list[date]:
        """The sessions whose arrival the event reports.

        Raises:
            ValueError: It is no S3 event of raw sessions; the message says what it is.
        """
        try:
            event = json.loads(self.body)
        except ValueError as error:
            raise ValueError(f"its body is no JSON: {_shortened(self.body)}") from error
        records = event.get("Records") if isinstance(event, dict) else None
        if not isinstance(records, list) or not records:
            raise ValueError(f"its body is no S3 event: {_shortened(self.body)}")
        return [_session(record) for record in records]


class DeadLetters:
    """The queue.

    Args:
        url: Its address.

    Raises:
        botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError: Any method, when SQS refuses.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._sqs: SQSClient = boto3.client("sqs")

    def count(self) -> int:
        """How many messages there are, about, those that somebody has just received included."""
        attributes = self._sqs.get_queue_attributes(
            QueueUrl=self._url,
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"]
        return sum(int(number) for number in attributes.values())

    def receive(
        self, *, hidden_seconds: int, most: int | None = None, at_once: int = _A_CALL
    ) -> Iterator[Letter]:
        """Messages, each once.

        Args:
            hidden_seconds: For how long nobody else receives a message.
            most: How many messages; None for all.
            at_once: How many are received, and hidden, before the first of them is worked on; at most 10.
        """
        seen: set[str] = set()
        while most is None or len(seen) < most:
            answer = self._sqs.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=at_once if most is None else min(at_once, most - len(seen)),
                VisibilityTimeout=hidden_seconds,
                WaitTimeSeconds=_WAIT_SECONDS,
                MessageSystemAttributeNames=["SentTimestamp"],
                MessageAttributeNames=["All"],
            )
            new = [message for message in answer.get("Messages", []) if message["MessageId"] not in seen]
            if not new:
                return
            for message in new:
                seen.add(message["MessageId"])
                yield _letter(message)

    def show_again(self, letter: Letter) -> None:
        """Let a message that was received be received again at once."""
        self._sqs.change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=letter.receipt, VisibilityTimeout=0
        )

    def delete(self, letter: Letter) -> None:
        """Delete a message."""
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)


def _letter(message: MessageTypeDef) -> Letter:
    attributes = message.get("MessageAttributes", {})
    said = [attributes[name] for name in ("ErrorCode", "ErrorMessage") if name in attributes]
    return Letter(
        id=message["MessageId"],
        receipt=message["ReceiptHandle"],
        body=message["Body"],
        sent=datetime.fromtimestamp(int(message["Attributes"]["SentTimestamp"]) / 1000, UTC),
        error=" ".join(each.get("StringValue", "") for each in said) or "the message does not say why",
    )


def _session(record: Any) -> date:
    try:
        key = unquote_plus(record["s3"]["object"]["key"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"it reports no object: {_shortened(json.dumps(record))}") from error
    match = keys.DAILY_KEY.fullmatch(key)
    try:
        if match:
            return date.fromisoformat(match[1])
    except ValueError:
        pass
    raise ValueError(f"its object {key!r} is no daily.parquet of a session")


def _shortened(text: str) -> str:
    return f"{text[:80]!r}{'...' if len(text) > 80 else ''}"
