"""Installs Trino, unless it is; says so if it cannot be had, and ends with 1."""

from __future__ import annotations

import sys

from sandbox.trino.installation import VERSION, TrinoUnavailableError, install

try:
    print(f"Trino {VERSION} is in {install().folder}")
except TrinoUnavailableError as error:
    sys.exit(f"{error}")
