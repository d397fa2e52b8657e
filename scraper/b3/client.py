"""Downloads from B3: quotes of a session or a year, portfolios and levels of indices, corporate actions.

A download ends in one of three ways: `Found` with B3's bytes (`FoundFile` where they are too many to hold),
`Absent` with the reason when B3 answers that there is no such file, or `DownloadError` when B3 gave no usable
answer, which is a `RefusedError` where it gave a page of its firewall's. Of what is in the bytes the client
knows only what tells these apart: B3 says "no file" in four ways (see `Absence`).

It refuses to go on without a verified certificate, to follow a redirect, to take more than a stated number of
bytes, and to wait longer than a stated time.
"""

import hashlib
import io
import itertools
import logging
import random
import re
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import certifi
import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from scraper.b3.archive import DAMAGED, open_archive
from scraper.b3.corporate_actions import address as corporate_actions
from scraper.b3.cotahist import address as cotahist
from scraper.b3.errors import ScraperError
from scraper.b3.index_level import address as index_level
from scraper.b3.index_portfolio import address as index_portfolio

ATTEMPTS = 5
CONNECT_TIMEOUT = 10.0
"""Seconds."""
READ_TIMEOUT = 20.0
"""Seconds without a byte."""
DEADLINE = 50.0
"""Seconds for one download with all attempts and pauses: eleven fit into the function's ten minutes."""
MAX_BYTES = 32 * 2**20
"""Bytes of one body. A session's ZIP has under one million."""
PAGE_MAX_BYTES = 2**20
"""Bytes of a page of a portfolio, or of an answer on levels or corporate actions. A page of 120
constituents has some 20,000, and all pages are held at once."""
ACTIONS_DEADLINE = 30.0
"""Seconds for an answer on levels or corporate actions with all attempts and pauses: they are many."""
ACTIONS_PAUSE = 2.0
"""Seconds between two calls for levels or corporate actions, attempts included: so B3 was seen to bear it."""
YEAR_DEADLINE = 1800.0
"""Seconds for a year's ZIP with all attempts and pauses: 100 MB at 60 kB/s. A host that sends nothing is left
after `READ_TIMEOUT` as for any other download."""
YEAR_MAX_BYTES = 400 * 2**20
"""Bytes of a year's ZIP. That of 2023 has 70 million."""

_BACKOFF_BASE = 1.0
_BACKOFF_CAP = 20.0
_CHUNK = 2**16
_SHOWN_CHARACTERS = 200
_HEAD = 1024
"""Bytes that tell a page from a file."""
_BLANKS = b"\xef\xbb\xbf \t\r\n"
"""What may stand before a page: the byte order mark of UTF-8, and blanks."""
_FIREWALL = (b"request rejected", b"the requested url was rejected", b"your support id is")
"""What the page of a firewall says, in small letters. The cookie that it sets (TS...) tells nothing: the same
box sets it with every answer."""

Progress = Callable[[int, int | None], None]
"""Is told how many bytes have come, and of how many: None where the server does not say."""

T = TypeVar("T")

logger = logging.getLogger(__name__)


class DownloadError(ScraperError):
    """B3 gave no usable answer: it could not be reached, kept failing, or answered what we do not follow."""


class RefusedError(DownloadError):
    """B3's firewall, or a page of errors, answered in place of B3: whether there is a file is not known."""


class Absence(StrEnum):
    """How B3 says that it has no such file."""

    NOT_FOUND = "HTTP 404"
    EMPTY_BODY = "an empty body"
    PAGE = "an HTML page"
    """It may as well be a refusal: a firewall's page, or one of errors. A page alone does not tell which."""
    EMPTY_ZIP = "an empty ZIP"


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
class FoundFile:
    """B3 served a file, which lies on disk.

    Attributes:
        url: Its address.
        path: Where its bytes are, as B3 served them.
        sha256: SHA-256 of the bytes, in hexadecimal.
        size: How many bytes.
    """

    url: str
    path: Path
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Absent:
    """B3 answered that it has no such file.

    Attributes:
        url: The address that was asked for.
        reason: In which way it said so.
    """

    url: str
    reason: Absence


