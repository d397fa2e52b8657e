"""The session report in a real browser: on a phone and a desktop, in light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from analysis.session_page import page
from tests import browser
from tests.analysis.frames import index, session, stock
from tests.browser import Page

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    executable = browser.find()
    if executable is None:
        pytest.skip(f"no browser: none of {', '.join(browser.NAMES)} is installed")
    with browser.chromium(executable, tmp_path_factory.mktemp("browser")) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with what is longest: names of twelve letters, volumes of billions, sixty sessions."""
    rows = [
        stock(
            member["ticker"],
            company="SIMULADA LTD",
            volume=member["index_weight"] * 10**9,
            cash_volume=member["index_weight"] * 10**9,
            trades=98_874,
            close=10 + member["index_weight"],
            index_weight=member["index_weight"],
            sector=member["sector"] and f"{member['sector']}, com um nome bem comprido",
        )
        for member in index().to_dict("records")
    ]
    path = tmp_path_factory.mktemp("report") / "page.html"
    path.write_text(page(session(rows, sessions=60), "pt"), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_and_shows_everything(chromium: Page, report: Path, size: str, scheme: str) -> None:
    width, height = SIZES[size]
    chromium.problems.clear()
    chromium.requests.clear()
    chromium.open(report, width=width, height=height, scheme=scheme)
    assert chromium.evaluate("innerWidth") == width
    assert chromium.evaluate("document.scrollingElement.scrollWidth") <= width
    texts = "[...document.querySelectorAll('td, th, dd, h1, h2, p')]"
    cut = f"{texts}.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent)"
    assert chromium.evaluate(cut) == []
    pictures = "Promise.all([...document.images].map(i => i.decode().then(() => i.currentSrc)))"
    shown = chromium.evaluate(pictures)
    assert len(shown) == 6
    source = f"screen and (max-width: 899px){' and (prefers-color-scheme: dark)' if scheme == 'dark' else ''}"
    phone = f"[...document.querySelectorAll('source[media=\"{source}\"]')].map(s => s.srcset)"
    assert (shown == chromium.evaluate(phone)) == (size == "phone")
    background = chromium.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == {"light": "rgb(255, 255, 255)", "dark": "rgb(13, 17, 23)"}[scheme]
    assert chromium.problems == []
    assert chromium.requests == [report.as_uri()]


def test_a_page_on_paper_is_light(chromium: Page, report: Path) -> None:
    chromium.open(report, width=794, height=1123, scheme="dark")
    chromium.call("Emulation.setEmulatedMedia", media="print", features=[])
    assert chromium.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert chromium.evaluate("document.scrollingElement.scrollWidth") <= 794
