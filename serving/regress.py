"""Regress: tf.Examples in, one value for each out.

A signature allows it by its form: one input `inputs`, one output `outputs`.
"""

from typing import Final

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import regression_pb2

from serving import examples
from serving.errors import invalid_argument
from serving.example_method import ExampleMethod
from serving.examples import shape_text, type_text
from serving.method_names import check_regress
from serving.repository import Repository
from serving.servable import Servable

_OUTPUTS: Final = "outputs"


def regress(repository: Repository, request: regression_pb2.RegressionRequest) -> regression_pb2.RegressionResponse:
    """One value for every example. Raises `ServingError` (INVALID_ARGUMENT, NOT_FOUND)."""
    return regress_with(repository.servable(request.model_spec), request)


def regress_with(servable: Servable, request: regression_pb2.RegressionRequest) -> regression_pb2.RegressionResponse:
    """As `regress`, by this version whatever the request's `model_spec` says of it."""
    response: regression_pb2.RegressionResponse = METHOD.answer(servable, request)
    return response


def tensor_names(signature: meta_graph_pb2.SignatureDef) -> list[str]:
    """The graph's name of the output. Raises `ServingError` (INVALID_ARGUMENT) when the form is another one."""
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    examples.input_name(signature, "regression")
    if _OUTPUTS not in signature.outputs:
        raise invalid_argument(f"No regression outputs found in SignatureDef: {signature}")
    return [signature.outputs[_OUTPUTS].name]


def result(
    signature: meta_graph_pb2.SignatureDef, rows: int, arrays: dict[str, np.ndarray]
) -> regression_pb2.RegressionResult:
    """RegressionResult of `rows` examples from the values by tensor name. Raises `ServingError`."""
    array = arrays[signature.outputs[_OUTPUTS].name]
    if not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)):
        raise invalid_argument(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {shape_text(array)}"
        )
    if len(array) != rows:
        raise invalid_argument(f"Input batch size did not match output batch size: {rows} vs. {len(array)}")
    if type_text(array) != "DT_FLOAT":
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {type_text(array)}")
    values = [regression_pb2.Regression(value=value) for value in array.reshape(-1).tolist()]
    return regression_pb2.RegressionResult(regressions=values)


METHOD: Final = ExampleMethod(
    "Regress", "regression", check_regress, tensor_names, result, regression_pb2.RegressionResponse
)
