"""What was refused, read again from quarantine by the commands, as a person at a terminal does."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

import pytest

import scraper.b3.corporate_actions.reader
import scraper.b3.cotahist.reader
from lake import keys
from sandbox.b3.formats import IssuerActions, Quote, encode_session, zip_file
from sandbox.b3.server import B3Server
from scraper.__main__ import DONE, FILES_FAILED, NOT_STARTED, main
from scraper.b3.corporate_actions.address import of_supplement
from scraper.b3.errors import InvalidData
from scraper.daily.corporate_actions import ask_cash_history, ask_supplement
from scraper.history.corporate_actions import Issuer, Survey
from scraper.raw.bucket import RawBucket
from tests.fixtures.both_ends import Bucket, Shelves, client, historic, paid
from tests.fixtures.operated import Operated

FRIDAY = date(2024, 11, 8)
DAILY = f"raw/cotahist/trade_date={FRIDAY}/daily.parquet"
ZIP = "COTAHIST_D08112024.ZIP"
ADDRESS = "https://bvmf.bmfbovespa.com.br/InstDados/SerHist/COTAHIST_D08112024.ZIP"
BY_QUOTES = zip_file(
    encode_session(FRIDAY, [Quote(codneg="ZZAA3", voltot=Decimal("10.10"))], quotes_counted=True), "A"
)
REPLAY = ["replay", "--date", str(FRIDAY), "--source", "quarantine"]


pytestmark = pytest.mark.usefixtures("operated")


def quarantine(bucket: Bucket, content: bytes = BY_QUOTES, *, day: str = str(FRIDAY)) -> str:
    """Put a session's bytes into quarantine, as the scraper does."""
    return RawBucket(bucket.name).quarantine(
        [content],
        source="cotahist",
        day=date.fromisoformat(day),
        extension="zip",
        address=ADDRESS,
        reason=f"{ADDRESS}, record 3, field TOTAL DE REGISTROS: found '00000000001', expected another",
    )


def keys_below(bucket: Bucket, prefix: str) -> list[str]:
    return list(filter(lambda key: key.startswith(prefix), bucket.keys()))


def days_of(operated: Operated) -> list[str]:
    return [run["--trade_date"] for run in operated.runs()]


