import math

import numpy as np
import pyarrow as pa
import pytest

from pipeline.ingest.times import as_time
from pipeline.ingest.values import as_list, as_number, as_text


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a", " ", "", None, " b"]), ["a", None, None, None, "b"]),
        (pa.array([7, None]), ["7", None]),
        (pa.array([7.0, 2.5, math.nan, None]), ["7", "2.5", None, None]),
        (pa.array([True, None]), ["true", None]),
        (pa.array([None, None]), [None, None]),
        (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
        (pa.array([[b"x"], [], None, [b"y", b"z"]]), ["x", None, None, "y"]),
        (pa.chunked_array([["a"], ["b"]]), ["a", "b"]),
    ],
)
def test_text(column, expected):
    assert as_text(column).to_pylist() == expected


@pytest.mark.parametrize(
    ("column", "expected", "unparsable"),
    [
        (pa.array(["1", " 2.5 ", "-3e2"]), [1, 2.5, -300], [0, 0, 0]),
        (pa.array(["NaN", "null", "N/A", "\\N", " ", None]), [None] * 6, [0] * 6),
        (pa.array(["true", "False", "good", "inf"]), [1, 0, None, None], [0, 0, 1, 1]),
        (pa.array([1, None], pa.int8()), [1, None], [0, 0]),
        (pa.array([math.nan, math.inf]), [None, None], [0, 1]),
        (pa.array([True, None]), [1, None], [0, 0]),
        (pa.array([[5], [], [6, 7]]), [5, None, 6], [0, 0, 0]),
        (pa.array([None]), [None], [0]),
    ],
)
def test_numbers(column, expected, unparsable):
    parsed = as_number(column)
    assert parsed.values.to_pylist() == expected
    assert parsed.is_unparsable.tolist() == [bool(u) for u in unparsable]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["a|b", "a| |", "", None]), [["a", "b"], ["a"], None, None]),
        (pa.array([["a", None, " b "], [], None]), [["a", "b"], None, None]),
        (pa.array([[1, 2]]), [["1", "2"]]),
        (pa.array([None, None]), [None, None]),
        (pa.array([[b"x", b"y"]]), [["x", "y"]]),
    ],
)
def test_lists(column, expected):
    assert as_list(column, "|").to_pylist() == expected


def test_lists_of_a_slice():
    column = pa.array(["x", "a|b", "c"]).slice(1)
    assert as_list(column, "|").to_pylist() == [["a", "b"], ["c"]]
    assert as_list(pa.array([["x"], ["a", "b"], []]).slice(1), "|").to_pylist() == [["a", "b"], None]


def test_empty_columns():
    empty = pa.array([], pa.string())
    assert as_text(empty).to_pylist() == []
    assert as_number(empty).values.to_pylist() == []
    assert as_time(empty, "iso8601").is_unparsable.dtype == np.bool_
    assert as_list(empty, "|").to_pylist() == []
