"""The files of a table that a query reads: each kept as it was, by its ETag, from one query to the next.

MiniStack copies every object below a table's location into a folder of the query's own, and removes it after
it, which of a table with a thousand files takes longer than the query.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ministack.services import athena as athena_service
from ministack.services import s3 as s3_service

athena: Any = athena_service  # MiniStack has no types
s3: Any = s3_service


def install() -> None:
    """Have queries read kept files: in a temporary folder, which goes with the emulator's others."""
    folder = Path(tempfile.mkdtemp(prefix="table-files-"))
    kept: dict[tuple[str, str, str], str] = {}

    def files_of(location: str, _workdirs: list[str]) -> list[str]:
        where = urlsplit(location)
        prefix = f"{where.path.strip('/')}/".lstrip("/")
        bucket = s3._buckets.get(where.netloc)
        objects = dict(bucket["objects"]) if bucket is not None else {}
        files = []
        for key in sorted(key for key in objects if key.startswith(prefix)):
            name = key.removeprefix(prefix)
            if key.endswith("/") or athena._hidden(name):
                continue
            etag = objects[key]["etag"].strip('"')
            one = where.netloc, key, etag
            if one not in kept:
                parent, _, last = name.rpartition("/")
                file = folder / where.netloc / prefix / parent / f"{etag}-{last}"
                file.parent.mkdir(parents=True, exist_ok=True)
                if objects[key].get("body") is None:  # it lies on the disk, where it is replaced, not changed
                    file.hardlink_to(s3._object_disk_path(where.netloc, key))
                else:
                    file.write_bytes(objects[key]["body"])
                kept[one] = str(file)
            files.append(kept[one])
        return files

    athena._materialize_table_files = files_of
