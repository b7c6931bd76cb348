"""The expressions of the configuration: `positive`, a task's `label` and `where`.

Column names, numbers, 'strings', comparisons (also chained), `and`, `or`, `not`, `in [...]`, `+ - * /`. A name that is
no identifier, such as Book-Rating or class, stands between backticks. Nothing else is allowed, nothing is executed: the
text is parsed to a syntax tree, checked against a whitelist and evaluated on whole columns.
"""

import ast
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

MAX_CHARACTERS: Final = 10_000
MAX_DEPTH: Final = 100
"""Of operations inside operations: each `+` of a sum is inside the next, the operands of `and` and `or` are not."""
ALLOWED: Final = "column names, numbers, 'strings', comparisons, and, or, not, in [...], + - * /"


class _Column(NamedTuple):
    values: Any
    """float64, bool or str, shape [n] or (constants) []; anything where missing."""
    is_present: Any
    """bool, shape [n] or []."""


_ARITHMETIC: Final[dict[type, Callable[..., Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_COMPARISONS: Final[dict[type, Callable[..., Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda values, options: np.isin(values, options),
    ast.NotIn: lambda values, options: ~np.isin(values, options),
}
_NODES: Final = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Compare,
    ast.Name, ast.Load, ast.List, ast.Tuple, *_ARITHMETIC, *_COMPARISONS,
)  # fmt: skip
_UNARY: Final[dict[type, Callable[..., Any]]] = {
    ast.Not: lambda values: np.equal(values, 0),
    ast.USub: lambda values: -np.asarray(values, np.float64),
    ast.UAdd: lambda values: values,
}


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Attributes:
      text: As it was written.
      columns: The columns it names, in the order of their first occurrence.
      text_columns: Those of them that hold text: they are compared with strings. The others hold numbers.
    """

    text: str
    columns: tuple[str, ...]
    text_columns: frozenset[str]
    _tree: ast.expr = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> "Expression":
        """Reads an expression.

        Raises:
          ValueError: If it is no expression, is too long or too deep, uses something that is not allowed, a number that
            float64 does not hold, or a column or a value both as text and as a number.
        """
        tree = _parse(text)
        _check_depth(tree, text)
        _check_nodes(tree, text)
        used = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
        kinds = _Kinds(text)
        kinds.expect(tree, "number")
        is_text = frozenset(name for name, kind in kinds.columns.items() if kind == "text")
        return cls(text, tuple(dict.fromkeys(used)), is_text, tree)

    def evaluate(self, columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Computes the expression for every row.

        Missing values are NaN, None and "". What is computed from a missing value is missing, but as in SQL
        `false and missing` is false and `true or missing` is true. A division by zero is missing.

        Args:
          columns: All of `self.columns`, shape [n] each: numbers of any dtype, or objects (str or None) for text.

        Returns:
          The values, float64 [n], 1 and 0 for true and false, 0 where missing; and whether there is one, bool [n].

        Raises:
          ValueError: If a column is not there or holds text where a number is needed.
        """
        absent = [name for name in self.columns if name not in columns]
        if absent:
            raise ValueError(f"{self.text!r} needs the column {absent[0]!r}. Received: {', '.join(columns)}")
        size = len(next(iter(columns.values()))) if columns else 0
        with np.errstate(all="ignore"):
            values, is_present = _evaluate(self._tree, {n: _read(n, columns[n], self) for n in self.columns})
        values = np.broadcast_to(np.asarray(values, np.float64), size)
        is_present = np.broadcast_to(is_present, size) & np.isfinite(values)
        return np.where(is_present, values, 0.0), is_present


def _parse(text: str) -> ast.expr:
    """The syntax tree; backticks are gone and the names between them stand in it as they are."""
    quoted: dict[str, str] = {}
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"has {len(text):,} characters, and {MAX_CHARACTERS:,} are allowed. Received: {_short(text)}")

    def stand_in(found: re.Match[str]) -> str:
        return quoted.setdefault(found[1], f"_quoted_{len(quoted)}")

    try:
        tree = ast.parse(re.sub(r"`([^`]+)`", stand_in, text).strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"cannot be read as an expression ({error}). Received: {_short(text)}") from error
    names = {stand_in: name for name, stand_in in quoted.items()}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    return tree


def _check_depth(tree: ast.expr, text: str) -> None:
    """Whatever walks the tree later, does so in a function that calls itself."""
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise ValueError(
        f"holds more than {MAX_DEPTH} operations inside each other; compute the value in the table. "
        f"Received: {_short(text)}"
    )


def _check_nodes(tree: ast.expr, text: str) -> None:
    for node in ast.walk(tree):
        is_constant = isinstance(node, ast.Constant) and isinstance(node.value, int | float | str)
        if is_constant and not _is_finite(node.value):  # type: ignore[attr-defined]
            raise ValueError(f"holds a number beyond 1.8e308. Received: {_short(text)}")
        if not is_constant and not isinstance(node, _NODES):
            part = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
            raise ValueError(f"an expression may not hold `{part}`; allowed: {ALLOWED}. Received: {_short(text)}")


def _is_finite(value: float | str) -> bool:
    """Whether float64 holds a constant."""
    try:
        return isinstance(value, str) or math.isfinite(value)
    except OverflowError:
        return False


def _short(text: str, limit: int = 300) -> str:
    shown = repr(text)
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


class _Kinds:
    """Finds for every column whether it holds text or numbers, and refuses what mixes the two."""

    def __init__(self, text: str) -> None:
        self.columns: dict[str, str] = {}
        self._text = _short(text)

    def expect(self, node: ast.expr, kind: str) -> None:
        """Checks a node and all below it; a column takes the kind that its place wants."""
        found = self.columns.setdefault(node.id, kind) if isinstance(node, ast.Name) else self._of(node)
        if found != kind:
            raise ValueError(f"`{ast.unparse(node)}` is {found} where {kind} is needed. Received: {self._text}")

    def _of(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            return "text" if isinstance(node.value, str) else "number"
        if isinstance(node, ast.List | ast.Tuple):
            raise ValueError(f"a list may only stand after `in`. Received: {self._text}")
        if isinstance(node, ast.Compare):
            self._check_compare(node)
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self.expect(child, "number")
        return "number"

    def _check_compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        kind = (
            "text"
            if any(isinstance(c, ast.Constant) and isinstance(c.value, str) for c in _leaves(operands))
            else "number"
        )
        self.expect(node.left, kind)
        for symbol, operand in zip(node.ops, node.comparators, strict=True):
            if isinstance(symbol, ast.In | ast.NotIn):
                for option in self._options(operand):
                    self.expect(option, kind)
            else:
                self.expect(operand, kind)

    def _options(self, node: ast.expr) -> list[ast.expr]:
        if not isinstance(node, ast.List | ast.Tuple) or any(isinstance(n, ast.Name) for n in ast.walk(node)):
            raise ValueError(f"after `in` should stand a list such as [1, 2]. Received: {self._text}")
        return node.elts


def _leaves(operands: list[ast.expr]) -> Iterator[ast.expr]:
    """The operands of a comparison, lists taken apart."""
    for operand in operands:
        yield from operand.elts if isinstance(operand, ast.List | ast.Tuple) else [operand]


def _read(name: str, values: np.ndarray, expression: Expression) -> _Column:
    values = np.asarray(values)
    is_present = ~pd.isna(values)
    if values.dtype.kind not in "fiub":
        is_present &= values != ""
    if name in expression.text_columns:
        # Objects: an array of fixed width would take the longest value's room for every row.
        return _Column(np.where(is_present, values, "").astype(object), is_present)
    try:
        return _Column(np.where(is_present, values, 0).astype(np.float64), is_present)
    except ValueError as error:
        raise ValueError(f"{expression.text!r} needs numbers in the column {name!r}: {error}") from error


def _evaluate(node: ast.expr, columns: Mapping[str, _Column]) -> _Column:
    match node:
        case ast.Name():
            return columns[node.id]
        case ast.Constant():
            return _Column(node.value, True)
        case ast.BoolOp():
            return _logic(isinstance(node.op, ast.Or), [_evaluate(value, columns) for value in node.values])
        case ast.Compare():
            return _comparisons(node, columns)
        case ast.UnaryOp():
            values, is_present = _evaluate(node.operand, columns)
            return _Column(_UNARY[type(node.op)](values), is_present)
        case ast.BinOp():
            return _arithmetic(node, _evaluate(node.left, columns), _evaluate(node.right, columns))
    raise TypeError(f"{type(node).__name__} is in no checked expression")


def _arithmetic(node: ast.BinOp, left: _Column, right: _Column) -> _Column:
    numbers = (np.asarray(operand.values, np.float64) for operand in (left, right))
    values = np.asarray(_ARITHMETIC[type(node.op)](*numbers))
    return _Column(values, left.is_present & right.is_present & np.isfinite(values))


def _logic(is_or: bool, operands: list[_Column]) -> _Column:
    """Kleene's: a true operand decides `or`, a false one `and`, whatever is missing beside it."""
    decides = [np.equal(o.values != 0, is_or) & o.is_present for o in operands]
    is_decided = np.logical_or.reduce(np.broadcast_arrays(*decides))
    is_whole = np.logical_and.reduce(np.broadcast_arrays(*(o.is_present for o in operands)))
    return _Column(is_decided == is_or, is_decided | is_whole)


def _comparisons(node: ast.Compare, columns: Mapping[str, _Column]) -> _Column:
    """All links of a chain such as `1 <= x < 3`."""
    links, left = [], _evaluate(node.left, columns)
    for symbol, operand in zip(node.ops, node.comparators, strict=True):
        right = (
            _Column(ast.literal_eval(operand), True)
            if isinstance(operand, ast.List | ast.Tuple)
            else _evaluate(operand, columns)
        )
        links.append(
            _Column(
                _COMPARISONS[type(symbol)](np.asarray(left.values), right.values), left.is_present & right.is_present
            )
        )
        left = right
    return _logic(False, links)
