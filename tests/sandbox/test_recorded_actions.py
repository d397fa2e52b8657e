"""Three sessions around an ex-date through the deployed pipeline, with recorded answers of B3's.

The quotes are generated, with prices and distribution numbers of the case: a dividend and interest on equity,
of which 2021-12-17 is the last session with the right, are one ex-date with two events. Both together leave
(close - dividend - interest) / close of a former price. The answer is B3's own or, of an invented paper,
written as B3 writes it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

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
from scraper.daily.corporate_actions import Memory
from scraper.raw.bucket import RawBucket
from tests.leading import lead_to
from tests.sandbox.deployed import Deployed, morning_after, remove_sessions
from tests.sandbox.history import actions_known

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

D = Decimal
DAYS = [date(2021, 12, 16), date(2021, 12, 17), date(2021, 12, 20)]
NUMBERS = [124, 124, 126]
ANSWERS = Path("listedCompaniesProxy") / "CompanyCall"


@dataclass(frozen=True, kw_only=True)
class Case:
    """A paper around its ex-date.

    Attributes:
        ticker: Its ticker.
        isin: Its ISIN.
        company: Its trading name.
        closes: Of the three sessions [BRL].
        dividend: Per share [BRL].
        interest: Per share [BRL].
        left: The second close less both [BRL].
    """

    ticker: str
    isin: str
    company: str
    closes: tuple[str, str, str]
    dividend: str
    interest: str
    left: float


INVENTED = Case(
    ticker="ZZAA3",
    isin="BRZZAAACNOR0",
    company="SIMULADA S/A",
    closes=("20.00", "25.00", "23.50"),
    dividend="0.50",
    interest="0.75",
    left=23.75,
)
REAL = Case(
    ticker="ABEV3",
    isin="BRABEVACNOR1",
    company="AMBEV S/A",
    closes=("16.00", "16.07", "15.40"),
    dividend="0.1334",
    interest="0.4702",
    left=15.4664,
)


def write_quotes(folder: Path, cases: Sequence[Case]) -> None:
    for place, day in enumerate(DAYS):
        name = f"COTAHIST_D{day:%d%m%Y}"
        text = encode_session(day, [_quote(case, place) for case in cases])
        (folder / f"{name}.ZIP").write_bytes(zip_file(text, f"{name}.TXT"))


def _quote(case: Case, place: int) -> Quote:
    close = D(case.closes[place])
    quote = Quote(
        codneg=case.ticker, codisi=case.isin, nomres=case.company, especi="ON", dismes=NUMBERS[place]
    )
    prices: dict[str, Any] = dict.fromkeys(("preabe", "premax", "premin", "premed", "preult"), close)
    return replace(quote, **prices, voltot=close * quote.quatot)


def write_answers(folder: Path, case: Case) -> None:
    paid = HistoricCash(
        type_stock="ON",
        approved_on=date(2021, 12, 1),
        value=D(case.dividend),
        corporate_action="DIVIDENDO",
        last_date_prior=DAYS[1],
        closing_price_date=DAYS[1],
        closing_price=D(case.closes[1]),
    )
    interest = replace(paid, value=D(case.interest), corporate_action="JRS CAP PROPRIO")
    issuer = IssuerActions(issuer=case.ticker[:4], trading_name=case.company)
    answers: dict[str, object] = {
        f"GetListedSupplementCompany_{issuer.issuer}.json": encode_supplement(issuer),
        f"GetListedCashDividends_{case.company.replace('/', '')}.json": encode_cash_history([paid, interest]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, answer in answers.items():
        (folder / name).write_text(json.dumps(answer), encoding="utf-8")


@pytest.fixture(scope="module")
def real_answers(request: pytest.FixtureRequest) -> Path | None:
    """The folder with B3's own answers; None where there is none."""
    try:
        files: Path = request.getfixturevalue("b3_files")
    except pytest.skip.Exception:
        return None
    return files / ANSWERS


@pytest.fixture(scope="module")
def ex_date(
    deployed: Deployed, tmp_path_factory: pytest.TempPathFactory, real_answers: Path | None
) -> Iterator[None]:
    """The sandbox after three mornings of both papers; of the real one, where B3's answers are there."""
    folder = tmp_path_factory.mktemp("recorded")
    if real_answers is not None:
        shutil.copytree(real_answers, folder / ANSWERS)
    write_answers(folder / ANSWERS, INVENTED)
    write_quotes(folder, [INVENTED] if real_answers is None else [INVENTED, REAL])
    pipeline = deployed.pipeline
    source = RecordedFolder(folder, DAYS[-1])

    def come(day: date) -> None:
        with pytest.raises(ScraperFailedError) as failed:  # there is neither portfolio nor level
            pipeline.fire(pipeline.schedule(), morning_after(day))
        assert {file["source"] for file in failed.value.errors} == {"index_portfolio", "index_level"}

    with pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        raw = RawBucket(deployed.sandbox.deployment.raw_bucket)
        memory = raw.read_actions_memory()  # of years later, when papers of these days are forgotten
        raw.write_actions_memory(Memory().to_json())
        before = pipeline.job_runs()
        try:
            with deployed.b3.serving(source):
                come(DAYS[0])
                # A morning asks for the supplement alone, which shows a year of cash
                with actions_known(deployed, source):
                    for day in DAYS[1:]:
                        come(day)
                    pipeline.watch_job_runs(DAYS, before)
                    yield
        finally:
            raw.write_actions_memory(memory or Memory().to_json())
            remove_sessions(deployed, DAYS)


@pytest.mark.usefixtures("ex_date")
@pytest.mark.parametrize(
    "case",
    [pytest.param(INVENTED, id="generated"), pytest.param(REAL, id="real", marks=pytest.mark.real)],
)
def test_a_recorded_answer_gives_the_event_the_factor_and_the_adjusted_close(
    case: Case, real_answers: Path | None, in_sandbox: Deployed
) -> None:
    if case is REAL and real_answers is None:
        pytest.skip("no real files of B3; set B3_FILES to the folder that holds InstDados/")
    deployed, isin, before = in_sandbox, case.isin, D(case.closes[1])

    events = deployed.pipeline.query(
        "SELECT ticker, ex_date, kind, label, amount, close_before, split_factor, status, reason "  # noqa: S608
        f"FROM bovespa_events WHERE isin = '{isin}' AND ex_date = DATE '{DAYS[-1]}' ORDER BY kind"
    ).rows
    assert events == [
        [
            *(case.ticker, "2021-12-20", "dividend", "DIVIDENDO"),
            *(f"{D(case.dividend):.11f}", f"{before:.6f}", "1.0", "proven", None),
        ],
        [
            *(case.ticker, "2021-12-20", "interest", "JRS CAP PROPRIO"),
            *(f"{D(case.interest):.11f}", f"{before:.6f}", "1.0", "proven", None),
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
    factor = float((before - D(case.dividend) - D(case.interest)) / before)
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
    first, _, last = map(float, case.closes)
    assert [row[0] for row in closes] == [f"{D(close):.6f}" for close in case.closes]
    assert [float(str(row[1])) for row in closes] == [*map(float, case.closes)]
    assert [float(str(row[2])) for row in closes] == [
        pytest.approx(first * factor),
        pytest.approx(case.left),
        last,
    ]
    assert [row[3] for row in closes] == [None, None, None]
