"""Opens B3's ZIPs, of whose claims about themselves none is relied on, and inflates what is in them.

A ZIP names its members and says how many there are, how large, and where. Names are never used, as a path or
otherwise. Counts and places are bounded here before the standard library's reader believes them; sizes are
bounded by whoever reads the member, against the bytes that come out of it.

Inflated is by ISA-L where the package `isal` is installed, which takes a third of zlib's time, and a sixth of
it for the checksum; else by zlib. What is read is the same.
"""

from __future__ import annotations

import copy
import io
import zipfile
import zlib
from types import ModuleType
from typing import IO, Self, cast

try:
    from isal import isal_zlib
except ImportError:  # there is no wheel for the machine
    isal_zlib = None  # type: ignore[assignment]

INFLATER: ModuleType = isal_zlib or zlib
"""Inflates and takes the checksum, as Python's `zlib` does."""

MAX_DIRECTORY_BYTES = 300_000
"""Most bytes that are read to find out what is in a ZIP. The entry of one member and the end of the directory
take 262,306 where every field is as long as it can be; a directory that fills 32 MiB has 700,000 entries."""

_LOCAL_HEADER_BYTES = 30
"""The least that stands before a member's bytes."""

_PACKED_BYTES = 2**19
"""Bytes of a member that are at hand to be inflated: enough for a block of the text at once."""

DAMAGED = (zipfile.BadZipFile, zlib.error, INFLATER.error, EOFError, ValueError, NotImplementedError)
"""What reading a damaged ZIP raises: zipfile lets through, beside its own errors, those of zlib, those of
texts that are not UTF-8 and of seeking before the start, and those of features that it lacks."""


def open_archive(file: IO[bytes]) -> zipfile.ZipFile:
    """Reads a ZIP's directory.

    Args:
        file: The ZIP; it stays open when the archive is closed.

    Raises:
        zipfile.BadZipFile, ValueError, NotImplementedError: It is damaged (see `DAMAGED`), its directory is
            larger than that of one member can be, or it places a member outside of the file.
        OSError: The file cannot be read.
    """
    size = file.seek(0, io.SEEK_END)
    metered = _Metered(file, size, MAX_DIRECTORY_BYTES)
    archive = zipfile.ZipFile(cast(IO[bytes], metered))
    metered.budget = None
    for member in archive.infolist():
        # zipfile would go there. What comes of it depends on the kind of file, on how far off that is, and on
        # how much is read at a time
        end = member.header_offset + _LOCAL_HEADER_BYTES + member.compress_size
        if member.header_offset < 0 or end > size:
            raise zipfile.BadZipFile(f"a member from byte {member.header_offset} to {end}, of {size}")
    return archive


class _Metered:
    """A file, of which no more can be read than a number of bytes, as long as there is such a number."""

    def __init__(self, file: IO[bytes], size: int, budget: int | None) -> None:
        self._file = file
        self._size = size
        self.budget = budget
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        if self.budget is not None:
            rest = max(0, self._size - self._file.tell())
            self.budget -= rest if count < 0 else min(count, rest)
            if self.budget < 0:
                raise zipfile.BadZipFile(f"a directory of more than {MAX_DIRECTORY_BYTES} bytes")
        return self._file.read(count)


class InflatedMember:
    """The bytes in a ZIP's deflated member, compared with its checksum at their end, as `zipfile` gives them.

    Args:
        archive: The ZIP, opened.
        member: One of its members, deflated and not encrypted.

    Raises:
        zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError: It is damaged (see
            `DAMAGED`); of its bytes, once they are read.
    """

    def __init__(self, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
        packed = copy.copy(member)
        packed.compress_type, packed.file_size = zipfile.ZIP_STORED, member.compress_size
        del packed.CRC  # which is not that of the packed bytes
        self._packed = archive.open(packed)
        self._name, self._crc, self._left = member.filename, member.CRC, member.file_size
        self._inflater = INFLATER.decompressobj(-zlib.MAX_WBITS)
        self._found_crc = 0
        self._has_ended = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._packed.close()

    def read(self, size: int) -> bytes:
        """The next bytes: `size` of them where there are so many, fewer only at the end."""
        pieces = []
        while size and not self._has_ended:
            pieces.append(self._inflate(size))
            size -= len(pieces[-1])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _inflate(self, most: int) -> bytes:
        packed = self._inflater.unconsumed_tail
        packed += self._packed.read(max(0, _PACKED_BYTES - len(packed)))
        text: bytes = self._inflater.decompress(packed, most)[: self._left]
        self._left -= len(text)
        self._has_ended = self._inflater.eof or not self._left or not (packed or text)
        self._found_crc = INFLATER.crc32(text, self._found_crc)
        if self._has_ended and self._found_crc != self._crc:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {self._name!r}")
        return text
