"""The readers on what was found to break them: each input is refused in the words that fit it, or read."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scraper.b3.corporate_actions.reader import ACTION_SCHEMA, Actions
from scraper.b3.cotahist.reader import read_session, read_year
from scraper.b3.errors import InvalidData
from scraper.b3.index_level.reader import read_levels
from scraper.b3.index_portfolio.reader import read_portfolio
from tests.fuzz import cases, harness
from tests.fuzz.cases import FOUND, QUOTES, TRIED, Case
from tests.fuzz.harness import HARNESSES, SESSION_QUOTES, SOURCE, TEXT_BYTES
from tests.fuzz.mutations import mutation_of, random_bytes
from tests.fuzz.seeds import PAGE_SEPARATOR, SESSION, YEAR

READERS = [
    (library, reader)
    for reader in HARNESSES
    for library in (("isal.isal_zlib", "zlib") if reader in QUOTES else ("zlib",))
]
"""Each reader, that of ZIPs by each of the libraries that may inflate them."""
EACH = [
    pytest.param(library, reader, case, id=f"{library}-{reader}: {case.name}")
    for library, reader in READERS
    for case in (*FOUND, *TRIED)
    if reader in case.readers
]


def refusal(data: bytes, reader: str, folder: Path) -> str | None:
    """What the reader says against an input, called as the scraper calls it; None if it has nothing."""
    try:
        if reader == "daily":
            read_session(data, session=SESSION, source=SOURCE, max_text_bytes=TEXT_BYTES)
        elif reader == "annual":
            path = folder / "year.zip"
            path.write_bytes(data)
            list(read_year(path, year=YEAR, source=SOURCE, max_text_bytes=TEXT_BYTES))
        elif reader == "actions":
            harness.read_actions(data)
        elif reader == "levels":
            read_levels(data, index="IBOV", year=YEAR, source=SOURCE)
        else:
            read_portfolio(data.split(PAGE_SEPARATOR), index="IBOV", source=SOURCE)
    except InvalidData as error:
        return str(error)
    return None


@pytest.mark.parametrize(("inflater", "reader", "case"), EACH, indirect=["inflater"])
def test_a_case_is_refused_in_the_words_that_fit_it_or_read(
    inflater: None, reader: str, case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scraper.b3.cotahist.reader.MAX_SESSION_QUOTES", SESSION_QUOTES)
    said = refusal(case.make(), reader, tmp_path)
    if case.refusal is None:
        assert said is None
    else:
        assert said is not None
        assert re.search(case.refusal, said), said


def test_the_readers_stay_within_their_time_and_memory_whatever_they_are_given() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.replay"],
        capture_output=True,
        text=True,
        check=False,
        cwd=harness.REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(harness.REPOSITORY)},
    )
    assert done.returncode == 0, done.stderr
    seeds = sum(len(harness.seeds()) for harness in HARNESSES.values())
    replayed = sum(len(case.readers) for case in (*FOUND, *TRIED))
    assert done.stdout == f"{seeds} seeds and {replayed} cases\n"


def test_every_file_of_the_corpus_belongs_to_a_case() -> None:
    files = {path.read_bytes() for path in cases.CORPUS.rglob("*") if path.is_file()}
    assert files
    assert files <= {case.make() for case in FOUND}


# --- the harness itself: what it must not let pass


@pytest.mark.parametrize(("inflater", "reader"), READERS, indirect=["inflater"])
def test_a_reader_reads_every_seed_and_stands_what_the_mutations_make_of_them(
    inflater: None, reader: str, tmp_path: Path
) -> None:
    inputs = HARNESSES[reader].seeds()
    for data in inputs:
        HARNESSES[reader].check(data)
        assert refusal(data, reader, tmp_path) is None
    mutate = mutation_of(reader)
    for seed in range(200):
        rng = random.Random(seed)
        mutated = mutate(rng.choice(inputs), rng, random_bytes(rng), 2**16)
        HARNESSES[reader].check(mutated)
        inputs.append(mutated)
    assert len(set(inputs)) > 150


@pytest.mark.parametrize(
    ("reader", "target", "broken"),
    [
        pytest.param(
            "daily", "read_session", lambda *_, **__: 1 / 0, id="another error than the reader's own"
        ),
        pytest.param("daily", "read_session", None, id="a sound file that is refused"),
        pytest.param("annual", "read_year", lambda *_, **__: iter(()), id="quotes that are missing"),
        pytest.param(
            "actions",
            "read_supplement",
            lambda *_, **__: Actions(ACTION_SCHEMA.empty_table()),
            id="events that are missing",
        ),
        pytest.param("levels", "read_levels", lambda *_, **__: None, id="levels that are missing"),
    ],
)
def test_a_harness_finds_a_reader_that_is_broken(
    reader: str, target: str, broken: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(*_: object, **__: object) -> None:
        raise InvalidData(source=SOURCE, found="nothing", expected="something")

    monkeypatch.setattr(harness, target, broken or refusing)
    with pytest.raises((harness.Finding, ZeroDivisionError)):
        HARNESSES[reader].check(HARNESSES[reader].seeds()[0])
