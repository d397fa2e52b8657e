"""What is inflated out of a ZIP: the same as by `zipfile`, or nothing, whichever library inflates."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.b3.formats import zip_file
from scraper.b3.archive import DAMAGED, InflatedMember, open_archive

REPOSITORY = Path(__file__).resolve().parents[2]

TEXT = b"".join(b"%09d: what recurs is packed tight\n" % (number * number) for number in range(3000))
ZIP = zip_file(TEXT, "text")
STEPS = st.sampled_from([1000, 4096, len(TEXT) - 1, len(TEXT), 2**20])


def inflated(data: bytes, step: int) -> bytes | None:
    """The only member, read `step` bytes at a time; None if the ZIP is damaged."""
    try:
        with open_archive(io.BytesIO(data)) as opened, InflatedMember(opened, *opened.infolist()) as member:
            pieces = list(iter(lambda: member.read(step), b""))
    except DAMAGED:
        return None
    assert all(len(piece) == step for piece in pieces[:-1])
    return b"".join(pieces)


def by_zipfile(data: bytes) -> bytes | None:
    try:
        with open_archive(io.BytesIO(data)) as opened:
            (member,) = opened.infolist()
            return opened.read(member)
    except DAMAGED:
        return None


def with_number(data: bytes, at: int, of_directory: int, number: int) -> bytes:
    """The ZIP with another number of four bytes in its local header and in its directory."""
    directory = data.index(b"PK\x01\x02") + of_directory
    changed = bytearray(data)
    changed[at : at + 4] = changed[directory : directory + 4] = number.to_bytes(4, "little")
    return bytes(changed)


@pytest.mark.parametrize(("before", "library"), [("", "isal_zlib"), ("sys.modules['isal'] = None", "zlib")])
def test_isa_l_inflates_where_it_is_installed_and_else_zlib(before: str, library: str) -> None:
    code = f"import sys; {before}\nfrom scraper.b3.archive import INFLATER; print(INFLATER.__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout.strip().rpartition(".")[2] == library


@pytest.mark.usefixtures("inflater")
@given(step=STEPS)
def test_a_member_is_read_to_its_end_in_pieces_of_the_size_asked_for(step: int) -> None:
    assert inflated(ZIP, step) == TEXT


@pytest.mark.usefixtures("inflater")
@given(at=st.integers(0, len(ZIP) - 1), byte=st.integers(0, 255), step=STEPS)
def test_a_changed_byte_gives_what_zipfile_gives(at: int, byte: int, step: int) -> None:
    changed = ZIP[:at] + bytes([byte]) + ZIP[at + 1 :]
    # Of a member that says it is empty zipfile may look at more than its size: no reader takes an empty text
    assert (inflated(changed, step) or None) == (by_zipfile(changed) or None)


@pytest.mark.usefixtures("inflater")
@given(kept=st.integers(0, len(ZIP) - 1), step=STEPS)
def test_what_is_cut_short_is_damaged(kept: int, step: int) -> None:
    assert inflated(ZIP[:kept], step) is None


@pytest.mark.usefixtures("inflater")
@given(crc=st.integers(0, 2**32 - 1), step=STEPS)
def test_another_checksum_is_damage(crc: int, step: int) -> None:
    assert inflated(with_number(ZIP, 14, 16, crc), step) == (TEXT if crc == zlib.crc32(TEXT) else None)


@pytest.mark.usefixtures("inflater")
@given(size=st.integers(1, 2 * len(TEXT)), step=STEPS)
def test_no_more_is_given_than_the_size_that_the_zip_declares(size: int, step: int) -> None:
    changed = with_number(ZIP, 22, 24, size)
    assert inflated(changed, step) == by_zipfile(changed)
    sound = with_number(changed, 14, 16, zlib.crc32(TEXT[:size]))
    assert inflated(sound, step) == TEXT[:size]


@pytest.mark.usefixtures("inflater")
def test_what_deflates_to_nothing_is_nothing() -> None:
    assert inflated(zip_file(b"", "text"), 1000) == b""


@pytest.mark.usefixtures("inflater")
def test_damage_names_the_member() -> None:
    with open_archive(io.BytesIO(with_number(ZIP, 14, 16, 0))) as opened:
        member = InflatedMember(opened, *opened.infolist())
        with member, pytest.raises(zipfile.BadZipFile, match="Bad CRC-32 for file 'text'"):
            member.read(2 * len(TEXT))
