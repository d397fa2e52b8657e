"""Emulators with the stack in them and an empty lake, kept by what the stack was made from.

Bootstrap, synthesis and deployment take most of a first run. A lake that begins anew starts from a copy of
what the last deployment has left, if the very same files and settings went into it; else it deploys.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

_KEPT = 4
"""How many are kept, those that were used last; each has some 25 MB."""


class Images:
    """Copies of parts of a sandbox's folder, by a digest of what they were made from.

    Args:
        home: Where they are kept.
        parts: The names in a sandbox's folder that make one; all of them, or it is none.
    """

    def __init__(self, home: Path, parts: Sequence[str]) -> None:
        self._home = home
        self._parts = parts

    def restore(self, digest: str, folder: Path) -> bool:
        """Copy an image into a folder, in place of the parts that are there; return whether there is one."""
        image = self._home / digest
        if not image.is_dir():
            return False
        with tempfile.TemporaryDirectory(prefix=".restored-", dir=folder) as scratch:
            for part in self._parts:
                _copy(image / part, Path(scratch, part))
            # The first one last: as long as it is not there, nothing is
            for part in reversed(self._parts):
                shutil.rmtree(folder / part, ignore_errors=True)
                Path(scratch, part).rename(folder / part)
        os.utime(image)
        return True

    def keep(self, digest: str, folder: Path) -> None:
        """Make an image of a folder; where there is one of the digest, that one stays."""
        self._home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".kept-", dir=self._home) as scratch:
            image = Path(scratch, digest)
            image.mkdir()
            for part in self._parts:
                _copy(folder / part, image / part)
            if not (self._home / digest).exists():
                image.rename(self._home / digest)
        images = [path for path in self._home.iterdir() if not path.name.startswith(".")]
        for old in sorted(images, key=lambda path: path.stat().st_mtime_ns)[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)  # another run may do the same


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True)
    else:
        shutil.copy2(source, target)
