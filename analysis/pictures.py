"""`python -m analysis.pictures`: the README's pictures, the notebook's charts on simulated sessions.

The notebook is executed in each theme, and what its cells show is written to `docs/images`, a file for each
cell and theme. The same lake gives the same bytes. B3's own data may not be passed on, so a lake that is not
the sandbox's is refused.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from traitlets.config import Config

from analysis.athena import Lake, LakeError
from analysis.style import THEMES

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "pregao.ipynb"
IMAGES = NOTEBOOK.parent.parent / "docs" / "images"

_SVG = "image/svg+xml"
_CELL_SECONDS = 300


def load(parameters: Mapping[str, object]) -> NotebookNode:
    """Read the notebook and give its parameters other values.

    Args:
        parameters: Values by name: those of the notebook's cell tagged "parameters".

    Raises:
        KeyError: The notebook has no such parameter.
    """
    notebook: NotebookNode = nbformat.read(NOTEBOOK, as_version=4)
    (place,) = (
        place for place, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])
    )
    known = [line.split(" = ")[0] for line in notebook.cells[place].source.splitlines() if " = " in line]
    if unknown := parameters.keys() - {*known}:
        raise KeyError(f"{', '.join(sorted(unknown))}; the notebook's parameters are {', '.join(known)}")
    lines = [f"{name} = {value!r}" for name, value in parameters.items()]
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell("\n".join(lines)))
    return notebook


def execute(*notebooks: NotebookNode) -> None:
    """Run notebooks' cells in a kernel of their own, in this process's environment; outputs go into them.

    One kernel runs them all, one after the other, and imports once. Nothing of the user's Jupyter and IPython
    set-up is read or touched.

    Raises:
        nbclient.exceptions.CellExecutionError: A cell failed.
    """
    with TemporaryDirectory(prefix="pregao-") as folder:
        # Sockets in that folder: no port that others could talk to
        kernel = {"transport": "ipc", "ip": f"{folder}/kernel", "connection_file": f"{folder}/kernel.json"}
        client = NotebookClient(
            NotebookNode({**notebooks[0], "cells": [cell for each in notebooks for cell in each.cells]}),
            kernel_name="python3",
            timeout=_CELL_SECONDS,
            resources={"metadata": {"path": str(NOTEBOOK.parent)}},
            config=Config(KernelManager=kernel),
        )
        client.execute(env={**os.environ, "IPYTHONDIR": f"{folder}/ipython"})


def pictures(notebook: NotebookNode) -> dict[str, str]:
    """The charts of an executed notebook: SVG, by the id of the cell that shows it."""
    return {
        cell.id: output.data[_SVG]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if _SVG in output.get("data", {})
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the pictures: 0 when they are written, 1 when they could not be."""
    parser = argparse.ArgumentParser(prog="python -m analysis.pictures", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=IMAGES, metavar="FOLDER", help="by default docs/images"
    )
    folder = parser.parse_args(arguments).output
    try:
        _refuse_real_data(Lake.find())
        themed = {theme: load({"THEME": theme, "LANGUAGE": "en"}) for theme in THEMES}
        print(f"Executing {NOTEBOOK.name}, {', '.join(themed)} ...", file=sys.stderr)
        execute(*themed.values())
        folder.mkdir(parents=True, exist_ok=True)
        for theme, notebook in themed.items():
            for name, svg in pictures(notebook).items():
                path = folder / f"{name}-{theme}.svg"
                path.write_text(svg, encoding="utf-8")
                print(f"{path}: {len(svg.encode()):,} bytes", file=sys.stderr)
    except (LakeError, CellExecutionError, OSError) as error:
        print(f"No pictures: {error}", file=sys.stderr)
        return 1
    return 0


def _refuse_real_data(lake: Lake) -> None:
    if not lake.is_simulated(lake.sessions[-1]):
        raise LakeError(
            f"stack {lake.stack} holds B3's data, which may not be passed on; use the sandbox's simulated B3"
        )


if __name__ == "__main__":
    sys.exit(main())
