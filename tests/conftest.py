"""Fixtures that every folder of tests shares: B3's real files, where they are, and an AWS to talk to."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import settings

from sandbox.ministack import MiniStack
from sandbox.spark_java import SparkJavas, lend
from tests.leading import lead_to

REPOSITORY = Path(__file__).resolve().parent.parent

# Tests that two modules share show what they compared, as those of a module do
pytest.register_assert_rewrite("tests.notebook_frames")

# Else Python looks for garbage among all that is imported time and again: a twentieth of the processors' time
gc.set_threshold(200_000, 30, 30)

# The CDK's own look at each template, beside cdk-nag's, takes two seconds; tests/stack/test_checks.py has it
os.environ["CDK_VALIDATION"] = "false"

# The same examples every time; to look for others: pytest --hypothesis-profile=others
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("others", deadline=None)
settings.load_profile("repeatable")


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share what their module sets up in one process, which sets it up once."""
    for item in items:
        definitions = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
        module = item.nodeid.partition("::")[0]
        is_shared = any(
            fixture.scope == "module" and fixture.baseid == module
            for overriding in definitions
            for fixture in overriding
        )
        if is_shared and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(module))


@pytest.fixture(scope="session")
def b3_files() -> Path:
    """The folder with B3's own files (`B3_FILES`, else `../shared/b3`); tests that ask for it skip without.

    B3 does not allow its files to be passed on, so the project ships none.
    """
    folder = Path(os.environ.get("B3_FILES", REPOSITORY.parent / "shared" / "b3"))
    if not (folder / "InstDados").is_dir():
        pytest.skip(f"no real files of B3 in {folder}; set B3_FILES to the folder that holds InstDados/")
    return folder


@pytest.fixture(scope="module", params=["isal.isal_zlib", "zlib"])
def inflater(request: pytest.FixtureRequest) -> Iterator[None]:
    """ZIPs are inflated by each of the two libraries that may do it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("scraper.b3.archive.INFLATER", import_module(request.param))
        yield


@pytest.fixture(scope="session", autouse=True)
def javas() -> Iterator[SparkJavas]:
    """Spark's Java stays warm from one emulator to the next; none is started that no job run wants."""
    with lend() as javas:
        yield javas


@pytest.fixture(scope="session")
def emulator() -> Iterator[MiniStack]:
    """One AWS emulator a test process; its state lasts for the process, so tests name their own resources."""
    with MiniStack.start() as aws:
        yield aws


@pytest.fixture
def aws(emulator: MiniStack, monkeypatch: pytest.MonkeyPatch) -> MiniStack:
    """The emulator, with this process's environment pointing boto3 and everything on it at it."""
    lead_to(emulator, monkeypatch)
    return emulator
