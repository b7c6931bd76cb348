"""MultiInference: several classifications and regressions of the same tf.Examples in one run of the graph."""

from typing import Any, Final

from tensorflow_serving.apis import inference_pb2, model_pb2

from serving import classify, examples, method_names, regress
from serving.errors import invalid_argument, unimplemented
from serving.predict import DEFAULT_SIGNATURE, resolved_spec
from serving.repository import Repository
from serving.servable import Servable

_METHODS: Final = {method_names.CLASSIFY: classify.METHOD, method_names.REGRESS: regress.METHOD}


def multi_inference(
    repository: Repository, request: inference_pb2.MultiInferenceRequest
) -> inference_pb2.MultiInferenceResponse:
    """The result of every task, in order; the first task's `model_spec` says which version. Raises `ServingError`."""
    spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
    return multi_inference_with(repository.servable(spec), request)


def multi_inference_with(
    servable: Servable, request: inference_pb2.MultiInferenceRequest
) -> inference_pb2.MultiInferenceResponse:
    """As `multi_inference`, by this version whatever the request's `model_spec` says of it."""
    inputs, outputs = set[str](), set[str]()
    for position, task in enumerate(request.tasks):
        signature = _signature(servable, request, position)
        method = _METHODS[task.method_name]
        outputs.update(method.tensor_names(signature))
        inputs.add(examples.input_name(signature, method.kind))
    data = examples.serialized(request.input)
    names = sorted(outputs)
    arrays = dict(zip(names, servable.run(dict.fromkeys(sorted(inputs), data), names), strict=True))
    response = inference_pb2.MultiInferenceResponse()
    for task in request.tasks:
        response.results.append(_result(servable, task, len(data), arrays))
    return response


def _signature(servable: Servable, request: inference_pb2.MultiInferenceRequest, position: int) -> Any:
    """The signature of the task at `position`, checked beside the tasks before it."""
    task = request.tasks[position]
    if not task.model_spec.name:
        raise invalid_argument("Found ModelSpec with an empty model name.")
    if task.model_spec.name != request.tasks[0].model_spec.name:
        raise invalid_argument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
    name = _signature_name(task)
    if name in map(_signature_name, request.tasks[:position]):
        raise invalid_argument(f"Duplicate evaluation of signature: {name}")
    if name not in servable.signatures:
        raise invalid_argument(f"Requested signature not found in model graph: {name}")
    if task.method_name not in _METHODS:
        raise unimplemented(f"Unsupported signature method_name: {task.method_name}")
    _METHODS[task.method_name].check(servable, servable.signatures[name])
    return servable.signatures[name]


def _signature_name(task: inference_pb2.InferenceTask) -> str:
    return task.model_spec.signature_name or DEFAULT_SIGNATURE


def _result(servable: Servable, task: inference_pb2.InferenceTask, rows: int, arrays: dict[str, Any]) -> Any:
    name = _signature_name(task)
    method = _METHODS[task.method_name]
    made = inference_pb2.InferenceResult(model_spec=resolved_spec(servable, task.model_spec.name, name))
    getattr(made, f"{method.kind}_result").CopyFrom(method.result(servable.signatures[name], rows, arrays))
    return made
