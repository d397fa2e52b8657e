"""The parts of the pipeline that mutants are drawn of: their source, today and formerly, and their tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the pipeline.

    Attributes:
        layouts: The globs of its files, in one way after another that they have lain. Behind a "#" is the
            section of the file that is meant, by its heading between two rules.
        tests: The files of its tests, the fastest first, as the first failure ends a run.
    """

    layouts: tuple[tuple[str, ...], ...]
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a part.

    Attributes:
        path: From the root of the checkout.
        text: What it says.
        first: Its first line that belongs to the part, from 1.
        last: Its last one.
    """

    path: str
    text: str
    first: int
    last: int


PARTS = {
    "readers": Part(
        layouts=(
            (
                "scraper/b3/*/layout.py",
                "scraper/b3/*/reader.py",
                "scraper/b3/*/records.py",
                "scraper/b3/json_answer.py",
            ),
            ("scraper/b3/*/layout.py", "scraper/b3/*/reader.py", "scraper/b3/*/records.py"),
            ("scraper/cotahist.py", "scraper/records.py", "scraper/portfolio.py"),
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
        layouts=(
            ("scraper/b3/client.py", "scraper/b3/*/address.py", "scraper/daily/ingest.py"),
            ("scraper/client.py", "scraper/ingest.py"),
        ),
        tests=(
            "tests/unit/test_client.py",
            "tests/unit/test_client_actions.py",
            "tests/unit/test_settings.py",
            "tests/unit/test_ingest.py",
            "tests/unit/test_canary.py",
            "tests/unit/test_quarantine.py",
        ),
    ),
    "transform": Part(
        layouts=(
            ("refinement/transform.py", "refinement/expressions.py"),
            ("glue_scripts/refine.py#Transform",),
        ),
        tests=("tests/spark/test_transform.py", "tests/spark/test_refine_property.py"),
    ),
    "catalog": Part(
        layouts=(("refinement/catalog.py",), ("glue_scripts/refine.py#Catalog",)),
        tests=(
            "tests/spark/test_refine_job.py",
            "tests/spark/test_wide_retention.py",
            "tests/spark/test_refine_range.py",
        ),
    ),
}

_HEADING = re.compile(r"^# -{20,}\n# (.+)\n# -{20,}$", re.MULTILINE)


def sources(tree: Path, part: Part) -> list[Source]:
    """The source of a part in a checkout, in the first of its layouts that is there.

    Raises:
        LookupError: None is there.
    """
    for layout in part.layouts:
        found = [list(_matches(tree, pattern)) for pattern in layout]
        if all(found):
            return [source for each in found for source in each]
    raise LookupError(f"{tree} has none of {' or '.join(', '.join(layout) for layout in part.layouts)}")


def _matches(tree: Path, pattern: str) -> Iterator[Source]:
    glob, _, section = pattern.partition("#")
    for path in sorted(tree.glob(glob)):
        text = path.read_text(encoding="utf-8")
        name, last = path.relative_to(tree).as_posix(), text.count("\n") + 1
        if not section:
            yield Source(name, text, 1, last)
            continue
        headings = [(text.count("\n", 0, each.start()) + 1, each[1]) for each in _HEADING.finditer(text)]
        ends = [line - 1 for line, _ in headings[1:]] + [last]
        for (line, title), end in zip(headings, ends, strict=True):
            if title == section:
                yield Source(name, text, line, end)
