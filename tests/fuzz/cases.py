"""What was found to break a reader, or would break a lesser one, and the words in which each is refused now.

A case is as small as its fault allows. `FOUND` are those that a reader failed on; the file in `corpus/` was
left by the fuzzer. `TRIED` are those that it had been ready for.
"""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from sandbox.b3.formats import Quote, encode_levels, encode_portfolio, encode_session, zip_file
from scraper.b3.archive import MAX_DIRECTORY_BYTES
from scraper.b3.corporate_actions.reader import MAX_BYTES, MAX_HISTORY_BYTES
from scraper.b3.corporate_actions.reader import MAX_PAGES as MAX_HISTORY_PAGES
from scraper.b3.cotahist.reader import MAX_RATIO
from scraper.b3.index_level.reader import MAX_BYTES as MAX_LEVELS_BYTES
from scraper.b3.index_portfolio.reader import MAX_PAGE_BYTES, MAX_PAGES
from tests.fixtures.b3 import SMALL_PORTFOLIO
from tests.fuzz.harness import SESSION_QUOTES, TEXT_BYTES
from tests.fuzz.seeds import FUND, HISTORY, ISSUER, PAGE_SEPARATOR, SESSION, SUPPLEMENT

CORPUS = Path(__file__).with_name("corpus")


class Case(NamedTuple):
    """An input.

    Attributes:
        name: Says what is wrong with it.
        readers: The harnesses that take it.
        make: Makes it.
        refusal: A regular expression of what is found and expected, as the error says it; None if the input
            is taken, as what is wrong with it does not change what it says.
    """

    name: str
    readers: tuple[str, ...]
    make: Callable[[], bytes]
    refusal: str | None


QUOTES = ("daily", "annual")
PORTFOLIO = ("portfolio",)
ACTIONS = ("actions",)
LEVELS = ("levels",)

_TEXT = encode_session(SESSION, [Quote()])
_DAMAGED = r"found a damaged ZIP \("


# ---------------------------------------------------------------------------------------------------------
# ZIPs
# ---------------------------------------------------------------------------------------------------------
def _zip(
    text: bytes = _TEXT,
    *,
    body: bytes | None = None,
    crc: int | None = None,
    flags: int = 0,
    method: int = zipfile.ZIP_DEFLATED,
    name: bytes = b"A",
    other_name: bytes | None = None,
    sizes: tuple[int, int] | None = None,
    offset: int | None = None,
    times: int = 1,
    comment: bytes = b"",
) -> bytes:
    """A ZIP whose every claim can be false: the directory's `other_name`, `sizes` and `offset`."""
    body = _packed(text) if body is None else body
    crc = zlib.crc32(text) if crc is None else crc
    packed, unpacked = sizes or (len(body), len(text))
    wide = struct.pack("<HHQQQ", 1, 24, unpacked, packed, offset or 0)
    local = struct.pack(
        "<4s5H3L2H", b"PK\x03\x04", 45, flags, method, 0, 33, crc, len(body), len(text), len(name), 0
    )
    entry_name = name if other_name is None else other_name
    most = 0xFFFFFFFF
    entry = struct.pack(
        "<4s6H3L5H2L",
        *(b"PK\x01\x02", 45, 45, flags, method, 0, 33, crc, most, most, len(entry_name), len(wide)),
        *(0, 0, 0, 0, most),
    )
    directory = (entry + entry_name + wide) * times
    start = len(local) + len(name) + len(body)
    counts = min(times, 0xFFFF)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, counts, counts, len(directory), start, len(comment))
    return local + name + body + directory + end + comment


def _with_directory_at(difference: int) -> bytes:
    """A ZIP that says that its directory begins so many bytes after where it does."""
    data = bytearray(zip_file(_TEXT, "A"))
    (start,) = struct.unpack_from("<L", data, len(data) - 6)
    struct.pack_into("<L", data, len(data) - 6, start + difference)
    return bytes(data)


def _with_wide_end() -> bytes:
    """A ZIP with a second end of its directory, in 64 bits, which claims more than there is."""
    data = zip_file(_TEXT, "A")
    end = len(data) - 22
    wide = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, 2**64 - 1, 0)
    return data[:end] + wide + struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1) + data[end:]


