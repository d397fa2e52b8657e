"""What cfn-lint says of a template; its rules, which take a third of the time, are read once a process."""

from __future__ import annotations

import functools
import json
from typing import Any

from cfnlint.config import ConfigMixIn, ManualArgs  # type: ignore[import-untyped]  # it has no types
from cfnlint.decode import decode_str  # type: ignore[import-untyped]
from cfnlint.runner import Runner  # type: ignore[import-untyped]


def cfn_lint(template: str | dict[str, Any]) -> list[str]:
    """Its findings in a template, of the regions that the documents name and that labs have."""
    text = template if isinstance(template, str) else json.dumps(template)
    document, errors = decode_str(text)
    return [str(match) for match in errors or _runner().validate_template(document)]


@functools.cache
def _runner() -> Runner:
    settings = ManualArgs(
        regions=["sa-east-1", "us-east-1", "us-west-2"],
        ignore_checks=["W3005"],  # the CDK writes a DependsOn for a role that a GetAtt already waits for
        include_checks=["I3510"],  # holds the resources of a permission against its actions
    )
    return Runner(ConfigMixIn(**settings))
