"""The client against a real HTTP server on loopback that misbehaves as B3 does, and worse."""

import base64
import gzip
import hashlib
import io
import json
import ssl
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import certifi
import pytest
import requests

from sandbox.b3.formats import zip_file
from sandbox.b3.server import REQUEST_REJECTED, Answer, B3Server, Document, PortfolioRequest
from scraper.b3.client import (
    PAGE_MAX_BYTES,
    Absence,
    Absent,
    B3Client,
    DownloadError,
    Found,
    FoundFile,
    RefusedError,
)
from tests.fixtures.b3 import portfolio_path

SESSION = date(2024, 11, 8)
QUOTES_PATH = "/InstDados/SerHist/COTAHIST_D08112024.ZIP"
ZIP = zip_file(b"any text" * 20_000, "COTAHIST_D08112024.TXT")
PAGE = b'{"page": {}}'
HTML = b"\r\n<!DOCTYPE html><html><body>Em manuten\xe7\xe3o</body></html>"
TLS = Path(__file__).resolve().parents[1] / "fixtures" / "tls"
LIMIT = 2**20
"""Bytes that a body may have, where it matters."""


class OneFile:
    """Serves one session and one portfolio page."""

    def quotes(self, name: str) -> Document | None:
        return Document(body=ZIP, content_type="application/zip") if QUOTES_PATH.endswith(name) else None

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        return Document(body=PAGE, content_type="application/json") if request.index == "IBOV" else None


@pytest.fixture(scope="module")
def server() -> Iterator[B3Server]:
    with B3Server(OneFile()) as server:
        yield server


@pytest.fixture
def b3(server: B3Server) -> B3Server:
    """The server, which no test before has asked for anything, nor left an answer."""
    server.requests_seen.clear()
    server._scripts.clear()
    return server


