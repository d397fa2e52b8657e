"""Synthesis in this process, from the settings in cdk.json and what a test says otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from app import build
from stacks.config import REPOSITORY

CONTEXT: dict[str, Any] = json.loads((REPOSITORY / "cdk.json").read_text())["context"]


def synthesise(**settings: object) -> dict[str, Any]:
    """The template, as cdk-nag lets it pass."""
    context = {**CONTEXT, **settings}
    document: dict[str, Any] = build(context).synth().get_stack_by_name(str(context["stack_name"])).template
    return document


def resources(document: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Logical id and whole definition of each resource of a type."""
    for logical_id, resource in document["Resources"].items():
        if resource["Type"] == kind:
            yield logical_id, resource


def text_of(value: Any) -> str:
    """An intrinsic function, or a text, as one text: `<RawBucket.Arn>/raw/*`."""
    match value:
        case str():
            return value
        case {"Ref": name}:
            return f"<{name}>"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"<{name}.{attribute}>"
        case {"Fn::Sub": pattern}:
            return str(pattern)
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(text_of(part) for part in parts)
        case _:
            raise AssertionError(f"neither a text nor a function that is known here: {value!r}")


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def policy_statements(document: dict[str, Any], role: str = "") -> Iterator[dict[str, Any]]:
    """Statements of the roles' policies; of one role, by the beginning of its logical id, if it is given."""
    for _, policy in resources(document, "AWS::IAM::Policy"):
        if any(text_of(each).startswith(f"<{role}") for each in policy["Properties"]["Roles"]):
            yield from policy["Properties"]["PolicyDocument"]["Statement"]


def permissions(document: dict[str, Any], role: str) -> dict[str, set[str]]:
    """Actions of a role, each with the resources that it is allowed on, their ids without the hash."""
    allowed: dict[str, set[str]] = {}
    for statement in policy_statements(document, role):
        for action in as_list(statement["Action"]):
            for resource in as_list(statement["Resource"]):
                name = re.sub(r"<(\w+?)[0-9A-F]{8}(\.Arn)?>", r"<\1>", text_of(resource))
                allowed.setdefault(action, set()).add(name)
    return allowed
