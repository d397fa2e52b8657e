"""As much of the AWS CLI as the runbook uses, by botocore's own models: what it takes, the CLI takes.

`aws <service> <operation> --parameter value ...` with `--query`, `--output json|text` and `--cli-input-json`;
lists as several values or as JSON, structures as JSON. It goes through all pages, as the CLI does, unless it
is told `--no-paginate`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name
from botocore.model import OperationModel, Shape

_GLOBAL = frozenset({"query", "output", "cli-input-json", "cli-binary-format", "cli-read-timeout"})
_PAGINATE = "no-paginate"


class AwsCliError(ValueError):
    """The CLI would refuse the command."""


class Command:
    """A command, checked against the service's model.

    Args:
        words: What stands after `aws`.

    Raises:
        AwsCliError: There is no such service, operation or parameter, or a required one is missing.
    """

    def __init__(self, words: Sequence[str]) -> None:
        if len(words) < 2:
            raise AwsCliError(f"aws {' '.join(words)}: expected a service and an operation")
        self.service, name, *rest = words
        # `aws s3` is of the CLI alone, and `aws s3api` is the service
        self._botocore_name = {"s3": "", "s3api": "s3"}.get(self.service, self.service)
        session = botocore.session.get_session()
        if self._botocore_name not in session.get_available_services():
            raise AwsCliError(f"aws {self.service}: no such service")
        model = session.get_service_model(self._botocore_name)
        operations = {xform_name(each, "-"): each for each in model.operation_names}
        if name not in operations:
            raise AwsCliError(f"aws {self.service} {name}: no such operation")
        self.operation: OperationModel = model.operation_model(operations[name])
        self.options: dict[str, str] = {}
        self.parameters: dict[str, Any] = {}
        self.outfile: str | None = None
        self.is_paginated = True
        self.printed = ""
        self._parse(rest)
        if "query" in self.options:
            jmespath.compile(self.options["query"])
        self._require()

    def _parse(self, words: Sequence[str]) -> None:
        shape = self.operation.input_shape
        members: dict[str, tuple[str, Shape]] = {
            xform_name(member, "-"): (member, kind)
            for member, kind in (shape.members.items() if shape is not None else ())
        }
        place = 0
        while place < len(words):
            word = words[place]
            place += 1
            if not word.startswith("--"):
                if self.outfile is not None or not self._has_outfile:
                    raise AwsCliError(f"{self._name}: {word!r} is of no parameter")
                self.outfile = word
                continue
            name = word.removeprefix("--")
            values: list[str] = []
            while place < len(words) and not words[place].startswith("--"):
                if values and not (name in members and members[name][1].type_name == "list"):
                    break
                values.append(words[place])
                place += 1
            if name == _PAGINATE and not values:
                self.is_paginated = False
            elif name in _GLOBAL and len(values) == 1:
                self.options[name] = values[0]
            elif name in members:
                member, kind = members[name]
                self.parameters[member] = self._value(name, kind, values)
            else:
                raise AwsCliError(f"{self._name} --{name}: no such parameter")

    @property
    def _name(self) -> str:
        return f"aws {self.service} {xform_name(self.operation.name, '-')}"

    @property
    def _has_outfile(self) -> bool:
        shape = self.operation.output_shape
        return shape is not None and "payload" in shape.serialization

    def _value(self, name: str, kind: Shape, values: Sequence[str]) -> Any:
        if kind.type_name == "boolean" and not values:
            return True
        if not values:
            raise AwsCliError(f"{self._name} --{name}: expected a value")
        match kind.type_name:
            case "integer" | "long":
                return int(values[0])
            case "structure" | "map":
                return json.loads(values[0])
            case "list":
                return json.loads(values[0]) if values[0].startswith("[") else list(values)
            case "blob":
                return values[0].encode()
            case _:
                return values[0]

    def _require(self) -> None:
        shape = self.operation.input_shape
        if shape is None or "cli-input-json" in self.options:
            return
        missing = [name for name in shape.required_members if name not in self.parameters]
        if missing:
            raise AwsCliError(f"{self._name}: --{xform_name(missing[0], '-')} is required")

    def run(self) -> Any:
        """Call the service; the answer, less what concerns the call itself."""
        parameters = dict(self.parameters)
        if source := self.options.get("cli-input-json"):
            parameters = json.loads(Path(source.removeprefix("file://")).read_text()) | parameters
        client: Any = boto3.client(self._botocore_name)  # type: ignore[call-overload]  # any service
        operation = xform_name(self.operation.name)
        if self.is_paginated and client.can_paginate(operation):
            answer = client.get_paginator(operation).paginate(**parameters).build_full_result()
        else:
            answer = getattr(client, operation)(**parameters)
        answer.pop("ResponseMetadata", None)
        if self.outfile is not None:
            content = answer.pop("Payload").read().decode()
            if self.outfile != "/dev/stdout":
                raise AwsCliError(f"{self._name}: {self.outfile}: this one writes to /dev/stdout alone")
            self.printed = f"{content}\n"
        return answer


def main(words: Sequence[str]) -> str:
    """Run a command; what it prints.

    Raises:
        AwsCliError: The CLI would refuse it.
        botocore.exceptions.ClientError: The service does.
    """
    command = Command(words)
    # Times are texts before the query is applied, as in the CLI
    answer = json.loads(json.dumps(command.run(), default=_iso))
    if "query" in command.options:
        answer = jmespath.search(command.options["query"], answer)
    if command.options.get("output") == "text":
        return f"{_text(answer)}\n"
    return command.printed + (f"{json.dumps(answer, indent=4)}\n" if answer else "")


def _iso(instant: datetime) -> str:
    return instant.isoformat()


def _text(answer: Any) -> str:
    if isinstance(answer, list):
        rows = [row if isinstance(row, list) else [row] for row in answer]
        is_table = any(isinstance(row, list) for row in answer)
        lines = ["\t".join(map(_text, row)) for row in rows]
        return ("\n" if is_table else "\t").join(lines)
    return str(answer)
