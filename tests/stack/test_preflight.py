"""The preflight's command line: which settings it reads, what ends it, and what it knows of the CDK."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from lake.names import adjustment_tables, members_table
from operating import preflight as checks
from operating.estimate import CATALOG_OBJECTS_A_TICKER
from operating.preflight import Account, Finding, Level, Plan
from operating.stack import BOOTSTRAP_QUALIFIER
from refinement.catalog import wide_table
from stacks import preflight
from stacks.config import REPOSITORY, Config
from stacks.layers import layer_of
from tests.stack.synthesis import CONTEXT, assemble, synthesise

NUMBER = "111122223333"
BOOTSTRAP = REPOSITORY / "node_modules/aws-cdk/lib/api/bootstrap/bootstrap-template.yaml"


class Asked:
    """What was asked of the account, and with what plan; answers with findings of the given levels."""

    def __init__(self, *levels: Level) -> None:
        self.levels = levels
        self.plans: list[Plan] = []
        self.subjects: list[str] = []

    def examine(
        self, _account: Account, plan: Plan, subjects: tuple[checks.Subject, ...]
    ) -> Iterator[Finding]:
        self.plans.append(plan)
        self.subjects += [name for name, _, _ in subjects]
        for level in self.levels:
            yield Finding(level, "subject", "found")


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Has the account answer with findings of these levels, whoever asks; tells what was asked."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    identity = Finding(Level.FINE, "identity", "ana")
    monkeypatch.setattr(preflight, "find_identity", lambda _account: identity)

    def answer(*levels: Level) -> Asked:
        asked = Asked(*levels)
        monkeypatch.setattr(preflight, "examine", asked.examine)
        return asked

    return answer


def test_the_plan_is_of_cdk_json_and_of_the_settings_over_it(ask: Any) -> None:
    asked = ask()
    arguments = ["-c", "stack_name=Second", "--context=refined_table=second_daily", "-cwide_sessions=250"]
    assert preflight.main([*arguments, "--require-approval", "never"]) == 0
    (plan,) = asked.plans
    assert plan == Plan(
        stack="Second",
        raw_database="second",
        refined_database=str(CONTEXT["refined_database"]),
        refined_tables=(
            "second_daily",
            "second_daily_compact",
            "second_index_members",
            "second_events",
            "second_factors",
        ),
        wide_sessions=250,
        workers=int(CONTEXT["glue_worker_count"]),
        runs=int(CONTEXT["glue_concurrent_runs"]),
        layer=layer_of("us-east-1"),
    )


def test_the_compact_table_is_the_one_that_the_stack_names() -> None:
    plan = preflight.plan_of(Config.from_context(CONTEXT), "us-east-1", BOOTSTRAP_QUALIFIER)
    outputs = synthesise()["Outputs"]
    tables = (outputs["RefinedTable"]["Value"], outputs["RefinedCompactTable"]["Value"])
    assert plan.refined_tables[:2] == tables
    events, factors, _ = adjustment_tables(tables[0])
    assert plan.refined_tables[2:] == (members_table(tables[0]), events, factors)


def test_the_wide_table_has_so_many_indexes() -> None:
    assert len(wide_table("bovespa_daily", "bucket").indexes) == CATALOG_OBJECTS_A_TICKER - 1


def test_a_layer_of_one_s_own_goes_before_aws_s(ask: Any) -> None:
    asked = ask()
    arn = f"arn:aws:lambda:us-east-1:{NUMBER}:layer:mine:1"
    preflight.main(["-c", f"pandas_layer_arn={arn}"])
    assert asked.plans[0].layer == arn


@pytest.mark.parametrize(("key", "known"), [("", None), ("create", None), ("arn", "arn")])
def test_only_a_key_that_there_is_can_be_the_bootstrap_s(ask: Any, key: str, known: str | None) -> None:
    asked = ask()
    arn = f"arn:aws:kms:us-east-1:{NUMBER}:key/0a1b2c3d"
    preflight.main(["-c", f"kms_key={arn if key == 'arn' else key}"])
    assert asked.plans[0].kms_key == (arn if known else None)


def test_another_bootstrap_is_known_by_its_qualifier(ask: Any) -> None:
    asked = ask()
    preflight.main(["-c", "@aws-cdk/core:bootstrapQualifier=mine"])
    assert asked.plans[0].qualifier == "mine"


@pytest.mark.parametrize(
    ("levels", "code", "says"),
    [
        ((), 0, "Nothing seen would stop the deployment; 0 warnings, 0 not seen"),
        ((Level.WARNING, Level.UNSEEN), 0, "Nothing seen would stop the deployment; 1 warning, 1 not seen"),
        (
            (Level.STOP, Level.WARNING, Level.WARNING),
            1,
            "Not to be deployed like this: 1 would stop it; 2 warnings, 0 not seen",
        ),
    ],
)
def test_what_would_stop_a_deployment_ends_it_and_nothing_else_does(
    ask: Any, capsys: pytest.CaptureFixture[str], levels: tuple[Level, ...], code: int, says: str
) -> None:
    ask(*levels)
    assert preflight.main([]) == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["ok        identity: ana", "ok        region: us-east-1"]
    assert len(lines) == 2 + len(levels) + 1
    assert lines[-1] == says


def test_without_an_identity_nothing_else_is_asked(ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ask(Level.FINE)
    stopped = Finding(Level.STOP, "identity", "nobody")
    monkeypatch.setattr(preflight, "find_identity", lambda _account: stopped)
    assert preflight.main([]) == 1
    assert asked.plans == []


@pytest.mark.parametrize(
    ("setting", "says"), [("wide_sessions=many", "wide_sessions"), ("wide_sessions", "name=value")]
)
def test_a_setting_that_is_refused_is_a_line(
    capsys: pytest.CaptureFixture[str], setting: str, says: str
) -> None:
    assert preflight.main(["-c", setting]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Setting refused: ")
    assert says in said.err


def test_a_profile_that_is_not_there_stops_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert preflight.main(["--profile", "nobody"]) == 1
    assert "nobody" in capsys.readouterr().out


def test_a_lab_is_asked_for_what_its_deployment_will_set(ask: Any) -> None:
    """`make deploy LAB=1` sets one run at a time, unless another number is given."""
    asked = ask()
    assert preflight.main(["--lab"]) == 0
    assert preflight.main(["--lab", "-c", "glue_concurrent_runs=2"]) == 0
    assert [plan.runs for plan in asked.plans] == [1, 2]


def test_a_lab_is_asked_for_its_role_in_the_place_of_a_bootstrap(ask: Any) -> None:
    asked = ask()
    assert preflight.main(["--lab"]) == 0
    assert "role LabRole" in asked.subjects
    assert "bootstrap" not in asked.subjects


@pytest.mark.parametrize(
    ("target", "words", "commands"),
    [
        ("preflight", [], ["stacks.arguments", "stacks.preflight"]),
        ("preflight", ["LAB=1"], ["stacks.arguments", "stacks.preflight --lab"]),
        ("deploy", [], ["stacks.arguments", "stacks.preflight", "cdk bootstrap", "cdk deploy"]),
    ],
)
def test_make_asks_before_it_deploys_with_the_arguments_of_the_deployment(
    target: str, words: list[str], commands: list[str]
) -> None:
    shown = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target, "STACK_ARGS=-c stack_name=Second", *words],
        cwd=REPOSITORY,
        env={name: value for name, value in os.environ.items() if name != "MAKEFLAGS"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    said = [" ".join(line.split()) for line in shown.splitlines() if line.endswith("stack_name=Second")]
    assert [
        line.removeprefix("python -m ").removesuffix(" -c stack_name=Second") for line in said
    ] == commands


# What is known of the CDK


def test_the_bootstrap_that_is_needed_is_the_one_that_the_template_asks_for() -> None:
    assert assemble().artifact["properties"]["requiresBootstrapStackVersion"] == checks.BOOTSTRAP_NEEDED


def test_a_key_that_the_cdk_s_bootstrap_makes_is_open_to_its_account() -> None:
    template = yaml.safe_load(BOOTSTRAP.read_text(encoding="utf-8"))
    policy = template["Resources"]["FileAssetsBucketEncryptionKey"]["Properties"]["KeyPolicy"]
    deployed = json.dumps(policy).replace('{"Ref": "AWS::AccountId"}', f'"{NUMBER}"')
    assert checks._is_open_to(NUMBER, deployed)
    assert not checks._is_open_to("444455556666", deployed)


def test_the_bootstrap_bucket_is_named_as_the_cdk_names_it() -> None:
    template = yaml.safe_load(BOOTSTRAP.read_text(encoding="utf-8"))
    name = template["Resources"]["StagingBucket"]["Properties"]["BucketName"]["Fn::If"][2]["Fn::Sub"]
    qualifier = template["Parameters"]["Qualifier"]["Default"]
    assert qualifier == BOOTSTRAP_QUALIFIER
    assert (
        name.replace("${Qualifier}", qualifier)
        .replace("${AWS::AccountId}", NUMBER)
        .replace("${AWS::Region}", "us-east-1")
        == f"cdk-hnb659fds-assets-{NUMBER}-us-east-1"
    )
