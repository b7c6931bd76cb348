"""Warm-up: requests stored in the model are answered before the version turns available."""

import logging
from typing import Any, Final

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving.errors import invalid_argument
from serving.predict import predict_with
from serving.servable import Servable

LOG = logging.getLogger("serving")

WARMUP_FILE: Final = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS: Final = 1000


def warm_up(servable: Servable, path: str) -> int:
    """Replays the Predict requests in `path`'s warm-up file, if there is one. Returns how many.

    Raises `ServingError`: a version that cannot answer its own requests is not served.
    """
    file = tf.io.gfile.join(path, WARMUP_FILE)
    if not tf.io.gfile.exists(file):
        return 0
    count = 0
    for record in tf.compat.v1.io.tf_record_iterator(file):
        count += 1
        if count > MAX_RECORDS:
            raise invalid_argument(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {file}")
        _replay(servable, prediction_log_pb2.PredictionLog.FromString(record))
    LOG.info("Warmed up %s with %d requests", path, count)
    return count


def _replay(servable: Servable, log: Any) -> None:
    kind = log.WhichOneof("log_type")
    if kind != "predict_log":
        raise invalid_argument(f"Unsupported log_type for warmup: {kind}")
    predict_with(servable, log.predict_log.request)
