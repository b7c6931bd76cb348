"""The text of a REST answer: json_tensor.cc prints it by RapidJSON's PrettyWriter."""

import pytest

from tests.serving.conformance.servers import Server
from tests.serving.conformance.test_rest_predict import PREDICT

TEXTS = {
    "rows": ({"instances": [0.1, -4.5e6, 2e-7, 3e15]}, "[2.05, -2249998.0, 2.0, 1.5e+15\n    ]"),
    "the last digits of a float": ({"instances": [-1.3333334]}, "[1.33333325\n    ]"),
    "numbers that are none": ({"instances": [float("nan"), float("inf")]}, "[NaN, Infinity\n    ]"),
    "matrix rows": ({"signature_name": "matrix", "instances": [[1], [2]]}, "[[2.0], [4.0]\n    ]"),
    "objects": (
        {"signature_name": "types", "instances": [{"int32": 1, "uint8": 2, "bool": False, "double": 0.1}]},
        None,
    ),
    "columns": ({"inputs": [1.0, 2.0]}, "[\n        2.5,\n        3.0\n    ]"),
    "no rows": ({"inputs": []}, "[]"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_the_layout_of_the_text(server: Server, case: str) -> None:
    """RapidJSON's PrettyWriter with single-line arrays inside rows; numbers as WriteDecimal prints them."""
    body, expected = TEXTS[case]
    status, text, headers = server.rest(PREDICT, body)
    assert status == 200
    assert headers["content-type"].startswith("application/json")
    key = "predictions" if "instances" in body else "outputs"
    if expected is not None:
        assert text == f'{{\n    "{key}": {expected}\n}}'
    else:
        lines = text.split("\n")
        assert lines[:3] == ["{", '    "predictions": [', "        {"]
        assert sorted(line.rstrip(",") for line in lines[3:7]) == [
            '            "bool": false',
            '            "double": 0.1',
            '            "int32": 1',
            '            "uint8": 2',
        ]
        assert lines[7:] == ["        }", "    ]", "}"]


def test_the_layout_of_bytes_in_a_row(server: Server) -> None:
    """An object has a line for each key, also where arrays are on one line; the order of the keys is any."""
    body = {"signature_name": "strings", "instances": [{"text": "a", "raw": "b"}]}
    status, text, _ = server.rest(PREDICT, body)
    assert status == 200
    indent = " " * 12
    members = [f'{indent}"text": "a"', f'{indent}"raw_bytes": {{\n{indent}    "b64": "Yg=="\n{indent}}}']
    expected = [",\n".join(order) for order in (members, members[::-1])]
    assert text in [f'{{\n    "predictions": [\n        {{\n{row}\n        }}\n    ]\n}}' for row in expected]
