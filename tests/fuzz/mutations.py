"""What bytes changed at random would not do to an input: changes inside the ZIP, at the places that count.

An input is a file as B3 could serve it. A mutation takes it apart as far as it can be, changes records,
fields, sizes, offsets, names or JSON values, and puts it together again, with or without making good what the
change broke: the count in the trailer, the checksum, the sums of the portfolio. The same seed gives the same
mutation.
"""

from __future__ import annotations

import copy
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from decimal import Decimal
from io import BytesIO
from typing import Any

from sandbox.b3.formats import LAYOUT
from tests.fuzz import naive
from tests.fuzz.seeds import PAGE_SEPARATOR

RandomBytes = Callable[[bytes, int], bytes]
"""Changes some bytes of what it is given, up to a length: libFuzzer's own mutations, or `random_bytes`."""

_STRIDE = 247
_TEXT_LIMIT = 2**20
_FIELDS = [(first, last) for _, first, last, _ in LAYOUT] + [(1, 2), (3, 10), (3, 15), (24, 31), (32, 42)]
_DAYS = b"00000000 20240230 20230229 20241301 99991231 00010101 99999999 20240229".split()
_CHARACTERS = [bytes([character]) for character in b" 09\x00\t\n\r\x7f\x80\x9f\xa0\xc9\xff"]
_SIZES = [0, 1, 2, 0x7FFF, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]
_WIDE_SIZES = [*_SIZES, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]

_ENTRY, _LOCAL, _END = b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06"
_ENTRY_FIELDS = (
    *((4, 2), (6, 2), (8, 2), (10, 2), (16, 4), (20, 4), (24, 4)),
    *((28, 2), (30, 2), (32, 2), (34, 2), (42, 4)),
)
_LOCAL_FIELDS = ((4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2))
_END_FIELDS = ((4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2))
"""Offset and bytes of what each of a ZIP's headers claims."""


