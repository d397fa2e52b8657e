"""One bench for the faults that need the deployed stack."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.pipeline import Pipeline
from tests.faults.bench import Bench, BrokenB3, Shelf
from tests.sandbox.deployed import port_for_b3, started


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The stack, deployed, its lake empty; this process's environment leads to it meanwhile."""
    shelf = Shelf()
    with (
        BrokenB3(shelf, port=port_for_b3()) as b3,
        pytest.MonkeyPatch.context() as environment,
        started(tmp_path_factory.mktemp("faults"), b3, environment) as sandbox,
    ):
        yield Bench(sandbox=sandbox, pipeline=Pipeline(sandbox.deployment), b3=b3, shelf=shelf)
