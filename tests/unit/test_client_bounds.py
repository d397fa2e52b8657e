"""What the client takes from a host that means harm: no more memory than a file may have."""

from __future__ import annotations

import tracemalloc
import zlib
from datetime import date

import pytest

from sandbox.b3.server import Answer, B3Server, Document, PortfolioRequest
from scraper.b3.client import B3Client, DownloadError

LIMIT = 2**20
SESSION, PATH = date(2024, 11, 8), "/InstDados/SerHist/COTAHIST_D08112024.ZIP"


class Nothing:
    """A B3 without files: each test says what is answered."""

    def quotes(self, name: str) -> Document | None:
        return None

    def portfolio(self, request: PortfolioRequest) -> Document | None:
        return None


def bomb(size: int) -> bytes:
    """Zeros, compressed to a thousandth."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = [packer.compress(bytes(2**20)) for _ in range(size // 2**20)]
    return b"".join([*packed, packer.flush()])


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip"])
def test_a_body_that_opens_to_more_than_the_limit_is_refused_before_it_is_in_memory(encoding: str) -> None:
    body = bomb(256 * 2**20)
    if encoding != "gzip":
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        body = packer.compress(body) + packer.flush()
    assert len(body) < LIMIT
    with B3Server(Nothing()) as b3:
        b3.script(PATH, [Answer(body=body, headers={"Content-Encoding": encoding})])
        client = B3Client(quotes_base_url=b3.base_url, max_bytes=LIMIT)
        tracemalloc.start()
        try:
            with pytest.raises(DownloadError, match=f"more than {LIMIT} bytes, expected at most {LIMIT}"):
                client.quotes(SESSION)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 8 * LIMIT