def random_bytes(rng: random.Random) -> RandomBytes:
    """Changes bytes without libFuzzer's help."""

    def change(data: bytes, limit: int) -> bytes:
        changed = bytearray(data)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(changed) + 1)
            changed[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        return bytes(changed[:limit])

    return change


def mutate_cotahist(data: bytes, rng: random.Random, change: RandomBytes, limit: int) -> bytes:
    """Another session or year, or something that is none any more."""
    choice = rng.random()
    if choice < 0.15:
        return change(data, limit)
    text, _ = naive.extract(data, _TEXT_LIMIT)
    if not data.startswith(b"PK"):
        mutated = _mutate_text(data, rng, change)
        return (_pack(mutated, rng) if rng.random() < 0.2 else mutated)[:limit]
    if text is None or choice < 0.45:
        try:
            return _mutate_zip(data, rng)[:limit]
        except (struct.error, ValueError):  # the headers that it looks for lie across one another
            return change(data, limit)
    return _pack(_mutate_text(text, rng, change), rng)[:limit]


def mutate_portfolio(data: bytes, rng: random.Random, change: RandomBytes, limit: int) -> bytes:
    """Another portfolio, or something that is none any more."""
    pages = data.split(PAGE_SEPARATOR)
    try:
        answers = [naive.nested_json(page) for page in pages]
    except (ValueError, RecursionError):
        return change(data, limit)
    if rng.random() < 0.2:
        return change(data, limit)
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        _mutate_answers(answers, rng)
    if rng.random() < 0.6:
        _make_good(answers)
    return PAGE_SEPARATOR.join(_encode(answer, rng) for answer in answers)[:limit]


def mutate_actions(data: bytes, rng: random.Random, change: RandomBytes, limit: int) -> bytes:
    """Another answer on corporate actions, or something that is none any more; sometimes of another call."""
    call = rng.choice([b"S", b"F", b"H"]) if rng.random() < 0.05 else data[:1]
    return call + mutate_portfolio(data[1:], rng, change, max(limit - 1, 0))


def mutate_levels(data: bytes, rng: random.Random, change: RandomBytes, limit: int) -> bytes:
    """Another year of levels, or something that is none any more."""
    try:
        answer = naive.nested_json(data)
        rows = {number: row for number, row in enumerate(answer["results"]) if isinstance(row, dict)}
        extremes = {name: answer[name] for name in ("min", "max")}
    except (ValueError, RecursionError, TypeError, KeyError):
        return change(data, limit)
    if not rows or rng.random() < 0.4:
        return mutate_portfolio(data, rng, change, limit)
    for _ in range(rng.choice([1, 2, 30])):
        month, text = rng.randrange(1, 13), rng.choice(_LEVELS)
        rows[rng.choice([*rows])][f"rateValue{month}"] = text
        for extreme in extremes.values():
            if isinstance(extreme, dict) and rng.random() < 0.8:
                extreme[f"rateValue{month}"] = rng.choice([text, None])
    return _encode(answer, rng)[:limit]


def mutation_of(reader: str) -> Callable[[bytes, random.Random, RandomBytes, int], bytes]:
    """What changes the inputs of a reader."""
    of_json = {"portfolio": mutate_portfolio, "actions": mutate_actions, "levels": mutate_levels}
    return of_json.get(reader, mutate_cotahist)


# ---------------------------------------------------------------------------------------------------------
# COTAHIST's text
# ---------------------------------------------------------------------------------------------------------
def _mutate_text(text: bytes, rng: random.Random, change: RandomBytes) -> bytes:
    end = b"\r\n" if b"\r\n" in text else b"\n"
    lines = text.removesuffix(end).split(end)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        _mutate_lines(lines, rng, change)
    if rng.random() < 0.7:
        count = len(lines) - (2 if rng.random() < 0.5 else 0)
        lines[-1] = lines[-1][:31] + b"%011d" % max(count, 0) + lines[-1][42:]
    if rng.random() < 0.1:
        end = rng.choice([b"\n", b"\r\n", b"\r", b"\n\r", b""])
    text = end.join(lines) + rng.choice([end, end, end, b"", end * 2, b"\x1a"])
    return text[: rng.randrange(len(text) + 1)] if rng.random() < 0.05 else text


def _mutate_lines(lines: list[bytes], rng: random.Random, change: RandomBytes) -> None:
    at = rng.randrange(len(lines))
    line = lines[at]
    match rng.randrange(12):
        case 0 | 1 | 2 | 3 | 4:
            first, last = rng.choice(_FIELDS)
            lines[at] = line[: first - 1] + _field(last - first + 1, rng) + line[last:]
        case 5:
            lines.insert(at, line)
        case 6:
            del lines[at : at + (1 if len(lines) > 1 else 0)]
        case 7:
            other = rng.randrange(len(lines))
            lines[at], lines[other] = lines[other], line
        case 8:
            lines[at] = change(line, len(line) + 8)
        case 9:
            where = rng.randrange(len(line) + 1)
            lines[at] = line[:where] + rng.choice(_CHARACTERS) + line[where + 1 :]
        case 10:
            lines[at : at + 1] = [line] * (rng.choice([2, 16, 200]) if len(line) < _STRIDE else 2)
            del lines[4000:]
        case _:
            year = b"%04d" % rng.choice([2024, 2023, 0, 9999])
            for end in (0, -1):
                lines[end] = lines[end][:11] + year + lines[end][15:]


def _field(width: int, rng: random.Random) -> bytes:
    match rng.randrange(6):
        case 0:
            return rng.choice([b"0", b"9", b" ", b"\xff"]) * width
        case 1:
            return b"%0*d" % (width, rng.randrange(10**width))
        case 2:
            return (rng.choice(_DAYS) * 3)[:width] if width < 8 else rng.choice(_DAYS).ljust(width)[:width]
        case 3:
            return bytes(rng.choice(b"0123456789ABZ \xc9-.,") for _ in range(width))
        case 4:
            return b"2024%02d%02d" % (rng.randrange(14), rng.randrange(33)) + b" " * max(0, width - 8)
        case _:
            return rng.choice(_CHARACTERS).rjust(width, b"0")


# ---------------------------------------------------------------------------------------------------------
# ZIPs
# ---------------------------------------------------------------------------------------------------------
def _pack(text: bytes, rng: random.Random) -> bytes:
    packed = BytesIO()
    info = zipfile.ZipInfo(rng.choice(["COTAHIST_A2024.TXT", "COTAHIST.A1986", "../../É", "a/", "x" * 300]))
    info.compress_type = rng.choice([zipfile.ZIP_DEFLATED] * 6 + [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2])
    with (
        zipfile.ZipFile(packed, "w") as archive,
        archive.open(info, "w", force_zip64=rng.random() < 0.1) as file,
    ):
        file.write(text)
    return packed.getvalue()


def _mutate_zip(data: bytes, rng: random.Random) -> bytes:  # noqa: PLR0911 - one for each mutation
    match rng.randrange(10):
        case 0 | 1 | 2 | 3:
            for _ in range(rng.choice([1, 1, 2])):
                data = _claim(data, rng)
            return data
        case 4:
            return _with_zip64_entry(data, rng)
        case 5:
            return _with_zip64_end(data, rng)
        case 6:
            prefix: bytes = rng.choice([b"PK", _LOCAL + bytes(rng.randrange(40)), b"00"])
            return prefix + data
        case 7:
            comment = rng.randbytes(rng.choice([1, 22, 300]))
            return data[:-2] + struct.pack("<H", rng.choice([len(comment), 0xFFFF])) + comment
        case 8:
            return _with_members(data, rng)
        case _:
            return _with_deflate(data, rng)


def _claim(data: bytes, rng: random.Random) -> bytes:
    """Another value in one of the fields of a header."""
    signature, fields = rng.choice([(_ENTRY, _ENTRY_FIELDS), (_LOCAL, _LOCAL_FIELDS), (_END, _END_FIELDS)])
    start = data.rfind(signature)
    offset, width = rng.choice(fields)
    if start < 0 or start + offset + width > len(data):
        return data
    there = int.from_bytes(data[start + offset : start + offset + width], "little")
    near = [there + 1, there - 1, there ^ (1 << rng.randrange(8 * width)), len(data), start]
    value: int = rng.choice([*_SIZES, *near]) % (1 << 8 * width)
    return data[: start + offset] + value.to_bytes(width, "little") + data[start + offset + width :]


def _with_zip64_entry(data: bytes, rng: random.Random) -> bytes:
    """Sizes and the offset of the member in 64 bits, some of them false."""
    entry, end = data.rfind(_ENTRY), data.rfind(_END)
    if not 0 <= entry < end - 46 or end + 22 > len(data):
        return data
    name, old, comment = struct.unpack_from("<3H", data, entry + 28)
    changed = bytearray(data[entry : entry + 46 + name])
    extra = b""
    for offset in (24, 20, 42):
        (value,) = struct.unpack_from("<I", changed, offset)
        if rng.random() < 0.6:
            struct.pack_into("<I", changed, offset, 0xFFFFFFFF)
            extra += struct.pack("<Q", rng.choice([value, value, *_WIDE_SIZES]))
    extra = struct.pack("<HH", 1, rng.choice([len(extra), len(extra), 0, 0xFFFF])) + extra
    struct.pack_into("<H", changed, 30, len(extra))
    rest = data[entry + 46 + name + old :][:comment]
    tail = bytearray(data[end:])
    struct.pack_into("<I", tail, 12, len(changed) + len(extra) + len(rest))
    return data[:entry] + bytes(changed) + extra + rest + bytes(tail)


def _with_zip64_end(data: bytes, rng: random.Random) -> bytes:
    """A directory's end in 64 bits, before the other one, that claims other places."""
    end = data.rfind(_END)
    if end < 0 or end + 22 > len(data):
        return data
    count, _, size, offset = struct.unpack_from("<HHII", data, end + 8)
    size, offset = (rng.choice([value, value, value, *_WIDE_SIZES]) for value in (size, offset))
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, size, offset)
    disks = rng.choice([1, 1, 1, 2])
    return data[:end] + wide + struct.pack("<4sLQL", b"PK\x06\x07", 0, end, disks) + data[end:]


