import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.server.errors import ServingError
from serving.server.json_tensors import answer_body, parse_body, read_inputs
from serving.server.servable import Signature

INT64, FLOAT, STRING = 9, 1, 7
TWO = Signature({"id": "id:0", "x": "x:0"}, {"id": STRING, "x": FLOAT}, {})
ONE = Signature({"x": "x:0"}, {"x": INT64}, {})


def inputs(body: Any, signature: Signature) -> tuple[dict[str, Any], bool]:
    arrays, by_row = read_inputs(parse_body(json.dumps(body).encode()), signature)
    return {name: array.tolist() for name, array in arrays.items()}, by_row


def test_rows_and_columns() -> None:
    columns = {"id": [b"a", b"\xff"], "x": [1.0, 0.5]}
    rows = [{"id": "a", "x": 1}, {"x": 0.5, "id": {"b64": "/w=="}}]
    assert inputs({"instances": rows}, TWO) == (columns, True)
    assert inputs({"inputs": {"id": ["a", {"b64": "/w=="}], "x": [1, 0.5]}}, TWO) == (columns, False)
    assert inputs({"instances": [1, 2]}, ONE) == ({"x": [1, 2]}, True)
    assert inputs({"inputs": [[1], [2]]}, ONE) == ({"x": [[1], [2]]}, False)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "one of the keys"),
        ({"instances": [1], "inputs": [1]}, "one of the keys"),
        ({"instances": []}, "one at least"),
        ({"inputs": {"x": [1], "y": [1]}}, "should be x. Received: x, y"),
        ({"inputs": [[1], [1, 2]]}, "one length"),
        ({"inputs": [1.5]}, "should hold int64. Received: '1.5'"),
        ({"inputs": [True]}, "should hold int64. Received: 'True'"),
        ({"inputs": [None]}, "should hold int64. Received: 'None'"),
        ({"inputs": [1 << 63]}, "too large|too big|out of bounds"),
        ({"inputs": [[[[[[[[[1]]]]]]]]]}, "nested 8 deep"),
        ({"inputs": [1] * 262_145}, "at most 262,144 elements"),
    ],
)
def test_what_is_wrong_is_named(body: Any, message: str) -> None:
    with pytest.raises(ServingError, match=message) as raised:
        inputs(body, ONE)
    assert raised.value.code.name == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"[" * 100_000, b'{"inputs": "\xff"}', b'{"instances": [{"id": 1}]}']
)
def test_bodies_that_are_no_request(body: bytes) -> None:
    with pytest.raises(ServingError) as raised:
        read_inputs(parse_body(body), TWO)
    assert raised.value.code.name == "INVALID_ARGUMENT"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_whatever_is_sent_is_read_or_refused(value: Any) -> None:
    for signature in (ONE, TWO):
        for body in ({"instances": value}, {"inputs": value}):
            with suppress(ServingError):
                inputs(body, signature)


def test_answers_as_rows_and_columns() -> None:
    outputs = {"raw_bytes": np.array([b"\xff", b""], object), "y": np.array([0.5, np.nan], np.float32)}
    rows = '{"predictions": [{"raw_bytes": {"b64": "/w=="}, "y": 0.5}, {"raw_bytes": {"b64": ""}, "y": NaN}]}'
    assert answer_body(outputs, by_row=True) == rows
    assert answer_body(outputs, by_row=False).startswith('{"outputs": {"raw_bytes": [{"b64": "/w=="}')
    assert answer_body({"y": np.array([1, 2])}, by_row=True) == '{"predictions": [1, 2]}'
    with pytest.raises(ServingError, match="no common number of rows"):
        answer_body({"y": np.array(1)}, by_row=True)
