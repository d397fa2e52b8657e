"""The folders that are deployed as ZIPs."""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stacks import bundling
from stacks.layers import FUNCTION_LIMIT_MB, UNZIPPED_MB
from tests.stack.synthesis import CHANGED, resources

LAYER = {"pandas", "numpy", "pyarrow", "awswrangler", "boto3", "botocore"}
"""What a function has without its bundle."""


@pytest.fixture(scope="module")
def bundle() -> Path:
    return bundling.scraper_bundle()


def _content(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_function_and_layer_together_fit_into_lambda(bundle: Path) -> None:
    size = sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file())

    assert size / 2**20 + UNZIPPED_MB < FUNCTION_LIMIT_MB
    # What the layer has is not in the bundle a second time
    assert not LAYER & {path.name for path in bundle.iterdir()}


def test_the_bundle_is_for_the_function_s_platform_and_not_for_this_one(bundle: Path) -> None:
    binaries = [path.name for path in bundle.rglob("*.so")]

    assert all("x86_64" in name and ("313" in name or "abi3" in name) for name in binaries), binaries


def test_the_bundle_has_every_package_that_the_scraper_imports(bundle: Path) -> None:
    """Found in the sources: an import without its requirement does not wait for the first deployment."""
    needed = {name for name in _imported(bundle / "scraper") if not name.startswith("mypy_boto3")}

    missing = {
        name for name in needed - LAYER if not list(bundle.glob(name)) and not list(bundle.glob(f"{name}.*"))
    }
    assert missing == set()


def _imported(folder: Path, python: tuple[int, int] = (3, 13)) -> set[str]:
    """The packages that modules in a folder import, but for that Python's own."""
    imported: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(), feature_version=python)):
            if isinstance(node, ast.Import):
                imported.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported.add(node.module.split(".")[0])
    return imported - sys.stdlib_module_names


