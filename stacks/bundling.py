"""The folders that are deployed as ZIPs: for the scraper's functions, the refine job, the Spark notebooks.

The functions' has what their layer lacks, and the packages `scraper` and `lake`; the job's has `refinement`
and `lake`; the notebooks' has their charts.

pip fetches wheels for the function's own platform and Python: neither Docker nor a Linux machine is needed.
What it fetched is kept under `build/` by the hash of the requirements: synth needs no network once
`python -m stacks.bundling` has run. Same input, same files, so the same asset hash on every machine.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from lake.currency import FIRST_IN_BRL

REPOSITORY = Path(__file__).resolve().parent.parent
BUILD = REPOSITORY / "build"
PACKAGE = REPOSITORY / "scraper"
REFINEMENT = REPOSITORY / "refinement"
LAKE = REPOSITORY / "lake"
REQUIREMENTS = PACKAGE / "requirements-lambda.txt"
CHARTS = REPOSITORY / "analysis"

_CHART_MODULES = ("charts.py", "style.py")
_CHART_PACKAGES = ("squarify",)

_COMMAND_LINE = {PACKAGE / "__main__.py"}
"""What the functions do not run."""

EXTRA_CA_NAME = "extra-ca.pem"
"""Name of the extra CA file inside the bundle."""

_PLATFORM = ("--platform", "manylinux2014_x86_64", "--implementation", "cp", "--python-version", "3.13")
# Differ from one installation to the next, and are read by nothing in the function
_NOISE = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


class BundlingError(RuntimeError):
    """The bundle could not be made."""


def scraper_bundle(extra_ca_file: Path | None = None) -> Path:
    """Make the folder with everything that the scraper's function is deployed with.

    Args:
        extra_ca_file: A PEM file to put into it, as `EXTRA_CA_NAME`.

    Returns:
        The folder, under `build/`, named by its content: it is made once and never changed.

    Raises:
        BundlingError: pip could not fetch what `scraper/requirements-lambda.txt` names.
    """
    third_party = _third_party()
    sources = _modules(PACKAGE, LAKE)
    if extra_ca_file is not None:
        sources[Path(EXTRA_CA_NAME)] = extra_ca_file
    bundle = BUILD / f"scraper-{_digest(third_party.name, sources)}"
    if bundle.is_dir():
        return bundle
    with published_as(bundle) as folder:
        shutil.copytree(third_party, folder, dirs_exist_ok=True)
        _copy(sources, folder)
    return bundle


def refinement_bundle() -> Path:
    """Make the folder with the packages that the refine job runs.

    Returns:
        The folder, under `build/`, named by its content: it is made once and never changed.
    """
    sources = _modules(REFINEMENT, LAKE)
    bundle = BUILD / f"refinement-{_digest('', sources)}"
    if not bundle.is_dir():
        with published_as(bundle) as folder:
            _copy(sources, folder)
    return bundle


def charts_bundle() -> Path:
    """Make the folder with the packages that a notebook in Athena for Apache Spark draws with.

    They are our charts, the exchange's calendar, and what Athena does not have of what they import:
    https://docs.aws.amazon.com/athena/latest/ug/notebooks-spark-preinstalled-python-libraries.html

    Returns:
        The folder, under `build/`, named by its content: it is made once and never changed.

    Raises:
        BundlingError: A package is not installed.
    """
    sources = {path.relative_to(REPOSITORY): path for path in (CHARTS / name for name in _CHART_MODULES)}
    for package in _CHART_PACKAGES:
        try:
            files = distribution(package).files or []
        except PackageNotFoundError as error:
            raise BundlingError(f"{package} is not installed; requirements-dev.txt names it") from error
        for file in files:
            if file.suffix == ".py" or file.name.startswith("LICENSE"):
                sources[Path(file)] = Path(str(file.locate()))
    exchange = _exchange_module()
    bundle = BUILD / f"charts-{_digest(exchange, sources)}"
    if not bundle.is_dir():
        with published_as(bundle) as folder:
            _copy(sources, folder)
            # With this the folder is a package in a ZIP, too, which `analysis/` itself need not be
            (folder / CHARTS.name / "__init__.py").touch()
            (folder / CHARTS.name / "exchange.py").write_text(exchange, encoding="utf-8")
    return bundle


def _exchange_module() -> str:
    """A module with the exchange's calendar, whose package is not in Athena either."""
    # Here, as set-up makes the function's bundle while the packages are still being installed
    from scraper.b3.calendar import KNOWN_DAYS, closed_weekdays  # noqa: PLC0415

    return (
        '"""The exchange\'s calendar as it was known at the deployment; days are texts."""\n\n'
        f"KNOWN_DAYS = {tuple(map(str, KNOWN_DAYS))}\n"
        f"FIRST_IN_BRL = {str(FIRST_IN_BRL)!r}\n"
        f"CLOSED_WEEKDAYS = frozenset({' '.join(map(str, closed_weekdays(*KNOWN_DAYS)))!r}.split())\n"
    )


def _modules(*packages: Path) -> dict[Path, Path]:
    """The modules of packages, by their names in a bundle."""
    return {
        module.relative_to(package.parent): module
        for package in packages
        for module in sorted(package.rglob("*.py"))
        if module not in _COMMAND_LINE
    }


def _copy(sources: Mapping[Path, Path], folder: Path) -> None:
    for name, path in sources.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _third_party() -> Path:
    """The packages that the requirements name, fetched unless `build/` has them."""
    requirements = REQUIREMENTS.read_bytes()
    fetched = BUILD / f"third-party-{hashlib.sha256(requirements).hexdigest()[:16]}"
    if fetched.is_dir():
        return fetched
    with published_as(fetched) as folder:
        _pip_install(folder)
        for path in sorted(folder.rglob("*")):
            if path.name in _NOISE and path.parent.suffix == ".dist-info":
                path.unlink()
        shutil.rmtree(folder / "bin", ignore_errors=True)
    return fetched


def _pip_install(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # The requirements name every package they need
    command += ["--no-compile", "--no-deps", "--only-binary", ":all:", *_PLATFORM]
    command += ["--requirement", str(REQUIREMENTS), "--target", str(folder)]
    completed = subprocess.run(command, capture_output=True, text=True, check=False)
    if completed.returncode:
        raise BundlingError(
            f"pip could not fetch the packages of {REQUIREMENTS.relative_to(REPOSITORY)} for Lambda "
            f"(exit {completed.returncode}). Check the network and the versions in it. pip said:\n"
            f"{completed.stderr}"
        )


def _digest(third_party: str, sources: dict[Path, Path]) -> str:
    digest = hashlib.sha256(third_party.encode())
    for name, path in sources.items():
        digest.update(f"\0{name.as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


@contextmanager
def published_as(final: Path) -> Iterator[Path]:
    """A new folder to fill, which gets its name when it is complete: another synth sees all or nothing."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=BUILD) as scratch:
        folder = Path(scratch, "content")
        folder.mkdir()
        yield folder
        try:
            folder.rename(final)
        except OSError:
            if not final.is_dir():  # otherwise the other process was first, with the same content
                raise


if __name__ == "__main__":
    sys.stdout.write(f"{scraper_bundle().relative_to(REPOSITORY)}\n")
