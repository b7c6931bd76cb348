"""Classify and Regress as JSON: examples are objects of feature name to value or list of values."""

from typing import Any, Final

from tensorflow.core.example import example_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from serving.errors import invalid_argument
from serving.rest import json_text
from serving.rest.json_tensors import from_base64, is_base64
from serving.rest.json_text import as_name, decimals, encoded, type_of, value_error

_KINDS: Final = {"bytes_list": "bytes", "float_list": "float", "int64_list": "int64"}


def classification_request(values: dict[str, Any]) -> classification_pb2.ClassificationRequest:
    """The request without its `model_spec`. Raises `ServingError` (INVALID_ARGUMENT)."""
    return classification_pb2.ClassificationRequest(input=_input(values))


def regression_request(values: dict[str, Any]) -> regression_pb2.RegressionRequest:
    """The request without its `model_spec`. Raises `ServingError` (INVALID_ARGUMENT)."""
    return regression_pb2.RegressionRequest(input=_input(values))


def classification_json(response: classification_pb2.ClassificationResponse) -> str:
    """`results`: for each example a list of [label, score]."""
    rows = [[[c.label, decimals([c.score])[0]] for c in row.classes] for row in response.result.classifications]
    return json_text.rows("results", rows)


def regression_json(response: regression_pb2.RegressionResponse) -> str:
    """`results`: a value for each example."""
    return json_text.one_line({"results": decimals([r.value for r in response.result.regressions])}, 0)


def _input(values: dict[str, Any]) -> input_pb2.Input:
    context = _example(values["context"]) if "context" in values else None
    if "examples" not in values:
        raise value_error(values, "When method is classify, key 'examples' is expected and was not found")
    listed = values["examples"]
    if not isinstance(listed, list):
        raise value_error(values, "Expecting 'examples' value to be an list/array")
    if not listed:
        raise value_error(values, "'examples' value is an empty array")
    examples = [_example(value) for value in listed]
    if context is None:
        return input_pb2.Input(example_list=input_pb2.ExampleList(examples=examples))
    return input_pb2.Input(
        example_list_with_context=input_pb2.ExampleListWithContext(context=context, examples=examples)
    )


def _example(value: Any) -> example_pb2.Example:
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {type_of(value)}")
    example = example_pb2.Example()
    for key, content in value.items():
        name = key.partition("\0")[0]  # TensorFlow Serving takes it for a C string
        feature = example.features.feature[as_name(name)]
        feature.Clear()  # the last of a name counts
        for element in content if isinstance(content, list) else [content]:
            _append(feature, name, element)
    return example


def _append(feature: Any, name: str, value: Any) -> None:
    kind = _kind(name, value)
    found = feature.WhichOneof("kind")
    if found not in (None, kind):
        raise invalid_argument(f"Unexpected element type in feature: {name} expecting type: {_KINDS[found]}")
    getattr(feature, kind).value.append(_converted(name, value, kind))


def _kind(name: str, value: Any) -> str:
    """The list that the value goes to."""
    if isinstance(value, str) or is_base64(value):
        return "bytes_list"
    if isinstance(value, float) or (isinstance(value, int) and not -(1 << 63) <= value < 1 << 64):
        return "float_list"
    if not isinstance(value, int):
        raise invalid_argument(f"Feature: {name} has element with unexpected JSON type: {type_of(value)}")
    return "int64_list"


def _converted(name: str, value: Any, kind: str) -> bytes | float | int:
    """The value as that list holds it."""
    if kind == "bytes_list":
        return encoded(value) if isinstance(value, str) else from_base64(value)
    if kind == "float_list":
        return float(value)
    if value >= 1 << 63:
        raise invalid_argument(f"Feature: {name} has uint64_t element. Only int64_t is supported.")
    return int(value)
