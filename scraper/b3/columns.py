"""A column of a raw table: what a dataset's layout is written in, which the stack reads, too."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a raw table: its name, its Glue type and the comment that the catalog shows."""

    name: str
    glue_type: str
    comment: str
