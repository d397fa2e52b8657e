"""A function's code, unpacked and compiled once for all that run it.

MiniStack unpacks it anew for each process that it starts, where Python then compiles all that it imports: a
second before a function of a thousand files begins. It is unpacked into `build/` here, by its content, and
Python's compiled modules stay beside it.
"""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.core import lambda_runtime

from stacks.bundling import BUILD, published_as

_LARGE = 100
"""Files from which on it is kept: less is unpacked before the process has started."""


class _KeptZip(zipfile.ZipFile):
    def extractall(self, path: Any = None, members: Any = None, pwd: bytes | None = None) -> None:
        if len(self.namelist()) < _LARGE:
            super().extractall(path, members, pwd)
            return
        with Path(str(self.filename)).open("rb") as content:
            kept = BUILD / f"function-{hashlib.file_digest(content, 'sha256').hexdigest()[:16]}"
        if not kept.is_dir():
            with published_as(kept) as folder:
                super().extractall(folder)
        Path(path).rmdir()
        Path(path).symlink_to(kept)


def install() -> None:
    """Have the processes that run functions share their code."""
    kept: Any = SimpleNamespace(**{**vars(zipfile), "ZipFile": _KeptZip})
    vars(lambda_runtime)["zipfile"] = kept
