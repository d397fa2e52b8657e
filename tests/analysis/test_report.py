"""The session report as a page: its figures, its languages, and that it needs nobody."""

from __future__ import annotations

import base64
import re
from datetime import date
from decimal import Decimal
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import report, session_page, style
from analysis.athena import Window
from analysis.session_page import Session, page, summary
from refinement.columns import EVENT_COLUMNS
from tests.analysis.frames import event, session, stock
from tests.analysis.frames import levels as levels_of

SMALL = Decimal("999999.99")
STOCKS = [
    stock(
        "ZXAA3",
        volume=Decimal("2000000000.10"),
        cash_volume=Decimal("1999000000.10"),
        call_volume=Decimal("800000.00"),
        put_volume=Decimal("200000.00"),
        option_series=7,
        next_expiry=date(2031, 1, 17),
        days_to_expiry=10,
        index_weight=Decimal("75.000"),
        sector="Financeiro / Seguros",
        trades=123_456,
        lines=9,
    ),
    stock("ZXBB4", close=Decimal("9.000000"), index_weight=Decimal("25.000"), sector="Saúde / Hospitais"),
    stock("ZXCC3", close=Decimal("10.000000")),
    stock("ZXDD3", close=Decimal("20.000000"), cash_volume=SMALL, volume=SMALL),
    stock("ZXEE3", previous_close=None, open=Decimal("8.000000"), close=Decimal("10.000000")),
    stock(
        "ZXFF3",
        close=None,
        open=None,
        previous_close=None,
        cash_volume=Decimal("0.00"),
        odd_lot_volume=Decimal("2000000.10"),
    ),
]


class Reader(HTMLParser):
    """What a page holds; it fails on a tag that is not closed, or closed where it is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        self.attributes: list[tuple[str, str, str]] = []
        self.images: list[dict[str, str]] = []
        self.ids: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self._rows: list[list[str]] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.attributes += [(tag, name, value) for name, value in values.items()]
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "img":
            self.images.append(values)
        if tag == "table":
            self._rows = self.tables[values["aria-labelledby"]] = []
        if tag == "tr":
            self._rows.append([])
        if tag in {"th", "td"}:
            self._rows[-1].append("")
        if tag not in {"meta", "link", "img", "source"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self._open:
            return
        words = data.replace("\u00a0", " ")
        self.text += words
        if "table" in self._open and ("td" in self._open or "th" in self._open):
            self._rows[-1][-1] = " ".join(f"{self._rows[-1][-1]} {words}".split())


@cache
def text_in(language: str) -> str:
    return page(session(STOCKS), language)


@pytest.fixture(scope="module")
def english() -> Reader:
    return Reader(text_in("en"))


@pytest.fixture(scope="module")
def portuguese() -> Reader:
    return Reader(text_in("pt"))


def undrawn(shown: Session, language: str = "en") -> str:
    """The page of a session whose charts have all but their lines and areas, which take most of its time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "svg", lambda _: "<svg/>")
        return page(shown, language)


EVIL = "<script>x</script>&\"'"


def bare_page() -> str:
    """Of B3's own session, whose rows are not all that there is, without events and without a portfolio."""
    stocks = [stock("ZXAA3", company=EVIL), stock("ZXBB4", trades=None)]
    none = pd.DataFrame([event("ZXAA3")]).iloc[:0]
    return undrawn(session(stocks, events=none, simulated=False, raw_lines=20))


@pytest.fixture(scope="module")
def bare_text() -> str:
    return bare_page()


@pytest.fixture(scope="module")
def bare(bare_text: str) -> Reader:
    return Reader(bare_text)


def test_the_figures_of_a_session_are_those_of_its_stocks() -> None:
    found = summary(session(STOCKS))
    assert found["volume"] == Decimal("2000000000.10") + 4 * Decimal("2000000.10") + SMALL
    assert (found["stocks"], found["trades"], found["lines"]) == (6, 123_456 + 5 * 100, 9 + 5 * 2)
    assert found["put_call"] == Decimal("0.25")
    # ZXEE3 has no previous close and ZXFF3 no close: neither rose nor fell
    assert (found["advances"], found["declines"], found["unchanged"]) == (2, 1, 1)
    # 5 percent at three quarters of the weight, -10 percent at one
    assert found["members"] == 2
    assert found["members_percent"] == pytest.approx(1.25)


