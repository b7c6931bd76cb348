"""Predict requests and responses as JSON, in TensorFlow Serving's row form (`instances`) and column form (`inputs`)."""

from typing import Any, Literal

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import predict_pb2

from serving import tensors
from serving.errors import ServingError, invalid_argument
from serving.rest import json_text
from serving.rest.json_show import show
from serving.rest.json_tensors import is_base64, shape_of, to_array, to_lists
from serving.rest.json_text import value_error

Form = Literal["predictions", "outputs"]


def fill_request(
    values: dict[str, Any], signature: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest
) -> Form:
    """Puts the tensors of `instances` or `inputs` into the request. Returns the form of the answer."""
    types = {name: tf.as_dtype(info.dtype) for name, info in signature.inputs.items()}
    if not types:
        raise invalid_argument(
            f"Failed to get input map for signature: {request.model_spec.signature_name or 'DEFAULT'}"
        )
    if "instances" in values and "inputs" in values:
        raise value_error(
            values, "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist "
        )
    form: Form = "predictions" if "instances" in values else "outputs"
    if form == "predictions":
        arrays = _from_instances(values, types)
    elif "inputs" in values:
        arrays = _from_inputs(values["inputs"], types)
    else:
        raise invalid_argument("Missing 'inputs' or 'instances' key")
    for name, array in arrays.items():
        tensors.fill_proto(array, request.inputs[name])
    return form


def response_json(response: predict_pb2.PredictResponse, form: Form) -> str:
    """The response's tensors as `predictions`, a list of rows, or `outputs`, a list or object of columns."""
    arrays = {name: tensors.to_array(proto, name) for name, proto in response.outputs.items()}
    if not arrays:
        raise invalid_argument("Cannot convert empty tensor map to JSON")
    if form == "predictions":
        _check_rows(arrays)
    columns = {name: to_lists(array, name) for name, array in arrays.items()}
    only = next(iter(columns.values())) if len(columns) == 1 else None
    if form == "outputs":
        return json_text.lines({"outputs": columns if only is None else only}, 0)
    if only is not None:
        return json_text.rows("predictions", only)
    named = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return json_text.rows("predictions", named, named=True)


def _from_instances(values: dict[str, Any], types: dict[str, tf.DType]) -> dict[str, np.ndarray]:
    instances = values["instances"]
    if not isinstance(instances, list):
        raise value_error(values, "Expecting 'instances' to be an list/array")
    if not instances:
        raise value_error(values, "No values in 'instances' array")
    if not isinstance(instances[0], dict) and len(types) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = _is_named(instances[0])
    try:
        if named and all(_is_named(item) and item.keys() == types.keys() for item in instances):
            return {name: to_array([item[name] for item in instances], dtype) for name, dtype in types.items()}
        if not named and not any(map(_is_named, instances)):
            name, dtype = next(iter(types.items()))
            return {name: to_array(instances, dtype)}
    except ServingError as error:
        raise _first_error(instances, named, types) or error from error
    raise _first_error(instances, named, types) or invalid_argument(f"JSON Value: {show(instances)} is not valid")


def _first_error(instances: list[Any], named: bool, types: dict[str, tf.DType]) -> ServingError | None:
    """What is wrong with the first of the instances that something is wrong with."""
    shapes: dict[str, list[int]] = {}
    for number, item in enumerate(instances):
        if named != _is_named(item):
            found, wanted = ("list", "object") if named else ("object", "value/list")
            return invalid_argument(f"Expecting {wanted} but got {found} at item {number} of input list")
        for name, value in item.items() if named else [(next(iter(types)), item)]:
            error = _item_error(name, value, types, shapes)
            if error is not None:
                key = f" key: {name}" if named else ""
                return invalid_argument(
                    f"Failed to process element: {number}{key} of 'instances' list. Error: {error.status}"
                )
        if named and item.keys() != types.keys():
            return invalid_argument(
                f"Failed to process element: {number} of 'instances' list. JSON object: {show(item)} "
                f"keys must be equal to: {','.join(sorted(types))}"
            )
    return None


def _item_error(name: str, value: Any, types: dict[str, tf.DType], shapes: dict[str, list[int]]) -> ServingError | None:
    if name not in types:
        return invalid_argument(f"JSON object: does not have named input: {name}")
    try:
        size = to_array(value, types[name]).size
    except ServingError as error:
        return error
    shape = shape_of(value)
    first = shapes.setdefault(name, shape)
    if np.prod(first) != size:
        return invalid_argument(f"Expecting tensor size: {np.prod(first, dtype=int)} but got: {size}")
    if first != shape:
        return invalid_argument(f"Expecting shape {_shape_text(first)} but got: {_shape_text(shape)}")
    return None


def _from_inputs(values: Any, types: dict[str, tf.DType]) -> dict[str, np.ndarray]:
    if _is_named(values):
        for name in types:
            if name not in values:
                raise invalid_argument(f"Missing named input: {name} in 'inputs' object.")
        return {name: to_array(values[name], dtype) for name, dtype in types.items()}
    if len(types) > 1:
        raise invalid_argument(
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map"
        )
    return {name: to_array(values, dtype) for name, dtype in types.items()}


def _check_rows(arrays: dict[str, np.ndarray]) -> None:
    size = None
    for name, array in arrays.items():
        if not array.ndim:
            raise invalid_argument(f"Tensor name: {name} has no shape information ")
        if size is not None and len(array) != size:
            raise invalid_argument(f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {size}")
        size = len(array)


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def _shape_text(shape: list[int]) -> str:
    return f"[{','.join(map(str, shape))}]"
