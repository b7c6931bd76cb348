"""HandleReloadConfigRequest: serve these models from now on."""

from tensorflow_serving.apis import model_management_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving.errors import invalid_argument
from serving.repository import Repository


def reload_config(
    repository: Repository, request: model_management_pb2.ReloadConfigRequest
) -> model_management_pb2.ReloadConfigResponse:
    """Applies the config and returns once every model in it answers. Raises `ServingError`; then the old one holds."""
    apply_config(repository, request.config)
    response = model_management_pb2.ReloadConfigResponse()
    response.status.error_code = 0
    return response


def apply_config(repository: Repository, config: model_server_config_pb2.ModelServerConfig) -> None:
    """Serves the models of `config`; labels are given once their versions answer. Raises `ServingError`."""
    if config.WhichOneof("config") != "model_config_list":
        raise invalid_argument(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        )
    models = list(config.model_config_list.config)
    repository.configure(_without_labels(model, repository) for model in models)
    repository.wait_until_available()
    if not repository.interrupted:
        repository.configure(models)


def _without_labels(
    model: model_server_config_pb2.ModelConfig, repository: Repository
) -> model_server_config_pb2.ModelConfig:
    """The model with the labels it has already, while the versions that the new ones name are being loaded."""
    bare = model_server_config_pb2.ModelConfig()
    bare.CopyFrom(model)
    bare.version_labels.clear()
    known = repository.model(model.name)
    if known is not None:
        bare.version_labels.update(known.config.version_labels)
    return bare
