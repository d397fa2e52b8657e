"""Installs Trino, unless it is; says so if it cannot be had, and ends with `os.EX_UNAVAILABLE`."""

from __future__ import annotations

import os
import sys

from sandbox.trino.installation import VERSION, TrinoUnavailableError, install

try:
    print(f"Trino {VERSION} is in {install().folder}")
except TrinoUnavailableError as error:
    print(error, file=sys.stderr)
    sys.exit(os.EX_UNAVAILABLE)
