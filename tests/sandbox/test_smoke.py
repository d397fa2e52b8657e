"""The smoke test of a deployment, on the deployed sandbox: what works passes, what does not is said."""

from __future__ import annotations

from datetime import date

import pytest

from operating import smoke
from operating.stack import outputs
from sandbox.b3.server import Document
from sandbox.b3.sources import SimulatedSource
from tests.sandbox.deployed import MARKET, Deployed, remove_sessions

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

SESSION = date(2025, 2, 20)


class Silent(SimulatedSource):
    """A B3 that has published no quotes."""

    def quotes(self, name: str) -> Document | None:
        return None


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "_PAUSE_SECONDS", 0.2)


@pytest.fixture
def arguments(in_sandbox: Deployed, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(in_sandbox.b3, "now", SimulatedSource([SESSION], MARKET))
    return ["--stack", in_sandbox.sandbox.deployment.work_group, "--date", str(SESSION)]


def test_a_stack_that_works_is_one_whose_last_session_comes_into_the_catalog(
    in_sandbox: Deployed, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert smoke.main(arguments) == 0
        assert SESSION in in_sandbox.pipeline.registered_sessions()
        told = capsys.readouterr().out
        assert "cotahist 2025-02-20: new" in told
        assert told.splitlines()[-1].endswith("works: 2025-02-20 is in bovespa_daily, bovespa_daily_compact")
        # Again: B3 is asked and nothing has to be waited for
        assert smoke.main(arguments) == 0
        assert "cotahist 2025-02-20: unchanged" in capsys.readouterr().out
    finally:
        remove_sessions(in_sandbox, [SESSION])


def test_without_a_file_of_b3_s_the_message_says_so(
    in_sandbox: Deployed,
    arguments: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(in_sandbox.b3, "now", Silent([SESSION], MARKET))
    assert smoke.main(arguments) == 1
    assert "the scraper found no session" in capsys.readouterr().err


@pytest.fixture
def stack(in_sandbox: Deployed) -> smoke.Stack:
    return smoke.Stack.from_outputs(outputs(in_sandbox.sandbox.deployment.work_group))


def test_a_partition_that_does_not_come_is_waited_for_no_longer_than_asked(stack: smoke.Stack) -> None:
    with pytest.raises(smoke.SmokeError, match=r"after 0 s 2025-02-21 is no partition of .* is not started"):
        smoke.wait_for_partition(stack, "2025-02-21", timeout=0)


def test_a_job_run_that_failed_is_an_error_with_its_message(in_sandbox: Deployed, stack: smoke.Stack) -> None:
    in_sandbox.pipeline.start_job(date(2025, 2, 24))  # which raw does not have
    with pytest.raises(smoke.SmokeError, match=r"job run of 2025-02-24, .* is FAILED: .*2025-02-24"):
        smoke.wait_for_partition(stack, "2025-02-24", timeout=120)


def test_a_stack_that_is_not_there_is_named(in_sandbox: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke.main(["--stack", "NoSuchStack"]) == 1
    assert "NoSuchStack" in capsys.readouterr().err


def test_a_function_that_fails_is_an_error_with_its_log(
    in_sandbox: Deployed, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(SimulatedSource):
        def quotes(self, name: str) -> Document | None:
            return Document(body=b"PK no zip", content_type="application/zip")

    monkeypatch.setattr(in_sandbox.b3, "now", Broken([SESSION], MARKET))
    with pytest.raises(smoke.SmokeError, match=r"the scraper failed: .*cotahist 2025-02-20"):
        smoke.scrape(in_sandbox.sandbox.deployment.scraper_function, str(SESSION))
