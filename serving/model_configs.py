"""What is wrong with a list of models to serve: names, paths, platforms and labels."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from tensorflow_serving.config import model_server_config_pb2

from serving.errors import failed_precondition, invalid_argument

ModelConfigs = dict[str, model_server_config_pb2.ModelConfig]

PLATFORM: Final = "tensorflow"
_ABSOLUTE: Final = re.compile(r"/|[A-Za-z][A-Za-z0-9.]*://")


def by_name(configs: Iterable[model_server_config_pb2.ModelConfig], known: ModelConfigs) -> ModelConfigs:
    """The configs by name. Raises `ServingError` (INVALID_ARGUMENT) for what cannot be served beside `known`."""
    listed = list(configs)
    wanted: ModelConfigs = {}
    for config in listed:
        if config.name in wanted:
            raise invalid_argument(f"Illegal to list model {config.name} multiple times in config list")
        wanted[config.name] = config
    for config in listed:
        _check_path(config)
    for config in listed:
        if config.name in known:
            _check_same_platform(config, known[config.name])
    return wanted


def check_platforms(configs: Iterable[model_server_config_pb2.ModelConfig]) -> None:
    """Raises `ServingError` (INVALID_ARGUMENT) when a model is of no platform, or of another than TensorFlow."""
    for config in configs:
        platform = _platform(config)
        if platform != PLATFORM:
            raise invalid_argument(f"Model {config.name} requests unsupported platform {platform}")


def check_labels(
    config: model_server_config_pb2.ModelConfig, given: dict[str, int], answers: Callable[[int], bool], early: bool
) -> None:
    """Raises `ServingError` (FAILED_PRECONDITION) when a label names a version that does not answer.

    With `early` such a label is allowed, unless it moves away from the version that it was `given` before.
    """
    for label, version in config.version_labels.items():
        allowed = early and given.get(label, version) == version
        if not (allowed or answers(version)):
            raise failed_precondition(
                f"Request to assign label to version {version} of model {config.name}, "
                "which is not currently available for inference"
            )


def _check_path(config: model_server_config_pb2.ModelConfig) -> None:
    if not _ABSOLUTE.match(config.base_path):
        raise invalid_argument(
            f"Expected model {config.name} to have an absolute path or URI; got base_path()={config.base_path}"
        )


def _check_same_platform(
    config: model_server_config_pb2.ModelConfig, known: model_server_config_pb2.ModelConfig
) -> None:
    old, new = _platform(known), _platform(config)
    if old != new:
        raise invalid_argument(
            f"Illegal to change a model's platform. For model {config.name} platform was {old} "
            f"and new platform requested is {new}"
        )


def _platform(config: model_server_config_pb2.ModelConfig) -> str:
    """The platform by its name; `model_type` is the older way to say it."""
    both = "ModelServerConfig::model_type (deprecated) {} ModelServerConfig::model_platform, model name is {}"
    if not config.model_type:
        if not config.model_platform:
            raise invalid_argument(f"Illegal setting neither {both.format('nor', config.name)}")
        return config.model_platform
    if config.model_platform:
        raise invalid_argument(f"Illegal setting both {both.format('and', config.name)}")
    if config.model_type != model_server_config_pb2.TENSORFLOW:
        raise invalid_argument(f"ModelServerConfig::model_type choice {config.model_type} not supported.")
    return PLATFORM
