"""Calls of a served model as files of PredictionLogs, TensorFlow Serving's own form for warm-up requests.

The Trainer writes them, with answers (what infra validation compares a server with) or without (what a server warms up
with).
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

GOLDEN_RESPONSES_FILE: Final = "expected_answers.tfrecord"
"""In the `model_run` artifact: a call of every signature, with the answer of the Trainer's own model."""
WARMUP_FILE: Final = "assets.extra/tf_serving_warmup_requests"
"""In the SavedModel: where TensorFlow Serving looks for them."""

Tensors = Mapping[str, Any]
"""Tensors or arrays by name."""


def prediction_log(signature: str, inputs: Tensors, outputs: Tensors | None = None) -> Any:
    """A call of a signature as a PredictionLog; the model's name is left to whoever makes the call."""
    log = prediction_log_pb2.PredictionLog()
    call = log.predict_log
    call.request.model_spec.signature_name = signature
    for name, values in inputs.items():
        call.request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    for name, values in (outputs or {}).items():
        call.response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
    return log


def write_prediction_log(path: str, logs: Iterable[Any]) -> None:
    """Writes PredictionLogs as a TFRecord file; its folder is made."""
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.TFRecordWriter(path) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def read_prediction_log(path: str) -> list[Any]:
    """The PredictLogs (request and response) of a file. Raises `tf.errors.NotFoundError` when there is none."""
    records = tf.data.TFRecordDataset(path).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record).predict_log for record in records]
