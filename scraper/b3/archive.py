"""Opens B3's ZIPs, of whose claims about themselves none is relied on.

A ZIP names its members and says how many there are, how large, and where. Names are never used, as a path or
otherwise. Counts and places are bounded here before the standard library's reader believes them; sizes are
bounded by whoever reads the member, against the bytes that come out of it.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from typing import IO, cast

MAX_DIRECTORY_BYTES = 300_000
"""Most bytes that are read to find out what is in a ZIP. The entry of one member and the end of the directory
take 262,306 where every field is as long as it can be; a directory that fills 32 MiB has 700,000 entries."""

_LOCAL_HEADER_BYTES = 30
"""The least that stands before a member's bytes."""

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError)
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
