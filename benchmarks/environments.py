"""Python environments of the contenders: each comes with its own versions of pandas, polars and pyarrow."""

import subprocess
import sys
import venv
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
BUILD = REPOSITORY / "build" / "benchmarks"


def interpreter(environment: str | None) -> Path:
    """Python of an environment, made where it is missing or its requirements have changed.

    Args:
        environment: `requirements-<environment>.txt` in this folder says what is in it; None is this
            project's own.

    Raises:
        subprocess.CalledProcessError: pip cannot install the requirements.
    """
    if environment is None:
        return Path(sys.executable)
    requirements = REPOSITORY / "benchmarks" / f"requirements-{environment}.txt"
    folder = BUILD / environment
    installed = folder / "installed.txt"
    python = folder / "bin" / "python"
    if not installed.exists() or installed.read_text() != requirements.read_text():
        print(f"Installing {requirements.name} into an environment of its own ...", file=sys.stderr)
        venv.create(folder, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(requirements)], check=True)
        installed.write_text(requirements.read_text())
    return python
