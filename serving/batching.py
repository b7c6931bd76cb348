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

from serving import callers
from serving.batching_parameters import BatchingParameters
from serving.errors import ServingError, failed_precondition, invalid_argument

Feeds = dict[str, np.ndarray]
Run = Callable[[Feeds, Sequence[str]], list[np.ndarray]]


@dataclass
class _Task:
    feeds: Feeds
    rows: int
    waits: callers.Waits
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
        waits, limit = callers.current(), self._parameters.limit
        if rows <= limit:
            tasks = [_Task(feeds, rows, waits)]
        else:
            parts = [{n: a[start : start + limit] for n, a in feeds.items()} for start in range(0, rows, limit)]
            tasks = [_Task(part, len(next(iter(part.values()))), waits) for part in parts]
        self._enqueue(tasks, fetches)
        answers = [task.future.result() for task in tasks]
        return answers[0] if len(answers) == 1 else [np.concatenate(arrays) for arrays in zip(*answers, strict=True)]

    def close(self) -> None:
        """Ends the threads once nothing waits."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _enqueue(self, tasks: list[_Task], fetches: Sequence[str]) -> None:
        feeds = tasks[0].feeds
        key = (tuple((name, array.dtype.str, array.shape[1:]) for name, array in feeds.items()), tuple(fetches))
        most = self._parameters.max_waiting_batches
        with self._change:
            waiting, added = self._waiting(key[1]), [task.rows for task in tasks]
            if self._batches([*waiting, *added]) > most:
                raise self._full(waiting, sum(added))
            self._queues.setdefault(key, deque()).extend(tasks)
            self._change.notify(len(tasks))

    def _full(self, waiting: list[int], rows: int) -> ServingError:
        """UNAVAILABLE: what waits leaves no room for so many rows."""
        text = "The batch scheduling queue to which this task was submitted is full; "
        limit, most = self._parameters.batch_rows, self._parameters.max_waiting_batches
        if not limit:
            text += f"currently {most} batches enqueued and max_enqueued_batches is {most}"
            return ServingError(grpc.StatusCode.UNAVAILABLE, text)
        batches = max(self._batches(waiting), 1)
        last = sum(waiting) - (batches - 1) * limit
        text += (
            f"task size is {rows} but scheduling capacity is only {most * limit - sum(waiting)} "
            f"(num_enqueued_batches={batches}, max_enqueued_batches={most}, open_batch_size={last}, "
            f"max_execution_batch_size={limit})"
        )
        return ServingError(grpc.StatusCode.UNAVAILABLE, text)

    def _waiting(self, fetches: Sequence[str]) -> list[int]:
        return [task.rows for key, queue in self._queues.items() if key[1] == fetches for task in queue]

    def _batches(self, sizes: list[int]) -> int:
        """How many batches tasks of these sizes make, in this order."""
        count, room = 0, 0
        for size in sizes:
            if size > room or not count:
                count, room = count + 1, self._parameters.limit
            room -= size
        return count

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
        full = sum(task.rows for task in queue) >= self._parameters.limit
        return 0.0 if full else queue[0].came + self._parameters.timeout

    def _take(self, key: Any) -> list[_Task]:
        queue, batch, rows = self._queues[key], [], 0
        while queue and rows + queue[0].rows <= self._parameters.limit:
            rows += queue[0].rows
            batch.append(queue.popleft())
        if not queue:
            del self._queues[key]
        return batch

    def _answer(self, batch: list[_Task], fetches: Sequence[str]) -> None:
        for task in batch:
            if not task.waits():
                task.future.set_exception(callers.gone())
        batch = [task for task in batch if not task.future.done()]
        if not batch:
            return
        try:
            outputs = self._outputs(batch, fetches)
        except Exception as error:
            # The callers wait for it in their own threads; this one goes on with the next batch.
            for task in batch:
                task.future.set_exception(error)
            return
        start = 0
        for task in batch:
            task.future.set_result([array[start : start + task.rows] for array in outputs])
            start += task.rows

    def _outputs(self, batch: list[_Task], fetches: Sequence[str]) -> list[np.ndarray]:
        rows = sum(task.rows for task in batch)
        size = next((n for n in self._parameters.allowed_rows if n >= rows), rows) if rows else 0
        self._observe(size)
        outputs = self._run_graph(_joined(batch, size - rows), fetches)
        for array in outputs:
            if array.ndim == 0:
                raise failed_precondition("Batched output tensor has 0 dimensions")
            if len(array) != size:
                raise failed_precondition(
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes "
                    "of the input tensors"
                )
        return outputs


def _joined(batch: list[_Task], padding: int) -> Feeds:
    if len(batch) == 1 and not padding:
        return batch[0].feeds
    joined = {name: np.concatenate([task.feeds[name] for task in batch]) for name in batch[0].feeds}
    return {name: np.concatenate([a, np.repeat(a[-1:], padding, 0)]) if padding else a for name, a in joined.items()}


def _rows(feeds: Feeds) -> int:
    if not feeds:
        raise invalid_argument("Batching Run() must have at least one input tensor")
    if any(array.ndim == 0 for array in feeds.values()):
        raise invalid_argument("Batching Run() input tensors must have at least one dimension")
    sizes = {len(array) for array in feeds.values()}
    if len(sizes) != 1:
        raise invalid_argument("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop()