class Pauses(list[float]):
    """Stands for sleep: records how long, and lets no time pass."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture(scope="module")
def pauses_of_all() -> Pauses:
    return Pauses()


@pytest.fixture
def pauses(pauses_of_all: Pauses) -> Pauses:
    pauses_of_all.clear()
    return pauses_of_all


@pytest.fixture(scope="module")
def client(server: B3Server, pauses_of_all: Pauses) -> B3Client:
    """A client whose jitter always draws one half."""
    url = server.base_url
    return B3Client(quotes_base_url=url, index_base_url=url, sleep=pauses_of_all, jitter=lambda: 0.5)


def impatient(b3: B3Server, **settings: Any) -> B3Client:
    return B3Client(quotes_base_url=b3.base_url, **{"sleep": Pauses(), **settings})


def ticking(step: float) -> Callable[[], float]:
    """A clock that moves on by `step` seconds each time that it is read."""
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += step
        return now

    return clock


def test_the_sessions_zip_comes_byte_for_byte(b3: B3Server, client: B3Client) -> None:
    assert client.quotes(SESSION) == Found(f"{b3.base_url}{QUOTES_PATH}", ZIP)


def test_a_base_address_may_end_in_a_slash(b3: B3Server) -> None:
    assert B3Client(quotes_base_url=f"{b3.base_url}/").quotes(SESSION).url == f"{b3.base_url}{QUOTES_PATH}"


def test_a_portfolio_page_is_asked_for_as_b3s_own_site_does(b3: B3Server, client: B3Client) -> None:
    assert client.portfolio_page("IBOV", 3).content == PAGE
    parameters = b3.requests_seen[0].path.removeprefix("/indexProxy/indexCall/GetPortfolioDay/")
    assert json.loads(base64.b64decode(parameters)) == {
        "language": "pt-br",
        "pageNumber": 3,
        "pageSize": 120,
        "index": "IBOV",
        "segment": "2",
    }


def test_the_client_says_who_it_is_and_wants_the_file_uncompressed(b3: B3Server, client: B3Client) -> None:
    client.quotes(SESSION)
    assert b3.requests_seen[0].headers["User-Agent"].startswith("bovespa-pipeline ")
    assert b3.requests_seen[0].headers["Accept-Encoding"] == "identity"


def empty_zip(*members: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for member in members:
            archive.writestr(member, b"")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(Answer(status=404, body=HTML), "HTTP 404", id="404"),
        pytest.param(Answer(body=b""), "an empty body", id="empty body"),
        pytest.param(Answer(body=b"", announce_length=False), "an empty body", id="empty, length unknown"),
        pytest.param(Answer(body=HTML), "an HTML page", id="HTML by its content"),
        pytest.param(Answer(body=b"\xef\xbb\xbf" + HTML), "an HTML page", id="HTML after a byte order mark"),
        pytest.param(
            Answer(body=b"Not found", headers={"Content-Type": "text/html; charset=utf-8"}),
            "an HTML page",
            id="HTML by its type",
        ),
        pytest.param(Answer(body=empty_zip()), "an empty ZIP", id="ZIP without a member"),
        pytest.param(Answer(body=empty_zip("A.TXT")), "an empty ZIP", id="ZIP with an empty member"),
    ],
)
def test_each_way_in_which_b3_says_that_there_is_no_file_is_told(
    b3: B3Server, client: B3Client, pauses: Pauses, answer: Answer, reason: str
) -> None:
    b3.script(QUOTES_PATH, [answer])
    assert client.quotes(SESSION) == Absent(f"{b3.base_url}{QUOTES_PATH}", Absence(reason))
    assert pauses == []


def test_a_firewall_s_page_is_a_refusal_with_its_words_and_is_not_asked_for_again(
    b3: B3Server, client: B3Client, pauses: Pauses, tmp_path: Path
) -> None:
    b3.script("/", [REQUEST_REJECTED] * 3)
    for ask in (
        lambda: client.quotes(SESSION),
        lambda: client.year_quotes(2024, tmp_path / "year.zip"),
        lambda: client.portfolio_page("IBOV", 1),
    ):
        with pytest.raises(RefusedError, match=r"firewall .* Your support ID is: 1234567890123456789'$"):
            ask()
    assert (len(b3.requests_seen), pauses) == (3, [])


def test_any_page_in_place_of_a_portfolio_is_a_refusal(b3: B3Server, client: B3Client) -> None:
    b3.script("/indexProxy/", [Answer(body=HTML), Answer(status=404)])
    with pytest.raises(RefusedError, match="an HTML page in place of the file: B3's firewall"):
        client.portfolio_page("IBOV", 1)
    with pytest.raises(DownloadError, match=r"no portfolio of IBOV \(HTTP 404\)") as raised:
        client.portfolio_page("IBOV", 1)
    assert not isinstance(raised.value, RefusedError)


def test_the_firewall_s_cookie_is_no_sign_of_a_refusal(b3: B3Server, client: B3Client) -> None:
    b3.script(QUOTES_PATH, [Answer(body=ZIP, headers=REQUEST_REJECTED.headers)])
    assert isinstance(client.quotes(SESSION), Found)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(ZIP[: len(ZIP) // 2], id="a ZIP that is cut short"),
        pytest.param(b"\x1f\x8b gzip", id="not a ZIP"),
        pytest.param(b"PK\x03\x04 damaged", id="a ZIP without a directory"),
        # "Version needed to extract", in the central directory, is beyond what exists
        pytest.param(
            ZIP[: ZIP.rindex(b"PK\x01\x02") + 6] + b"\xff" + ZIP[ZIP.rindex(b"PK\x01\x02") + 7 :],
            id="a ZIP of a later version",
        ),
    ],
)
def test_bytes_that_are_a_file_if_a_bad_one_are_left_to_the_reader(
    b3: B3Server, client: B3Client, body: bytes
) -> None:
    b3.script(QUOTES_PATH, [Answer(body=body)])
    assert client.quotes(SESSION) == Found(f"{b3.base_url}{QUOTES_PATH}", body)


def test_a_zip_labelled_as_html_is_a_zip(b3: B3Server, client: B3Client) -> None:
    b3.script(QUOTES_PATH, [Answer(body=ZIP, headers={"Content-Type": "text/html"})])
    assert client.quotes(SESSION) == Found(f"{b3.base_url}{QUOTES_PATH}", ZIP)


@pytest.mark.parametrize("status", [403, 429, 500, 502, 503, 504, 520, 521, 527])
def test_a_status_of_a_host_under_load_is_tried_again(
    b3: B3Server, client: B3Client, pauses: Pauses, status: int
) -> None:
    b3.script(QUOTES_PATH, [Answer(status=status, body=HTML)])
    assert isinstance(client.quotes(SESSION), Found)
    assert pauses == [0.5]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(body=ZIP, cut_after=100), id="cut in the middle"),
        pytest.param(Answer(body=ZIP, cut_after=0), id="cut before the body"),
        pytest.param(
            Answer(body=b"5\r\nthe f", announce_length=False, headers={"Transfer-Encoding": "chunked"}),
            id="cut between chunks",
        ),
        pytest.param(
            Answer(body=b"zz\r\n", announce_length=False, headers={"Transfer-Encoding": "chunked"}),
            id="broken chunks",
        ),
    ],
)
def test_a_body_that_is_cut_is_fetched_again_whole(
    b3: B3Server, client: B3Client, pauses: Pauses, answer: Answer
) -> None:
    b3.script(QUOTES_PATH, [answer])
    assert client.quotes(SESSION) == Found(f"{b3.base_url}{QUOTES_PATH}", ZIP)
    assert pauses == [0.5]


def test_a_host_that_stalls_is_tried_again(b3: B3Server, tmp_path: Path) -> None:
    """In the body and before the status, of a session and of a year: at once, as each takes its time."""
    year = tmp_path / "year.zip"
    b3.script(QUOTES_PATH, [Answer(body=ZIP, stall_after=100), Answer(body=ZIP, delay=3600)])
    b3.script(TestYear.PATH, [Answer(body=ZIP * 2, stall_after=len(ZIP) + 7), Answer(body=ZIP)])
    # Longer than a busy machine lets the next answer wait
    clients = [impatient(b3, read_timeout=2) for _ in range(3)]
    with ThreadPoolExecutor() as threads:
        sessions = [threads.submit(client.quotes, SESSION) for client in clients[:2]]
        of_year = threads.submit(clients[2].year_quotes, 2024, year)
        assert [type(each.result()) for each in sessions] == [Found, Found]
        assert isinstance(of_year.result(), FoundFile)
    assert year.read_bytes() == ZIP
    assert len(b3.requests_seen) == 6


def test_the_pauses_grow_twofold_and_end_with_the_attempts(
    b3: B3Server, client: B3Client, pauses: Pauses
) -> None:
    b3.script(QUOTES_PATH, [Answer(status=500)] * 9)
    with pytest.raises(DownloadError, match=r"COTAHIST_D08112024.ZIP: HTTP 500 .* after 5 of 5 attempts"):
        client.quotes(SESSION)
    assert pauses == [0.5, 1.0, 2.0, 4.0]
    assert len(b3.requests_seen) == 5


@pytest.mark.parametrize(
    ("header", "pause"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("0", 0.5, id="not sooner than our own pause"),
        pytest.param("86400", 20.0, id="capped"),
        pytest.param("Fri, 31 Dec 2100 23:59:59 GMT", 20.0, id="a date, capped"),
        pytest.param("soon", 0.5, id="not intelligible"),
    ],
)
def test_retry_after_is_honoured_within_reason(
    b3: B3Server, client: B3Client, pauses: Pauses, header: str, pause: float
) -> None:
    b3.script(QUOTES_PATH, [Answer(status=429, headers={"Retry-After": header})])
    assert isinstance(client.quotes(SESSION), Found)
    assert pauses == [pause]


def test_a_body_that_drips_in_too_slowly_is_given_up_at_the_deadline(b3: B3Server) -> None:
    b3.script(QUOTES_PATH, [Answer(body=ZIP, drip=(1, 0.001))])
    with pytest.raises(DownloadError, match=rf"of {len(ZIP)} bytes had come after 20 s"):
        # Reading the clock takes 1 s of this clock's time, so it is over after some twenty bytes
        impatient(b3, deadline=20, clock=ticking(1.0)).quotes(SESSION)
    assert len(b3.requests_seen) == 1


def test_no_pause_reaches_beyond_the_deadline(b3: B3Server, pauses: Pauses) -> None:
    b3.script(QUOTES_PATH, [Answer(status=503, headers={"Retry-After": "15"})] * 5)
    with pytest.raises(DownloadError, match="gave up after 1 of 5 attempts"):
        impatient(b3, deadline=10, sleep=pauses).quotes(SESSION)
    assert pauses == []


@pytest.mark.parametrize(
    ("passed", "timeout"), [(0.0, (10, 20)), (35.0, (10, 15)), (47.5, (2.5, 2.5)), (60.0, (0.001, 0.001))]
)
def test_an_attempt_waits_no_longer_than_until_the_deadline(
    monkeypatch: pytest.MonkeyPatch, passed: float, timeout: tuple[float, float]
) -> None:
    """For a connection and for a byte, by a clock that stood at 1000 when the download began."""
    seen = []

    def get(_session: requests.Session, _url: str, **settings: Any) -> requests.Response:
        seen.append(settings["timeout"])
        raise requests.ConnectionError("refused")

    monkeypatch.setattr(requests.Session, "get", get)
    times = iter([1000.0])
    client = B3Client(
        attempts=1, deadline=50, connect_timeout=10, read_timeout=20, clock=lambda: next(times, 1000 + passed)
    )
    with pytest.raises(DownloadError, match="refused; gave up after 1 of 1 attempts"):
        client.quotes(SESSION)
    assert seen == [timeout]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(body=b"x" * 1001, stall_after=0), id="as soon as it is announced"),
        pytest.param(Answer(body=b"x" * 1001, announce_length=False), id="not announced"),
    ],
)
def test_a_body_larger_than_the_limit_is_refused(b3: B3Server, answer: Answer) -> None:
    b3.script(QUOTES_PATH, [answer])
    with pytest.raises(DownloadError, match="expected at most 1000; nothing of it was used"):
        impatient(b3, max_bytes=1000, read_timeout=5).quotes(SESSION)
    assert len(b3.requests_seen) == 1


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "not announced"])
def test_a_body_as_large_as_the_limit_is_taken(b3: B3Server, announced: bool) -> None:
    b3.script(QUOTES_PATH, [Answer(body=b"x" * 1000, announce_length=announced)])
    found = impatient(b3, max_bytes=1000).quotes(SESSION)
    assert isinstance(found, Found)
    assert found.content == b"x" * 1000


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
def test_a_body_that_opens_to_more_than_the_limit_is_refused_before_it_is_in_memory(
    b3: B3Server, encoding: str
) -> None:
    body = bytes(32 * LIMIT)
    for _ in encoding.split(", "):
        body = gzip.compress(body)
    assert len(body) < LIMIT
    b3.script(QUOTES_PATH, [Answer(body=body, headers={"Content-Encoding": encoding})])
    client = impatient(b3, max_bytes=LIMIT)
    tracemalloc.start()
    try:
        with pytest.raises(DownloadError, match=f"more than {LIMIT} bytes, expected at most {LIMIT}"):
            client.quotes(SESSION)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * LIMIT


def test_a_redirect_is_not_followed_and_its_target_is_named(b3: B3Server, client: B3Client) -> None:
    b3.script(QUOTES_PATH, [Answer(status=302, headers={"Location": "http://elsewhere.invalid/x"})])
    with pytest.raises(DownloadError, match=r"redirects to http://elsewhere\.invalid/x, which is not"):
        client.quotes(SESSION)
    assert len(b3.requests_seen) == 1


@pytest.mark.parametrize("status", [204, 400, 401, 410])
def test_any_other_status_is_an_error_at_once(b3: B3Server, client: B3Client, status: int) -> None:
    b3.script(QUOTES_PATH, [Answer(status=status)])
    with pytest.raises(DownloadError, match=f"HTTP {status} .*, expected 200 or 404"):
        client.quotes(SESSION)
    assert len(b3.requests_seen) == 1


def test_a_host_that_cannot_be_reached_is_an_error_that_names_it(pauses: Pauses) -> None:
    with B3Server(OneFile()) as b3:
        closed = b3.base_url
    with pytest.raises(DownloadError, match=rf"{closed}{QUOTES_PATH}: .*refused.* after 5 of 5 attempts"):
        B3Client(quotes_base_url=closed, sleep=pauses).quotes(SESSION)
    assert len(pauses) == 4


def test_an_address_that_is_none_is_an_error_without_a_second_try(pauses: Pauses) -> None:
    with pytest.raises(DownloadError, match=r"b3\.example"):
        B3Client(quotes_base_url="b3.example", sleep=pauses).quotes(SESSION)
    assert pauses == []


def test_a_page_of_a_portfolio_has_a_lower_limit_than_a_file(b3: B3Server, client: B3Client) -> None:
    path = portfolio_path(index="IBOVX", page_number=1)
    b3.script(path, [Answer(body=b"x" * (PAGE_MAX_BYTES + 1))])
    with pytest.raises(DownloadError, match=f"expected at most {PAGE_MAX_BYTES}; nothing of it was used"):
        client.portfolio_page("IBOVX", 1)


class TestYear:
    """A year's ZIP, which goes to disk."""

    PATH = "/InstDados/SerHist/COTAHIST_A2024.ZIP"

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "year.zip"

    def test_it_is_a_file_with_its_sha_256(self, b3: B3Server, client: B3Client, file: Path) -> None:
        b3.script(self.PATH, [Answer(body=ZIP)])
        told: list[tuple[int, int | None]] = []
        found = client.year_quotes(2024, file, lambda *news: told.append(news))
        assert found == FoundFile(
            f"{b3.base_url}{self.PATH}", file, hashlib.sha256(ZIP).hexdigest(), len(ZIP)
        )
        assert file.read_bytes() == ZIP
        assert told[-1] == (len(ZIP), len(ZIP))

    @pytest.mark.parametrize(
        "failure",
        [
            pytest.param(Answer(status=520, body=HTML), id="under load"),
            pytest.param(Answer(body=ZIP * 2, cut_after=len(ZIP) + 7), id="cut"),
        ],
    )
    def test_another_attempt_begins_the_file_anew(self, b3: B3Server, file: Path, failure: Answer) -> None:
        b3.script(self.PATH, [failure, Answer(body=ZIP)])
        found = impatient(b3).year_quotes(2024, file)
        assert isinstance(found, FoundFile)
        assert (found.sha256, file.read_bytes()) == (hashlib.sha256(ZIP).hexdigest(), ZIP)

    @pytest.mark.parametrize(
        ("answer", "reason"),
        [
            pytest.param(Answer(status=404, body=HTML), "HTTP 404", id="404"),
            pytest.param(Answer(body=b""), "an empty body", id="empty body"),
            pytest.param(Answer(body=HTML), "an HTML page", id="HTML"),
            pytest.param(Answer(body=empty_zip("COTAHIST_A2024.TXT")), "an empty ZIP", id="empty ZIP"),
        ],
    )
    def test_no_file_is_told_as_for_a_session(
        self, b3: B3Server, client: B3Client, file: Path, answer: Answer, reason: str
    ) -> None:
        b3.script(self.PATH, [answer])
        assert client.year_quotes(2024, file) == Absent(f"{b3.base_url}{self.PATH}", Absence(reason))

    def test_it_has_limits_of_its_own(self, b3: B3Server, file: Path) -> None:
        b3.script(self.PATH, [Answer(body=b"x" * 1001), Answer(body=b"x" * 1000)])
        client = impatient(b3, max_bytes=10, year_max_bytes=1000)
        with pytest.raises(DownloadError, match="a body of 1001 bytes, expected at most 1000"):
            client.year_quotes(2024, file)
        assert isinstance(client.year_quotes(2024, file), FoundFile)

    def test_one_that_drips_in_too_slowly_is_given_up_at_its_deadline(self, b3: B3Server, file: Path) -> None:
        b3.script(self.PATH, [Answer(body=ZIP, drip=(1, 0.001))])
        with pytest.raises(DownloadError, match=rf"of {len(ZIP)} bytes had come after 30 s"):
            impatient(b3, deadline=1, year_deadline=30, clock=ticking(1.0)).year_quotes(2024, file)


