"""An HTTP server on loopback that answers as B3's two hosts do, and as badly as a test asks it to.

`/InstDados/SerHist/...` is bvmf.bmfbovespa.com.br; `/indexProxy/...`,
`/indexStatisticsProxy/...`, `/listedCompaniesProxy/...` and `/fundsProxy/...` are
sistemaswebb3-listados.b3.com.br.
What it serves comes from a `Source` (see sandbox.b3.sources); `B3Server.script` puts other answers in front.
"""

import base64
import binascii
import hashlib
import json
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, runtime_checkable
from urllib.parse import unquote, urlsplit

QUOTES_PATH = "/InstDados/SerHist/"
PORTFOLIO_PATH = "/indexProxy/indexCall/GetPortfolioDay/"
LEVELS_PATH = "/indexStatisticsProxy/IndexCall/GetPortfolioDay/"
SUPPLEMENT_PATH = "/listedCompaniesProxy/CompanyCall/GetListedSupplementCompany/"
CASH_HISTORY_PATH = "/listedCompaniesProxy/CompanyCall/GetListedCashDividends/"
FUND_SUPPLEMENT_PATH = "/fundsProxy/fundsCall/GetListedSupplementFunds/"
_ACTIONS_PATHS = (SUPPLEMENT_PATH, CASH_HISTORY_PATH, FUND_SUPPLEMENT_PATH)

MOST_ROWS = 121
"""Rows of a page of the cash history that B3 gives at most: for 200 and more it was seen to answer nothing,
and where between the two it begins is not known."""

_NOT_FOUND = b"<!DOCTYPE html><html><head><title>404</title></head><body>Not Found</body></html>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file of B3's.

    Attributes:
        body: Its bytes.
        content_type: Its media type.
        last_modified: When B3 last wrote it, in UTC; None for an answer that is computed at each call and so
            has neither Last-Modified nor ETag.
    """

    body: bytes
    content_type: str
    last_modified: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PortfolioRequest:
    """What GetPortfolioDay's address asks for. `segment` is "1" (by ticker) or "2" (by sector)."""

    index: str
    segment: str
    page_number: int
    page_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelsRequest:
    """What the address of an index's levels of a year asks for."""

    index: str
    year: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplementRequest:
    """What the address of an issuer's supplement asks for; `is_fund` says by which call."""

    issuer: str
    is_fund: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CashHistoryRequest:
    """What GetListedCashDividends' address asks for."""

    trading_name: str
    page_number: int
    page_size: int


_Request: TypeAlias = str | PortfolioRequest | LevelsRequest | SupplementRequest | CashHistoryRequest

_NOTHING = Document(body=b"", content_type="application/json; charset=utf-8")
"""What B3 answers of an issuer that it does not know: with status 200."""
_NO_LEVELS = Document(body=b"null", content_type="application/json; charset=utf-8")
"""What B3 answers of an index that it does not know: likewise."""


class Source(Protocol):
    """What the server serves."""

    def quotes(self, name: str) -> Document | None:
        """The quote file of that name (COTAHIST_D08112024.ZIP), None where B3 would have none."""

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        """One page of an index portfolio as JSON, None where there is none."""


@runtime_checkable
class LevelsSource(Protocol):
    """A source that serves levels of indices, too; of others B3 knows no index."""

    def levels(self, request: LevelsRequest) -> Document | None:
        """The levels of an index in a year, as JSON; None where B3 knows none."""


