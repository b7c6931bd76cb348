"""The server's flags: TensorFlow Serving's names, meanings and defaults."""

import argparse
import os
from collections.abc import Sequence

_FLAGS: tuple[tuple[str, type, object, str], ...] = (
    ("port", int, 8500, "TCP port of the gRPC API. 0: any free one, which is printed."),
    ("grpc_socket_path", str, "", "Listen to this UNIX socket too; with --port=0 to nothing else."),
    ("rest_api_port", int, 0, "TCP port of the REST API. 0: no REST API."),
    ("rest_api_timeout_in_ms", int, 30_000, "Milliseconds after which a silent REST connection is closed."),
    ("rest_api_enable_cors_support", bool, False, "Send CORS headers."),
    ("model_config_file", str, "", "ModelServerConfig in text form: several models, version policies and labels."),
    ("model_config_file_poll_wait_seconds", float, 0.0, "Seconds between two readings of that file; 0: read once."),
    ("allow_version_labels_for_unavailable_models", bool, False, "New labels may name versions not yet loaded."),
    ("monitoring_config_file", str, "", "MonitoringConfig in text form: a Prometheus page on the REST port."),
    ("enable_batching", bool, False, "Run requests that come together as one batch."),
    ("batching_parameters_file", str, "", "BatchingParameters in text form."),
    ("ssl_config_file", str, "", "SSLConfig in text form: TLS, or mutual TLS, for gRPC."),
    ("enable_model_warmup", bool, True, "Replay assets.extra/tf_serving_warmup_requests before a version answers."),
    ("model_name", str, "default", "The model's name."),
    ("model_base_path", str, "", "The directory whose numeric children are the model's versions."),
    ("file_system_poll_wait_seconds", float, 1.0, "Seconds between two looks for new versions; 0: look once."),
    ("max_num_load_retries", int, 5, "How often a version that fails to load is tried again."),
    ("load_retry_interval_micros", int, 60_000_000, "Microseconds between two such tries."),
    ("saved_model_tags", str, "serve", "Comma-separated tags of the meta graph to load."),
    ("tensorflow_intra_op_parallelism", int, 0, "Threads for one operation; 0: as many as there are cores."),
    ("tensorflow_inter_op_parallelism", int, 0, "Operations at the same time; 0: as many as there are cores."),
    ("tensorflow_session_parallelism", int, 0, "Sets both of the above where they are 0."),
    ("grpc_max_threads", int, 4 * (os.cpu_count() or 1), "Threads that answer requests."),
    ("grpc_channel_arguments", str, "", "Comma-separated, such as grpc.max_connection_age_ms=2000."),
    ("enable_serialization_as_tensor_content", bool, False, "Answer numbers in tensor_content."),
    ("drain_seconds", float, 30.0, "How long requests under way may take after SIGTERM."),
)


def parse_flags(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags as attributes. Exits with status 2 and a message when one is wrong."""
    parser = argparse.ArgumentParser(prog="serving.server", description=__doc__, allow_abbrev=False)
    for name, kind, default, text in _FLAGS:
        if kind is bool:
            parser.add_argument(f"--{name}", type=_boolean, nargs="?", const=True, default=default, help=text)
        else:
            parser.add_argument(f"--{name}", type=kind, default=default, help=f"{text} Default: {default!r}")
    parser.add_argument("--version", action="store_true", help="Print the versions and exit.")
    flags = parser.parse_args(arguments)
    if not (flags.version or flags.model_base_path or flags.model_config_file):
        parser.error("--model_base_path should name the directory that holds the model's version directories")
    if flags.rest_api_port and flags.rest_api_port == flags.port:
        parser.error(f"--rest_api_port should differ from --port. Received: {flags.port} for both")
    return flags


def channel_arguments(text: str) -> list[tuple[str, int | str]]:
    """`name=value,name=value` as gRPC options; whole numbers as int."""
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    return [(name, int(value) if value.lstrip("-").isdigit() else value) for name, _, value in pairs]


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false", "1", "0"):
        raise argparse.ArgumentTypeError(f"should be true or false. Received: {text!r}")
    return text.lower() in ("true", "1")
