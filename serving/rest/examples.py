"""Classify and Regress as JSON: examples are objects of feature name to value or list of values."""

import base64
import binascii
from typing import Any

from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from serving.errors import invalid_argument
from serving.rest.json_tensors import decimals, dump


def classification_request(values: dict[str, Any]) -> classification_pb2.ClassificationRequest:
    """The request without its `model_spec`. Raises `ServingError` (INVALID_ARGUMENT)."""
    return classification_pb2.ClassificationRequest(input=_input(values))


def regression_request(values: dict[str, Any]) -> regression_pb2.RegressionRequest:
    """The request without its `model_spec`. Raises `ServingError` (INVALID_ARGUMENT)."""
    return regression_pb2.RegressionRequest(input=_input(values))


def classification_json(response: classification_pb2.ClassificationResponse) -> str:
    """`results`: for each example a list of [label, score]."""
    rows = [[[c.label, decimals([c.score])[0]] for c in row.classes] for row in response.result.classifications]
    return dump({"results": rows})


def regression_json(response: regression_pb2.RegressionResponse) -> str:
    """`results`: a value for each example."""
    return dump({"results": decimals([r.value for r in response.result.regressions])})


def _input(values: dict[str, Any]) -> input_pb2.Input:
    listed = values.get("examples")
    if not isinstance(listed, list) or not listed:
        raise invalid_argument("'examples' is expected to be a list that is not empty")
    examples = [_example(value) for value in listed]
    if "context" not in values:
        return input_pb2.Input(example_list=input_pb2.ExampleList(examples=examples))
    context = _example(values["context"])
    return input_pb2.Input(
        example_list_with_context=input_pb2.ExampleListWithContext(context=context, examples=examples)
    )


def _example(value: Any) -> example_pb2.Example:
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {type(value).__name__}")
    example = example_pb2.Example()
    for name, content in value.items():
        _fill(example.features.feature[name], name, content if isinstance(content, list) else [content])
    return example


def _fill(feature: Any, name: str, values: list[Any]) -> None:
    if all(isinstance(v, str | dict) for v in values):
        feature.bytes_list.value.extend(_bytes(v, name) for v in values)
    elif any(isinstance(v, bool) or not isinstance(v, int | float) for v in values):
        raise invalid_argument(f"Unexpected element type in feature: {name}")
    elif all(isinstance(v, int) for v in values):
        if any(not -(1 << 63) <= v < 1 << 63 for v in values):
            raise invalid_argument(f"Unexpected element type in feature: {name}: out of the range of int64")
        feature.int64_list.value.extend(values)
    elif any(isinstance(v, int) for v in values):
        raise invalid_argument(f"Unexpected element type in feature: {name}: whole and decimal numbers mixed")
    else:
        feature.float_list.value.extend(values)


def _bytes(value: Any, name: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    try:
        return base64.b64decode(value["b64"], validate=True)
    except (KeyError, TypeError, binascii.Error) as error:
        raise invalid_argument(f"{name}: should be text or {{'b64': base64 text}}") from error
