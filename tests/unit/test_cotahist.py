import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.b3.formats import Quote, encode_session, zip_file
from scraper.cotahist import COTAHIST_SCHEMA, open_text, read_session, read_text
from scraper.errors import InvalidData
from scraper.records import decode_quotes
from tests.fixtures.quotes import QUOTES, as_read

SESSION = date(2024, 11, 8)
SOURCE = "COTAHIST_D08112024.ZIP"
CRLF_RECORD = 247

# Position of each field, counted from 1 and inclusive, typed off B3's layout for these tests
POSITIONS = {
    "TIPREG": (1, 2),
    "DATA": (3, 10),
    "CODBDI": (11, 12),
    "CODNEG": (13, 24),
    "TPMERC": (25, 27),
    "NOMRES": (28, 39),
    "ESPECI": (40, 49),
    "PRAZOT": (50, 52),
    "MODREF": (53, 56),
    "PREABE": (57, 69),
    "PREMAX": (70, 82),
    "PREMIN": (83, 95),
    "PREMED": (96, 108),
    "PREULT": (109, 121),
    "PREOFC": (122, 134),
    "PREOFV": (135, 147),
    "TOTNEG": (148, 152),
    "QUATOT": (153, 170),
    "VOLTOT": (171, 188),
    "PREEXE": (189, 201),
    "INDOPC": (202, 202),
    "DATVEN": (203, 210),
    "FATCOT": (211, 217),
    "PTOEXE": (218, 230),
    "CODISI": (231, 242),
    "DISMES": (243, 245),
}
TEXTS = ("CODBDI", "CODNEG", "NOMRES", "ESPECI", "PRAZOT", "MODREF", "CODISI")
NUMBERS = tuple(name for name in POSITIONS if name not in {*TEXTS, "TIPREG", "DATA", "DATVEN"})

THREE_QUOTES = encode_session(SESSION, [Quote(codneg="ZZAA3"), Quote(codneg="ZZBB4"), Quote(codneg="ZZCC11")])


def read(data: bytes, *, session: date = SESSION) -> pd.DataFrame:
    return read_session(data, session=session, source=SOURCE)


def refusal(data: bytes, *, session: date = SESSION) -> InvalidData:
    with pytest.raises(InvalidData) as caught:
        read(data, session=session)
    return caught.value


def with_field(text: bytes, record: int, field: str | tuple[int, int], value: bytes) -> bytes:
    """The text with other characters in a field of a record, counted from 1, of a text with CRLF."""
    first, last = POSITIONS[field] if isinstance(field, str) else field
    assert len(value) == last - first + 1
    start = (record - 1) * CRLF_RECORD + first - 1
    return text[:start] + value + text[start + len(value) :]


# --- what is read


def test_every_field_of_a_record_is_read_where_the_layout_puts_it() -> None:
    record = (
        "01"
        "20241108"
        "78"
        "ZZAAK123    "
        "070"
        "ZZAAE       "
        "ON  EDJ NM"
        "000"
        "R$  "
        "0000000000101"
        "0000000000203"
        "0000000000099"
        "0000000000155"
        "0000000000200"
        "0000000000198"
        "9999999999999"
        "98874"
        "123456789012345678"
        "999999999999999999"
        "0000000003450"
        "1"
        "20241115"
        "0001000"
        "0128000500001"
        "BRZZAAACNOR0"
        "245"
    )
    header = "00COTAHIST.2024BOVESPA 20241108".ljust(245)
    trailer = "99COTAHIST.2024BOVESPA 2024110800000000003".ljust(245)
    frame = read("\r\n".join([header, record, trailer, ""]).encode("latin-1"))
    assert frame.to_dict("records") == [
        {
            "codbdi": "78",
            "codneg": "ZZAAK123",
            "tpmerc": "070",
            "nomres": "ZZAAE",
            "especi": "ON  EDJ NM",
            "prazot": "000",
            "modref": "R$",
            "preabe": Decimal("1.01"),
            "premax": Decimal("2.03"),
            "premin": Decimal("0.99"),
            "premed": Decimal("1.55"),
            "preult": Decimal("2.00"),
            "preofc": Decimal("1.98"),
            "preofv": Decimal("99999999999.99"),
            "totneg": 98874,
            "quatot": 123456789012345678,
            "voltot": Decimal("9999999999999999.99"),
            "preexe": Decimal("34.50"),
            "indopc": "1",
            "datven": date(2024, 11, 15),
            "fatcot": 1000,
            "ptoexe": Decimal("128000.500001"),
            "codisi": "BRZZAAACNOR0",
            "dismes": 245,
        }
    ]


