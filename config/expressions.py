"""The expressions of the configuration: `positive`, a task's `label` and `where`.

An expression contains column names, numbers, 'strings', comparisons (also chained), `and`, `or`, `not`, `in [...]` and
`+ - * /`. A name that is not an identifier, such as Book-Rating or class, is quoted by backticks. Nothing is executed:
the text is parsed to a syntax tree, which is checked against a whitelist and evaluated on whole columns.
"""

import ast
import functools
import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pandas as pd
from pandas.arrays import BooleanArray, FloatingArray

MAX_CHARACTERS: Final = 10_000
MAX_DEPTH: Final = 100
"""The maximum nesting of operations. Each `+` of a sum is nested in the next; operands of `and` and `or` are not."""
ALLOWED: Final = "column names, numbers, 'strings', comparisons, and, or, not, in [...], + - * /"

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
}
_SIGNS: Final = {ast.USub: -1.0, ast.UAdd: 1.0}
_TEXT: Final = pd.StringDtype("python")
"""Objects, since an array of fixed width would take the longest value's memory for every row."""
_NODES: Final = (
    ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.BinOp, ast.Compare,
    ast.Name, ast.Load, ast.List, ast.Tuple, ast.In, ast.NotIn, *_ARITHMETIC, *_COMPARISONS,
)  # fmt: skip


@dataclass(frozen=True)
class Expression:
    """A checked expression.

    Attributes:
      text: The text of the expression.
      columns: The columns in it, in the order of their first occurrence.
      text_columns: Those that contain text, since they are compared with strings. The others contain numbers.
    """

    text: str
    columns: tuple[str, ...]
    text_columns: frozenset[str]
    _tree: ast.expr = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> "Expression":
        """Parses and checks an expression.

        Raises:
          ValueError: The text is not an expression, is too long or too deep, or contains something that is not allowed,
            a number beyond float64, or a column or value that is used both as text and as a number.
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

        NaN, None and "" are missing values. What is computed from a missing value is missing, except that `false and
        missing` is false and `true or missing` is true, as in SQL. A division by zero is missing.

        Args:
          columns: All of `self.columns`, shape [n] each: numbers of any dtype, or objects (str or None) for text.

        Returns:
          The values, float64 [n], 1 and 0 for true and false, 0 where missing; and whether each is present, bool [n].

        Raises:
          ValueError: A column is absent, or contains text instead of numbers.
        """
        absent = [name for name in self.columns if name not in columns]
        if absent:
            raise ValueError(f"{self.text!r} needs the column {absent[0]!r}. Received: {', '.join(columns)}")
        size = len(next(iter(columns.values()))) if columns else 0
        with np.errstate(all="ignore"):
            read = {name: _read(name, columns[name], self) for name in self.columns}
            values = _finite(_numbers(_evaluate(self._tree, read, size)))
        return values.to_numpy(np.float64, na_value=0.0), ~np.asarray(values.isna())


def _parse(text: str) -> ast.expr:
    """Parses the text to a syntax tree, in which the names between backticks stand as they are."""
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
    """Raises ValueError for deep trees, since everything that walks them later is recursive."""
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
    """Returns whether float64 can represent a constant."""
    try:
        return isinstance(value, str) or math.isfinite(value)
    except OverflowError:
        return False


def _short(text: str, limit: int = 300) -> str:
    shown = repr(text)
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


class _Kinds:
    """Determines for every column whether it contains text or numbers, and rejects mixed uses."""

    def __init__(self, text: str) -> None:
        self.columns: dict[str, str] = {}
        self._text = _short(text)

    def expect(self, node: ast.expr, kind: str) -> None:
        """Checks a node and all nodes below it; a column is of the kind that its position requires."""
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
    """Yields the operands of a comparison and the entries of its lists."""
    for operand in operands:
        yield from operand.elts if isinstance(operand, ast.List | ast.Tuple) else [operand]


def _read(name: str, values: np.ndarray, expression: Expression) -> Any:
    """Converts a column to a nullable array of text or float64."""
    values = np.asarray(values)
    is_missing = pd.isna(values)
    if values.dtype.kind not in "fiub":
        is_missing |= values == ""
    if name in expression.text_columns:
        return pd.array(np.where(is_missing, np.array(None, object), values), _TEXT)
    try:
        return FloatingArray(np.where(is_missing, 0, values).astype(np.float64), is_missing)
    except ValueError as error:
        raise ValueError(f"{expression.text!r} needs numbers in the column {name!r}: {error}") from error


def _evaluate(node: ast.expr, columns: Mapping[str, Any], size: int) -> Any:
    """Computes a node as a nullable array [n] of text, float64 or bool, text constants as they are.

    `&` and `|` of nullable bools are Kleene's.
    """
    match node:
        case ast.Name():
            return columns[node.id]
        case ast.Constant(value=str()):
            return node.value
        case ast.Constant():
            return FloatingArray(np.full(size, node.value, np.float64), np.zeros(size, bool))
        case ast.BoolOp():
            operands = (_numbers(_evaluate(value, columns, size)) != 0 for value in node.values)
            return functools.reduce(operator.or_ if isinstance(node.op, ast.Or) else operator.and_, operands)
        case ast.Compare():
            links, left = [], _evaluate(node.left, columns, size)
            for symbol, operand in zip(node.ops, node.comparators, strict=True):  # the links of a chain `1 <= x < 3`
                left = pd.array([left] * size, _TEXT) if isinstance(left, str) else left
                if isinstance(symbol, ast.In | ast.NotIn):
                    is_in = np.asarray(left.isin(ast.literal_eval(operand)), bool)
                    links.append(BooleanArray(is_in == isinstance(symbol, ast.In), np.asarray(left.isna())))
                    continue  # nothing is compared with a list
                right = _evaluate(operand, columns, size)
                links.append(_COMPARISONS[type(symbol)](left, right))
                left = right
            return functools.reduce(operator.and_, links)
        case ast.UnaryOp():
            numbers = _numbers(_evaluate(node.operand, columns, size))
            return numbers == 0 if isinstance(node.op, ast.Not) else numbers * _SIGNS[type(node.op)]
        case ast.BinOp():
            left, right = (_numbers(_evaluate(side, columns, size)) for side in (node.left, node.right))
            return _finite(_ARITHMETIC[type(node.op)](left, right))
    raise TypeError(f"{type(node).__name__} is in no checked expression")


def _numbers(values: Any) -> Any:
    return values.astype("Float64") if isinstance(values, BooleanArray) else values


def _finite(numbers: Any) -> Any:
    """Makes what is infinite or undefined, such as a division by zero, missing."""
    values = numbers.to_numpy(np.float64, na_value=np.nan)
    return FloatingArray(values, ~np.isfinite(values))
