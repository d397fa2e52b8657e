"""Chromium without a window, driven over its DevTools protocol by a pair of pipes: no port, no library.

Where no Chromium is installed, tests that need it skip, and say so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_SWITCHES = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)
_COMPLAINTS = {
    "Runtime.exceptionThrown",
    "Runtime.consoleAPICalled",
    "Log.entryAdded",
    "Network.loadingFailed",
}


def find() -> str | None:
    """The path of a Chromium, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass
class Page:
    """A page, opened in a browser.

    Attributes:
        problems: What its console and its network have complained of.
        requests: The addresses that it asked for, its own and data URIs aside.
    """

    _to: int
    _from: Any
    _session: str = ""
    _last: int = 0
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: Path, *, width: int, height: int, scheme: str) -> None:
        """Load a file in a window of that size, with the reader's preference for "light" or "dark"."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        preference = {"name": "prefers-color-scheme", "value": scheme}
        self.call("Emulation.setEmulatedMedia", features=[preference])
        self.call("Page.navigate", url=path.as_uri())
        self.evaluate("new Promise(done => document.readyState == 'complete' ? done() : onload = done)")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; of a promise, what it comes to."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and wait for its answer."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            said = json.loads(self._read())
            if said.get("id") == self._last:
                if "error" in said:
                    raise AssertionError(f"{method}: {said['error']}")
                answer: dict[str, Any] = said["result"]
                return answer
            self._note(said.get("method", ""), said.get("params", {}))

    def _read(self) -> bytes:
        message = b""
        while (byte := self._from.read(1)) != b"\0":
            if not byte:
                raise AssertionError("the browser has ended")
            message += byte
        return message

    def _note(self, event: str, details: dict[str, Any]) -> None:
        if event in _COMPLAINTS:
            self.problems.append(f"{event}: {details}")
        elif event == "Network.requestWillBeSent":
            url = details["request"]["url"]
            if not url.startswith("data:"):
                self.requests.append(url)


@contextmanager
def chromium(executable: str, folder: Path) -> Iterator[Page]:
    """A browser with one page.

    Args:
        executable: Its path.
        folder: Where it keeps what it has to keep.
    """
    from_us, to_browser = os.pipe()
    from_browser, to_us = os.pipe()
    # The protocol wants descriptors 3 and 4
    line = f'exec "$0" "$@" 3<&{from_us} 4>&{to_us}'
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            ["/bin/bash", "-c", line, executable, *_SWITCHES, f"--user-data-dir={folder / 'profile'}"],
            pass_fds=(from_us, to_us),
            stdout=log,
            stderr=log,
        )
    os.close(from_us)
    os.close(to_us)
    with os.fdopen(from_browser, "rb") as answers:
        page = Page(_to=to_browser, _from=answers)
        try:
            yield page
            page._session = ""
            page.call("Browser.close")
        finally:
            os.close(to_browser)
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
