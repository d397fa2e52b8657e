import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from datetime import date
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.b3.formats import Quote, encode_session, zip_file
from scraper.b3.cotahist.reader import open_text, read_session, read_text
from scraper.b3.errors import InvalidData
from scraper.b3.oddities import Notes, Oddity, TrailerCount

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


def read(data: bytes, *, session: date = SESSION, notes: Notes | None = None) -> pd.DataFrame:
    return read_session(data, session=session, source=SOURCE, notes=notes)


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


def test_no_expiry_is_null_and_a_blank_text_is_empty() -> None:
    (row,) = read(encode_session(SESSION, [Quote(datven=None, prazot="")])).to_dict("records")
    assert row["datven"] is None
    assert row["prazot"] == ""


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


@pytest.mark.parametrize("character", [b"\x00", b"\t", b"\n", b"\x1f", b"\x7f", b"\x80", b"\x92", b"\x9f"])
@pytest.mark.parametrize("field", ["CODNEG", "CODISI"])
def test_a_control_character_is_refused_in_what_says_what_a_line_is_about(
    field: str, character: bytes
) -> None:
    first, last = POSITIONS[field]
    error = refusal(with_field(THREE_QUOTES, 2, field, character.ljust(last - first + 1)))
    assert (error.record, error.field) == (2, field)


@pytest.mark.parametrize("character", [b"\r", b"\n"])
@pytest.mark.parametrize("field", TEXTS)
def test_a_line_end_inside_a_record_is_refused(field: str, character: bytes) -> None:
    first, last = POSITIONS[field]
    error = refusal(with_field(THREE_QUOTES, 2, field, character.ljust(last - first + 1)))
    assert (error.record, error.field) == (2, field)


# --- what is odd, and is kept and told


WINDOWS_1252, CONTROL = "bytes of Windows-1252, kept as text", "control characters, kept as pictures of them"


@pytest.mark.parametrize(
    ("byte", "text", "what"),
    [
        (b"\x92", "\u2019", WINDOWS_1252),  # a right single quotation mark
        (b"\x80", "\u20ac", WINDOWS_1252),  # the euro
        (b"\x81", "\x81", WINDOWS_1252),  # one of the five that Windows-1252 does not define
        (b"\x00", "\u2400", CONTROL),
        (b"\t", "\u2409", CONTROL),
        (b"\x7f", "\u2421", CONTROL),
    ],
)
@pytest.mark.parametrize("field", [name for name in TEXTS if name not in {"CODNEG", "CODISI"}])
def test_an_odd_byte_in_a_descriptive_text_is_kept_counted_and_told(
    field: str, byte: bytes, text: str, what: str
) -> None:
    first, last = POSITIONS[field]
    odd = byte.rjust(last - first + 1, b"A")
    notes = Notes()
    frame = read(with_field(with_field(THREE_QUOTES, 2, field, odd), 4, field, odd), notes=notes)
    assert frame[field.lower()].tolist()[0::2] == ["A" * (last - first) + text] * 2
    assert frame["codneg"].tolist() == ["ZZAA3", "ZZBB4", "ZZCC11"]
    assert frame["codisi"].tolist() == ["BRZZAAACNOR0"] * 3
    example = ascii(odd.decode("latin-1"))
    assert notes.oddities == (Oddity(field, what, 2, 2, example),)


def test_texts_of_one_two_and_three_bytes_do_not_shift_one_another() -> None:
    odd = with_field(THREE_QUOTES, 3, "NOMRES", b"\xc9\x92A\x81\x00       ")
    assert read(odd)["nomres"].tolist() == ["SIMULADA", "\xc9\u2019A\x81\u2400", "SIMULADA"]


@pytest.mark.parametrize(
    "value",
    [b"20240230", b"20230229", b"20241301", b"20240001", b"20240100", b"20241131", b"00000000", b"00000101"],
)
def test_an_expiry_that_is_no_day_is_null_counted_and_told(value: bytes) -> None:
    notes = Notes()
    frame = read(with_field(THREE_QUOTES, 3, "DATVEN", value), notes=notes)
    assert frame["datven"].isna().all()
    assert notes.oddities == (
        Oddity("DATVEN", "no day of the calendar, kept as null", 1, 3, ascii(value.decode())),
    )


