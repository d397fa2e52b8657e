"""How a test's own process, and what it starts, is led to an emulator."""

from __future__ import annotations

import boto3
import pytest

from sandbox.ministack import MiniStack, new_session


def lead_to(aws: MiniStack, environment: pytest.MonkeyPatch) -> None:
    """Have boto3, and whatever else reads AWS's variables, talk to this emulator and to no account."""
    for name, value in aws.environment().items():
        environment.setenv(name, value)
    environment.delenv("AWS_PROFILE", raising=False)
    environment.setattr(boto3, "DEFAULT_SESSION", new_session())
