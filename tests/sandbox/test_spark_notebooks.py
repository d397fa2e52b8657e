"""The option for Athena for Apache Spark, deployed: the workgroup, its role, and the charts in S3."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from sandbox.deploy import Cdk
from sandbox.ministack import MiniStack
from tests.leading import lead_to

pytestmark = [pytest.mark.sandbox, pytest.mark.xdist_group("history")]


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The stack's outputs, while the environment leads to the AWS in which it is deployed."""
    folder = tmp_path_factory.mktemp("spark-notebooks")
    with MiniStack.start() as aws, pytest.MonkeyPatch.context() as environment:
        Cdk(aws, folder).deploy({"athena_notebook": "true"}, lambda _: None)
        lead_to(aws, environment)
        (stack,) = json.loads((folder / "outputs.json").read_text()).values()
        yield dict(stack)


def test_the_workgroup_runs_spark_as_the_role_and_keeps_its_results_in_our_bucket(
    outputs: dict[str, str],
) -> None:
    found = boto3.client("athena").get_work_group(WorkGroup=outputs["SparkWorkGroup"])["WorkGroup"]
    configuration: dict[str, Any] = dict(found["Configuration"])
    assert found["Name"] == "BovespaPipeline-spark"
    assert configuration["EngineVersion"]["SelectedEngineVersion"] == "PySpark engine version 3"
    location = configuration["ResultConfiguration"]["OutputLocation"]
    assert location == f"s3://{outputs['QueryResultsBucket']}/results/spark"
    role = boto3.client("iam").get_role(RoleName=configuration["ExecutionRole"].rpartition("/")[2])
    (statement,) = role["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "athena.amazonaws.com"}


def test_the_charts_of_the_output_are_a_zip_that_python_imports(
    outputs: dict[str, str], tmp_path: Path
) -> None:
    where = urlsplit(outputs["SparkCharts"])
    archive = tmp_path / "charts.zip"
    boto3.client("s3").download_file(where.netloc, where.path.lstrip("/"), str(archive))
    done = subprocess.run(
        [sys.executable, "-c", "from analysis import charts; print(charts.__file__)"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(archive), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(archive / "analysis" / "charts.py")
