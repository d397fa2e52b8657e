"""One bench for the faults that need the deployed stack."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import pytest

from sandbox.console import Show
from sandbox.environment import start
from sandbox.pipeline import Pipeline
from tests.faults.bench import Bench, BrokenB3, Shelf
from tests.leading import lead_to
from tests.sandbox.deployed import SESSIONS, port_for_b3


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The stack, deployed, its lake empty; this process's environment leads to it meanwhile."""
    shelf = Shelf()
    folder = tmp_path_factory.mktemp("faults")
    with (
        BrokenB3(shelf, port=port_for_b3()) as b3,
        start(folder, b3=b3, lookback=len(SESSIONS), show=Show(StringIO())) as sandbox,
        pytest.MonkeyPatch.context() as environment,
    ):
        lead_to(sandbox.aws, environment)
        yield Bench(sandbox=sandbox, pipeline=Pipeline(sandbox.deployment), b3=b3, shelf=shelf)
