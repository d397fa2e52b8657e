"""Clients of AWS for many calls at a time."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef


T = TypeVar("T")
R = TypeVar("R")


def config(calls: int) -> Config:
    """A client's settings for so many calls at a time; throttled, it slows down and tries again."""
    return Config(
        retries={"mode": "adaptive", "total_max_attempts": 10},
        max_pool_connections=calls,
        parameter_validation=False,  # of partitions, which say all their columns, it takes long
    )


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
