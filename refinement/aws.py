"""Clients of AWS for many calls at a time."""

from __future__ import annotations

import base64
import datetime as dt
import functools
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from urllib3.connection import HTTPConnection

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

T = TypeVar("T")
R = TypeVar("R")

CALLS = 32  # in flight where each reads an object
_WHOLE, _PART = 200, 206


def config(calls: int) -> Config:
    """A client's settings for so many calls at a time; throttled, it slows down and tries again."""
    return Config(
        retries={"mode": "adaptive", "total_max_attempts": 10},
        max_pool_connections=calls,
        parameter_validation=False,  # of partitions, which say all their columns, it takes long
    )


def s3_client(session: boto3.Session | None = None, calls: int = CALLS) -> S3Client:
    """A client of S3 for so many calls at a time, of a session or of the environment."""
    # By default it would sign an address in the old way, which S3 takes in some regions, and for objects
    # under a KMS key in none
    signed = Config(signature_version="s3v4")
    return (session or boto3).client("s3", config=config(calls).merge(signed))


def http_session(address: str, calls: int) -> URLLib3Session:
    """What sends requests to an address as a client of AWS does, so many at a time."""
    authorities: Any = os.environ.get("AWS_CA_BUNDLE") or True
    return URLLib3Session(
        proxies=get_environ_proxies(address),
        verify=authorities,
        max_pool_connections=calls,
        # Without them a request's content would wait until S3 had its head
        socket_options=HTTPConnection.default_socket_options,
    )


_reads_of = functools.cache(functools.partial(http_session, calls=CALLS))


def read(s3: S3Client, bucket: str, key: str, *, last: int | None = None) -> bytes:
    """An object of S3, or so many of its last bytes.

    It is asked for by an address that the client signs: an answer takes half the time then. What S3 does not
    answer so, or not whole, the client asks for, with its repetitions, its patience and its errors.

    Args:
        s3: A client, in a call of another thread perhaps.
        bucket: The bucket.
        key: The object's key.
        last: How many bytes; None for all of them.

    Raises:
        botocore.exceptions.ClientError: S3 refuses, has no such object, or one without a byte has no last.
    """
    asked: Any = {"Bucket": bucket, "Key": key}
    if last is not None:
        asked["Range"] = f"bytes=-{last}"
    try:
        found = _straight(s3, asked)
    except BotoCoreError:  # the client meets it again, or gets through
        found = None
    return s3.get_object(**asked)["Body"].read() if found is None else found


def _straight(s3: S3Client, asked: dict[str, str]) -> bytes | None:
    """What GetObject answers, if it does so whole, and with the checksum that S3 has of it, if it has one."""
    address = s3.generate_presigned_url("get_object", {**asked, "ChecksumMode": "ENABLED"})
    headers = {"x-amz-checksum-mode": "ENABLED"} | {name: asked[name] for name in ("Range",) if name in asked}
    request: Any = AWSRequest("GET", address, headers).prepare()
    at = urlsplit(address)
    answer: Any = _reads_of(f"{at.scheme}://{at.netloc}").send(request)
    body: bytes = answer.content
    size, checksum = (answer.headers.get(name) for name in ("content-length", "x-amz-checksum-crc32"))
    if answer.status_code not in (_WHOLE, _PART) or size is None or len(body) != int(size):
        return None
    if checksum is not None and base64.b64decode(checksum) != zlib.crc32(body).to_bytes(4, "big"):
        return None
    return body


def objects(s3: S3Client, bucket: str, prefix: str, after: str = "") -> Iterator[ObjectTypeDef]:
    """The objects below a prefix, by key, from the first one after `after`."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, StartAfter=after)
    return (item for page in pages for item in page.get("Contents", []))


def objects_of(
    s3: S3Client, bucket: str, prefix: str, first: dt.date, last: dt.date
) -> Iterator[tuple[str, ObjectTypeDef]]:
    """The objects below a prefix that ends where a date begins, of the dates of a range: date, object."""
    for item in objects(s3, bucket, prefix, after=f"{prefix}{first}"):
        if item["Key"] > f"{prefix}{last}0":  # a 0 comes after the slash, and all that may stand before it
            break
        yield item["Key"].removeprefix(prefix).partition("/")[0], item


def in_parallel(function: Callable[[T], R], items: Iterable[T], calls: int) -> list[R]:
    """Call `function` on each item, so many at a time; if one fails, raise its error when all have ended."""
    with ThreadPoolExecutor(calls) as threads:
        return list(threads.map(function, items))


def portions(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """The items in so many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))
