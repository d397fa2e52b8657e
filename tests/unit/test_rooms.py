"""The rooms of the code: they build on one another one way, and the picture of them is true."""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter

import pytest

from tools.docs import rooms


def test_no_rooms_and_no_modules_use_each_other_in_a_circle() -> None:
    assert next(iter(TopologicalSorter(rooms.uses()).static_order())) in {"lake", "scraper.b3", "lambda_src"}
    assert len([*TopologicalSorter(rooms.imported()).static_order()]) == len(rooms.modules()) > 100


def test_a_circle_would_be_found() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({**rooms.uses(), "lake": {"stacks"}}).prepare()


def test_every_module_is_in_a_room() -> None:
    assert [name for name in rooms.modules() if rooms.room_of(name) is None] == []


def test_what_the_functions_carry_does_without_what_operates_them() -> None:
    """The bundle has `scraper` and `lake` alone."""
    carried = [room for room in rooms.ROOMS if room.startswith("scraper.")]
    assert set().union(*(rooms.uses()[room] for room in carried)) <= {*carried, "lake"}
    assert rooms.uses()["refinement"] == {"lake"}
    assert rooms.uses()["lake"] == set()


def test_the_picture_is_of_these_rooms() -> None:
    assert rooms.FILE.read_text(encoding="utf-8") == rooms.draw(), "run `python -m tools.docs.rooms`"
