"""Predict: named tensors in, named tensors out."""

from collections.abc import Collection, Iterable
from typing import Final

import numpy as np
from tensorflow_serving.apis import model_pb2, predict_pb2

from serving import tensors
from serving.errors import ServingError, failed_precondition, invalid_argument
from serving.method_names import check_predict
from serving.repository import Repository
from serving.servable import Servable
from serving.signature import Signature

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
    signature = servable.predicts.get(name)
    if signature is None:
        raise failed_precondition(f'Serving signature key "{name}" not found.')
    check_predict(servable, signature)
    feeds = request_feeds(signature, request)
    wanted = outputs(signature, request.output_filter)
    _check_dtypes(signature, feeds)
    arrays = servable.run_for("Predict", feeds, [signature.outputs[alias] for alias in wanted])
    response = predict_pb2.PredictResponse(model_spec=resolved_spec(servable, request.model_spec.name, name))
    for alias, array in zip(wanted, arrays, strict=True):
        tensors.fill_proto(array, response.outputs[alias], as_content)
    return response


def resolved_spec(servable: Servable, name: str, signature: str = "") -> model_pb2.ModelSpec:
    """What a response says of the version and the signature that answered."""
    spec = model_pb2.ModelSpec(name=name, signature_name=signature)
    spec.version.value = servable.version
    return spec


def request_feeds(signature: Signature, request: predict_pb2.PredictRequest) -> dict[str, np.ndarray]:
    """The graph's tensor name -> the request's value, or the signature's default, for every input."""
    sent = set(request.inputs)
    if sent != signature.inputs.keys():
        _check_names(signature, sent)
    return {
        name: tensors.to_array(request.inputs[alias] if alias in sent else signature.defaults[alias], alias)
        for alias, name in signature.inputs.items()
    }


def outputs(signature: Signature, output_filter: Collection[str]) -> list[str]:
    """The aliases to return: the filter's, or all of the signature's. Raises `ServingError` (INVALID_ARGUMENT)."""
    if not output_filter:
        return list(signature.outputs)
    wanted = list(output_filter)
    for position, alias in enumerate(wanted):
        if alias not in signature.outputs:
            expected = _braces(signature.outputs)
            raise invalid_argument(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set {expected}."
            )
        if alias in wanted[:position]:
            raise invalid_argument(f"duplicate output tensor alias: {alias}")
    return sorted(wanted)


def _check_names(signature: Signature, sent: set[str]) -> None:
    known = set(signature.inputs)
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


def _missing(alias: str, signature: Signature, sent: set[str]) -> ServingError:
    return invalid_argument(
        f"Signature input alias: {alias}(feed name: {signature.inputs[alias]}) not found in request and no "
        f"default value provided. Inputs expected to be in the request {_braces(sent)}, "
        f"or default input alias set: {','.join(sorted(signature.defaults))}"
    )


def _check_dtypes(signature: Signature, feeds: dict[str, np.ndarray]) -> None:
    """Says of a wrong dtype what TensorFlow's session says: it looks once everything else is right."""
    for array, expected in zip(feeds.values(), signature.dtypes.values(), strict=True):
        if tensors.number_of(array) != expected:
            raise _wrong_dtype(signature, feeds)


def _wrong_dtype(signature: Signature, feeds: dict[str, np.ndarray]) -> ServingError:
    """Names the first one in the order of the graph's names."""
    expected = dict(zip(signature.inputs.values(), signature.dtypes.values(), strict=True))
    names = sorted(feeds)
    first = next(name for name in names if tensors.number_of(feeds[name]) != expected[name])
    wanted, sent = tensors.type_name(expected[first]), tensors.type_name(tensors.number_of(feeds[first]))
    return invalid_argument(f"Expects arg[{names.index(first)}] to be {wanted} but {sent} is provided")


def _braces(names: Iterable[str]) -> str:
    return "{" + ",".join(sorted(names)) + "}"