def test_many_odd_values_are_one_entry_a_field_and_kind() -> None:
    quotes = encode_session(SESSION, [Quote(codneg=f"ZZ{number:03}3") for number in range(500)])
    for record in range(2, 502):
        quotes = with_field(quotes, record, "NOMRES", b"\x92\x01".ljust(12))
    notes = Notes()
    read(quotes, notes=notes)
    assert [(oddity.what, oddity.count) for oddity in notes.oddities] == [(WINDOWS_1252, 500), (CONTROL, 500)]


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


@pytest.mark.parametrize("record", [1, 5])
@pytest.mark.parametrize(
    ("positions", "value", "field", "what"),
    [
        ((24, 31), b"O0241108", "DATA DA GERAÇÃO", "no day of the calendar"),
        ((24, 31), b"20241308", "DATA DA GERAÇÃO", "no day of the calendar"),
        ((24, 31), b"08/11/24", "DATA DA GERAÇÃO", "no day of the calendar"),
        ((16, 23), b"B3      ", "CÓDIGO DA ORIGEM", "other than BOVESPA"),
        ((60, 60), b"x", "RESERVA", "not blank"),
    ],
)
def test_what_only_describes_the_file_is_told_where_it_is_odd(
    positions: tuple[int, int], value: bytes, field: str, what: str, record: int
) -> None:
    notes = Notes()
    assert len(read(with_field(THREE_QUOTES, record, positions, value), notes=notes)) == 3
    (oddity,) = notes.oddities
    assert (oddity.field, oddity.what, oddity.count, oddity.first_record) == (field, what, 1, record)


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


@pytest.mark.parametrize("count", [b"00000000002", b"00000000004", b"00000000006", b"00000000001"])
def test_a_trailer_that_counts_neither_records_nor_quotes_is_refused(count: bytes) -> None:
    error = refusal(with_field(THREE_QUOTES, 5, (32, 42), count))
    assert (error.record, error.found) == (5, repr(count.decode()))
    assert "'00000000005'" in error.expected
    assert "'00000000003', of its quotes" in error.expected


def test_a_trailer_counts_all_records_or_the_quotes_alone() -> None:
    for quotes_counted, expected in ((False, TrailerCount.ALL_RECORDS), (True, TrailerCount.QUOTES)):
        notes = Notes()
        session = date(2026, 3, 2)  # of a time of which it is not known which it is
        text = encode_session(session, [Quote()] * 3, quotes_counted=quotes_counted)
        assert text[-247 + 31 : -247 + 42] == (b"00000000003" if quotes_counted else b"00000000005")
        assert len(read(text, session=session, notes=notes)) == 3
        assert (notes.trailer_count, notes.oddities) == (expected, ())


@pytest.mark.parametrize(
    ("session", "quotes_counted", "told"),
    [
        (date(2025, 4, 30), False, None),
        (date(2025, 4, 30), True, "counts quotes, where files of that time count all records"),
        (date(2026, 9, 1), True, None),
        (date(2026, 9, 1), False, "counts all records, where files of that time count quotes"),
    ],
)
def test_a_count_that_is_not_its_times_is_told(session: date, quotes_counted: bool, told: str | None) -> None:
    notes = Notes()
    read(encode_session(session, [Quote()], quotes_counted=quotes_counted), session=session, notes=notes)
    assert [oddity.what for oddity in notes.oddities] == ([told] if told else [])


@pytest.mark.parametrize("quotes_counted", [False, True])
@pytest.mark.parametrize("lost", [1, 3, 4])
def test_quotes_that_are_missing_show_in_the_count(quotes_counted: bool, lost: int) -> None:
    all_lines = lines(encode_session(SESSION, [Quote()] * 5, quotes_counted=quotes_counted))
    error = refusal(b"".join([all_lines[0], *all_lines[1 + lost :]]))
    assert error.found == ("'00000000005'" if quotes_counted else "'00000000007'")


