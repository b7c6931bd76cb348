import datetime
import math

import numpy as np
import pyarrow as pa
import pytest

from pipeline.ingest.values import as_list, as_nanoseconds, as_number, as_text, as_time


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


DAY = 1577836800  # 2020-01-01T00:00:00Z


@pytest.mark.parametrize(
    ("column", "unit", "expected", "unparsable"),
    [
        (pa.array([str(DAY), "soon", "", None]), "s", [DAY, None, None, None], [0, 1, 0, 0]),
        (pa.array([DAY * 1000 + 999, -1]), "ms", [DAY, -1], [0, 0]),
        (pa.array([DAY * 10**9 + 1]), "ns", [DAY], [0]),
        (pa.array([881250949.0]), "s", [881250949], [0]),
        # Milliseconds taken for seconds lie 50,000 years ahead.
        (pa.array([DAY * 1000]), "s", [None], [1]),
        (pa.array([datetime.datetime(2020, 1, 1)]), "ms", [DAY], [0]),
        (pa.array([datetime.date(2020, 1, 1)]), "ms", [DAY], [0]),
        (
            pa.array([" 2020-01-01 ", "2020-01-01T01:00:00.5+01:00", "1.1.2020", None, "NULL", "nan"]),
            "iso8601",
            [DAY, DAY, None, None, None, None],
            [0, 0, 1, 0, 0, 0],
        ),
        # A time without an offset is UTC whatever stands before it.
        (
            pa.array(["2020-01-01T05:00:00+05:00", "2020-01-01T00:00:00", "2020-01-01 00:00Z", "2020-01-01"]),
            "iso8601",
            [DAY, DAY, DAY, DAY],
            [0, 0, 0, 0],
        ),
    ],
)
def test_times(column, unit, expected, unparsable):
    parsed = as_time(column, unit)
    assert parsed.values.to_pylist() == expected
    assert parsed.values.type == pa.int64()
    assert parsed.is_unparsable.tolist() == [bool(u) for u in unparsable]


@pytest.mark.parametrize(
    ("column", "unit", "expected"),
    [
        (pa.array([DAY * 1000 + 7, -1]), "ms", [DAY * 10**9 + 7 * 10**6, -(10**6)]),
        (pa.array([DAY * 10**6 + 7]), "us", [DAY * 10**9 + 7000]),
        (pa.array([DAY + 0.5, -0.25]), "s", [DAY * 10**9 + 5 * 10**8, -25 * 10**7]),
        (pa.array([str(DAY), None]), "s", [DAY * 10**9, None]),
        (pa.array(["2020-01-01T00:00:00.000001"]), "iso8601", [DAY * 10**9 + 1000]),
        (pa.array([datetime.datetime(2020, 1, 1, microsecond=3)]), "s", [DAY * 10**9 + 3000]),
    ],
)
def test_nanoseconds(column, unit, expected):
    assert as_nanoseconds(column, unit).values.to_pylist() == expected


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
