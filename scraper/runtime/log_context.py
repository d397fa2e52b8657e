"""What log lines are about: keys that the functions add to every line (see `scraper.runtime.telemetry`).

The modules log by the standard library, for functions and command line alike; the command line shows the
messages alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType

_keys: ContextVar[Mapping[str, str]] = ContextVar("log_keys", default=MappingProxyType({}))


@contextmanager
def about(**keys: object) -> Iterator[None]:
    """Have every line that this thread logs within the block carry these keys, over those around it.

    Args:
        keys: Names and values, such as `session_date`; None says nothing.
    """
    told = {name: str(value) for name, value in keys.items() if value is not None}
    token = _keys.set({**_keys.get(), **told})
    try:
        yield
    finally:
        _keys.reset(token)


def current() -> Mapping[str, str]:
    """The keys of a line that is logged here and now."""
    return _keys.get()