def test_the_columns_have_the_schemas_arrow_types() -> None:
    frame = read(THREE_QUOTES)
    assert list(frame.columns) == COTAHIST_SCHEMA.names
    assert [dtype.pyarrow_dtype for dtype in frame.dtypes] == COTAHIST_SCHEMA.types


def test_a_session_without_quotes_has_no_rows_and_the_same_types() -> None:
    frame = read(encode_session(SESSION, []))
    assert len(frame) == 0
    assert frame.dtypes.equals(read(THREE_QUOTES).dtypes)


@pytest.mark.parametrize("final_line_end", [True, False])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("tickers", [[], ["ZZAA3"], ["ZZAA3", "ZZBB4"]])
def test_either_line_end_is_read_and_the_last_one_may_be_missing(
    tickers: list[str], line_end: bytes, final_line_end: bool
) -> None:
    text = encode_session(
        SESSION,
        [Quote(codneg=ticker) for ticker in tickers],
        line_end=line_end,
        final_line_end=final_line_end,
    )
    assert read(text)["codneg"].tolist() == tickers


def test_no_expiry_is_null_and_a_blank_text_is_empty() -> None:
    (row,) = read(encode_session(SESSION, [Quote(datven=None, prazot="")])).to_dict("records")
    assert row["datven"] is None
    assert row["prazot"] == ""


def test_characters_beyond_ascii_do_not_shift_the_texts_after_them() -> None:
    names = ["PLAIN", "ÉTOILE ÇÃO", "AÉ", "", "ÿ" * 12, "LAST"]
    frame = read(encode_session(SESSION, [Quote(nomres=name) for name in names]))
    assert frame["nomres"].tolist() == names


def test_a_session_of_1986_is_read() -> None:
    session = date(1986, 1, 2)
    quote = Quote(codneg="ACE 2", especi="PP  C01", modref="CZ$", codisi="ACE  PP  001", fatcot=1000)
    text = encode_session(session, [quote], line_end=b"\n", generated=date(1999, 12, 10))
    frame = read(zip_file(text, "COTAHIST.A1986"), session=session)
    (row,) = frame.to_dict("records")
    assert (row["codneg"], row["especi"], row["modref"], row["codisi"], row["fatcot"]) == (
        "ACE 2",
        "PP  C01",
        "CZ$",
        "ACE  PP  001",
        1000,
    )


def test_an_average_price_outside_the_days_range_is_read() -> None:
    quote = Quote(premin=Decimal("9.80"), premax=Decimal("10.50"), premed=Decimal("10.51"))
    assert read(encode_session(SESSION, [quote]))["premed"].tolist() == [Decimal("10.51")]


def test_quotes_that_share_ticker_market_and_term_are_all_kept() -> None:
    assert len(read(encode_session(SESSION, [Quote(), Quote()]))) == 2


@settings(deadline=None)
@given(
    session=st.dates(min_value=date(1986, 1, 2), max_value=date(2099, 12, 31)),
    quotes=st.lists(QUOTES, max_size=5),
    line_end=st.sampled_from([b"\r\n", b"\n"]),
    final_line_end=st.booleans(),
)
def test_any_valid_record_survives_the_round_trip(
    session: date, quotes: list[Quote], line_end: bytes, final_line_end: bool
) -> None:
    text = encode_session(session, quotes, line_end=line_end, final_line_end=final_line_end)
    frame = read(zip_file(text, "COTAHIST.TXT"), session=session)
    assert frame.to_dict("records") == [as_read(quote) for quote in quotes]


@settings(deadline=None, max_examples=400)
@given(position=st.integers(0, len(THREE_QUOTES) - 1), byte=st.integers(0, 255))
def test_a_corrupted_byte_is_refused_or_changes_only_its_own_field(position: int, byte: int) -> None:
    corrupted = THREE_QUOTES[:position] + bytes([byte]) + THREE_QUOTES[position + 1 :]
    record, offset = divmod(position, CRLF_RECORD)
    touched = [name for name, (first, last) in POSITIONS.items() if first <= offset + 1 <= last]
    try:
        after = read(corrupted).to_dict("records")
    except InvalidData:
        assert corrupted != THREE_QUOTES
        return
    before = read(THREE_QUOTES).to_dict("records")
    assert len(after) == len(before)
    for row, (row_before, row_after) in enumerate(zip(before, after, strict=True)):
        if record == row + 1:  # the header is record 0 here
            row_before.pop(touched[0].lower(), None)
            row_after.pop(touched[0].lower(), None)
        assert row_after == row_before


