"""The server's flags: TensorFlow Serving's names, meanings, defaults and grammar.

A flag is `--name=value`; a boolean one may be `--name` alone. What is no flag is named and passed over, as there.
"""

import os
import re
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_THREADS: Final = 4 * (os.cpu_count() or 1)
_INT: Final = re.compile(r"[+-]?\d+")

Value = int | float | bool | str


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag; the default's type is the value's."""

    name: str
    default: Value
    help: str

    @property
    def may_be_alone(self) -> bool:
        """Whether the name alone is the flag, without a value."""
        return isinstance(self.default, bool)

    def parse(self, text: str) -> Value | None:
        """The value that `text` says, None where it says none."""
        if isinstance(self.default, bool):
            return {"true": True, "false": False}.get(text)
        if isinstance(self.default, int):
            return int(text) if _INT.fullmatch(text) else None
        return _number(text) if isinstance(self.default, float) else text


FLAGS: Final = (
    Flag("port", 8500, "TCP port of the gRPC API. 0: none beside a UNIX socket, else any free one, which is printed."),
    Flag("grpc_socket_path", "", "Listen to this UNIX socket too; with --port=0 to nothing else."),
    Flag("rest_api_port", 0, "TCP port of the REST API. 0: no REST API."),
    Flag("rest_api_num_threads", _THREADS, "Threads that answer REST requests."),
    Flag("rest_api_timeout_in_ms", 30_000, "Milliseconds that a REST request may take."),
    Flag("rest_api_enable_cors_support", False, "Send CORS headers."),
    Flag("enable_batching", False, "Run requests that come together as one batch."),
    Flag("batching_parameters_file", "", "BatchingParameters in text form."),
    Flag(
        "enable_per_model_batching_parameters",
        False,
        "Read batching_params.pbtxt beside each model's saved_model.pb instead; a model without one is not batched.",
    ),
    Flag("model_config_file", "", "ModelServerConfig in text form: several models, version policies and labels."),
    Flag("model_config_file_poll_wait_seconds", 0.0, "Seconds between two readings of that file; 0: read once."),
    Flag(
        "allow_version_labels_for_unavailable_models", False, "A label not given yet may name a version not yet loaded."
    ),
    Flag("model_name", "default", "The model's name, where no --model_config_file is given."),
    Flag("model_base_path", "", "Absolute path or URI of the directory whose numeric children are the versions."),
    Flag("max_num_load_retries", 5, "How often a version that fails to load is tried again."),
    Flag("load_retry_interval_micros", 60_000_000, "Microseconds between two such tries."),
    Flag("file_system_poll_wait_seconds", 1.0, "Seconds between two looks for new versions; 0: look once."),
    Flag("saved_model_tags", "serve", "Comma-separated tags of the meta graph to load."),
    Flag("enable_model_warmup", True, "Replay assets.extra/tf_serving_warmup_requests before a version answers."),
    Flag("num_request_iterations_for_warmup", 0, "How often each of these requests is replayed, where greater than 0."),
    Flag(
        "enable_signature_method_name_check", False, "Classify and Regress only signatures whose method_name says so."
    ),
    Flag("monitoring_config_file", "", "MonitoringConfig in text form: a Prometheus page on the REST port."),
    Flag("ssl_config_file", "", "SSLConfig in text form: TLS, or mutual TLS, for gRPC."),
    Flag("use_alts_credentials", False, "Use Google ALTS credentials for gRPC."),
    Flag("tensorflow_session_config_file", "", "TensorFlow's ConfigProto in text form; thread flags go before it."),
    Flag("tensorflow_session_parallelism", 0, "Sets both of the next two, where neither is set."),
    Flag(
        "tensorflow_intra_op_parallelism",
        0,
        "Threads for one operation; 0: as many as there are cores, 1 where all models are small at the start.",
    ),
    Flag("tensorflow_inter_op_parallelism", 0, "Operations of a request at the same time; 0: one after the other."),
    Flag("grpc_max_threads", _THREADS, "Requests that gRPC answers at the same time, where they are not batched."),
    Flag("grpc_channel_arguments", "", "Comma-separated, such as grpc.max_connection_age_ms=2000."),
    Flag("enable_serialization_as_tensor_content", False, "Answer in tensor_content."),
    Flag("drain_seconds", 30.0, "Of this server alone: how long requests under way may take after SIGTERM."),
    Flag("version", False, "Print the versions and exit."),
)
WITHOUT_EFFECT: Final = (
    Flag("enable_grpc_healthcheck_service", False, "grpc.health.v1 is always served."),
    Flag("flush_filesystem_caches", True, "Nothing is flushed."),
    Flag("num_load_threads", 0, "Versions are loaded one after the other, beside the requests."),
    Flag("num_unload_threads", 0, "A version leaves memory with the last request that uses it."),
    Flag("remove_unused_fields_from_bundle_metagraph", True, "Only the signatures are kept."),
    Flag("per_process_gpu_memory_fraction", 0.0, "The server runs on CPUs."),
    Flag("enable_profiler", True, "There is no profiler service."),
    Flag("prefer_tflite_model", False, "TensorFlow Lite models are not served."),
    Flag("num_tflite_pools", 1, "As above."),
    Flag("num_tflite_interpreters_per_pool", 1, "As above."),
    Flag("xla_cpu_compilation_enabled", False, "XLA is off."),
    Flag("xla_gpu_compilation_enabled", False, "XLA is off."),
    Flag("mixed_precision", "", "Models run in the precision that they were saved in."),
    Flag("skip_initialize_tpu", False, "There is no TPU."),
)


class UsageError(Exception):
    """A flag's value cannot be read, or --help was asked for."""


def parse_flags(arguments: Sequence[str] | None = None) -> Namespace:
    """The flags as attributes; what is none is named on standard error. Raises `UsageError`."""
    known = {flag.name: flag for flag in (*FLAGS, *WITHOUT_EFFECT)}
    flags = Namespace(**{name: flag.default for name, flag in known.items()})
    for argument in sys.argv[1:] if arguments is None else arguments:
        name, equals, text = argument.removeprefix("--").partition("=")
        flag = known.get(name) if argument.startswith("--") else None
        if argument == "--help":
            raise UsageError(usage())
        if flag is None or not (equals or flag.may_be_alone):
            print(f"unknown argument: {argument}", file=sys.stderr, flush=True)
            continue
        value = flag.parse(text if equals else "true")
        if value is None:
            raise UsageError(f"Couldn't interpret value {equals}{text} for flag {name}.\n{usage()}")
        setattr(flags, name, value)
    return flags


def usage() -> str:
    """All flags with their defaults."""
    lines = ["usage: python -m serving.server --model_base_path=FOLDER [flags]", "Flags:"]
    lines += [_line(flag) for flag in FLAGS]
    lines += ["Flags of TensorFlow Serving that are accepted and have no effect here:"]
    return "\n".join([*lines, *map(_line, WITHOUT_EFFECT)])


def channel_arguments(text: str) -> list[tuple[str, int | str]]:
    """`name=value,name=value` as gRPC options; whole numbers as int."""
    pairs = (pair.partition("=") for pair in text.split(",") if pair)
    return [(name, int(value) if _INT.fullmatch(value) else value) for name, _, value in pairs]


def _line(flag: Flag) -> str:
    default = str(flag.default).lower() if isinstance(flag.default, bool) else flag.default
    return f"    {f'--{flag.name}={default}':<50} {flag.help}"


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
