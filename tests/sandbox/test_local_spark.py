"""Spark's classes come from the archive that the set-up has made, and Spark works where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pyspark.serializers import CloudPickleSerializer

from sandbox import local_files, local_spark
from sandbox.ministack import REPOSITORY

SUM = """
import sys
from pathlib import Path
from pyspark.sql import SparkSession
from sandbox import local_spark
settings = local_spark.settings_for(one_session=True)
local_spark.configure(Path(sys.argv[1]), {}, sys.argv[2:], settings=settings)
spark = SparkSession.builder.getOrCreate()
rows = spark.range(7).mapInArrow(lambda batches: batches, "id long")
print(sum(row.id for row in rows.collect()), spark.conf.get("spark.sql.session.timeZone"))
spark.stop()
"""


def _sum(scratch: Path, *java: str) -> str:
    """What Spark, in a folder and with more options of Java's, makes of seven numbers sent through Python."""
    command = [sys.executable, "-c", SUM, str(scratch), *java]
    return subprocess.run(command, cwd=REPOSITORY, check=True, text=True, stdout=subprocess.PIPE).stdout


def test_spark_s_classes_are_taken_from_the_archive(tmp_path: Path) -> None:
    if not (archive := local_spark.archive_options()):
        pytest.skip("Java could make no archive of classes here: `make spark-classes` says why")
    loaded = tmp_path / "loaded.log"
    # Java ends at once where it cannot use the archive
    assert _sum(tmp_path, *archive, "-Xshare:on", f"-Xlog:class+load:file={loaded}") == "21 UTC\n"
    classes = [line for line in loaded.read_text().splitlines() if " org.apache.spark." in line]
    lines = [line for line in classes if "$$Lambda" not in line]  # which Java makes as it goes
    archived = [line for line in lines if line.endswith("source: shared objects file (top)")]
    assert len(archived) > 0.9 * len(lines) > 1_000


def test_functions_are_sent_to_python_by_a_cloudpickle_that_knows_its_version() -> None:
    """Spark's own, of 2022, ends in a RecursionError on Python 3.14."""
    sent = CloudPickleSerializer().dumps(lambda: 7)  # type: ignore[no-untyped-call] # PySpark's own
    assert b"cloudpickle" in sent
    assert b"pyspark.cloudpickle" not in sent


def test_without_an_archive_and_in_a_folder_with_a_blank_arrow_finds_its_buffers_as_java_21_has_them(
    tmp_path: Path,
) -> None:
    """By a class of ours, which knows both Javas: on Linux on ARM there is no Java 17."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    loaded = tmp_path / "loaded.log"
    assert _sum(folder, f"-Xlog:class+load:file={loaded}") == "21 UTC\n"
    (line,) = [line for line in loaded.read_text().splitlines() if ".memory.util.MemoryUtil " in line]
    assert line.endswith(local_files.class_path().name)


def test_a_java_that_makes_no_archive_is_told_with_what_it_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho no archive from me\nexit 3\n")
    java.chmod(0o755)
    monkeypatch.setattr(local_spark, "_JAVA_OF_SPARK", str(java))
    monkeypatch.setattr(local_spark, "_archive_folder", lambda: tmp_path / "archive")
    with pytest.raises(RuntimeError, match=r"(?s)ended with 3, without .*no archive from me"):
        local_spark.make_archive()
    assert not [*(tmp_path / "archive").iterdir()]


def test_a_session_s_run_is_interpreted_and_a_range_s_compiled(tmp_path: Path) -> None:
    said = {}
    for one_session in (True, False):
        local_spark.java_environment(tmp_path, more=local_spark.settings_for(one_session=one_session))
        lines = (tmp_path / "spark.properties").read_text().splitlines()
        said[one_session] = {line for line in lines if line.startswith("spark.sql.codegen.")}
    assert said[True] == {"spark.sql.codegen.wholeStage false", "spark.sql.codegen.factoryMode NO_CODEGEN"}
    assert said[False] == {"spark.sql.codegen.wholeStage true", "spark.sql.codegen.factoryMode FALLBACK"}
