"""One contender of the annual file in a process of its own: `python reader_year_process.py CONTENDER ZIP`.

It reads once, prints a JSON object and ends, so that peak memory is that of one reading. Contenders come with
their own versions of pandas and polars, so this imports them where they are called, and else nothing but the
layout, `benchmarks.measure` and the standard library. Imports are not in the time.

What each does is the same: from B3's ZIP to columns with types, all fields, and the sums of some of them.
"""

import contextlib
import importlib.metadata
import io
import json
import os
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.measure import machine_seconds, peak_bytes, processor_seconds
from scraper.b3.cotahist.layout import FIELDS, Field

Figures = dict[str, int]
"""Number of quotes, and sums over them: VOLTOT and PREULT in cents, QUATOT, TOTNEG."""

Read = Callable[[], Figures]

BLOCK_BYTES = 2**20
SUMMED = ("voltot", "preult", "quatot", "totneg")
"""The fields of `Figures`; the first two have two decimals."""

PORTUGUESE = {
    "voltot": "VOLUME_TOTAL_NEGOCIADO",
    "preult": "PRECO_ULTIMO_NEGOCIO",
    "quatot": "QUANTIDADE_NEGOCIADA",
    "totneg": "NUMERO_DE_NEGOCIOS",
}
"""Columns of b3cotahist and b3fileparser."""

ENGLISH = {"voltot": "volume", "preult": "close_price", "quatot": "quantity", "totneg": "trades_count"}
"""Columns of b3quant."""

PACKAGES = ("b3cotahist", "b3fileparser", "b3quant", "duckdb", "polars", "pandas", "pyarrow", "numpy")


def unzip_in_blocks(path: Path) -> Read:
    def read() -> Figures:
        with _member(path) as text:
            while text.read(BLOCK_BYTES):
                pass
        return {}

    return read


def unzip_whole(path: Path) -> Read:
    def read() -> Figures:
        with _member(path) as text:
            text.read()
        return {}

    return read


def scraper_stream(path: Path) -> Read:
    import pyarrow.compute as pc  # noqa: PLC0415 - each environment has its own

    from scraper.b3.cotahist.reader import read_year  # noqa: PLC0415 - only this project's environment has it

    def read() -> Figures:
        figures = dict.fromkeys(("quotes", *SUMMED), 0)
        for _, quotes in read_year(path, year=_year(path), source=path.name):
            figures["quotes"] += len(quotes)
            for name in SUMMED:
                figures[name] += _units(name, pc.sum(quotes[name]).as_py())
        return figures

    return read


def scraper_by_zlib(path: Path) -> Read:
    sys.modules["isal"] = None  # type: ignore[assignment]  # is as if it were not installed
    return scraper_stream(path)


def scraper_table(path: Path) -> Read:
    import pyarrow as pa  # noqa: PLC0415 - as above
    import pyarrow.compute as pc  # noqa: PLC0415 - as above

    from scraper.b3.cotahist.reader import read_year  # noqa: PLC0415 - as above

    def read() -> Figures:
        quotes = [batch for _, batch in read_year(path, year=_year(path), source=path.name)]
        table = pa.Table.from_batches(quotes)
        sums = {name: _units(name, pc.sum(table[name]).as_py()) for name in SUMMED}
        return {"quotes": len(table), **sums}

    return read


def b3cotahist(path: Path) -> Read:
    import b3cotahist as library  # noqa: PLC0415 - only its environment has it

    return lambda: _pandas_figures(library.read_zip(path), PORTUGUESE)


def b3fileparser_pandas(path: Path) -> Read:
    from b3fileparser.b3parser import B3Parser  # noqa: PLC0415 - only its environment has it

    parser = B3Parser.create_parser("pandas")
    return lambda: _pandas_figures(parser.read_b3_file(str(path)), PORTUGUESE)


def b3fileparser_polars(path: Path) -> Read:
    import polars as pl  # noqa: PLC0415 - each environment has its own
    from b3fileparser.b3parser import B3Parser  # noqa: PLC0415 - only its environment has it

    parser = B3Parser.create_parser("polars")

    def read() -> Figures:
        frame = parser.read_b3_file(str(path))
        wide = frame.select(
            pl.col(column).cast(pl.Float64).alias(name) for name, column in PORTUGUESE.items()
        )
        # The price is in BRL, the volume in cents
        sums = wide.select((pl.col("preult") * 100).round(), pl.exclude("preult")).cast(pl.Int64).sum()
        return {"quotes": len(frame), **sums.to_dicts()[0]}

    return read


def b3quant(path: Path) -> Read:
    # It writes its log to stdout
    with contextlib.redirect_stdout(sys.stderr):
        from b3quant.parsers.cotahist import COTAHISTParser  # noqa: PLC0415 - only its environment has it

    parser = COTAHISTParser()

    def read() -> Figures:
        # Its downloader unpacks to a file, which the parser reads
        with _unpacked(path) as text:
            return _pandas_figures(parser.parse_file(text), ENGLISH)

    return read


