"""Trino's files: listed with their checksums, and used only if they are what was listed."""

from __future__ import annotations

import hashlib
import re
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sandbox.arguments import DUCKDB, TRINO
from sandbox.ministack import EmulatorError, MiniStack
from sandbox.trino import installation
from sandbox.trino.installation import (
    JARS,
    VERSION,
    Artifact,
    ChangedFileError,
    Installation,
    TrinoUnavailableError,
    artifacts,
    install,
    installed,
    lay_out,
)


def zipped(**files: str) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(f"trino-hive-{VERSION}/{name}", content)
    return made.getvalue()


CONTENT = {
    "org.example:server:1.0:jdk11": b"a server",
    f"io.trino:trino-hive:{VERSION}@zip": zipped(plugin="a plugin"),
}


@pytest.fixture
def wanted(tmp_path: Path) -> list[Artifact]:
    """Two artifacts, and a file of each in `files/`."""
    listed = [
        Artifact.parse(f"{name} {hashlib.sha256(content).hexdigest()}") for name, content in CONTENT.items()
    ]
    (tmp_path / "files").mkdir()
    for artifact, content in zip(listed, CONTENT.values(), strict=True):
        (tmp_path / "files" / artifact.file_name).write_bytes(content)
    return listed


def test_every_file_is_listed_once_by_coordinates_and_checksum() -> None:
    lines = JARS.read_text().splitlines()
    pattern = re.compile(r"[\w.-]+:[\w.-]+:[\w.-]+(:\w+)?(@zip)? [0-9a-f]{64}")
    assert [line for line in lines if not pattern.fullmatch(line)] == []
    assert lines == sorted(set(lines))
    listed = {(each.group, each.name): each for each in artifacts()}
    assert len(listed) == len(lines)
    assert listed["io.trino", "trino-main"].version == listed["io.trino", "trino-hive"].version == VERSION
    assert listed["io.trino", "trino-hive"].extension == "zip"
    assert listed["com.nimbusds", "oauth2-oidc-sdk"].classifier == "jdk11"


def test_checked_files_lie_where_the_server_looks_for_them(tmp_path: Path, wanted: list[Artifact]) -> None:
    lay_out(tmp_path / "files", wanted, tmp_path / "trino")
    made = tmp_path / "trino"
    assert (made / "lib" / "org.example-server-1.0-jdk11.jar").read_bytes() == b"a server"
    assert (made / "plugin" / "hive" / "plugin").read_text() == "a plugin"
    assert sorted(path.name for path in made.iterdir()) == ["lib", "plugin"]


def test_a_file_that_is_another_one_is_refused(tmp_path: Path, wanted: list[Artifact]) -> None:
    wanted[0] = replace(wanted[0], sha256="0" * 64)
    found = hashlib.sha256(b"a server").hexdigest()
    with pytest.raises(ChangedFileError, match=f"has the SHA-256 {found}, expected 0000"):
        lay_out(tmp_path / "files", wanted, tmp_path / "trino")


def test_a_file_that_has_not_come_is_missed(tmp_path: Path, wanted: list[Artifact]) -> None:
    (tmp_path / "files" / wanted[1].file_name).unlink()
    with pytest.raises(TrinoUnavailableError, match=r"io.trino:trino-hive:435.zip was not fetched"):
        lay_out(tmp_path / "files", wanted, tmp_path / "trino")


def test_ivy_is_asked_for_these_files_and_for_nothing_that_they_may_need(wanted: list[Artifact]) -> None:
    module = ElementTree.fromstring(installation._module(wanted))  # noqa: S314 - our own
    dependencies = [
        (each.get("org"), each.get("name"), each.get("rev")) for each in module.iter("dependency")
    ]
    assert dependencies == [("org.example", "server", "1.0"), ("io.trino", "trino-hive", VERSION)]
    assert {each.get("transitive") for each in module.iter("dependency")} == {"false"}
    server, plugin = module.iter("artifact")
    assert server.get("{http://ant.apache.org/ivy/maven}classifier") == "jdk11"
    assert (server.get("ext"), plugin.get("ext")) == ("jar", "zip")


def test_what_is_installed_is_taken_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "REPOSITORY", tmp_path)
    assert installed() is None
    folder = installation._folder()
    folder.mkdir(parents=True)
    monkeypatch.setattr(installation, "_retrieve", None)  # whatever fetches, fails
    assert install() == installed() == Installation(folder)


def test_other_files_are_another_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = installation._folder()
    listed = tmp_path / "jars.txt"
    listed.write_text(JARS.read_text().replace(f"trino-main:{VERSION}", "trino-main:436"))
    monkeypatch.setattr(installation, "JARS", listed)
    assert installation._folder() != before


@pytest.mark.skipif(installed() is not None, reason="Trino is installed here")
def test_an_emulator_says_that_trino_is_not_installed(tmp_path: Path) -> None:
    with pytest.raises(EmulatorError, match="Trino is not installed"):
        MiniStack.start(tmp_path, engine=TRINO)
    MiniStack.start(tmp_path / "other", engine=DUCKDB).stop()
