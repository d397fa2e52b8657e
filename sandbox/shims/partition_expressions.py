"""The expressions by which GetPartitions finds partitions: SQL's, on the table's partition keys.

Comparisons, BETWEEN, IN, LIKE, IS NULL, and AND, OR, NOT of them, in parentheses or not. Keys are compared by
their types. Whatever else stands in an expression is refused, as is a key that is none.

https://docs.aws.amazon.com/glue/latest/webapi/API_GetPartitions.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

Values = Sequence[str]
Condition = Callable[[Values], bool | None]
"""Whether a partition of these values is meant; None where SQL does not know."""

NULL = "__HIVE_DEFAULT_PARTITION__"
"""The value of a key that has none."""

_COMPARISONS: dict[type[exp.Expr], Callable[[Any, Any], bool]] = {
    exp.EQ: operator.eq,
    exp.NEQ: operator.ne,
    exp.LT: operator.lt,
    exp.LTE: operator.le,
    exp.GT: operator.gt,
    exp.GTE: operator.ge,
}
_TYPES: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("string", "varchar", "char"), str),
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint", "long"), int),
    "decimal": Decimal,
    "date": date.fromisoformat,
    "timestamp": datetime.fromisoformat,
}


class UnsupportedExpressionError(ValueError):
    """Glue would refuse the expression; the message says which part of it."""


def condition(expression: str, keys: Mapping[str, str]) -> Condition:
    """What an expression asks of a partition's values.

    Args:
        expression: The expression; an empty one asks nothing.
        keys: Type of each partition key, in the table's order.

    Raises:
        UnsupportedExpressionError: It is none of Glue's.
    """
    if not expression.strip():
        return lambda _values: True
    try:
        tree = sqlglot.parse_one(expression, read="trino")
    except SqlglotError as error:
        raise UnsupportedExpressionError(f"Unsupported expression: {expression}") from error
    return _Reader(keys).condition(tree)


class _Reader:
    """Reads a parsed expression.

    Args:
        keys: Type of each partition key, in the table's order.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._places = {name.lower(): place for place, name in enumerate(keys)}
        self._types = [_TYPES.get(kind.lower().partition("(")[0]) for kind in keys.values()]

    def condition(self, tree: exp.Expr) -> Condition:
        asked = self._plain(tree)
        return _not(asked) if tree.args.get("negate") else asked  # as NOT LIKE is one

    def _plain(self, tree: exp.Expr) -> Condition:  # noqa: PLR0911 - a case each
        match tree:
            case exp.Paren():
                return self.condition(tree.this)
            case exp.And():
                return _and(self.condition(tree.left), self.condition(tree.right))
            case exp.Or():
                left, right = (_not(self.condition(side)) for side in (tree.left, tree.right))
                return _not(_and(left, right))
            case exp.Not():
                return _not(self.condition(tree.this))
            case exp.Is(expression=exp.Null()):
                key = self._key(tree.this)
                return lambda values: key(values) is None
            case exp.Between():
                low = self._compared(operator.ge, tree.this, tree.args["low"])
                return _and(low, self._compared(operator.le, tree.this, tree.args["high"]))
            case exp.In() if tree.expressions and not tree.args.get("query"):
                each = [_not(self._compared(operator.eq, tree.this, one)) for one in tree.expressions]
                none = each[0]
                for another in each[1:]:
                    none = _and(none, another)
                return _not(none)
            case exp.Like():
                return self._compared(_is_like, tree.this, tree.expression)
            case exp.Binary() if type(tree) in _COMPARISONS:
                return self._compared(_COMPARISONS[type(tree)], tree.left, tree.right)
            case _:
                raise _unsupported(tree)

    def _compared(self, compare: Callable[[Any, Any], bool], left: exp.Expr, right: exp.Expr) -> Condition:
        if isinstance(left, exp.Literal | exp.Neg):  # '2031-03-14' <= trade_date
            return self._compared(lambda one, other: compare(other, one), right, left)
        key, literal = self._key(left), self._literal(left, right)

        def compared(values: Values) -> bool | None:
            value = key(values)
            return None if value is None else compare(value, literal)

        return compared

    def _place(self, tree: exp.Expr) -> int:
        if isinstance(tree, exp.Column) and not tree.table and tree.name.lower() in self._places:
            return self._places[tree.name.lower()]
        raise _unsupported(tree)

    def _type(self, tree: exp.Expr) -> Callable[[str], Any]:
        kind = self._types[self._place(tree)]
        if kind is None:
            raise _unsupported(tree)
        return kind

    def _key(self, tree: exp.Expr) -> Callable[[Values], Any]:
        place, kind = self._place(tree), self._type(tree)
        return lambda values: None if values[place] == NULL else kind(values[place])

    def _literal(self, key: exp.Expr, tree: exp.Expr) -> Any:
        kind = self._type(key)
        is_negative = isinstance(tree, exp.Neg)
        literal = tree.this if is_negative or isinstance(tree, exp.Cast) else tree  # DATE '2031-03-14'
        if not isinstance(literal, exp.Literal) or (kind is str and not literal.is_string):
            raise _unsupported(tree)
        try:
            return kind(f"{'-' if is_negative else ''}{literal.this}")
        except (ValueError, InvalidOperation) as error:
            raise _unsupported(tree) from error


def _and(left: Condition, right: Condition) -> Condition:
    def both(values: Values) -> bool | None:
        first = left(values)
        if first is False:
            return False
        second = right(values)
        if second is False:
            return False
        return None if first is None or second is None else True

    return both


def _not(inner: Condition) -> Condition:
    def negated(values: Values) -> bool | None:
        known = inner(values)
        return None if known is None else not known

    return negated


def _is_like(value: str, pattern: str) -> bool:
    parts = {"%": ".*", "_": "."}
    regex = "".join(parts.get(letter) or re.escape(letter) for letter in pattern)
    return re.fullmatch(regex, value, re.DOTALL) is not None


def _unsupported(tree: exp.Expr) -> UnsupportedExpressionError:
    return UnsupportedExpressionError(f"Unsupported expression: {tree.sql(dialect='trino')}")
