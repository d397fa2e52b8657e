"""How a test's own process, and what it starts, is led to an emulator."""

from __future__ import annotations

import boto3
import botocore.session
import pytest
from botocore.loaders import create_loader

from sandbox.ministack import MiniStack

_MODELS = create_loader()
"""AWS's models of its services, which each session reads anew: a third of a second for four clients."""


def lead_to(aws: MiniStack, environment: pytest.MonkeyPatch) -> None:
    """Have boto3, and whatever else reads AWS's variables, talk to this emulator and to no account."""
    for name, value in aws.environment().items():
        environment.setenv(name, value)
    environment.delenv("AWS_PROFILE", raising=False)
    # A session of its own: one keeps the credentials that it has once found
    session = botocore.session.get_session()
    session.register_component("data_loader", _MODELS)
    environment.setattr(boto3, "DEFAULT_SESSION", boto3.Session(botocore_session=session))
    _MODELS.search_paths[:] = dict.fromkeys(_MODELS.search_paths)  # to which each session adds boto3's
