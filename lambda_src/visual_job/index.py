"""Owns a Glue job in visual mode for CloudFormation, whose `AWS::Glue::Job` has no property for the graph.

The properties of `Custom::VisualGlueJob` are a CreateJob request, nodes included: a change to any of them is
a change set, and an update of the job in place, except that of its name, which replaces it. The job carries
the id of the stack in a tag. A job of that name without it is somebody else's: it is neither changed nor
deleted, not even when CloudFormation, after the refusal, asks to undo the creation.

CloudFormation is answered whatever happens: with Glue's message when Glue refuses, and before the function
runs out of time. Every request can be repeated, as Lambda does when an answer cannot be delivered.

Sources: CloudFormation, "Custom resource request and response reference"; Glue, "Visual job API".
"""

from __future__ import annotations

import json
import logging
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_glue.type_defs import JobUpdateTypeDef

OWNER_TAG = "cloudformation:stack-id"
"""The tag of a job that names the stack whose it is."""

_CLOUDFORMATION_S_OWN = {"ServiceToken", "ServiceTimeout"}
_REASON_CHARACTERS = 500  # JSON makes at most six bytes of each, and 4,096 are read of an answer
_SECONDS_TO_ANSWER = 15.0
_DELIVERY_PAUSES = (1.0, 2.0, 4.0)
_IAM_PAUSES = (2.0, 4.0, 8.0, 16.0)
_READERS: dict[str, Callable[[str], Any]] = {
    "boolean": {"true": True, "false": False}.__getitem__,
    "integer": int,
    "long": int,
    "double": float,
}
_CLIENT = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3})

_log = logging.getLogger()
_log.setLevel(logging.INFO)

Event = dict[str, Any]
Result = TypeVar("Result")


class NotOurs(RuntimeError):  # noqa: N818 - it names what is wrong, as AWS's own errors do
    """A job of the name exists and is not the stack's."""


def handler(event: Event, context: Any) -> None:
    """Carry out one request of CloudFormation and answer it.

    Args:
        event: The request: `RequestType` Create, Update or Delete, `ResourceProperties`, and where to answer.
        context: Lambda's context, for the time that is left.

    Raises:
        OSError: The answer could not be delivered. Lambda then invokes the function again.
    """
    answer = Answer(event)
    seconds = context.get_remaining_time_in_millis() / 1000
    out_of_time = threading.Timer(
        seconds - _SECONDS_TO_ANSWER, answer.failed, [f"AWS did not answer within {seconds:.0f} seconds"]
    )
    out_of_time.daemon = True
    out_of_time.start()
    try:
        job = VisualJob(event)
        if event["RequestType"] == "Delete":
            _once_iam_has_spread(job.delete)
        else:
            _once_iam_has_spread(job.put)
    except Exception as error:  # noqa: BLE001  # whatever it is, CloudFormation waits for an answer
        _log.exception("%s of %s failed", event.get("RequestType"), event.get("LogicalResourceId"))
        answer.failed(f"{type(error).__name__}: {error}")
    else:
        answer.succeeded(job.physical_id)
    finally:
        out_of_time.cancel()