def test_the_index_s_own_change_is_by_its_closes_and_not_across_a_new_base() -> None:
    levels = levels_of(2).assign(level=[100.0, 98.5])
    found = summary(session(STOCKS, levels=levels))
    assert (found["index_level"], found["index_percent"]) == (98.5, pytest.approx(-1.5))
    rebased = summary(session(STOCKS, levels=levels.assign(note=pd.Series([None, "new base"]))))
    assert (rebased["index_level"], rebased["index_percent"]) == (98.5, None)
    assert summary(session(STOCKS, levels=levels.head(1)))["index_level"] is None
    text = Reader(undrawn(session(STOCKS, levels=levels, index="SMLL"))).text
    assert "SMLL" in text
    assert "98.50 points, by B3" in text
    assert "IBOV" not in text


def test_a_price_of_nothing_is_no_reference() -> None:
    free = stock("ZXGG3", previous_close=None, open=Decimal("0.000000"))
    found = summary(session([*STOCKS, free]))
    assert (found["stocks"], found["advances"]) == (7, 2)


def test_gainers_and_losers_are_ranked_above_the_floor(english: Reader) -> None:
    head, *rows = english.tables["gainers"]
    assert head == ["Stock", "Change", "Close, R$", "Volume, R$ mn"]
    assert rows == [
        ["ZXEE3 SIMULADA 001", "+25.00% *", "10.00", "2.0"],  # against its open
        ["ZXAA3 SIMULADA 001", "+5.00%", "10.50", "2,000.0"],
    ]
    assert english.tables["losers"][1:] == [["ZXBB4 SIMULADA 001", "−10.00%", "9.00", "2.0"]]
    assert "at least R$ 1 mn in the cash market" in english.text


def test_the_most_traded_come_with_share_trades_and_change(english: Reader) -> None:
    first = english.tables["most-traded"][1]
    assert first == ["ZXAA3 SIMULADA 001", "2,000.0", "99.6%", "123,456", "+5.00%"]
    assert english.tables["most-traded"][6] == ["ZXFF3 SIMULADA 001", "2.0", "0.1%", "100", "–"]


def test_markets_add_up_to_the_session(english: Reader) -> None:
    rows = english.tables["by-market"][1:]
    assert rows[0] == ["Cash", "2,006.0", "99.9%"]  # 1,999 + 3 times 2 + 0.999999...
    assert [row[0] for row in rows[1:4]] == ["Odd lot", "Calls, premiums", "Puts, premiums"]
    assert rows[2][1:] == ["0.8", "0.0%"]


def test_in_portuguese_words_and_numbers_are_portuguese(portuguese: Reader) -> None:
    assert "Pregão de terça-feira, 7 de janeiro de 2031" in portuguese.text
    assert portuguese.tables["gainers"][2] == ["ZXAA3 SIMULADA 001", "+5,00%", "10,50", "2.000,0"]
    assert ("html", "lang", "pt-BR") in portuguese.attributes
    assert all(word not in portuguese.text for word in ("Volume by", "Stock", "rising"))


@pytest.mark.parametrize("language", ["en", "pt"])
def test_the_page_asks_nobody_for_anything(language: str) -> None:
    text = text_in(language)
    reader = Reader(text)
    addresses = [
        value for _, name, value in reader.attributes if name in {"src", "srcset", "href", "action", "data"}
    ]
    assert len(addresses) == 6 * 4 + 1  # four of each chart, and an empty icon
    assert all(address.startswith("data:") for address in addresses)
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text
    assert "url(" not in text
    assert "@import" not in text


def test_pictures_say_in_words_what_they_show_and_keep_their_place(english: Reader) -> None:
    assert len(english.images) == 6
    for image in english.images:
        assert len(image["alt"]) > 40
        assert int(image["width"]) > int(image["height"]) / 2 > 0


