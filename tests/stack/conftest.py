"""The synthesised template, made once a test process, in the form in which CloudFormation reads it."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk.assertions import Template

from tests.stack.synthesis import synthesise


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    """The template that the settings in cdk.json give."""
    return synthesise()


@pytest.fixture(scope="session")
def visual() -> dict[str, Any]:
    """The template that `-c glue_job_mode=visual` gives."""
    return synthesise(glue_job_mode="visual")


@pytest.fixture(params=["script", "visual"])
def either(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The template in each mode of the job, for what has to hold in both."""
    template: dict[str, Any] = request.getfixturevalue("visual" if request.param == "visual" else "document")
    return template


@pytest.fixture(scope="session")
def template(document: dict[str, Any]) -> Template:
    return Template.from_json(document)
