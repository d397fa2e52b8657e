"""What a run of the sandbox begins with: the lake of the last run, or an empty one."""

from __future__ import annotations

import json
import shutil
from datetime import date
from io import StringIO
from pathlib import Path

import pytest

from sandbox import environment
from sandbox.arguments import LIVE, SIMULATED
from sandbox.b3.market import SimulatedMarket
from sandbox.b3.sources import SimulatedSource
from sandbox.console import Show
from sandbox.environment import _emulator, b3_server, prepare_folder
from sandbox.ministack import MiniStack
from sandbox.request import Request

WEDNESDAY, THURSDAY = date(2025, 3, 12), date(2025, 3, 13)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "HOME", tmp_path)
    return tmp_path


def keep_lake(home: Path, kind: str, newest: date) -> Path:
    """Leave behind what a run up to a session leaves; return a file in it."""
    (home / kind / "lake" / "raw" / "cotahist" / f"trade_date={newest}").mkdir(parents=True)
    kept = home / kind / "aws" / "state.json"
    kept.parent.mkdir(parents=True)
    kept.touch()
    return kept


@pytest.mark.parametrize("session", [WEDNESDAY, THURSDAY])
def test_a_lake_is_kept_for_its_newest_session_and_later_ones(home: Path, session: date) -> None:
    kept, shown = keep_lake(home, SIMULATED, WEDNESDAY), StringIO()
    folder = prepare_folder(Request(b3=SIMULATED, sessions=(session,)), fresh=False, show=Show(shown))
    assert kept.exists()
    assert folder == home / SIMULATED
    assert "goes on with the lake of the last run, which has sessions up to 2025-03-12" in shown.getvalue()


def test_a_session_before_the_lakes_newest_begins_an_empty_one(home: Path) -> None:
    kept = keep_lake(home, SIMULATED, THURSDAY)
    prepare_folder(Request(b3=SIMULATED, sessions=(WEDNESDAY,)), fresh=False, show=Show(StringIO()))
    assert not kept.exists()


def test_what_b3_itself_has_served_is_never_dropped_unasked(home: Path) -> None:
    kept = keep_lake(home, LIVE, THURSDAY)
    request = Request(b3=LIVE, sessions=(WEDNESDAY,))
    prepare_folder(request, fresh=False, show=Show(StringIO()))
    assert kept.exists()
    prepare_folder(request, fresh=True, show=Show(StringIO()))
    assert not kept.exists()


def test_each_kind_of_b3_has_a_lake_of_its_own_and_one_link_leads_to_the_last(home: Path) -> None:
    kept = keep_lake(home, LIVE, THURSDAY)
    prepare_folder(Request(b3=SIMULATED, sessions=(WEDNESDAY,)), fresh=True, show=Show(StringIO()))
    assert kept.exists()
    assert (home / "lake").readlink() == Path(SIMULATED, "lake")


def test_b3_is_served_where_it_was_the_last_time(tmp_path: Path) -> None:
    source = SimulatedSource([WEDNESDAY], SimulatedMarket())
    addresses = []
    for _ in range(2):
        with b3_server(source, tmp_path) as b3:
            assert b3 is not None
            addresses.append(b3.base_url)
    assert addresses[0] == addresses[1]


def test_b3_itself_needs_no_server(tmp_path: Path) -> None:
    with b3_server(None, tmp_path) as b3:
        assert b3 is None


def test_a_stack_that_a_run_was_deploying_when_it_ended_is_begun_anew(tmp_path: Path) -> None:
    """Its state says for ever that a deployment is at work on it; CloudFormation would refuse the next."""
    shown = StringIO()
    with MiniStack.start(tmp_path / "aws") as aws:
        aws.client("s3").create_bucket(Bucket="left-behind")
        aws.client("cloudformation").create_change_set(
            StackName="Half",
            ChangeSetName="first",
            ChangeSetType="CREATE",
            TemplateBody=json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}),
        )
    with _emulator(tmp_path, Show(shown)) as aws:
        assert aws.client("s3").list_buckets()["Buckets"] == []
        assert aws.client("cloudformation").describe_stacks()["Stacks"] == []
    assert "was ended while it deployed Half: begins with an empty lake" in shown.getvalue()


def test_a_lake_is_dropped_whole_or_not_at_all(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = keep_lake(home, SIMULATED, THURSDAY)

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    request = Request(b3=SIMULATED, sessions=(WEDNESDAY,))
    with pytest.raises(KeyboardInterrupt):
        prepare_folder(request, fresh=True, show=Show(StringIO()))
    assert kept.exists()
    removed: list[Path] = []
    monkeypatch.setattr(shutil, "rmtree", lambda path, **_: removed.append(path))
    prepare_folder(request, fresh=True, show=Show(StringIO()))
    assert not (home / SIMULATED / "aws").exists()
    assert not (home / SIMULATED / "lake").exists()
    assert removed[-1] == home / SIMULATED / "dropped"


@pytest.mark.parametrize("remembered", ["", "none"])
def test_a_port_that_was_not_written_whole_is_forgotten(tmp_path: Path, remembered: str) -> None:
    (tmp_path / "b3-port").write_text(remembered)
    with b3_server(SimulatedSource([WEDNESDAY], SimulatedMarket()), tmp_path) as b3:
        assert b3 is not None
        assert (tmp_path / "b3-port").read_text() == b3.base_url.rpartition(":")[2]
