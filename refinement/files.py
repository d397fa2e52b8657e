"""The bytes of the refined files, and how they get to S3."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

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


def put(s3: S3Client, bucket: str, key: str, body: bytes, there: tuple[int, str] | None) -> str | None:
    """Put an object, unless it is there with the same bytes.

    Args:
        s3: A client of S3.
        bucket: The bucket.
        key: The object's key.
        body: What it is to hold.
        there: Size and ETag of the object that is there; None if there is none.

    Returns:
        The ETag of what was put; None if it was there. In a bucket with a KMS key, where an ETag is no MD5,
        it always is put.
    """
    digest = hashlib.md5(body, usedforsecurity=False)
    if there == (len(body), f'"{digest.hexdigest()}"'):
        return None
    checksum = base64.b64encode(digest.digest()).decode()
    return s3.put_object(Bucket=bucket, Key=key, Body=body, ContentMD5=checksum)["ETag"]
