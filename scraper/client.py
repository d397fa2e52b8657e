"""Downloads from B3: the session's quotes and the pages of an index portfolio.

A download ends in one of three ways: `Found` with B3's bytes, `Absent` with the reason when B3 answers that
there is no such file, or `DownloadError` when B3 gave no usable answer. Of what is in the bytes the client
knows only what tells "no file" from "a file": B3 says "no file" in four ways (see `Absent`).

It refuses to go on without a verified certificate, to follow a redirect, to take more than a stated number of
bytes, and to wait longer than a stated time.
"""

import base64
import io
import itertools
import json
import logging
import random
import ssl
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from scraper.errors import ScraperError

QUOTES_BASE_URL = "https://bvmf.bmfbovespa.com.br"
INDEX_BASE_URL = "https://sistemaswebb3-listados.b3.com.br"

ATTEMPTS = 5
CONNECT_TIMEOUT = 10.0
"""Seconds."""
READ_TIMEOUT = 20.0
"""Seconds without a byte."""
DEADLINE = 50.0
"""Seconds for one download with all attempts and pauses: eleven fit into the function's ten minutes."""
MAX_BYTES = 32 * 2**20
"""Bytes of one body. A session's ZIP has under one million."""

_BACKOFF_BASE = 1.0
_BACKOFF_CAP = 20.0
_CHUNK = 2**16
_PAGE_SIZE = 120
_BLANKS = b"\xef\xbb\xbf \t\r\n"
"""What may stand before a page: the byte order mark of UTF-8, and blanks."""

logger = logging.getLogger(__name__)


class DownloadError(ScraperError):
    """B3 gave no usable answer: it could not be reached, kept failing, or answered what we do not follow."""


@dataclass(frozen=True, slots=True)
class Found:
    """B3 served a file.

    Attributes:
        url: Its address.
        content: Its bytes, as B3 served them.
    """

    url: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Absent:
    """B3 answered that it has no such file: HTTP 404, an empty body, an HTML page, or a ZIP without data.

    Attributes:
        url: The address that was asked for.
        reason: Which of these it was.
    """

    url: str
    reason: str


