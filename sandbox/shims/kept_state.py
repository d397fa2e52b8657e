"""State that survives a restart whole, or is known not to.

MiniStack writes its state as JSON when it ends. Athena's rows hold dates and decimals, which JSON has not,
and that costs all of Athena's state; it logs what it could not write and ends as if nothing had happened.

It copies what it is about to write, and writes it in small pieces: longer than all else that it then does.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import IO, Any

from ministack.core import persistence
from ministack.services import athena, cloudformation, glue


class SaveFailures(logging.Handler):
    """Collects what MiniStack logs when it cannot write the state of a service."""

    def __init__(self) -> None:
        super().__init__(level=logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take the message."""
        self.messages.append(record.getMessage())


def install() -> SaveFailures:
    """Leave query executions out of the state; return what tells whether the rest was written."""
    get_state: Any = athena.get_state

    def get_state_without_executions() -> dict[str, Any]:
        state: dict[str, Any] = get_state()
        state["_executions"]._data.clear()
        return state

    athena.get_state = get_state_without_executions
    # It is asked for when nothing changes any more
    glue.get_state = lambda: glue._ALL_STATE
    stores: Any = cloudformation._PERSISTED_STORES
    cloudformation.get_state = lambda: {key: store() for store, key in stores}
    quick: Any = SimpleNamespace(load=json.load, dump=_dump, JSONDecodeError=json.JSONDecodeError)
    vars(persistence)["json"] = quick
    failures = SaveFailures()
    logging.getLogger("persistence").addHandler(failures)
    return failures


def _dump(state: Any, file: IO[str], default: Callable[[Any], Any]) -> None:
    """As `json.dump`, which does not use the encoder that is in C."""
    file.write(json.dumps(state, default=default))
