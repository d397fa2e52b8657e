"""Installs Trino, unless it is; says so if it cannot be had, and ends with `os.EX_UNAVAILABLE`.

That a file is not the one that was listed is another failure, and ends with 1.
"""

from __future__ import annotations

import os
import sys

from sandbox.trino.installation import VERSION, ChangedFileError, TrinoUnavailableError, install

try:
    print(f"Trino {VERSION} is in {install().folder}")
except ChangedFileError as error:
    sys.exit(str(error))
except TrinoUnavailableError as error:
    print(error, file=sys.stderr)
    sys.exit(os.EX_UNAVAILABLE)
