"""Predict: named tensors in, named tensors out; and what GetModelMetadata and GetModelStatus say."""

from collections.abc import Collection
from typing import Final

import grpc
import numpy as np
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2, predict_pb2

from serving.server import tensors
from serving.server.errors import ServingError, invalid_argument, not_found
from serving.server.repository import Repository, Version
from serving.server.servable import Servable, Signature

DEFAULT_SIGNATURE: Final = "serving_default"
SIGNATURE_DEF: Final = "signature_def"

Tensors = dict[str, np.ndarray]
"""Arrays by the alias of an input or output."""


def predict(servable: Servable, request: predict_pb2.PredictRequest, max_rows: int) -> predict_pb2.PredictResponse:
    """Answers one request by a version.

    Args:
      servable: The version.
      request: Its inputs, `output_filter` and signature.
      max_rows: The most rows that an input may have.

    Raises:
      ServingError: FAILED_PRECONDITION for an unknown signature; INVALID_ARGUMENT for missing, unknown, malformed or
        too large inputs and for an unknown output; what the graph raises besides.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = find_signature(servable, name)
    _check_names(signature, request.inputs)
    inputs = {alias: tensors.to_array(request.inputs[alias], alias) for alias in signature.inputs}
    response = predict_pb2.PredictResponse()
    _fill_spec(response.model_spec, servable, name)
    for alias, array in answer(servable, signature, inputs, request.output_filter, max_rows).items():
        tensors.fill_proto(array, response.outputs[alias])
    return response


def answer(
    servable: Servable, signature: Signature, inputs: Tensors, output_filter: Collection[str], max_rows: int
) -> Tensors:
    """Runs a signature: all its inputs -> the outputs that the filter names, all of them where it is empty.

    Raises:
      ServingError: As `predict`.
    """
    for alias, array in inputs.items():
        if array.ndim and len(array) > max_rows:
            allowed = f"at most {max_rows} rows are served (--max_rows)"
            raise invalid_argument(f"input {alias!r}: {allowed}. Received: {len(array)}")
        if tensors.dtype_number(array) != signature.dtypes[alias]:
            raise tensors.wrong_dtype(alias, signature.dtypes[alias], array)
    wanted = _outputs(signature, output_filter)
    feeds = {signature.inputs[alias]: array for alias, array in inputs.items()}
    arrays = servable.run(feeds, [signature.outputs[alias] for alias in wanted])
    for alias, array in zip(wanted, arrays, strict=True):
        if not tensors.is_served(array):
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, f"output {alias!r}: {array.dtype} is not served")
    return dict(zip(wanted, arrays, strict=True))


def find_signature(servable: Servable, name: str) -> Signature:
    """Returns the version's signature. Raises `ServingError` (FAILED_PRECONDITION)."""
    signature = servable.signatures.get(name)
    if signature is None:
        known = ", ".join(sorted(servable.signatures))
        raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, f"no signature {name!r}. The model has: {known}")
    return signature


def _check_names(signature: Signature, inputs: Collection[str]) -> None:
    sent, known = set(inputs), signature.inputs.keys()
    if sent != known:
        missing, unknown = (", ".join(sorted(names)) or "none" for names in (known - sent, sent - known))
        wanted = ", ".join(sorted(known))
        raise invalid_argument(f"the inputs should be {wanted}. Missing: {missing}. Unknown: {unknown}")


def _outputs(signature: Signature, output_filter: Collection[str]) -> list[str]:
    unknown = set(output_filter) - signature.outputs.keys()
    if unknown:
        known = ", ".join(signature.outputs)
        raise invalid_argument(f"`output_filter` names no output: {', '.join(sorted(unknown))}. Outputs: {known}")
    return sorted(set(output_filter)) if output_filter else list(signature.outputs)


def model_metadata(
    repository: Repository, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Returns the signatures of the version asked for. Raises `ServingError` (INVALID_ARGUMENT, NOT_FOUND)."""
    if list(request.metadata_field) != [SIGNATURE_DEF]:
        found = list(request.metadata_field)
        raise invalid_argument(f"`metadata_field` should be ['{SIGNATURE_DEF}']. Received: {found}")
    servable = repository.servable(request.model_spec)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    _fill_spec(response.model_spec, servable, "")
    response.metadata[SIGNATURE_DEF].Pack(get_model_metadata_pb2.SignatureDefMap(signature_def=servable.definitions))
    return response


def model_status(
    repository: Repository, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """Returns the state of one version or, newest first, of all. Raises `ServingError` (NOT_FOUND)."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for version in _versions(repository, request.model_spec):
        status = response.model_version_status.add(version=version.number, state=int(version.state))
        status.status.error_code = version.error.code.value[0] if version.error else 0
        status.status.error_message = version.error.message if version.error else ""
    return response


def _versions(repository: Repository, spec: model_pb2.ModelSpec) -> list[Version]:
    versions = repository.model(spec.name).versions()
    if spec.WhichOneof("version_choice") == "version":
        versions = [version for version in versions if version.number == spec.version.value]
    if not versions:
        raise not_found(f"model {spec.name!r} has no such version")
    return versions


def _fill_spec(spec: model_pb2.ModelSpec, servable: Servable, signature: str) -> None:
    """Says which version, and which signature of it, has answered."""
    spec.name = servable.name
    spec.version.value = servable.version
    spec.signature_name = signature