def test_two_lost_quotes_show_in_the_count_of_all_records_and_by_the_convention_of_the_quotes_alone() -> None:
    """Of the quotes alone, two less is what all records of the rest come to: told, as not its time's."""
    session = date(2026, 9, 24)
    header, _, _, *rest = lines(encode_session(session, [Quote()] * 5, quotes_counted=False))
    assert refusal(b"".join([header, *rest]), session=session).found == "'00000000007'"
    header, _, _, *rest = lines(encode_session(session, [Quote()] * 5))
    notes = Notes()
    assert len(read(b"".join([header, *rest]), session=session, notes=notes)) == 3
    assert notes.trailer_count is TrailerCount.ALL_RECORDS
    assert [oddity.field for oddity in notes.oddities] == ["TOTAL DE REGISTROS"]


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("record", [1, 2, 4, 5])
@pytest.mark.parametrize(
    ("cut", "length"), [(lambda line: line[:-1], 244), (lambda line: line + b" ", 246), (lambda _: b"", 0)]
)
def test_a_record_of_another_length_is_refused(
    cut: Callable[[bytes], bytes], length: int, record: int, line_end: bytes
) -> None:
    if (record, length) in {
        (1, 244),
        (5, 244),
        (5, 246),
    }:  # header and trailer have blanks to lose, see below
        return
    records = THREE_QUOTES.replace(b"\r\n", b"\n").splitlines()
    records[record - 1] = cut(records[record - 1])
    with pytest.raises(InvalidData) as caught:
        read_text(line_end.join(records) + line_end, session=SESSION, source=SOURCE)
    assert (caught.value.record, caught.value.found) == (record, f"{length} characters")


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize(
    "end",
    [
        b"\r\n",
        b"\n",
        b"\r\n\r\n",
        b"\n\n\n",
        b"\x1a",
        b"   ",
        b"  \r\n\x1a",
        b" " * 245 + b"\r\n",
        b"\n" * 40,
    ],
)
def test_blank_lines_at_the_end_are_dropped_and_counted(end: bytes, line_end: bytes) -> None:
    notes = Notes()
    text = THREE_QUOTES.replace(b"\r\n", line_end)
    assert read(text + end, notes=notes).equals(read(text))
    (oddity,) = notes.oddities
    assert (oddity.field, oddity.what) == ("end of the file", "blank lines after the trailer")
    assert oddity.count == max(end.count(b"\n") + (not end.endswith(b"\n")), 1)


@pytest.mark.parametrize("end", [b"\n" * 4097, b"\r\nx", b"\r\n\x00", b"\r\n01"])
def test_more_than_blank_lines_at_the_end_is_refused(end: bytes) -> None:
    assert refusal(THREE_QUOTES + end).record == 6


def test_a_blank_line_before_the_trailer_is_refused() -> None:
    all_lines = lines(THREE_QUOTES)
    error = refusal(b"".join([*all_lines[:4], b"\r\n", all_lines[4]]))
    assert (error.record, error.found) == (5, "0 characters")


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
@pytest.mark.parametrize("final", [True, False])
@pytest.mark.parametrize("length", [42, 100, 244])
def test_header_and_trailer_without_the_blanks_that_fill_them_up_are_read(
    length: int, final: bool, line_end: bytes
) -> None:
    header, *quotes, trailer = THREE_QUOTES.splitlines()
    text = line_end.join([header[: length - 11], *quotes, trailer[:length]]) + line_end * final
    notes = Notes()
    assert read(text, notes=notes).equals(read(THREE_QUOTES))
    assert [(oddity.field, oddity.what) for oddity in notes.oddities] == [
        ("header", "without the blanks that fill it up"),
        ("trailer", "without the blanks that fill it up"),
    ]


@pytest.mark.parametrize("record", [2, 4])
def test_mixed_line_ends_are_refused(record: int) -> None:
    all_lines = lines(THREE_QUOTES)
    all_lines[record - 1] = all_lines[record - 1].replace(b"\r\n", b"\n")
    error = refusal(b"".join(all_lines))
    assert (error.record, error.found) == (record, r"line end b'\n'")
    all_lines = [line.replace(b"\r\n", b"\n") for line in lines(THREE_QUOTES)]
    all_lines[record - 1] = all_lines[record - 1].replace(b"\n", b"\r\n")
    error = refusal(b"".join(all_lines))
    assert (error.record, error.found) == (record, r"line end b'\r\n'")


