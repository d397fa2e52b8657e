"""Objects that are put without the client around each: the same in the bucket, and as patiently."""

from __future__ import annotations

import io
import re
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from hashlib import md5
from typing import Any

import boto3
import pytest
import urllib3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from refinement.uploads import Uploads
from sandbox.ministack import MiniStack
from tests.fixtures.front import Front

BUCKET, OTHER = "uploads", "uploads-by-client"
DAY = date(2031, 3, 14)
KEYS = [
    "refined/trade_date=2031-03-14/ticker=ZZAA3/part-00000.parquet",
    "refined/trade_date=2031-03-14/ticker=A%2FB/part-00000.parquet",
    "refined/trade_date=2031-03-14/a b+c&d~e/ç漢.parquet",
    "refined/trade_date=2031-03-14/empty",
]
BODIES = {key: key.encode() * 100 for key in KEYS[:-1]} | {KEYS[-1]: b""}


@pytest.fixture
def s3(aws: MiniStack) -> Any:
    """The emulator's S3, with the bucket empty."""
    s3 = boto3.client("s3")
    for bucket in (BUCKET, OTHER):
        s3.create_bucket(Bucket=bucket)
        for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=item["Key"])
    return s3


@pytest.fixture
def front(s3: Any, aws: MiniStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    front = Front(aws.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", front.endpoint)
    yield front
    front.stop()


def told(s3: Any, bucket: str) -> dict[str, Any]:
    """What S3 tells of each object, but for the moment that it was put."""
    found = {}
    for item in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        answer = s3.get_object(Bucket=bucket, Key=item["Key"])
        kept = {name: answer[name] for name in ("ETag", "ContentLength", "ContentType", "Metadata")}
        found[item["Key"]] = {**kept, "body": answer["Body"].read()}
    return found


def test_objects_are_those_that_the_client_would_put_whatever_their_keys(s3: Any, front: Front) -> None:
    uploads = Uploads(boto3.Session(), BUCKET, 4)
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda key: uploads.put(key, BODIES[key], None), KEYS))
    for key, body in BODIES.items():
        s3.put_object(Bucket=OTHER, Key=key, Body=body)

    assert told(s3, BUCKET) == told(s3, OTHER)
    assert {key: found["body"] for key, found in told(s3, BUCKET).items()} == BODIES
    assert sorted(front.puts) == ["client", "straight", "straight", "straight"]


def test_what_is_there_with_the_same_bytes_is_not_put(s3: Any, front: Front) -> None:
    for key, body in BODIES.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    s3.put_object(Bucket=BUCKET, Key=KEYS[1], Body=b"other bytes")
    uploads = Uploads(boto3.Session(), BUCKET, 4)
    for day in (DAY - timedelta(days=1), DAY + timedelta(days=1), f"{DAY}.old"):
        s3.put_object(Bucket=BUCKET, Key=f"refined/trade_date={day}/other")
    listed = uploads.objects("refined/trade_date=", DAY, DAY)
    there = {key: found for _, key, found in listed}

    # Also behind a folder that is of no day, and comes before the day's by its name
    strange = (f"{DAY}.old", f"refined/trade_date={DAY}.old/other")
    assert [(day, key) for day, key, _ in listed] == [strange, *((str(DAY), key) for key in sorted(KEYS))]
    assert there[KEYS[0]] == (
        len(BODIES[KEYS[0]]),
        f'"{md5(BODIES[KEYS[0]], usedforsecurity=False).hexdigest()}"',
    )
    assert [uploads.put(key, BODIES[key], there.get(key)) for key in KEYS] == [False, True, False, False]
    assert len(front.puts) == 1


@pytest.mark.parametrize("wrong", ["503", "307", "hangs up"])
def test_what_s3_does_not_take_the_client_puts_after_all(s3: Any, front: Front, wrong: str) -> None:
    uploads = Uploads(boto3.Session(), BUCKET, 1)
    uploads.put(KEYS[0], b"first", None)
    front.wrongs = [wrong]
    for key in KEYS[1:]:
        uploads.put(key, BODIES[key], None)

    assert front.puts == ["client", "straight", "client", "straight", "straight"]
    assert {key: told(s3, BUCKET)[key]["body"] for key in KEYS[1:]} == {key: BODIES[key] for key in KEYS[1:]}


def test_what_s3_refuses_is_the_client_s_error(s3: Any, front: Front) -> None:
    uploads = Uploads(boto3.Session(), BUCKET, 1)
    uploads.put(KEYS[0], b"first", None)
    s3.delete_object(Bucket=BUCKET, Key=KEYS[0])
    s3.delete_bucket(Bucket=BUCKET)

    with pytest.raises(ClientError, match="NoSuchBucket"):
        uploads.put(KEYS[1], b"second", None)
    assert front.puts == ["client", "straight", "client"]


def test_a_bucket_that_is_not_there_is_the_client_s_error_from_the_first_object_on(s3: Any) -> None:
    uploads = Uploads(boto3.Session(), "uploads-not-there", 1)
    for key in KEYS[:2]:
        with pytest.raises(ClientError, match="NoSuchBucket"):
            uploads.put(key, b"", None)


def test_requests_are_signed_as_the_client_s_are(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a token")
    sent: list[Any] = []
    send = URLLib3Session.send

    def look(session: URLLib3Session, request: Any) -> Any:
        sent.append({name.lower(): _text(value) for name, value in request.headers.items()})
        return send(session, request)

    monkeypatch.setattr(URLLib3Session, "send", look)
    uploads = Uploads(boto3.Session(), BUCKET, 1)
    for key in KEYS[:2]:
        uploads.put(key, key.encode(), None)

    of_client, straight = sent
    for headers in (of_client, straight):
        assert re.search(r"/us-east-1/s3/aws4_request, .*x-amz-security-token", headers["authorization"])
    same = ("x-amz-security-token", "user-agent")
    assert [straight[name] for name in same] == [of_client[name] for name in same]


def test_over_tls_the_content_is_not_signed_but_has_its_checksum(
    aws: MiniStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    def take(_: URLLib3Session, request: Any) -> Any:
        sent.append((request.url, {name.lower(): _text(value) for name, value in request.headers.items()}))
        return AWSResponse(request.url, 200, HTTPHeaders(), urllib3.HTTPResponse(io.BytesIO()))

    monkeypatch.setattr(URLLib3Session, "send", take)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    uploads = Uploads(boto3.Session(region_name="sa-east-1"), BUCKET, 1)
    for key in KEYS[:2]:
        uploads.put(key, b"content", None)

    (_, _), (url, headers) = sent
    assert url == "https://uploads.s3.sa-east-1.amazonaws.com/" + KEYS[1].replace("=", "%3D").replace(
        "%2F", "%252F"
    )
    assert "/sa-east-1/s3/aws4_request" in headers["authorization"]
    assert headers["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"
    assert headers["content-md5"] == b64encode(md5(b"content", usedforsecurity=False).digest()).decode()


def _text(header: Any) -> str:
    return header.decode() if isinstance(header, bytes) else str(header)
