"""Permissions that are enforced, as on AWS: a function or a job may do what its role's policies allow.

MiniStack evaluates identity and resource policies once it is started with `AUTH=true`. What it lacks for this
stack: it takes the loopback connection for one without TLS, which the buckets' policies refuse; it has but a
rough idea of which resource a call of Glue is about; `aws:PrincipalArn` is the session's, not its role's; and
it tells nobody what it has decided. Each decision on a call of somebody else than the account's root is
written down once, in a file with a JSON object a line.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ministack import app as service
from ministack.core import iam_actions, iam_evaluator
from ministack.services import iam as iam_service
from ministack.services import sts

from sandbox.learner_lab import session_credentials
from sandbox.ministack import ACCOUNT, DECISIONS, DECISIONS_BEFORE

# MiniStack has no types that hold
app: Any = service
actions: Any = iam_actions
evaluator: Any = iam_evaluator
iam: Any = iam_service

_SESSION_NAME = "GlueJobRunnerSession"  # as Glue names it


class Decisions:
    """Writes each different decision once.

    Args:
        path: The file, made anew.
        before: What becomes of the file that is there.
    """

    def __init__(self, path: Path, before: Path) -> None:
        self._path = path
        self._written: set[str] = set()
        self._lock = threading.Lock()
        if path.exists():
            path.replace(before)
        path.write_text("")

    def add(self, **decision: object) -> None:
        """Write a decision, unless it is there."""
        line = json.dumps(decision, sort_keys=True)
        with self._lock:
            if line in self._written:
                return
            self._written.add(line)
            with self._path.open("a") as file:
                file.write(f"{line}\n")


def install(folder: Path) -> None:
    """Record decisions in a file of the folder, and take every connection for one with TLS.

    Without `AUTH=true` nothing is decided, and the file stays empty.
    """
    decisions = Decisions(folder / DECISIONS, folder / DECISIONS_BEFORE)
    pin, enforce = app.pin_request_origin, evaluator.enforce
    resource_of, resolve_key = actions.extract_resource_arn, evaluator._resolve_condition_key

    def enforce_and_record(
        access_key: str,
        action: str,
        *service_and_region: str,
        resource_arn: str = "*",
        service_context: Mapping[str, Any] | None = None,
    ) -> Any:
        caller = (evaluator.resolve_caller_identity(access_key) or {}).get("userArn", "")
        refused = None
        for resource in _with_parents(resource_arn):
            refused = refused or enforce(
                access_key,
                action,
                *service_and_region,
                resource_arn=resource,
                service_context=service_context,
            )
            if caller and not caller.endswith(":root"):
                decisions.add(
                    principal=caller,
                    action=action,
                    resource=resource,
                    context={name: value for name, value in (service_context or {}).items() if value},
                    allowed=refused is None,
                )
        return refused

    def resource_of_call(
        service_name: str, method: str, path: str, headers: Mapping[str, str], body: bytes, *rest: Any
    ) -> str:
        if service_name == "glue":
            region, account_id = rest[-2:]
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            return glue_resource(operation, json.loads(body or b"{}"), f"arn:aws:glue:{region}:{account_id}:")
        return str(resource_of(service_name, method, path, headers, body, *rest))

    def condition_key(key: str, context: Any) -> Any:
        if key.lower() == "aws:principalarn" and context.principal_type == "AssumedRole":
            name = context.principal_arn.split("/")[1]
            role = iam._roles.get_scoped(context.principal_account, None, name)
            return role["Arn"] if role else context.principal_arn
        return resolve_key(key, context)

    app.pin_request_origin = lambda address, _secure: pin(address, True)
    evaluator._resolve_condition_key = condition_key
    evaluator.enforce = enforce_and_record
    actions.extract_resource_arn = resource_of_call


def glue_resource(operation: str, request: Mapping[str, Any], account: str) -> str:
    """ARN of what a call of Glue is about.

    Source: Glue, "Specifying AWS Glue resource ARNs".

    Args:
        operation: Such as GetTable.
        request: Its parameters.
        account: What ARNs of Glue begin with in the account and region, `arn:aws:glue:<region>:<account>:`.
    """
    match request:
        case {"ResourceArn": str(arn)}:
            return arn
        case {"JobName": str(job)}:
            name = f"job/{job}"
        case (
            {"DatabaseName": str(database), "TableName": str(table)}
            | {"DatabaseName": str(database), "Name": str(table)}
            | {"DatabaseName": str(database), "TableInput": {"Name": str(table)}}
        ):
            name = f"table/{database}/{table}"
        case {"DatabaseName": str(database)} | {"DatabaseInput": {"Name": str(database)}}:
            name = f"database/{database}"
        case {"Name": str(given)}:
            name = f"{'job' if 'Job' in operation else 'database'}/{given}"
        case _:
            name = "catalog"
    return f"{account}{name}"


def _with_parents(resource: str) -> list[str]:
    """A resource, and those above it in the Data Catalog, on which a call needs the permission, too."""
    account, kind, name = resource.rpartition(":")[0], *resource.rpartition(":")[2].partition("/")[::2]
    if not account.startswith("arn:aws:glue:"):
        return [resource]
    if kind == "table":
        return [resource, f"{account}:database/{name.partition('/')[0]}", f"{account}:catalog"]
    return [resource, f"{account}:catalog"] if kind == "database" else [resource]


def role_session(role_arn: str, name: str = _SESSION_NAME) -> dict[str, str]:
    """Credentials of a session of a role that a service assumes, such as a Glue job's, as variables.

    Args:
        role_arn: Its ARN, or its name, as Glue takes either.
        name: The session's name.
    """
    role = role_arn.rpartition("/")[2]
    credentials = session_credentials(role)
    sts.register_session(
        credentials["AWS_ACCESS_KEY_ID"],
        {
            "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}",
            "UserId": f"{role}:{name}",
            "SecretAccessKey": credentials["AWS_SECRET_ACCESS_KEY"],
            "SessionToken": credentials["AWS_SESSION_TOKEN"],
        },
    )
    return credentials