def test_blocks_decode_to_the_same_as_the_whole_and_count_their_records_on() -> None:
    text = encode_session(SESSION, [Quote(codneg=f"ZZ{number}", totneg=number) for number in range(10)])
    lines = text.split(b"\r\n")[1:-2]
    records = np.frombuffer(b"".join(lines), np.uint8).reshape(10, 245)
    whole = decode_quotes(records, first_record=2, source=SOURCE)
    blocks = [
        decode_quotes(records[start : start + 4], first_record=start + 2, source=SOURCE)
        for start in (0, 4, 8)
    ]
    assert pa.Table.from_batches(blocks).combine_chunks() == pa.Table.from_batches([whole])
    damaged = records[8:].copy()
    damaged[1, 147:152] = list(b"1 234")
    with pytest.raises(InvalidData) as caught:
        decode_quotes(damaged, first_record=10, source=SOURCE)
    assert (caught.value.record, caught.value.field) == (11, "TOTNEG")


# --- what is refused in a text


def test_a_refusal_says_where_and_what_was_found_and_expected_and_what_to_do() -> None:
    error = refusal(with_field(THREE_QUOTES, 3, "TOTNEG", b"00x50"))
    assert (error.source, error.record, error.field) == (SOURCE, 3, "TOTNEG")
    assert (error.found, error.expected) == ("'00x50'", "5 digits")
    assert str(error) == (
        "COTAHIST_D08112024.ZIP, record 3, field TOTNEG: found '00x50', expected 5 digits. "
        "Download it again; if it comes the same, B3 published it so: keep it and ask B3."
    )


@pytest.mark.parametrize("character", [b" ", b"-", b".", b"/", b":", b"A", b"\xb2"])
@pytest.mark.parametrize("field", NUMBERS)
def test_what_is_not_a_digit_is_refused_in_every_number(field: str, character: bytes) -> None:
    first, last = POSITIONS[field]
    value = b"0" * (last - first) + character
    error = refusal(with_field(THREE_QUOTES, 4, field, value))
    assert (error.record, error.field) == (4, field)
    assert error.found == repr(value.decode("latin-1"))


@pytest.mark.parametrize("character", [b"\x00", b"\t", b"\n", b"\x1f", b"\x7f", b"\x80", b"\x9f"])
@pytest.mark.parametrize("field", TEXTS)
def test_a_control_character_is_refused_in_every_text(field: str, character: bytes) -> None:
    first, last = POSITIONS[field]
    error = refusal(with_field(THREE_QUOTES, 2, field, character.ljust(last - first + 1)))
    assert (error.record, error.field) == (2, field)


@pytest.mark.parametrize(
    "value",
    [b"20240230", b"20230229", b"20241301", b"20240001", b"20240100", b"20241131", b"00000000", b"00000101"],
)
def test_a_day_that_is_not_in_the_calendar_is_refused(value: bytes) -> None:
    error = refusal(with_field(THREE_QUOTES, 3, "DATVEN", value))
    assert (error.record, error.field, error.found) == (3, "DATVEN", repr(value.decode()))


@pytest.mark.parametrize("value", ["20240229", "20000229", "20241231", "00010101", "99991230"])
def test_any_day_of_the_calendar_is_read(value: str) -> None:
    frame = read(with_field(THREE_QUOTES, 2, "DATVEN", value.encode()))
    assert frame["datven"][0] == date(int(value[:4]), int(value[4:6]), int(value[6:]))


def test_a_quote_of_another_session_is_refused() -> None:
    error = refusal(with_field(THREE_QUOTES, 3, "DATA", b"20241107"))
    assert (error.record, error.field, error.found) == (3, "DATA", "'20241107'")
    assert "20241108" in error.expected


def test_a_file_of_another_session_is_refused() -> None:
    error = refusal(THREE_QUOTES, session=date(2024, 11, 11))
    assert (error.record, error.field, error.found) == (2, "DATA", "'20241108'")


@pytest.mark.parametrize("tipreg", [b"02", b"00", b"99", b"  "])
def test_a_record_of_another_type_among_the_quotes_is_refused(tipreg: bytes) -> None:
    error = refusal(with_field(THREE_QUOTES, 3, "TIPREG", tipreg))
    assert (error.record, error.field, error.found) == (3, "TIPREG", repr(tipreg.decode()))


