"""The functions of `lambda_src/`, each loaded as Lambda loads it: a file of its own, in no package.

And the context that Lambda invokes a function with.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).resolve().parents[1] / "lambda_src"


def source(name: str) -> Path:
    """The module of a function, by the name of its folder."""
    return FOLDER / name / "index.py"


def load(name: str) -> ModuleType:
    """The function's module, new each time."""
    spec = importlib.util.spec_from_file_location(f"{name}_index", source(name))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Context:
    """Of Lambda's context, what the functions look at."""

    function_name: str = "Scraper"
    memory_limit_in_mb: int = 1024
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:Scraper"
    aws_request_id: str = "5f2c0a1e-request"

    def get_remaining_time_in_millis(self) -> int:
        """As at the beginning of fifteen minutes."""
        return 900_000


CONTEXT = Context()
