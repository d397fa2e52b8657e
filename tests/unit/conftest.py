"""The fixtures that the tests of this folder share."""

from __future__ import annotations

from tests.fixtures.pipeline import b3, bucket, log, shelves, terminal

__all__ = ["b3", "bucket", "log", "shelves", "terminal"]
