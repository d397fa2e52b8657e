"""Three sessions around an ex-date through the deployed pipeline, with recorded answers of B3's.

The quotes are generated, with prices and distribution numbers of the case: a dividend of 0.1334 and interest
on equity of 0.4702, of which 2021-12-17 is the last session with the right, at a close of 16.07. Both leave
(16.07 - 0.1334 - 0.4702) / 16.07 of a former price, which is 15.4664 of that close.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import boto3
import pytest

from lake import keys
from sandbox.b3.formats import (
    HistoricCash,
    IssuerActions,
    Quote,
    encode_cash_history,
    encode_session,
    encode_supplement,
    zip_file,
)
from sandbox.b3.sources import RecordedFolder
from sandbox.pipeline import ScraperFailedError
from scraper.__main__ import DONE, main
from scraper.daily.corporate_actions import Memory
from scraper.raw.bucket import RawBucket
from tests.leading import lead_to
from tests.sandbox.deployed import Deployed, remove_sessions

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

D = Decimal
DAYS = [date(2021, 12, 16), date(2021, 12, 17), date(2021, 12, 20)]
CLOSES = ["16.00", "16.07", "15.40"]
NUMBERS = [124, 124, 126]
ANSWERS = Path("listedCompaniesProxy") / "CompanyCall"


def write_quotes(folder: Path, ticker: str, isin: str, company: str) -> None:
    for day, close, number in zip(DAYS, CLOSES, NUMBERS, strict=True):
        name = f"COTAHIST_D{day:%d%m%Y}"
        quote = replace(
            Quote(codneg=ticker, codisi=isin, nomres=company, especi="ON", dismes=number),
            preabe=D(close),
            premax=D(close),
            premin=D(close),
            premed=D(close),
            preult=D(close),
            voltot=D(close) * Quote().quatot,
        )
        text = encode_session(day, [quote])
        (folder / f"{name}.ZIP").write_bytes(zip_file(text, f"{name}.TXT"))


def generated(folder: Path) -> tuple[str, str]:
    """An answer that is written as B3 writes it."""
    write_quotes(folder, "ZZAA3", "BRZZAAACNOR0", "SIMULADA S/A")
    paid = HistoricCash(
        type_stock="ON",
        approved_on=date(2021, 12, 9),
        value=D("0.1334"),
        corporate_action="DIVIDENDO",
        last_date_prior=DAYS[1],
        closing_price_date=DAYS[1],
        closing_price=D("16.07"),
    )
    interest = replace(paid, value=D("0.4702"), corporate_action="JRS CAP PROPRIO")
    (folder / ANSWERS).mkdir(parents=True)
    issuer = IssuerActions(issuer="ZZAA", trading_name="SIMULADA S/A")
    answers: dict[str, object] = {
        "GetListedSupplementCompany_ZZAA.json": encode_supplement(issuer),
        "GetListedCashDividends_SIMULADA SA.json": encode_cash_history([paid, interest]),
    }
    for name, answer in answers.items():
        (folder / ANSWERS / name).write_text(json.dumps(answer), encoding="utf-8")
    return "ZZAA3", "BRZZAAACNOR0"


def real(folder: Path, b3_files: Path) -> tuple[str, str]:
    """B3's own answers of ABEV3."""
    write_quotes(folder, "ABEV3", "BRABEVACNOR1", "AMBEV S/A")
    shutil.copytree(b3_files / ANSWERS, folder / ANSWERS)
    return "ABEV3", "BRABEVACNOR1"


def load_history(deployed: Deployed) -> None:
    """What a user does once: ask for all that B3 has of the issuers that the raw quotes name."""
    with pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        for name in ("QUOTES_BASE_URL", "INDEX_BASE_URL"):
            environment.setenv(name, deployed.server.base_url)
        stack = deployed.sandbox.deployment.work_group
        assert main(["backfill", "--corporate-actions", "--refresh", "--stack", stack]) == DONE


