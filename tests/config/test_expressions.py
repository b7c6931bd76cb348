import math
import pickle
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.expressions import Expression

NAN = math.nan
COLUMNS = {
    "rating": np.array([5.0, 3.0, NAN, 1.0]),
    "clicks": np.array([0, 1, 2, 3], np.int64),
    "kind": np.array(["buy", "click", None, ""], object),
}


@pytest.mark.parametrize(
    ("text", "values", "is_present"),
    [
        ("rating", [5, 3, 0, 1], [1, 1, 0, 1]),
        ("rating >= 3", [1, 1, 0, 0], [1, 1, 0, 1]),
        ("rating != 3", [1, 0, 0, 1], [1, 1, 0, 1]),
        ("1 <= clicks < 3", [0, 1, 1, 0], [1, 1, 1, 1]),
        ("kind == 'buy'", [1, 0, 0, 0], [1, 1, 0, 0]),
        ("'buy' != kind", [0, 1, 0, 0], [1, 1, 0, 0]),
        ("kind < 'c'", [1, 0, 0, 0], [1, 1, 0, 0]),
        ("kind in ['buy', 'cart']", [1, 0, 0, 0], [1, 1, 0, 0]),
        ("kind not in ('buy',)", [0, 1, 0, 0], [1, 1, 0, 0]),
        ("clicks in [-1, 2, 3]", [0, 0, 1, 1], [1, 1, 1, 1]),
        ("not rating > 3", [0, 1, 0, 1], [1, 1, 0, 1]),
        ("(rating - 1) / 4", [1, 0.5, 0, 0], [1, 1, 0, 1]),
        ("rating / clicks", [0, 3, 0, 1 / 3], [0, 1, 0, 1]),
        ("-clicks * 2 + 1", [1, -1, -3, -5], [1, 1, 1, 1]),
        # A missing operand leaves the result open only where it could still decide it.
        ("rating > 4 or clicks == 2", [1, 0, 1, 0], [1, 1, 1, 1]),
        ("rating > 4 and clicks > 1", [0, 0, 0, 0], [1, 1, 0, 1]),
        ("rating > 4 and clicks < 1", [1, 0, 0, 0], [1, 1, 1, 1]),
        ("rating > 4 or kind == 'click'", [1, 1, 0, 0], [1, 1, 0, 0]),
        ("2 > 1", [1, 1, 1, 1], [1, 1, 1, 1]),
        ("True", [1, 1, 1, 1], [1, 1, 1, 1]),
        ("1 + 1", [2, 2, 2, 2], [1, 1, 1, 1]),
    ],
)
def test_values_computed_by_hand(text, values, is_present):
    found, found_present = Expression.parse(text).evaluate(COLUMNS)
    np.testing.assert_allclose(found, values)
    assert found.dtype == np.float64
    assert found_present.tolist() == [bool(p) for p in is_present]


def test_columns_and_their_kinds():
    expression = Expression.parse("kind == 'buy' and price * amount > 3 and kind != 'x'")
    assert expression.columns == ("kind", "price", "amount")
    assert expression.text_columns == {"kind"}


def test_backticks_name_columns_that_are_no_identifiers():
    expression = Expression.parse("`Book-Rating` >= 5 and `class` == 'a'")
    assert expression.columns == ("Book-Rating", "class")
    columns = {"Book-Rating": np.array([5, 5, 1]), "class": np.array(["a", "b", "a"])}
    assert expression.evaluate(columns)[0].tolist() == [1, 0, 0]


def test_numbers_in_object_columns():
    values, is_present = Expression.parse("x").evaluate({"x": np.array([1, None, 2.5, "", NAN], object)})
    assert values.tolist() == [1, 0, 2.5, 0, 0]
    assert is_present.tolist() == [True, False, True, False, False]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read"),
        ("rating >=", "cannot be read"),
        ("rating = 4", "cannot be read"),
        ("__import__('os').system('ls')", "may not hold `__import__"),
        ("rating.real", r"may not hold `rating\.real`"),
        ("x[0]", "may not hold"),
        ("rating ** 2", "may not hold `Pow`"),
        ("rating % 2", "may not hold `Mod`"),
        ("a if b else c", "may not hold"),
        ("lambda: 1", "may not hold"),
        ("x == None", "may not hold `None`"),
        ("f'{x}'", "may not hold"),
        ("[1, 2]", "only stand after `in`"),
        ("x in y", "after `in` should stand a list"),
        ("x in [y]", "after `in` should stand a list"),
        ("'a'", "is text where number is needed"),
        ("kind == 'a' and kind > 3", "`kind` is text where number"),
        ("kind in ['a', 1]", "`1` is number where text"),
        ("'a' + x > 3", "`'a'` is text where number"),
    ],
)
def test_errors_say_what_is_wrong_and_repeat_the_text(text, message):
    with pytest.raises(ValueError, match=message) as error:
        Expression.parse(text)
    assert f"Received: {text!r}" in str(error.value)


