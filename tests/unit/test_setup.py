"""`make setup` in a folder of its own; stand-ins for Python, uv and npm write down how they are called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
FILES = (
    "Makefile",
    "constraints.txt",
    "package.json",
    "package-lock.json",
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-setup.txt",
    "scraper/requirements-lambda.txt",
)
# Each does as little as the Makefile needs, and fails as a file named after it says
PYTHON = """#!/bin/sh
echo "python $*" >>calls
test -z "$PYTHONDONTWRITEBYTECODE" || echo "nothing compiled stays" >>calls
case "$*" in
  "-m venv --clear .venv") mkdir -p .venv/bin; cp "$0" .venv/bin/python; cp npm .venv/bin ;;
  *requirements-setup.txt) test ! -e no-uv || exit 1; cp uv .venv/bin ;;
  "-m stacks.bundling") mkdir -p build ;;
esac
"""
UV = """#!/bin/sh
echo "uv $*" >>calls
case "$*" in *requirements-dev.txt) test ! -e uv-fails || exit 1; test ! -e cut-short || kill $PPID ;; esac
"""
NPM = """#!/bin/sh
echo "npm $*" >>calls
mkdir -p node_modules
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(REPOSITORY / name, tmp_path / name)
    for name, script in {"python": PYTHON, "uv": UV, "npm": NPM}.items():
        (tmp_path / name).write_text(script)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def set_up(clone: Path) -> tuple[int, list[str]]:
    """How `make setup` ended, and what it has called, but for looking at versions."""
    calls = clone / "calls"
    calls.write_text("")
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "UV_"))
    }
    environment["PYTHONDONTWRITEBYTECODE"] = "1"  # as in many containers
    command = ["make", "--silent", "setup", "PYTHON=./python"]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    called = calls.read_text().splitlines()
    return done.returncode, [
        call for call in called if not call.startswith("python -c") and "--version" not in call
    ]


def packages_of(calls: list[str]) -> list[str]:
    """The calls that install the packages of requirements-dev.txt: by whom, and whether anew."""
    return [
        f"{call.split()[0]}{' again' if '--force-reinstall' in call else ''}"
        for call in calls
        if "-c constraints.txt" in call and call.endswith("-r requirements-dev.txt")
    ]


def test_a_fresh_clone_gets_each_thing_once_and_a_second_set_up_nothing(clone: Path) -> None:
    (clone / ".venv").mkdir()
    (clone / ".venv" / "half").touch()  # of a set-up that ended while the environment was made
    code, calls = set_up(clone)
    assert code == 0
    assert calls[0] == "python -m venv --clear .venv"
    assert packages_of(calls) == ["uv"]
    assert calls.count("npm ci --silent --no-audit --no-fund") == 1
    assert calls.count("python -m stacks.bundling") == 1
    assert set_up(clone) == (0, [])


def test_a_change_of_versions_installs_the_packages_and_nothing_else(clone: Path) -> None:
    set_up(clone)
    later = (clone / ".venv" / ".packages").stat().st_mtime + 5
    os.utime(clone / "constraints.txt", (later, later))
    code, calls = set_up(clone)
    assert (code, len(calls), packages_of(calls)) == (0, 1, ["uv"])


@pytest.mark.parametrize("trouble", ["no-uv", "uv-fails"])
def test_pip_installs_where_uv_does_not(clone: Path, trouble: str) -> None:
    (clone / trouble).touch()
    code, calls = set_up(clone)
    assert code == 0
    assert packages_of(calls)[-1] == "python"


def test_packages_whose_installation_was_cut_short_are_all_installed_again(clone: Path) -> None:
    """What was being written looks complete to uv and pip."""
    (clone / "cut-short").touch()
    code, calls = set_up(clone)
    assert (code != 0, packages_of(calls)) == (True, ["uv"])
    (clone / "cut-short").unlink()
    code, calls = set_up(clone)
    assert (code, packages_of(calls)) == (0, ["uv again"])
    assert set_up(clone) == (0, [])


def test_what_was_fetched_is_removed_once_it_is_installed(clone: Path) -> None:
    (clone / "uv").write_text(UV + 'mkdir -p "$UV_CACHE_DIR" && touch "$UV_CACHE_DIR/wheel"\n')
    assert set_up(clone)[0] == 0
    assert not (clone / ".venv" / ".downloads").exists()


def test_the_bundle_is_made_while_the_packages_are_still_being_installed() -> None:
    """So that what makes it may import nothing of theirs; -S leaves the installed packages out."""
    command = [sys.executable, "-S", "-c", "import stacks.bundling"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
