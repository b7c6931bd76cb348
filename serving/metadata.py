"""GetModelMetadata and GetModelStatus: what a model takes and returns, and how its versions are."""

from typing import Final

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from serving.errors import invalid_argument, not_found
from serving.model import Version
from serving.predict import resolved_spec
from serving.repository import Repository

SIGNATURE_DEF: Final = "signature_def"


def get_model_metadata(
    repository: Repository, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """The signatures of the version asked for. Raises `ServingError` (INVALID_ARGUMENT, NOT_FOUND)."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise invalid_argument(f"Metadata field {field} is not supported")
    servable = repository.servable(request.model_spec)
    signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.signatures)
    response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=resolved_spec(servable, servable.name))
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response


def get_model_status(
    repository: Repository, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """The state of one version or, newest first, of all. Raises `ServingError` (INVALID_ARGUMENT, NOT_FOUND)."""
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    response = get_model_status_pb2.GetModelStatusResponse()
    for version in _asked(repository, request.model_spec):
        status = response.model_version_status.add(version=version.number, state=int(version.state))
        status.status.error_code = version.error.number if version.error else 0
        status.status.error_message = version.error.message if version.error else ""
    return response


def _asked(repository: Repository, spec: model_pb2.ModelSpec) -> list[Version]:
    model = repository.known_model(spec.name)
    versions = model.versions() if model else []
    if spec.WhichOneof("version_choice") != "version":
        if not versions:
            raise not_found(f"Could not find any versions of model {spec.name}")
        return versions
    found = [v for v in versions if v.number == spec.version.value]
    if not found:
        raise not_found(f"Could not find version {spec.version.value} of model {spec.name}")
    return found
