"""What was deployed from the same files and settings is not deployed again; of anything else it is."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import boto3
import pytest

from sandbox import deploy
from sandbox.console import Show
from sandbox.deploy import Cdk, DeployError
from sandbox.deployed import Images
from sandbox.environment import start
from sandbox.pipeline import Pipeline
from tests.leading import lead_to
from tests.sandbox.deployed import MORNING_AFTER, SESSIONS, Deployed

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
    before = deploy.digest_of(settings)
    assert deploy.digest_of(settings) == before
    change(project)
    assert deploy.digest_of(settings) != before


def test_another_setting_makes_another(project: Path) -> None:
    assert deploy.digest_of({"lookback_sessions": "1"}) != deploy.digest_of({"lookback_sessions": "2"})


def test_a_test_is_no_part_of_the_stack(project: Path) -> None:
    before = deploy.digest_of({})
    (project / "tests/test_one.py").write_text("another")
    assert deploy.digest_of({}) == before


class TestImages:
    """Of a folder with an emulator's state and outputs."""

    @pytest.fixture
    def images(self, tmp_path: Path) -> Images:
        return Images(tmp_path / "images", ("aws", "outputs.json"))

    @staticmethod
    def _folder(folder: Path, said: str) -> Path:
        (folder / "aws" / "state").mkdir(parents=True)
        (folder / "aws" / "state" / "s3.json").write_text(said)
        (folder / "outputs.json").write_text(said)
        return folder

    def test_take_the_place_of_what_is_there(self, images: Images, tmp_path: Path) -> None:
        images.keep("a", self._folder(tmp_path / "one", "one"))
        images.keep("a", self._folder(tmp_path / "other", "other"))
        folder = tmp_path / "new"
        folder.mkdir()
        (folder / "outputs.json").write_text("old")
        assert not images.restore("b", folder)
        assert [path.name for path in folder.iterdir()] == ["outputs.json"]
        assert images.restore("a", folder)
        assert (folder / "aws" / "state" / "s3.json").read_text() == "one"
        assert (folder / "outputs.json").read_text() == "one"

    def test_are_made_whole_or_not_at_all(self, images: Images, tmp_path: Path) -> None:
        folder = self._folder(tmp_path / "one", "one")
        (folder / "outputs.json").unlink()
        with pytest.raises(FileNotFoundError):
            images.keep("a", folder)
        assert list((tmp_path / "images").iterdir()) == []

    def test_are_kept_as_long_as_few_others_were_used_since(self, images: Images, tmp_path: Path) -> None:
        folder = self._folder(tmp_path / "one", "one")
        for number in range(6):
            images.keep(str(number), folder)
            os.utime(tmp_path / "images" / str(number), (number, number))
            if number == 3:
                target = tmp_path / "new"
                target.mkdir()
                assert images.restore("1", target)
        assert {path.name for path in (tmp_path / "images").iterdir()} == {"1", "3", "4", "5"}


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
        inputs = deploy.digest_of({})
        sandbox = deployed.sandbox
        cdk = Cdk(sandbox.aws, sandbox.folder)
        (sandbox.folder / "cdk.inputs").write_text(inputs)
        cdk._remember(inputs)
        return cdk

    def test_is_not_deployed_again(self, deployed: Deployed, cdk: Cdk, calls: list[str]) -> None:
        assert cdk.deploy({}, lambda _: None).raw_bucket == deployed.sandbox.deployment.raw_bucket
        assert not calls

    def test_is_taken_as_it_was_deployed_for_an_empty_lake(
        self, deployed: Deployed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        begun = [StringIO(), StringIO()]
        with start(tmp_path / "one", b3=deployed.server, lookback=len(SESSIONS), show=Show(begun[0])):
            pass  # deployed, if no test before has done it
        monkeypatch.setattr(Cdk, "_run", lambda *_, **__: pytest.fail("the CDK was called"))
        with start(
            tmp_path / "other", b3=deployed.server, lookback=len(SESSIONS), show=Show(begun[1])
        ) as sandbox:
            lead_to(sandbox.aws, monkeypatch)
            pipeline = Pipeline(sandbox.deployment)
            assert boto3.client("s3").list_objects_v2(Bucket=sandbox.deployment.raw_bucket)["KeyCount"] == 0
            files = pipeline.fire(pipeline.schedule(), MORNING_AFTER)
            runs = pipeline.watch_job_runs(SESSIONS[-1:], before=[])
        assert {file["outcome"] for file in files if file["source"] == "cotahist"} == {"new"}
        assert {run.state for run in runs} == {"SUCCEEDED"}
        assert "as an earlier run has deployed it" in begun[1].getvalue()

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