@dataclass(frozen=True, slots=True)
class _Limits:
    """Seconds for a download with all its attempts and pauses, bytes of its body, and the shortest pause."""

    seconds: float
    max_bytes: int
    pause: float = 0.0


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
        index_base_url: Scheme and host of the index portfolios, and of corporate actions.
        extra_ca_file: Certificates in PEM format to trust beside certifi's, such as an intermediate
            certificate that B3's host does not send.
        attempts: How often a download is tried.
        connect_timeout: Seconds to connect.
        read_timeout: Seconds without a byte.
        deadline: Seconds for one download with all its attempts and pauses.
        max_bytes: Bytes that one body may have.
        year_deadline: Seconds for the download of a year.
        year_max_bytes: Bytes that the body of a year may have.
        actions_pause: Seconds between two calls for levels or corporate actions.
        sleep: Waits for so many seconds.
        jitter: A number in [0, 1), evenly distributed.
        clock: Seconds that only ever increase.

    Raises:
        DownloadError: `extra_ca_file` cannot be read.
    """

    def __init__(
        self,
        *,
        quotes_base_url: str = cotahist.BASE_URL,
        index_base_url: str = index_portfolio.BASE_URL,
        extra_ca_file: Path | None = None,
        attempts: int = ATTEMPTS,
        connect_timeout: float = CONNECT_TIMEOUT,
        read_timeout: float = READ_TIMEOUT,
        deadline: float = DEADLINE,
        max_bytes: int = MAX_BYTES,
        year_deadline: float = YEAR_DEADLINE,
        year_max_bytes: int = YEAR_MAX_BYTES,
        actions_pause: float = ACTIONS_PAUSE,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quotes_base_url = quotes_base_url.rstrip("/")
        self._index_base_url = index_base_url.rstrip("/")
        self._attempts = attempts
        self._connect_timeout = connect_timeout
        self._read_timeout = read_timeout
        self._limits = _Limits(deadline, max_bytes)
        self._page_limits = _Limits(deadline, min(PAGE_MAX_BYTES, max_bytes))
        self._year_limits = _Limits(year_deadline, year_max_bytes)
        self._actions_limits = _Limits(
            min(ACTIONS_DEADLINE, deadline), min(PAGE_MAX_BYTES, max_bytes), actions_pause
        )
        self._actions_asked: float | None = None
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
            RefusedError: A firewall answered.
            DownloadError: B3 gave no usable answer.
        """
        return self._fetch(cotahist.of_session(self._quotes_base_url, session), self._limits)

    def year_quotes(self, year: int, path: Path, progress: Progress | None = None) -> FoundFile | Absent:
        """The ZIP with the quotes of a year, as a file, since it may have hundreds of megabytes.

        Args:
            year: The year.
            path: The file to write; what it holds is replaced, also by an attempt that fails.
            progress: Is told how far the download is.

        Raises:
            RefusedError: A firewall answered.
            DownloadError: B3 gave no usable answer.
            OSError: The file cannot be written.
        """
        url = cotahist.of_year(self._quotes_base_url, year)

        def keep(chunks: Iterator[bytes], content_type: str) -> FoundFile | Absent:
            sha256 = hashlib.sha256()
            size = 0
            with path.open("wb") as file:
                for chunk in chunks:
                    file.write(chunk)
                    sha256.update(chunk)
                    size += len(chunk)
            with path.open("rb") as file:
                reason = _why_absent(url, file, content_type)
            return FoundFile(url, path, sha256.hexdigest(), size) if reason is None else Absent(url, reason)

        return self._download(url, self._year_limits, keep, progress)

    def portfolio_page(self, index: str, page: int) -> Found:
        """A page of the current theoretical portfolio of an index, listed by sector, as JSON.

        Args:
            index: Code of the index, such as IBOV.
            page: Number of the page, from 1.

        Raises:
            RefusedError: A page came in its place: of a portfolio there is always one.
            DownloadError: B3 gave no usable answer, or served no portfolio.
        """
        url = index_portfolio.of_page(self._index_base_url, index, page)
        answer = self._fetch(url, self._page_limits)
        if isinstance(answer, Absent):
            if answer.reason is Absence.PAGE:
                raise RefusedError(refusal(answer))
            raise DownloadError(
                f"{answer.url}: B3 has no portfolio of {index} ({answer.reason}); is {index} an index of B3?"
            )
        return answer

    def levels(self, index: str, year: int) -> Found:
        """The levels of an index in a year, as JSON, `null` if B3 knows none; it waits for its turn.

        Args:
            index: Code of the index, such as IBOV.
            year: The year.

        Raises:
            RefusedError: A page of HTML came in its place.
            DownloadError: B3 gave no usable answer.
        """
        answer = self._fetch_actions(index_level.of_year(self._index_base_url, index, year))
        if isinstance(answer, Absent):
            raise DownloadError(f"{answer.url}: {answer.reason}, expected JSON, null where B3 knows no level")
        return answer

    def supplement(self, issuer: str, *, is_fund: bool = False) -> Found | Absent:
        """What B3 knows of an issuer's corporate actions by ISIN, as JSON; it waits for its turn.

        Args:
            issuer: Issuing code, the first four characters of its tickers.
            is_fund: Whether it is a fund, which another call knows.

        Returns:
            The answer; `Absent` if B3 knows no such issuer, which it says by an empty body.

        Raises:
            RefusedError: A page came in its place: the call answers in JSON or with nothing.
            DownloadError: B3 gave no usable answer.
        """
        of = corporate_actions.of_fund_supplement if is_fund else corporate_actions.of_supplement
        return self._fetch_actions(of(self._index_base_url, issuer))

    def cash_history_page(self, trading_name: str, page: int) -> Found | Absent:
        """A page of what a company has paid since 1995, as JSON; it waits for its turn.

        Args:
            trading_name: NOMRES, also one that is no longer listed.
            page: Number of the page, from 1.

        Returns:
            The page; `Absent` if B3 answers with nothing.

        Raises:
            RefusedError: A page of HTML came in its place.
            DownloadError: B3 gave no usable answer.
        """
        return self._fetch_actions(
            corporate_actions.of_cash_history(self._index_base_url, trading_name, page)
        )

    def _fetch_actions(self, url: str) -> Found | Absent:
        """An answer on levels or corporate actions, some seconds after the last one."""
        limits = self._actions_limits
        if self._actions_asked is not None:
            pause = self._actions_asked + limits.pause - self._clock()
            if pause > 0:
                self._sleep(pause)
        try:
            answer = self._fetch(url, limits)
        finally:
            self._actions_asked = self._clock()
        if isinstance(answer, Absent) and answer.reason is not Absence.EMPTY_BODY:
            if answer.reason is Absence.PAGE:
                raise RefusedError(refusal(answer))
            raise DownloadError(
                f"{answer.url}: {answer.reason}, expected JSON, or an empty body where B3 knows nothing; if "
                "B3 has moved the call, this program has to follow"
            )
        return answer

    def _fetch(self, url: str, limits: _Limits) -> Found | Absent:
        """A file that fits into memory."""

        def keep(chunks: Iterator[bytes], content_type: str) -> Found | Absent:
            content = b"".join(chunks)
            reason = _why_absent(url, io.BytesIO(content), content_type)
            return Found(url, content) if reason is None else Absent(url, reason)

        return self._download(url, limits, keep)

    def _download(
        self,
        url: str,
        limits: _Limits,
        keep: Callable[[Iterator[bytes], str], T],
        progress: Progress | None = None,
    ) -> T | Absent:
        """Try until there is an answer; `keep` takes the body of a good one, and its media type."""
        deadline = self._clock() + limits.seconds

        def attempt() -> T | Absent:
            with self._get(url, deadline) as response:
                absent = _check_status(url, response)
                if absent:
                    return absent
                content_type = response.headers.get("Content-Type", "")
                return keep(self._body(url, response, deadline, limits, progress), content_type)

        for number in itertools.count(1):
            try:
                return _attempt(url, attempt)
            except _TemporaryError as failure:
                pause = max(
                    self._jitter() * min(_BACKOFF_CAP, _BACKOFF_BASE * 2 ** (number - 1)),
                    min(_BACKOFF_CAP, failure.retry_after),
                    limits.pause,
                )
                if number == self._attempts or self._clock() + pause >= deadline:
                    raise DownloadError(
                        f"{url}: {failure}; gave up after {number} of {self._attempts} attempts "
                        f"({limits.seconds:g} s at most). Run it again later"
                    ) from failure
                logger.warning("%s: %s; trying again in %.1f s", url, failure, pause)
                self._sleep(pause)
        raise AssertionError("unreachable: the loop has no end")

    def _get(self, url: str, deadline: float) -> requests.Response:
        remaining = max(deadline - self._clock(), 0.001)
        timeout = (min(self._connect_timeout, remaining), min(self._read_timeout, remaining))
        return self._http.get(url, stream=True, timeout=timeout, allow_redirects=False)

    def _body(
        self,
        url: str,
        response: requests.Response,
        deadline: float,
        limits: _Limits,
        progress: Progress | None,
    ) -> Iterator[bytes]:
        """The body. urllib3 raises on one that is shorter than its Content-Length or lacks its last chunk."""
        announced = response.raw.length_remaining
        size = 0
        # read1 returns what has arrived; read would wait for a whole chunk, however slowly it drips in
        while announced is None or announced <= limits.max_bytes:
            chunk = response.raw.read1(_CHUNK, decode_content=True)
            if not chunk:
                return
            size += len(chunk)
            if size > limits.max_bytes:
                break
            if progress:
                progress(size, announced)
            yield chunk
            if self._clock() >= deadline:
                raise DownloadError(
                    f"{url}: {size} of {announced or 'an unknown number of'} bytes had come after "
                    f"{limits.seconds:g} s. Run it again later"
                )
        # A compressed body may be announced as a short one
        found = announced if announced and announced > limits.max_bytes else f"more than {limits.max_bytes}"
        raise DownloadError(
            f"{url}: a body of {found} bytes, expected at most {limits.max_bytes}; nothing of it was used"
        )


