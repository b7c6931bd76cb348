"""HandleReloadConfigRequest: serve these models from now on."""

from collections.abc import Callable

import grpc
from tensorflow_serving.apis import model_management_pb2
from tensorflow_serving.config import model_server_config_pb2

from serving.errors import ServingError, invalid_argument
from serving.repository import Repository


def reload_config(
    repository: Repository, request: model_management_pb2.ReloadConfigRequest, counter: Callable[[str], int]
) -> model_management_pb2.ReloadConfigResponse:
    """Applies the config and returns once every new model in it answers; `counter` reads a metric by its name.

    Raises `ServingError`. A config that is not valid changes nothing; a model that cannot be loaded leaves the others.
    """
    if request.config.WhichOneof("config") != "model_config_list":
        raise invalid_argument(
            "ServerModelConfig type not supported by HandleReloadConfigRequest. "
            "Only ModelConfigList is currently supported"
        )
    before = {name: counter(name) for name in request.metric_names}
    apply_config(repository, request.config)
    response = model_management_pb2.ReloadConfigResponse()
    response.status.error_code = 0
    for name, value in before.items():
        response.metric.add(name=name, int64_value_increase=counter(name) - value)
    return response


def apply_config(
    repository: Repository, config: model_server_config_pb2.ModelServerConfig, what: str = "model(s)"
) -> None:
    """Serves the models of `config` and waits for the new ones. Raises `ServingError`.

    Labels are given before anything is loaded, to versions that answer already: TensorFlow Serving's order.
    """
    new = repository.configure(config.model_config_list.config)
    failures = repository.wait_until_available(new)
    if failures:
        listed = "".join(f"{{{failure}}}, " for failure in failures)
        message = f"{len(failures)} {what} did not become available: {{{listed}}}"
        raise ServingError(grpc.StatusCode.UNKNOWN, message)
    if any(model.HasField("logging_config") for model in config.model_config_list.config):
        raise invalid_argument("No request-logger-creator provided.")  # the models are served all the same
