"""Predict: named tensors in, named tensors out."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import model_pb2, predict_pb2

from serving import tensors
from serving.errors import ServingError, failed_precondition, invalid_argument
from serving.method_names import check_predict
from serving.repository import Repository
from serving.servable import Servable

DEFAULT_SIGNATURE: Final = "serving_default"


def predict(
    repository: Repository, request: predict_pb2.PredictRequest, as_content: bool = False
) -> predict_pb2.PredictResponse:
    """Answers one request. Raises `ServingError`.

    INVALID_ARGUMENT: missing, unknown or malformed inputs, an unknown name in `output_filter`; NOT_FOUND: the model or
    version; FAILED_PRECONDITION: the signature; anything else comes from the graph.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    return predict_with(repository.servable(request.model_spec), request, as_content)


def predict_with(
    servable: Servable, request: predict_pb2.PredictRequest, as_content: bool = False
) -> predict_pb2.PredictResponse:
    """As `predict`, by this version whatever the request's `model_spec` says of it."""
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = servable.signatures.get(name)
    if signature is None:
        raise failed_precondition(f'Serving signature key "{name}" not found.')
    check_predict(servable, signature)
    feeds = request_feeds(signature, request)
    wanted = outputs(signature, request.output_filter)
    _check_dtypes(signature, feeds)
    arrays = servable.run_for("Predict", feeds, [signature.outputs[alias].name for alias in wanted])
    response = predict_pb2.PredictResponse(model_spec=resolved_spec(servable, request.model_spec.name, name))
    for alias, array in zip(wanted, arrays, strict=True):
        tensors.fill_proto(np.asarray(array), response.outputs[alias], as_content)
    return response


def resolved_spec(servable: Servable, name: str, signature: str = "") -> model_pb2.ModelSpec:
    """What a response says of the version and the signature that answered."""
    spec = model_pb2.ModelSpec(name=name, signature_name=signature)
    spec.version.value = servable.version
    return spec


def request_feeds(signature: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest) -> dict[str, np.ndarray]:
    """The graph's tensor name -> the request's value, or the signature's default, for every input."""
    _check_names(signature, request)
    feeds = {}
    for alias in sorted(signature.inputs):
        proto = request.inputs[alias] if alias in request.inputs else signature.defaults[alias]
        feeds[signature.inputs[alias].name] = tensors.to_array(proto, alias)
    return feeds


def outputs(signature: meta_graph_pb2.SignatureDef, output_filter: Iterable[str]) -> list[str]:
    """The aliases to return: the filter's, or all of the signature's. Raises `ServingError` (INVALID_ARGUMENT)."""
    wanted = list(output_filter)
    for position, alias in enumerate(wanted):
        if alias not in signature.outputs:
            expected = _braces(signature.outputs)
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set {expected}."
            )
        if alias in wanted[:position]:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
    return sorted(wanted or signature.outputs)


def _check_names(signature: meta_graph_pb2.SignatureDef, request: predict_pb2.PredictRequest) -> None:
    sent, known = set(request.inputs), set(signature.inputs)
    if len(sent) > len(known) or (len(sent) < len(known) and not signature.defaults):
        raise invalid_argument(
            f"input size does not match signature: {len(sent)}!={len(known)} "
            f"len({_braces(sent)}) != len({_braces(known)}). "
            f"Sent extra: {_braces(sent - known)}. Missing but required: {_braces(known - sent)}."
        )
    missing = sorted(known - sent - set(signature.defaults))
    if missing:
        raise _missing(missing[0], signature, sent)
    if sent - known:
        used, all_sent = ",".join(sorted(sent & known)), ",".join(sorted(sent))
        raise invalid_argument(f"Inputs contains invalid name. Used request inputs: {used}, request input: {all_sent}")


def _missing(alias: str, signature: meta_graph_pb2.SignatureDef, sent: set[str]) -> ServingError:
    return invalid_argument(
        f"Signature input alias: {alias}(feed name: {signature.inputs[alias].name}) not found in request and no "
        f"default value provided. Inputs expected to be in the request {_braces(sent)}, "
        f"or default input alias set: {','.join(sorted(signature.defaults))}"
    )


def _check_dtypes(signature: meta_graph_pb2.SignatureDef, feeds: dict[str, np.ndarray]) -> None:
    """Says of a wrong dtype what TensorFlow's session says: it looks once everything else is right."""
    expected = {info.name: info.dtype for info in signature.inputs.values()}
    for position, name in enumerate(sorted(feeds)):
        found = tensors.to_dtype(feeds[name]).as_datatype_enum
        if found != expected[name]:
            wanted, sent = tensors.type_name(expected[name]), tensors.type_name(found)
            raise invalid_argument(f"Expects arg[{position}] to be {wanted} but {sent} is provided")


def _braces(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
