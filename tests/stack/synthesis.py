"""Synthesis in this process, from the settings in cdk.json and what a test says otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from app import build
from stacks.config import REPOSITORY

CONTEXT: dict[str, Any] = json.loads((REPOSITORY / "cdk.json").read_text())["context"]


def synthesise(**settings: object) -> dict[str, Any]:
    """The template, as cdk-nag lets it pass."""
    document: dict[str, Any] = json.loads(_template(json.dumps({**CONTEXT, **settings}, sort_keys=True)))
    return document


@cache
def _template(context: str) -> str:
    settings = json.loads(context)
    return json.dumps(build(settings).synth().get_stack_by_name(settings["stack_name"]).template)


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
        case bool() | int() | float():
            return str(value)
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
    for action, resource, _condition in conditional_permissions(document, role):
        allowed.setdefault(action, set()).add(resource)
    return allowed


def conditional_permissions(document: dict[str, Any], role: str) -> set[tuple[str, str, str]]:
    """Each action of a role, on each resource, with its condition as a text."""
    return {
        (action, without_hash(text_of(resource)), condition_text(statement.get("Condition", {})))
        for statement in policy_statements(document, role)
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    }


def condition_text(condition: dict[str, dict[str, Any]]) -> str:
    """A condition as one text, such as `StringLikeIfExists s3:prefix raw/*`; several by `; `."""
    return "; ".join(
        f"{operator} {key} {' '.join(sorted(without_hash(text_of(value)) for value in as_list(values)))}"
        for operator, keys in sorted(condition.items())
        for key, values in sorted(keys.items())
    )


def without_hash(text: str) -> str:
    """A text with logical ids less their hash, and assets without their name."""
    text = re.sub(r"<(\w+?)[0-9A-F]{8}(\.Arn)?>", r"<\1>", text)
    return re.sub(r"/[0-9a-f]{64}\.", "/<hash>.", text)