class VisualJob:
    """The job that a request is about.

    Attributes:
        physical_id: What CloudFormation is to know the resource by: the job's name.
    """

    def __init__(self, event: Event) -> None:
        self._glue = boto3.client("glue", config=_CLIENT)
        self._stack = event["StackId"]
        self._request = _typed(
            self._glue.meta.service_model.operation_model("CreateJob").input_shape,
            _without(event["ResourceProperties"], _CLOUDFORMATION_S_OWN),
        )
        self._former_tags = event.get("OldResourceProperties", {}).get("Tags", {})
        deletes = event["RequestType"] == "Delete"
        self.physical_id: str = event["PhysicalResourceId"] if deletes else self._request["Name"]

    def put(self) -> None:
        """Create the job, or make the one that there is what the request says.

        It is there on an update, and on a creation that is repeated since its answer was lost.

        Raises:
            NotOurs: There is one, and it is not this stack's.
            botocore.exceptions.ClientError: Glue refused.
        """
        tags = {**self._request.get("Tags", {}), OWNER_TAG: self._stack}
        owner = self._owner()
        if owner is None:
            self._glue.create_job(**{**self._request, "Tags": tags})
            return
        if owner != self._stack:
            raise NotOurs(
                f"A Glue job {self.physical_id} exists that this stack did not create: its tag {OWNER_TAG} "
                f"is {owner!r}. Delete it, or deploy under another stack_name."
            )
        # The new definition replaces the former one whole; what is not part of it goes by calls of its own
        definition = cast("JobUpdateTypeDef", _without(self._request, {"Name", "Tags"}))
        self._glue.update_job(JobName=self.physical_id, JobUpdate=definition)
        self._glue.tag_resource(ResourceArn=self._arn, TagsToAdd=tags)
        if dropped := sorted(self._former_tags.keys() - tags.keys()):
            self._glue.untag_resource(ResourceArn=self._arn, TagsToRemove=dropped)

    def delete(self) -> None:
        """Delete the job and the script that Glue made of its graph, if the job is this stack's.

        Raises:
            botocore.exceptions.ClientError: Glue or S3 refused.
        """
        if self._owner() != self._stack:
            _log.info("Nothing to delete: there is no job %s of this stack", self.physical_id)
            return
        self._glue.delete_job(JobName=self.physical_id)
        script = urlsplit(self._request["Command"]["ScriptLocation"])
        boto3.client("s3", config=_CLIENT).delete_object(Bucket=script.netloc, Key=script.path.lstrip("/"))

    def _owner(self) -> str | None:
        """The stack that the job's tag names, empty without the tag; None if there is no such job."""
        try:
            self._glue.get_job(JobName=self.physical_id)
        except self._glue.exceptions.EntityNotFoundException:
            return None
        return self._glue.get_tags(ResourceArn=self._arn)["Tags"].get(OWNER_TAG, "")

    @property
    def _arn(self) -> str:
        _arn, partition, _cloudformation, region, account, _stack = self._stack.split(":", 5)
        return f"arn:{partition}:glue:{region}:{account}:job/{self.physical_id}"


class Answer:
    """The answer to a request: the first one is delivered, a later one is not."""

    def __init__(self, event: Event) -> None:
        self._event = event
        self._lock = threading.Lock()
        self._given = False

    def succeeded(self, physical_id: str) -> None:
        """Tell that the resource is as requested."""
        self._give({"Status": "SUCCESS", "PhysicalResourceId": physical_id})

    def failed(self, reason: str) -> None:
        """Tell that it is not, and why."""
        event = self._event
        properties = event.get("ResourceProperties", {})
        known = event.get("PhysicalResourceId") or properties.get("Name") or event["LogicalResourceId"]
        self._give({"Status": "FAILED", "PhysicalResourceId": known, "Reason": _shortened(reason)})

    def _give(self, outcome: dict[str, str]) -> None:
        with self._lock:
            if self._given:
                return
            self._given = True
            echoed = {name: self._event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
            _deliver(self._event["ResponseURL"], json.dumps({**echoed, **outcome}).encode())


def _deliver(address: str, body: bytes) -> None:
    # The address is signed for a request without a content type
    request = urllib.request.Request(address, body, {"Content-Type": ""}, method="PUT")  # noqa: S310  # CloudFormation's
    for pause in (*_DELIVERY_PAUSES, None):
        try:
            with urllib.request.urlopen(request, timeout=5):  # noqa: S310  # as above
                return
        except OSError:
            if pause is None:
                raise
            time.sleep(pause)


def _once_iam_has_spread(action: Callable[[], Result]) -> Result:
    """Do it, again if it is refused: IAM takes seconds to tell AWS of a role that the stack has just made."""
    for pause in _IAM_PAUSES:
        try:
            return action()
        except ClientError as error:
            refused = error.response["Error"]
            if refused["Code"] != "AccessDeniedException" and "assume role" not in refused.get("Message", ""):
                raise
            _log.info("Again in %s seconds: %s", pause, error)
        time.sleep(pause)
    return action()


def _typed(shape: Any, value: Any) -> Any:
    """The value with the types of Glue's service model: CloudFormation makes numbers and booleans texts.

    What does not fit the model stays as it is: botocore refuses it, by the name of the member.
    """
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        known = shape.members
        return {name: _typed(known[name], item) if name in known else item for name, item in value.items()}
    if kind == "map" and isinstance(value, dict):
        return {name: _typed(shape.value, item) for name, item in value.items()}
    if kind == "list" and isinstance(value, list):
        return [_typed(shape.member, item) for item in value]
    try:
        return _READERS[kind](value) if kind in _READERS and isinstance(value, str) else value
    except (ValueError, KeyError):
        return value


def _without(items: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {name: item for name, item in items.items() if name not in names}


def _shortened(reason: str) -> str:
    """Beginning and end, which name the call and the rule: in between Glue repeats the value, all of it."""
    if len(reason) <= _REASON_CHARACTERS:
        return reason
    half = _REASON_CHARACTERS // 2 - 3
    return f"{reason[:half]} [...] {reason[-half:]}"