def test_the_bundle_has_the_scraper_and_nothing_that_differs_between_machines(bundle: Path) -> None:
    names = set(_content(bundle))

    assert {"scraper/daily/handler.py", "scraper/history/handler.py"} <= names
    assert not {"scraper/__main__.py", "operating/__init__.py"} & names  # nobody has a terminal there
    assert "scraper/b3/cotahist/layout.py" in names
    assert not [
        name for name in names if "__pycache__" in name or name.endswith((".pyc", "RECORD", "INSTALLER"))
    ]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Another folder for bundles, in which are the packages that were fetched, and nothing else."""
    third_party = bundling._third_party()
    monkeypatch.setattr(bundling, "BUILD", tmp_path)
    (tmp_path / third_party.name).symlink_to(third_party, target_is_directory=True)
    return tmp_path


def test_a_bundle_made_anew_elsewhere_is_the_same(bundle: Path, elsewhere: Path) -> None:
    again = bundling.scraper_bundle()

    assert again.parent == elsewhere
    assert again.name == bundle.name
    assert _content(again) == _content(bundle)


def test_the_bundle_is_made_again_when_a_source_changes(
    bundle: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = elsewhere / "scraper"
    package.mkdir()
    (package / "__init__.py").write_text('"""Another scraper."""\n')
    monkeypatch.setattr(bundling, "REPOSITORY", elsewhere)
    monkeypatch.setattr(bundling, "PACKAGE", package)

    changed = bundling.scraper_bundle()

    assert changed.name != bundle.name
    assert (changed / "scraper" / "__init__.py").read_text() == '"""Another scraper."""\n'
    assert not (changed / "scraper" / "schema.py").exists()


def test_an_extra_ca_file_goes_into_the_bundle_and_its_name_to_the_function(changed: dict[str, Any]) -> None:
    certificate = bundling.REPOSITORY / CHANGED["extra_ca_file"]

    assert (bundling.scraper_bundle(certificate) / "extra-ca.pem").read_bytes() == certificate.read_bytes()
    functions = [
        function["Properties"].get("Environment", {}).get("Variables", {})
        for _, function in resources(changed, "AWS::Lambda::Function")
    ]
    assert [each["EXTRA_CA_FILE"] for each in functions if "EXTRA_CA_FILE" in each] == ["extra-ca.pem"] * 2


def test_packages_that_cannot_be_fetched_are_an_error_that_says_what_pip_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    requirements = tmp_path / "requirements-lambda.txt"
    requirements.write_text("no-such-package @ file:///no/such/no_such_package-1-py3-none-any.whl\n")
    monkeypatch.setattr(bundling, "REPOSITORY", tmp_path)
    monkeypatch.setattr(bundling, "REQUIREMENTS", requirements)
    monkeypatch.setattr(bundling, "BUILD", tmp_path / "build")

    with pytest.raises(bundling.BundlingError, match=r"requirements-lambda\.txt.*\n.*no_such_package-1-"):
        bundling.scraper_bundle()

    assert not list((tmp_path / "build").iterdir())


def test_the_module_makes_the_bundle_ahead_of_synth(bundle: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-m", "stacks.bundling"],
        cwd=bundling.REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )

    assert made.stdout.strip() == f"build/{bundle.name}"


@pytest.fixture(scope="module")
def charts() -> Path:
    return bundling.charts_bundle()


def test_the_charts_come_with_what_athena_for_apache_spark_does_not_have(charts: Path) -> None:
    """It has matplotlib and what that needs; a ZIP that a notebook adds may hold nothing but Python."""
    content = {str(path.relative_to(charts)) for path in charts.rglob("*") if path.is_file()}
    (licence,) = (path for path in content if "squarify" in path and "LICENSE" in path)
    assert content - {licence} == {
        "analysis/__init__.py",
        "analysis/charts.py",
        "analysis/exchange.py",
        "analysis/style.py",
        "squarify/__init__.py",
    }
    preinstalled = {"matplotlib", "numpy", "pandas"}
    assert _imported(charts, python=(3, 9)) <= preinstalled | {"analysis", "squarify"}


def test_the_charts_are_imported_from_their_zip(charts: Path, tmp_path: Path) -> None:
    archive = shutil.make_archive(str(tmp_path / "charts"), "zip", charts)
    script = (
        "from analysis import charts, exchange; import squarify; print(charts.__file__); "
        "print(squarify.__file__); assert exchange.KNOWN_DAYS == ('2005-01-01', '2031-12-31'); "
        "assert {'2024-03-29'} == {f'2024-03-{n}' for n in range(25, 32)} & exchange.CLOSED_WEEKDAYS"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PYTHONPATH": archive, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [Path(line).parents[1] for line in done.stdout.splitlines()] == [Path(archive)] * 2


def test_other_charts_are_another_bundle(
    charts: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert bundling.charts_bundle() == charts
    for name in ("charts.py", "style.py"):
        (tmp_path / "analysis").mkdir(exist_ok=True)
        (tmp_path / "analysis" / name).write_text("# other")
    monkeypatch.setattr(bundling, "REPOSITORY", tmp_path)
    monkeypatch.setattr(bundling, "CHARTS", tmp_path / "analysis")
    monkeypatch.setattr(bundling, "BUILD", tmp_path / "build")
    assert bundling.charts_bundle().name != charts.name


def test_the_job_s_packages_are_imported_from_their_zip(tmp_path: Path) -> None:
    """As Glue puts `--extra-py-files` on the path; what they import besides is part of Glue 5.1."""
    bundle = bundling.refinement_bundle()
    assert {path.relative_to(bundle).parts[0] for path in bundle.rglob("*.py")} == {"refinement", "lake"}
    archive = shutil.make_archive(str(tmp_path / "packages"), "zip", bundle)
    program = "import refinement.run, lake.keys; print(refinement.run.__file__, lake.keys.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": archive},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [f"{archive}/refinement/run.py", f"{archive}/lake/keys.py"], done.stderr


def test_another_module_is_another_bundle_of_packages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "refinement").mkdir()
    (tmp_path / "refinement" / "run.py").write_text("# other")
    before = bundling.refinement_bundle()
    assert bundling.refinement_bundle() == before
    monkeypatch.setattr(bundling, "REFINEMENT", tmp_path / "refinement")
    assert bundling.refinement_bundle() != before
