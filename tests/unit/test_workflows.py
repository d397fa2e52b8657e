"""The GitHub workflows: by actionlint where it is, and by rules of our own everywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from tests.wheels import PYTHONS

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
EACH = pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)

# Who may ask GitHub for a token that AWS takes, and under which environment AWS's roles trust it
WITH_ROLE = {"deploy.yml": ("deploy", "production"), "diff.yml": ("diff", "diff")}


def load(file: Path) -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(file.read_text())
    return document


def triggers(document: dict[Any, Any]) -> dict[str, Any]:
    on: dict[str, Any] = document[True]  # YAML takes the key for a boolean
    return on


def steps(document: dict[Any, Any]) -> Iterator[dict[str, Any]]:
    for job in document["jobs"].values():
        yield from job.get("steps", [])


def test_the_workflows_are_those_that_are_known_here() -> None:
    assert [file.name for file in FILES] == ["audit.yml", "deploy.yml", "diff.yml", "test.yml"]


@EACH
def test_every_action_is_pinned_to_a_commit_with_its_version_beside_it(file: Path) -> None:
    used = re.findall(r"uses: (.*)", file.read_text())
    assert used
    for action in used:
        if not action.startswith("./"):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


@EACH
def test_a_workflow_may_read_the_repository_and_nothing_else_unless_it_takes_a_role(file: Path) -> None:
    document = load(file)
    assert document["permissions"] == {"contents": "read"}
    allowed = {name: job["permissions"] for name, job in document["jobs"].items() if "permissions" in job}
    job, _ = WITH_ROLE.get(file.name, ("", ""))
    assert allowed == ({job: {"contents": "read", "id-token": "write"}} if job else {})


@pytest.mark.parametrize("name", WITH_ROLE)
def test_a_job_with_a_role_has_the_environment_that_the_role_trusts(name: str) -> None:
    job, environment = WITH_ROLE[name]
    assert load(REPOSITORY / ".github" / "workflows" / name)["jobs"][job]["environment"] == environment


@EACH
def test_no_key_is_stored(file: Path) -> None:
    text = file.read_text()
    assert "secrets." not in text
    assert "aws-access-key-id" not in text
    for step in steps(load(file)):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@EACH
def test_every_job_ends(file: Path) -> None:
    for name, job in load(file)["jobs"].items():
        assert "uses" in job or 0 < job["timeout-minutes"] <= 90, name


@EACH
def test_no_script_takes_an_expression_that_others_write(file: Path) -> None:
    """An expression is put into the script before the shell reads it; a variable is not."""
    for step in steps(load(file)):
        assert "${{" not in step.get("run", ""), step


@EACH
def test_nothing_of_a_fork_runs_with_a_role(file: Path) -> None:
    document = load(file)
    on = triggers(document)
    assert not {"pull_request_target", "workflow_run"} & set(on)
    if "pull_request" in on and file.name in WITH_ROLE:
        job, _ = WITH_ROLE[file.name]
        assert "head.repo.full_name == github.repository" in document["jobs"][job]["if"]


def test_the_tests_run_on_every_python_that_is_supported_and_before_a_deployment() -> None:
    workflows = REPOSITORY / ".github" / "workflows"
    test = load(workflows / "test.yml")
    job = test["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert matrix["python"] == [*PYTHONS]
    # Linux on ARM has a Java of its own
    assert matrix["runner"] == ["ubuntu-24.04"]
    assert matrix["include"] == [{"python": PYTHONS[-1], "runner": "ubuntu-24.04-arm"}]
    assert job["runs-on"] == "${{ matrix.runner }}"
    assert [step["run"] for step in steps(test) if "make" in step.get("run", "")] == [
        "make setup",
        "make test",
    ]
    deploy = load(workflows / "deploy.yml")
    assert triggers(deploy) == {"push": {"tags": ["v*"]}}
    assert deploy["jobs"]["deploy"]["needs"] == "test"
    assert deploy["jobs"]["test"]["uses"] == "./.github/workflows/test.yml"
    *_, last = steps(deploy)
    assert "stacks.smoke" in last["run"]


@EACH
def test_actionlint_has_nothing_to_say(file: Path) -> None:
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("no actionlint on PATH; the workflow `test` installs and runs it")
    done = subprocess.run(
        [actionlint, "-no-color", file], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert (done.returncode, done.stdout) == (0, "")
