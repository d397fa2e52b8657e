"""What this stack needs of AWS and MiniStack lacks: a module each, put in place of one seam inside MiniStack.

The seams are private to it, so its version is checked against the one they were written for. On a newer one,
look first whether it still lacks the thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.arguments import DUCKDB, TRINO
from sandbox.ministack import JOB_RUNS, MIRROR
from sandbox.shims import (
    athena_sql,
    authorization,
    dead_letters,
    function_code,
    glue_descriptors,
    glue_job_runs,
    glue_jobs,
    glue_partitions,
    kept_state,
    learner_lab,
    left_out_properties,
    metric_alarms,
    named_queries,
    one_duckdb,
    partitions_table,
    prepared_statements,
    query_results,
    result_types,
    schedules,
    stack_resources,
    stack_waits,
    table_files,
    views,
)

if TYPE_CHECKING:
    from sandbox.trino.server import Trino

MINISTACK_VERSION = "1.5.33"


class UnsupportedMiniStackError(RuntimeError):
    """MiniStack is installed in another version than the one whose inside the shims know."""


@dataclass(frozen=True)
class Installed:
    """What the emulator has to look after.

    Attributes:
        job_runs: Executes the Glue job runs; to be stopped when the service ends.
        save_failures: Tells afterwards what of the state was not written.
        trino: Answers Athena's queries, if it is the engine; to be stopped when the service ends.
    """

    job_runs: glue_job_runs.JobRuns
    save_failures: kept_state.SaveFailures
    trino: Trino | None


def install(
    folder: Path, *, lab_role: str | None = None, engine: str = DUCKDB, ready: bool = False
) -> Installed:
    """Put every shim in place. To be called before MiniStack serves.

    Args:
        folder: The emulator's own folder; job runs keep their logs and their mirror of the buckets in it.
        lab_role: The one role of an account in which nobody can make another; None for an account of one's
            own.
        engine: What answers Athena's queries.
        ready: Whether functions of a kept stack get ready.

    Raises:
        UnsupportedMiniStackError: Another version of MiniStack is installed.
        sandbox.trino.installation.TrinoUnavailableError: Trino is to answer, and is not installed.
    """
    installed = version("ministack")
    if installed != MINISTACK_VERSION:
        raise UnsupportedMiniStackError(
            f"the sandbox's shims are for ministack {MINISTACK_VERSION}, but {installed} is installed; "
            "install the version that requirements-dev.txt names, or check sandbox/shims against yours"
        )
    athena_sql.install()
    dead_letters.install()
    function_code.install()
    authorization.install(folder)
    glue_descriptors.install()
    glue_jobs.install()
    glue_partitions.install()
    named_queries.install()
    left_out_properties.install()
    one_duckdb.install()
    metric_alarms.install()
    partitions_table.install()
    prepared_statements.install()
    query_results.install()
    result_types.install()
    schedules.install(ready=ready)
    stack_resources.install()
    stack_waits.install()
    table_files.install()
    views.install()  # before what translates
    if lab_role is not None:
        learner_lab.install(lab_role)
    return Installed(
        job_runs=glue_job_runs.install(logs=folder / JOB_RUNS, mirror=folder / MIRROR),
        save_failures=kept_state.install(),
        trino=_trino(folder / TRINO) if engine == TRINO else None,
    )


def _trino(folder: Path) -> Trino:
    from sandbox.shims import trino_engine  # noqa: PLC0415 - which another engine does without

    return trino_engine.install(folder)
