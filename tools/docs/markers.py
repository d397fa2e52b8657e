"""Generated parts of the documents stand between `<!-- name -->` and `<!-- /name -->`."""

from __future__ import annotations


def replaced(text: str, name: str, block: str, *, document: str) -> str:
    """A document's text with another block between two markers.

    Args:
        text: The document's text.
        name: The markers' name.
        block: What shall stand between them.
        document: The document's name, for messages.

    Raises:
        ValueError: A marker is missing.
    """
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        raise ValueError(f"{document} lacks the markers {begin} and {end}")
    before, _, rest = text.partition(begin)
    after = rest.partition(end)[2]
    return f"{before}{begin}\n{block}\n{end}{after}"
