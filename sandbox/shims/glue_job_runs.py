"""Glue job runs that run: MiniStack runs Spark jobs in Docker and, without Docker, only says that it did.

Here each run is a process that executes the job's script or graph on Spark (`sandbox.spark_runner`). Runs
follow one another, and wait for their turn in state WAITING: as on AWS with job run queuing and at most one
concurrent run, which is what the stack asks for and MiniStack's CloudFormation leaves out. The end of each is
an event for EventBridge, which MiniStack's Glue has none of.
"""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ministack.services import eventbridge, glue

from sandbox import spark_java
from sandbox.ministack import ACCOUNT, FAILED, REGION, ROLE_PREFIX, SPARK_GATEWAY
from sandbox.shims import authorization

_ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMEOUT", "STOPPED"})


class JobRuns:
    """Executes the emulator's Glue job runs, one at a time.

    Args:
        logs: Folder for what each run prints, in `<run id>.log`.
        mirror: Folder for the mirror of the buckets that Spark works on.
    """

    def __init__(self, *, logs: Path, mirror: Path) -> None:
        self._logs = logs
        self._mirror = mirror
        self._turn = threading.Lock()
        self._runs: list[dict[str, Any]] = []
        self._running: dict[str, Any] = {}
        self._process: spark_java.Run | None = None
        self._javas: spark_java.SparkJavas | None = None
        self._taken: int | None = None
        logs.mkdir(parents=True, exist_ok=True)

    def execute(
        self,
        run: dict[str, Any],
        job: Mapping[str, Any],
        job_name: str,
        arguments: Mapping[str, str],
        script: str,
        _docker: object,
    ) -> None:
        """Execute one run and record how it goes in `run`: `JobRunState`, `ErrorMessage`.

        Args:
            run: MiniStack's record of the run, which GetJobRun returns.
            job: Its record of the job.
            job_name: Its name.
            arguments: What the job gets: the job's default arguments, overridden by the run's.
            script: `s3://` address of the job's script.
        """
        run["JobRunState"] = "WAITING"
        self._runs.append(run)
        with self._turn:
            if run["JobRunState"] != "WAITING":  # stopped meanwhile
                return
            self._running = run
            run.update(JobRunState="RUNNING", StartedOn=int(time.time()))
            state, message = self._run_job(run["Id"], job_name, job, script, arguments)
            if run["JobRunState"] == "RUNNING":
                run.update(JobRunState=state, ErrorMessage=message)
                _tell(job_name, run)

    def stop(self) -> None:
        """End the run in progress and let no waiting one begin."""
        for run in self._runs:
            if run["JobRunState"] not in _ENDED:
                run["JobRunState"] = "STOPPED"
        if self._process is not None:
            self._process.kill()
        self._give_back(ended_well=False)
        if self._javas is not None:
            self._javas.stop()

    def end_stopped(self) -> None:
        """End the run in progress if somebody has stopped it."""
        if self._process is not None and self._running["JobRunState"] == "STOPPED":
            self._process.kill()

    def _give_back(self, *, ended_well: bool) -> None:
        number, self._taken = self._taken, None
        if self._javas is not None and number is not None:
            self._javas.give_back(number, ended_well=ended_well)

    def _run_job(
        self,
        run_id: str,
        job_name: str,
        job: Mapping[str, Any],
        script: str,
        arguments: Mapping[str, str],
    ) -> tuple[str, str]:
        """The state in which the run ended and the message that tells why, empty after success."""
        log, minutes = self._logs / f"{run_id}.log", job["Timeout"]
        credentials = authorization.role_session(job["Role"])
        command = ["--job", job_name, "--script", script, "--mirror", str(self._mirror)]
        for name, value in arguments.items():
            command += [name, str(value)]
        if self._javas is None:
            self._javas = spark_java.available()
        self._taken, gateway = self._javas.take(log)
        environment = {
            **os.environ,
            **{f"{ROLE_PREFIX}{name}": value for name, value in credentials.items()},
            SPARK_GATEWAY: str(gateway),
        }
        ended_well = False
        try:
            with closing(spark_java.Run(gateway, command, environment, log)) as run:
                self._process = run
                self.end_stopped()  # before there was anything to end
                code, message = run.wait(minutes * 60)
            ended_well = code in (0, FAILED)
        except TimeoutError:
            return "TIMEOUT", f"the run took longer than {minutes} minutes; see {log}"
        except (spark_java.RunDiedError, OSError) as error:
            return "FAILED", f"{error}; see {log}"
        finally:
            self._give_back(ended_well=ended_well)
        return ("FAILED", message) if code else ("SUCCEEDED", "")


def _tell(job_name: str, run: Mapping[str, Any]) -> None:
    """Have EventBridge match the end of a run with its rules, in Glue's words."""
    state = run["JobRunState"]
    detail = {
        "jobName": job_name,
        "severity": "INFO" if state == "SUCCEEDED" else "ERROR",
        "state": state,
        "jobRunId": run["Id"],
        "message": run["ErrorMessage"] or "Job run succeeded",
    }
    event = {
        "EventId": str(uuid.uuid4()),
        "Source": "aws.glue",
        "DetailType": "Glue Job State Change",
        "Detail": json.dumps(detail),
        "EventBusName": "default",
        "Time": int(time.time()),
        "Resources": [],
        "Account": ACCOUNT,
        "Region": REGION,
    }
    eventbridge._dispatch_event(event)  # type: ignore[no-untyped-call]  # MiniStack has no types


def install(*, logs: Path, mirror: Path) -> JobRuns:
    """Have MiniStack's Glue execute Spark jobs through the returned object, to be stopped at the end."""
    job_runs = JobRuns(logs=logs, mirror=mirror)
    # A Docker that has every image, so that MiniStack goes on to execute the run
    glue._get_docker = lambda: SimpleNamespace(images=SimpleNamespace(get=lambda _image: None))
    # The run fetches its script itself: one that is missing fails the run, where MiniStack would pass over it
    glue._resolve_script = lambda location: location
    glue._execute_spark_docker = job_runs.execute
    stop: Any = glue._batch_stop_job_run

    def stop_and_end(request: dict[str, Any]) -> Any:
        answer = stop(request)
        job_runs.end_stopped()
        return answer

    glue._batch_stop_job_run = stop_and_end
    return job_runs