def _with_members(data: bytes, rng: random.Random) -> bytes:
    """The directory's entry many times, of which all share one member's bytes; or the ZIP within a ZIP."""
    entry, end = data.rfind(_ENTRY), data.rfind(_END)
    if rng.random() < 0.3 or not 0 <= entry < end or end + 22 > len(data):
        return _pack(data, rng)
    times = rng.choice([0, 2, 3, 500])
    tail = bytearray(data[end:])
    struct.pack_into("<HHI", tail, 8, times, times, times * (end - entry))
    return data[:entry] + data[entry:end] * times + bytes(tail)


def _with_deflate(data: bytes, rng: random.Random) -> bytes:
    """The member's bytes damaged or replaced, with a checksum that is right for what they still give."""
    entry, end = data.rfind(_ENTRY), data.rfind(_END)
    if not 0 <= entry < end - 46 or len(data) < 30:
        return data
    start = 30 + sum(struct.unpack_from("<2H", data, 26))
    body = bytearray(data[start:entry])
    if rng.random() < 0.5:
        for _ in range(rng.randint(1, 3)):
            if body:
                body[rng.randrange(len(body))] = rng.randrange(256)
    else:
        packer = zlib.compressobj(9, wbits=-15)
        body = bytearray(packer.compress(bytes(rng.choice([1, 10**5, 10**7]))) + packer.flush())
    inflater = zlib.decompressobj(-15)
    try:
        text = inflater.decompress(bytes(body), _TEXT_LIMIT)
    except zlib.error:
        text = b""
    changed = bytearray(data[entry:])
    struct.pack_into("<3I", changed, 16, zlib.crc32(text), len(body), len(text))
    struct.pack_into("<I", changed, end - entry + 16, start + len(body))
    return data[:start] + bytes(body) + bytes(changed)


