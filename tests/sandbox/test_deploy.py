"""What was deployed from the same files and settings is not deployed again; of anything else it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox import deploy
from sandbox.deploy import Cdk, DeployError
from tests.sandbox.deployed import Deployed

CERTIFICATE = "certificate.pem"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of a few files, and a home."""
    project = tmp_path / "project"
    for file in ("app.py", "stacks/one.py", "tests/test_one.py", CERTIFICATE):
        (project / file).parent.mkdir(parents=True, exist_ok=True)
        (project / file).write_text(file)
    monkeypatch.setattr(deploy, "REPOSITORY", project)
    monkeypatch.setenv("HOME", str(tmp_path))
    return project


@pytest.mark.parametrize(
    "change",
    [
        lambda project: (project / "stacks/one.py").write_text("another"),
        lambda project: (project / "stacks/one.py").rename(project / "stacks/two.py"),
        lambda project: (project / "cdk.json").write_text("{}"),
        lambda project: (project / CERTIFICATE).write_text("another"),
        lambda project: (project.parent / ".cdk.json").write_text('{"context": {}}'),
    ],
)
def test_whatever_the_stack_is_made_from_makes_another(
    project: Path, change: Callable[[Path], object]
) -> None:
    settings = {"extra_ca_file": CERTIFICATE}
    before = deploy._inputs(settings)
    assert deploy._inputs(settings) == before
    change(project)
    assert deploy._inputs(settings) != before


def test_another_setting_makes_another(project: Path) -> None:
    assert deploy._inputs({"lookback_sessions": "1"}) != deploy._inputs({"lookback_sessions": "2"})


def test_a_test_is_no_part_of_the_stack(project: Path) -> None:
    before = deploy._inputs({})
    (project / "tests/test_one.py").write_text("another")
    assert deploy._inputs({}) == before


@pytest.mark.sandbox
@pytest.mark.xdist_group("sandbox")
class TestDeployed:
    @pytest.fixture
    def calls(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """What the CDK's command line would have been asked; it is not there."""
        calls: list[str] = []

        def refuse(_self: Cdk, command: str, *_: str, **__: object) -> None:
            calls.append(command)
            raise DeployError(command)

        monkeypatch.setattr(Cdk, "_run", refuse)
        return calls

    @pytest.fixture
    def cdk(self, deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Cdk:
        """As the sandbox was deployed, whatever tests before have made of it."""
        inputs = deploy._inputs({})
        sandbox = deployed.sandbox
        cdk = Cdk(sandbox.aws, sandbox.folder)
        (sandbox.folder / "cdk.inputs").write_text(inputs)
        cdk._remember(inputs)
        return cdk

    def test_is_not_deployed_again(self, deployed: Deployed, cdk: Cdk, calls: list[str]) -> None:
        assert cdk.deploy({}, lambda _: None).raw_bucket == deployed.sandbox.deployment.raw_bucket
        assert not calls

    def test_is_deployed_anew_under_another_setting(self, cdk: Cdk, calls: list[str]) -> None:
        with pytest.raises(DeployError):
            cdk.deploy({"lookback_sessions": "7"}, lambda _: None)
        assert sorted(calls) == ["bootstrap", "synth"]

    @pytest.mark.parametrize("place", ["status", "time"])
    def test_is_deployed_anew_if_somebody_else_was_at_work_on_it(
        self, deployed: Deployed, cdk: Cdk, calls: list[str], place: str
    ) -> None:
        remembered = deployed.sandbox.aws.folder / "deployed.json"
        told = json.loads(remembered.read_text())
        told[{"status": 2, "time": 3}[place]] = "another"
        remembered.write_text(json.dumps(told))
        with pytest.raises(DeployError):
            cdk.deploy({}, lambda _: None)
        assert calls == ["bootstrap"]  # what is to be deployed is there

    def test_is_deployed_anew_if_what_was_remembered_was_cut(
        self, deployed: Deployed, cdk: Cdk, calls: list[str]
    ) -> None:
        (deployed.sandbox.aws.folder / "deployed.json").write_text('["')
        with pytest.raises(DeployError):
            cdk.deploy({}, lambda _: None)
        assert calls == ["bootstrap"]