def test_headings_name_the_parts_of_the_page(english: Reader) -> None:
    named = [value for _, name, value in english.attributes if name == "aria-labelledby"]
    assert named
    assert set(named) <= set(english.ids)
    assert len(english.ids) == len(set(english.ids))


def test_what_comes_from_the_lake_is_text_and_not_markup(bare_text: str, bare: Reader) -> None:
    assert "<script>" not in bare_text
    assert EVIL in bare.text


def test_simulated_sessions_say_so_and_real_ones_name_their_source(english: Reader, bare: Reader) -> None:
    assert "Simulated data" in english.text
    assert "Simulated" not in bare.text
    assert "Source: B3, COTAHIST; session of 7 Jan 2031" in bare.text


def test_the_only_session_of_a_lake_is_compared_with_its_open_and_says_so() -> None:
    alone = session([{**each, "previous_close": None} for each in STOCKS], sessions=1)
    found = summary(alone)
    # ZXFF3 has no cash line; all the others opened at 10.00, but ZXEE3 at 8.00
    assert (found["advances"], found["declines"], found["unchanged"]) == (3, 1, 1)
    reader = Reader(undrawn(alone))
    assert "against the open, not against a previous close" in reader.text
    assert "as soon as the lake has two sessions" in reader.text
    assert len(reader.images) == 4
    assert reader.tables["gainers"][1][:2] == ["ZXEE3 SIMULADA 001", "+25.00%"]


def test_without_a_portfolio_the_index_is_empty_and_says_why(bare: Reader) -> None:
    assert "no portfolio in the lake" in bare.text
    assert any("There is no index portfolio" in image["alt"] for image in bare.images)


def test_rows_that_add_up_to_the_raw_quotes_say_so_and_others_warn(english: Reader, bare: Reader) -> None:
    agrees = "19 quotes of the raw file, 2,009,000,000.49 BRL: the rows of this page add up to the same"
    assert agrees in english.text
    assert "4 quotes and 4,000,000.20 BRL, the raw file to 20" in bare.text
    assert "add up to the same" not in bare.text


def test_the_same_session_gives_the_same_bytes(bare_text: str) -> None:
    assert bare_page() == bare_text


def test_a_page_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "reports" / "page.html"
    session_page.write(path, "first")
    assert path.read_text() == "first"

    def refuse(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="no space left"):
        session_page.write(path, "second")
    assert path.read_text() == "first"
    assert list(path.parent.iterdir()) == [path]


