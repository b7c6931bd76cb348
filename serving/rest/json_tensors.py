"""Predict requests and responses as JSON, in TensorFlow Serving's row form (`instances`) and column form (`inputs`)."""

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final, Literal

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from google.protobuf.message import Message
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving import tensors
from serving.errors import invalid_argument

Form = Literal["predictions", "outputs"]
_SHOWN: Final = 256


def parse_body(body: bytes) -> dict[str, Any]:
    """The body's JSON object. Raises `ServingError` (INVALID_ARGUMENT)."""
    if not body:
        raise invalid_argument("JSON Parse error: The document is empty")
    try:
        values = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid_argument(f"JSON Parse error: {error}") from error
    if not isinstance(values, dict):
        raise invalid_argument(f"JSON Value: {_show(values)} Is not object")
    if not isinstance(values.get("signature_name", ""), str):
        raise invalid_argument(
            f"JSON Value: {_show(values)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return values


def fill_request(
    values: dict[str, Any], signature: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest
) -> Form:
    """Puts the tensors of `instances` or `inputs` into the request. Returns the form of the answer."""
    if "instances" in values and "inputs" in values:
        raise invalid_argument(
            f"JSON Value: {_show(values)} Not formatted correctly expecting only one of 'inputs' or 'instances' keys "
            "to exist "
        )
    if "instances" in values:
        columns, form = _from_instances(values["instances"], list(signature.inputs)), "predictions"
    elif "inputs" in values:
        columns, form = _from_inputs(values["inputs"], list(signature.inputs)), "outputs"
    else:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    for name, value in columns.items():
        array = _to_array(value, tf.as_dtype(signature.inputs[name].dtype), name)
        tensors.fill_proto(array, request.inputs[name])
    return "predictions" if form == "predictions" else "outputs"


def response_json(response: predict_pb2.PredictResponse, form: Form) -> str:
    """The response's tensors as `predictions`, a list of rows, or `outputs`, a list or object of columns."""
    arrays = {name: tensors.to_array(proto, name) for name, proto in response.outputs.items()}
    if form == "outputs":
        columns = {name: _to_lists(array, name) for name, array in arrays.items()}
        return dump({"outputs": columns if len(columns) > 1 else next(iter(columns.values()))})
    sizes = {name: len(array) if array.ndim else None for name, array in arrays.items()}
    if None in sizes.values():
        name = next(name for name, size in sizes.items() if size is None)
        raise invalid_argument(f"Tensor name: {name} has no shape information ")
    if len(set(sizes.values())) > 1:
        raise invalid_argument(f"Tensors have inconsistent batch size: {sizes}")
    columns = {name: _to_lists(array, name) for name, array in arrays.items()}
    if len(columns) == 1:
        return dump({"predictions": next(iter(columns.values()))})
    return dump({"predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]})


def message_json(message: Message) -> str:
    """A status or metadata response as TensorFlow Serving prints it."""
    return json_format.MessageToJson(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True, indent=1
    )


def _from_instances(instances: Any, inputs: list[str]) -> dict[str, Any]:
    if not isinstance(instances, list):
        raise invalid_argument(f"JSON Value: {_show(instances)} Expecting 'instances' to be an list/array")
    if not instances:
        raise invalid_argument("No values in 'instances' array")
    named = [_is_named(instance) for instance in instances]
    if not named[0] and len(inputs) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    if len(set(named)) > 1:
        raise invalid_argument(
            f"Expecting {'object' if named[0] else 'value/list'} at item {named.index(not named[0])}"
        )
    if not named[0]:
        return {inputs[0]: instances}
    for number, instance in enumerate(instances):
        if set(instance) != set(inputs):
            raise invalid_argument(
                f"Failed to process element: {number} of 'instances' list. JSON object: {_show(instance)} "
                f"keys must be equal to: {','.join(sorted(inputs))}"
            )
    return {name: [instance[name] for instance in instances] for name in inputs}


def _from_inputs(values: Any, inputs: list[str]) -> dict[str, Any]:
    if not _is_named(values):
        if len(inputs) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        return {inputs[0]: values}
    for name in inputs:
        if name not in values:
            raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
    return {name: values[name] for name in inputs}


def _to_array(value: Any, dtype: tf.DType, name: str) -> np.ndarray:
    """Nested lists as an array: level by level, each list of a level as long as the first."""
    shape: list[int] = []
    level, probe = [value], value
    while isinstance(probe, list):
        if not all(isinstance(v, list) and len(v) == len(probe) for v in level):
            raise invalid_argument(f"{name}: every list at level {len(shape)} should hold {len(probe)} values")
        shape.append(len(probe))
        level = list(chain.from_iterable(level))
        probe = level[0] if level else None
    leaves = _leaves(level, dtype, name)
    try:
        return np.array(leaves, dtype=dtype.as_numpy_dtype).reshape(shape)
    except OverflowError as error:
        raise invalid_argument(f"{name}: {error}; expected type: {dtype.name}") from error


def _leaves(values: list[Any], dtype: tf.DType, name: str) -> list[Any]:
    if dtype == tf.string:
        return [_bytes(value, name) for value in values]
    fits = _check(dtype)
    for value in values:
        if not fits(value):
            raise invalid_argument(
                f"JSON Value: {_show(value)} Type: {type(value).__name__} is not of expected type: {dtype.name}"
            )
    return values


def _check(dtype: tf.DType) -> Callable[[Any], bool]:
    if dtype == tf.bool:
        return lambda value: isinstance(value, bool)
    kind = int | float if dtype.is_floating else int
    return lambda value: isinstance(value, kind) and not isinstance(value, bool)


def _bytes(value: Any, name: str) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not _is_base64(value):
        raise invalid_argument(f"JSON Value: {_show(value)} of {name} is not of expected type: string")
    try:
        return base64.b64decode(value["b64"], validate=True)
    except binascii.Error as error:
        raise invalid_argument("Unable to base64 decode") from error


def _is_base64(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not _is_base64(value)


def _to_lists(array: np.ndarray, name: str) -> Any:
    """Lists of JSON values; bytes of a tensor whose name ends with `_bytes` as base64."""
    if array.dtype != object:
        return decimals(array) if array.dtype.kind == "f" else array.tolist()
    flat: Iterable[Any] = array.reshape(-1).tolist()
    if name.endswith("_bytes"):
        values: list[Any] = [{"b64": base64.b64encode(value).decode()} for value in flat]
    else:
        values = [value.decode("utf-8", "replace") for value in flat]
    return np.fromiter(values, object, len(values)).reshape(array.shape).tolist()


@dataclass(frozen=True, slots=True)
class Decimal:
    """A number as it is printed."""

    text: str


def decimals(values: Any) -> list[Any]:
    """Floats as TensorFlow Serving prints them: with six digits where these say it all, else with enough.

    `values` is an array, or a list of what was float32.
    """
    array = np.asarray(values, getattr(values, "dtype", np.float32))
    flat, digits = array.reshape(-1), 9 if array.dtype.itemsize <= 4 else 17
    numbers = flat.tolist()
    short = np.array([f"{number:.6g}" for number in numbers], dtype=object).astype(array.dtype)
    exact = (short == flat) | ~np.isfinite(flat)
    texts = [Decimal(_decimal(n, 6 if same else digits)) for n, same in zip(numbers, exact.tolist(), strict=True)]
    listed: list[Any] = np.fromiter(texts, object, len(texts)).reshape(array.shape).tolist()
    return listed


def _decimal(value: float, digits: int) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    text = f"{float(value):.{digits}g}"
    return text if "." in text or "e" in text else f"{text}.0"


def dump(values: dict[str, Any]) -> str:
    """JSON text of a response."""
    return _text(values, 0)


def _text(value: Any, depth: int) -> str:
    """Objects and lists of objects over several lines, plain lists on one."""
    if isinstance(value, dict) and value:
        inner = ",\n".join(f"{_pad(depth + 1)}{json.dumps(k)}: {_text(v, depth + 1)}" for k, v in value.items())
        return f"{{\n{inner}\n{_pad(depth)}}}"
    if isinstance(value, list) and value and isinstance(value[0], dict | list):
        inner = ",\n".join(_pad(depth + 1) + _text(v, depth + 1) for v in value)
        return f"[\n{inner}\n{_pad(depth)}]"
    if isinstance(value, list):
        return f"[{', '.join(_text(v, depth) for v in value)}]"
    return value.text if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def _pad(depth: int) -> str:
    return "    " * depth


def _show(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:_SHOWN]
