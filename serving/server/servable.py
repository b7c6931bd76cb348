"""One loaded version of a model: a SavedModel in a TensorFlow 1 session, as TensorFlow Serving runs it.

Such a session runs a SavedModel of TensorFlow 1 or 2 by its signatures, prunes the outputs that a request's filter does
not name, and its prepared calls cost a quarter of a `ConcreteFunction`'s on a small model (78 against 292
microseconds). The C++ call releases the GIL.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from serving.server.calls import ServingError, invalid_argument
from serving.server.tensors import Tensors

WARMUP_FILE: Final = "assets.extra/tf_serving_warmup_requests"
SMALL: Final = 16 << 20
"""Bytes of a model's variables below which an operation runs in one thread: to wake another takes longer than to
multiply a query with 10,000 items of 64 dimensions."""
_MAX_PREPARED: Final = 128
_MAX_WARMUPS: Final = 1000
_CALLERS_THREAD: Final = -1
"""Inter-op threads with which TensorFlow runs a graph in the calling thread."""
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True)
class Signature:
    """A signature, read out of its protocol buffer once, as maps of protocol buffers are slow to read.

    Attributes:
      inputs: The graph's tensor name of every input.
      dtypes: TensorFlow's number of every input's dtype.
      outputs: The graph's tensor name of every output, sorted by the output's name.
    """

    inputs: dict[str, str]
    dtypes: dict[str, int]
    outputs: dict[str, str]


class Servable:
    """A loaded version. Dropping the last reference frees it, after the last request that uses it.

    Args:
      name: The model's name.
      version: The version's number.
      session: A session that holds the graph.
      definitions: The graph's signatures by name.
    """

    def __init__(
        self, name: str, version: int, session: Any, definitions: dict[str, meta_graph_pb2.SignatureDef]
    ) -> None:
        self.name = name
        self.version = version
        self.definitions = definitions
        self.signatures = {
            key: Signature(
                inputs={alias: info.name for alias, info in sorted(definition.inputs.items())},
                dtypes={alias: info.dtype for alias, info in sorted(definition.inputs.items())},
                outputs={alias: info.name for alias, info in sorted(definition.outputs.items())},
            )
            for key, definition in definitions.items()
        }
        make = session._make_callable_from_options
        self._callable = lru_cache(_MAX_PREPARED)(
            lambda feeds, fetches: make(config_pb2.CallableOptions(feed=feeds, fetch=fetches))
        )
        """Returns the prepared call for a set of inputs and outputs."""

    def run(self, feeds: Tensors, fetches: Sequence[str]) -> list[np.ndarray]:
        """Returns the tensors named in `fetches`, given those in `feeds`, both by the graph's names.

        Raises:
          ServingError: With TensorFlow's code.
        """
        try:
            values = self._callable(tuple(feeds), tuple(fetches))(*feeds.values())
        except tf.errors.OpError as error:
            raise _from_tensorflow(error) from error
        except UnicodeDecodeError as error:  # a message that quotes an input: TensorFlow's code is lost
            raise invalid_argument(error.object.decode("utf-8", "replace")) from error
        # The session returns a scalar as NumPy's or, of a string, as bytes.
        return [
            v if isinstance(v, np.ndarray) else np.array(v, object if isinstance(v, bytes) else None) for v in values
        ]


def load(name: str, version: int, path: str, config: config_pb2.ConfigProto) -> Servable:
    """Reads the SavedModel in `path`.

    Raises:
      ServingError: Naming what is wrong with it.
    """
    session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
    try:
        graph = tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], path)
    except tf.errors.OpError as error:
        raise _from_tensorflow(error) from error
    except (OSError, RuntimeError, ValueError, TypeError) as error:  # what Python's loader raises for a broken file
        raise ServingError(grpc.StatusCode.DATA_LOSS, f"{path} is not a whole SavedModel: {error}") from error
    definitions = {key: value for key, value in graph.signature_def.items() if not key.startswith("__")}
    return Servable(name, version, session, definitions)


def warmup_requests(path: str) -> Iterable[predict_pb2.PredictRequest]:
    """Yields the PredictRequests of the version's warm-up file, none where there is no such file.

    Raises:
      ServingError: DATA_LOSS for a file that does not hold PredictLogs; INVALID_ARGUMENT for more than 1,000.
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
                raise ServingError(grpc.StatusCode.DATA_LOSS, f"{file}: record {number} is not a PredictLog")
            yield log.predict_log.request
    except (tf.errors.OpError, ValueError) as error:  # protobuf's DecodeError is a ValueError
        raise ServingError(grpc.StatusCode.DATA_LOSS, f"{file} does not hold warm-up requests: {error}") from error


def session_config(intra_op_threads: int, inter_op_threads: int) -> config_pb2.ConfigProto:
    """Returns the sessions' config.

    Threads of an operation sleep as soon as they are idle: they would spin on cores that other requests need. The
    optimizer of functions in MLIR is off: it reads the whole library of functions for each signature, more than a
    quarter of what loading a real model takes, and the graphs run no faster for it.

    Args:
      intra_op_threads: Threads of one operation; 0: as many as there are cores.
      inter_op_threads: Operations of a request at the same time; 0: one after the other, in the request's own thread.
    """
    config = config_pb2.ConfigProto()
    config.experimental.disable_thread_spinning = True
    config.graph_options.rewrite_options.disable_tfg_optimizer = True
    config.intra_op_parallelism_threads = intra_op_threads
    config.inter_op_parallelism_threads = inter_op_threads or _CALLERS_THREAD
    return config


def _from_tensorflow(error: Any) -> ServingError:
    """Returns TensorFlow's `OpError` with the same code: gRPC numbers them alike."""
    return ServingError(_CODES.get(error.error_code, grpc.StatusCode.UNKNOWN), error.message)
