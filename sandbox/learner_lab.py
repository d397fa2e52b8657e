"""An account as an AWS Academy Learner Lab hands out: who works in it, and which role is there.

Nobody in it can make a role, a user or a policy. There is one role, `LabRole`, that services may assume, and
the only one that may be passed to them. People are sessions of the role `voclabs`, by temporary keys.
As people have reported of labs between 2022 and 2026; what only a real one can show is listed in
`docs/learner-lab.md`.
"""

from __future__ import annotations

import hashlib
from typing import Any

from operating.learner_lab import ROLE

PEOPLE = "voclabs"
PERSON = "user0000000=Ana"
"""The name of the session in which somebody works."""

SERVICES = ("lambda", "glue", "scheduler", "events", "athena", "s3", "sqs", "sns", "logs")
"""Who may assume the role that is there."""


def trust() -> dict[str, Any]:
    """The trust policy of the role that is there."""
    services = [f"{service}.amazonaws.com" for service in SERVICES]
    return _policy({"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"})


def permissions(account: str) -> dict[str, Any]:
    """What people may do, and the role likewise: all but to change IAM, in which they may look."""
    return _policy(
        {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
        {"Effect": "Allow", "Action": ["iam:Get*", "iam:List*"], "Resource": "*"},
        {"Effect": "Allow", "Action": "iam:PassRole", "Resource": f"arn:aws:iam::{account}:role/{ROLE}"},
    )


def session_credentials(role: str) -> dict[str, str]:
    """Temporary keys of a role's session, as variables; the same ones for the same role."""
    digest = hashlib.sha256(role.encode()).hexdigest()
    return {
        "AWS_ACCESS_KEY_ID": f"ASIA{digest[:16].upper()}",
        "AWS_SECRET_ACCESS_KEY": digest,
        "AWS_SESSION_TOKEN": digest[::-1],
    }


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [*statements]}
