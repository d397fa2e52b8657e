"""Local folders that mirror S3 buckets, for Spark, which reads and writes `s3://` paths in them.

A mirror remembers what each file was when it last agreed with its object. So a pull fetches only objects
that have changed since, and a push sends only files that have changed since; both go through the S3 API, so
versions, events and ETags are as if Spark had written to S3 itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import urllib3
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

_CONNECTIONS = 8


@dataclass(frozen=True)
class _Agreed:
    """An object and its file at the moment when both held the same bytes."""

    etag: str
    size: int
    modified: int  # nanoseconds, as the file system tells it
    inode: int  # a file that was replaced by one of the same size within the clock's tick still differs

    @classmethod
    def between(cls, etag: str, file: Path) -> Self:
        status = file.stat()
        return cls(etag=etag, size=status.st_size, modified=status.st_mtime_ns, inode=status.st_ino)


@dataclass(frozen=True)
class Transfer:
    """What a pull or a push has moved: numbers of objects."""

    copied: int
    deleted: int


class BucketMirror:
    """One bucket's mirror: `folder/<bucket>/<key>`, with its memory beside it in `folder/<bucket>.json`.

    Args:
        s3: By which the bucket is reached.
        bucket: Its name.
        folder: Where the mirror lies.
        prefix: What the keys of the objects begin with that are mirrored.
        store: A folder with files by key, which are copied where they are what the bucket has.
    """

    def __init__(
        self, s3: S3Client, bucket: str, folder: Path, *, prefix: str = "", store: Path | None = None
    ) -> None:
        self.root = folder / bucket
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix
        self._store = store
        self._memory = folder / f"{bucket}.json"
        self._connections = urllib3.PoolManager(maxsize=_CONNECTIONS)
        self._agreed: dict[str, _Agreed] = {}
        if self._memory.exists():
            remembered = json.loads(self._memory.read_text())
            self._agreed = {key: _Agreed(**value) for key, value in remembered.items()}

    def pull(self) -> Transfer:
        """Make the folder equal to the bucket. Local changes that were never pushed are lost."""
        objects = self._objects()
        wanted = [key for key, etag in objects.items() if not self._agrees(key, etag)]
        surplus = [key for key in self._files() if key not in objects]
        self._delete_files(surplus)
        self._in_parallel(lambda key: self._download(key, objects[key]), wanted)
        self._agreed = {key: _Agreed.between(etag, self.root / key) for key, etag in objects.items()}
        self._remember()
        return Transfer(copied=len(wanted), deleted=len(surplus))

    def push(self) -> Transfer:
        """Put the files that changed since the last pull or push, delete the objects whose files are gone."""
        files = self._files()
        changed = [key for key in files if not self._agrees(key)]
        gone = [key for key in self._agreed if key not in files]
        self._in_parallel(self._upload, changed)
        for start in range(0, len(gone), 1000):  # the most that DeleteObjects takes
            keys: list[ObjectIdentifierTypeDef] = [{"Key": key} for key in gone[start : start + 1000]]
            self._s3.delete_objects(Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True})
        for key in gone:
            del self._agreed[key]
        self._remember()
        return Transfer(copied=len(changed), deleted=len(gone))

    def _objects(self) -> dict[str, str]:
        # An empty prefix is one, too, where a role may list certain prefixes only
        below: dict[str, Any] = {"Prefix": self._prefix} if self._prefix else {}
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, **below)
        return {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents", [])}

    def _files(self) -> set[str]:
        return {str(file.relative_to(self.root)) for file in self.root.rglob("*") if file.is_file()}

    def _agrees(self, key: str, etag: str | None = None) -> bool:
        """Whether the file still is what it was when it agreed with its object, and that is still `etag`."""
        agreed = self._agreed.get(key)
        if agreed is None or (etag is not None and agreed.etag != etag):
            return False
        file = self.root / key
        return file.is_file() and _Agreed.between(agreed.etag, file) == agreed

    def _download(self, key: str, etag: str) -> None:
        file = self.root / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self._stored(key, etag) or self._read(key))

    def _stored(self, key: str, etag: str) -> bytes | None:
        """The object's bytes, if the store has them."""
        if self._store is None or not (self._store / key).is_file():
            return None
        body = (self._store / key).read_bytes()
        return body if f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"' == etag else None

    def _read(self, key: str) -> bytes:
        where = {"Bucket": self._bucket, "Key": key}
        try:  # by a signed address, as GetObject through boto3 takes three times as long
            answer = self._connections.request("GET", self._s3.generate_presigned_url("get_object", where))
            if answer.status == HTTPStatus.OK:
                return answer.data
        except HTTPError:
            pass
        # Which asks more often, and says what is wrong
        return self._s3.get_object(Bucket=self._bucket, Key=key)["Body"].read()

    def _upload(self, key: str) -> None:
        file = self.root / key
        etag = self._s3.put_object(Bucket=self._bucket, Key=key, Body=file.read_bytes())["ETag"]
        self._agreed[key] = _Agreed.between(etag, file)

    def _delete_files(self, keys: Iterable[str]) -> None:
        for key in keys:
            file = self.root / key
            file.unlink()
            for folder in file.relative_to(self.root).parents[:-1]:
                try:
                    (self.root / folder).rmdir()
                except OSError:  # not empty: the first such folder ends the walk
                    break

    def _in_parallel(self, action: Callable[[str], None], keys: Iterable[str]) -> None:
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            list(pool.map(action, sorted(keys)))

    def _remember(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self._memory.write_text(json.dumps({key: asdict(value) for key, value in self._agreed.items()}))
