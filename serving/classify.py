"""Classify, Regress and MultiInference: tf.Examples in, labels with scores or values out.

A signature allows them by its form: one input `inputs`; outputs `classes` and/or `scores`, or `outputs`.
"""

from typing import Any, Final

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, regression_pb2

from serving.errors import invalid_argument
from serving.predict import DEFAULT_SIGNATURE, resolved_spec
from serving.repository import Repository
from serving.servable import Servable

CLASSIFY_METHOD: Final = "tensorflow/serving/classify"
REGRESS_METHOD: Final = "tensorflow/serving/regress"


def classify(
    repository: Repository, request: classification_pb2.ClassificationRequest
) -> classification_pb2.ClassificationResponse:
    """The classes of every example. Raises `ServingError` (INVALID_ARGUMENT, NOT_FOUND)."""
    servable, name = _servable(repository, request.model_spec)
    response = classification_pb2.ClassificationResponse(
        model_spec=resolved_spec(servable, request.model_spec.name, name)
    )
    response.result.CopyFrom(_classification(servable, name, request.input))
    return response


def regress(repository: Repository, request: regression_pb2.RegressionRequest) -> regression_pb2.RegressionResponse:
    """One value for every example. Raises `ServingError` (INVALID_ARGUMENT, NOT_FOUND)."""
    servable, name = _servable(repository, request.model_spec)
    response = regression_pb2.RegressionResponse(model_spec=resolved_spec(servable, request.model_spec.name, name))
    response.result.CopyFrom(_regression(servable, name, request.input))
    return response


def multi_inference(
    repository: Repository, request: inference_pb2.MultiInferenceRequest
) -> inference_pb2.MultiInferenceResponse:
    """Several classifications and regressions of the same examples. Raises `ServingError`."""
    if len({task.model_spec.name for task in request.tasks}) > 1:
        raise invalid_argument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
    names = [task.model_spec.signature_name or DEFAULT_SIGNATURE for task in request.tasks]
    if len(set(names)) < len(names):
        raise invalid_argument(f"Duplicate evaluation of signature: {max(names, key=names.count)}")
    response = inference_pb2.MultiInferenceResponse()
    for task in request.tasks:
        servable, name = _servable(repository, task.model_spec)
        result = response.results.add(model_spec=resolved_spec(servable, task.model_spec.name, name))
        if task.method_name == CLASSIFY_METHOD:
            result.classification_result.CopyFrom(_classification(servable, name, request.input))
        elif task.method_name == REGRESS_METHOD:
            result.regression_result.CopyFrom(_regression(servable, name, request.input))
        else:
            raise invalid_argument(f"Unsupported signature method_name: {task.method_name}")
    return response


def _servable(repository: Repository, spec: Any) -> tuple[Servable, str]:
    return repository.servable(spec), spec.signature_name or DEFAULT_SIGNATURE


def _classification(servable: Servable, name: str, data: input_pb2.Input) -> Any:
    signature = _signature(servable, name, "classification")
    wanted = [alias for alias in ("classes", "scores") if alias in signature.outputs]
    if not wanted or len(signature.outputs) > 2:
        raise invalid_argument(
            'Expected classification signature outputs to contain at least one of "classes" or "scores"'
        )
    examples = _examples(data)
    arrays = dict(zip(wanted, _run(servable, signature, examples, wanted), strict=True))
    for alias, array in arrays.items():
        if array.ndim != 2 or array.shape[0] != len(examples):
            raise invalid_argument(
                f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)} for {alias}"
            )
    if len({array.shape[1] for array in arrays.values()}) > 1:
        raise invalid_argument("Tensors class and score should match in dim_size(1).")
    return _classification_result(arrays, len(examples))


def _classification_result(arrays: dict[str, np.ndarray], rows: int) -> classification_pb2.ClassificationResult:
    result = classification_pb2.ClassificationResult()
    width = next(iter(arrays.values())).shape[1]
    classes = arrays["classes"].tolist() if "classes" in arrays else [[b""] * width] * rows
    scores = arrays["scores"].tolist() if "scores" in arrays else [[0.0] * width] * rows
    for row_classes, row_scores in zip(classes, scores, strict=True):
        added = result.classifications.add()
        for label, score in zip(row_classes, row_scores, strict=True):
            added.classes.add(label=label.decode("utf-8", "replace"), score=score)
    return result


def _regression(servable: Servable, name: str, data: input_pb2.Input) -> regression_pb2.RegressionResult:
    signature = _signature(servable, name, "regression")
    if list(signature.outputs) != ["outputs"]:
        raise invalid_argument("No regression outputs found in SignatureDef: expected one output Tensor `outputs`")
    examples = _examples(data)
    (array,) = _run(servable, signature, examples, ["outputs"])
    if array.ndim not in (1, 2) or array.size != len(examples):
        raise invalid_argument(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {list(array.shape)}"
        )
    result = regression_pb2.RegressionResult()
    for value in array.reshape(-1).tolist():
        result.regressions.add(value=value)
    return result


def _signature(servable: Servable, name: str, kind: str) -> meta_graph_pb2.SignatureDef:
    signature = servable.signatures.get(name)
    if signature is None:
        raise invalid_argument(f"No signature was found with the name: {name}")
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if "inputs" not in signature.inputs:
        raise invalid_argument(f"No {kind} inputs found in SignatureDef: expected `inputs`")
    return signature


def _examples(data: input_pb2.Input) -> np.ndarray:
    """Serialized examples; a shared context goes before each, as concatenated messages merge."""
    listed = data.example_list.examples or data.example_list_with_context.examples
    if not listed:
        raise invalid_argument("Input is empty.")
    context = data.example_list_with_context.context.SerializeToString()
    return np.array([context + example.SerializeToString() for example in listed], object)


def _run(
    servable: Servable, signature: meta_graph_pb2.SignatureDef, examples: np.ndarray, aliases: list[str]
) -> list[np.ndarray]:
    feeds = {signature.inputs["inputs"].name: examples}
    return servable.run(feeds, [signature.outputs[alias].name for alias in aliases])
