"""Classify, Regress and MultiInference: classifier.cc, regressor.cc, multi_inference.cc, util.cc."""

from typing import Any

import pytest
from tensorflow_serving.apis import classification_pb2, inference_pb2, input_pb2, regression_pb2

from tests.serving.conformance.servers import TIMEOUT, Server, failure

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"


def examples(*xs: float) -> input_pb2.Input:
    made = input_pb2.Input()
    for x in xs:
        made.example_list.examples.add().features.feature["x"].float_list.value.append(x)
    return made


def classify_request(signature: str, *xs: float, model: str = "signatures") -> Any:
    request = classification_pb2.ClassificationRequest(input=examples(*xs))
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    return request


def regress_request(signature: str, *xs: float, model: str = "signatures") -> Any:
    request = regression_pb2.RegressionRequest(input=examples(*xs))
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    return request


def multi_request(*tasks: tuple[str, str, str]) -> Any:
    request = inference_pb2.MultiInferenceRequest(input=examples(1.0, -2.0))
    for model, signature, method in tasks:
        task = request.tasks.add(method_name=method)
        task.model_spec.name, task.model_spec.signature_name = model, signature
    return request


def call(server: Server, request: Any) -> Any:
    method = {
        classification_pb2.ClassificationRequest: server.predictions.Classify,
        regression_pb2.RegressionRequest: server.predictions.Regress,
        inference_pb2.MultiInferenceRequest: server.predictions.MultiInference,
    }[type(request)]
    return method(request, timeout=TIMEOUT)


def classes(result: Any) -> list[list[tuple[str, float]]]:
    return [[(c.label, c.score) for c in row.classes] for row in result.classifications]


EXPECTED = [[("plus", 1.0), ("minus", -1.0)], [("minus", -2.0), ("plus", 2.0)]]


def test_classify(server: Server) -> None:
    response = call(server, classify_request("classify", 1.0, -2.0))
    assert classes(response.result) == EXPECTED
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("signatures", 1, "classify")


def test_classify_with_scores_alone_has_empty_labels(server: Server) -> None:
    assert classes(call(server, classify_request("classify_scores", 3.0)).result) == [[("", 3.0)]]


@pytest.mark.parametrize(("signature", "value"), [("regress", 3.0), ("regress_column", 4.0)])
def test_regress(server: Server, signature: str, value: float) -> None:
    response = call(server, regress_request(signature, 2.0, 4.0))
    assert [r.value for r in response.result.regressions] == [value, value + 1]
    spec = response.model_spec
    assert (spec.name, spec.version.value, spec.signature_name) == ("signatures", 1, signature)


def test_a_context_is_merged_into_every_example(server: Server) -> None:
    request = regress_request("regress")
    merged = request.input.example_list_with_context
    merged.context.features.feature["x"].float_list.value.append(8.0)
    merged.examples.add()
    merged.examples.add().features.feature["x"].float_list.value.append(2.0)
    assert [r.value for r in call(server, request).result.regressions] == [6.0, 3.0]


def test_multi_inference_answers_every_task_in_order(server: Server) -> None:
    tasks = (("signatures", "regress", REGRESS), ("signatures", "classify", CLASSIFY))
    regressed, classified = call(server, multi_request(*tasks)).results
    assert [r.value for r in regressed.regression_result.regressions] == [2.5, 1.0]
    assert classes(classified.classification_result) == EXPECTED
    assert [r.model_spec.signature_name for r in (regressed, classified)] == ["regress", "classify"]
    assert classified.model_spec.version.value == 1


