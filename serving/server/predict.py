"""The answers to Predict, GetModelMetadata and GetModelStatus."""

from collections.abc import Collection
from typing import Final

import grpc
import tensorflow as tf
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from serving.server.calls import ServingError, invalid_argument, not_found
from serving.server.repository import Repository
from serving.server.servable import Servable, Signature
from serving.server.tensors import NUMBERS, Tensors, array_from_proto, fill_proto

DEFAULT_SIGNATURE: Final = "serving_default"
SIGNATURE_DEF: Final = "signature_def"


def predict(servable: Servable, request: predict_pb2.PredictRequest, max_rows: int) -> predict_pb2.PredictResponse:
    """Answers one request by a version.

    Args:
      servable: The version.
      request: Its inputs, `output_filter` and signature.
      max_rows: The most rows that an input may have.

    Raises:
      ServingError: FAILED_PRECONDITION for an unknown signature; INVALID_ARGUMENT for missing, unknown, malformed or
        too large inputs and for an unknown output; any error of the graph.
    """
    name = request.model_spec.signature_name or DEFAULT_SIGNATURE
    signature = find_signature(servable, name)
    received, known = set(request.inputs), signature.inputs.keys()
    if received != known:
        missing, unknown = (", ".join(sorted(names)) or "none" for names in (known - received, received - known))
        raise invalid_argument(f"the inputs should be {', '.join(known)}. Missing: {missing}. Unknown: {unknown}")
    inputs = {alias: array_from_proto(request.inputs[alias], alias) for alias in known}
    response = predict_pb2.PredictResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    response.model_spec.signature_name = name
    for alias, array in answer(servable, signature, inputs, request.output_filter, max_rows).items():
        fill_proto(array, response.outputs[alias])
    return response


def answer(
    servable: Servable, signature: Signature, inputs: Tensors, output_filter: Collection[str], max_rows: int
) -> Tensors:
    """Runs a signature on all its inputs; returns the outputs that the filter names, or all where it is empty.

    Raises:
      ServingError: As `predict`.
    """
    for alias, array in inputs.items():
        if array.ndim and len(array) > max_rows:
            allowed = f"at most {max_rows} rows are served (--max_rows)"
            raise invalid_argument(f"input {alias!r}: {allowed}. Received: {len(array)}")
        if NUMBERS[array.dtype] != signature.dtypes[alias]:
            wanted, found = (tf.as_dtype(number).name for number in (signature.dtypes[alias], NUMBERS[array.dtype]))
            raise invalid_argument(f"input {alias!r}: should be {wanted}. Received: {found}")
    if unknown := set(output_filter) - signature.outputs.keys():
        known = ", ".join(signature.outputs)
        raise invalid_argument(f"`output_filter` names no output: {', '.join(sorted(unknown))}. Outputs: {known}")
    names = sorted(set(output_filter)) if output_filter else list(signature.outputs)
    feeds = {signature.inputs[alias]: array for alias, array in inputs.items()}
    arrays = servable.run(feeds, [signature.outputs[alias] for alias in names])
    for alias, array in zip(names, arrays, strict=True):
        if array.dtype not in NUMBERS:
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, f"output {alias!r}: {array.dtype} is not served")
    return dict(zip(names, arrays, strict=True))


def find_signature(servable: Servable, name: str) -> Signature:
    """Returns the version's signature. Raises `ServingError` (FAILED_PRECONDITION)."""
    signature = servable.signatures.get(name)
    if signature is None:
        known = ", ".join(sorted(servable.signatures))
        raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, f"no signature {name!r}. The model has: {known}")
    return signature


def model_metadata(
    repository: Repository, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Returns the signatures of a version. Raises `ServingError` (INVALID_ARGUMENT, NOT_FOUND)."""
    if list(request.metadata_field) != [SIGNATURE_DEF]:
        found = list(request.metadata_field)
        raise invalid_argument(f"`metadata_field` should be ['{SIGNATURE_DEF}']. Received: {found}")
    servable = repository.servable(request.model_spec)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = servable.name
    response.model_spec.version.value = servable.version
    response.metadata[SIGNATURE_DEF].Pack(get_model_metadata_pb2.SignatureDefMap(signature_def=servable.definitions))
    return response


def model_status(
    repository: Repository, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """Returns the state of one version or, newest first, of all. Raises `ServingError` (NOT_FOUND)."""
    number = repository.version_number(request.model_spec)
    response = get_model_status_pb2.GetModelStatusResponse()
    for version in repository.model(request.model_spec.name).versions():
        if number in (None, version.number):
            status = response.model_version_status.add(version=version.number, state=int(version.state))
            status.status.error_code = version.error.code.value[0] if version.error else 0
            status.status.error_message = version.error.message if version.error else ""
    if not response.model_version_status:
        raise not_found(f"model {request.model_spec.name!r} has no such version")
    return response
