"""The notebook, the README's pictures and the session report, on 62 simulated sessions in the sandbox.

Expectations come from the quotes that the market generated, worked out here, with the table of factors where
prices are compared; total returns are held against what the market knows of each paper, too.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat import NotebookNode

from analysis import pictures, report, session_page
from analysis.athena import Lake, LakeError
from sandbox.b3.sources import SimulatedSource
from scraper.b3.calendar import sessions_between
from tests.leading import lead_to
from tests.notebook_frames import ByHand, NotebookFrames, is_stock
from tests.sandbox.deployed import MARKET, SESSIONS, Deployed, quotes_of
from tests.sandbox.history import actions_known, levels_known, loaded

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]

HISTORY = sessions_between(SESSIONS[0] - timedelta(days=120), SESSIONS[0] - timedelta(days=1))[-60:]
DAYS = [*HISTORY, *SESSIONS]
FRAMES = (
    *("breadth", "sectors", "prices", "index", "options", "risk", "expiries", "returns", "ex_events"),
    "beside",
)


@dataclass(frozen=True, kw_only=True)
class Executed:
    """The notebook after it has run: what its cells show and print, and its frames.

    `of_payer` is what the last section found of a stock that has paid: `returns` and `ex_events`. `of_few` is
    the notebook of the third session, of prices as traded.
    """

    shown: dict[str, str]
    printed: str
    of_few: NotebookNode
    frames: dict[str, pd.DataFrame]
    ticker: str
    of_payer: dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def lake(deployed: Deployed) -> Iterator[Lake]:
    with pytest.MonkeyPatch.context() as environment:
        lead_to(deployed.sandbox.aws, environment)
        environment.setenv("STACK_NAME", deployed.sandbox.deployment.work_group)
        known = actions_known(deployed, SimulatedSource(DAYS, MARKET))
        with known, loaded(deployed, HISTORY), levels_known(deployed, DAYS):
            yield Lake.find()


@pytest.fixture(scope="module")
def by_hand(lake: Lake) -> ByHand:
    factors, events = (
        lake.query(f"SELECT * FROM {table}").to_dict("records")  # noqa: S608 - a table's name
        for table in (lake.factors, lake.events)
    )
    return ByHand(MARKET, DAYS, portfolio_date=SESSIONS[0], factors=factors, events=events)


@pytest.fixture(scope="module")
def payer(by_hand: ByHand) -> str:
    """A stock that has traded throughout, has paid, and of which all is proven."""
    paid = {
        event["ticker"]
        for event in by_hand.events
        if event["status"] == "proven" and event["kind"] in {"dividend", "interest"}
        if DAYS[0] < event["ex_date"] <= DAYS[-1]
    }
    always = [ticker for ticker in sorted(paid) if all(ticker in by_hand.cash[day] for day in DAYS)]
    return str(next(ticker for ticker in always if by_hand.comparable(ticker, DAYS[0], DAYS[-1]) is not None))


@pytest.fixture(scope="module")
def executed(lake: Lake, payer: str, tmp_path_factory: pytest.TempPathFactory) -> Executed:
    folder = tmp_path_factory.mktemp("notebook")
    notebook = pictures.load({"LANGUAGE": "en"})
    (last,) = (cell.source for cell in notebook.cells if cell.id == "total-return")
    again = last.replace("charts.total_return", "of_payer = charts.total_return")  # which shows no second one
    for source in (
        _keeping(folder / "frames.pickle", *FRAMES, "ticker"),
        f"ticker = {payer!r}\n{again}",
        _keeping(folder / "of_payer.pickle", "returns", "ex_events"),
    ):
        notebook.cells.append(nbformat.v4.new_code_cell(source))
    as_traded = {"RETURNS": "traded", "LEVELS": "traded"}
    of_few = pictures.load({"SESSION": str(DAYS[2]), "LANGUAGE": "en", **as_traded})
    pictures.execute(notebook, of_few)
    frames, of_payer = (
        pickle.loads((folder / f"{name}.pickle").read_bytes())  # noqa: S301 - written by the cells above
        for name in ("frames", "of_payer")
    )
    return Executed(
        shown=pictures.pictures(notebook),
        printed=_printed(notebook),
        of_few=of_few,
        ticker=frames.pop("ticker"),
        frames=frames,
        of_payer=of_payer,
    )


def _printed(notebook: NotebookNode) -> str:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.get("text", "") for output in outputs)


def _keeping(path: Path, *names: str) -> str:
    """A cell that writes variables of the notebook to a file."""
    kept = ", ".join(f"{name!r}: {name}" for name in names)
    return f"import pickle\nPath({str(path)!r}).write_bytes(pickle.dumps({{{kept}}}))"


@pytest.fixture(scope="module")
def frames(executed: Executed) -> dict[str, pd.DataFrame]:
    return executed.frames | {"levels": executed.frames["beside"]}


@pytest.fixture(scope="module")
def ticker(executed: Executed) -> str:
    return executed.ticker


class TestFrames(NotebookFrames):
    """Those of the notebook."""


def test_the_notebook_shows_a_chart_in_every_section(executed: Executed) -> None:
    assert list(executed.shown) == [
        *("breadth", "sectors", "candles", "treemap", "put-call", "risk", "expiries", "total-return"),
        "against-index",
    ]
    for svg in executed.shown.values():
        assert svg.startswith("<svg")
        assert "Simulated data: no company or price is anybody" in svg
    assert f"60 sessions, {DAYS[-60]} to {DAYS[-1]}\n" in executed.printed
    assert "SIMULATED" in executed.printed


def test_a_stock_returns_what_the_market_knows_that_its_holder_had(
    executed: Executed, by_hand: ByHand
) -> None:
    before, now = MARKET.truth(DAYS[-22]), MARKET.truth(DAYS[-1])
    paid = 0
    for row in executed.frames["risk"].to_dict("records"):
        isin = by_hand.cash[DAYS[-1]][row["ticker"]].codisi
        first, last = (by_hand.close(row["ticker"], day) for day in (DAYS[-22], DAYS[-1]))
        had = 100 * (now[isin] / before[isin] - 1)
        # Closes are rounded to cents, and so are amounts to what B3 writes
        assert row["return_percent"] == pytest.approx(had, abs=200 * 0.01 / min(first, last) + 0.02)
        paid += abs(had - 100 * (last / first - 1)) > 0.5
    assert paid > 0  # or nothing has been shown


def test_total_return_is_held_against_the_price_with_what_went_ex(
    executed: Executed, by_hand: ByHand, payer: str
) -> None:
    found, went_ex = executed.of_payer["returns"], executed.of_payer["ex_events"]
    by_hand.assert_returns(found, went_ex, payer)
    begin, *_, end = found.to_dict("records")
    assert end["total_return"] / begin["total_return"] > end["adjusted"] / begin["adjusted"]
    assert len(went_ex) > 0


def test_the_pictures_are_the_same_bytes_again(lake: Lake, executed: Executed, tmp_path: Path) -> None:
    assert pictures.main(["--output", str(tmp_path)]) == 0
    written = {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    assert len(written) == 2 * len(executed.shown)
    assert {name: written[f"{name}-light.svg"] for name in executed.shown} == executed.shown
    assert all(written[f"{name}-dark.svg"] != svg for name, svg in executed.shown.items())


def test_the_notebook_works_with_fewer_sessions_than_it_wants_and_with_prices_as_traded(
    executed: Executed,
) -> None:
    printed = _printed(executed.of_few)
    assert f"3 sessions, {DAYS[0]} to {DAYS[2]}, of 60 wanted: the lake has no more" in printed
    assert "The lake has 2 daily returns, not 21: read with caution" in printed
    shown = pictures.pictures(executed.of_few)
    assert len(shown) == 9
    assert "no index portfolio for this session" in shown["treemap"]  # history has no weights
    for name in ("candles", "treemap", "risk"):
        assert "not adjusted for splits or distributions" in shown[name]


def test_the_report_has_the_figures_of_the_generated_quotes(
    lake: Lake, by_hand: ByHand, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.html"
    assert report.main(["--language", "pt", "--output", str(path)]) == 0
    assert str(path) in capsys.readouterr().err
    session = session_page.read(lake, None)
    quotes = quotes_of(DAYS[-1])
    found = session_page.summary(session)
    assert found["volume"] == session.raw_volume == sum(quote.voltot for quote in quotes)
    assert found["lines"] == session.raw_lines == len(quotes)
    assert found["trades"] == sum(quote.totneg for quote in quotes)
    assert (found["advances"], found["declines"], found["unchanged"]) == by_hand.breadth()[DAYS[-1]]
    by_day = {row["trade_date"]: row for row in session.history.to_dict("records")}
    assert {
        day: (row["advances"], row["declines"], row["unchanged"]) for day, row in by_day.items()
    } == by_hand.breadth()
    assert by_day[DAYS[-5]]["put_volume"] == by_hand.volume(DAYS[-5], "080")
    text = path.read_text(encoding="utf-8")
    shown = f"{sum(quote.voltot for quote in quotes):,.2f}".translate(str.maketrans(",.", ".,"))
    assert f"{len(quotes)} cotações do arquivo bruto, {shown} reais" in text


def test_the_first_session_of_the_lake_is_reported_against_its_open(lake: Lake, by_hand: ByHand) -> None:
    session = session_page.read(lake, DAYS[0])
    found = session_page.summary(session)
    lines = by_hand.cash[DAYS[0]].values()
    assert not session.has_previous
    assert found["advances"] == sum(line.preult > line.preabe for line in lines if is_stock(line))
    assert found["declines"] == sum(line.preult < line.preabe for line in lines if is_stock(line))


def test_athena_s_own_reason_reaches_the_reader(lake: Lake) -> None:
    with pytest.raises(LakeError, match=r"Athena: .*no_such_column(.|\n)*The query was:"):
        lake.query(f"SELECT no_such_column FROM {lake.table} WHERE trade_date = :day", day=DAYS[-1])  # noqa: S608


def test_a_session_that_is_not_in_the_lake_ends_the_report(
    lake: Lake, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report.main(["--date", "2025-03-15"]) == 1
    said = capsys.readouterr().err
    assert "Session 2025-03-15 is not in" in said
    assert "62 sessions" in said