def test_another_line_end_behind_the_trailer_alone_is_told() -> None:
    for text in (THREE_QUOTES[:-2] + b"\n", THREE_QUOTES.replace(b"\r\n", b"\n")[:-1] + b"\r\n"):
        notes = Notes()
        assert len(read(text, notes=notes)) == 3
        assert [oddity.what for oddity in notes.oddities] == ["another end than that of a line"]


def test_carriage_returns_alone_are_no_line_ends() -> None:
    assert refusal(THREE_QUOTES.replace(b"\r\n", b"\r")).record == 1


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_a_text_cut_short_anywhere_is_refused(line_end: bytes) -> None:
    text = THREE_QUOTES.replace(b"\r\n", line_end)
    whole = len(text) - len(line_end)  # the last line end may be missing
    count = whole - 245 + 42  # behind it the trailer has only blanks to lose
    for length in range(count):
        assert refusal(text[:length]).source == SOURCE
    for length in (*range(count, whole, 7), whole):
        assert len(read(text[:length])) == 3


# --- what is refused in a ZIP


def packed(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.usefixtures("inflater")
@pytest.mark.parametrize("name", ["COTAHIST_D08112024.TXT", "COTAHIST_A2001", "COTAHIST.A1986", "dir/É.dat"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_only_member_is_read_whatever_its_name(name: str, method: int) -> None:
    assert open_text(packed({name: THREE_QUOTES}, method), source=SOURCE) == THREE_QUOTES


def test_a_member_without_content_is_refused() -> None:
    assert refusal(packed({"COTAHIST.TXT": b""})).record == 1


@pytest.mark.parametrize("data", [b"", b"<!DOCTYPE html><html>", b'{"error": 1}', b"\x1f\x8b\x08\x00"])
def test_what_is_neither_a_zip_nor_a_cotahist_text_is_refused(data: bytes) -> None:
    assert refusal(data).expected == "a ZIP or a COTAHIST text"


def test_a_zip_with_something_else_in_it_is_refused() -> None:
    assert refusal(packed({"readme.txt": b"nothing here\n"})).found == "12 characters"


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_b3_does_not_use_is_refused(method: int) -> None:
    assert f"method {method}" in refusal(packed({"COTAHIST.TXT": THREE_QUOTES}, method)).found


@pytest.mark.usefixtures("inflater")
def test_a_zip_cut_short_anywhere_is_refused() -> None:
    data = packed({"COTAHIST.TXT": THREE_QUOTES})
    for length in range(len(data)):
        assert refusal(data[:length]).source == SOURCE


@pytest.mark.usefixtures("inflater")
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


@pytest.fixture(scope="module")
def bomb() -> bytes:
    return packed({"COTAHIST.TXT": bytes(16 * 2**20)})


def with_declared_size(data: bytes, size: int) -> bytes:
    """The ZIP with another uncompressed size in its local header and in its directory."""
    directory = data.index(b"PK\x01\x02")
    changed = bytearray(data)
    struct.pack_into("<I", changed, 22, size)
    struct.pack_into("<I", changed, directory + 24, size)
    return bytes(changed)


@pytest.mark.usefixtures("inflater")
@pytest.mark.parametrize("declared", [None, 1_000, 2**32 - 2])
def test_a_zip_bomb_is_refused_without_being_inflated_whatever_size_it_declares(
    bomb: bytes, declared: int | None
) -> None:
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


@pytest.mark.usefixtures("inflater")
@pytest.mark.parametrize("data", [THREE_QUOTES, zip_file(THREE_QUOTES, "COTAHIST.TXT")])
def test_more_text_than_the_limit_is_refused_and_as_much_as_the_limit_is_read(data: bytes) -> None:
    limit = len(THREE_QUOTES)
    assert open_text(data, source=SOURCE, max_text_bytes=limit) == THREE_QUOTES
    with pytest.raises(InvalidData, match=f"more than {limit - 1} bytes of text.*max_text_bytes"):
        open_text(data, source=SOURCE, max_text_bytes=limit - 1)
