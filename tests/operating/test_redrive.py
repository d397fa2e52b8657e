"""`python -m scraper redrive`: which dead letters go back to the starter, and which stay."""

from __future__ import annotations

from datetime import date

import boto3
import pytest
from botocore.client import BaseClient

from scraper.__main__ import DONE, FILES_FAILED, NOT_STARTED, main
from tests.fixtures.operated import Operated, arrival

THURSDAY, FRIDAY = date(2024, 11, 7), date(2024, 11, 8)


@pytest.fixture(autouse=True)
def _started_alone(operated: Operated) -> None:
    """What a run does is of no interest here."""
    operated.job_does_nothing()


def days_of(operated: Operated) -> list[str]:
    return sorted(run["--trade_date"] for run in operated.runs())


def test_each_letter_starts_its_runs_and_is_deleted(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    operated.add_starter()
    operated.put_letter(arrival(THURSDAY))
    operated.put_letter(arrival(FRIDAY, THURSDAY))
    for _ in range(9):  # more in all than one call receives
        operated.put_letter(arrival(FRIDAY))
    assert main(["redrive"]) == DONE
    assert days_of(operated) == [str(THURSDAY)] * 2 + [str(FRIDAY)] * 10
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "11 messages done and deleted, 0 stay"
    assert {f"  {FRIDAY}, {THURSDAY}  " in line for line in lines[:-1]} == {True, False}
    assert operated.letters() == 0
    assert main(["redrive"]) == DONE
    assert capsys.readouterr().out == "The dead-letter queue is empty\n"


def test_a_dry_run_says_what_there_is_and_leaves_it_there(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    operated.add_starter()
    operated.put_letter(arrival(FRIDAY), error="ThrottlingException: Rate exceeded")
    assert main(["redrive", "--dry-run"]) == DONE
    letter, total = capsys.readouterr().out.splitlines()
    assert letter.endswith(f"  {FRIDAY}  200 ThrottlingException: Rate exceeded")
    assert total == "1 message on the dead-letter queue; nothing was done"
    # At once, not only after the time for which it was hidden
    assert (operated.letters(), operated.runs()) == (1, [])


def test_a_letter_that_fails_again_stays_with_its_reason(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    operated.add_starter(job="no-such-job")
    operated.put_letter(arrival(FRIDAY))
    assert main(["redrive"]) == FILES_FAILED
    letter, total = capsys.readouterr().out.splitlines()
    assert "  stays, as the starter failed: " in letter
    assert letter.endswith(
        "(EntityNotFoundException) when calling the StartJobRun operation: Job no-such-job not found"
    )
    assert total == "0 messages done and deleted, 1 stay"
    assert operated.letters() == 1


def test_letters_that_nobody_understands_stay_and_the_others_go_back(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    reasons = {
        "not JSON": "its body is no JSON: 'not JSON'",
        '{"Records": []}': "its body is no S3 event: ",
        "[1]": "its body is no S3 event: '[1]'",
        '{"Records": [{"s3": 1}]}': "it reports no object: ",
        arrival("yesterday"): "its object 'raw/cotahist/trade_date=yesterday/daily.parquet' is no daily",
        arrival("2024-02-30"): "its object 'raw/cotahist/trade_date=2024-02-30/daily.parquet' is no daily",
    }
    operated.add_starter()
    for body in reasons:
        operated.put_letter(body, error="UnexpectedEvent")
    operated.put_letter(arrival(FRIDAY))
    assert main(["redrive"]) == FILES_FAILED
    *lines, total = capsys.readouterr().out.splitlines()
    staying = [line for line in lines if line.endswith("The starter had said: 200 UnexpectedEvent")]
    for reason in reasons.values():
        assert [line for line in staying if f"  stays, as {reason}" in line], reason
    assert total == "1 message done and deleted, 6 stay"
    assert (days_of(operated), operated.letters()) == ([str(FRIDAY)], 6)


def test_a_limit_leaves_the_rest(operated: Operated) -> None:
    operated.add_starter()
    for _ in range(3):
        operated.put_letter(arrival(FRIDAY))
    assert main(["redrive", "--limit", "2"]) == DONE
    assert (len(operated.runs()), operated.letters()) == (2, 1)


def test_a_letter_is_not_lost_when_its_deletion_fails(
    operated: Operated, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    operated.add_starter()
    operated.put_letter(arrival(FRIDAY))
    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def refuse(client: object, operation: str, parameters: object) -> object:
        if operation == "DeleteMessage":
            message = "User: me is not authorized to perform: sqs:deletemessage on resource: the queue"
            raise boto3.client("sqs").exceptions.ClientError(
                {"Error": {"Code": "AccessDenied", "Message": message}}, operation
            )
        return call(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", refuse)
    assert main(["redrive"]) == NOT_STARTED
    assert capsys.readouterr().err.splitlines()[-1].startswith("Not allowed: sqs:deletemessage.")
    assert operated.letters() == 1
    monkeypatch.undo()


def test_a_starter_that_does_not_exist_is_said_in_a_line_and_no_letter_is_touched(
    operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    operated.put_letter(arrival(FRIDAY))
    assert main(["redrive"]) == NOT_STARTED
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"There is no function {operated.starter}. Name the one of the stack's output StarterFunction"
    )
    assert operated.letters() == 1
