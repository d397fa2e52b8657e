"""Drawing mutants of source by lot: which changes there are is for the operators to say."""

from __future__ import annotations

import ast
import difflib
import random
import re
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.mutants.parts import Source


@dataclass(frozen=True, order=True, slots=True)
class Change:
    """A change that an operator can make.

    Attributes:
        line: Where in the source, from 1.
        column: Where in the line, from 0.
        operator: The operator's name.
        occurrence: Which of the changes that the operator can make in the source, from 0.
    """

    line: int
    column: int
    operator: str
    occurrence: int


class Operators(Protocol):
    """What changes source."""

    def changes(self, text: str) -> Iterable[Change]:
        """All that can be changed in some source."""

    def changed(self, text: str, change: Change) -> str:
        """The source with a change made; as it is where the change cannot be made."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """Source that was changed in one place.

    Attributes:
        source: The file as it is.
        change: What was changed in it.
        text: The file with the change.
    """

    source: Source
    change: Change
    text: str

    def __str__(self) -> str:
        """File, line and operator."""
        return f"{self.source.path}:{self.change.line} {self.change.operator.rpartition('/')[2]}"

    def diff(self) -> str:
        """What differs, as `git diff` shows it."""
        before, after = (text.splitlines() for text in (self.source.text, self.text))
        name = self.source.path
        return "\n".join(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm="", n=2))


def draw(sources: Sequence[Source], operators: Operators, *, count: int, seed: str) -> list[Mutant]:
    """So many mutants, or as many as there are, each of another place: the same for the same seed.

    A place is drawn, and then one of its changes: else most mutants would be of arithmetic, of which an
    operator can be replaced by eleven others.
    """
    rng = random.Random(seed)
    changes: dict[tuple[int, int, int], list[Change]] = {}
    for number, source in enumerate(sources):
        for change in sorted(operators.changes(source.text)):
            changes.setdefault((number, change.line, change.column), []).append(change)
    places = sorted(changes)
    rng.shuffle(places)
    drawn: list[Mutant] = []
    meanings = [meaning(source.text) for source in sources]
    for place in places:
        if len(drawn) >= count:
            break
        source = sources[place[0]]
        rng.shuffle(changes[place])
        for change in changes[place]:
            text = operators.changed(source.text, change)
            if meaning(text) not in {None, meanings[place[0]]}:
                drawn.append(Mutant(source, change, text))
                break
    return drawn


def meaning(text: str) -> str | None:
    """The source less what its run does not show; None if it does not compile."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)  # `is` with a literal, which a mutant may have
        try:
            compile(text, "mutant", "exec", dont_inherit=True)
        except SyntaxError:
            return None
        return ast.dump(_Plain().visit(ast.parse(text)))


class _Plain(ast.NodeTransformer):
    """Leaves out annotations, docstrings, names of types, and in which ways an argument can be passed."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_arguments(self, node: ast.arguments) -> ast.AST:
        # A "*" that becomes a "/" is seen only by a caller that no test is written for
        node.args = [*node.posonlyargs, *node.args, *node.kwonlyargs]
        node.defaults = [*node.defaults, *(default for default in node.kw_defaults if default)]
        node.posonlyargs, node.kwonlyargs, node.kw_defaults = [], [], []
        return self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(None)
        return self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        names = [target.id for target in node.targets if isinstance(target, ast.Name)]
        is_of_a_type = any(re.match(r"_?[A-Z][a-z]|T$", name) for name in names)
        return ast.Pass() if is_of_a_type else self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if is_text else self.generic_visit(node)

    def visit_If(self, node: ast.If) -> ast.AST:
        for_types = any(
            isinstance(each, ast.Name) and each.id == "TYPE_CHECKING" for each in ast.walk(node.test)
        )
        return ast.Pass() if for_types else self.generic_visit(node)
