"""A file of one row is pyarrow's, byte for byte, whoever has written it."""

from __future__ import annotations

import base64
import datetime as dt
import struct
import zlib
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refinement import arrow, files
from refinement.columns import COLUMNS, MEMBER_COLUMNS
from refinement.one_row import OneRowFiles

SCHEMA = arrow.schema(COLUMNS)
PROOFS = 3

# Files of rows of a text and a decimal, each behind its length; packed, in Base64
BY_PYARROW_17 = (
    "eNorZAxwDDIUZRCVEJXQEWUCMthE2WQYGBiYQJgRRDo6qbnJiPJIqrIxSEqwJ+fnFiTmVYoyiDGJ2YnZqXF4ygA1MYiCVAIpJVEl"
    "LMYwwEGK2j1GGVE+iGFsZfk5pbmpYLM8xDzUpjEiG8YiaWPKIMFWnJyRmpsoysIgyqPKBLdflcEHZLwon6iYKBPMIFUuURZRA50Y"
    "EAmUFGOSlJHUIdbxRDtMrI1RjEmNA0iJMDBoKBQkFhWWppboJhcU6CYWFeWXK5SlFhVn5ucpGJrrGegZSOoAHQpy60UgBgV2IeEg"
    "d3ahOMj/wwHbaJATEeSubtRL5Yw6o0FORJC7e1AxyCeMBvl9WJD/YgQiLKFVDCQTFfISc1MV8tMU8ksyUosUclLz0ksyFGgprLaG"
    "CXtILQEh9IjmEeXBdDqD2hZmrIFoJGak1sRMi9gl3tFEu03sGhM4gq8xkRbBV6ARnEI4T3l6kZCncAT1CUac3hnYjESsw8QKwMFc"
    "QFoon4eG8iuislEeJInn56XqKCQWK+Tk56Xr6SnQUpi0bESovPyidooZZ7E04DmKWLeJvYHkqDdk5qhMWFzjyApW2F0MSnGkhTdT"
    "hNol3NVAF02yFZGOJ9phYlXgsK4iL1sBAGVtKso="
)


class Writer:
    """pyarrow's writer, which counts what it is asked for."""

    def __init__(self, change: Callable[[bytes], bytes] = bytes) -> None:
        self.calls = 0
        self._change = change

    def __call__(self, rows: pa.Table) -> bytes:
        self.calls += 1
        return self._change(files.parquet(rows, files.WIDE_FILE))


def by_pyarrow(rows: pa.Table) -> list[bytes]:
    return [files.parquet(rows.slice(place, 1), files.WIDE_FILE) for place in range(rows.num_rows)]


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if isinstance(kind, pa.Decimal128Type):
        largest = 10**kind.precision - 1
        return st.integers(-largest, largest).map(lambda number: Decimal(number).scaleb(-kind.scale))
    if pa.types.is_integer(kind):
        return st.integers(-(2 ** (kind.bit_width - 1)), 2 ** (kind.bit_width - 1) - 1)
    return {
        pa.string(): st.text(max_size=200),
        pa.date32(): st.dates(),
        pa.float64(): st.floats(),
    }[kind]


ROWS = st.lists(
    st.fixed_dictionaries({field.name: st.none() | values_of(field.type) for field in SCHEMA}), max_size=30
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, first=st.integers(0, 3))
def test_whatever_is_in_a_row_its_file_is_pyarrow_s(rows: list[dict[str, Any]], first: int) -> None:
    table = pa.Table.from_pylist(rows, SCHEMA).slice(
        first
    )  # as of a part of a table: buffers begin before it

    assert list(OneRowFiles(Writer()).of(table)) == by_pyarrow(table)


def row_of(number: int) -> dict[str, Any]:
    """A row whose values have the lengths of any other number's of as many digits."""
    values: dict[Any, Any] = {
        pa.string(): f"{number:03}",
        pa.date32(): dt.date(2031, 3, 14) + dt.timedelta(number),
        pa.float64(): number / 7,
    }
    return {
        field.name: Decimal(number) if pa.types.is_decimal(field.type) else values.get(field.type, number)
        for field in SCHEMA
    }


