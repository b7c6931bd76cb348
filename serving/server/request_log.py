"""The log of answered requests: a sample of them as TFRecord files of TensorFlow Serving's PredictionLogs.

No request waits for it: a thread writes what requests put into a queue, and what finds the queue full is dropped and
counted. A killed server leaves its last file without the records of the last second, perhaps with a part of one. While
a file is written, it is locked (flock), so that whoever would change it can know (`is_being_written`).
"""

import argparse
import contextlib
import fcntl
import glob
import logging
import os
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import grpc
import tensorflow as tf
from tensorflow_serving.apis import logging_pb2, prediction_log_pb2

from serving.server.calls import Metrics
from serving.server.servable import Servable

LOG = logging.getLogger("serving")

FILE_SUFFIX: Final = r"-\d{8}T\d{6}-\d+-\d{6,}\.tfrecord"
"""A regular expression: what follows a model's prefix in the name of a file."""
_QUEUED: Final = 1024
_POLL_SECONDS: Final = 0.05
"""Between two looks at the queue, so that requests wake no thread."""
_FLUSH_SECONDS: Final = 1.0
_PAUSE_SECONDS: Final = 60.0
"""After a file could not be written: else a full disk would take a new file, and the oldest one, for each request."""
_STOP_SECONDS: Final = 5.0


class _File(NamedTuple):
    """A file that is being written.

    Attributes:
      writer: Of its records.
      opened: When, on the monotonic clock.
      lock: The same file, which is locked until it is closed.
    """

    writer: tf.io.TFRecordWriter
    opened: float
    lock: BinaryIO


MakeLog = Callable[[], prediction_log_pb2.PredictLog]


class RequestLog:
    """Samples and writes requests. `add` may be called from any thread.

    Files are named `<filename_prefix>-<UTC time>-<process>-<number>.tfrecord`.

    Args:
      flags: The server's flags: the bounds of the files.
      metrics: Counts the records: OK, RESOURCE_EXHAUSTED (the queue was full), UNAVAILABLE (no file can be written).
    """

    def __init__(self, flags: argparse.Namespace, metrics: Metrics) -> None:
        self._flags, self._metrics = flags, metrics
        self._configs: dict[str, Any] = {}  # replaced, never changed: `add` takes no lock
        self._queue: deque[tuple[logging_pb2.LogMetadata, str, MakeLog]] = deque()
        self._is_stopped = threading.Event()
        self._files: dict[str, _File] = {}
        self._bytes: Counter[str] = Counter()
        self._numbers, self._resume_at = count(), 0.0
        self._thread = threading.Thread(target=self._run, name="request-log", daemon=True)

    def configure(self, models: Iterable[Any]) -> None:
        """Logs the requests of the ModelConfigs that have a `logging_config`, and of no others."""
        logged = [(model.name, model.logging_config) for model in models if model.HasField("logging_config")]
        self._configs = {n: (c.sampling_config, c.log_collector_config.filename_prefix) for n, c in logged}
        if self._configs and not self._thread.ident:
            self._thread.start()

    def stop(self) -> None:
        """Writes what is queued and closes the files; gives up after some seconds."""
        self._is_stopped.set()
        if self._thread.ident:
            self._thread.join(_STOP_SECONDS)

    def add(self, servable: Servable, signature: str, make_log: MakeLog) -> None:
        """Logs a request that a version answered, if it is in the sample; the writing thread calls `make_log`."""
        sampling, prefix = self._configs.get(servable.name, (None, ""))
        if sampling is None or random.random() >= sampling.sampling_rate:
            return
        metadata = logging_pb2.LogMetadata(sampling_config=sampling, timestamp_secs=int(time.time()))
        metadata.model_spec.name, metadata.model_spec.signature_name = servable.name, signature
        metadata.model_spec.version.value = servable.version
        if len(self._queue) < _QUEUED:
            self._queue.append((metadata, prefix, make_log))
        else:
            self._metrics.logged(servable.name, grpc.StatusCode.RESOURCE_EXHAUSTED)

    def _run(self) -> None:
        is_stopped, flush_at = False, 0.0
        while not is_stopped:
            is_stopped = self._is_stopped.wait(_POLL_SECONDS)
            while self._queue:
                metadata, prefix, make_log = self._queue.popleft()
                code = self._tried(self._write, prefix, make_log, metadata)
                self._metrics.logged(metadata.model_spec.name, code)
                if self._bytes[prefix] >= self._flags.request_log_max_bytes and prefix in self._files:
                    self._tried(self._close_or_flush, prefix, is_stopped)
            if is_stopped or time.monotonic() >= flush_at:
                flush_at = time.monotonic() + _FLUSH_SECONDS
                for prefix in list(self._files):
                    self._tried(self._close_or_flush, prefix, is_stopped)

    def _tried(self, write: Callable[..., None], prefix: str, *arguments: Any) -> grpc.StatusCode:
        if time.monotonic() < self._resume_at:
            return grpc.StatusCode.UNAVAILABLE
        try:
            write(prefix, *arguments)
        except Exception as error:  # whatever a file system raises, the server must go on, and log again later
            LOG.error("No request is logged for %.0f s: %s cannot be written (%s)", _PAUSE_SECONDS, prefix, error)
            self._files.pop(prefix, None)
            self._resume_at = time.monotonic() + _PAUSE_SECONDS
            return grpc.StatusCode.UNAVAILABLE
        return grpc.StatusCode.OK

    def _write(self, prefix: str, make_log: MakeLog, metadata: logging_pb2.LogMetadata) -> None:
        log = prediction_log_pb2.PredictionLog(log_metadata=metadata, predict_log=make_log()).SerializeToString()
        if prefix not in self._files:
            Path(prefix).parent.mkdir(mode=0o750, parents=True, exist_ok=True)
            name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}-{next(self._numbers):06}.tfrecord"
            self._files[prefix], self._bytes[prefix] = _opened(f"{prefix}-{name}"), 0
            for old in sorted(glob.glob(f"{glob.escape(prefix)}-*.tfrecord"))[: -self._flags.request_log_max_files]:
                Path(old).unlink(missing_ok=True)
        self._files[prefix].writer.write(log)
        self._bytes[prefix] += len(log)

    def _close_or_flush(self, prefix: str, is_stopped: bool) -> None:
        """Closes a file that is old or large enough, or whose model is logged no more."""
        writer, opened, lock = self._files[prefix]
        writer.flush()
        is_full = self._bytes[prefix] >= self._flags.request_log_max_bytes
        is_old = time.monotonic() - opened >= self._flags.request_log_max_seconds
        if is_stopped or is_full or is_old or prefix not in [used for _, used in self._configs.values()]:
            del self._files[prefix]
            with lock:
                writer.close()


def is_being_written(path: Path) -> bool:
    """Returns whether a server of this machine, or of one that shares locks with it, still writes to a file of the log.

    Once it does not, no server ever will. Where the file system has no locks, the answer is yes.

    Raises:
      FileNotFoundError: The file is gone.
    """
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _opened(path: str) -> _File:
    lock = open(path, "ab")  # noqa: SIM115  # closed with the writer
    with contextlib.suppress(OSError):  # a file system without locks has a log too
        fcntl.flock(lock, fcntl.LOCK_EX)  # waits for an `is_being_written` of this moment
    return _File(tf.io.TFRecordWriter(path), time.monotonic(), lock)
