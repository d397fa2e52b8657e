"""Why a run ends without having done its work."""

from __future__ import annotations

INVARIANT_BROKEN = "invariant broken"


class RefineError(RuntimeError):
    """The run cannot be done, or cannot be finished; the message says what was written, if anything."""


class InvariantBroken(RefineError):  # noqa: N818 - it names what is wrong, as the alarm and the runbook do
    """The refined rows do not add up to the raw quotes.

    By `INVARIANT_BROKEN`, with which the message begins, the alarm knows it from other failures. The message
    is one line: of several, Glue may show but one.
    """

    def __init__(self, message: str) -> None:
        super().__init__(f"{INVARIANT_BROKEN}: {message}")
