"""The server's configuration files: protocol buffers in text form, as TensorFlow Serving reads them."""

import logging
import os
from pathlib import Path
from typing import Any, Final

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.batching_parameters import BatchingParameters
from serving.errors import invalid_argument, not_found
from serving.wire import message_classes

LOG = logging.getLogger("serving")

# Messages that tensorflow-serving-api leaves out.
_CLASSES: Final = message_classes(
    {
        "google.protobuf.Int64Value": {"value": (1, "int64")},
        "google.protobuf.StringValue": {"value": (1, "string")},
        "google.protobuf.BoolValue": {"value": (1, "bool")},
        "tensorflow.serving.BatchingParameters": {
            "max_batch_size": (1, "google.protobuf.Int64Value"),
            "batch_timeout_micros": (2, "google.protobuf.Int64Value"),
            "max_enqueued_batches": (3, "google.protobuf.Int64Value"),
            "num_batch_threads": (4, "google.protobuf.Int64Value"),
            "thread_pool_name": (5, "google.protobuf.StringValue"),
            "allowed_batch_sizes": (6, "[int64]"),
            "pad_variable_length_inputs": (7, "bool"),
            "enable_large_batch_splitting": (8, "google.protobuf.BoolValue"),
            "max_execution_batch_size": (9, "google.protobuf.Int64Value"),
        },
        "tensorflow.serving.SSLConfig": {
            "server_key": (1, "string"),
            "server_cert": (2, "string"),
            "custom_ca": (3, "string"),
            "client_verify": (4, "bool"),
        },
        "tensorflow.serving.PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
        "tensorflow.serving.MonitoringConfig": {"prometheus_config": (1, "tensorflow.serving.PrometheusConfig")},
    }
)
DEFAULT_METRICS_PATH: Final = "/monitoring/prometheus/metrics"


def read_model_config(path: str) -> model_server_config_pb2.ModelServerConfig:
    """The models to serve. Raises `ServingError` (INVALID_ARGUMENT, NOT_FOUND); the log names the line."""
    config: model_server_config_pb2.ModelServerConfig = _read(path, model_server_config_pb2.ModelServerConfig())
    return config


def read_batching_parameters(path: str) -> BatchingParameters:
    """The defaults for an empty path. Raises `ServingError`, also for parameters that cannot be."""
    proto = _read(path, _CLASSES["tensorflow.serving.BatchingParameters"]())
    return BatchingParameters.from_proto(proto, os.cpu_count() or 1)


def read_ssl_config(path: str) -> Any:
    """SSLConfig: key, certificate and authority in PEM form, and whether clients must show a certificate."""
    return _read(path, _CLASSES["tensorflow.serving.SSLConfig"]())


def metrics_path(path: str) -> str | None:
    """Where the MonitoringConfig in `path` puts the Prometheus page; None for nowhere."""
    config = _read(path, _CLASSES["tensorflow.serving.MonitoringConfig"]()).prometheus_config
    return (config.path or DEFAULT_METRICS_PATH) if config.enable else None


def _read(path: str, message: Any) -> Any:
    if not path:
        return message
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), message)
    except FileNotFoundError as error:
        raise not_found(f"{path}; {error.strerror}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise invalid_argument(f"{path}: cannot be read ({error})") from error
    except text_format.ParseError as error:
        LOG.error("Error parsing text-format %s: %s", message.DESCRIPTOR.full_name, error)
        raise invalid_argument(f"Invalid protobuf file: '{path}'") from error
