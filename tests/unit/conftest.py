"""Fixtures that the scraper's tests share."""

from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Iterator

import pytest

from sandbox.b3.server import B3Server
from sandbox.ministack import MiniStack
from scraper.runtime.telemetry import powertools
from tests.unit.both_ends import Bucket, Log, Shelves
from tests.unit.operated import Operated


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


@pytest.fixture
def terminal(b3: B3Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find B3 and the raw bucket by the environment, and nothing else."""
    for name in ("QUOTES_BASE_URL", "INDEX_BASE_URL"):
        monkeypatch.setenv(name, b3.base_url)
    monkeypatch.setenv("RAW_BUCKET", bucket.name)
    for name in ("GLUE_JOB_NAME", "BACKFILL_FUNCTION", "STACK_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name in ("EXTRA_CA_FILE", "INDEX_CODES", "LOOKBACK_SESSIONS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("operating.range_run.POLL_SECONDS", 0.1)


class _StandardOutput:
    """Standard output, whatever it is at the time of writing: pytest's changes between set-up and test."""

    def write(self, text: str) -> int:
        return sys.stdout.write(text)

    def flush(self) -> None:
        sys.stdout.flush()


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Log]:
    """What a function logs. Lambda's runtime puts a handler of its own on the root logger before."""
    root, own = logging.getLogger(), logging.getLogger("scraper")
    monkeypatch.setattr(root, "handlers", [logging.StreamHandler(sys.stderr)])
    monkeypatch.setattr(powertools.logger_handler, "stream", _StandardOutput())
    level = own.level
    yield Log(capsys)
    own.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.fixture
def operated(bucket: Bucket, terminal: None, monkeypatch: pytest.MonkeyPatch) -> Operated:
    """A pipeline that the commands of operation find by the environment."""
    made = Operated(bucket)
    for name, value in made.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("operating.replay.POLL_SECONDS", 0.1)
    return made