def test_a_day_that_is_none_is_refused_with_what_was_expected(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        report.main(["--date", "19/11/2026"])
    assert ended.value.code == 2
    assert "found '19/11/2026', expected a day as YYYY-MM-DD" in capsys.readouterr().err


def without_previous() -> Session:
    """A session before which the lake lacks two: of a Wednesday, and the one before of a Friday."""
    days = (date(2031, 1, 2), date(2031, 1, 3), date(2031, 1, 8))
    window = Window(sessions=days, wanted=60, before=days[0])
    rows = [{**each, "previous_close": None} for each in STOCKS]
    history = session(rows, sessions=3).history.assign(trade_date=days)
    return session(rows, sessions=3, window=window, history=window.marked(history))


@pytest.mark.parametrize(
    ("language", "said", "chart"),
    [
        (
            "en",
            "lacks the exchange's previous session, 7 Jan 2031, and 2 in all",
            "the lake lacks 2 sessions",
        ),
        (
            "pt",
            "Falta no lake o pregão anterior da bolsa, 7 jan 2031, e 2 ao todo",
            "faltam 2 pregões no lake",
        ),
    ],
)
def test_the_page_says_that_sessions_are_missing_and_compares_with_none(
    language: str, said: str, chart: str
) -> None:
    gap = without_previous()
    assert not gap.has_previous
    reader = Reader(page(gap, language))
    assert said in reader.text
    # ZXAA3 is 5 percent above its open
    assert [row[:2] for row in reader.tables["gainers"][1:]][-1] in (
        ["ZXAA3 SIMULADA 001", "+5.00%"],
        ["ZXAA3 SIMULADA 001", "+5,00%"],
    )
    images = [base64.b64decode(image["src"].partition(",")[2]).decode() for image in reader.images]
    shown = [" ".join(re.sub("<[^>]*>", " ", image).replace("\u00a0", " ").split()) for image in images]
    assert sum(chart in image for image in shown) == 2  # breadth and put/call


@pytest.mark.parametrize(
    ("language", "rows"),
    [
        (
            "en",
            [
                ["ZXAA3", "dividend", "0.1235", "1.23%", "proven"],
                ["ZXBB3", "split", "2.00 for 1", "–", "contradicted by the price *"],
                ["ZXCC3", "not stated by B3", "–", "–", "not explained *"],
            ],
        ),
        (
            "pt",
            [
                ["ZXAA3", "dividendo", "0,1235", "1,23%", "provado"],
                ["ZXBB3", "desdobramento", "2,00 por 1", "–", "contrariado pelo preço *"],
                ["ZXCC3", "não informado pela B3", "–", "–", "sem explicação *"],
            ],
        ),
    ],
)
def test_who_is_ex_is_told_and_every_kind_and_every_standing_has_words(
    language: str, rows: list[list[str]]
) -> None:
    split = {"kind": "split", "amount": None, "percent": None, "ratio": Decimal("2.00000000000")}
    unknown = {"kind": "unknown", "amount": None, "percent": None}
    events = [
        event("ZXAA3", amount=Decimal("0.12350000000"), percent=1.234),
        event("ZXBB3", status="contradicted", reason="the price speaks against it", **split),
        event("ZXCC3", status="unexplained", reason="B3 states no event", **unknown),
    ]
    said = {field.name: field.comment for field in EVENT_COLUMNS}
    kinds = re.findall(r"\b[a-z]+(?:_[a-z]+)?\b(?=,| \(| or|:)", said["kind"].replace("on equity, JCP", ""))
    standings = re.findall(r"\bun\w+|proven|contradicted", said["status"])
    assert (len(set(kinds)), len(set(standings))) == (12, 5)
    every = [*(event("ZXAA3", kind=kind) for kind in kinds), *(event("ZXAA3", status=s) for s in standings)]
    text = undrawn(session(STOCKS, events=pd.DataFrame([*events, *every])), language)
    _, *told = Reader(text).tables["ex"]
    assert told[: len(rows)] == rows
    assert len(told) == len(rows) + len(every)
    assert 'title="the price speaks against it"' in text


def test_a_session_in_which_nothing_went_ex_says_so(bare: Reader) -> None:
    assert "Nothing went ex in this session" in bare.text


def test_breadth_and_movers_are_of_shares_and_units() -> None:
    rows = [
        stock("ZXAA3"),
        stock("ZXBB11", security_type="unit"),
        stock("ZXCC11", security_type="fund"),
        stock("ZXDD34", security_type="bdr"),
    ]
    found = summary(session(rows))
    assert (found["stocks"], found["advances"]) == (4, 2)
    gainers = Reader(undrawn(session(rows))).tables["gainers"][1:]
    assert [row[0].split()[0] for row in gainers] == ["ZXAA3", "ZXBB11"]


@pytest.mark.parametrize(("language", "named"), [("en", "CRR thousand mn"), ("pt", "CRR mil mi")])
def test_a_session_before_the_real_is_not_in_brl(language: str, named: str) -> None:
    currency = {"currency": "CRR thousand"}
    rows = [{**each, **currency} for each in STOCKS]
    old = session(rows, history=session(rows).history.assign(**currency))
    reader = Reader(undrawn(old, language))
    assert named in " ".join(reader.tables["gainers"][0])
    images = " ".join(image["alt"] for image in reader.images)
    assert not re.search(r"BRL|R\$|(?<!cruzeiros )reais", reader.text + images)


def test_trades_that_are_not_known_are_told(bare: Reader) -> None:
    found = summary(session([stock("ZXAA3"), stock("ZXBB4", trades=None)]))
    assert (found["trades"], found["without_trades"]) == (100, 1)
    assert "1 rows without a known number of trades" in bare.text
    assert bare.tables["most-traded"][2][3] == "–"
