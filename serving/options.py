"""What the flags and the files that they name come to, before TensorFlow is there."""

from argparse import Namespace
from dataclasses import dataclass
from typing import Any

from tensorflow_serving.config import model_server_config_pb2

from serving import config_files
from serving.batching_parameters import BatchingParameters
from serving.errors import invalid_argument, unimplemented
from serving.model_configs import PLATFORM, by_name, check_labels, check_platforms


@dataclass(frozen=True)
class Options:
    """The flags, and the messages of the files that they name."""

    flags: Namespace
    models: model_server_config_pb2.ModelServerConfig
    batching: BatchingParameters | None
    """None without batching."""
    ssl: Any
    """SSLConfig, None without TLS."""
    metrics_path: str | None
    """Where the Prometheus page is."""


def read_options(flags: Namespace) -> Options:
    """Reads the files. Raises `ServingError` for flags that exclude each other and files that cannot be read."""
    if flags.use_alts_credentials and flags.ssl_config_file:
        raise invalid_argument("Either use_alts_credentials must be false or ssl_config_file must be empty.")
    if not (flags.model_base_path or flags.model_config_file):
        raise invalid_argument("Both server_options.model_base_path and server_options.model_config_file are empty!")
    models, batching = _listed_models(flags), _batching(flags)
    _check_parallelism(flags)
    _check_models(models, flags)
    return Options(
        flags=flags,
        models=models,
        batching=batching,
        ssl=config_files.read_ssl_config(flags.ssl_config_file) if flags.ssl_config_file else None,
        metrics_path=config_files.metrics_path(flags.monitoring_config_file) if flags.rest_api_port else None,
    )


def _check_models(config: model_server_config_pb2.ModelServerConfig, flags: Namespace) -> None:
    if config.WhichOneof("config") == "custom_model_config":
        raise unimplemented("ModelServer does not yet support custom model config.")
    models = by_name(config.model_config_list.config, {}).values()
    for model in models:
        check_labels(model, {}, lambda version: False, flags.allow_version_labels_for_unavailable_models)
    check_platforms(models)


def _listed_models(flags: Namespace) -> model_server_config_pb2.ModelServerConfig:
    if flags.model_config_file:
        return config_files.read_model_config(flags.model_config_file)
    config = model_server_config_pb2.ModelServerConfig()
    config.model_config_list.config.add(name=flags.model_name, base_path=flags.model_base_path, model_platform=PLATFORM)
    return config


def _batching(flags: Namespace) -> BatchingParameters | None:
    if not flags.enable_batching and flags.batching_parameters_file:
        raise invalid_argument(
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true."
        )
    return config_files.read_batching_parameters(flags.batching_parameters_file) if flags.enable_batching else None


def _check_parallelism(flags: Namespace) -> None:
    separate = min(flags.tensorflow_intra_op_parallelism, flags.tensorflow_inter_op_parallelism)
    if separate > 0 and flags.tensorflow_session_parallelism > 0:
        raise invalid_argument(
            "Either configure server_options.tensorflow_session_parallelism or "
            "(server_options.tensorflow_intra_op_parallelism, server_options.tensorflow_inter_op_parallelism) "
            "separately. You cannot configure all."
        )
