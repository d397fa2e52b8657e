"""Objects that are read without the client around each: the same bytes, checked, and as patiently."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from refinement import aws as job_aws
from sandbox.ministack import MiniStack
from tests.fixtures.front import CUT, HANGS_UP, OTHER, Front

BUCKET = "reads"
KEY = "raw/cotahist/trade_date=2031-03-14/a b+c&d~e/ç漢.parquet"
BODY = bytes(range(256)) * 300


@pytest.fixture
def front(aws: MiniStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    """Before the emulator, in which the object is; so are clients that are made from now on."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, ChecksumAlgorithm="CRC32")
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    front = Front(aws.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.endpoint)
    yield front
    front.stop()


def test_an_object_and_its_last_bytes_are_read_straight(front: Front) -> None:
    s3 = job_aws.s3_client()
    assert job_aws.read(s3, BUCKET, KEY) == BODY
    assert job_aws.read(s3, BUCKET, KEY, last=1000) == BODY[-1000:]
    assert job_aws.read(s3, BUCKET, KEY, last=10**6) == BODY
    assert job_aws.read(s3, BUCKET, "empty") == b""
    assert front.gets == ["straight"] * 4


@pytest.mark.parametrize("wrong", ["503", "301", HANGS_UP, CUT, OTHER])
def test_what_s3_does_not_answer_whole_the_client_asks_for(front: Front, wrong: str) -> None:
    front.wrongs = [wrong]
    assert job_aws.read(job_aws.s3_client(), BUCKET, KEY) == BODY
    assert front.gets == ["straight", "client"]


@pytest.mark.parametrize(("bucket", "error"), [(BUCKET, "NoSuchKey"), ("not-there", "NoSuchBucket")])
def test_what_s3_refuses_is_the_client_s_error(front: Front, bucket: str, error: str) -> None:
    with pytest.raises(ClientError, match=error):
        job_aws.read(job_aws.s3_client(), bucket, "not-there", last=1000)
    assert front.gets == ["straight", "client"]


def test_addresses_are_signed_as_every_region_takes_them(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By version 4: of version 2, boto3's for addresses, some take none, nor do objects under a KMS key."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a token")
    sent: list[Any] = []
    send = URLLib3Session.send

    def look(session: URLLib3Session, request: Any) -> Any:
        sent.append(request)
        return send(session, request)

    monkeypatch.setattr(URLLib3Session, "send", look)
    assert job_aws.read(job_aws.s3_client(boto3.Session()), BUCKET, KEY) == BODY

    request, *_ = sent  # the emulator takes no token that it has not given
    asked = parse_qs(urlsplit(request.url).query)
    assert asked["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert "/us-east-1/s3/aws4_request" in asked["X-Amz-Credential"][0]
    assert asked["X-Amz-Security-Token"] == ["a token"]
    assert asked["X-Amz-SignedHeaders"] == ["host;x-amz-checksum-mode"]
    assert request.headers["x-amz-checksum-mode"] == "ENABLED"
