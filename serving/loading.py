"""How a version directory becomes a version that answers: read, checked, batched, warmed up."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

import grpc
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import config_pb2

from serving import config_files
from serving.batching_parameters import BatchingParameters
from serving.errors import ServingError, from_tensorflow, invalid_argument, not_found
from serving.manifest import MANIFEST, manifest_fault
from serving.metrics import BATCH_SIZE, LATENCY_BOUNDS, RUNTIME_LATENCY, SIZE_BOUNDS, Metrics
from serving.model import Loader
from serving.options import Options
from serving.servable import Servable, load
from serving.threads import operation_threads
from serving.warmup import warm_up

LOG = logging.getLogger("serving")

PER_MODEL_FILE: Final = "batching_params.pbtxt"
_CALLERS_THREAD: Final = -1
"""Inter-op threads with which TensorFlow runs a graph in the thread that asks: to wake another takes longer than most
of a recommender's operations."""


def loader(options: Options, metrics: Metrics) -> Loader:
    """Loads versions as the flags say. Raises `ServingError` for a session config that cannot be read."""
    flags = options.flags
    session = session_config(options)
    tags = flags.saved_model_tags.split(",")
    batching = options.batching

    def load_version(name: str, version: int, path: str) -> Servable:
        _check_files(path)
        servable = load(name, version, path, tags, session)
        servable.checks_methods = flags.enable_signature_method_name_check
        own = _own_parameters(path) if batching and flags.enable_per_model_batching_parameters else batching
        if own is not None:
            servable.batch(own, _observer(metrics))
        servable.took = _timer(name, metrics)
        if flags.enable_model_warmup:
            warm_up(servable, path, max(flags.num_request_iterations_for_warmup, 1))
        return servable

    return load_version


def session_config(options: Options) -> config_pb2.ConfigProto:
    """The sessions' config: of the file, its threads of the flags. Raises `ServingError` for a file it cannot read.

    Threads of an operation sleep as soon as they have nothing to do: they would spin on cores that other requests need.
    The optimizer of functions in MLIR is left out: it reads the whole library of functions for each signature, more
    than a quarter of what loading a real model takes, and the graphs answer no sooner for it.
    """
    flags = options.flags
    config = config_pb2.ConfigProto()
    config.experimental.disable_thread_spinning = True
    config.graph_options.rewrite_options.disable_tfg_optimizer = True
    path = flags.tensorflow_session_config_file
    if path:
        try:
            text_format.Parse(Path(path).read_text(encoding="utf-8"), config)
        except FileNotFoundError as error:
            raise not_found(f"{path}; {error.strerror}") from error
        except text_format.ParseError as error:
            raise invalid_argument(f"Invalid protobuf file: '{path}'") from error
    intra, inter = flags.tensorflow_intra_op_parallelism, flags.tensorflow_inter_op_parallelism
    if intra <= 0 and inter <= 0:
        intra = inter = flags.tensorflow_session_parallelism
    config.intra_op_parallelism_threads = intra or operation_threads(options.models)
    config.inter_op_parallelism_threads = inter or _CALLERS_THREAD
    return config


def _check_files(path: str) -> None:
    """Raises `ServingError` (DATA_LOSS) where a file of the version is not what was pushed."""
    try:
        fault = manifest_fault(path)
    except OSError as error:
        raise ServingError(grpc.StatusCode.DATA_LOSS, f"{error.filename}: cannot be read ({error.strerror})") from error
    except tf.errors.OpError as error:
        raise from_tensorflow(error) from error
    if fault is None:
        LOG.info("%s holds no %s: its files are taken as they are", path, MANIFEST)
    elif fault:
        raise ServingError(grpc.StatusCode.DATA_LOSS, f"{fault}. Push the model again, or withdraw this version")


def _own_parameters(path: str) -> BatchingParameters | None:
    file = tf.io.gfile.join(path, PER_MODEL_FILE)
    return config_files.read_batching_parameters(file) if tf.io.gfile.exists(file) else None


def _timer(name: str, metrics: Metrics) -> Callable[[str, float], None]:
    def took(method: str, microseconds: float) -> None:
        metrics.observe(RUNTIME_LATENCY, LATENCY_BOUNDS, microseconds, model_name=name, API=method, runtime="TF1")

    return took


def _observer(metrics: Metrics) -> Callable[[int], None]:
    return lambda rows: metrics.observe(BATCH_SIZE, SIZE_BOUNDS, rows)