def _attempt(url: str, attempt: Callable[[], T]) -> T:
    """Tell what another attempt may mend from what it will not."""
    try:
        return attempt()
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


def _check_status(url: str, response: requests.Response) -> Absent | None:
    """None if a body is to come; `Absent` if the status says that there is no file."""
    status = response.status_code
    # Cloudflare, in front of B3, answers 403 and its own 520..527 when B3 is under load
    if status in {403, 429} or status >= 500:
        raise _TemporaryError(f"HTTP {status} {response.reason}", _retry_after(response))
    if status == 404:
        return Absent(url, Absence.NOT_FOUND)
    if "Location" in response.headers:
        raise DownloadError(
            f"{url}: HTTP {status} redirects to {response.headers['Location']}, which is not followed; "
            "if B3 has moved, configure its new base address"
        )
    if status != 200:
        raise DownloadError(f"{url}: HTTP {status} {response.reason}, expected 200 or 404")
    return None


def _retry_after(response: requests.Response) -> float:
    """Seconds that the server asks to wait; 0 if it does not, or not intelligibly."""
    try:
        return Retry().parse_retry_after(response.headers.get("Retry-After", "0"))
    except urllib3.exceptions.InvalidHeader:
        return 0.0


def refusal(answer: Absent) -> str:
    """What to say of a page that is taken for a refusal."""
    return (
        f"{answer.url}: {answer.reason} in place of the file: B3's firewall or one of its errors, which says "
        "nothing of whether there is a file"
    )


def _why_absent(url: str, file: BinaryIO, content_type: str) -> Absence | None:
    """In which way the body says that there is no file; None if it is one.

    Raises:
        RefusedError: It is a firewall's page.
    """
    head = file.read(_HEAD)
    if not head:
        return Absence.EMPTY_BODY
    if head.lstrip(_BLANKS).startswith(b"<") or (
        content_type.startswith("text/html") and not head.startswith(b"PK")
    ):
        if any(words in head.lower() for words in _FIREWALL):
            raise RefusedError(f"{refusal(Absent(url, Absence.PAGE))}. It says: {_words(head)!r}")
        return Absence.PAGE
    if head.startswith(b"PK"):
        try:
            with open_archive(file) as archive:
                if not any(member.file_size for member in archive.infolist()):
                    return Absence.EMPTY_ZIP
        except DAMAGED:
            return None  # a file, if a damaged one: the reader says what is wrong with it
    return None


def _words(page: bytes) -> str:
    """The text of a page, in one line: a support id is what B3 asks for."""
    return " ".join(re.sub(r"<[^>]*>", " ", page.decode("latin-1")).split())[:_SHOWN_CHARACTERS]
