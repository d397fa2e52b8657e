"""The parts of the pipeline that mutants are drawn of: their source, and their tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the pipeline.

    Attributes:
        files: The globs of its files.
        tests: The files of its tests, the fastest first, as the first failure ends a run.
    """

    files: tuple[str, ...]
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a part.

    Attributes:
        path: From the root of the checkout.
        text: What it says.
    """

    path: str
    text: str


PARTS = {
    "readers": Part(
        files=(
            "scraper/b3/*/layout.py",
            "scraper/b3/*/reader.py",
            "scraper/b3/*/records.py",
            "scraper/b3/json_answer.py",
        ),
        tests=(
            "tests/unit/test_schema.py",
            "tests/unit/test_portfolio.py",
            "tests/unit/test_corporate_actions.py",
            "tests/unit/test_index_levels.py",
            "tests/unit/test_cotahist_real.py",
            "tests/unit/test_read_year.py",
            "tests/unit/test_cotahist.py",
            "tests/fuzz/test_cases.py",
            "tests/unit/test_reader_properties.py",
        ),
    ),
    "client": Part(
        files=("scraper/b3/client.py", "scraper/b3/*/address.py", "scraper/daily/ingest.py"),
        tests=(
            "tests/unit/test_client.py",
            "tests/unit/test_client_actions.py",
            "tests/unit/test_settings.py",
            "tests/unit/test_ingest.py",
            "tests/unit/test_index_levels.py",
            "tests/unit/test_canary.py",
            "tests/operating/test_quarantine.py",
        ),
    ),
    "transform": Part(
        files=("refinement/transform.py", "refinement/expressions.py"),
        tests=("tests/spark/test_transform.py", "tests/spark/test_refine_property.py"),
    ),
    "catalog": Part(
        files=("refinement/catalog.py",),
        tests=(
            "tests/spark/test_refine_job.py",
            "tests/spark/test_wide_retention.py",
            "tests/spark/test_refine_range.py",
        ),
    ),
}


def sources(part: Part) -> list[Source]:
    """The source of a part.

    Raises:
        LookupError: A glob of it meets nothing.
    """
    found = []
    for glob in part.files:
        paths = sorted(REPOSITORY.glob(glob))
        if not paths:
            raise LookupError(f"there is no {glob}")
        found += [Source(str(path.relative_to(REPOSITORY)), path.read_text("utf-8")) for path in paths]
    return found