@pytest.mark.parametrize("record", [1, 5])
@pytest.mark.parametrize("nome", [b"COTAHIST.2023", b"COTAHIST 2024", b"HISTCOTA.2024"])
def test_another_name_in_header_or_trailer_is_refused(nome: bytes, record: int) -> None:
    with pytest.raises(InvalidData) as caught:
        read_text(with_field(THREE_QUOTES, record, (3, 15), nome), session=SESSION, source=SOURCE)
    assert (caught.value.record, caught.value.found) == (record, repr(nome.decode()))


def test_an_impossible_generation_date_is_refused() -> None:
    error = refusal(with_field(THREE_QUOTES, 1, (24, 31), b"20241308"))
    assert (error.record, error.found) == (1, "'20241308'")


def lines(text: bytes) -> list[bytes]:
    return text.splitlines(keepends=True)


def without_header(text: bytes) -> bytes:
    return b"".join(lines(text)[1:])


def without_trailer(text: bytes) -> bytes:
    return b"".join(lines(text)[:-1])


def with_two_headers(text: bytes) -> bytes:
    return lines(text)[0] + text


def with_two_trailers(text: bytes) -> bytes:
    return text + lines(text)[-1]


def header_alone(text: bytes) -> bytes:
    return lines(text)[0]


def header_alone_without_line_end(text: bytes) -> bytes:
    return text[:245]


@pytest.mark.parametrize(
    ("change", "record", "found"),
    [
        (without_header, 1, "'01'"),
        (without_trailer, 4, "'01'"),
        (with_two_headers, 6, "'00000000005'"),
        (with_two_trailers, 6, "'00000000005'"),
        (header_alone, 1, "'00'"),
        (header_alone_without_line_end, 1, "'00'"),
    ],
)
def test_header_and_trailer_must_be_there_once(
    change: Callable[[bytes], bytes], record: int, found: str
) -> None:
    with pytest.raises(InvalidData) as caught:
        read_text(change(THREE_QUOTES), session=SESSION, source=SOURCE)
    assert (caught.value.record, caught.value.found) == (record, found)


@pytest.mark.parametrize("count", [b"00000000003", b"00000000004", b"00000000006"])
def test_a_trailer_that_counts_other_records_than_there_are_is_refused(count: bytes) -> None:
    error = refusal(with_field(THREE_QUOTES, 5, (32, 42), count))
    assert (error.record, error.found) == (5, repr(count.decode()))
    assert "00000000005" in error.expected


def test_a_record_that_is_missing_shows_in_the_count() -> None:
    all_lines = lines(THREE_QUOTES)
    assert refusal(b"".join(all_lines[:2] + all_lines[3:])).found == "'00000000005'"


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("record", [1, 2, 4, 5])
@pytest.mark.parametrize(
    ("cut", "length"), [(lambda line: line[:-1], 244), (lambda line: line + b" ", 246), (lambda _: b"", 0)]
)
def test_a_record_of_another_length_is_refused(
    cut: Callable[[bytes], bytes], length: int, record: int, line_end: bytes
) -> None:
    records = THREE_QUOTES.replace(b"\r\n", b"\n").splitlines()
    records[record - 1] = cut(records[record - 1])
    with pytest.raises(InvalidData) as caught:
        read_text(line_end.join(records) + line_end, session=SESSION, source=SOURCE)
    assert (caught.value.record, caught.value.found) == (record, f"{length} characters")


def test_a_blank_line_at_the_end_is_refused() -> None:
    error = refusal(THREE_QUOTES + b"\r\n")
    assert (error.record, error.found, error.expected) == (6, "0 characters", "245")


@pytest.mark.parametrize("record", [2, 4, 5])
def test_mixed_line_ends_are_refused(record: int) -> None:
    all_lines = lines(THREE_QUOTES)
    all_lines[record - 1] = all_lines[record - 1].replace(b"\r\n", b"\n")
    error = refusal(b"".join(all_lines))
    assert (error.record, error.found) == (record, r"line end b'\n'")
    all_lines = [line.replace(b"\r\n", b"\n") for line in lines(THREE_QUOTES)]
    all_lines[record - 1] = all_lines[record - 1].replace(b"\n", b"\r\n")
    error = refusal(b"".join(all_lines))
    assert (error.record, error.found) == (record, r"line end b'\r\n'")


def test_carriage_returns_alone_are_no_line_ends() -> None:
    assert refusal(THREE_QUOTES.replace(b"\r\n", b"\r")).record == 1


def test_a_text_cut_short_anywhere_is_refused() -> None:
    whole = len(THREE_QUOTES) - len(b"\r\n")  # the last line end may be missing
    for length in range(0, whole, 7):
        assert refusal(THREE_QUOTES[:length]).source == SOURCE
    assert len(read(THREE_QUOTES[:whole])) == 3


