"""`python -m tools.docs.graph`: draw the visual job's graph from its nodes, into `docs/visual_job.svg`.

`tests/unit/test_visual_graph.py` fails when the picture is behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glue_scripts.visual import build_nodes
from tools.docs import drawing
from tools.docs.drawing import Box

FILE = Path(__file__).resolve().parents[2] / "docs" / "visual_job.svg"

Nodes = Mapping[str, Mapping[str, Any]]

# What Glue Studio calls the node types, and the class of their boxes
_TYPES = {
    "S3ParquetSource": ("source, Amazon S3", "source"),
    "CustomCode": ("custom transform", "code"),
    "SelectFromCollection": ("select from collection", "plain"),
    "Filter": ("filter", "plain"),
    "RenameField": ("rename field", "rename"),
    "Aggregate": ("aggregate", "sum"),
    "Join": ("join", "join"),
    "SparkSQL": ("SQL query", "plain"),
    "S3GlueParquetTarget": ("target, Amazon S3 and Data Catalog", "target"),
}


def draw(nodes: Nodes) -> str:
    """The picture, as SVG for light and dark pages.

    Args:
        nodes: `CodeGenConfigurationNodes`, of types that the visual job uses.
    """
    boxes, inputs = {}, {}
    for name, node in nodes.items():
        ((kind, properties),) = node.items()
        boxes[name] = Box(properties["Name"], *_TYPES[kind])
        inputs[name] = list(properties.get("Inputs", []))
    return drawing.draw("The refine job as a Glue Studio graph", boxes, inputs)


def main() -> None:
    """Write the picture."""
    nodes = build_nodes(
        raw_bucket="raw",
        refined_bucket="refined",
        refined_database="default",
        refined_table="bovespa_daily",
    )
    FILE.write_text(draw(nodes), encoding="utf-8")


if __name__ == "__main__":
    main()