NOT_FOUND = "Servable not found for request: Latest(none)"
REFUSALS = {
    "classify without model_spec": (
        classification_pb2.ClassificationRequest(),
        "INVALID_ARGUMENT",
        "Missing ModelSpec",
    ),
    "classify an unknown model": (classify_request("classify", 1.0, model="none"), "NOT_FOUND", NOT_FOUND),
    "classify by an unknown signature": (
        classify_request("none", 1.0),
        "INVALID_ARGUMENT",
        "No signature was found with the name: none",
    ),
    "classify nothing": (classify_request("classify"), "INVALID_ARGUMENT", "Input is empty."),
    "classify by two inputs": (
        classify_request("two_inputs", 1.0),
        "INVALID_ARGUMENT",
        "Expected one input Tensor.",
    ),
    "classify by three outputs": (
        classify_request("classify_three", 1.0),
        "INVALID_ARGUMENT",
        "Expected one or two output Tensors, found 3",
    ),
    "classify by another input": (
        classify_request("other_input", 1.0),
        "INVALID_ARGUMENT",
        "No classification inputs found in SignatureDef: ",
    ),
    "classify by other outputs": (
        classify_request("regress", 1.0),
        "INVALID_ARGUMENT",
        'Expected classification signature outputs to contain at least one of "classes" or "scores". Signature was: ',
    ),
    "classify by a vector": (
        classify_request("classify_vector", 1.0, 2.0),
        "INVALID_ARGUMENT",
        "Expected Tensor shape: [batch_size num_classes] but got [2]",
    ),
    "classify by doubles": (
        classify_request("classify_double", 1.0),
        "INVALID_ARGUMENT",
        "Expected scores Tensor of DT_FLOAT. Got: DT_DOUBLE",
    ),
    "classify to fewer rows": (
        classify_request("classify_fewer", 1.0, 2.0),
        "INVALID_ARGUMENT",
        "Expected scores output batch size of 2. Got: 1",
    ),
    "classify to unequal widths": (
        classify_request("classify_widths", 1.0),
        "INVALID_ARGUMENT",
        "Tensors class and score should match in dim_size(1). Got 1 vs. 2",
    ),
    "regress without model_spec": (regression_pb2.RegressionRequest(), "INVALID_ARGUMENT", "Missing ModelSpec"),
    "regress an unknown model": (regress_request("regress", 1.0, model="none"), "NOT_FOUND", NOT_FOUND),
    "regress nothing": (regress_request("regress"), "INVALID_ARGUMENT", "Input is empty."),
    "regress by an unknown signature": (
        regress_request("none", 1.0),
        "INVALID_ARGUMENT",
        "No signature was found with the name: none",
    ),
    "regress by two outputs": (
        regress_request("classify", 1.0),
        "INVALID_ARGUMENT",
        "Expected one output Tensor.",
    ),
    "regress by another input": (
        regress_request("other_input", 1.0),
        "INVALID_ARGUMENT",
        "No regression inputs found in SignatureDef: ",
    ),
    "regress by another output": (
        regress_request("other_output", 1.0),
        "INVALID_ARGUMENT",
        "No regression outputs found in SignatureDef: ",
    ),
    "regress to two columns": (
        regress_request("regress_wide", 1.0),
        "INVALID_ARGUMENT",
        "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got [1,2]",
    ),
    "regress to doubles": (
        regress_request("regress_double", 1.0),
        "INVALID_ARGUMENT",
        "Expected output Tensor of DT_FLOAT.  Got: DT_DOUBLE",
    ),
    "regress to fewer rows": (
        regress_request("regress_fewer", 1.0, 2.0),
        "INVALID_ARGUMENT",
        "Input batch size did not match output batch size: 2 vs. 1",
    ),
    "no tasks": (multi_request(), "INVALID_ARGUMENT", "ModelSpec has no name specified."),
    "the second task without a model": (
        multi_request(("signatures", "regress", REGRESS), ("", "classify", CLASSIFY)),
        "INVALID_ARGUMENT",
        "Found ModelSpec with an empty model name.",
    ),
    "tasks of two models": (
        multi_request(("signatures", "regress", REGRESS), ("half_plus_two", "classify", CLASSIFY)),
        "INVALID_ARGUMENT",
        "All ModelSpecs in a MultiInferenceRequest must access the same model name.",
    ),
    "a task twice": (
        multi_request(("signatures", "regress", REGRESS), ("signatures", "regress", REGRESS)),
        "INVALID_ARGUMENT",
        "Duplicate evaluation of signature: regress",
    ),
    "a task of an unknown signature": (
        multi_request(("signatures", "none", REGRESS)),
        "INVALID_ARGUMENT",
        "Requested signature not found in model graph: none",
    ),
    "a task of an unknown method": (
        multi_request(("signatures", "regress", "tensorflow/serving/predict")),
        "UNIMPLEMENTED",
        "Unsupported signature method_name: tensorflow/serving/predict",
    ),
    "a task of an unknown model": (multi_request(("none", "regress", REGRESS)), "NOT_FOUND", NOT_FOUND),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused(server: Server, case: str) -> None:
    request, code, message = REFUSALS[case]
    found = failure(lambda: call(server, request))
    assert found[0] == code
    assert found[1].startswith(message) if message.endswith(": ") else found[1] == message
