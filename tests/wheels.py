"""Which wheels the packages of `constraints.txt` have, for the systems and Pythons that the project runs on.

`make lock` calls it to write `wheels.txt`, from what uv has resolved; a test reads that file, and so needs
neither the network nor a machine of each kind.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from itertools import chain, product
from pathlib import Path

from packaging import tags
from packaging.utils import canonicalize_name, parse_wheel_filename

REPOSITORY = Path(__file__).resolve().parent.parent
CONSTRAINTS = REPOSITORY / "constraints.txt"
WHEELS = REPOSITORY / "wheels.txt"

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
GLIBC = 28
"""Linux of 2018 and later: glibc 2.28, as pip and uv count it."""
MACOS = (13, 0)

Environment = dict[str, str]


def environments() -> Iterator[Environment]:
    """What markers know of each system and Python: Linux and macOS, on processors of Intel and of ARM."""
    for python, machine in product(
        PYTHONS, ("linux x86_64", "linux aarch64", "darwin x86_64", "darwin arm64")
    ):
        system, processor = machine.split()
        yield {
            "python_version": python,
            "python_full_version": f"{python}.0",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
            "os_name": "posix",
            "sys_platform": system,
            "platform_system": system.capitalize(),
            "platform_machine": processor,
        }


def supported(environment: Environment) -> set[str]:
    """Tags of the wheels that pip would install there."""
    machine = environment["platform_machine"]
    if environment["sys_platform"] == "darwin":
        platforms = list(tags.mac_platforms(MACOS, machine))
    else:
        old = ["manylinux2014", *(["manylinux2010", "manylinux1"] if machine == "x86_64" else [])]
        new = [f"manylinux_2_{minor}" for minor in range(GLIBC, 4, -1)]
        platforms = [f"{name}_{machine}" for name in (*new, *old, "linux")]
    major, minor = (int(part) for part in environment["python_version"].split("."))
    interpreter = f"cp{major}{minor}"
    found = chain(
        tags.cpython_tags((major, minor), [interpreter], platforms),
        tags.compatible_tags((major, minor), interpreter, platforms),
    )
    return {str(tag) for tag in found}


def pinned(line: str) -> tuple[str, str]:
    """A line's pin, such as `numpy==2.4.6`, and its marker, empty without one."""
    pin, _, marker = line.partition(";")
    return pin.strip(), marker.strip()


def recorded(text: str) -> dict[str, set[str]]:
    """The tags of each pin, by a text such as that of `wheels.txt`; no tag where it has no wheel."""
    return {pin: set(found) for pin, *found in (line.split() for line in text.splitlines())}


def record(lock: Path) -> str:
    """`wheels.txt`, by a lock as in PEP 751: each pin, and its tags that a system of ours takes."""
    wanted = {tag for environment in environments() for tag in supported(environment)}
    lines = []
    for package in tomllib.loads(lock.read_text())["packages"]:
        names = [wheel["url"].rsplit("/", 1)[1] for wheel in package.get("wheels", [])]
        found = {str(tag) for name in names for tag in parse_wheel_filename(name)[3]} & wanted
        pin = f"{canonicalize_name(package['name'])}=={package['version']}"
        lines.append(" ".join([pin, *sorted(found)]))
    return "".join(f"{line}\n" for line in sorted(lines))


if __name__ == "__main__":
    WHEELS.write_text(record(Path(sys.argv[1])))
