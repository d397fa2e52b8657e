"""No secret is in the repository: every tracked file is searched for what secrets look like."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# What each looks like; the patterns are those of the services' own documentation
PATTERNS = {
    "AWS access key": re.compile(r"(?<![A-Z0-9])(AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}(?![A-Z0-9])"),
    "AWS secret key": re.compile(
        r"(?i)aws.{0,20}secret.{0,20}?['\"=: ]+(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+=])"
    ),
    "private key": re.compile(r"-----BEGIN ([A-Z]+ )*PRIVATE KEY( BLOCK)?-----"),
    "GitHub token": re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36}|github_pat_\w{22,})"),
    "PyPI token": re.compile(r"\bpypi-AgE[A-Za-z0-9_-]{16,}"),
    "npm token": re.compile(r"\bnpm_[A-Za-z0-9]{36}\b|_authToken\s*=\s*\S"),
    "Slack token or hook": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T\w+"),
    "password in an address": re.compile(r"\b[a-z][a-z+.-]*://[^\s/:@'\"{<]+:[^\s/:@'\"{<]+@"),
    "JSON Web Token": re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
}

# The keys of the servers that the tests of TLS start, made for them and trusted by nothing else
ALLOWED = {("tests/fixtures/tls", "private key")}

# Made up here, in pieces, so that this file holds none of them
EXAMPLES = {
    "AWS access key": "AKIA" + "IOSFODNN7EXAMPLE",
    "AWS secret key": "aws_secret_access_key = " + "wJalrXUtnFEMI/K7MDENG" + "/bPxRfiCYEXAMPLEKEY",
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "GitHub token": "ghp_" + "0123456789abcdefghij" + "0123456789abcdef",
    "PyPI token": "pypi-" + "AgEIcHlwaS5vcmcCJDAwMDAwMDAw",
    "npm token": "npm_" + "0123456789abcdefghij" + "0123456789abcdef",
    "Slack token or hook": "xoxb-" + "0123456789-abcdef",
    "password in an address": "https://user:" + "secret@example.com",
    "JSON Web Token": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".c2lnbmF0dXJl",
}


def secrets_in(text: str) -> list[str]:
    """What kinds of secrets a text has."""
    return [kind for kind, pattern in PATTERNS.items() if pattern.search(text)]


def tracked_files() -> list[Path]:
    """What is in the repository, or will be with the next commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    )
    paths = (REPOSITORY / name.decode() for name in listed.stdout.split(b"\0") if name)
    return [path for path in paths if path.is_file()]


def test_no_tracked_file_holds_a_secret() -> None:
    files = tracked_files()
    found = [
        (path.relative_to(REPOSITORY).as_posix(), kind)
        for path in files
        for kind in secrets_in(path.read_bytes().decode("latin-1"))
    ]
    assert len(files) > 100
    assert [
        (name, kind)
        for name, kind in found
        if not any(name.startswith(f"{folder}/") and kind == allowed for folder, allowed in ALLOWED)
    ] == []


@pytest.mark.parametrize("kind", PATTERNS)
def test_a_secret_would_be_found(kind: str) -> None:
    assert secrets_in(f"before\n  key: {EXAMPLES[kind]}\nafter") == [kind]


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:iam::111122223333:role/AWSReservedSSO_Data_0123456789abcdef",
        'AWS_SECRET_ACCESS_KEY": "test"',
        "sha512-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef012345==",
        "https://example.com:8080/path@2",
        "http://127.0.0.1:40123",
    ],
)
def test_what_is_no_secret_is_not_taken_for_one(text: str) -> None:
    assert secrets_in(text) == []