class TestTls:
    """B3's quotes host sends its own certificate without the intermediate one that signed it."""

    @pytest.fixture(scope="class")
    @classmethod
    def server(cls) -> Iterator[B3Server]:
        with B3Server(OneFile(), tls=(TLS / "server.pem", TLS / "server.key")) as server:
            yield server

    @pytest.fixture
    def root_is_known(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The test's root among those that certifi lists, as the root of B3's certificate is."""
        monkeypatch.setattr(certifi, "where", lambda: str(TLS / "root.pem"))

    @pytest.mark.usefixtures("root_is_known")
    def test_a_chain_without_its_intermediate_is_refused_with_what_to_do(self, b3: B3Server) -> None:
        with pytest.raises(DownloadError, match=r"could not be verified.*EXTRA_CA_FILE"):
            impatient(b3).quotes(SESSION)
        assert b3.requests_seen == []

    @pytest.mark.usefixtures("root_is_known")
    def test_the_extra_file_completes_the_chain(self, b3: B3Server) -> None:
        client = B3Client(quotes_base_url=b3.base_url, extra_ca_file=TLS / "intermediate.pem")
        assert isinstance(client.quotes(SESSION), Found)

    @pytest.mark.parametrize("flags", [0, ssl.VERIFY_X509_PARTIAL_CHAIN], ids=["3.11", "3.13"])
    def test_an_intermediate_alone_does_not_make_an_unknown_root_trusted(
        self, b3: B3Server, monkeypatch: pytest.MonkeyPatch, flags: ssl.VerifyFlags
    ) -> None:
        """Nor with the flags that a later Python sets, which trusts an intermediate as if it were a root."""
        create = ssl.create_default_context

        def create_as_later(cafile: str) -> ssl.SSLContext:
            context = create(cafile=cafile)
            context.verify_flags |= flags
            return context

        monkeypatch.setattr(ssl, "create_default_context", create_as_later)
        client = B3Client(quotes_base_url=b3.base_url, extra_ca_file=TLS / "intermediate.pem")
        with pytest.raises(DownloadError, match="could not be verified"):
            client.quotes(SESSION)

    @pytest.fixture
    def both(self, tmp_path: Path) -> Path:
        """A file with all that the chain lacks."""
        both = tmp_path / "extra.pem"
        both.write_text((TLS / "intermediate.pem").read_text() + (TLS / "root.pem").read_text())
        return both

    def test_the_extra_file_may_hold_a_root_as_well(self, b3: B3Server, both: Path) -> None:
        client = B3Client(quotes_base_url=b3.base_url, extra_ca_file=both)
        assert isinstance(client.quotes(SESSION), Found)

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def test_the_environment_neither_adds_trust_nor_takes_it_away(
        self, b3: B3Server, monkeypatch: pytest.MonkeyPatch, both: Path, variable: str
    ) -> None:
        monkeypatch.setenv(variable, str(both))
        with pytest.raises(DownloadError, match="could not be verified"):
            impatient(b3).quotes(SESSION)
        monkeypatch.setenv(variable, "/nowhere/at/all.pem")
        client = B3Client(quotes_base_url=b3.base_url, extra_ca_file=both)
        assert isinstance(client.quotes(SESSION), Found)

    def test_a_certificate_of_another_host_is_refused(self, b3: B3Server, both: Path) -> None:
        # 127.1 is the same address under a name that the certificate does not hold
        client = B3Client(quotes_base_url=b3.base_url.replace("127.0.0.1", "127.1"), extra_ca_file=both)
        with pytest.raises(DownloadError, match=r"certificate is not valid for '127\.1'"):
            client.quotes(SESSION)

    @pytest.mark.parametrize("content", [None, "no certificate"], ids=["missing", "not PEM"])
    def test_an_extra_file_that_cannot_be_read_is_named(self, tmp_path: Path, content: str | None) -> None:
        file = tmp_path / "extra.pem"
        if content is not None:
            file.write_text(content)
        with pytest.raises(DownloadError, match=r"EXTRA_CA_FILE .*extra\.pem: .*expected a file of cert"):
            B3Client(extra_ca_file=file)