def test_a_session_is_read_from_quarantine_once_the_reader_has_learned(
    bucket: Bucket, operated: Operated, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B3's file of 2026, refused by a reader that knows the old trailer alone, which then learns."""
    operated.add_starter(notified=True)
    shelves.files[ZIP] = BY_QUOTES
    shelves.put_portfolio(FRIDAY, "ZZAA3")
    with monkeypatch.context() as before:
        before.setattr(scraper.b3.cotahist.reader, "TrailerCount", _OldTrailerCount)
        assert main(["ingest", "--date", str(FRIDAY)]) == FILES_FAILED
    shelves.files.clear()  # B3 does not serve it again
    (refused,) = keys_below(bucket, "quarantine/")
    address = bucket.metadata(refused)["source"]
    assert address.endswith(ZIP)
    operated.refine(FRIDAY, {"ZZAA3": "10.10"})  # as the run that the arrival starts does
    assert main(REPLAY) == DONE
    assert [row["codneg"] for row in bucket.rows(DAILY)] == ["ZZAA3"]
    metadata = bucket.metadata(DAILY)
    assert (metadata["source"], metadata["trailer-count"]) == (address, "quotes")
    assert days_of(operated) == [str(FRIDAY)]
    assert keys_below(bucket, "quarantine/") == [refused]


class _OldTrailerCount:
    """As readers of version 1 knew it: both ways of counting end in a refusal but that of all records."""

    ALL_RECORDS = "all records"
    QUOTES = None


def test_what_was_written_after_the_refusal_is_left_as_it_is(
    bucket: Bucket, operated: Operated, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    quarantine(bucket)
    shelves.put_session(FRIDAY, Quote(codneg="ZZBB4"))
    assert main(["replay", "--date", str(FRIDAY), "--no-wait"]) == DONE
    before = bucket.versions()
    assert main(REPLAY) == DONE
    assert bucket.versions() == before
    assert "superseded" in capsys.readouterr().out
    assert not operated.runs()


def test_what_was_refused_after_raw_was_written_takes_its_place(
    bucket: Bucket, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelves.put_session(FRIDAY, Quote(codneg="ZZBB4"))
    assert main(["ingest", "--date", str(FRIDAY)]) == FILES_FAILED  # as there is no portfolio
    written = RawBucket(bucket.name).session_written(FRIDAY)
    assert written is not None
    quarantine(bucket)
    monkeypatch.setattr(RawBucket, "session_written", lambda *_: written - timedelta(seconds=1))
    assert main([*REPLAY, "--no-wait"]) == DONE
    assert [row["codneg"] for row in bucket.rows(DAILY)] == ["ZZAA3"]


def test_a_backfilled_session_gives_way_to_its_daily_file(bucket: Bucket, shelves: Shelves) -> None:
    shelves.put_year(2024, {FRIDAY: [Quote(codneg="ZZBB4")]})
    backfill = ["backfill", "--from", str(FRIDAY), "--to", str(FRIDAY), "--no-refine"]
    assert main(backfill) == DONE
    quarantine(bucket)
    assert main([*REPLAY, "--no-wait"]) == DONE
    assert keys_below(bucket, "raw/") == [DAILY]


def test_what_is_refused_again_is_told_and_an_older_file_is_tried(
    bucket: Bucket, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    quarantine(bucket)
    worse = quarantine(bucket, BY_QUOTES[:-30])
    newest_first = RawBucket.quarantined

    def with_the_worse_one_newest(raw: RawBucket, source: str, filed: str) -> object:
        return sorted(newest_first(raw, source, filed), key=lambda refused: refused.key != worse)

    monkeypatch.setattr(RawBucket, "quarantined", with_the_worse_one_newest)
    before = keys_below(bucket, "quarantine/")
    assert main([*REPLAY, "--no-wait"]) == DONE
    refused, read, _ = capsys.readouterr().out.splitlines()
    assert "invalid" in refused
    assert "a damaged ZIP" in refused
    assert "new" in read
    assert keys_below(bucket, "quarantine/") == before


def test_a_session_that_is_still_refused_is_a_failure(
    bucket: Bucket, operated: Operated, capsys: pytest.CaptureFixture[str]
) -> None:
    key = quarantine(bucket, BY_QUOTES[:-30])
    assert main(REPLAY) == FILES_FAILED
    assert key in capsys.readouterr().out
    assert (bucket.keys(), operated.runs()) == ([key, "script.py"], [])


def test_the_portfolios_that_were_refused_on_a_day_are_read_in_all_their_pages(
    bucket: Bucket, b3: B3Server, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves.put_portfolio(FRIDAY, "ZZAA3", "ZZBB4", page_size=1, index="SMLL")
    pages = [json.dumps(json.loads(page), indent=1).encode() for page in shelves.pages["SMLL"]]
    address = f"{b3.base_url}/indexProxy/indexCall/GetPortfolioDay/eyJpbmRleCI6IlNNTEwifQ=="
    RawBucket(bucket.name).quarantine(
        pages, source="index_portfolio", day=FRIDAY, extension="json", address=address, reason="odd"
    )
    assert main(REPLAY) == DONE
    key = f"raw/index_portfolio/portfolio_date={FRIDAY}/SMLL.parquet"
    assert [row["ticker"] for row in bucket.rows(key)] == ["ZZAA3", "ZZBB4"]
    assert bucket.metadata(key)["source"] == address
    assert f"replay --from {FRIDAY} --to <last session> --source raw" in capsys.readouterr().out
    before = bucket.versions()
    assert main(REPLAY) == DONE
    assert bucket.versions() == before


def test_a_portfolio_of_which_nobody_knows_the_index_is_a_failure_that_says_so(
    bucket: Bucket, capsys: pytest.CaptureFixture[str]
) -> None:
    bucket.put(f"quarantine/index_portfolio/{FRIDAY}/ab.json", b"{}")
    assert main(REPLAY) == FILES_FAILED
    assert "does not say of which index it is" in capsys.readouterr().out


def refuse(monkeypatch: pytest.MonkeyPatch, ask: Callable[[], object]) -> None:
    """Ask B3 with readers that have yet to learn how large its answers of corporate actions are."""
    with monkeypatch.context() as before:
        before.setattr(scraper.b3.corporate_actions.reader, "MAX_BYTES", 10)
        with pytest.raises(InvalidData):
            ask()


def actions_of(bucket: Bucket, issuer: str) -> list[tuple[str, Decimal | None, date]]:
    table = RawBucket(bucket.name).read_actions(issuer)
    assert table is not None
    return [(row["call"], row["rate"], row["first_seen"]) for row in table.to_pylist()]


def test_corporate_actions_of_companies_and_funds_are_read_from_quarantine_as_seen_on_their_day(
    *,
    bucket: Bucket,
    b3: B3Server,
    shelves: Shelves,
    operated: Operated,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    raw = RawBucket(bucket.name)
    for issuer, is_fund in (("ZZAA", False), ("ZZFF", True)):
        cash = (paid(issuer, FRIDAY),)
        shelves.put_actions(IssuerActions(issuer=issuer, trading_name="SIMULADA", is_fund=is_fund, cash=cash))
        ask = partial(ask_supplement, client(b3), raw, issuer, is_fund=is_fund, today=FRIDAY)
        refuse(monkeypatch, ask)
    assert main(REPLAY) == DONE
    assert actions_of(bucket, "ZZAA") == [("supplement", Decimal("0.5"), FRIDAY)]
    assert actions_of(bucket, "ZZFF") == [("funds", Decimal("0.5"), FRIDAY)]
    assert bucket.metadata(keys.corporate_actions("ZZAA"))["source"].startswith(b3.base_url)
    *taken, told = capsys.readouterr().out.splitlines()
    assert sorted(" ".join(line.split()[:5]) for line in taken) == [
        "corporate_actions ZZAA new 1 rows",
        "corporate_actions ZZFF new 1 rows",
    ]
    assert told.startswith("corporate actions of ZZAA, ZZFF: events and factors take them by the job's next")
    assert not operated.runs()
    before = bucket.versions()
    assert main(REPLAY) == DONE
    assert bucket.versions() == before


def test_a_cash_history_is_kept_in_all_its_pages_under_each_issuer_of_its_trading_name(
    bucket: Bucket, b3: B3Server, shelves: Shelves, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = RawBucket(bucket.name)
    history = tuple(historic(number, FRIDAY) for number in range(1, 151))
    shelves.put_actions(IssuerActions(issuer="ZZAA", trading_name="SIMULADA S/A", history=history))
    with monkeypatch.context() as before:
        before.setattr("scraper.b3.corporate_actions.reader._MAX_SHARES", 0)
        with pytest.raises(InvalidData):
            ask_cash_history(client(b3), raw, "ZZAA", "SIMULADA S/A", today=FRIDAY)
    assert main(REPLAY) == FILES_FAILED  # of whom it is, no quotes have said
    bucket.put(keys.ACTIONS_BACKFILL, b"{}")
    assert main(REPLAY) == FILES_FAILED
    names = {"SIMULADA SA": None}
    survey = Survey(issuers={code: Issuer(names={**names}) for code in ("ZZAA", "ZZBB")})
    survey.issuers["ZZCC"] = Issuer(names={"OUTRA": None})
    raw.write_actions_backfill(survey.to_json())
    assert main(REPLAY) == DONE
    values = [("cash_history", Decimal(number), FRIDAY) for number in range(1, 151)]
    assert [actions_of(bucket, code) for code in ("ZZAA", "ZZBB")] == [values, values]
    assert raw.read_actions("ZZCC") is None


def test_corporate_actions_that_are_still_refused_or_of_nobody_are_failures_that_say_so(
    bucket: Bucket, b3: B3Server, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = RawBucket(bucket.name)
    address = of_supplement(b3.base_url, "ZZAA")
    put = partial(raw.quarantine, source="corporate_actions", day=FRIDAY, extension="json", reason="odd")
    put([b'[{"code": "ZZBB"}]'], address=address)
    put([b"[]"], address="https://example.org/GetSomethingElse/e30=")
    before = bucket.versions()
    assert main(REPLAY) == FILES_FAILED
    printed = capsys.readouterr().out
    assert "corporate_actions ZZAA            invalid" in printed
    assert "ZZAA, which was asked for" in printed
    assert "of no issuer that is known, by its address, https://example.org/GetSomethingElse/" in printed
    assert bucket.versions() == before


def test_a_year_is_loaded_from_quarantine_up_to_the_day_before_it_was_refused(
    bucket: Bucket, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    shelves.put_year(2024, {FRIDAY: [Quote(codneg="ZZAA3")]})
    content = shelves.files.pop("COTAHIST_A2024.ZIP")
    shelves.files["COTAHIST_A2024.ZIP"] = content[:-30]
    backfill = ["backfill", "--from", str(FRIDAY), "--to", str(FRIDAY), "--no-refine"]
    assert main(backfill) == FILES_FAILED
    (refused,) = keys_below(bucket, "quarantine/")
    shelves.files.clear()
    assert main([*backfill, "--source", "quarantine"]) == FILES_FAILED  # it is as damaged as it was
    metadata = bucket.metadata(refused)
    bucket.s3.put_object(Bucket=bucket.name, Key=refused, Body=content, Metadata=metadata)
    assert main([*backfill, "--source", "quarantine"]) == DONE
    key = f"raw/cotahist/trade_date={FRIDAY}/backfill.parquet"
    assert [row["codneg"] for row in bucket.rows(key)] == ["ZZAA3"]
    assert bucket.metadata(key)["source"] == metadata["source"]
    manifest = json.loads(bucket.content("backfill/COTAHIST_A2024.json"))
    assert (manifest["source"], manifest["trailer_count"]) == (metadata["source"], "all records")
    capsys.readouterr()


def test_a_year_that_was_loaded_since_is_loaded_from_quarantine_only_when_that_is_asked_for(
    bucket: Bucket, shelves: Shelves, capsys: pytest.CaptureFixture[str]
) -> None:
    content = shelves.put_year(2024, {FRIDAY: [Quote(codneg="ZZAA3")]})
    bucket.put("quarantine/cotahist/2024/ab.zip", content)
    backfill = ["backfill", "--from", str(FRIDAY), "--to", str(FRIDAY), "--no-refine"]
    assert main(backfill) == DONE
    before = bucket.versions()
    assert main([*backfill, "--source", "quarantine"]) == NOT_STARTED
    assert "no ZIP of 2024 to 2024 that came after what is loaded" in capsys.readouterr().err
    assert bucket.versions() == before
    assert main([*backfill, "--source", "quarantine", "--refresh"]) == DONE


def test_what_keeps_it_from_starting_is_said_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    backfill = ["backfill", "--from", "2024", "--source", "quarantine", "--no-refine"]
    for arguments, message in (
        (REPLAY, f"Quarantine has nothing of {FRIDAY} to {FRIDAY}"),
        ([*REPLAY, "--compact-only"], "--compact-only goes with --source raw"),
        (backfill, "quarantine has no ZIP"),
        ([*backfill, "--dry-run"], "--source quarantine goes with --via local"),
    ):
        assert main(arguments) == NOT_STARTED, arguments
        assert capsys.readouterr().err.splitlines()[-1].startswith(message), arguments