def test_pyarrow_is_asked_once_for_rows_of_the_same_lengths_in_one_table_or_several() -> None:
    rows = pa.Table.from_pylist([row_of(number) for number in range(100)], SCHEMA)
    pyarrow_s = Writer()
    one_by_one = OneRowFiles(pyarrow_s)

    assert [*one_by_one.of(rows.slice(0, 50)), *one_by_one.of(rows.slice(50))] == by_pyarrow(rows)
    assert pyarrow_s.calls == 1 + PROOFS


def test_pyarrow_is_asked_for_lengths_that_a_column_has_not_had_and_not_for_those_that_each_has_had() -> None:
    longer = row_of(1) | {"company": "a name of other length"}
    none = row_of(2) | {"company": None, "sector": None}
    mixed = row_of(3) | {"company": "a name of such a length", "sector": None}
    last = longer | {"sector": None}
    rows = pa.Table.from_pylist([row_of(0), longer, none, mixed, *[row_of(0)] * PROOFS, last], SCHEMA)
    pyarrow_s = Writer()

    assert list(OneRowFiles(pyarrow_s).of(rows)) == by_pyarrow(rows)
    # The last one's lengths have been there, in other rows
    assert pyarrow_s.calls == 4 + PROOFS


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[:4] + b"\0" + body[4:],  # something before the first column
        lambda body: body.replace(b"parquet-cpp", b"parquet\0cpp"),
        lambda body: body[:-8] + b"\0\0\0\0PAR1",
    ],
    ids=["a gap", "a footer of the same lengths", "no footer"],
)
def test_files_that_are_another_kind_are_all_pyarrow_s(change: Callable[[bytes], bytes]) -> None:
    rows = pa.Table.from_pylist([row_of(number) for number in range(5)], SCHEMA)
    found = list(OneRowFiles(Writer(change)).of(rows))

    assert found == [change(body) for body in by_pyarrow(rows)]


def test_files_with_what_they_are_told_not_to_have_are_all_pyarrow_s() -> None:
    rows = pa.Table.from_pylist([row_of(number) for number in range(5)], SCHEMA)
    for options in (files.COMPACT_FILE, {**files.WIDE_FILE, "write_statistics": True}, {}):

        def write(row: pa.Table, options: Any = options) -> bytes:
            return files.parquet(row, options)

        assert list(OneRowFiles(write).of(rows)) == [write(rows.slice(place, 1)) for place in range(5)]


def test_files_are_those_of_a_former_pyarrow_where_that_one_writes() -> None:
    packed, former = zlib.decompress(base64.b64decode(BY_PYARROW_17)), []
    while packed:
        (length,) = struct.unpack_from("<H", packed)
        former.append(packed[2 : 2 + length])
        packed = packed[2 + length :]
    rows = pa.concat_tables([pq.read_table(pa.BufferReader(body)) for body in former])
    assert rows["company"].to_pylist()[5:] == ["IJ", "another one, as long.. " * 5, None]
    asked: list[int] = []

    def write(row: pa.Table) -> bytes:
        asked.append(next(n for n in range(len(former)) if rows.slice(n, 1).equals(row)))
        return former[asked[-1]]

    assert list(OneRowFiles(write).of(rows)) == former
    assert asked == [0, 1, 2, 3, 4, 7]  # 5 and 6 have lengths that have been there


def test_a_table_of_other_columns_has_its_own_files() -> None:
    schema = arrow.schema(MEMBER_COLUMNS)
    row = {"index_code": "IBOV", "ticker": "ZZAA3", "weight": Decimal("1.5"), "portfolio_age_days": 3}
    rows = pa.Table.from_pylist([row, row | {"weight": Decimal("-2.5")}], schema)

    first, second = OneRowFiles(Writer()).of(rows)
    assert [first, second] == by_pyarrow(rows)
    assert pq.read_table(pa.BufferReader(second)).equals(rows.slice(1))


def test_no_rows_are_no_files() -> None:
    assert list(OneRowFiles(Writer()).of(SCHEMA.empty_table())) == []
