"""The command of LAB=1: what it hands to the CDK, and how it ends when a step fails."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from glue_scripts.visual import build_nodes
from operating import learner_lab
from operating.learner_lab import SETTINGS, Lab, LabError, arguments, settings
from stacks.config import REPOSITORY

OWN = [
    "-c",
    "existing_role=LabRole",
    "-c",
    "removal_policy=destroy",
    "-c",
    "operators=role/voclabs",
    "-c",
    "glue_concurrent_runs=1",
]


def test_the_settings_of_a_lab_come_first() -> None:
    assert arguments([]) == OWN
    assert arguments(["-c", "schedule_hours=8,10"]) == [*OWN, "-c", "schedule_hours=8,10"]


@pytest.mark.parametrize(
    "given",
    [
        ["-c", "removal_policy=retain"],
        ["--context", "removal_policy=retain"],
        ["--context=removal_policy=retain"],
    ],
)
def test_a_setting_that_is_given_is_not_said_twice(given: list[str]) -> None:
    assert arguments(given) == [*OWN[:2], *OWN[4:], *given]
    assert settings(given) == {"removal_policy": "retain"}


def test_a_setting_with_an_equals_sign_in_its_value_is_read_whole() -> None:
    assert settings(["-c", "tags=project=mine", "--quiet"]) == {"tags": "project=mine"}


class Steps:
    """Commands that are not run but noted; those of a name fail."""

    def __init__(self, failing: str = "") -> None:
        self.run: list[str] = []
        self._failing = failing

    def __call__(self, command: Sequence[str], **_: object) -> SimpleNamespace:
        name = command[2] if command[1] == "-m" else " ".join(command[:2])
        self.run.append(name)
        return SimpleNamespace(returncode=int(name == self._failing))


@pytest.fixture(autouse=True)
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lab whose bucket is there, and in which a stack has just been deployed."""
    monkeypatch.setattr(Lab, "find", lambda: Lab(account="111122223333", region="us-west-2"))
    monkeypatch.setattr(Lab, "make_asset_bucket", lambda _self: False)


@pytest.mark.parametrize(
    ("failing", "run"),
    [("cdk deploy", ["cdk deploy"]), ("operating.smoke", ["cdk deploy", "operating.smoke"])],
)
def test_a_step_that_fails_ends_the_command(
    failing: str, run: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = Steps(failing)
    monkeypatch.setattr(subprocess, "run", steps)
    assert learner_lab.main(["deploy"]) == 1
    assert steps.run == run
    assert "ended with 1; what it said stands above" in capsys.readouterr().err


def test_nothing_is_deleted_where_the_data_were_not(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps("operating.teardown")
    monkeypatch.setattr(subprocess, "run", steps)
    monkeypatch.setattr(learner_lab, "outputs", lambda _stack: {"RefinedDatabase": "default"})
    monkeypatch.setattr(learner_lab, "_created", lambda _stack: None)
    with pytest.raises(LabError):
        learner_lab.destroy([])
    assert steps.run == ["operating.teardown"]


def test_a_stack_whose_first_deployment_did_not_end_is_deleted_without_its_data(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = Steps()
    monkeypatch.setattr(subprocess, "run", steps)
    monkeypatch.setattr(learner_lab, "outputs", lambda _stack: {})
    monkeypatch.setattr(learner_lab, "_created", lambda _stack: None)
    monkeypatch.setattr(Lab, "remove_asset_bucket", lambda _self: "deleted")
    learner_lab.destroy([])
    assert steps.run == ["cdk destroy"]


@pytest.mark.parametrize("language", ["", ".pt-BR"])
def test_the_guide_is_true(language: str) -> None:
    text = (REPOSITORY / "docs" / f"learner-lab{language}.md").read_text(encoding="utf-8")
    assert [name for name, value in SETTINGS.items() if f"`{name}={value}`" not in text] == []
    assert re.findall(r"^\| (R\d) \|", text, re.MULTILINE) == [f"R{number}" for number in range(1, 10)]
    nodes = build_nodes(raw_bucket="r", refined_bucket="s", refined_database="d", refined_table="t")
    assert re.search(r" (\d+) (?:nodes|nós)", text)[1] == str(len(nodes))  # type: ignore[index]
    files = [
        *(f"docs/{name}" for name in re.findall(r"\]\((?!https?:|#)([^)#]+)", text)),
        *re.findall(
            r"`((?:tests|scraper|stacks|refinement|lambda_src|glue_scripts|notebooks)/[\w./]*)`", text
        ),
    ]
    assert len(files) > 10
    assert [name for name in files if not (REPOSITORY / name).exists()] == []


@pytest.mark.parametrize(
    ("target", "lab", "own"),
    [
        ("deploy", ["LAB=1"], ["stacks.preflight --lab -c x=1", "operating.learner_lab deploy -c x=1"]),
        ("destroy", ["LAB=1"], ["operating.learner_lab destroy -c x=1"]),
        ("sandbox", ["LAB=1"], ["--lab"]),
        ("deploy", [], ["cdk bootstrap -c x=1", "cdk deploy -c x=1"]),
        ("destroy", ["LAB=0"], ["stacks.teardown", "cdk destroy --force -c x=1"]),
    ],
)
def test_make_calls_it_for_a_lab_alone(target: str, lab: list[str], own: list[str]) -> None:
    asked = ["make", "-n", target, *lab, "STACK_ARGS=-c x=1"]
    said = subprocess.run(asked, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    assert [part for part in own if part not in said] == []
    assert ("learner_lab" in said or "--lab" in said) is (lab == ["LAB=1"])
    assert ("bootstrap" in said) is (target == "deploy" and not lab)
