"""Classify: tf.Examples in, labels with scores out.

A signature allows it by its form: one input `inputs`, outputs `classes`, `scores` or both.
"""

from typing import Any, Final

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2

from serving import examples
from serving.errors import invalid_argument
from serving.example_method import ExampleMethod
from serving.examples import shape_text, type_text
from serving.method_names import check_classify
from serving.repository import Repository
from serving.servable import Servable

_OUTPUTS: Final = ("classes", "scores")


def classify(
    repository: Repository, request: classification_pb2.ClassificationRequest
) -> classification_pb2.ClassificationResponse:
    """The classes of every example. Raises `ServingError` (INVALID_ARGUMENT, NOT_FOUND)."""
    return classify_with(repository.servable(request.model_spec), request)


def classify_with(
    servable: Servable, request: classification_pb2.ClassificationRequest
) -> classification_pb2.ClassificationResponse:
    """As `classify`, by this version whatever the request's `model_spec` says of it."""
    response: classification_pb2.ClassificationResponse = METHOD.answer(servable, request)
    return response


def tensor_names(signature: meta_graph_pb2.SignatureDef) -> list[str]:
    """The graph's names of the outputs. Raises `ServingError` (INVALID_ARGUMENT) when the form is another one."""
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid_argument(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    examples.input_name(signature, "classification")
    if not any(alias in signature.outputs for alias in _OUTPUTS):
        raise invalid_argument(
            "Expected classification signature outputs to contain at least one of "
            f'"classes" or "scores". Signature was: {signature}'
        )
    return [signature.outputs[alias].name for alias in _OUTPUTS if alias in signature.outputs]


def result(signature: meta_graph_pb2.SignatureDef, rows: int, arrays: dict[str, np.ndarray]) -> Any:
    """ClassificationResult of `rows` examples from the values by tensor name. Raises `ServingError`."""
    found = {alias: arrays[signature.outputs[alias].name] for alias in _OUTPUTS if alias in signature.outputs}
    for alias, array in found.items():
        _check(alias, array, rows)
    widths = [array.shape[1] for array in found.values()]
    if len(set(widths)) > 1:
        raise invalid_argument(f"Tensors class and score should match in dim_size(1). Got {widths[0]} vs. {widths[1]}")
    classes = found["classes"].tolist() if "classes" in found else [[b""] * widths[0]] * rows
    scores = found["scores"].tolist() if "scores" in found else [[0.0] * widths[0]] * rows
    made = classification_pb2.ClassificationResult()
    for labels, values in zip(classes, scores, strict=True):
        added = made.classifications.add().classes
        for label, score in zip(labels, values, strict=True):
            added.add(label=label.decode("utf-8", "replace"), score=score)
    return made


def _check(alias: str, array: np.ndarray, rows: int) -> None:
    wanted = "DT_STRING" if alias == "classes" else "DT_FLOAT"
    if array.ndim != 2:
        raise invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got {shape_text(array)}")
    if type_text(array) != wanted:
        raise invalid_argument(f"Expected {alias} Tensor of {wanted}. Got: {type_text(array)}")
    if len(array) != rows:
        raise invalid_argument(f"Expected {alias} output batch size of {rows}. Got: {len(array)}")


METHOD: Final = ExampleMethod(
    "Classify", "classification", check_classify, tensor_names, result, classification_pb2.ClassificationResponse
)