# ---------------------------------------------------------------------------------------------------------
# Portfolios
# ---------------------------------------------------------------------------------------------------------
_VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 10**9, 10**30, 1.5, 1e308, [], {}, [[]], {"a": {}}),
    *(
        "",
        " ",
        "0",
        "1,5",
        "1.234,5",
        "3,22",
        "100,000",
        "0,001",
        "1" * 18,
        "1" * 19,
        "9" * 400,
        "NaN",
        "1e3",
    ),
    *("01/01/26", "29/02/23", "31/12/99", "00/00/00", "-1,000", "18.296.80337677573", "²", "\u0660"),
    *("30/02/2025", "31/12/9999", "01/01/1900", "08/11/2024", "0,00000000001", "1.234,56700000000", "1.234"),
    *("A" * 257, "\ud800", "\x00", "\ufeff"),
)

_LEVELS = ("1,00", "1.234,56", "999.999,99", "0,01", "1234,56", "1,234.56", "0,00", "12.34,56", None, "", " ")

_LISTS = ("results", "cashDividends", "stockDividends", "subscriptions")


def _mutate_answers(answers: list[Any], rng: random.Random) -> None:
    at = rng.randrange(len(answers))
    match rng.randrange(10):
        case 0:
            answers[at] = _value(rng)
        case 1:
            answers.insert(at, copy.deepcopy(answers[at]))
            del answers[30:]
        case 2:
            del answers[at : at + (1 if len(answers) > 1 else 0)]
        case 3:
            rng.shuffle(answers)
        case 4:
            rows = rng.choice(_lists(answers[at]) or [[]])
            if rows:
                rows.extend(copy.deepcopy(rng.choice(rows)) for _ in range(rng.choice([1, 3, 200])))
                for number, row in enumerate(rows):
                    if isinstance(row, dict) and "cod" in row and rng.random() < 0.9:
                        row["cod"] = f"ZZ{number:03}3"
        case _:
            answers[at] = _changed(answers[at], rng)


