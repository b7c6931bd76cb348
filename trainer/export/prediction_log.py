"""Calls of the exported model as PredictionLogs, TensorFlow Serving's form: warm-up requests and golden responses.

A server answers the warm-up requests before a version becomes available, so that no caller pays for the first call.
Golden responses are requests with the answers of the trained model in memory: infra validation compares a server with
them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from config import feature_names
from trainer.export.eval_requests import Rows, Specs, read_windows, set_values

GOLDEN_RESPONSES_FILE: Final = "expected_answers.tfrecord"
"""In the `model_run` artifact: a call of every signature, with the answer of the Trainer's own model."""
WARMUP_FILE: Final = "assets.extra/tf_serving_warmup_requests"
"""In the SavedModel: where TensorFlow Serving looks for warm-up requests."""

Tensors = Mapping[str, Any]
"""Tensors or arrays by name."""
Signatures = dict[str, tf.types.experimental.ConcreteFunction]

_GOLDEN_WINDOWS: Final = 16
_WARMUP_BATCHES: Final = (1, 8)
_NOT_WARMED_UP: Final = ("evaluate", "evaluation_labels")
_MADE_UP: Final[dict[tf.DType, Any]] = {tf.string: b"warm-up", tf.int64: 0, tf.float32: 0.0}
_PER_EVENT: Final = (feature_names.context_feature(""), feature_names.outcome_feature(""))


def prediction_log(signature: str, inputs: Tensors, outputs: Tensors | None = None) -> Any:
    """Returns a call of a signature as a PredictionLog; whoever sends it fills the model's name in."""
    log = prediction_log_pb2.PredictionLog()
    call = log.predict_log
    call.request.model_spec.signature_name = signature
    for name, values in inputs.items():
        call.request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
    for name, values in (outputs or {}).items():
        call.response.outputs[name].CopyFrom(tf.make_tensor_proto(values))
    return log


def write_prediction_log(path: str, logs: Iterable[Any]) -> None:
    """Writes PredictionLogs as a TFRecord file and creates its folder."""
    tf.io.gfile.makedirs(path.rpartition("/")[0])
    with tf.io.TFRecordWriter(path) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def read_prediction_log(path: str) -> list[Any]:
    """Reads the PredictLogs (request and response) of a file. Raises `tf.errors.NotFoundError` when there is none."""
    records = tf.data.TFRecordDataset(path).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record).predict_log for record in records]


def input_specs(function: tf.types.experimental.ConcreteFunction) -> dict[str, tf.TensorSpec]:
    """Returns a signature's inputs by name."""
    return {spec.name: spec for spec in tf.nest.flatten(function.structured_input_signature)}


def write_golden_responses(signatures: Signatures, items: Sequence[bytes], eval_pattern: str, path: str) -> None:
    """Calls every signature with eval windows and an empty one, and writes the calls with their answers.

    Args:
        signatures: the functions of the trained model in memory, by name.
        items: some of the catalogue's ids.
        eval_pattern: a glob of the eval split's raw examples, gzipped TFRecord files.
        path: the file to write. It holds users' ids and histories, as the examples do.
    """
    rows = Rows([*read_windows(eval_pattern, _GOLDEN_WINDOWS), tf.train.Example()], [*items, b""])

    def logs() -> Iterator[Any]:
        for name, function in signatures.items():
            inputs = rows.inputs(name, input_specs(function))
            yield prediction_log(name, inputs, function(**inputs))

    write_prediction_log(path, logs())


def warmup_requests(
    specs: Mapping[str, Specs], schema: Mapping[str, tf.io.VarLenFeature], items: Sequence[bytes], max_events: int
) -> Iterator[Any]:
    """Yields PredictionLogs for every signature that callers use: no history, a full one, and a batch of full ones.

    They lie in clear in the SavedModel, so they hold made-up values and, of the data, the catalogue's ids alone, which
    the model holds anyway.

    Args:
        specs: the inputs of each signature.
        schema: the raw features.
        items: some of the catalogue's ids.
        max_events: the length of a full history.
    """
    empty, full = synthetic_window(schema, items, 0), synthetic_window(schema, items, max_events)
    for windows in ([empty], *([full] * size for size in _WARMUP_BATCHES)):
        rows = Rows(windows, items)
        for name in sorted(set(specs) - set(_NOT_WARMED_UP)):
            yield prediction_log(name, rows.inputs(name, specs[name]))


def synthetic_window(
    schema: Mapping[str, tf.io.VarLenFeature], items: Sequence[bytes], events: int
) -> tf.train.Example:
    """Makes a window of `events` past events and a target event, with made-up values in every feature of the schema."""
    window = tf.train.Example()
    for name, kind in schema.items():
        if name == feature_names.ITEM_ID:
            values = [items[n % len(items)] for n in range(events + 1)]
        else:
            is_per_event = name == feature_names.TIME or name.startswith(_PER_EVENT)
            values = [_MADE_UP[kind.dtype]] * (events + 1 if is_per_event else 1)
        set_values(window, name, values)
    return window
