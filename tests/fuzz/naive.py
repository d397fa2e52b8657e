"""What the readers must make of their inputs, worked out in the plainest way, without any code of theirs.

Record by record and field by field, with Python's own integers, decimals and dates. The positions are those
of `sandbox.b3.formats`, which writes the files.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from io import BytesIO
from typing import Any

from sandbox.b3.formats import LAYOUT, RECORD_LENGTH

Row = dict[str, Any]

_CONTROL = re.compile(rb"[\x00-\x1f\x7f-\x9f]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NUMBER = re.compile(r"(?:[0-9]+|[1-9][0-9]{0,2}(?:\.[0-9]{3})+)(?:,[0-9]{1,3})?")
_IDENTITY = {"codneg", "codisi"}
_MOST_BLANK = 4096


class Refused(Exception):  # noqa: N818 - an answer, not an error
    """What a reader must not take."""


def extract(data: bytes, limit: int) -> tuple[bytes | None, bool]:
    """The text in a ZIP or the text itself, None if there is none, and whether the file is wholly sound.

    What a ZIP declares and its reader has no need to believe can be false: then there is a text, which may be
    taken or not.
    """
    if data.startswith(b"00COTAHIST."):
        return (data, True) if len(data) <= limit else (None, False)
    if not data.startswith(b"PK"):
        return None, False
    try:
        with zipfile.ZipFile(BytesIO(data)) as archive:
            (member,) = archive.infolist()
            _require(member.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}, "a method of B3's")
            with archive.open(member) as stream:
                text = stream.read(limit + 1)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not sound
        return None, False
    end = member.header_offset + 30 + len(member.filename) + member.compress_size
    return (text, member.file_size == len(text) and end <= len(data)) if len(text) <= limit else (None, False)


def quotes(text: bytes, year: int) -> Iterator[tuple[date, Row]]:
    """The session and the values of each quote of a text, in its order.

    Raises:
        Refused: The text is not as B3's layout has it.
    """
    records = _records(mended(text))
    name = f"COTAHIST.{year}".encode()
    for record, kind in ((records[0], b"00"), (records[-1], b"99")):
        _require(not re.search(rb"[\r\n]", record), "header and trailer are a line each")
        _require(record[:15] == kind + name, "header and trailer")
    _require(len(records) >= 2, "header and trailer are two")
    _require(records[-1][31:42] in {b"%011d" % len(records), b"%011d" % (len(records) - 2)}, "the count")
    for record in records[1:-1]:
        _require(record[:2] == b"01", "a quote")
        day = _day(record[2:10])
        values = {
            field: _value(field, kind, record[first - 1 : last].decode("latin-1"))
            for field, first, last, kind in LAYOUT
        }
        yield day, values


def mended(text: bytes) -> bytes:
    """The text with the blanks back that fill up header and trailer, and without blank lines after it."""
    end = b"\n" if re.match(rb"[^\r\n]*\n", text) else b"\r\n"
    line, newline, rest = text.partition(b"\n")
    header = line.removesuffix(b"\r")
    if newline and len(header) < RECORD_LENGTH and header.startswith(b"00"):
        text = header.ljust(RECORD_LENGTH) + end + rest
    stripped = text.rstrip(b" \r\n\x1a")
    start = stripped.rfind(b"\n") + 1
    trailer = stripped[start:]
    is_trailer = trailer.startswith(b"99") and len(trailer) <= RECORD_LENGTH
    if is_trailer and len(text) - start <= RECORD_LENGTH + len(end) + _MOST_BLANK:
        return text[:start] + trailer.ljust(RECORD_LENGTH) + end
    return text


def _records(text: bytes) -> list[bytes]:
    first = text[:RECORD_LENGTH]
    _require(not re.search(rb"[\r\n]", first), "the first line is as long as a record")
    end = b"\n" if text[RECORD_LENGTH : RECORD_LENGTH + 1] == b"\n" else b"\r\n"
    stride = RECORD_LENGTH + len(end)
    if not text.endswith((b"\r", b"\n")):
        text += end
    _require(len(text) % stride == 0, "whole records")
    lines = [text[start : start + stride] for start in range(0, len(text), stride)]
    _require(bool(lines) and all(line.endswith(end) for line in lines), "line ends")
    return [line[:RECORD_LENGTH] for line in lines]


def _value(field: str, kind: str, characters: str) -> Any:
    if kind == "text":
        if field in _IDENTITY:
            _require(not _CONTROL.search(characters.encode("latin-1")), "printable")
        _require(not re.search(r"[\r\n]", characters), "one line")
        return "".join(map(_character, characters)).rstrip(" ")
    _require(characters.isascii() and characters.isdigit(), "digits")
    match kind:
        case "digits":
            return characters
        case "integer":
            return int(characters)
        case "money":
            return Decimal(int(characters)).scaleb(-2)
        case "points":
            return Decimal(int(characters)).scaleb(-6)
        case _:
            return _expiry(characters)


def _expiry(characters: str) -> date | None:
    try:
        day = _day(characters.encode())
    except Refused:  # as it is no day of the calendar
        return None
    return None if day == date(9999, 12, 31) else day


def _character(character: str) -> str:
    code = ord(character)
    if code < 32 or code == 127:
        return "\N{SYMBOL FOR DELETE}" if code == 127 else chr(code + 0x2400)
    try:
        return bytes([code]).decode("cp1252") if 128 <= code < 160 else character
    except UnicodeDecodeError:
        return character


def _day(characters: bytes) -> date:
    _require(characters.isdigit(), "a date")
    try:
        return date(int(characters[:4]), int(characters[4:6]), int(characters[6:]))
    except ValueError:
        raise Refused("a date") from None


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise Refused(what)


def portfolio(pages: list[bytes]) -> tuple[str, list[Row]]:
    """The date and the rows of a portfolio that a reader has taken; nothing is checked."""
    answers = [nested_json(page) for page in pages]
    header = answers[0]["header"]
    rows = [row for answer in answers for row in answer["results"]]
    return header["date"].strip(), [
        {
            "ticker": row["cod"].strip(),
            "asset": _text(row.get("asset")),
            "share_class": _text(row.get("type")),
            "sector": _text(row.get("segment")),
            "weight": _brazilian(row["part"]),
            "sector_weight": _weight(row.get("partAcum")),
            "theoretical_quantity": int(_brazilian(row["theoricalQty"])),
        }
        for row in rows
    ]


def levels(body: bytes, year: int) -> list[tuple[date, Decimal]] | None:
    """The levels of an answer that a reader has taken, in order; None of null. Nothing is checked."""
    answer = nested_json(body)
    if answer is None:
        return None
    return sorted(
        (date(year, month, row["day"]), Decimal(re.sub(r"[.,]", "", text)).scaleb(-2))
        for row in answer["results"]
        for month in range(1, 13)
        if (text := (row[f"rateValue{month}"] or "").strip())
    )


_ROW: Row = dict.fromkeys(
    (
        *("issuer", "call", "category", "isin", "asset_issued", "type_stock", "label", "approved_on"),
        *("last_date_prior", "payment_date", "rate", "quoted_per_shares", "factor", "percentage"),
        *("price_unit", "subscription_date", "trading_period", "related_to", "remarks", "closing_price"),
        *("closing_price_date", "ratio", "corporate_action_price", "occurrence", "first_seen", "last_seen"),
    )
)
"""Each column of an event, in their order, that has nothing in it."""


def supplement(page: bytes, call: str, issuer: str, seen: date) -> list[Row]:
    """The events of an issuer that a reader has taken, in no order; nothing is checked."""
    answer = nested_json(page)
    if isinstance(answer, list):
        answer = answer[0] if answer else {}
    rows = []
    for category, name in (
        ("cash", "cashDividends"),
        ("stock", "stockDividends"),
        ("subscription", "subscriptions"),
    ):
        for row in answer.get(name) or []:
            event: Row = {
                "category": category,
                "isin": row["isinCode"].strip(),
                "asset_issued": _described(row.get("assetIssued")),
                "label": row["label"].strip(),
                "approved_on": _date(row["approvedOn"]),
                "last_date_prior": _date(row["lastDatePrior"]),
                "quoted_per_shares": 1,
                "remarks": _described(row.get("remarks")),
            }
            if category == "cash":
                event["payment_date"] = _date(row["paymentDate"])
                event["rate"] = _exact(row["rate"])
                event["related_to"] = _described(row.get("relatedTo"))
            elif category == "stock":
                event["factor"] = _exact(row["factor"])
            else:
                event["percentage"] = _exact(row["percentage"])
                event["price_unit"] = _exact(row["priceUnit"])
                event["subscription_date"] = _date(row["subscriptionDate"])
                event["trading_period"] = _described(row.get("tradingPeriod"))
            rows.append({**_ROW, **event, "issuer": issuer, "call": call})
    return _counted(rows, seen)


def cash_history(pages: list[bytes], issuer: str, seen: date) -> list[Row]:
    """The cash of a history that a reader has taken, in no order; nothing is checked."""
    rows = [
        {
            **_ROW,
            "issuer": issuer,
            "call": "cash_history",
            "category": "cash",
            "type_stock": row["typeStock"].strip(),
            "label": row["corporateAction"].strip(),
            "approved_on": _date(row["dateApproval"]),
            "last_date_prior": _date(row["lastDatePriorEx"]),
            "rate": _exact(row["valueCash"]),
            "quoted_per_shares": int(row["quotedPerShares"]),
            "closing_price": _exact(row["closingPricePriorExDate"]),
            "closing_price_date": _date(row["dateClosingPricePriorExDate"]),
            "ratio": _described(row.get("ratio")),
            "corporate_action_price": _exact(row["corporateActionPrice"]),
        }
        for page in pages
        for row in nested_json(page)["results"] or []
    ]
    return _counted(rows, seen)


def written(row: Row) -> str:
    """A row as text, its decimals without the zeros at their end."""
    values = (value.normalize() if isinstance(value, Decimal) else value for value in row.values())
    return repr(list(values))


def _counted(rows: list[Row], seen: date) -> list[Row]:
    counted: list[Row] = []
    for row in rows:
        earlier = sum({**other, "occurrence": None, **_UNSEEN} == row for other in counted)
        counted.append({**row, "occurrence": earlier + 1, "first_seen": seen, "last_seen": seen})
    return counted


_UNSEEN: Row = {"first_seen": None, "last_seen": None}


def nested_json(page: bytes) -> Any:
    """What is in JSON, or in the JSON string that it is."""
    answer = json.loads(page)
    return json.loads(answer) if isinstance(answer, str) else answer


def _described(value: object) -> str | None:
    return _text(value) or None


def _exact(value: str | None) -> Decimal | None:
    return _brazilian(value) if value else None


def _date(value: str | None) -> date | None:
    text = (value or "").strip()
    if text in {"", "31/12/9999", "01/01/1900"}:
        return None
    return date(int(text[6:]), int(text[3:5]), int(text[:2]))


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        return None
    pictures = (_picture(character) if _UNPRINTABLE.match(character) else character for character in value)
    return "".join(pictures)[:256].strip()


def _picture(character: str) -> str:
    return _character(character) if ord(character) < 128 else "\N{REPLACEMENT CHARACTER}"


def _weight(value: object) -> Decimal | None:
    """Of at most six digits before the comma and three behind it."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value.strip()):
        return None
    whole = value.strip().partition(",")[0].replace(".", "")
    return _brazilian(value) if len(whole) <= 6 else None


def _brazilian(text: str) -> Decimal:
    return Decimal(text.strip().replace(".", "").replace(",", "."))