def _changed(value: Any, rng: random.Random) -> Any:
    """The value with another one somewhere within it, or one more, or one less."""
    inner = (
        list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    )
    if not inner or rng.random() < 0.1:
        return _value(rng)
    key = rng.choice(inner)
    match rng.randrange(12):
        case 0:
            del value[key]
        case 1 if isinstance(value, dict):
            names = ["cod", "part", "page", "rate", "label", "isinCode", "stockDividends", "x", "\ud800"]
            value[rng.choice(names)] = copy.deepcopy(value[key])
        case 1:
            value.append(copy.deepcopy(value[key]))
        case _:
            value[key] = _changed(value[key], rng)
    return value


def _value(rng: random.Random) -> Any:
    return copy.deepcopy(rng.choice([*_VALUES, _nested(rng)]))


def _nested(rng: random.Random) -> Any:
    value: Any = []
    for _ in range(rng.choice([5, 7, 9, 50])):
        value = rng.choice([[value], {"a": value}])
    return value


def _lists(answer: Any) -> list[list[Any]]:
    """The lists of rows or events in an answer."""
    answer = answer[0] if isinstance(answer, list) and answer else answer
    named = (answer.get(name) for name in _LISTS) if isinstance(answer, dict) else ()
    return [rows for rows in named if isinstance(rows, list)]


def _rows(answer: Any) -> list[Any]:
    rows = answer.get("results") if isinstance(answer, dict) else None
    return rows if isinstance(rows, list) else []


def _make_good(answers: list[Any]) -> None:
    """Counts and sums as they must be, where the answers have still the form for it."""
    rows = [row for answer in answers for row in _rows(answer) if isinstance(row, dict)]
    try:
        weights = sum(_number(row["part"]) for row in rows[1:])
        rows[0]["part"] = f"{Decimal(100) - weights:.3f}".replace(".", ",")
        quantity = sum(int(_number(row["theoricalQty"])) for row in rows)
    except (ArithmeticError, LookupError, TypeError, ValueError):
        quantity = 0
    for number, answer in enumerate(answers, start=1):
        if isinstance(answer, dict):
            if isinstance(answer.get("page"), dict):
                answer["page"] |= {
                    "pageNumber": number,
                    "totalPages": len(answers),
                    "totalRecords": len(rows),
                }
            if isinstance(answer.get("header"), dict) and quantity:
                answer["header"]["theoricalQty"] = f"{quantity:,}".replace(",", ".")


def _number(text: str) -> Decimal:
    if not re.fullmatch(r"[0-9.,]{1,30}", text):  # "1e9999999" would be a number, too, and take hours
        raise ValueError(text)
    return naive._brazilian(text)


def _encode(answer: Any, rng: random.Random) -> bytes:
    try:
        text = json.dumps(answer, ensure_ascii=rng.random() < 0.5)
    except (ValueError, RecursionError):
        return b"{}"
    choice = rng.randrange(20)
    if choice == 0:
        text = json.dumps(text)
    elif choice == 1:
        text = text.replace('"part"', '"cod"', 1)
    elif choice == 2:
        text = text.replace("null", rng.choice(["NaN", "-Infinity", "1" * 5000, "[" * 3000]), 1)
    encoding = rng.choice(["utf-8"] * 12 + ["utf-8-sig", "utf-16", "utf-16-be", "utf-32", "latin-1"])
    return text.encode(encoding, "replace" if encoding == "latin-1" else "surrogatepass")
