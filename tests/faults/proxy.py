"""A proxy in front of the emulator, which refuses or holds calls of AWS's as AWS itself sometimes does.

What it does not refuse or hold goes through, and so does every answer: only the fault is injected.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import urllib3


class Proxy:
    """Forwards to an endpoint, except what it is told to refuse or to hold.

    Operations go by the names of the API: `StartJobRun`.

    Attributes:
        forwarded: How often each operation got through.
        refused: How often there was each error.
        held: Is set when a call is being held.
    """

    def __init__(self, endpoint: str) -> None:
        self.forwarded: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.held = threading.Event()
        self._endpoint = endpoint
        self._refusals: list[tuple[str, str]] = []
        self._holding: set[str] = set()
        self._released = threading.Event()
        self._lock = threading.Lock()
        self._pool = urllib3.PoolManager(maxsize=32, retries=False)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True

    @property
    def endpoint(self) -> str:
        """Its address, to go by instead of the emulator's."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def refuse(self, about: str, code: str, times: int) -> None:
        """Answer the next calls that have something in their body with an error."""
        self._refusals += [(about, code)] * times

    def hold(self, operation: str) -> None:
        """Let calls of an operation wait, until the proxy ends."""
        self._holding.add(operation)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def error_for(self, operation: str, body: str) -> str | None:
        """The code of the error that a call is to be answered with; None lets it through."""
        if operation in self._holding:
            self.held.set()
            self._released.wait()
            return "InternalServiceException"
        with self._lock:
            if refusal := next((each for each in self._refusals if each[0] in body), None):
                self._refusals.remove(refusal)
                self.refused[refusal[1]] += 1
                return refusal[1]
            self.forwarded[operation] += 1
        return None

    def forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> urllib3.BaseHTTPResponse:
        """The emulator's answer."""
        return self._pool.request(
            method, f"{self._endpoint}{path}", headers=headers, body=body, decode_content=False
        )


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
            code = proxy.error_for(operation, body.decode())
            if code is not None:
                self._answer(400, {"x-amzn-ErrorType": code}, json.dumps({"__type": code}).encode())
                return
            host = {"Host": urlsplit(proxy.endpoint).netloc}
            answer = proxy.forward("POST", self.path, {**dict(self.headers), **host}, body)
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() not in {"content-length", "transfer-encoding", "connection"}
            }
            self._answer(answer.status, kept, answer.data)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Calls are counted, not printed."""

    return Handler
