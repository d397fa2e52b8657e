"""Pictures of directed graphs, as SVG for light and dark pages: boxes in rows by their depth.

A box's depth is the longest way to it from one that nothing leads to.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import accumulate, combinations, pairwise
from typing import NamedTuple
from xml.sax.saxutils import escape

_BOX_WIDTH, _BOX_HEIGHT = 236, 60
_COLUMN, _ROW = 268, 92  # from one box to the next
_GAP = 22  # between what stands side by side
_MARGIN = 26
_NAME_WIDTH = 25  # characters that a line of a box holds

_STYLE = """\
    .box { stroke-width: 1.5; rx: 8px }
    .name { font-size: 14px; font-weight: 600; text-anchor: middle }
    .type { font-size: 11.5px; text-anchor: middle }
    .edge { fill: none; stroke-width: 1.6; marker-end: url(#tip) }
    .page { fill: #ffffff; stroke: #d0d7de }
    .name { fill: #1d2733 } .type { fill: #4a5768 } .edge { stroke: #6b7a8d } .tip { fill: #6b7a8d }
    .plain { fill: #f3f5f7; stroke: #8a97a6 } .code { fill: #fdecea; stroke: #c25045 }
    .source, .target { fill: #e6f4ea; stroke: #2e8b57 } .join { fill: #e6effb; stroke: #3f78c4 }
    .sum { fill: #fff1e0; stroke: #e8890c } .rename { fill: #ede7fb; stroke: #7553c8 }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #30363d }
      .name { fill: #e6edf3 } .type { fill: #a3afbd } .edge { stroke: #8b98a8 } .tip { fill: #8b98a8 }
      .plain { fill: #1c232c; stroke: #5f6c7b } .code { fill: #3a1d1b; stroke: #e5766b }
      .source, .target { fill: #14301f; stroke: #4fb67a } .join { fill: #16283f; stroke: #6ea3ea }
      .sum { fill: #38270f; stroke: #f0a547 } .rename { fill: #271f40; stroke: #a68ee6 }
    }
"""


_LINE = 16
_SWEEPS = 60  # after so many nothing moves any more
_STRAIGHT = 20  # how much more an edge's bends count than its ends


class _Place(NamedTuple):
    """A point, in pixels."""

    x: float
    y: float


class Box(NamedTuple):
    """What stands in a box: its name, what is said of it below, and the class of its colours (`_STYLE`)."""

    name: str
    said: str
    style: str


def draw(title: str, boxes: Mapping[str, Box], inputs: Mapping[str, Sequence[str]]) -> str:
    """The picture.

    Args:
        title: What it shows.
        boxes: Its boxes, by their ids.
        inputs: Of each box the ids of those that lead to it.
    """
    layout = _Layout(inputs)
    width, height = layout.size
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        'font-family="Helvetica, Arial, \'DejaVu Sans\', sans-serif" role="img" aria-labelledby="title">',
        f'  <title id="title">{escape(title)}</title>',
        '  <defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto"><path class="tip" d="M0 0 10 5 0 10z"/></marker></defs>',
        f"  <style>\n{_STYLE}  </style>",
        f'  <rect class="page" x="1" y="1" width="{width - 2:.0f}" height="{height - 2:.0f}" rx="14"/>',
        *(_edge(layout.way(source, target)) for target in boxes for source in inputs[target]),
        *(_box(box, layout.place(name)) for name, box in boxes.items()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Layout:
    """Where boxes and edges go: Sugiyama's way of drawing a directed graph in rows.

    An edge that spans rows has a bend in each, which is placed like a box, but narrower.
    """

    def __init__(self, inputs: Mapping[str, Sequence[str]]) -> None:
        depths: dict[str, int] = {}
        for name in TopologicalSorter(inputs).static_order():
            depths[name] = max((depths[source] + 1 for source in inputs[name]), default=0)
        self._rows: list[list[str]] = [[] for _ in range(max(depths.values()) + 1)]
        for name in inputs:
            self._rows[depths[name]].append(name)
        self._ways: dict[tuple[str, str], list[str]] = {}
        self._bends: set[str] = set()
        self._above: dict[str, list[str]] = {name: [] for name in inputs}
        self._below: dict[str, list[str]] = {name: [] for name in inputs}
        for target, sources in inputs.items():
            for source in sources:
                self._lead(source, target, range(depths[source] + 1, depths[target]))
        self._order()
        self._x = self._spread()

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, in pixels."""
        right = max(x + self._width(name) / 2 for name, x in self._x.items())
        return right + _MARGIN, 2 * _MARGIN + _BOX_HEIGHT + _ROW * (len(self._rows) - 1)

    def place(self, name: str) -> _Place:
        """The middle of a box, or of a bend."""
        row = next(index for index, row in enumerate(self._rows) if name in row)
        return _Place(self._x[name], _MARGIN + _BOX_HEIGHT / 2 + _ROW * row)

    def way(self, source: str, target: str) -> list[_Place]:
        """Where an edge goes: from its source's lower side, through its bends, to its target's upper side."""
        half = _BOX_HEIGHT / 2
        first, *bends, last = map(self.place, self._ways[source, target])
        passed = [_Place(x, y + side) for x, y in bends for side in (-half, half)]
        return [_Place(first.x, first.y + half), *passed, _Place(last.x, last.y - half)]

    def _lead(self, source: str, target: str, rows: Iterable[int]) -> None:
        way = [source]
        for row in rows:
            bend = f"{source} {target} {row}"
            self._bends.add(bend)
            self._rows[row].append(bend)
            self._above[bend], self._below[bend] = [], []
            way.append(bend)
        way.append(target)
        self._ways[source, target] = way
        for upper, lower in pairwise(way):
            self._below[upper].append(lower)
            self._above[lower].append(upper)

    def _order(self) -> None:
        """Sort each row by the middle of its neighbours, down and up again, and keep what crosses least."""
        best, fewest = [list(row) for row in self._rows], self._crossings()
        for sweep in range(_SWEEPS):
            down = sweep % 2 == 0
            neighbours = self._above if down else self._below
            for row in self._rows if down else reversed(self._rows):
                index = {name: at for each in self._rows for at, name in enumerate(each)}
                row.sort(key=lambda name: _mean([index[other] for other in neighbours[name]], index[name]))
            if self._crossings() < fewest:
                best, fewest = [list(row) for row in self._rows], self._crossings()
        self._rows = best

    def _crossings(self) -> int:
        index = {name: at for row in self._rows for at, name in enumerate(row)}
        count = 0
        for row in self._rows:
            edges = [(index[upper], index[lower]) for upper in row for lower in self._below[upper]]
            count += sum((a - c) * (b - d) < 0 for (a, b), (c, d) in combinations(edges, 2))
        return count

    def _spread(self) -> dict[str, float]:
        """Move every box towards the middle of its neighbours, as far as the others in its row let it."""
        x = {name: float(at * _COLUMN) for row in self._rows for at, name in enumerate(row)}
        for _ in range(_SWEEPS):
            for row in (*self._rows, *reversed(self._rows)):
                gaps = [(self._width(one) + self._width(other)) / 2 + _GAP for one, other in pairwise(row)]
                wanted = [self._middle(name, x) for name in row]
                x.update(zip(row, _apart(wanted, gaps), strict=True))
        left = min(place - self._width(name) / 2 for name, place in x.items())
        return {name: round(place - left + _MARGIN) for name, place in x.items()}

    def _middle(self, name: str, x: Mapping[str, float]) -> float:
        """Of a box's neighbours; of a bend's whole edge, its bends above all, for the edge to be straight."""
        if name not in self._bends:
            return _mean([x[other] for other in (*self._above[name], *self._below[name])], x[name])
        first, *bends, last = next(way for way in self._ways.values() if name in way)
        return _mean([x[first], x[last], *[x[bend] for bend in bends] * _STRAIGHT], x[name])

    def _width(self, name: str) -> float:
        return 0 if name in self._bends else _BOX_WIDTH


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _apart(wanted: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Places as near to the wanted ones as gaps between them allow, by least squares."""
    offsets = [0.0, *accumulate(gaps)]
    blocks: list[tuple[float, int]] = []  # sum and number of what has to share a place, offsets aside
    for place, offset in zip(wanted, offsets, strict=True):
        total, count = place - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            more, others = blocks.pop()
            total, count = total + more, count + others
        blocks.append((total, count))
    shared = [total / count for total, count in blocks for _ in range(count)]
    return [place + offset for place, offset in zip(shared, offsets, strict=True)]


def _edge(way: Sequence[_Place]) -> str:
    path = f"M{way[0].x:.0f} {way[0].y:.0f}"
    for start, end in pairwise(way):
        bow = (end.y - start.y) / 2
        path += f" C{start.x:.0f} {start.y + bow:.0f} {end.x:.0f} {end.y - bow:.0f} {end.x:.0f} {end.y:.0f}"
    return f'  <path class="edge" d="{path}"/>'


def _box(box: Box, place: _Place) -> str:
    left, top = place.x - _BOX_WIDTH / 2, place.y - _BOX_HEIGHT / 2
    lines = textwrap.wrap(box.name, _NAME_WIDTH)
    first = place.y + 5 - _LINE * len(lines) / 2
    texts = [
        *(("name", line, first + _LINE * at) for at, line in enumerate(lines)),
        ("type", box.said, first + _LINE * len(lines)),
    ]
    return "\n".join(
        [
            f'  <rect class="box {box.style}" x="{left:.0f}" y="{top:.0f}" '
            f'width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}"/>',
            *(
                f'  <text class="{kind}" x="{place.x:.0f}" y="{y:.1f}">{escape(text)}</text>'
                for kind, text, y in texts
            ),
        ]
    )