class _TemporaryError(Exception):
    """An attempt failed in a way that another attempt may not."""

    def __init__(self, reason: str, retry_after: float = 0.0) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class _VerifyingAdapter(HTTPAdapter):
    """Connections whose certificates are verified against one context, whatever the environment says.

    Left to itself, requests lets REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE replace the trusted certificates.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        return super().send(request, *args, **{**kwargs, "verify": True})


def _tls_context(extra_ca_file: Path | None) -> ssl.SSLContext:
    """Trust certifi's roots and, beside them, the certificates of `extra_ca_file`.

    A host that does not send its intermediate certificate is verified once the file holds it: OpenSSL then
    completes the chain up to a root of certifi's. That the chain ends in a root is required on every Python
    (from 3.13 on an intermediate would otherwise do), so the file does not weaken what was trusted before.
    """
    context = ssl.create_default_context(cafile=certifi.where())
    context.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    if extra_ca_file is not None:
        try:
            context.load_verify_locations(cafile=extra_ca_file)
        except OSError as error:
            raise DownloadError(
                f"EXTRA_CA_FILE {extra_ca_file}: {error}; expected a file of certificates in PEM format"
            ) from error
    return context


class B3Client:
    """Downloads from B3's two hosts.

    Args:
        quotes_base_url: Scheme and host of the quotes (COTAHIST).
        index_base_url: Scheme and host of the index portfolios.
        extra_ca_file: Certificates in PEM format to trust beside certifi's, such as an intermediate
            certificate that B3's host does not send.
        attempts: How often a download is tried.
        connect_timeout: Seconds to connect.
        read_timeout: Seconds without a byte.
        deadline: Seconds for one download with all its attempts and pauses.
        max_bytes: Bytes that one body may have.
        sleep: Waits for so many seconds.
        jitter: A number in [0, 1), evenly distributed.
        clock: Seconds that only ever increase.

    Raises:
        DownloadError: `extra_ca_file` cannot be read.
    """

    def __init__(
        self,
        *,
        quotes_base_url: str = QUOTES_BASE_URL,
        index_base_url: str = INDEX_BASE_URL,
        extra_ca_file: Path | None = None,
        attempts: int = ATTEMPTS,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        deadline: float = DEADLINE,
        max_bytes: int = MAX_BYTES,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quotes_base_url = quotes_base_url.rstrip("/")
        self._index_base_url = index_base_url.rstrip("/")
        self._attempts = attempts
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._sleep = sleep
        self._jitter = jitter
        self._clock = clock
        self._http = requests.Session()
        self._http.mount("https://", _VerifyingAdapter(_tls_context(extra_ca_file)))
        # Not compressed once more: so Content-Length counts the bytes of the file
        self._http.headers.update(
            {
                "User-Agent": f"bovespa-pipeline python-requests/{requests.__version__}",
                "Accept-Encoding": "identity",
            }
        )

    def quotes(self, session: date) -> Found | Absent:
        """The ZIP with the quotes of a session.

        Args:
            session: The day of the session.

        Raises:
            DownloadError: B3 gave no usable answer.
        """
        return self._download(f"{self._quotes_base_url}/InstDados/SerHist/COTAHIST_D{session:%d%m%Y}.ZIP")

    def portfolio_page(self, index: str, page: int) -> Found:
        """A page of the current theoretical portfolio of an index, listed by sector, as JSON.

        Args:
            index: Code of the index, such as IBOV.
            page: Number of the page, from 1.

        Raises:
            DownloadError: B3 gave no usable answer, or served no portfolio.
        """
        query = {
            "language": "pt-br",
            "pageNumber": page,
            "pageSize": _PAGE_SIZE,
            "index": index,
            "segment": "2",
        }
        encoded = base64.b64encode(json.dumps(query, separators=(",", ":")).encode()).decode()
        answer = self._download(f"{self._index_base_url}/indexProxy/indexCall/GetPortfolioDay/{encoded}")
        if isinstance(answer, Absent):
            raise DownloadError(
                f"{answer.url}: B3 has no portfolio of {index} ({answer.reason}); is {index} an index of B3?"
            )
        return answer

    def _download(self, url: str) -> Found | Absent:
        deadline = self._clock() + self._deadline
        for attempt in itertools.count(1):
            try:
                return self._attempt(url, deadline)
            except _TemporaryError as failure:
                pause = max(
                    self._jitter() * min(_BACKOFF_CAP, _BACKOFF_BASE * 2 ** (attempt - 1)),
                    min(_BACKOFF_CAP, failure.retry_after),
                )
                if attempt == self._attempts or self._clock() + pause >= deadline:
                    raise DownloadError(
                        f"{url}: {failure}; gave up after {attempt} of {self._attempts} attempts "
                        f"({self._deadline:g} s at most). Run it again later"
                    ) from failure
                logger.warning("%s: %s; trying again in %.1f s", url, failure, pause)
                self._sleep(pause)
        raise AssertionError("unreachable: the loop has no end")

    def _attempt(self, url: str, deadline: float) -> Found | Absent:
        remaining = max(deadline - self._clock(), 0.001)
        timeout = (min(self._connect_timeout, remaining), min(self._read_timeout, remaining))
        try:
            with self._http.get(url, stream=True, timeout=timeout, allow_redirects=False) as response:
                return self._answer(url, response, deadline)
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" not in str(error):
                raise _TemporaryError(str(error)) from error
            raise DownloadError(
                f"{url}: the host's certificate could not be verified: {error}. If the host does not send "
                "its intermediate certificate, put that, as PEM, into the file that EXTRA_CA_FILE names"
            ) from error
        except (requests.ConnectionError, requests.Timeout, urllib3.exceptions.HTTPError) as error:
            raise _TemporaryError(str(error)) from error
        except requests.RequestException as error:
            raise DownloadError(f"{url}: {error}") from error

    def _answer(self, url: str, response: requests.Response, deadline: float) -> Found | Absent:
        status = response.status_code
        # Cloudflare, in front of B3, answers 403 and its own 520..527 when B3 is under load
        if status in {403, 429} or status >= 500:
            raise _TemporaryError(f"HTTP {status} {response.reason}", _retry_after(response))
        if status == 404:
            return Absent(url, "HTTP 404")
        if "Location" in response.headers:
            raise DownloadError(
                f"{url}: HTTP {status} redirects to {response.headers['Location']}, which is not followed; "
                "if B3 has moved, configure its new base address"
            )
        if status != 200:
            raise DownloadError(f"{url}: HTTP {status} {response.reason}, expected 200 or 404")
        content = self._body(url, response, deadline)
        reason = _why_absent(content, response.headers.get("Content-Type", ""))
        return Found(url, content) if reason is None else Absent(url, reason)

    def _body(self, url: str, response: requests.Response, deadline: float) -> bytes:
        """The body. urllib3 raises on one that is shorter than its Content-Length or lacks its last chunk."""
        announced = response.raw.length_remaining
        body = bytearray()
        # read1 returns what has arrived; read would wait for a whole chunk, however slowly it drips in
        while announced is None or announced <= self._max_bytes:
            chunk = response.raw.read1(_CHUNK, decode_content=True)
            if not chunk:
                return bytes(body)
            body += chunk
            if len(body) > self._max_bytes:
                break
            if self._clock() >= deadline:
                raise DownloadError(
                    f"{url}: {len(body)} of {announced or 'an unknown number of'} bytes had come after "
                    f"{self._deadline:g} s. Run it again later"
                )
        raise DownloadError(
            f"{url}: a body of {announced or f'more than {self._max_bytes}'} bytes, expected at most "
            f"{self._max_bytes}; nothing of it was used"
        )


def _retry_after(response: requests.Response) -> float:
    """Seconds that the server asks to wait; 0 if it does not, or not intelligibly."""
    try:
        return Retry().parse_retry_after(response.headers.get("Retry-After", "0"))
    except urllib3.exceptions.InvalidHeader:
        return 0.0


def _why_absent(content: bytes, content_type: str) -> str | None:
    if not content:
        return "an empty body"
    if content.lstrip(_BLANKS).startswith(b"<") or (
        content_type.startswith("text/html") and content[:2] != b"PK"
    ):
        return "an HTML page"
    if content.startswith(b"PK"):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                if not any(member.file_size for member in archive.infolist()):
                    return "an empty ZIP"
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            return None  # a file, if a damaged one: the reader says what is wrong with it
    return None
