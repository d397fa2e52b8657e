"""What the document on fuzzing says follows from the figures, and from the readers' constants."""

from __future__ import annotations

import json
import re

from benchmarks import fuzzing
from scraper.b3 import archive, client
from scraper.b3.corporate_actions import reader as corporate_actions
from scraper.b3.cotahist import reader as cotahist
from scraper.b3.index_level import reader as index_level
from scraper.b3.index_portfolio import reader as portfolio
from tests.fuzz import harness

TEXT = fuzzing.DOCUMENT.read_text(encoding="utf-8")
FIGURES = json.loads(fuzzing.FIGURES.read_text(encoding="utf-8"))


def test_the_tables_are_those_of_the_figures() -> None:
    assert fuzzing.updated(TEXT, FIGURES) == TEXT, "run `python -m benchmarks.fuzzing`"
    for language, document in fuzzing.FAULTS.items():
        faults = document.read_text(encoding="utf-8")
        assert fuzzing.updated_faults(faults, FIGURES, language) == faults, (
            "run `python -m benchmarks.fuzzing`"
        )


def test_each_reader_was_fuzzed_for_an_hour_without_a_finding() -> None:
    assert {*fuzzing.READERS, *fuzzing.WITHOUT_HOUR} == set(harness.HARNESSES)
    for name in fuzzing.READERS:
        assert FIGURES[name]["seconds"] >= 3600 - 5
        assert FIGURES[name]["findings"] == []


def test_nothing_took_more_than_is_stated() -> None:
    for name in fuzzing.READERS:
        assert FIGURES[name]["slowest_seconds"] <= harness.SECONDS / 10
    for name in harness.HARNESSES:
        assert FIGURES["limits"][name]["memory_bytes"] <= harness.MEMORY_BYTES


def test_every_limit_is_the_readers_own() -> None:
    stated = dict(re.findall(r"^\| [^|]*`([\w.]+)`(?:[^|]*) \| ([\d,.]+(?: [KMG]iB)?)", TEXT, re.MULTILINE))
    units = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
    found = {
        name: int(value.partition(" ")[0].replace(",", "")) * units[value.partition(" ")[2]]
        for name, value in stated.items()
    }
    assert found == {
        "cotahist.MAX_TEXT_BYTES": cotahist.MAX_TEXT_BYTES,
        "cotahist.MAX_YEAR_BYTES": cotahist.MAX_YEAR_BYTES,
        "cotahist.MAX_RATIO": cotahist.MAX_RATIO,
        "cotahist.MAX_SESSION_QUOTES": cotahist.MAX_SESSION_QUOTES,
        "archive.MAX_DIRECTORY_BYTES": archive.MAX_DIRECTORY_BYTES,
        "portfolio.MAX_PAGE_BYTES": portfolio.MAX_PAGE_BYTES,
        "portfolio.MAX_PAGES": portfolio.MAX_PAGES,
        "corporate_actions.MAX_BYTES": corporate_actions.MAX_BYTES,
        "corporate_actions.MAX_PAGES": corporate_actions.MAX_PAGES,
        "corporate_actions.MAX_HISTORY_BYTES": corporate_actions.MAX_HISTORY_BYTES,
        "index_level.MAX_BYTES": index_level.MAX_BYTES,
        "client.MAX_BYTES": client.MAX_BYTES,
        "client.YEAR_MAX_BYTES": client.YEAR_MAX_BYTES,
        "client.PAGE_MAX_BYTES": client.PAGE_MAX_BYTES,
        "harness.SECONDS": harness.SECONDS,
        "harness.MEMORY_BYTES": harness.MEMORY_BYTES,
    }
