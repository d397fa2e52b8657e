"""How often Python looks for garbage in the sandbox's processes and in the tests'."""

from __future__ import annotations

import gc

_NEW_OBJECTS, _PASSES = 200_000, 30


def patient_collector() -> None:
    """Have Python look for garbage seldom.

    By default it does so with every 700 new objects, and time and again among all there are, most of which
    have been imported: of a run on a lake that has its history, that is a tenth of the time and more.
    """
    gc.set_threshold(_NEW_OBJECTS, _PASSES, _PASSES)