@pytest.fixture(params=["generated", pytest.param("real", marks=pytest.mark.real)])
def ex_date(
    request: pytest.FixtureRequest, deployed: Deployed, tmp_path: Path
) -> Iterator[tuple[Deployed, str, str]]:
    """The sandbox after three mornings, the paper's ticker and its ISIN."""
    if request.param == "real":
        ticker, isin = real(tmp_path, request.getfixturevalue("b3_files"))
    else:
        ticker, isin = generated(tmp_path)
    pipeline, served = deployed.pipeline, deployed.b3.now
    with pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        raw = RawBucket(deployed.sandbox.deployment.raw_bucket)
        memory = raw.read_actions_memory()  # of years later, when papers of these days are forgotten
        raw.write_actions_memory(Memory().to_json())
    deployed.b3.now = deployed.b3.actions = RecordedFolder(tmp_path, DAYS[-1])
    before = pipeline.job_runs()
    try:
        for day in DAYS:
            morning = datetime.combine(day + timedelta(days=1), datetime.min.time(), UTC).replace(hour=10)
            with pytest.raises(ScraperFailedError) as failed:  # there is no portfolio
                pipeline.fire(pipeline.schedule(), morning)
            assert {file["source"] for file in failed.value.errors} == {"index_portfolio"}
            if day == DAYS[0]:  # a morning asks for the supplement alone, which shows a year of cash
                load_history(deployed)
        pipeline.watch_job_runs(DAYS, before, seen=lambda _run: None)
    finally:
        deployed.b3.now, deployed.b3.actions = served, None
    yield deployed, ticker, isin
    with pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        bucket = deployed.sandbox.deployment.raw_bucket
        boto3.client("s3").delete_object(Bucket=bucket, Key=keys.corporate_actions(ticker[:4]))
        raw.write_actions_memory(memory or Memory().to_json())
        remove_sessions(deployed, DAYS)


def test_a_recorded_answer_gives_the_event_the_factor_and_the_adjusted_close(
    ex_date: tuple[Deployed, str, str], in_sandbox: Deployed
) -> None:
    deployed, ticker, isin = ex_date

    events = deployed.pipeline.query(
        "SELECT ticker, ex_date, kind, label, amount, close_before, split_factor, status, reason "  # noqa: S608
        f"FROM bovespa_events WHERE isin = '{isin}' AND ex_date = DATE '{DAYS[-1]}' ORDER BY kind"
    ).rows
    assert events == [
        [
            *(ticker, "2021-12-20", "dividend", "DIVIDENDO"),
            *("0.13340000000", "16.070000", "1.0", "proven", None),
        ],
        [
            *(ticker, "2021-12-20", "interest", "JRS CAP PROPRIO"),
            *("0.47020000000", "16.070000", "1.0", "proven", None),
        ],
    ]
    product, spans = (
        deployed.pipeline.query(
            f"SELECT exp(sum(ln(total_return_factor))) FROM bovespa_events WHERE isin = '{isin}' "  # noqa: S608
            f"AND ex_date = DATE '{DAYS[-1]}'"
        ).rows,
        deployed.pipeline.query(
            "SELECT first_session, last_session, split_factor, total_return_factor "  # noqa: S608
            f"FROM bovespa_factors WHERE isin = '{isin}' ORDER BY first_session"
        ).rows,
    )
    factor = float((D("16.07") - D("0.1334") - D("0.4702")) / D("16.07"))
    assert [float(str(value)) for (value,) in product] == [pytest.approx(factor, rel=1e-12)]
    assert [row[:3] for row in spans] == [
        ["2021-12-16", "2021-12-17", "1.0"],
        ["2021-12-20", "2021-12-20", "1.0"],
    ]
    assert [float(str(row[3])) for row in spans] == [pytest.approx(factor, rel=1e-15), 1.0]
    closes = deployed.pipeline.query(
        "SELECT close, close_adjusted, close_total_return, adjustment_reason FROM bovespa_daily_adjusted "  # noqa: S608
        f"WHERE isin = '{isin}' ORDER BY trade_date"
    ).rows
    assert [row[0] for row in closes] == ["16.000000", "16.070000", "15.400000"]
    assert [float(str(row[1])) for row in closes] == [16.0, 16.07, 15.4]
    assert [float(str(row[2])) for row in closes] == [
        pytest.approx(16 * factor),
        pytest.approx(15.4664),  # 16.07 - 0.1334 - 0.4702
        15.4,
    ]
    assert [row[3] for row in closes] == [None, None, None]
