"""Fixtures that the scraper's tests share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from sandbox.b3.server import B3Server
from sandbox.ministack import MiniStack
from tests.unit.both_ends import Bucket, Shelves


@pytest.fixture
def shelves() -> Shelves:
    return Shelves()


@pytest.fixture
def b3(shelves: Shelves) -> Iterator[B3Server]:
    with B3Server(shelves) as server:
        yield server


@pytest.fixture
def bucket(aws: MiniStack) -> Bucket:
    return Bucket(f"raw-{uuid.uuid4().hex}")
