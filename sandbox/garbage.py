"""How often Python looks for garbage in the sandbox's processes and in the tests'."""

from __future__ import annotations

import gc

_NEW_OBJECTS, _PASSES = 200_000, 30


def patient_collector() -> None:
    """Have Python look for garbage seldom.

    By default it does so with every 700 new objects, and time and again among all there are, most of which
    have been imported, and stay.
    """
    gc.set_threshold(_NEW_OBJECTS, _PASSES, _PASSES)
