"""`python -m tools.docs.queries`: write what `docs/queries.md` and its Portuguese say of each named query.

All of it comes from the headers of `stacks/named_queries`; this module groups the queries and adds how to
call them. `tests/unit/test_docs.py` fails when a document is behind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from stacks.named_query import BY_DEFAULT, NAMED_QUERIES, NamedQuery, Parameter, Text
from tools.docs.markers import replaced

DOCS = Path(__file__).resolve().parents[2] / "docs"
DOCUMENTS = {"en": DOCS / "queries.md", "pt": DOCS / "queries.pt-BR.md"}
MARKER = "queries"

GROUPS = {
    Text("The session", "O pregão"): (
        "session_overview",
        "top_gainers_and_losers",
        "most_traded",
        "volume_by_market",
        "unusual_volume",
        "opening_gaps",
        "volume_concentration",
        "odd_lot_share",
        "stocks_without_trades",
    ),
    Text("A ticker", "Um papel"): ("ticker_session", "ticker_last_sessions", "ticker_averages"),
    Text("The market over time", "O mercado ao longo do tempo"): (
        "returns_and_volatility",
        "highs_and_lows_52_weeks",
    ),
    Text("The index and its sectors", "O índice e seus setores"): (
        "index_moves",
        "index_contribution",
        "index_concentration",
        "index_changes",
        "stock_against_index",
        "sector_weights",
        "sector_turnover",
    ),
    Text("Corporate actions", "Proventos e eventos"): (
        "ex_events",
        "paper_events",
        "total_return",
        "dividend_yield",
    ),
    Text("Options", "Opções"): ("put_call_by_ticker", "put_call_market", "option_expiries"),
    Text("Data quality", "Qualidade dos dados"): ("data_quality",),
}

_DEFAULTS = {
    "${last_session}": Text("the last session", "o último pregão"),
    "${session_20_before}": Text("twenty sessions before the last", "vinte pregões antes do último"),
    "${first_index}": Text("the first of index_codes", "o primeiro de index_codes"),
    "${most_traded_ticker}": Text("the most traded", "o mais negociado"),
}
_EXAMPLES = {
    "trade_date": "DATE '2026-11-19'",
    "first_date": "DATE '2026-10-21'",
    "last_date": "DATE '2026-11-19'",
    "ticker": "'ZXCF3'",
    "index_code": "'IBOV'",
}


class Words(NamedTuple):
    """What stands around the headers' texts."""

    parameters: str
    scans: str
    needs: str


_WORDS = {
    "en": Words("parameter | type | meaning | in the saved query", "Scans", "Has rows from {} sessions on."),
    "pt": Words(
        "parâmetro | tipo | significado | na consulta salva", "Lê", "Tem linhas a partir de {} pregões."
    ),
}


def render(language: str) -> str:
    """A section for each query, by group."""
    return "\n\n".join(_sections(language))


def updated(text: str, language: str) -> str:
    """A document's text with the sections between its markers as they should be."""
    return replaced(text, MARKER, render(language), document=DOCUMENTS[language].name)


def main() -> None:
    """Write the sections into both documents."""
    for language, path in DOCUMENTS.items():
        path.write_text(updated(path.read_text(encoding="utf-8"), language), encoding="utf-8")


def _sections(language: str) -> Iterator[str]:
    for group, stems in GROUPS.items():
        yield f"## {getattr(group, language)}"
        for stem in stems:
            yield from _section(NamedQuery.read(NAMED_QUERIES / f"{stem}.sql", BY_DEFAULT), language)


def _section(query: NamedQuery, language: str) -> Iterator[str]:
    words = _WORDS[language]
    yield f"### `{query.stem}`: {getattr(query.title, language)}"
    yield getattr(query.question, language)
    if query.parameters:
        rows = [words.parameters, "--- | --- | --- | ---"]
        rows += [_row(parameter, language) for parameter in query.parameters]
        yield "\n".join(f"| {row} |" for row in rows)
    needs = f" {words.needs.format(query.needs_sessions)}" if query.needs_sessions > 1 else ""
    yield f"{words.scans}: {getattr(query.scans, language)}.{needs}"
    values = ", ".join(_EXAMPLES.get(each.name, each.default) for each in query.parameters)
    yield f"```sql\nEXECUTE {query.stem} USING {values}\n```"


def _row(parameter: Parameter, language: str) -> str:
    default = _DEFAULTS.get(parameter.default)
    shown = getattr(default, language) if default else parameter.default
    return f"`{parameter.name}` | {parameter.type} | {getattr(parameter.meaning, language)} | {shown}"


if __name__ == "__main__":
    main()
