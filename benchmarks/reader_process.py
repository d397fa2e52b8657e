"""One reader in a process of its own: `python reader_process.py READER ZIP RUNS`, a JSON object to stdout.

Each reader comes with its own versions of pandas and polars, so this runs in that reader's environment and
imports nothing else but `benchmarks.measure` and the standard library.
"""

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.measure import peak_bytes

WARM_UP_RUNS = 3


def scraper(path: Path) -> Callable[[], Any]:
    from scraper.b3.cotahist.reader import read_session  # noqa: PLC0415 - only this project's environment has it

    session = datetime.strptime(path.stem, "COTAHIST_D%d%m%Y").date()  # noqa: DTZ007 - a date, no time
    return lambda: read_session(path.read_bytes(), session=session, source=path.name)


def b3cotahist(path: Path) -> Callable[[], Any]:
    import b3cotahist as library  # noqa: PLC0415 - only its environment has it

    return lambda: library.read_zip(path)


def b3fileparser_pandas(path: Path) -> Callable[[], Any]:
    return _b3fileparser(path, "pandas")


def b3fileparser_polars(path: Path) -> Callable[[], Any]:
    return _b3fileparser(path, "polars")


def _b3fileparser(path: Path, engine: str) -> Callable[[], Any]:
    from b3fileparser.b3parser import B3Parser  # noqa: PLC0415 - only its environment has it

    parser = B3Parser.create_parser(engine)
    return lambda: parser.read_b3_file(str(path))


READERS = {
    "scraper": scraper,
    "b3cotahist": b3cotahist,
    "b3fileparser (pandas)": b3fileparser_pandas,
    "b3fileparser (polars)": b3fileparser_polars,
}


def volume(frame: Any) -> Decimal:
    """Sum of VOLTOT in BRL, to the cent; the other readers leave its two decimals implied, in a float."""
    if "voltot" in frame.columns:
        return Decimal(frame["voltot"].sum())
    return Decimal(int(frame["VOLUME_TOTAL_NEGOCIADO"].sum())).scaleb(-2)


def main() -> None:
    name, zip_path, runs = sys.argv[1:]
    read = READERS[name](Path(zip_path))
    seconds = []
    for _ in range(WARM_UP_RUNS + int(runs)):
        start = time.perf_counter()
        frame = read()
        seconds.append(time.perf_counter() - start)
    peak = peak_bytes()
    installed = {package.name: package.version for package in importlib.metadata.distributions()}
    json.dump(
        {
            "seconds": seconds[WARM_UP_RUNS:],
            "peak_bytes": peak,
            "rows": len(frame),
            "volume": str(volume(frame)),
            "versions": {
                package: installed[package]
                for package in ("b3cotahist", "b3fileparser", "pandas", "polars", "pyarrow", "numpy")
                if package in installed
            },
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
