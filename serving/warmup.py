"""Warm-up: requests stored in the model are answered before the version turns available."""

import logging
from collections.abc import Callable, Iterator
from typing import Any, Final

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import prediction_log_pb2

from serving.classify import classify_with
from serving.errors import ServingError, from_tensorflow, invalid_argument, unimplemented
from serving.multi_inference import multi_inference_with
from serving.predict import predict_with
from serving.regress import regress_with
from serving.servable import Servable

LOG = logging.getLogger("serving")

WARMUP_FILE: Final = "assets.extra/tf_serving_warmup_requests"
MAX_RECORDS: Final = 1000
_REPLAYS: Final[dict[str, Callable[[Servable, Any], Any]]] = {
    "predict_log": predict_with,
    "classify_log": classify_with,
    "regress_log": regress_with,
    "multi_inference_log": multi_inference_with,
}


def warm_up(servable: Servable, path: str, iterations: int = 1) -> int:
    """Answers each request in `path`'s warm-up file, if there is one, `iterations` times. Returns how many.

    Raises `ServingError`: a version that cannot answer its own requests is not served.
    """
    file = tf.io.gfile.join(path, WARMUP_FILE)
    if not tf.io.gfile.exists(file):
        return 0
    count = 0
    for log in _records(file):
        for _ in range(iterations):
            _replay(servable, log)
        count += 1
        if count > MAX_RECORDS:
            raise invalid_argument(f"Number of warmup records exceeds the maximum ({MAX_RECORDS}) at {file}")
    LOG.info("Warmed up %s with %d requests", path, count)
    return count


def _records(file: str) -> Iterator[Any]:
    try:
        for record in tf.compat.v1.io.tf_record_iterator(file):
            yield _log(record, file)
    except tf.errors.DataLossError as error:
        found = from_tensorflow(error)
        hint = "Please verify your warmup data is in TFRecord format."
        raise ServingError(found.code, f"{found.message}. {hint}") from error
    except tf.errors.OpError as error:
        raise from_tensorflow(error) from error


def _log(record: bytes, file: str) -> Any:
    try:
        return prediction_log_pb2.PredictionLog.FromString(record)
    except DecodeError as error:
        text = record.decode("utf-8", "replace")
        raise invalid_argument(f"Failed to parse warmup record: {text} from {file}") from error


def _replay(servable: Servable, log: Any) -> None:
    kind = log.WhichOneof("log_type")
    if kind in _REPLAYS:
        _REPLAYS[kind](servable, getattr(log, kind).request)
    elif kind is not None:
        number = log.DESCRIPTOR.fields_by_name[kind].number
        raise unimplemented(f"Unsupported log_type for warmup: {number}")