def test_absent_and_unfit_columns():
    with pytest.raises(ValueError, match=r"'x > 1' needs the column 'x'\. Received: rating"):
        Expression.parse("x > 1").evaluate({"rating": np.ones(1)})
    with pytest.raises(ValueError, match="needs numbers in the column 'kind'"):
        Expression.parse("kind > 1").evaluate(COLUMNS)


def test_one_long_text_costs_its_own_room_only():
    kinds = np.array(["view"] * 5000 + ["x" * 100_000], object)
    tracemalloc.start()
    values, _ = Expression.parse("kind == 'view' or kind in ['buy', 'x']").evaluate({"kind": kinds})
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()
    assert values.sum() == 5000


def test_survives_pickling():
    expression = pickle.loads(pickle.dumps(Expression.parse("kind == 'buy'")))
    assert expression == Expression.parse("kind == 'buy'")
    assert expression.evaluate(COLUMNS)[0].tolist() == [1, 0, 0, 0]


_numbers = st.integers(-3, 3).map(str) | st.sampled_from(["a", "b"])
_texts = st.recursive(
    _numbers,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "<", ">=", "==", "and", "or"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        )
        | inner.map(lambda text: f"(not {text})")
    ),
    max_leaves=8,
)


@given(_texts, st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=5))
def test_agrees_with_python_where_nothing_is_missing(text, rows):
    a, b = (np.array(column) for column in zip(*rows, strict=True))
    values, is_present = Expression.parse(text).evaluate({"a": a, "b": b})
    # Python's `and` and `or` yield an operand, ours a truth value: compare what they are made for.
    wanted = [eval(_as_truth(text), {"a": x, "b": y, "truth": lambda v: int(bool(v))}) for x, y in rows]
    assert is_present.all()
    assert values.tolist() == wanted


def _as_truth(text):
    """The text with every `and`, `or` made a 0 or 1."""
    import ast

    class Truth(ast.NodeTransformer):
        def visit_BoolOp(self, node):
            self.generic_visit(node)
            return ast.Call(ast.Name("truth", ast.Load()), [node], [])

    return ast.unparse(ast.fix_missing_locations(Truth().visit(ast.parse(text, mode="eval"))))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+".join(["rating"] * 500), "holds more than 100 operations inside each other"),
        ("not " * 500 + "rating", "holds more than 100 operations inside each other"),
        ("-" * 3000 + "rating", "cannot be read as an expression"),
        ("(" * 500 + "rating" + ")" * 500, "cannot be read as an expression"),
        ("+".join(["rating"] * 5000), "has 34,999 characters, and 10,000 are allowed"),
        ("rating > 1" + "0" * 309, "holds a number beyond 1.8e308"),
        ("rating > 0x" + "f" * 9000, "holds a number beyond 1.8e308"),
        ("rating > 1e999", "holds a number beyond 1.8e308"),
        ("rating > 1" + "0" * 5000, "cannot be read as an expression"),
    ],
)
def test_what_is_too_much_is_one_short_message(text, expected):
    with pytest.raises(ValueError, match=re.escape(expected)) as caught:
        Expression.parse(text)
    assert len(str(caught.value)) < 600


def test_many_alternatives_are_no_depth():
    values, _ = Expression.parse(" or ".join(f"a == {n}" for n in range(500))).evaluate({"a": np.array([499, 500])})
    assert values.tolist() == [1, 0]
    assert Expression.parse("+".join(["a"] * 90)).evaluate({"a": np.array([2])})[0].tolist() == [180]
