"""The operators of cosmic-ray, without its runs: those change the source in place. It needs cosmic-ray."""

from __future__ import annotations

from collections.abc import Iterator

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

from tests.mutants.drawing import Change


class CosmicRay:
    """All operators that need no arguments: those with arguments are told which names to use."""

    def __init__(self) -> None:
        classes = {name: get_operator(name) for name in operator_names()}
        self._operators = {name: each() for name, each in classes.items() if not each.arguments()}

    def changes(self, text: str) -> Iterator[Change]:
        """All that can be changed in some source."""
        nodes = list(ast_nodes(get_ast(text)))
        for name, operator in self._operators.items():
            starts = (start for node in nodes for start, _ in operator.mutation_positions(node))
            for occurrence, (line, column) in enumerate(starts):
                yield Change(line, column, name, occurrence)

    def changed(self, text: str, change: Change) -> str:
        """The source with a change made; as it is where the operator turns out to be unable to make it."""
        try:
            mutated: str | None = mutate_code(text, self._operators[change.operator], change.occurrence)
        except AttributeError:  # of ExceptionReplacer, at an exception whose name has a dot
            return text
        return text if mutated is None else mutated
