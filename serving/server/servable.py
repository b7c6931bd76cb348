"""One loaded version of a model: a SavedModel in a TensorFlow 1 session, as TensorFlow Serving runs it.

Such a session answers a SavedModel of either generation from its signatures, leaves out what the request's output
filter does not name, and its prepared calls cost a quarter of a `ConcreteFunction`'s on a small model (78 against 292
microseconds). The C++ call releases the GIL.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.server.errors import ServingError, from_tensorflow, invalid_argument

WARMUP_FILE: Final = "assets.extra/tf_serving_warmup_requests"
SMALL: Final = 16 << 20
"""Bytes of a model's variables below which an operation runs in one thread: to wake another takes longer than to
multiply a query with 10,000 items of 64 dimensions."""
_MAX_CALLS: Final = 128
_MAX_WARMUPS: Final = 1000
_CALLERS_THREAD: Final = -1
"""Inter-op threads with which TensorFlow runs a graph in the thread that asks."""

Feeds = dict[str, np.ndarray]


@dataclass(frozen=True)
class Signature:
    """A signature, read out of its protocol buffer once: maps of protocol buffers are slow to read.

    Attributes:
      inputs: The graph's tensor name of every input by its alias.
      dtypes: The number of every input's dtype by its alias.
      outputs: The graph's tensor name of every output by its alias, in the order of the aliases.
    """

    inputs: dict[str, str]
    dtypes: dict[str, int]
    outputs: dict[str, str]

    @classmethod
    def of(cls, definition: meta_graph_pb2.SignatureDef) -> Self:
        """Returns the signature that the protocol buffer defines."""
        inputs, outputs = sorted(definition.inputs.items()), sorted(definition.outputs.items())
        return cls(
            inputs={alias: info.name for alias, info in inputs},
            dtypes={alias: info.dtype for alias, info in inputs},
            outputs={alias: info.name for alias, info in outputs},
        )


class Servable:
    """A version that answers. Dropping the last reference frees it, after the last request that uses it.

    Args:
      name: The model's.
      version: Its number.
      session: A session that holds the graph.
      definitions: The graph's signatures by name.
    """

    def __init__(
        self, name: str, version: int, session: Any, definitions: dict[str, meta_graph_pb2.SignatureDef]
    ) -> None:
        self.name = name
        self.version = version
        self.definitions = definitions
        self.signatures = {key: Signature.of(definition) for key, definition in definitions.items()}
        self._session = session
        self._calls: OrderedDict[Any, Callable[..., list[np.ndarray]]] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, feeds: Feeds, fetches: Sequence[str]) -> list[np.ndarray]:
        """Returns the tensors named in `fetches`, given those in `feeds`, both by the graph's names.

        Raises:
          ServingError: With TensorFlow's code.
        """
        try:
            values = self._call(tuple(feeds), tuple(fetches))(*feeds.values())
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        except UnicodeDecodeError as error:  # TensorFlow's code is lost: such a message quotes an input
            raise invalid_argument(error.object.decode("utf-8", "replace")) from error
        return [value if isinstance(value, np.ndarray) else _scalar(value) for value in values]

    def _call(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Callable[..., list[np.ndarray]]:
        """The prepared call for a set of inputs and outputs, of which the newest are kept."""
        key = (feeds, fetches)
        call = self._calls.get(key)
        if call is None:
            options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
            with self._lock:
                call = self._calls[key] = self._session._make_callable_from_options(options)
                if len(self._calls) > _MAX_CALLS:
                    self._calls.popitem(last=False)
        return call


def load(name: str, version: int, path: str, config: config_pb2.ConfigProto) -> Servable:
    """Reads the SavedModel in `path`.

    Raises:
      ServingError: Saying what is wrong with it.
    """
    session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
    try:
        graph = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], path)
    except tf.errors.OpError as error:
        raise from_tensorflow(error) from error
    except (OSError, RuntimeError, ValueError, TypeError) as error:  # whatever a broken file makes Python's loader say
        raise ServingError(grpc.StatusCode.DATA_LOSS, f"{path} is no whole SavedModel: {error}") from error
    definitions = {key: value for key, value in graph.signature_def.items() if not key.startswith("__")}
    return Servable(name, version, session, definitions)


def warmup_requests(path: str) -> Iterable[predict_pb2.PredictRequest]:
    """Yields the PredictRequests of the version's warm-up file, none where there is no such file.

    Raises:
      ServingError: DATA_LOSS for a file that holds no PredictLogs; INVALID_ARGUMENT for more than 1,000.
    """
    file = tf.io.gfile.join(path, WARMUP_FILE)
    if not tf.io.gfile.exists(file):
        return
    try:
        for number, record in enumerate(tf.compat.v1.io.tf_record_iterator(file)):
            if number == _MAX_WARMUPS:
                raise invalid_argument(f"{file}: at most {_MAX_WARMUPS} warm-up requests are replayed")
            log = prediction_log_pb2.PredictionLog.FromString(record)
            if log.WhichOneof("log_type") != "predict_log":
                raise ServingError(grpc.StatusCode.DATA_LOSS, f"{file}: record {number} is no PredictLog")
            yield log.predict_log.request
    except (tf.errors.OpError, ValueError) as error:  # protobuf's DecodeError is a ValueError
        raise ServingError(grpc.StatusCode.DATA_LOSS, f"{file} holds no warm-up requests: {error}") from error


def session_config(intra_op_threads: int, inter_op_threads: int) -> config_pb2.ConfigProto:
    """Returns the sessions' config.

    Threads of an operation sleep as soon as they have nothing to do: they would spin on cores that other requests need.
    The optimizer of functions in MLIR is left out: it reads the whole library of functions for each signature, more
    than a quarter of what loading a real model takes, and the graphs answer no sooner for it.

    Args:
      intra_op_threads: For one operation; 0: as many as there are cores.
      inter_op_threads: Operations of a request at the same time; 0: one after the other, in the request's own thread.
    """
    config = config_pb2.ConfigProto()
    config.experimental.disable_thread_spinning = True
    config.graph_options.rewrite_options.disable_tfg_optimizer = True
    config.intra_op_parallelism_threads = intra_op_threads
    config.inter_op_parallelism_threads = inter_op_threads or _CALLERS_THREAD
    return config


def variable_bytes(path: str) -> int:
    """Returns the size of a version's variables on disk."""
    files = tf.io.gfile.glob(tf.io.gfile.join(path, "variables", "variables.data-*"))
    return sum(tf.io.gfile.stat(file).length for file in files)


def _scalar(value: Any) -> np.ndarray:
    """A value that the session gives as NumPy's scalar or, of a string, as bytes."""
    return np.array(value, object if isinstance(value, bytes) else None)
