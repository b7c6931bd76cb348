"""Bodies that are no JSON, and values as errors show them: json_tensor.cc on RapidJSON 1.1.0 (reader.h, error/en.h,
prettywriter.h, internal/dtoa.h)."""

import pytest

from tests.serving.conformance.servers import Server
from tests.serving.conformance.test_rest_predict import PREDICT

ESCAPE = "Invalid escape character in string."
NAME = "Missing a name for object member."
OBJECT = "Missing a comma or '}' after an object member."
NOT_PARSED: dict[bytes, tuple[str, int]] = {
    b" \n": ("The document is empty.", 2),
    b"]": ("The document is empty.", 0),
    b"<x>": ("Invalid value.", 0),
    b"{": (NAME, 1),
    b"{1: 2}": (NAME, 1),
    b'{"a": 1,}': (NAME, 8),
    b'{"a"': ("Missing a colon after a name of object member.", 4),
    b'{"a" 1}': ("Missing a colon after a name of object member.", 5),
    b'{"a":': ("Invalid value.", 5),
    b'{"a": 1': (OBJECT, 7),
    b'{"a": [1] 2}': (OBJECT, 10),
    b'{"a": 01}': (OBJECT, 7),
    b'{"a": [1 2]}': ("Missing a comma or ']' after an array element.", 9),
    b'{"instances": [1,]}': ("Invalid value.", 17),
    b'{"a": nul}': ("Invalid value.", 9),
    b'{"a": -}': ("Invalid value.", 7),
    b'{"a": 1.}': ("Miss fraction part in number.", 8),
    b'{"a": 1e}': ("Miss exponent in number.", 8),
    b'{"a': ("Missing a closing quotation mark in string.", 3),
    b'{"a": "b\xc3\xa9': ("Missing a closing quotation mark in string.", 10),
    b'{"a": "\x01"}': (ESCAPE, 7),
    b'{"a": "\\q"}': (ESCAPE, 7),
    b'{"a": "\\u12x4"}': ("Incorrect hex digit after \\u escape in string.", 7),
    b'{"a": "\\ud800"}': ("The surrogate pair in string is invalid.", 7),
}


@pytest.mark.parametrize("body", NOT_PARSED)
def test_what_is_no_json(server: Server, body: bytes) -> None:
    """The offset counts bytes, up to where the parser stopped."""
    message, offset = NOT_PARSED[body]
    assert server.error(PREDICT, body) == (400, f"JSON Parse error: {message} at offset: {offset}")


@pytest.mark.parametrize("body", [b'\xef\xbb\xbf{"instances": [1]}', b'{"instances": [1]}]', b'{"instances": [1]} {'])
def test_a_byte_order_mark_and_what_follows_are_passed_over(server: Server, body: bytes) -> None:
    assert server.json(PREDICT, body) == {"predictions": [2.5]}


def test_infinity_has_a_short_name(server: Server) -> None:
    status, text, _ = server.rest(PREDICT, b'{"instances": [Inf, -Inf, -NaN]}')
    assert (status, text) == (200, '{\n    "predictions": [Infinity, -Infinity, NaN\n    ]\n}')


NUMBERS = {
    "1e21": "1e21",
    "1e20": "100000000000000000000.0",
    "1.5e-7": "1.5e-7",
    "1e-5": "0.00001",
    "-0.0": "-0.0",
    "2.50": "2.5",
    "12345678901234567890": "12345678901234567890",
    "18446744073709551616": "18446744073709553000.0",  # Grisu2 does not round beyond nine digits after its point
    "9007199254740993.0": "9007199254740992.0",
    "1e-300": "1e-300",
    "9.5367431640625e-7": "9.5367431640625e-7",
}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_number_that_is_wrong_is_shown(server: Server, number: str) -> None:
    body = f'{{"signature_name": "two_inputs", "inputs": {{"a": [{number}], "b": [1]}}}}'
    message = f"JSON Value: {NUMBERS[number]} Type: Number is not of expected type: int64"
    assert server.error(PREDICT, body.encode()) == (400, message)


NO_LIST = "Expecting 'instances' to be an list/array"


def test_a_long_value_is_shown_up_to_the_token_that_fills_256_bytes(server: Server) -> None:
    """A token is not cut: a string may be of any length."""
    shown = '{\n    "instances": "' + "é" * 300 + '"'
    assert server.error(PREDICT, {"instances": "é" * 300}) == (400, f"JSON Value: {shown} {NO_LIST}")
    shown, number = '{\n    "rows": [0', 1
    while len(shown) < 256:
        shown, number = f"{shown}, {number}", number + 1
    assert server.error(PREDICT, {"rows": list(range(300)), "instances": 1}) == (400, f"JSON Value: {shown} {NO_LIST}")


def test_a_value_is_shown_up_to_a_number_that_is_none(server: Server) -> None:
    """RapidJSON's Writer writes no NaN unless it is told to."""
    shown = 'JSON Value: {\n    "x": [1, '
    assert server.error(PREDICT, b'{"x": [1, NaN, 2], "instances": 1}') == (400, f"{shown} {NO_LIST}")


def test_control_characters_are_escaped_in_upper_case(server: Server) -> None:
    """writer.h: WriteString."""
    body = {"signature_name": "strings", "inputs": {"text": ["\x1b\x7f\n"], "raw": [""]}}
    status, text, _ = server.rest(PREDICT, body)
    assert status == 200
    assert '"\\u001B\x7f\\n"' in text


@pytest.mark.parametrize("text", ["eA=", "eA===", "e", "e===", "="])
def test_base64_is_padded_in_full_or_not_at_all(server: Server, text: str) -> None:
    """absl::Base64Unescape."""
    body = {"signature_name": "strings", "inputs": {"text": [{"b64": text}], "raw": [""]}}
    assert server.error(PREDICT, body) == (400, "Unable to base64 decode")