def polars_by_hand(path: Path) -> Read:
    import polars as pl  # noqa: PLC0415 - each environment has its own

    def typed(field: Field) -> Any:
        text = pl.col("line").str.slice(field.first - 1, field.width)
        match field.kind:
            case "text":
                column = text.str.strip_chars_end(" ")
            case "code":
                column = text
            case "integer":
                column = text.cast(pl.Int64)
            case "decimal":
                # By way of an integer: to put the point into the text costs twice as much
                column = text.cast(pl.Int64).cast(pl.Decimal(38, field.decimals)) / 10**field.decimals
            case "date":
                column = text.str.to_date("%Y%m%d")
        return column.alias(field.name)

    def read() -> Figures:
        with _member(path) as text:
            # In UTF-8, as polars turns Latin-1 into it outside of its own threads
            lines = pl.scan_csv(
                io.BytesIO(text.read()),
                has_header=False,
                schema={"line": pl.String},
                separator="\x01",
                quote_char=None,
                encoding="utf8-lossy",
            )
        quotes = lines.filter(pl.col("line").str.starts_with("01")).select(typed(field) for field in FIELDS)
        frame = quotes.collect(engine="streaming")
        sums = {name: _units(name, frame[name].sum()) for name in SUMMED}
        return {"quotes": len(frame), **sums}

    return read


def duckdb_by_hand(path: Path) -> Read:
    def read() -> Figures:
        with _unpacked(path) as text:
            return _duckdb_figures(text)

    return read


def duckdb_unzipped(path: Path) -> Read:
    """Not the same work: the text lies there unpacked."""
    unpacked = path.with_suffix(".TXT")
    _unpack(path, unpacked)
    return lambda: _duckdb_figures(unpacked)


def _duckdb_figures(text: Path) -> Figures:
    import duckdb  # noqa: PLC0415 - only its environment has it

    def typed(field: Field) -> str:
        text = f"substring(line, {field.first}, {field.width})"
        match field.kind:
            case "text":
                column = f"rtrim({text})"
            case "code":
                column = text
            case "integer":
                column = f"{text}::BIGINT"
            case "decimal":
                # By way of an integer: to put the point into the text costs half as much again. A product has
                # the decimals of both factors, for which the widest field needs more digits than it has.
                digits, decimals = field.width, field.decimals
                unit = f"{10**-decimals:.{decimals}f}::DECIMAL({decimals}, {decimals})"
                product = f"{text}::BIGINT::DECIMAL({digits}, 0) * {unit}"
                column = f"({product})::DECIMAL({20 if digits == 18 else digits}, {decimals})"
            case "date":
                column = f"strptime({text}, '%Y%m%d')::DATE"
        return f"{column} AS {field.name}"

    database = duckdb.connect()
    # In UTF-8: to read Latin-1 takes three times as long
    lines = (
        f"read_csv('{text}', columns = {{'line': 'VARCHAR'}}, auto_detect = false, header = false, "
        "delim = '\x01', quote = '', escape = '')"
    )
    columns = ", ".join(typed(field) for field in FIELDS)
    database.execute(f"CREATE TABLE quotes AS SELECT {columns} FROM {lines} WHERE line LIKE '01%'")  # noqa: S608 - nothing of it from outside
    wanted = ", ".join(f"sum({name})" for name in SUMMED)
    [(count, *sums)] = database.execute(f"SELECT count(*), {wanted} FROM quotes").fetchall()  # noqa: S608 - as above
    return {"quotes": count, **{name: _units(name, value) for name, value in zip(SUMMED, sums, strict=True)}}


CONTENDERS: dict[str, Callable[[Path], Read]] = {
    "unzip, in blocks": unzip_in_blocks,
    "unzip, in one piece": unzip_whole,
    "scraper, streamed": scraper_stream,
    "scraper, one table": scraper_table,
    "scraper, streamed, by zlib": scraper_by_zlib,
    "polars by hand": polars_by_hand,
    "DuckDB by hand": duckdb_by_hand,
    "DuckDB by hand, unzipped before": duckdb_unzipped,
    "b3cotahist": b3cotahist,
    "b3quant": b3quant,
    "b3fileparser (pandas)": b3fileparser_pandas,
    "b3fileparser (polars)": b3fileparser_polars,
}


@contextmanager
def _member(path: Path) -> Iterator[Any]:
    with zipfile.ZipFile(path) as archive, archive.open(archive.infolist()[0]) as text:
        yield text


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        text = Path(folder, path.with_suffix(".TXT").name)
        _unpack(path, text)
        yield text


def _unpack(path: Path, to: Path) -> None:
    with _member(path) as text, to.open("wb") as file:
        shutil.copyfileobj(text, file, BLOCK_BYTES)


def _year(path: Path) -> int:
    return int(path.stem.removeprefix("COTAHIST_A"))


def _units(name: str, total: Any) -> int:
    """A sum as `Figures` hold it."""
    return int(total * 100 if name in SUMMED[:2] else total)


def _pandas_figures(frame: Any, columns: dict[str, str]) -> Figures:
    """Figures of a library that gives prices in BRL and the volume in cents, as floats."""
    sums = {name: frame[column].astype("float64") for name, column in columns.items()}
    sums["preult"] = (sums["preult"] * 100).round()
    return {"quotes": len(frame), **{name: int(value.sum()) for name, value in sums.items()}}


def main() -> None:
    name, zip_path = sys.argv[1:]
    read = CONTENDERS[name](Path(zip_path))
    processor, machine, start = processor_seconds(), machine_seconds(), time.perf_counter()
    figures = read()
    seconds, processor = time.perf_counter() - start, processor_seconds() - processor
    elsewhere = max(machine_seconds() - machine - processor, 0.0)
    installed = {package.name.lower(): package.version for package in importlib.metadata.distributions()}
    json.dump(
        {
            "seconds": seconds,
            "processor_seconds": processor,
            "peak_bytes": peak_bytes(),
            "elsewhere": elsewhere / seconds / (os.cpu_count() or 1),
            "figures": figures,
            "versions": {package: installed[package] for package in PACKAGES if package in installed},
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
