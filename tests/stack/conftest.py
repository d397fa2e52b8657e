"""The synthesised templates, each made once, in the form in which CloudFormation reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Template

from tests.stack.synthesis import CHANGED, KEY, RENAMED, synthesise

_WITHOUT_SYNTHESIS = {"test_config.py", "test_named_queries.py"}


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what looks at templates in one process: another one would synthesise them all again."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.path.name not in _WITHOUT_SYNTHESIS:
            item.add_marker(pytest.mark.xdist_group("stack"))


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
def created() -> dict[str, Any]:
    """The template that `-c kms_key=create` gives."""
    return synthesise(kms_key="create")


@pytest.fixture(scope="session")
def given() -> dict[str, Any]:
    """The template with a key of the customer's own."""
    return synthesise(kms_key=KEY)


@pytest.fixture(scope="session")
def spark() -> dict[str, Any]:
    """The template that `-c athena_notebook=true` gives."""
    return synthesise(athena_notebook="true")


@pytest.fixture(scope="session")
def changed() -> dict[str, Any]:
    """The template that `CHANGED` gives."""
    return synthesise(**CHANGED)


@pytest.fixture(scope="session")
def renamed() -> dict[str, Any]:
    """The template that `RENAMED` gives."""
    return synthesise(**RENAMED)


@pytest.fixture(scope="session")
def template(document: dict[str, Any]) -> Template:
    return Template.from_json(document)
