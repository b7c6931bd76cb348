"""The CPU time that the request log takes of a server for each answer, sampling and writing, without the server.

    python -m benchmarks.serving.log_alone

Of several repetitions the one with the least time counts: other work on the machine only adds. The answer is a list of
100 items with a score each, as in `benchmarks.serving`.
"""

import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import numpy as np

import trainer  # noqa: F401  (selects Keras 2 before TensorFlow is imported)

from google.protobuf import text_format  # isort: skip
from tensorflow_serving.apis import prediction_log_pb2  # isort: skip
from tensorflow_serving.config import model_server_config_pb2  # isort: skip

from benchmarks.serving.request_log import RATES, model_config
from serving.server.calls import Metrics
from serving.server.flags import parse_flags
from serving.server.request_log import RequestLog
from serving.server.tensors import fill_proto

_REQUESTS: Final = 20_000
_AT_ONCE: Final = 500
"""Requests after which the queue is left to run empty, so that none is dropped."""
_REPETITIONS: Final = 5


def main() -> None:
    """Prints a line for each sampling rate."""
    for rate in RATES:
        seconds = min(_cpu_seconds(rate) for _ in range(_REPETITIONS))
        print(f"{rate:4.0%} logged: {1e6 * seconds / _REQUESTS:.1f} us of CPU a request")


def _cpu_seconds(rate: float) -> float:
    record = _record()
    servable: Any = SimpleNamespace(name="recommender", version=1)
    with tempfile.TemporaryDirectory() as folder:
        text = model_config(Path(folder), rate)
        models = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
        log = RequestLog(parse_flags([]), Metrics())
        begin = time.process_time()
        log.configure(models)
        for number in range(_REQUESTS):
            log.add(servable, "recommend", lambda: record)
            while number % _AT_ONCE == 0 and log._queue:
                time.sleep(0.01)
        log.stop()
        return time.process_time() - begin


def _record() -> prediction_log_pb2.PredictLog:
    record = prediction_log_pb2.PredictLog()
    fill_proto(np.zeros((1, 64), np.float32), record.request.inputs["query"])
    fill_proto(np.array([[str(number).encode() for number in range(100)]], object), record.response.outputs["item_id"])
    fill_proto(np.zeros((1, 100), np.float32), record.response.outputs["score"])
    return record


if __name__ == "__main__":
    main()
