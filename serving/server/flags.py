"""The server's flags: TensorFlow Serving's names where it has such a flag, and the bounds of this server."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from serving.client.wire import message_classes

_MESSAGES: Final = message_classes("""
message tensorflow.serving.SSLConfig {
  string server_key = 1; string server_cert = 2; string custom_ca = 3; bool client_verify = 4;
}
message tensorflow.serving.PrometheusConfig { bool enable = 1; string path = 2; }
message tensorflow.serving.MonitoringConfig { tensorflow.serving.PrometheusConfig prometheus_config = 1; }
""")
"""Messages that tensorflow-serving-api leaves out."""
_METRICS_PATH: Final = "/monitoring/prometheus/metrics"


class UsageError(ValueError):
    """A flag, or a file that a flag names, is not what it should be."""


def parse_flags(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Returns the flags as attributes; ends the process with 2 for a flag that cannot be read."""
    flags = make_parser().parse_args(arguments)
    counts = ("max_rows", "max_message_bytes", "grpc_max_threads", "rest_max_connections")
    for name in (*counts, "request_log_max_bytes", "request_log_max_files"):
        if getattr(flags, name) < 1:
            make_parser().error(f"--{name} should be a positive integer. Received: {getattr(flags, name)}")
    return flags


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the server's flags."""
    parser = argparse.ArgumentParser(prog="python -m serving.server", description=__doc__, allow_abbrev=False)
    models = parser.add_argument_group("models")
    models.add_argument("--model_name", default="default", help="without --model_config_file")
    models.add_argument("--model_base_path", default="", help="absolute path or URI of the folder of its versions")
    models.add_argument("--model_config_file", default="", help="ModelServerConfig in text form: several models")
    models.add_argument("--model_config_file_poll_wait_seconds", type=float, default=0, help="0: read once")
    models.add_argument("--file_system_poll_wait_seconds", type=float, default=1.0, help="for versions; 0: look once")
    models.add_argument("--max_num_load_retries", type=int, default=5, help="of a version that fails to load")
    models.add_argument("--load_retry_interval_micros", type=int, default=60_000_000, help="between two such tries")
    models.add_argument("--enable_model_warmup", type=_boolean, nargs="?", const=True, default=True)
    listening = parser.add_argument_group("listening")
    listening.add_argument("--host", default="127.0.0.1", help="0.0.0.0: every interface (default: %(default)s)")
    listening.add_argument("--port", type=int, default=8500, help="of gRPC; 0: any free one, which is printed")
    listening.add_argument("--grpc_socket_path", default="", help="a UNIX socket; with --port=0 nothing else")
    listening.add_argument("--rest_api_port", type=int, default=0, help="of REST; 0: no REST API")
    listening.add_argument("--ssl_config_file", default="", help="SSLConfig in text form: (mutual) TLS for gRPC")
    listening.add_argument("--monitoring_config_file", default="", help="MonitoringConfig: a Prometheus page over REST")
    log = parser.add_argument_group("logged requests, of models with a `logging_config`")
    log.add_argument("--request_log_max_bytes", type=int, default=64 << 20, help="of a file (default: %(default)s)")
    log.add_argument("--request_log_max_seconds", type=float, default=3600, help="of a file (default: %(default)s)")
    log.add_argument("--request_log_max_files", type=int, default=48, help="that are kept (default: %(default)s)")
    bounds = parser.add_argument_group("bounds")
    bounds.add_argument("--grpc_max_threads", type=int, default=4 * (os.cpu_count() or 1), help="calls at once")
    bounds.add_argument("--max_queued_calls", type=int, default=256, help="that wait; more are RESOURCE_EXHAUSTED")
    bounds.add_argument("--max_rows", type=int, default=512, help="of a call (default: %(default)s)")
    bounds.add_argument("--max_message_bytes", type=int, default=4 << 20, help="of a call (default: %(default)s)")
    bounds.add_argument("--rest_max_connections", type=int, default=128, help="at once (default: %(default)s)")
    bounds.add_argument("--rest_api_timeout_in_ms", type=int, default=30_000, help="of a request")
    bounds.add_argument("--tensorflow_intra_op_parallelism", type=int, default=0, help="threads of one operation")
    bounds.add_argument("--tensorflow_inter_op_parallelism", type=int, default=0, help="operations at the same time")
    bounds.add_argument("--drain_seconds", type=float, default=30.0, help="for requests under way after SIGTERM")
    return parser