_EMPTY_BLOCK = b"\x00\x00\x00\xff\xff"
"""A block of deflate that holds nothing: as many as one likes may come before the text."""


def _packed(text: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(text) + packer.flush()


def _flushed() -> bytes:
    """Deflate with an empty block after each byte."""
    packer = zlib.compressobj(9, wbits=-15)
    each = (packer.compress(_TEXT[at : at + 1]) + packer.flush(zlib.Z_FULL_FLUSH) for at in range(len(_TEXT)))
    return b"".join(each) + packer.flush()


def _text_of(quotes: int) -> bytes:
    """A text of that many quotes, all the same."""
    header, quote, trailer = (_TEXT[start : start + 247] for start in range(0, 3 * 247, 247))
    return header + quote * quotes + trailer[:31] + b"%011d" % (quotes + 2) + trailer[42:]


def _distinct(quotes: int) -> bytes:
    """A text of that many quotes, which packs as the texts of B3 do."""
    return encode_session(
        SESSION, [Quote(codneg=f"ZZ{number:06}", quatot=number**3) for number in range(quotes)]
    )


# ---------------------------------------------------------------------------------------------------------
# Texts
# ---------------------------------------------------------------------------------------------------------
def _followed_by(end: bytes) -> bytes:
    return _TEXT + end


def _cut_short(length: int) -> bytes:
    """A text of which an editor has cut header and trailer short, the trailer to so many characters."""
    return b"\n".join([_TEXT[:31], _TEXT[247 : 247 + 245], _TEXT[2 * 247 : 2 * 247 + length], b""])


def _changed(record: int, first: int, value: bytes) -> bytes:
    start = (record - 1) * 247 + first - 1
    return _TEXT[:start] + value + _TEXT[start + len(value) :]


# ---------------------------------------------------------------------------------------------------------
# Portfolios
# ---------------------------------------------------------------------------------------------------------
(_PAGE,) = encode_portfolio(SESSION, SMALL_PORTFOLIO)


def _page(**values: Any) -> bytes:
    return json.dumps({**_PAGE, **values}).encode()


def _with_row(**values: Any) -> bytes:
    first, *others = _PAGE["results"]
    return _page(results=[{**first, **values}, *others])


_NO_WEIGHTS: tuple[object, ...] = (
    *("1" * 400, "9999999,000", "0,0001", "1e9", "NaN", "Infinity", "٣,٠", -1, 1e308, [[]], {}),
)


# ---------------------------------------------------------------------------------------------------------
# Corporate actions
# ---------------------------------------------------------------------------------------------------------
_NO_DAYS: tuple[object, ...] = (
    *("00/00/0000", "30/02/2024", "٠١/٠١/٢٠٢٤", "01/01/24", "2024-01-01", 10**30, []),
)
_CASH = {
    "assetIssued": "BRZZAAACNOR0",
    "paymentDate": "31/12/9999",
    "rate": "0,13340000000",
    "relatedTo": "",
    "approvedOn": "09/12/2021",
    "isinCode": "BRZZAAACNOR0",
    "label": "DIVIDENDO",
    "lastDatePrior": "17/12/2021",
    "remarks": "",
}


def _supplement(**values: Any) -> bytes:
    """The answer of a company whose one event has other values."""
    answer = {"code": ISSUER, "tradingName": "SIMULADA", "cashDividends": [{**_CASH, **values}]}
    return SUPPLEMENT + json.dumps([{**answer, "stockDividends": [], "subscriptions": None}]).encode()


def _history(**page: Any) -> bytes:
    return (
        HISTORY + json.dumps({"page": {"totalPages": 0, "totalRecords": 0, **page}, "results": []}).encode()
    )


def _rows_of_nothing(pages: int) -> bytes:
    """As large a page as there can be of so many that are alike, whose rows are as many as there can be."""
    head = b'{"page":{"totalPages":%d,"totalRecords":%d},"results":['
    rows = (MAX_BYTES - len(head) - 20) // len("{},")
    return head % (pages, pages * rows) + b"{}," * (rows - 1) + b"{}]}"


# ---------------------------------------------------------------------------------------------------------
# Levels
# ---------------------------------------------------------------------------------------------------------
def _with_level(level: object) -> bytes:
    """A year that has that level on its last day of May alone."""
    answer = encode_levels({})
    answer["results"][30]["rateValue5"] = level
    return json.dumps(answer).encode()


_NO_LEVELS: tuple[object, ...] = (
    *(
        "1" * 256 + ",00",
        "0,00",
        "1,0",
        "1",
        "1,234",
        "1,2,3",
        "1.23,00",
        "-1,00",
        "NaN",
        "٣,٠٠",
        1.5,
        [],
        {},
    ),
)


def _list_of(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


FOUND = (
    Case(
        "a member at an offset beyond 63 bits",
        QUOTES,
        partial(_zip, offset=2**63 + 5),
        _DAMAGED + "BadZipFile: a member from byte 9223372036854775813",
    ),
    Case(
        "a member before the file's start",
        QUOTES,
        partial(_with_directory_at, 100),
        _DAMAGED + "BadZipFile: a member from byte -100",
    ),
    Case(
        "sizes in 64 bits that are false",
        ("annual",),
        (CORPUS / "annual" / "sizes-in-64-bits-that-are-false.zip").read_bytes,
        _DAMAGED + "BadZipFile: a member from byte 0 to 9223372036854775838, of 1134",
    ),
    Case(
        "a header that is two lines",
        QUOTES,
        lambda: _TEXT.replace(b"\r\n", b"\n").replace(b"2024BOVESPA ", b"2024\nOVESPA "),
        "record 2: found 229 characters, expected 245",
    ),
    Case(
        "a trailer that ends in two line ends",
        QUOTES,
        lambda: _TEXT[:-3] + b"\r\r\n",
        None,
    ),
    Case(
        "a trailer that is two lines",
        QUOTES,
        lambda: _TEXT[: 2 * 247 + 100] + b"\rx" + _TEXT[2 * 247 + 102 :],
        "record 3: found 100 characters, expected 245",
    ),
    Case(
        "a directory of many members",
        QUOTES,
        partial(_zip, times=100_000),
        _DAMAGED + f"BadZipFile: a directory of more than {MAX_DIRECTORY_BYTES} bytes",
    ),
    Case(
        "a member with a long name that differs",
        QUOTES,
        partial(_zip, name=b"a" * 60_000, other_name=b"b" * 60_000),
        _DAMAGED + r"BadZipFile: File name in directory 'b{100,200}\), expected",
    ),
    Case(
        "a ZIP that opens to 950 times its bytes",
        QUOTES,
        partial(_zip, _text_of(10_000)),
        f"found a ZIP that holds more than {MAX_RATIO} times its own bytes, expected quotes",
    ),
    Case(
        "a session of a year that does not end",
        ("annual",),
        partial(_distinct, SESSION_QUOTES + 1),
        f"field DATA: found more than {SESSION_QUOTES} quotes of 2024-11-08",
    ),
    *(
        Case(f"lists {depth} deep", PORTFOLIO, partial(_list_of, depth), "found .* expected JSON")
        for depth in (9, 400, 900, *range(980, 1000), 100_000)
    ),
    Case(
        "a page of many objects",
        PORTFOLIO,
        lambda: b'{"results":[' + b"{}," * 200_000 + b'{}],"page":{},"header":{}}',
        f"found a page of 600038 bytes, expected at most {MAX_PAGE_BYTES}",
    ),
    Case(
        "more pages than there can be",
        PORTFOLIO,
        lambda: PAGE_SEPARATOR.join([_page()] * (MAX_PAGES + 1)),
        f"found {MAX_PAGES + 1} pages, expected at most {MAX_PAGES}",
    ),
    Case(
        "a count of pages without measure",
        PORTFOLIO,
        partial(_page, page={"pageNumber": 1, "totalPages": 10**9, "totalRecords": 3}),
        "field page.totalPages: found 1000000000, expected at most 20|expected 1, as the pages say",
    ),
    Case(
        "a name twice in an object",
        PORTFOLIO,
        lambda: _page().replace(b'"partAcum"', b'"part"'),
        r"the name 'part' comes twice in an object\), expected JSON",
    ),
    Case(
        "half a character for a name, twice",
        PORTFOLIO,
        lambda: b'{"\\ud800": 1, "\\ud800": 2}',
        r"the name '\\ud800' comes twice in an object\), expected JSON",
    ),
    Case(
        "what Python takes for a number and JSON does not",
        PORTFOLIO,
        lambda: _page().replace(b'"pageSize": 120', b'"pageSize": NaN'),
        r"NaN is no JSON\), expected JSON",
    ),
    Case(
        "a name that does not end",
        PORTFOLIO,
        partial(_with_row, asset="A" * 2**16),
        None,
    ),
    Case(
        "a control character in a ticker",
        PORTFOLIO,
        partial(_with_row, cod="ZZ\x00A3"),
        'record 1, field results.cod: found "ZZ.u0000A3", expected at most 256 printable characters',
    ),
    Case(
        "pages of a history that are too much together",
        ACTIONS,
        lambda: HISTORY + PAGE_SEPARATOR.join([_rows_of_nothing(MAX_HISTORY_PAGES)] * MAX_HISTORY_PAGES),
        f"found pages of [0-9]+ bytes, expected at most {MAX_HISTORY_BYTES}",
    ),
    Case(
        "a page of rows that are none",
        ACTIONS,
        lambda: HISTORY + _rows_of_nothing(1),
        "record 1, field results.quotedPerShares: found nothing, expected a text",
    ),
)


TRIED = (
    # ZIPs
    Case(
        "zeros to the text's limit",
        QUOTES,
        lambda: zip_file(bytes(TEXT_BYTES + 1), "A"),
        f"found a ZIP that holds more than {MAX_RATIO} times its own bytes, expected quotes",
    ),
    Case(
        "more text than was asked for",
        QUOTES,
        lambda: b"00COTAHIST.2024" + b" " * TEXT_BYTES,
        f"found more than {TEXT_BYTES} bytes of text, expected quotes within|record 1: found \\d{{7}} ",
    ),
    Case("many empty blocks", QUOTES, partial(_zip, b"", body=_EMPTY_BLOCK * 50_000 + b"\x03\x00"), "found"),
    Case("a block a byte", QUOTES, lambda: _zip(body=_flushed()), None),
    Case("bytes after the text's end", QUOTES, lambda: _zip(body=_packed(_TEXT) + bytes(9999)), None),
    Case("a false checksum", QUOTES, partial(_zip, crc=1), _DAMAGED + "BadZipFile: Bad CRC-32"),
    Case(
        "a size that says less than there is",
        QUOTES,
        partial(_zip, sizes=(len(_TEXT), 100)),
        _DAMAGED + "BadZipFile: (Bad CRC-32|a member from byte)",
    ),
    Case("an encrypted member", QUOTES, partial(_zip, flags=0x1), "found a ZIP with an encrypted member"),
    Case("strong encryption", QUOTES, partial(_zip, flags=0x40), _DAMAGED + "NotImplementedError"),
    Case("a patch", QUOTES, partial(_zip, flags=0x20), _DAMAGED + "NotImplementedError"),
    Case("a name that is not UTF-8", QUOTES, partial(_zip, flags=0x800, name=b"\xff"), _DAMAGED + "Unicode"),
    Case("a path for a name", QUOTES, partial(_zip, name=b"../../../etc/passwd\x00.TXT"), None),
    Case("a method of old", QUOTES, partial(_zip, method=9), "found a ZIP with compression method 9"),
    Case("several members that are one", QUOTES, partial(_zip, times=2), "found a ZIP with 2 members"),
    Case("a ZIP within a ZIP", QUOTES, lambda: zip_file(zip_file(_TEXT, "A"), "B"), "record 1: found"),
    Case("two ZIPs, one after the other", QUOTES, lambda: zip_file(_TEXT, "A") * 2, None),
    Case("an end of the directory that claims too much", QUOTES, _with_wide_end, _DAMAGED + "BadZipFile"),
    Case("an end within the comment", QUOTES, partial(_zip, comment=b"PK\x05\x06" + bytes(50)), "0 members"),
    # Texts
    *(
        Case(f"a count of {count!r}", QUOTES, partial(_changed, 3, 32, count), "TOTAL DE REGISTROS: found")
        for count in (b"99999999999", b"00000000000", b"           ", b"-0000000003", b"\xff" * 11)
    ),
    *(
        Case(f"a day of {day!r}", QUOTES, partial(_changed, 2, first, day), f"record 2, field {field}: found")
        for day in (b"00000000", b"20240230", b"2024-1-8", b"\x00" * 8)
        for field, first in (("DATA", 3), ("DATVEN", 203))
        if field == "DATA" or not day.isdigit()
    ),
    *(
        Case(f"an expiry of {day!r}", QUOTES, partial(_changed, 2, 203, day), None)
        for day in (b"00000000", b"20240230", b"99999999")
    ),
    *(
        Case(f"{byte!r} in a {name}", QUOTES, partial(_changed, 2, first, byte), refusal)
        for byte in (b"\x92", b"\x81", b"\x00")
        for name, first, refusal in (
            ("name", 28, None),
            ("ticker", 13, "field CODNEG: found"),
            ("code that is an ISIN", 231, "field CODISI: found"),
        )
    ),
    Case("a line end in a name", QUOTES, partial(_changed, 2, 28, b"\r\n"), "field NOMRES: found"),
    *(
        Case(f"{end[:4]!r}, {len(end)} bytes, at the end", QUOTES, partial(_followed_by, end), refusal)
        for end, refusal in (
            (b"\r\n", None),
            (b"\x1a", None),
            (b" " * 4096, None),
            (b" " * 4097, "found "),
            (b"\r\n" * 2048, None),
            (b"\x00", "record 4: found 1 characters"),
        )
    ),
    Case("a header and a trailer that are cut short", QUOTES, lambda: _cut_short(42), None),
    Case("a trailer that is cut in its count", QUOTES, lambda: _cut_short(41), "TOTAL DE REGISTROS: found"),
    Case("the quotes alone counted", QUOTES, partial(_changed, 3, 32, b"00000000001"), None),
    Case("the header counted, and no trailer", QUOTES, partial(_changed, 3, 32, b"00000000002"), "TOTAL DE"),
    Case("a line that does not end", QUOTES, lambda: b"00COTAHIST.2024" + b" " * 10**6, "record 1: found"),
    Case("nothing but line ends", QUOTES, lambda: b"00COTAHIST.2024" + b"\n" * 10**5, "record 2: found 0 "),
    Case("a trailer alone", QUOTES, lambda: _TEXT[2 * 247 :], "expected a ZIP or a COTAHIST text"),
    Case("NULs in a name", QUOTES, partial(_changed, 2, 28, b"\x00" * 12), None),
    Case("Latin-1 that is no digit", QUOTES, partial(_changed, 2, 148, b"\xb2" * 5), "field TOTNEG: found"),
    Case("an accent", QUOTES, partial(_changed, 2, 28, b"SIMULA\xc7\xc3O"), None),
    # Portfolios
    *(
        Case(f"{body[:12]!r}, {len(body)} bytes", PORTFOLIO, partial(bytes, body), "found")
        for body in (
            *(b"", b"null", b"true", b'""', b"1", b"[]", b"{}", b"{" * 9, b'{"a":' * 99_999, b"\xff\xfe{"),
            *(b'"\\ud800"', b"\x00", b'"' + b"\\" * 999, b"9" * 5000, b"1e999", b"-Infinity"),
            json.dumps("\ufeff{}").encode(),
            json.dumps(json.dumps(json.dumps(_PAGE))).encode(),
        )
    ),
    Case("a byte order mark", PORTFOLIO, lambda: b"\xef\xbb\xbf" + _page(), None),
    Case("UTF-16", PORTFOLIO, lambda: _page().decode().encode("utf-16"), None),
    Case(
        "a count with more digits than Python reads",
        PORTFOLIO,
        lambda: _page().replace(b'"totalPages": 1', b'"totalPages": ' + b"1" * 5000),
        "Exceeds the limit .*, expected JSON",
    ),
    Case(
        "a count with as many digits as Python reads",
        PORTFOLIO,
        lambda: _page().replace(b'"totalPages": 1', b'"totalPages": ' + b"1" * 4300),
        r"field page.totalPages: found 1{80}\.\.\., expected",
    ),
    *(
        Case(
            f"a weight of {part!r}",
            PORTFOLIO,
            partial(_with_row, part=part),
            "record 1, field results.part: ",
        )
        for part in _NO_WEIGHTS
    ),
    *(
        Case(
            f"a date of {day!r}",
            PORTFOLIO,
            partial(_page, header={**_PAGE["header"], "date": day}),
            "header.date",
        )
        for day in ("00/00/00", "30/02/24", "٠١/٠١/٢٤", "01/01/24\n", 10**30, None)
    ),
    # Corporate actions
    *(
        Case(f"{body[:12]!r} of corporate actions", ACTIONS, partial(bytes, body), "found")
        for body in (
            b"",
            b"S",
            b"Snull",
            b"S{}",
            b"F[1]",
            b"S[[]]",
            b"S[{},{}]",
            b"H",
            b"H[]",
            b"H{}",
            b"X\x00",
        )
    ),
    Case("a list without an issuer", ACTIONS, lambda: SUPPLEMENT + b"[]", None),
    Case("lists 400 deep", ACTIONS, lambda: FUND + _list_of(400), "found .* expected JSON"),
    Case(
        "an answer of many objects",
        ACTIONS,
        lambda: SUPPLEMENT + b'[{"code":"ZZAA","cashDividends":[' + b"{}," * 200_000 + b"{}]}]",
        f"expected at most {MAX_BYTES}",
    ),
    Case("another issuer", ACTIONS, lambda: SUPPLEMENT + b'[{"code": "ZZBB"}]', 'answer.code: found "ZZBB"'),
    *(
        Case(f"a rate of {rate!r}", ACTIONS, partial(_supplement, rate=rate), "field cashDividends.rate: ")
        for rate in (*_NO_WEIGHTS, "0.1334", "1.234", "-1,0", "0,000000000001", " ")
        if rate not in ("0,0001", "9999999,000")  # which are rates
    ),
    *(
        Case(f"an event of {day!r}", ACTIONS, partial(_supplement, lastDatePrior=day), "lastDatePrior: found")
        for day in _NO_DAYS
    ),
    Case(
        "an event without a rate or a day", ACTIONS, partial(_supplement, rate=None, lastDatePrior=""), None
    ),
    Case("remarks that do not end", ACTIONS, partial(_supplement, remarks="A" * 2**16), None),
    Case("a label of NULs", ACTIONS, partial(_supplement, label="\x00"), "cashDividends.label: found"),
    Case(
        "a count of pages of a history without measure",
        ACTIONS,
        partial(_history, totalPages=10**9),
        f"field page.totalPages: found 1000000000, expected at most {MAX_HISTORY_PAGES}",
    ),
    # Levels
    *(
        Case(f"{body[:12]!r} of levels", LEVELS, partial(bytes, body), "found")
        for body in (
            b"",
            b"{}",
            b"[]",
            b"1",
            b'"null',
            b'{"results": [[]]}',
            b'{"results": [{"day": 1e999}]}',
        )
    ),
    Case("levels of nobody", LEVELS, lambda: b"null", None),
    Case("null in a text", LEVELS, lambda: b'"null"', None),
    *(
        Case(
            f"a level of {level!r}"[:60],
            LEVELS,
            partial(_with_level, level),
            "record 31, field results.rateV",
        )
        for level in _NO_LEVELS
    ),
    Case("a level without an extreme to it", LEVELS, partial(_with_level, "1,00"), None),
    Case(
        "an answer that is too much", LEVELS, lambda: _list_of(2**16), f"expected at most {MAX_LEVELS_BYTES}"
    ),
    Case("a history that lacks rows", ACTIONS, partial(_history, totalRecords=1), "found 0 pages and 1 rows"),
)
