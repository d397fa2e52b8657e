"""`python -m tests.fuzz.limits`: what the readers take for the largest inputs that their limits let in.

Each in a process of its own; what it took goes into `docs/figures/fuzz.json`, too.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import tempfile
import time
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.figures import machine
from benchmarks.measure import peak_bytes
from sandbox.b3.formats import Quote, encode_levels, encode_session, zip_file
from scraper.b3.corporate_actions.reader import MAX_BYTES, MAX_HISTORY_BYTES, read_cash_history
from scraper.b3.cotahist.reader import MAX_SESSION_QUOTES, MAX_TEXT_BYTES, read_session, read_year
from scraper.b3.errors import InvalidData
from scraper.b3.index_level.reader import MAX_BYTES as MAX_LEVELS_BYTES
from scraper.b3.index_level.reader import read_levels
from scraper.b3.index_portfolio.reader import MAX_PAGE_BYTES, MAX_PAGES, read_portfolio
from tests.fuzz.__main__ import keep
from tests.fuzz.harness import SOURCE
from tests.fuzz.seeds import ISSUER, SESSION, YEAR

_STRIDE = 247
_HEADER_AND_TRAILER = 2


def main() -> None:
    """Measure, and keep the figures."""
    measured: dict[str, Any] = {"machine": machine()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "largest.zip")
        quotes = min(MAX_SESSION_QUOTES, MAX_TEXT_BYTES // _STRIDE - _HEADER_AND_TRAILER)
        path.write_bytes(zip_file(_text(quotes), "COTAHIST.TXT"))
        for name in ("daily", "annual", "portfolio", "actions", "levels"):
            with multiprocessing.get_context("spawn").Pool(1) as process:
                measured[name] = process.apply(_measure, (name, path))
            print(name, measured[name], flush=True)
    keep("limits", measured)


def _text(quotes: int) -> bytes:
    """A session's text, whose quotes differ as much as real ones: it packs to an eighth, as B3's."""
    rng = random.Random(1)
    header, quote, trailer = (
        encode_session(SESSION, [Quote()])[start : start + _STRIDE] for start in (0, _STRIDE, 2 * _STRIDE)
    )
    records = (
        quote[:12]
        + b"ZZ%010d" % rng.randrange(10**10)
        + quote[24:152]
        + b"%018d%018d" % (rng.randrange(10**17), rng.randrange(10**17))
        + quote[188:]
        for _ in range(quotes)
    )
    count = b"%011d" % (quotes + _HEADER_AND_TRAILER)
    return header + b"".join(records) + trailer[:31] + count + trailer[42:]


def _pages() -> list[bytes]:
    """As many pages as there can be, each as large as it can be, of what takes most memory."""
    page = '{"page":{"pageNumber":%d,"totalPages":%d,"totalRecords":1},"header":{},"results":['
    heads = [(page % (number, MAX_PAGES)).encode() for number in range(1, MAX_PAGES + 1)]
    return [head + b"{}," * ((MAX_PAGE_BYTES - len(head) - 5) // 3) + b"{}]}" for head in heads]


def _history() -> list[bytes]:
    """As many pages as there can be of the largest, each of as many rows as there can be."""
    row = (
        '{"typeStock":"A","corporateAction":"A","dateApproval":"","valueCash":"%d","ratio":null,'
        '"lastDatePriorEx":"","dateClosingPricePriorExDate":"","closingPricePriorExDate":"1",'
        '"quotedPerShares":"1","corporateActionPrice":"1"}'
    )
    head = '{"page":{"totalPages":%d,"totalRecords":%d},"results":['
    pages = MAX_HISTORY_BYTES // MAX_BYTES
    rows = (MAX_BYTES - 2 * len(head)) // (len(row) + 5)
    numbers = [range(page * rows, (page + 1) * rows) for page in range(pages)]
    start = head % (pages, pages * rows)
    return [(start + ",".join(row % number for number in page) + "]}").encode() for page in numbers]


def _levels() -> list[bytes]:
    """A year with a level on each day, as large as it can be for what is beside them."""
    days = [date(YEAR, 1, 1) + timedelta(day) for day in range(366)]
    answer = encode_levels({day: Decimal("9999999999999999.99") for day in days})
    text = json.dumps(answer)
    return [
        (text[:-1] + ', "more": [' + "{}," * ((MAX_LEVELS_BYTES - len(text) - 16) // 3) + "{}]}").encode()
    ]


def _measure(name: str, path: Path) -> dict[str, Any]:
    read_session(encode_session(SESSION, [Quote()]), session=SESSION, source=SOURCE)  # what is loaded once
    pages = {"portfolio": _pages, "actions": _history, "levels": _levels}.get(name, list)()
    data = path.read_bytes() if name == "daily" else b""
    before, started = peak_bytes(), time.process_time()
    rows = 0
    try:
        match name:
            case "daily":
                rows = len(read_session(data, session=SESSION, source=SOURCE))
            case "annual":
                rows = sum(batch.num_rows for _, batch in read_year(path, year=YEAR, source=SOURCE))
            case "actions":
                read = read_cash_history(pages, issuer=ISSUER, seen=SESSION, source=SOURCE)
                rows = read.table.num_rows
            case "levels":
                levels = read_levels(pages[0], index="IBOV", year=YEAR, source=SOURCE)
                rows = 0 if levels is None else len(levels.frame)
            case _:
                read_portfolio(pages, index="IBOV", source=SOURCE)
    except InvalidData:
        rows = 0
    return {
        "input_bytes": sum(map(len, pages)) or path.stat().st_size,
        "rows": rows,
        "seconds": round(time.process_time() - started, 2),
        "memory_bytes": peak_bytes() - before,
    }


if __name__ == "__main__":
    main()
