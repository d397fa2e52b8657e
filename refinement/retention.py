"""Which sessions the wide table keeps."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

from lake import keys
from refinement import aws, log
from refinement.catalog import Catalog
from refinement.publish import delete

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


def compact_sessions(s3: S3Client, bucket: str) -> set[dt.date]:
    """The sessions that have a compact file."""
    return _dates(keys.COMPACT_KEY, (item["Key"] for item in aws.objects(s3, bucket, keys.COMPACT)))


def wide_sessions(s3: S3Client, bucket: str) -> set[dt.date]:
    """The sessions that have a wide folder; the files in it, a thousand and more, are not listed."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=keys.WIDE, Delimiter="/")
    folders = (folder["Prefix"] for page in pages for folder in page.get("CommonPrefixes", []))
    return _dates(_WIDE_SESSION, folders)


_WIDE_SESSION = re.compile(rf"{keys.WIDE}(\d{{4}}-\d{{2}}-\d{{2}})/")


def _dates(pattern: re.Pattern[str], names: Iterable[str]) -> set[dt.date]:
    """The dates that a pattern finds in keys; a folder whose name is no date is no session."""
    found = set()
    for name in filter(None, map(pattern.fullmatch, names)):
        with suppress(ValueError):
            found.add(dt.date.fromisoformat(name[1]))
    return found


def newest(sessions: Iterable[dt.date], count: int) -> set[dt.date]:
    """The newest so many sessions; all with 0."""
    return set(sorted(sessions)[-count:])


def retire(s3: S3Client, wide: Catalog, compact: Catalog, bucket: str, count: int) -> None:
    """Leave the newest so many sessions of the compact table in the wide one, and take the older ones out.

    A session's partitions go before its files, so that nobody is led to a file that is gone. After a crash in
    between, what is left of its folder tells the next run to go on. A session whose file or partition the
    compact table lacks stays: its rows are nowhere else.

    Raises:
        RefineError: S3 refused to delete an object.
    """
    refined_compact = compact_sessions(s3, bucket)
    surplus = wide_sessions(s3, bucket) - newest(refined_compact, count)
    expendable = sorted(compact.sessions(surplus & refined_compact))
    if expendable:
        log.line(f"{log.span(expendable)}  older than the newest {count:,}: to be taken out of {wide.name}")
    for session in expendable:
        partitions = wide.unregister(session)
        stale = [item["Key"] for item in aws.objects(s3, bucket, f"{keys.WIDE}{session}/")]
        delete(s3, bucket, stale, str(session))
        log.line(
            f"{session}  taken out of {wide.name}: {partitions:,} partitions, {len(stale):,} files; "
            f"its rows are in {compact.name}"
        )
    if remaining := sorted(surplus - set(expendable)):
        log.line(
            f"{log.span(remaining)}  not taken out of {wide.name}: no file or no partition in "
            f"{compact.name}; run the job over them once more"
        )