def test_no_text_at_all_is_refused() -> None:
    with pytest.raises(InvalidData):
        read_text(b"", session=SESSION, source=SOURCE)


# --- what is refused in a ZIP


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


class Unseekable(io.BytesIO):
    """A stream: zipfile then writes the sizes behind the member, as B3 does for the current year."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise OSError

    def seek(self, *_: int) -> int:
        raise OSError


@pytest.mark.parametrize("name", ["COTAHIST_D08112024.TXT", "COTAHIST_A2001", "COTAHIST.A1986", "dir/É.dat"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_only_member_is_read_whatever_its_name(name: str, method: int) -> None:
    assert open_text(packed({name: THREE_QUOTES}, method), source=SOURCE) == THREE_QUOTES


def test_a_streamed_zip_is_read() -> None:
    stream = Unseekable()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("COTAHIST_A2026.TXT", THREE_QUOTES)
    assert open_text(stream.getvalue(), source=SOURCE) == THREE_QUOTES


@pytest.mark.parametrize(
    ("members", "found"),
    [({}, "0 members"), ({"a": THREE_QUOTES, "b": THREE_QUOTES}, "2 members")],
)
def test_a_zip_with_no_member_or_several_is_refused(members: dict[str, bytes], found: str) -> None:
    assert found in refusal(packed(members)).found


def test_a_member_without_content_is_refused() -> None:
    assert refusal(packed({"COTAHIST.TXT": b""})).record == 1


@pytest.mark.parametrize("data", [b"", b"<!DOCTYPE html><html>", b'{"error": 1}', b"\x1f\x8b\x08\x00"])
def test_what_is_neither_a_zip_nor_a_cotahist_text_is_refused(data: bytes) -> None:
    assert refusal(data).expected == "a ZIP or a COTAHIST text"


def test_a_zip_with_something_else_in_it_is_refused() -> None:
    assert refusal(packed({"readme.txt": b"nothing here\n"})).found == "12 characters"


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(packed({"COTAHIST.TXT": THREE_QUOTES}))
    directory = data.index(b"PK\x01\x02")
    data[6] |= 1
    data[directory + 8] |= 1
    assert "encrypted" in refusal(bytes(data)).found


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_b3_does_not_use_is_refused(method: int) -> None:
    assert f"method {method}" in refusal(packed({"COTAHIST.TXT": THREE_QUOTES}, method)).found


def test_a_zip_cut_short_anywhere_is_refused() -> None:
    data = packed({"COTAHIST.TXT": THREE_QUOTES})
    for length in range(len(data)):
        assert refusal(data[:length]).source == SOURCE


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_a_damaged_zip_is_refused_or_gives_the_same_text(data: st.DataObject) -> None:
    whole = packed({"COTAHIST.TXT": THREE_QUOTES})
    position = data.draw(st.integers(0, len(whole) - 1))
    damaged = whole[:position] + bytes([data.draw(st.integers(0, 255))]) + whole[position + 1 :]
    try:
        text = open_text(damaged, source=SOURCE)
    except InvalidData:
        return
    assert text == THREE_QUOTES


def with_declared_size(data: bytes, size: int) -> bytes:
    """The ZIP with another uncompressed size in its local header and in its directory."""
    directory = data.index(b"PK\x01\x02")
    changed = bytearray(data)
    struct.pack_into("<I", changed, 22, size)
    struct.pack_into("<I", changed, directory + 24, size)
    return bytes(changed)


@pytest.mark.parametrize("declared", [None, 1_000, 2**32 - 2])
def test_a_zip_bomb_is_refused_without_being_inflated_whatever_size_it_declares(declared: int | None) -> None:
    bomb = packed({"COTAHIST.TXT": bytes(64 * 2**20)})
    if declared is not None:
        bomb = with_declared_size(bomb, declared)
    tracemalloc.start()
    try:
        with pytest.raises(InvalidData):
            open_text(bomb, source=SOURCE, max_text_bytes=2**20)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * 2**20


@pytest.mark.parametrize("data", [THREE_QUOTES, zip_file(THREE_QUOTES, "COTAHIST.TXT")])
def test_more_text_than_the_limit_is_refused_and_as_much_as_the_limit_is_read(data: bytes) -> None:
    limit = len(THREE_QUOTES)
    assert open_text(data, source=SOURCE, max_text_bytes=limit) == THREE_QUOTES
    with pytest.raises(InvalidData, match=f"more than {limit - 1} bytes of text.*max_text_bytes"):
        open_text(data, source=SOURCE, max_text_bytes=limit - 1)
