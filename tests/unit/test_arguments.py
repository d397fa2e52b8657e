"""What is said of a setting that a blank has cut in two."""

from __future__ import annotations

import subprocess
import sys

import pytest

from stacks.arguments import stray
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        ("-c index_codes=IBOV SMLL", "-c index_codes=IBOV,SMLL"),
        ("-c index_codes=IBOV, SMLL IBXX -c removal_policy=destroy", "-c index_codes=IBOV,SMLL,IBXX"),
        ("--profile me --context schedule_hours=7 9 --force", "-c schedule_hours=7,9"),
    ],
)
def test_a_word_behind_a_setting_is_told_with_what_to_write(arguments: str, written: str) -> None:
    said = stray(arguments.split())
    assert said is not None
    assert "a blank ends a setting" in said
    assert f"write {written}" in said


@pytest.mark.parametrize(
    "arguments",
    [
        "",
        "-c index_codes=IBOV,SMLL",
        "-c removal_policy=destroy -c schedule_hours=7,9 --profile me",
        "--force",
    ],
)
def test_settings_without_blanks_are_left_alone(arguments: str) -> None:
    assert stray(arguments.split()) is None


def test_the_command_ends_before_the_cdk_is_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "stacks.arguments", "-c", "index_codes=IBOV", "SMLL"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert "write -c index_codes=IBOV,SMLL" in done.stderr
