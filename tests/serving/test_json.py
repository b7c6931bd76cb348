"""The REST API's JSON without a server: what it reads, and what it prints."""

import json

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tensorflow_serving.apis import get_model_metadata_pb2, model_pb2

from serving.errors import ServingError
from serving.rest import grisu, json_parser, json_show, json_text
from serving.rest.examples import classification_request
from serving.rest.json_tensors import to_array, to_lists
from serving.rest.message_json import message_json

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(LEAVES, lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=4), v, max_size=4))


@given(st.dictionaries(st.text(max_size=4), VALUES, max_size=4))
def test_every_layout_is_the_same_json(value: dict[str, object]) -> None:
    for text in (json_text.lines(value, 0), json_text.one_line(value, 0)):
        assert json.loads(text) == value
        assert (
            json_text.parse_object(text.encode("utf-8", "surrogatepass") if text.isascii() else text.encode()) == value
        )


@given(st.lists(VALUES.filter(lambda v: not isinstance(v, dict)), max_size=4))
def test_rows_are_the_same_json(values: list[object]) -> None:
    assert json.loads(json_text.rows("predictions", values)) == {"predictions": values}


@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        found = json_text.parse_object(body)
    except ServingError as error:
        found = {"code": error.code.name}
    assert found.get("code", "INVALID_ARGUMENT") == "INVALID_ARGUMENT"


WHOLE = st.integers(-(1 << 63), (1 << 64) - 1)


@given(st.lists(st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False) | st.text(), max_size=4))
def test_both_parsers_read_the_same(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1), json_show.show(value)):
        try:
            expected = json.loads(text)
        except ValueError:
            continue  # it was cut
        found = json_parser.parse(text.encode("utf-8", "surrogatepass"))
        assert found == expected


@given(st.floats(min_value=5e-324, allow_infinity=False))
def test_the_digits_of_a_double_say_it(value: float) -> None:
    text, power = grisu.digits(value)
    assert float(f"{text}e{power}") == value
    assert len(text) <= 18


@pytest.mark.parametrize(
    ("value", "text", "power"),
    [
        (0.25, "25", -2),
        (1e21, "1", 21),
        (2.0**64, "18446744073709553", 3),
        (2.0**-1022, "22250738585072014", -324),
        (5e-324, "5", -324),
        (1.7976931348623157e308, "17976931348623157", 292),
    ],
)
def test_the_digits_of_a_double_are_those_of_grisu2(value: float, text: str, power: int) -> None:
    assert grisu.digits(value) == (text, power)


def test_a_low_surrogate_alone_is_kept_as_its_bytes() -> None:
    assert to_array(json_text.parse_object(rb'{"a": "x\udc80"}')["a"], tf.string) == b"x\xed\xb2\x80"
    assert json_text.parse_object(rb'{"a": "\\ud83d\udc80"}')["a"].startswith("\\ud83d")


def test_names_that_are_no_utf8_are_names_that_nothing_has() -> None:
    values = json_text.parse_object(b'{"signature_name": "\xff", "examples": [{"\xe9": 1, "\xc3\xa9": 2}]}')
    assert json_text.signature_name(values) == "\ufffd"
    (example,) = classification_request(values).input.example_list.examples
    assert set(example.features.feature) == {"\ufffd", "é"}


def test_the_first_of_two_members_counts_where_the_body_is_unusual() -> None:
    assert json_text.parse_object(b'\xef\xbb\xbf{"a": 1, "a": 2}') == {"a": 1}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b" \n", "The document is empty. at offset: 2"),
        (b'{"\xc3\xa9": x}', "Invalid value. at offset: 7"),
        (b'{"a": "x', "Missing a closing quotation mark in string. at offset: 8"),
        (b'{"a": "\\x"}', "Invalid escape character in string. at offset: 7"),
        (b'{"a": {"b": [1, {"c": "]"} 2', r"Missing a comma or '\]' after an array element. at offset: 27"),
    ],
)
def test_messages_say_where(body: bytes, message: str) -> None:
    with pytest.raises(ServingError, match=message):
        json_text.parse_object(body)


@given(st.lists(st.floats(width=32), max_size=8))
def test_floats_are_printed_so_that_they_are_read_back(numbers: list[float]) -> None:
    array = np.array(numbers, np.float32)
    read = np.array(json.loads(json_text.one_line(to_lists(array, "y"), 0)), np.float32)
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.2, "0.2"), (9e6, "9e+06"), (3.0, "3.0"), (-0.0, "-0.0"), (16777216.0, "16777216.0"), (1 / 3, "0.333333343")],
)
def test_floats_have_six_digits_where_these_say_it_all(number: float, text: str) -> None:
    assert json_text.one_line(to_lists(np.array(number, np.float32), "y"), 0) == text


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        ([300, -1], tf.uint8, [44, 255]),
        ([1, 2.5], tf.float32, [1.0, 2.5]),
        ([[True], [False]], tf.bool, [[True], [False]]),
        ((1 << 64) - 1, tf.uint64, (1 << 64) - 1),
        ([[], []], tf.int32, [[], []]),
        ([{"b64": " eA "}, "é"], tf.string, [b"x", "é".encode()]),
    ],
)
def test_values_become_arrays(value: object, dtype: tf.DType, expected: object) -> None:
    assert to_array(value, dtype).tolist() == expected


@pytest.mark.parametrize(
    ("value", "dtype"), [(1 << 31, tf.int32), (-1, tf.uint64), (1 << 2000, tf.float32), (True, tf.int64), (1, tf.bool)]
)
def test_numbers_out_of_range_are_of_another_type(value: object, dtype: tf.DType) -> None:
    with pytest.raises(ServingError, match="is not of expected type"):
        to_array(value, dtype)


def test_members_of_a_message_are_in_the_order_of_their_numbers() -> None:
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name in "dcab":
        signatures.signature_def[name].outputs["y"].tensor_shape.unknown_rank = True
    signatures.signature_def["a"].method_name = "<m>"
    found = json.loads(message_json(signatures))["signature_def"]
    assert list(found) == ["a", "b", "c", "d"]
    assert list(found["a"]) == ["inputs", "outputs", "method_name", "defaults"]
    assert found["a"]["method_name"] == "<m>"
    assert list(found["a"]["outputs"]["y"]) == ["dtype", "tensor_shape"]
    assert list(found["a"]["outputs"]["y"]["tensor_shape"]) == ["dim", "unknown_rank"]


def test_the_layout_of_a_message() -> None:
    spec = model_pb2.ModelSpec(signature_name="<m>")
    spec.version.value = 3
    expected = '{\n "name": "",\n "version": "3",\n "signature_name": "\\u003cm\\u003e"\n}\n'
    assert message_json(spec) == expected
