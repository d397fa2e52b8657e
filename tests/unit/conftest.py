"""Fixtures that the scraper's tests share."""

from __future__ import annotations

import functools
import logging
import sys
import uuid
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import pytest

import scraper.b3.client
from sandbox.b3.formats import Quote
from sandbox.b3.server import B3Server
from sandbox.ministack import MiniStack
from scraper.__main__ import DONE, main
from scraper.runtime.telemetry import powertools
from tests.unit.both_ends import Bucket, Log, Shelves
from tests.unit.operated import Ingest, Operated


@pytest.fixture
def shelves() -> Shelves:
    return Shelves()


_TLS_CONTEXT = functools.cache(scraper.b3.client._tls_context)
"""Made once: to read all roots takes longer than to ask a B3 on this machine, which needs none of them."""


@pytest.fixture
def b3(shelves: Shelves, monkeypatch: pytest.MonkeyPatch) -> Iterator[B3Server]:
    monkeypatch.setattr(scraper.b3.client, "_tls_context", _TLS_CONTEXT)
    with B3Server(shelves) as server:
        yield server


@pytest.fixture
def bucket(aws: MiniStack) -> Bucket:
    return Bucket(f"raw-{uuid.uuid4().hex}")


@pytest.fixture
def terminal(b3: B3Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and functions find B3 and the raw bucket by the environment, and nothing else."""
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
    monkeypatch.setattr("operating.dead_letters._WAIT_SECONDS", 0)  # one server has all messages
    return made


@pytest.fixture
def ingest(operated: Operated, shelves: Shelves, capsys: pytest.CaptureFixture[str]) -> Ingest:
    """Takes a session of the given volumes, a ticker each, from B3 to raw, and refines it if it is to be."""

    def do(session: date, *volumes: str, refined: bool = True, wide: bool = True) -> None:
        by_ticker = {f"ZZAA{number}": volume for number, volume in enumerate(volumes, start=3)}
        quotes = [Quote(codneg=ticker, voltot=Decimal(volume)) for ticker, volume in by_ticker.items()]
        shelves.put_session(session, *quotes)
        shelves.put_portfolio(session, "ZZAA3")
        assert main(["ingest", "--date", str(session)]) == DONE
        capsys.readouterr()
        if refined:
            operated.refine(session, by_ticker, wide=wide)

    return do
