"""One loaded version of a model, in the same kind of session that TensorFlow Serving runs it in.

A TensorFlow 1 session answers a SavedModel of either generation from its signatures, prunes what the request's output
filter leaves out, and its prepared calls cost a quarter of a `ConcreteFunction`'s on a small model (78 against 292
microseconds). The C++ call releases the GIL.
"""

import threading
import time
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2

from serving import saved_model
from serving.batching import Batcher, Feeds, Run
from serving.batching_parameters import BatchingParameters
from serving.errors import from_tensorflow, invalid_argument
from serving.signature import Signature

_MAX_CALLS: Final = 128
"""Prepared calls kept per version: one for each set of inputs and outputs that was asked for."""


class Servable:
    """A version that answers. Dropping the last reference frees it, after the last request that uses it."""

    def __init__(self, name: str, version: int, meta_graph: meta_graph_pb2.MetaGraphDef, run: Run) -> None:
        self.name = name
        self.version = version
        self.checks_methods = False
        """Whether a signature answers only the methods that its `method_name` names."""
        self.signatures: dict[str, meta_graph_pb2.SignatureDef] = dict(meta_graph.signature_def)
        self.predicts = {name: Signature.of(definition) for name, definition in self.signatures.items()}
        """The same, as Predict reads them."""
        self.run = run
        """(the graph's tensor names -> values, names of tensors) -> their values. Raises `ServingError`."""
        self.took: Callable[[str, float], None] | None = None
        """Is told the method and how many microseconds its run took."""

    def run_for(self, method: str, feeds: Feeds, fetches: Sequence[str]) -> list[np.ndarray]:
        """As `run`, timed for the metric of `method`: `Predict`, `Classify` or `Regress`."""
        started = time.perf_counter()
        arrays = self.run(feeds, fetches)
        if self.took is not None:
            self.took(method, (time.perf_counter() - started) * 1e6)
        return arrays

    def batch(self, parameters: BatchingParameters, observe: Callable[[int], None]) -> None:
        """From now on, requests that come together run together; `observe` is told the rows of each batch."""
        batcher = Batcher(self.run, parameters, observe)
        weakref.finalize(self, batcher.close)
        self.run = batcher.run


class _Session:
    """A session and its prepared calls."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._calls: OrderedDict[Any, Callable[..., list[np.ndarray]]] = OrderedDict()
        self._lock = threading.Lock()

    def run(self, feeds: Feeds, fetches: Sequence[str]) -> list[np.ndarray]:
        """The tensors named in `fetches`, given those in `feeds`. Raises `ServingError` with TensorFlow's code."""
        try:
            values = self._call(tuple(feeds), tuple(fetches))(*feeds.values())
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        except UnicodeDecodeError as error:  # the code is lost: such a message quotes an input
            raise invalid_argument(error.object.decode("utf-8", "replace")) from error
        return [value if isinstance(value, np.ndarray) else _scalar(value) for value in values]

    def _call(self, feeds: tuple[str, ...], fetches: tuple[str, ...]) -> Callable[..., list[np.ndarray]]:
        key = (feeds, fetches)
        call = self._calls.get(key)
        if call is not None:
            return call
        options = config_pb2.CallableOptions(feed=feeds, fetch=fetches)
        with self._lock:
            call = self._calls[key] = self._session._make_callable_from_options(options)
            if len(self._calls) > _MAX_CALLS:
                self._calls.popitem(last=False)
        return call


def _scalar(value: Any) -> np.ndarray:
    """A value that the session gives as NumPy's scalar or, of a string, as bytes."""
    return np.array(value, object if isinstance(value, bytes) else None)


def load(name: str, version: int, path: str, tags: Sequence[str], config: config_pb2.ConfigProto) -> Servable:
    """Reads the SavedModel in `path`. Raises `ServingError` saying what is wrong with it."""
    meta_graph = saved_model.read(path, tags)
    session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
    saved_model.restore(session, meta_graph, path)
    return Servable(name, version, meta_graph, _Session(session).run)
