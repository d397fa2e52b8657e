"""The bytes of the refined files, and how they get to S3."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from refinement.one_row import OneRowFiles

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# How the files are written: nothing in them but the rows, so that the same rows are the same bytes. Of a
# single row, compression, dictionaries and statistics would be most of the file
_FILE = {"use_dictionary": False, "store_schema": False}
WIDE_FILE: Mapping[str, Any] = {**_FILE, "compression": "none", "write_statistics": False}
# Some builds of Arrow, such as that of AWS's pandas layer for Lambda, have no zstd
COMPACT_FILE: Mapping[str, Any] = {
    **_FILE,
    "compression": "zstd" if pa.Codec.is_available("zstd") else "snappy",
}


def parquet(rows: pa.Table, options: Mapping[str, Any]) -> bytes:
    """A Parquet file of rows."""
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, **options)
    return sink.getvalue().to_pybytes()


def wide_files() -> OneRowFiles:
    """What makes the files of the wide table."""
    return OneRowFiles(functools.partial(parquet, options=WIDE_FILE))


Object = tuple[int, str]
"""Size and ETag of an object."""


class Checksum(NamedTuple):
    """What tells whether an object holds some bytes.

    Attributes:
        etag: Its ETag, if it does; in a bucket with a KMS key, where an ETag is no MD5, it has another.
        md5: The same in Base64, as S3 compares it with what it gets.
    """

    etag: str
    md5: str

    @classmethod
    def of(cls, body: bytes) -> Self:
        """That of some bytes."""
        digest = hashlib.md5(body, usedforsecurity=False)
        return cls(f'"{digest.hexdigest()}"', base64.b64encode(digest.digest()).decode())


def put(s3: S3Client, bucket: str, key: str, body: bytes, there: Object | None) -> str | None:
    """Put an object, unless it is there with the same bytes.

    Args:
        s3: A client of S3.
        bucket: The bucket.
        key: The object's key.
        body: What it is to hold.
        there: The object that is there; None if there is none.

    Returns:
        The ETag of what was put; None if it was there. In a bucket with a KMS key it always is put.
    """
    checksum = Checksum.of(body)
    if there == (len(body), checksum.etag):
        return None
    return s3.put_object(Bucket=bucket, Key=key, Body=body, ContentMD5=checksum.md5)["ETag"]
