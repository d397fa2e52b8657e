"""`python -m benchmarks.fuzzing`: write the tables on fuzzing from `docs/figures/fuzz.json`.

All stand in `docs/fuzzing.md`, that of the runs in `docs/faults.md` and its Portuguese, too.
`tests/unit/test_docs_fuzzing.py` fails when a document is behind its figures.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import describe, table
from tools.docs.markers import replaced

DOCS = Path(__file__).resolve().parents[1] / "docs"
DOCUMENT = DOCS / "fuzzing.md"
FAULTS = {"en": DOCS / "faults.md", "pt": DOCS / "faults.pt-BR.md"}
FIGURES = DOCS / "figures" / "fuzz.json"

READERS = {"daily": "a session", "annual": "a year", "portfolio": "a portfolio"}
"""The readers that were fuzzed for an hour, in the document's order, by what they read."""

WITHOUT_HOUR = {"actions": "a cash history", "levels": "levels of a year"}
"""Those whose hour is to come: that of corporate actions has had twice ten minutes."""

_PORTUGUESE = {
    "a session": "um pregão",
    "a year": "um ano",
    "a portfolio": "uma carteira",
    "reader of": "leitor de",
    "minutes": "minutos",
    "executions": "execuções",
    "a second": "por segundo",
    "counters": "contadores",
    "features": "features",
    "inputs kept": "entradas guardadas",
    "slowest": "a mais lenta",
    "peak of the process": "pico do processo",
    "findings": "achados",
    "On": "Em",
}
"""The words of the table of the runs."""
_PORTUGUESE_NUMBERS = str.maketrans(",.", ".,")


def blocks(figures: Mapping[str, Any]) -> dict[str, str]:
    """The generated parts of the document, by their markers."""
    return {
        "fuzz-runs": _runs(figures),
        "fuzz-lines": _lines(figures),
        "fuzz-limits": _limits(figures["limits"]),
    }


def _runs(figures: Mapping[str, Any], language: str = "en") -> str:
    headings = ["reader of", "minutes", "executions", "a second", "counters", "features"]
    headings += ["inputs kept", "slowest", "peak of the process", "findings"]
    rows = [
        [
            READERS[name],
            f"{run['seconds'] / 60:.0f}",
            f"{run['executions']:,}",
            f"{run['executions_per_second']:,}",
            f"{run['counters']:,}",
            f"{run['features']:,}",
            f"{run['corpus']:,}",
            f"{run['slowest_seconds'] * 1000:.0f} ms",
            f"{run['peak_mib']} MiB",
            str(len(run["findings"])),
        ]
        for name, run in ((name, figures[name]) for name in READERS)
    ]
    on = "On"
    if language == "pt":
        headings, on = [_PORTUGUESE[heading] for heading in headings], _PORTUGUESE[on]
        rows = [
            [_PORTUGUESE[reader], *(number.translate(_PORTUGUESE_NUMBERS) for number in numbers)]
            for reader, *numbers in rows
        ]
    return f"{table(headings, rows)}\n\n{on} {describe(figures['daily']['machine'])}."


def _lines(figures: Mapping[str, Any]) -> str:
    rows = []
    for name, reader in READERS.items():
        for module, found in figures[name]["modules"].items():
            missed = found["unreached"]
            reached = found["lines"] - len(missed)
            functions = dict.fromkeys(f"`{line['function']}`" for line in missed)
            share = f"{reached} of {found['lines']}"
            rows.append([reader, f"`{module}`", ", ".join(functions) or "none", share])
    return table(["reader of", "module", "lines not reached, in", "lines reached"], rows, left=3)


def _limits(limits: Mapping[str, Any]) -> str:
    inputs = {
        "daily": "{size:.1f} MB of ZIP, {rows:,} quotes",
        "annual": "the same as one session of a year",
        "portfolio": "{size:.1f} MB of JSON, refused at its end",
        "actions": "{size:.1f} MB of JSON, {rows:,} rows",
        "levels": "{size:.2f} MB of JSON, {rows:,} rows",
    }
    rows = [
        [
            (READERS | WITHOUT_HOUR)[name],
            shown.format(size=limits[name]["input_bytes"] / 1e6, rows=limits[name]["rows"]),
            f"{limits[name]['seconds']:.2f} s",
            f"{limits[name]['memory_bytes'] / 2**20:.0f} MiB",
        ]
        for name, shown in inputs.items()
    ]
    return table(["reader of", "largest input", "processor time", "memory"], rows, left=2)


def updated(text: str, figures: Mapping[str, Any]) -> str:
    """The document's text with the tables between its markers as they should be.

    Raises:
        ValueError: A marker is missing.
    """
    for name, block in blocks(figures).items():
        text = replaced(text, name, block, document=DOCUMENT.name)
    return text


def updated_faults(text: str, figures: Mapping[str, Any], language: str) -> str:
    """The text of the document on faults in a language of `FAULTS`, its table of the runs as it should be.

    Raises:
        ValueError: A marker is missing.
    """
    return replaced(text, "fuzz-runs", _runs(figures, language), document=FAULTS[language].name)


def main() -> None:
    """Write the tables into the documents."""
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    DOCUMENT.write_text(updated(DOCUMENT.read_text(encoding="utf-8"), figures), encoding="utf-8")
    for language, document in FAULTS.items():
        text = document.read_text(encoding="utf-8")
        document.write_text(updated_faults(text, figures, language), encoding="utf-8")


if __name__ == "__main__":
    main()
