"""What the runbook says can be done: its commands parse, its links lead somewhere, its languages agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scraper.__main__ import parser
from tests import runbook
from tests.aws_cli import AwsCliError, Command

ALARMS = (
    "no-new-session",
    "scraper-errors",
    "quarantine-used",
    "dead-letters-waiting",
    "glue-run-failed",
    "glue-run-too-long",
    "invariant-broken",
    "athena-cutoff-hit",
)
LANGUAGES = sorted(runbook.RUNBOOKS)
SECTIONS = {language: runbook.sections(language) for language in LANGUAGES}
SANDBOX = Path(__file__).resolve().parents[1] / "sandbox" / "test_runbook.py"


def all_calls(tool: str) -> list[list[str]]:
    return [
        call
        for section in SECTIONS["en"].values()
        for block in section.commands
        for call in runbook.calls(block, tool)
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("alarm", ALARMS)
def test_every_alarm_has_its_section_with_something_to_look_at(language: str, alarm: str) -> None:
    assert SECTIONS[language][alarm].commands


def test_both_languages_have_the_same_sections_commands_and_outputs() -> None:
    english, portuguese = (
        [(section.anchor, section.commands, section.shown) for section in SECTIONS[language].values()]
        for language in ("en", "pt-BR")
    )
    assert portuguese == english


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_link_leads_to_a_section_or_a_file(language: str) -> None:
    path = runbook.RUNBOOKS[language]
    links = re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8"))
    assert len(links) > 20
    lost = [
        link
        for link in links
        if not (link[1:] in SECTIONS[language] if link.startswith("#") else (path.parent / link).exists())
    ]
    assert lost == []


@pytest.mark.parametrize("call", all_calls("python"), ids=" ".join)
def test_a_command_of_this_project_is_one_that_its_parser_takes(call: list[str]) -> None:
    assert call[:2] == ["-m", "scraper"]
    dated = ["2026-11-19" if word == "111" else word for word in call[2:]]
    assert parser().parse_args(dated).module


@pytest.mark.parametrize("call", all_calls("aws"), ids=" ".join)
def test_a_command_of_the_aws_cli_is_one_that_the_service_knows(call: list[str]) -> None:
    assert Command(call).operation


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("s3 rm s3://bucket", "aws s3: no such service"),
        ("glue stop-everything", "no such operation"),
        ("glue get-job-runs --job-name x --newest 5", "--newest: no such parameter"),
        ("glue get-job-runs", "--job-name is required"),
        ("glue get-job-runs x --job-name x", "'x' is of no parameter"),
    ],
)
def test_a_command_that_the_aws_cli_would_refuse_is_told_from_one_that_it_takes(
    command: str, message: str
) -> None:
    with pytest.raises(AwsCliError, match=re.escape(message)):
        Command(command.split())


def test_no_command_escapes_the_check() -> None:
    blocks = [block for section in SECTIONS["en"].values() for block in section.commands]
    mentioned = sum(len(re.findall(r"\b(?:aws|python|make) ", block)) for block in blocks)
    assert sum(len(all_calls(tool)) for tool in ("aws", "python", "make")) == mentioned


def test_every_section_with_commands_is_tried_in_the_sandbox() -> None:
    source = SANDBOX.read_text(encoding="utf-8")
    missing = [
        section.anchor
        for section in SECTIONS["en"].values()
        if section.commands and f'"{section.anchor}"' not in source
    ]
    assert missing == []