@runtime_checkable
class ActionsSource(Protocol):
    """A source that serves corporate actions, too; of others B3 knows no issuer."""

    def supplement(self, request: SupplementRequest) -> Document | None:
        """What is known of an issuer, as JSON; None of one that B3 does not know."""

    def cash_history(self, request: CashHistoryRequest) -> Document | None:
        """A page of the cash of a trading name, as JSON; None where B3 answers with nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A scripted answer. Without a fault, it is an ordinary one of that status, headers and body.

    Attributes:
        status: HTTP status.
        headers: Headers beside Content-Length and Connection.
        body: The body, all of which Content-Length announces.
        announce_length: Whether to send Content-Length; without it, the end of the connection ends the body.
        delay: Seconds to wait before the status line.
        drip: Bytes of the body to send at a time, and seconds to wait after each.
        cut_after: Close the connection after that many bytes of the body.
        stall_after: After that many bytes of the body send nothing more, and hold the connection open until
            the server stops.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    announce_length: bool = True
    delay: float = 0.0
    drip: tuple[int, float] | None = None
    cut_after: int | None = None
    stall_after: int | None = None


REQUEST_REJECTED = Answer(
    headers={"Content-Type": "text/html; charset=utf-8", "Set-Cookie": "TS0189ab=0189abcd; Path=/"},
    body=b"<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. Please "
    b"consult with your administrator.<br><br>Your support ID is: 1234567890123456789<br></body></html>",
)
"""What the firewall in front of B3 answers to somebody whom it does not like: with status 200."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """A request that arrived: method, path as it was sent, headers, `time.monotonic()` of its arrival."""

    method: str
    path: str
    headers: Mapping[str, str]
    time: float


class B3Server:
    """Serves a source on 127.0.0.1 while the context lasts.

    Args:
        source: What to serve.
        port: Port to listen on, 0 for a free one.
        tls: Certificate chain and key (PEM files) to serve HTTPS with; plain HTTP without.

    Attributes:
        requests_seen: The requests so far, in the order of their arrival.

    Example:
        >>> with B3Server(RecordedFolder(folder, session)) as b3:
        ...     b3.script("/InstDados/", [Answer(status=503), Answer(status=520)])
        ...     requests.get(f"{b3.base_url}/InstDados/SerHist/COTAHIST_D08112024.ZIP", timeout=5)
    """

    def __init__(self, source: Source, *, port: int = 0, tls: tuple[Path, Path] | None = None) -> None:
        self.requests_seen: list[SeenRequest] = []
        self._source = source
        self._port = port
        self._tls = tls
        self._scripts: dict[str, deque[Answer]] = {}
        self._scripts_lock = threading.Lock()
        self._stopping = threading.Event()
        self._http: _HTTPServer | None = None

    def __enter__(self) -> Self:
        self._stopping.clear()
        self._http = _HTTPServer(("127.0.0.1", self._port), self)
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self._tls)
            # The handshake belongs to the request's thread: one slow client must not hold up the others
            self._http.socket = context.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._http.serve_forever, args=(0.01,), name="b3-server", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http:
            self._stopping.set()
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    @property
    def base_url(self) -> str:
        """Address that stands for both hosts, without a slash at its end.

        Raises:
            RuntimeError: the server is not running.
        """
        if self._http is None:
            raise RuntimeError("the server is not running; use it as a context manager")
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self._http.server_address[1]}"

    def has_quotes(self, name: str) -> bool:
        """Whether there is a quote file of that name. A source that generates its files does so now."""
        return self._source.quotes(name) is not None

    def has_levels(self, index: str, year: int) -> bool:
        """Whether there are levels of an index in a year."""
        return _levels(self._source, LevelsRequest(index=index, year=year)) is not None

    def script(self, path: str, answers: Iterable[Answer]) -> None:
        """Answer the next requests below a path with these, one each; after the last, the source does again.

        Args:
            path: A path or the beginning of one; where several match, the longest counts.
            answers: In the order in which they are given.
        """
        with self._scripts_lock:
            self._scripts.setdefault(path, deque()).extend(answers)

    def answer(self, seen: SeenRequest) -> Answer:
        """Record a request and say what to answer it with."""
        self.requests_seen.append(seen)
        with self._scripts_lock:
            matching = [path for path, left in self._scripts.items() if left and seen.path.startswith(path)]
            if matching:
                return self._scripts[max(matching, key=len)].popleft()
        return self._answer_from_source(seen)

    def wait(self, seconds: float | None) -> None:
        """Let that time pass (None: for ever), or less if the server stops."""
        self._stopping.wait(seconds)

    def _answer_from_source(self, seen: SeenRequest) -> Answer:
        try:
            request = _parse(unquote(urlsplit(seen.path).path))
        except ValueError as error:
            return Answer(status=400, headers={"Content-Type": "text/plain"}, body=str(error).encode())
        document = None if request is None else _document(self._source, request)
        if document is None:
            return Answer(status=404, headers={"Content-Type": "text/html"}, body=_NOT_FOUND)
        return _answer_with(document, seen.headers)


def _parse(path: str) -> _Request | None:
    """What an address asks for: of quotes the file's name.

    Raises:
        ValueError: It is one of B3's calls, and asks for nothing.
    """
    if path.startswith(QUOTES_PATH):
        return path.removeprefix(QUOTES_PATH)
    if path.startswith(PORTFOLIO_PATH):
        return parse_portfolio_request(path.removeprefix(PORTFOLIO_PATH))
    if path.startswith(LEVELS_PATH):
        return parse_levels_request(path.removeprefix(LEVELS_PATH))
    return parse_actions_request(path) if path.startswith(_ACTIONS_PATHS) else None


def _document(source: Source, request: _Request) -> Document | None:
    match request:
        case str():
            return source.quotes(request)
        case PortfolioRequest():
            return source.portfolio(request)
        case LevelsRequest():
            return _levels(source, request) or _NO_LEVELS
        case SupplementRequest() | CashHistoryRequest():
            return _actions(source, request) or _NOTHING


def _levels(source: Source, request: LevelsRequest) -> Document | None:
    return source.levels(request) if isinstance(source, LevelsSource) else None


def _actions(source: Source, request: SupplementRequest | CashHistoryRequest) -> Document | None:
    if not isinstance(source, ActionsSource):
        return None
    if isinstance(request, SupplementRequest):
        return source.supplement(request)
    return source.cash_history(request) if request.page_size <= MOST_ROWS else None


def parse_portfolio_request(encoded: str) -> PortfolioRequest:
    """Decode the last part of GetPortfolioDay's address.

    Raises:
        ValueError: it is not the Base64 of a JSON object with the call's parameters, or its language is not
            pt-br.
    """
    try:
        asked: dict[str, Any] = json.loads(base64.b64decode(encoded, validate=True))
        request = PortfolioRequest(
            index=str(asked["index"]),
            segment=str(asked["segment"]),
            page_number=int(asked["pageNumber"]),
            page_size=int(asked["pageSize"]),
        )
        language = asked["language"]
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{encoded!r} is not the Base64 of JSON with language, pageNumber, pageSize, index and segment"
        ) from error
    if (
        language != "pt-br"
        or request.segment not in ("1", "2")
        or min(request.page_number, request.page_size) < 1
    ):
        raise ValueError(f"expected pt-br, segment 1 or 2, page number and size of at least 1, not {asked}")
    return request


def parse_levels_request(encoded: str) -> LevelsRequest:
    """Decode the last part of the address of an index's levels.

    Raises:
        ValueError: it is not the Base64 of a JSON object with the call's parameters, in pt-br.
    """
    asked = _asked(encoded)
    try:
        request = LevelsRequest(index=str(asked["index"]), year=int(asked["year"]))
        language = asked["language"]
    except (KeyError, TypeError) as error:
        raise ValueError(f"{asked} lacks {error}") from error
    if language != "pt-br":
        raise ValueError(f"expected pt-br, not {asked}")
    return request


def parse_actions_request(path: str) -> SupplementRequest | CashHistoryRequest:
    """Decode the path of a call for corporate actions, which is unquoted.

    Raises:
        ValueError: The path is of another call, or does not end in the Base64 of its parameters, in pt-br.
    """
    call = next((each for each in _ACTIONS_PATHS if path.startswith(each)), None)
    if call is None:
        raise ValueError(f"{path} is no call for corporate actions")
    asked = _asked(path.removeprefix(call))
    try:
        if call == FUND_SUPPLEMENT_PATH:
            return SupplementRequest(issuer=str(asked["identifierFund"]), is_fund=True)
        if asked["language"] != "pt-br":
            raise ValueError(f"expected pt-br, not {asked}")
        if call == SUPPLEMENT_PATH:
            return SupplementRequest(issuer=str(asked["issuingCompany"]), is_fund=False)
        return CashHistoryRequest(
            trading_name=str(asked["tradingName"]),
            page_number=int(asked["pageNumber"]),
            page_size=int(asked["pageSize"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"{asked} lacks {error}") from error


def _asked(encoded: str) -> dict[str, Any]:
    try:
        asked: dict[str, Any] = json.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{encoded!r} is not the Base64 of JSON") from error
    return asked


def _answer_with(document: Document, request_headers: Mapping[str, str]) -> Answer:
    headers = {"Content-Type": document.content_type}
    if document.last_modified is None:
        return Answer(headers=headers, body=document.body)
    tag = f'"{hashlib.sha256(document.body).hexdigest()[:32]}"'
    modified = document.last_modified.astimezone(UTC).replace(microsecond=0)
    headers |= {"ETag": tag, "Last-Modified": format_datetime(modified, usegmt=True)}
    if _is_current(tag, modified, request_headers):
        return Answer(status=304, headers=headers)
    return Answer(headers=headers, body=document.body)


def _is_current(tag: str, modified: datetime, request_headers: Mapping[str, str]) -> bool:
    """Whether what the client says it has is what it would get (RFC 9110, 13.2.2)."""
    if known_tags := request_headers.get("If-None-Match"):
        return tag in (known.strip().removeprefix("W/") for known in known_tags.split(","))
    if known_since := request_headers.get("If-Modified-Since"):
        return modified <= parsedate_to_datetime(known_since)
    return False


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], b3: B3Server) -> None:
        self.b3 = b3
        super().__init__(address, _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client may hang up, or refuse our certificate: that is its report to make, not ours
        if not isinstance(sys.exception(), BrokenPipeError | ConnectionResetError | ssl.SSLError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _HTTPServer

    def do_GET(self) -> None:
        self._respond(with_body=True)

    def do_HEAD(self) -> None:
        self._respond(with_body=False)

    def log_message(self, format: str, *args: object) -> None:
        """Requests are recorded in `requests_seen`, not printed."""

    def _respond(self, *, with_body: bool) -> None:
        b3 = self.server.b3
        answer = b3.answer(
            SeenRequest(
                method=self.command,
                path=self.path,
                headers={name.title(): value for name, value in self.headers.items()},
                time=time.monotonic(),
            )
        )
        if answer.delay:
            b3.wait(answer.delay)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.announce_length and answer.status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if with_body:
            self._send_body(answer)

    def _send_body(self, answer: Answer) -> None:
        ends = [end for end in (answer.cut_after, answer.stall_after) if end is not None]
        body = answer.body[: min(ends, default=len(answer.body))]
        size, pause = answer.drip or (len(body) or 1, 0.0)
        for start in range(0, len(body), size):
            self.wfile.write(body[start : start + size])
            if pause:
                self.server.b3.wait(pause)
        if answer.stall_after is not None:
            self.server.b3.wait(None)
