"""Synthesis in this process, from the settings in cdk.json and what a test says otherwise.

It takes a second, so whatever can be seen of one stack is looked at in the same one: of `CHANGED` what other
settings change, of `RENAMED` what follows the names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from app import build
from stacks.config import REPOSITORY

CONTEXT: dict[str, Any] = json.loads((REPOSITORY / "cdk.json").read_text())["context"]

KEY = "arn:aws:kms:sa-east-1:111122223333:key/0a1b2c3d-0123-4567-89ab-0123456789ab"
"""A key of the customer's own."""

LOADER = "arn:aws:iam::999999999999:role/loader"
CHANGED: dict[str, Any] = {
    "removal_policy": "destroy",
    "kms_key": "create",
    "operators": ["role/Admin", LOADER, *(f"role/operator-{number:03}" for number in range(98))],
    "wide_sessions": "250",
    "quotes_base_url": "http://127.0.0.1:8080/",
    "index_codes": ["IBOV", "SMLL"],
    "lookback_sessions": 3,
    "extra_ca_file": "tests/fixtures/tls/root.pem",
    "pandas_layer_arn": "arn:aws:lambda:xx-north-1:123456789012:layer:Mine:1",
    "schedule_hours": [8, 10],
    "glue_timeout_minutes": 61,
    "alarm_email": "analyst@example.com",
    "runbook_url": "https://github.com/someone/pipeline/blob/main/docs/runbook.md",
    "tags": {"project": "bovespa", "owner": "research"},
}
"""Settings other than those in cdk.json, but for names."""

RENAMED: dict[str, Any] = {
    "stack_name": "B" * 100,
    "raw_database": "quotes",
    "refined_database": "lake",
    "refined_table": "daily",
    "operators": "",
    "kms_key": "create",
    "athena_notebook": "true",
}
"""Other names, the stack's as long as it may be; and no operators."""


@dataclass(frozen=True)
class Assembly:
    """What the CDK makes of an app, as its command line reads it.

    Attributes:
        stack: The stack's name.
        folder: Where it lies.
    """

    stack: str
    folder: Path

    @property
    def template(self) -> dict[str, Any]:
        """The stack's template."""
        return self._read(f"{self.stack}.template.json")

    @property
    def artifact(self) -> dict[str, Any]:
        """How the stack is deployed."""
        found: dict[str, Any] = self._read("manifest.json")["artifacts"][self.stack]
        return found

    @property
    def assets(self) -> dict[str, Any]:
        """What is uploaded before the stack."""
        found: dict[str, Any] = self._read(f"{self.stack}.assets.json")["files"]
        return found

    def metadata(self, kind: str) -> Iterator[tuple[str, Any]]:
        """What constructs have of a kind of metadata, each with the construct's path below the stack."""
        file = self.artifact.get("additionalMetadataFile")
        for path, entries in (self._read(file) if file else self.artifact["metadata"]).items():
            for entry in entries:
                if entry["type"] == kind:
                    yield path.removeprefix(f"/{self.stack}/"), entry["data"]

    def _read(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / name).read_text())
        return content


def assemble(**settings: object) -> Assembly:
    """The cloud assembly, as cdk-nag lets it pass; of the same settings the same one."""
    return _assemble(json.dumps({**CONTEXT, **settings}, sort_keys=True))


def synthesise(**settings: object) -> dict[str, Any]:
    """The template, as cdk-nag lets it pass."""
    return assemble(**settings).template


@cache
def _assemble(context: str) -> Assembly:
    settings = json.loads(context)
    app = build({**settings, "aws:cdk:disable-asset-staging": True})  # what is uploaded is not copied
    return Assembly(settings["stack_name"], Path(app.synth().directory))


def resources(document: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Logical id and whole definition of each resource of a type."""
    for logical_id, resource in document["Resources"].items():
        if resource["Type"] == kind:
            yield logical_id, resource


def function_of(document: dict[str, Any], handler: str) -> dict[str, Any]:
    """Properties of the function with a handler."""
    functions = (function["Properties"] for _, function in resources(document, "AWS::Lambda::Function"))
    (found,) = (function for function in functions if function["Handler"] == handler)
    return dict(found)


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