def read_models(flags: argparse.Namespace) -> list[model_server_config_pb2.ModelConfig]:
    """Returns the models to serve. Raises `UsageError` naming the flag or the file."""
    if bool(flags.model_base_path) == bool(flags.model_config_file):
        raise UsageError("give one of --model_base_path and --model_config_file")
    config = model_server_config_pb2.ModelServerConfig()
    if flags.model_config_file:
        _read(flags.model_config_file, config)
    else:
        config.model_config_list.config.add(name=flags.model_name, base_path=flags.model_base_path)
    models = list(config.model_config_list.config)
    names = [model.name for model in models]
    if "" in names or len(set(names)) < len(names):
        raise UsageError(f"every model needs a name of its own. Received: {', '.join(map(repr, names))}")
    for model in models:
        path, platform = model.base_path, model.model_platform
        if not (path.startswith("/") or "://" in path):
            raise UsageError(f"model {model.name!r}: base_path should be absolute or a URI. Received: {path!r}")
        if platform not in ("", "tensorflow"):
            raise UsageError(f"model {model.name!r}: model_platform should be 'tensorflow'. Received: {platform!r}")
        if model.HasField("logging_config"):
            _check_logging(model.name, model.logging_config)
    return models


def _check_logging(name: str, config: Any) -> None:
    collector, rate = config.log_collector_config, config.sampling_config.sampling_rate
    if collector.type != "tfrecord":
        raise UsageError(
            f"model {name!r}: log_collector_config.type should be 'tfrecord'. Received: {collector.type!r}"
        )
    if not collector.filename_prefix.startswith("/"):
        found = collector.filename_prefix
        raise UsageError(f"model {name!r}: filename_prefix should be an absolute path. Received: {found!r}")
    if not 0 <= rate <= 1:
        raise UsageError(f"model {name!r}: sampling_rate should be from 0 to 1. Received: {rate:g}")


def read_credentials(flags: argparse.Namespace) -> grpc.ServerCredentials | None:
    """Returns TLS from the SSLConfig; with `custom_ca` and `client_verify`, mutual. Raises `UsageError`."""
    if not flags.ssl_config_file:
        return None
    config = _read(flags.ssl_config_file, _MESSAGES["tensorflow.serving.SSLConfig"]())
    if not (config.server_key and config.server_cert):
        raise UsageError(f"{flags.ssl_config_file}: should have server_key and server_cert")
    if config.client_verify and not config.custom_ca:
        raise UsageError(f"{flags.ssl_config_file}: client_verify needs custom_ca, the authority's certificate")
    pair = (config.server_key.encode(), config.server_cert.encode())
    return grpc.ssl_server_credentials([pair], config.custom_ca.encode() or None, config.client_verify)


def read_metrics_path(flags: argparse.Namespace) -> str | None:
    """Returns where the MonitoringConfig puts the Prometheus page; None for nowhere. Raises `UsageError`."""
    if not flags.monitoring_config_file:
        return None
    message = _MESSAGES["tensorflow.serving.MonitoringConfig"]()
    config = _read(flags.monitoring_config_file, message).prometheus_config
    return (config.path or _METRICS_PATH) if config.enable else None


def _read(path: str, message: Any) -> Any:
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), message)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    except text_format.ParseError as error:
        raise UsageError(f"{path}: is not a {message.DESCRIPTOR.full_name} in text form ({error})") from error


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"should be true or false. Received: {text!r}")
    return text == "true"
