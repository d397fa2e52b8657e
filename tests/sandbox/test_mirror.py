"""The mirror of a bucket moves what has changed, in both directions, and nothing else."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import boto3
import pytest

from sandbox.ministack import MiniStack
from sandbox.mirror import BucketMirror, Transfer

NOTHING = Transfer(copied=0, deleted=0)


@pytest.fixture
def bucket(aws: MiniStack) -> str:
    name = f"mirrored-{uuid4()}"
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def mirror(bucket: str, tmp_path: Path) -> BucketMirror:
    return BucketMirror(boto3.client("s3"), bucket, tmp_path)


def test_a_pull_makes_the_folder_equal_to_the_bucket(bucket: str, mirror: BucketMirror) -> None:
    s3 = boto3.client("s3")
    for key in ("raw/a=1/x.parquet", "raw/a=2/x.parquet"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    assert mirror.pull() == Transfer(copied=2, deleted=0)
    assert (mirror.root / "raw/a=1/x.parquet").read_bytes() == b"raw/a=1/x.parquet"
    assert mirror.pull() == NOTHING

    s3.put_object(Bucket=bucket, Key="raw/a=1/x.parquet", Body=b"another")
    s3.delete_object(Bucket=bucket, Key="raw/a=2/x.parquet")
    assert mirror.pull() == Transfer(copied=1, deleted=1)
    assert (mirror.root / "raw/a=1/x.parquet").read_bytes() == b"another"
    assert not (mirror.root / "raw/a=2").exists()


def test_what_a_store_has_of_the_bucket_is_copied_and_the_rest_read(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = boto3.client("s3")
    for key in ("a/same", "other", "missing", "empty"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"" if key == "empty" else key.encode())
    store = tmp_path / "store"
    (store / "a").mkdir(parents=True)
    for key, body in (("a/same", b"a/same"), ("other", b"older"), ("empty", b""), ("more", b"more")):
        (store / key).write_bytes(body)
    read, ask = [], BucketMirror._read

    def noted(mirror: BucketMirror, key: str) -> bytes:
        read.append(key)
        return ask(mirror, key)

    monkeypatch.setattr(BucketMirror, "_read", noted)
    mirror = BucketMirror(s3, bucket, tmp_path / "mirror", store=store)
    assert mirror.pull() == Transfer(copied=4, deleted=0)
    files = {file.name: file.read_bytes() for file in mirror.root.rglob("*") if file.is_file()}
    assert files == {"same": b"a/same", "other": b"other", "missing": b"missing", "empty": b""}
    assert not {"other", "missing"} - {*read}
    assert "a/same" not in read


def test_a_pull_undoes_what_was_never_pushed(bucket: str, mirror: BucketMirror) -> None:
    boto3.client("s3").put_object(Bucket=bucket, Key="kept", Body=b"kept")
    mirror.pull()
    (mirror.root / "kept").write_bytes(b"lost")
    (mirror.root / "staging").mkdir()
    (mirror.root / "staging" / "left").write_bytes(b"behind by a crash")
    assert mirror.pull() == Transfer(copied=1, deleted=1)
    assert (mirror.root / "kept").read_bytes() == b"kept"
    assert mirror.push() == NOTHING


def test_a_push_writes_only_what_has_changed_and_deletes_what_is_gone(
    bucket: str, mirror: BucketMirror, tmp_path: Path
) -> None:
    s3 = boto3.client("s3")
    for key in ("same", "changed", "gone"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    same = s3.head_object(Bucket=bucket, Key="same")["VersionId"]
    mirror.pull()
    (mirror.root / "changed").write_bytes(b"2")  # of the same size
    (mirror.root / "gone").unlink()
    (mirror.root / "new").write_bytes(b"3")

    again = BucketMirror(s3, bucket, tmp_path)  # in another process, which reads what the first remembered
    assert again.push() == Transfer(copied=2, deleted=1)
    found = {item["Key"]: item["Size"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]}
    assert found == {"same": 1, "changed": 1, "new": 1}
    assert s3.get_object(Bucket=bucket, Key="changed")["Body"].read() == b"2"
    assert s3.head_object(Bucket=bucket, Key="same")["VersionId"] == same
    assert again.push() == NOTHING
