import json
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving.server.calls import ServingError
from serving.server.tensors import (
    MAX_ELEMENTS,
    array_from_proto,
    fill_proto,
    inputs_from_json,
    outputs_to_json,
    parse_body,
)

ARRAYS = [
    np.array([[1.5, -2.0]], np.float32),
    np.array([0.1], np.float64),
    np.array([1 << 40, -1], np.int64),
    np.array([-5, 7], np.int32),
    np.array([-5, 7], np.int8),
    np.array([255], np.uint8),
    np.array([1 << 31], np.uint32),
    np.array([1 << 63], np.uint64),
    np.array([True, False]),
    np.array([[b"\xff", b""]], object),
    np.array(3, np.int32),
    np.zeros([0, 4], np.float32),
]
TWO = {"id": types_pb2.DT_STRING, "x": types_pb2.DT_FLOAT}
ONE = {"x": types_pb2.DT_INT64}


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_survive_a_round_trip(array: np.ndarray) -> None:
    written = tensor_pb2.TensorProto()
    fill_proto(array, written)
    for proto in (written, tf.make_tensor_proto(array)):
        found = array_from_proto(proto, "x")
        assert (found.dtype, found.shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(found, array)


def proto(dtype: int, shape: list[int], **values: Any) -> tensor_pb2.TensorProto:
    made = tensor_pb2.TensorProto(dtype=dtype, **values)
    for size in shape:
        made.tensor_shape.dim.add(size=size)
    return made


def test_fewer_values_than_elements_repeat_the_last_one() -> None:
    found = array_from_proto(proto(types_pb2.DT_FLOAT, [2, 2], float_val=[1.0, 4.0]), "x")
    np.testing.assert_array_equal(found, [[1.0, 4.0], [4.0, 4.0]])
    np.testing.assert_array_equal(array_from_proto(proto(types_pb2.DT_INT64, [2]), "x"), [0, 0])


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (proto(types_pb2.DT_STRING, [2_000_000], string_val=[b""]), "at most 262,144 elements are served"),
        (proto(types_pb2.DT_STRING, [2, 100_000], string_val=[b"x" * 5000]), "repeats the last string too often"),
        (proto(types_pb2.DT_FLOAT, [1 << 40, 1 << 40]), "at most 262,144 elements are served"),
        (proto(types_pb2.DT_FLOAT, [1 << 40, 1 << 40, 0]), "at most 262,144 elements are served"),
        (proto(types_pb2.DT_FLOAT, [-1]), "a dimension should not be negative"),
        (proto(types_pb2.DT_FLOAT, [1] * 9, float_val=[1.0]), "at most 8 dimensions"),
        (proto(types_pb2.DT_FLOAT, [1], float_val=[1.0, 2.0]), "should hold 1 values. Received: 2"),
        (proto(types_pb2.DT_FLOAT, [2], tensor_content=b"1234567"), "does not hold float32 of shape"),
        (proto(types_pb2.DT_STRING, [1], tensor_content=b"\0"), "does not hold object of shape"),
        (proto(types_pb2.DT_INT8, [1], int_val=[1000]), "a value is out of the range of int8"),
        (proto(types_pb2.DT_RESOURCE, [1]), "the dtype 20 is not served"),
        (proto(99, [1]), "the dtype 99 is not served"),
    ],
)
def test_malformed_protos_are_invalid_arguments(tensor: tensor_pb2.TensorProto, message: str) -> None:
    with pytest.raises(ServingError, match=message) as raised:
        array_from_proto(tensor, "x")
    assert raised.value.code.name == "INVALID_ARGUMENT"
    assert raised.value.message.startswith("input 'x': ")
    assert MAX_ELEMENTS == 262_144


def inputs(body: Any, dtypes: dict[str, int]) -> tuple[dict[str, Any], bool]:
    arrays, by_row = inputs_from_json(parse_body(json.dumps(body).encode()), dtypes)
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
        ({"instances": []}, "at least one row"),
        ({"inputs": {"x": [1], "y": [1]}}, "should be x. Received: x, y"),
        ({"inputs": [[1], [1, 2]]}, "equal lengths"),
        ({"inputs": [[1], 2]}, "equal lengths"),
        ({"inputs": [1.5]}, "should hold int64. Received: '1.5'"),
        ({"inputs": [True]}, "should hold int64. Received: 'True'"),
        ({"inputs": [None]}, "should hold int64. Received: 'None'"),
        ({"inputs": [1 << 63]}, "too large|too big|out of bounds"),
        ({"inputs": [[[[[[[[[1]]]]]]]]]}, "at most 8 dimensions"),
        ({"inputs": [1] * 262_145}, "at most 262,144 elements"),
    ],
)
def test_wrong_inputs_are_named(body: Any, message: str) -> None:
    with pytest.raises(ServingError, match=message) as raised:
        inputs(body, ONE)
    assert raised.value.code.name == "INVALID_ARGUMENT"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[1]", b"[" * 100_000, b'{"inputs": "\xff"}', b'{"instances": [{"id": 1}]}']
)
def test_malformed_bodies_are_invalid_arguments(body: bytes) -> None:
    with pytest.raises(ServingError) as raised:
        inputs_from_json(parse_body(body), TWO)
    assert raised.value.code.name == "INVALID_ARGUMENT"


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=8))
def test_any_value_is_read_or_refused(value: Any) -> None:
    for dtypes in (ONE, TWO):
        for body in ({"instances": value}, {"inputs": value}):
            with suppress(ServingError):
                inputs(body, dtypes)


def test_answers_as_rows_and_columns() -> None:
    outputs = {"raw_bytes": np.array([b"\xff", b""], object), "y": np.array([0.5, np.nan], np.float32)}
    rows = '{"predictions": [{"raw_bytes": {"b64": "/w=="}, "y": 0.5}, {"raw_bytes": {"b64": ""}, "y": NaN}]}'
    assert outputs_to_json(outputs, by_row=True) == rows
    assert outputs_to_json(outputs, by_row=False).startswith('{"outputs": {"raw_bytes": [{"b64": "/w=="}')
    assert outputs_to_json({"y": np.array([1, 2])}, by_row=True) == '{"predictions": [1, 2]}'
    assert outputs_to_json({"y": np.array(b"\xff", object)}, by_row=False) == '{"outputs": "\\ufffd"}'
    with pytest.raises(ServingError, match="no common number of rows"):
        outputs_to_json({"y": np.array(1)}, by_row=True)
