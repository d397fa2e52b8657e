"""`python -m scraper backfill --corporate-actions`: whom it finds in the quotes, asks, and asks again."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pytest

from lake import keys
from sandbox.b3.formats import IssuerActions, Quote
from sandbox.b3.server import CASH_HISTORY_PATH, Answer, B3Server, SupplementRequest, parse_actions_request
from scraper.__main__ import DONE, FILES_FAILED, INTERRUPTED, NOT_STARTED, main
from scraper.b3.client import B3Client
from scraper.daily.ingest import store_session
from scraper.raw.bucket import MergedActions, OvertakenError, RawBucket
from tests.fixtures.both_ends import Bucket, Shelves, historic, isin, paid

FIRST, SECOND = date(2024, 11, 7), date(2024, 11, 8)
LONG_AGO = date(1999, 3, 1)
THIS = ["backfill", "--corporate-actions"]


@pytest.fixture(autouse=True)
def at_once(terminal: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scraper.b3.client.ATTEMPTS", 1)


def quote(issuer: str, name: str, **values: Any) -> Quote:
    return Quote(**({"codneg": f"{issuer}3", "codisi": isin(issuer), "nomres": name} | values))


def put_session(bucket: Bucket, shelves: Shelves, day: date, *quotes: Quote) -> None:
    shelves.put_session(day, *quotes)
    content = shelves.files[f"COTAHIST_D{day:%d%m%Y}.ZIP"]
    store_session(RawBucket(bucket.name), day, content, address="https://example.org/B3")


def asked(b3: B3Server) -> list[str]:
    """Each call, by what it asks for; what was seen is then forgotten."""
    calls = []
    for seen in b3.requests_seen:
        request = parse_actions_request(unquote(seen.path))
        if isinstance(request, SupplementRequest):
            calls.append(f"{'fund ' if request.is_fund else ''}{request.issuer}")
        else:
            calls.append(f"{request.trading_name} {request.page_number}")
    b3.requests_seen.clear()
    return calls


def rows(bucket: Bucket, issuer: str) -> list[tuple[str, Decimal | None]]:
    table = RawBucket(bucket.name).read_actions(issuer)
    assert table is not None
    return [(row["call"], row["rate"]) for row in table.to_pylist()]


@pytest.fixture
def market(bucket: Bucket, shelves: Shelves) -> None:
    """A company that has changed its name, one that is listed no more, a fund, and one that B3 never knew."""
    put_session(
        bucket, shelves, FIRST, quote("ZZAA", "ANTIGA"), quote("ZZBB", "SAIU S/A"), quote("ZZQQ", "NINGUEM")
    )
    put_session(
        bucket,
        shelves,
        SECOND,
        quote("ZZAA", "NOVA"),
        quote("ZZFF", "FII ZZFF", codneg="ZZFF11", codbdi="12"),
        quote("ZZOO", "DE OPCAO", codneg="ZZOOA10", tpmerc="070", prazot="000", datven=SECOND),
    )
    history = tuple(historic(f"0.{number:03}", LONG_AGO) for number in range(1, 151))
    shelves.put_actions(
        IssuerActions(issuer="ZZAA", trading_name="NOVA", cash=(paid("ZZAA", FIRST),), history=history)
    )
    past = (historic("2.5", LONG_AGO),)
    shelves.put_actions(IssuerActions(issuer="ZZBB", trading_name="SAIU S/A", is_listed=False, history=past))
    shelves.put_actions(
        IssuerActions(issuer="ZZFF", trading_name="FII ZZFF", is_fund=True, cash=(paid("ZZFF", FIRST),))
    )


@pytest.mark.usefixtures("market")
def test_all_issuers_of_the_cash_market_are_asked_for_by_code_and_by_each_name(
    b3: B3Server, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(THIS) == DONE
    assert asked(b3) == [
        *("ZZAA", "ANTIGA 1", "NOVA 1", "NOVA 2"),
        *("ZZBB", "SAIU SA 1"),
        "fund ZZFF",
        *("ZZQQ", "NINGUEM 1"),
    ]
    assert len(rows(bucket, "ZZAA")) == 151
    assert rows(bucket, "ZZBB") == [("cash_history", Decimal("2.5"))]
    assert rows(bucket, "ZZFF") == [("funds", Decimal("0.5"))]
    assert keys.corporate_actions("ZZQQ") not in set(bucket.keys())
    # Eight calls as far as is known before; the history of NOVA has a second page
    assert capsys.readouterr().out.splitlines() == [
        "2 sessions name 4 issuers, of which 4 are to be asked: 8 calls at least, about 0 min",
        "4 issuers asked by 9 calls  153 events new  1 unknown to B3  0 failed",
    ]


@pytest.mark.usefixtures("market")
def test_what_was_asked_is_not_asked_again_but_for_new_names_and_sessions(
    b3: B3Server, bucket: Bucket, shelves: Shelves
) -> None:
    main(THIS)
    asked(b3)
    before = bucket.versions()
    assert main(THIS) == DONE
    assert asked(b3) == []
    written = {key for key, _ in bucket.versions() - before}
    assert written <= {keys.ACTIONS_BACKFILL}
    put_session(bucket, shelves, date(2024, 11, 11), quote("ZZBB", "SAIU"), quote("ZZCC", "CHEGOU"))
    assert main(THIS) == DONE
    assert asked(b3) == ["SAIU 1", "ZZCC", "CHEGOU 1"]
    assert main([*THIS, "--refresh"]) == DONE
    assert len(asked(b3)) == 12


@pytest.mark.usefixtures("market")
def test_what_is_said_of_an_issuer_is_written_once_however_many_answers_say_it(bucket: Bucket) -> None:
    assert main(THIS) == DONE
    written = Counter(key for key, _ in bucket.versions() if key.startswith(keys.CORPORATE_ACTIONS))
    assert written == {keys.corporate_actions(issuer): 1 for issuer in ("ZZAA", "ZZBB", "ZZFF")}


@pytest.mark.usefixtures("market")
def test_what_an_issuer_was_answered_before_an_interruption_is_kept(
    b3: B3Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(B3Client, "cash_history_page", interrupt)
        assert main(THIS) == INTERRUPTED
    assert (asked(b3), rows(bucket, "ZZAA")) == (["ZZAA"], [("supplement", Decimal("0.5"))])
    assert main(THIS) == DONE
    assert asked(b3)[:4] == ["ANTIGA 1", "NOVA 1", "NOVA 2", "ZZBB"]
    assert len(rows(bucket, "ZZAA")) == 151


@pytest.mark.usefixtures("market")
def test_an_issuer_whose_answers_are_not_written_is_asked_for_all_of_them_again(
    b3: B3Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    merge = RawBucket.merge_actions

    def refuse_one(raw: RawBucket, issuer: str, said: pa.Table, **more: Any) -> MergedActions:
        if issuer == "ZZBB":
            raise OvertakenError("written by others")
        return merge(raw, issuer, said, **more)

    with monkeypatch.context() as refused:
        refused.setattr(RawBucket, "merge_actions", refuse_one)
        assert main(THIS) == FILES_FAILED
    assert "ZZBB  failed  written by others" in capsys.readouterr().out
    asked(b3)
    assert main(THIS) == DONE
    assert asked(b3) == ["ZZBB", "SAIU SA 1"]


@pytest.mark.usefixtures("market")
def test_the_plan_asks_and_writes_nothing(
    b3: B3Server, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    before = bucket.versions()
    assert main([*THIS, "--dry-run"]) == DONE
    assert (asked(b3), bucket.versions()) == ([], before)
    assert "4 are to be asked: 8 calls at least" in capsys.readouterr().out


@pytest.mark.usefixtures("market")
def test_one_that_fails_is_told_and_asked_again_by_the_same_command(
    b3: B3Server, bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    b3.script(CASH_HISTORY_PATH, [Answer(body=b"{}")])
    assert main(THIS) == FILES_FAILED
    printed = capsys.readouterr().out
    assert "ZZAA  failed  http://127.0.0.1" in printed
    assert "field page: found null, expected a JSON object" in printed
    assert "1 failed" in printed
    assert any(key.startswith("quarantine/corporate_actions/") for key in set(bucket.keys()))
    asked(b3)
    assert main(THIS) == DONE
    assert asked(b3) == ["ANTIGA 1", "NOVA 1", "NOVA 2"]


@pytest.mark.usefixtures("market")
def test_what_is_new_in_the_answers_is_told_once(
    shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = replace(historic("2.5", LONG_AGO), corporate_action="BONUS")
    shelves.put_actions(
        IssuerActions(issuer="ZZBB", trading_name="SAIU S/A", is_listed=False, history=(odd,))
    )
    assert main(THIS) == DONE
    assert capsys.readouterr().out.splitlines()[-1] == (
        "new: corporate action label 'BONUS', in no table and not seen before (times: 1)"
    )
    assert main([*THIS, "--refresh"]) == DONE
    assert "new: " not in capsys.readouterr().out


def test_a_service_that_is_down_is_left_alone_and_what_was_taken_kept(
    b3: B3Server, bucket: Bucket, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    issuers = [f"ZZA{letter}" for letter in "ABCDEFGH"]
    put_session(bucket, shelves, FIRST, *(quote(issuer, issuer) for issuer in issuers))
    for issuer in issuers:
        shelves.put_actions(IssuerActions(issuer=issuer, trading_name=issuer, cash=(paid(issuer, FIRST),)))
    # The first is answered twice, by code and by name; then B3 answers with pages
    page = Answer(body=b"<!DOCTYPE html>")
    answers = [
        Answer(body=json.dumps([]).encode()),
        Answer(body=b'{"page": {"totalPages": 0, "totalRecords": 0}, "results": []}'),
    ]
    b3.script("/listedCompaniesProxy/", [*answers, *[page] * 5])
    assert main(THIS) == FILES_FAILED
    assert len(asked(b3)) == 7
    printed = capsys.readouterr().out
    assert "5 issuers in a row failed" in printed
    assert "6 issuers asked by 7 calls" in printed
    assert main(THIS) == DONE
    assert len(asked(b3)) == 14  # all but the first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "2024"], "--corporate-actions goes without --from"),
        (["--via", "lambda"], "--corporate-actions goes without --via lambda"),
        (["--source", "quarantine"], "--corporate-actions goes without --source quarantine"),
    ],
)
def test_what_is_of_quotes_alone_is_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*THIS, *arguments]) == NOT_STARTED
    assert message in capsys.readouterr().err


def test_without_either_the_command_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backfill"]) == NOT_STARTED
    assert (
        "--from is missing: the first year or day to load, or --corporate-actions" in capsys.readouterr().err
    )


def test_a_damaged_progress_is_told(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    bucket.put(keys.ACTIONS_BACKFILL, b"{}")
    assert main(THIS) == NOT_STARTED
    message = capsys.readouterr().err
    assert "corporate_actions/backfill.json: KeyError" in message
    assert "Delete that object of the raw bucket" in message
