"""The preflight against the emulator: what it finds where the stack is, and where another is to be."""

from __future__ import annotations

import pytest

from stacks import preflight
from tests.sandbox.deployed import Deployed

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("sandbox")]


@pytest.fixture
def told(in_sandbox: Deployed, capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(in_sandbox.sandbox.deployment.work_group, capsys)


class Told:
    """The preflight's lines, by their subjects."""

    def __init__(self, stack: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.stack = stack
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, dict[str, tuple[str, str]]]:
        """Exit code; of each subject how much it matters, and what was said."""
        code = preflight.main(arguments)
        *lines, _summary = self._capsys.readouterr().out.splitlines()
        found = {}
        for line in lines:
            level, said = line[:8].rstrip(), line[10:]
            subject, _, rest = said.partition(": ")
            found[subject] = (level, rest)
        return code, found


def test_of_the_deployed_stack_all_is_its_own(told: Told, in_sandbox: Deployed) -> None:
    names = in_sandbox.sandbox.deployment
    sessions = {session for session, _ in in_sandbox.pipeline.registered_partitions()}
    code, found = told("-c", f"stack_name={told.stack}")
    assert code == 0
    own = {
        f"stack {told.stack}": "it is updated",
        f"database {names.raw_database}": "the stack's own",
        f"table {names.refined_database}.{names.refined_table}": "the stack's own",
        f"table {names.refined_database}.{names.refined_compact_table}": "the stack's own",
        "bootstrap": "version ",
        "Lambda": "executions at once",
        "partitions": f"{len(sessions)} sessions in the wide table",
    }
    for subject, says in own.items():
        level, said = found[subject]
        assert level == "ok", (subject, said)
        assert says in said


def test_what_the_emulator_does_not_know_is_not_seen_and_no_crash(told: Told) -> None:
    _, found = told("-c", f"stack_name={told.stack}")
    for subject in ("Lake Formation", "Glue"):
        level, said = found[subject]
        assert level == "not seen"
        assert said.startswith("could not look: ")


def test_of_a_second_stack_the_names_that_collide_are_told(told: Told, in_sandbox: Deployed) -> None:
    names = in_sandbox.sandbox.deployment
    code, found = told(
        *("-c", "stack_name=Second", "-c", f"raw_database={names.raw_database}"),
        *("-c", f"refined_database={names.refined_database}", "-c", f"refined_table={names.refined_table}"),
    )
    assert code == 1
    assert found["stack Second"][0] == "ok"
    level, said = found[f"database {names.raw_database}"]
    assert (level, names.raw_bucket in said) == ("stop", True)
    level, said = found[f"table {names.refined_database}.{names.refined_table}"]
    assert level == "warning"
    assert f"lies in bucket {names.refined_bucket}, which stack {told.stack} has" in said
