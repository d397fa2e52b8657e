"""Glue jobs that keep all of their definition: MiniStack drops the graph, the mode, and other members.

As on AWS, an update replaces the definition whole, except for a graph that it does not mention, and the tags
are not part of the definition.
Glue, "Visual job API"; JobUpdate: "The previous job definition is completely overwritten".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ministack.services import glue as service

Request = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]
Call = Callable[[Request], Answer]

_GRAPH = "CodeGenConfigurationNodes"
_KEPT_BY_AN_UPDATE = ("CreatedOn", _GRAPH)
_OK = 200

glue: Any = service  # MiniStack has no types


def install() -> None:
    """Have CreateJob and UpdateJob keep what they are given."""
    create: Call = _creating(glue._create_job)
    glue._create_job = create
    glue._update_job = _updating(create, glue._update_job)


def _creating(create_job: Call) -> Call:
    def create(request: Request) -> Answer:
        answer = create_job(request)
        if answer[0] == _OK:
            name, tags = request["Name"], request.get("Tags", {})
            glue._jobs[name].update(request)
            del glue._jobs[name]["Tags"]
            glue._tags[glue._arn("job", name)] = dict(tags)
        return answer

    return create


def _updating(create: Call, update_job: Call) -> Call:
    def update(request: Request) -> Answer:
        answer = update_job(request)  # which refuses a job that does not exist
        if answer[0] == _OK:
            name = request["JobName"]
            former, runs = glue._jobs[name], glue._job_runs[name]
            kept = {field: former[field] for field in _KEPT_BY_AN_UPDATE if field in former}
            tags = glue._tags.get(glue._arn("job", name), {})
            del glue._jobs[name]
            create({"Name": name, "Tags": tags, **kept, **request["JobUpdate"]})
            glue._job_runs[name] = runs
        return answer

    return update
