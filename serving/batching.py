"""Requests that come together run together: their rows become one batch of the graph and the answers are cut apart.

Only requests to the same signature, for the same outputs and with inputs of the same shape beyond the rows are joined.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np

from serving.errors import ServingError, invalid_argument

Feeds = dict[str, np.ndarray]
Run = Callable[[Feeds, Sequence[str]], list[np.ndarray]]


@dataclass(frozen=True)
class BatchingParameters:
    """`max_rows` a batch; a batch waits `timeout` seconds for more; `threads` batches run at the same time."""

    max_rows: int = 1000
    timeout: float = 0.0
    max_waiting_batches: int = 10
    threads: int = 4
    allowed_rows: tuple[int, ...] = ()
    """Batches are filled up with copies of the last row to the next of these sizes."""

    @classmethod
    def from_proto(cls, proto: Any, cores: int) -> "BatchingParameters":
        """From the BatchingParameters message; what it leaves open has TensorFlow Serving's default."""
        allowed = tuple(proto.allowed_batch_sizes)
        max_rows = proto.max_batch_size.value or cls.max_rows
        if allowed and (list(allowed) != sorted(allowed) or allowed[-1] != max_rows):
            raise invalid_argument(
                f"`allowed_batch_sizes` should rise and end with max_batch_size={max_rows}. Received: {list(allowed)}"
            )
        waiting = proto.max_enqueued_batches.value or cls.max_waiting_batches
        threads = proto.num_batch_threads.value or cores
        return cls(max_rows, proto.batch_timeout_micros.value / 1e6, waiting, threads, allowed)


@dataclass
class _Task:
    feeds: Feeds
    rows: int
    future: "Future[list[np.ndarray]]" = field(default_factory=Future)
    came: float = field(default_factory=time.monotonic)


class Batcher:
    """Joins the calls of many threads. Its own threads are daemons and end with `close`."""

    def __init__(self, run: Run, parameters: BatchingParameters, observe: Callable[[int], None]) -> None:
        self._run_graph = run
        self._parameters = parameters
        self._observe = observe
        self._queues: dict[Any, deque[_Task]] = {}
        self._change = threading.Condition()
        self._closed = False
        for number in range(parameters.threads):
            threading.Thread(target=self._work, name=f"batch-{number}", daemon=True).start()

    def run(self, feeds: Feeds, fetches: Sequence[str]) -> list[np.ndarray]:
        """As `Servable.run`, in company. Raises `ServingError` (UNAVAILABLE when too many wait)."""
        rows = _rows(feeds)
        if rows > self._parameters.max_rows:
            limit = self._parameters.max_rows
            raise invalid_argument(f"Task size {rows} is larger than maximum input batch size {limit}")
        key = (tuple((name, array.dtype.str, array.shape[1:]) for name, array in feeds.items()), tuple(fetches))
        task = _Task(feeds, rows)
        with self._change:
            waiting = sum(t.rows for queue in self._queues.values() for t in queue)
            if waiting + rows > self._parameters.max_waiting_batches * self._parameters.max_rows:
                message = "The batch scheduling queue to which this task was submitted is full"
                raise ServingError(grpc.StatusCode.UNAVAILABLE, message)
            self._queues.setdefault(key, deque()).append(task)
            self._change.notify()
        return task.future.result()

    def close(self) -> None:
        """Ends the threads once nothing waits."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _work(self) -> None:
        while True:
            with self._change:
                batch = self._next_batch()
            if batch is None:
                return
            self._answer(*batch)

    def _next_batch(self) -> tuple[list[_Task], Sequence[str]] | None:
        """Waits for the batch that is due first; None when closed. Holds the lock."""
        while True:
            if not self._queues:
                if self._closed:
                    return None
                self._change.wait()
                continue
            key = min(self._queues, key=lambda k: self._due(self._queues[k]))
            wait = self._due(self._queues[key]) - time.monotonic()
            if wait <= 0:
                return self._take(key), key[1]
            self._change.wait(wait)

    def _due(self, queue: "deque[_Task]") -> float:
        full = sum(task.rows for task in queue) >= self._parameters.max_rows
        return 0.0 if full else queue[0].came + self._parameters.timeout

    def _take(self, key: Any) -> list[_Task]:
        queue, batch, rows = self._queues[key], [], 0
        while queue and rows + queue[0].rows <= self._parameters.max_rows:
            rows += queue[0].rows
            batch.append(queue.popleft())
        if not queue:
            del self._queues[key]
        return batch

    def _answer(self, batch: list[_Task], fetches: Sequence[str]) -> None:
        rows = sum(task.rows for task in batch)
        self._observe(rows)
        try:
            outputs = self._run_graph(self._joined(batch, rows), fetches)
            for array in outputs:
                if array.ndim == 0 or len(array) < rows:
                    raise ServingError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes "
                        "of the input tensors",
                    )
        except Exception as error:
            # The callers wait for it in their own threads; this one goes on with the next batch.
            for task in batch:
                task.future.set_exception(error)
            return
        start = 0
        for task in batch:
            task.future.set_result([array[start : start + task.rows] for array in outputs])
            start += task.rows

    def _joined(self, batch: list[_Task], rows: int) -> Feeds:
        size = next((n for n in self._parameters.allowed_rows if n >= rows), rows)
        if len(batch) == 1 and size == rows:
            return batch[0].feeds
        joined = {name: np.concatenate([task.feeds[name] for task in batch]) for name in batch[0].feeds}
        if size > rows:
            joined = {name: np.concatenate([a, np.repeat(a[-1:], size - rows, 0)]) for name, a in joined.items()}
        return joined


def _rows(feeds: Feeds) -> int:
    if any(array.ndim == 0 for array in feeds.values()):
        raise invalid_argument("Batching input tensors must have at least one dimension")
    sizes = {len(array) for array in feeds.values()}
    if len(sizes) != 1:
        message = "Batching input tensors supplied in a given input list must have equal 0th-dimension size"
        raise invalid_argument(f"{message}. Received: {sorted(sizes)}")
    return sizes.pop()
