"""What is acknowledged of checkov: each entry suppresses a finding, and each finding has its entry.

checkov itself runs in `make audit`. Here its findings are worked out from what each of these checks looks at.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stacks.checkov import SKIPS
from tests.stack.synthesis import assemble, synthesise

Properties = dict[str, Any]


def _lacks(*names: str) -> Callable[[Properties], bool]:
    return lambda properties: not any(name in properties for name in names)


def _environment_by_lambda_s_key(properties: Properties) -> bool:
    return "Environment" in properties and "KmsKeyArn" not in properties


CHECKS: dict[str, tuple[str, Callable[[Properties], bool]]] = {
    "CKV_AWS_18": ("AWS::S3::Bucket", _lacks("LoggingConfiguration")),
    "CKV_AWS_27": ("AWS::SQS::Queue", _lacks("KmsMasterKeyId")),
    "CKV_AWS_115": ("AWS::Lambda::Function", _lacks("ReservedConcurrentExecutions")),
    "CKV_AWS_116": ("AWS::Lambda::Function", _lacks("DeadLetterConfig")),
    "CKV_AWS_117": ("AWS::Lambda::Function", _lacks("VpcConfig")),
    "CKV_AWS_158": ("AWS::Logs::LogGroup", _lacks("KmsKeyId")),
    "CKV_AWS_173": ("AWS::Lambda::Function", _environment_by_lambda_s_key),
    "CKV_AWS_195": ("AWS::Glue::Job", _lacks("SecurityConfiguration")),
}
"""Each check that has an entry: the resources that it looks at, and what it finds fault with."""


STACKS = pytest.mark.parametrize(
    "settings",
    [
        {"glue_job_mode": "script"},
        {"glue_job_mode": "visual"},
        {"glue_job_mode": "script", "kms_key": "create"},
        {"glue_job_mode": "visual", "kms_key": "create"},
    ],
    ids=lambda settings: ", ".join(settings.values()),
)


@STACKS
def test_what_is_acknowledged_is_what_would_be_found(settings: dict[str, str]) -> None:
    template = synthesise(**settings)["Resources"]
    found = {
        (logical_id, check)
        for logical_id, resource in template.items()
        for check, (kind, finds) in CHECKS.items()
        if resource["Type"] == kind and finds(resource["Properties"])
    }
    acknowledged = {
        (logical_id, skip["id"])
        for logical_id, resource in template.items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }

    assert acknowledged == found


def test_every_entry_of_the_table_is_used_in_one_of_the_stacks() -> None:
    used = set()
    for mode in ("script", "visual"):
        stack = assemble(glue_job_mode=mode)
        paths = {logical_id: path for path, logical_id in stack.metadata("aws:cdk:logicalId")}
        for logical_id, resource in stack.template["Resources"].items():
            for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
                used.add((skip["id"], paths[logical_id]))

    assert used == {(skip.check, path) for skip in SKIPS for path in skip.paths}


def test_every_entry_has_a_reason() -> None:
    assert {skip.check for skip in SKIPS} == set(CHECKS)
    for skip in SKIPS:
        assert len(skip.reason.split()) > 8, skip.check


@STACKS
def test_checkov_finds_nothing_else(settings: dict[str, str], tmp_path: Path) -> None:
    command = os.environ.get("CHECKOV") or shutil.which("checkov")
    if command is None:
        pytest.skip("no checkov on PATH (nor named by CHECKOV); `make audit` installs and runs it")
    template = tmp_path / "stack.template.json"
    template.write_text(json.dumps(synthesise(**settings)))
    done = subprocess.run(
        [command, "--file", template, "--framework", "cloudformation", "--output", "json", "--skip-download"],
        capture_output=True,
        text=True,
        check=False,
    )
    report = json.loads(done.stdout)

    assert report["results"]["failed_checks"] == []
    entries = sum(
        len(resource.get("Metadata", {}).get("checkov", {}).get("skip", []))
        for resource in json.loads(template.read_text())["Resources"].values()
    )
    assert report["summary"]["skipped"] == entries
