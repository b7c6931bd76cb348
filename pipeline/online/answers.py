"""Logged recommendations: one `Answer` for each request in a file of PredictionLogs."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from config import feature_names
from pipeline.ingest.records import tfrecords
from pipeline.ingest.tables import TableError, open_file

RECOMMENDING: Final = frozenset({"", "serving_default", "recommend", "recommend_tensors", "retrieve"})
"""The signatures whose answers are lists for people. Those of `rank` are in the order of the request."""
_PER_EVENT: Final = (feature_names.context_feature(""), feature_names.outcome_feature(""))
_REQUEST_TIME: Final = "request_time"
_COUNT: Final = "count"

Values = tuple[str | float, ...]
"""The values of a feature; none where it is missing."""


class Answer(NamedTuple):
    """A request and the items that it was answered with.

    Attributes:
      version: The model's.
      time: Seconds since 1970.
      user: The user's id; "" where the request has none.
      items: Their ids, the best first.
      scores: The items' predictions by task.
      history: The ids in the request's history.
      features: The measured features of the request, by name.
    """

    version: int
    time: int
    user: str
    items: tuple[str, ...]
    scores: Mapping[str, tuple[float, ...]]
    history: tuple[str, ...]
    features: Mapping[str, Values]


def read_answers(path: str, tasks: Sequence[str], features: Sequence[str]) -> Iterator[Answer | str]:
    """Reads the requests of one file; of what cannot be used, the reason, as words.

    The time of a request is the one that it brings, as it is of the same clock as the interactions; without one it is
    that of the log's metadata.

    Args:
      path: A TFRecord file of PredictionLogs. Its last record may be cut short, as a server leaves it that was killed.
      tasks: The tasks whose predictions are read.
      features: The features, by their names in the examples.
    """
    try:
        with open_file(path) as file:
            for record in tfrecords(path, file):
                yield from _answers(prediction_log_pb2.PredictionLog.FromString(record), tasks, features)
    except TableError:
        yield "files cut short"


def feature_values(example: tf.train.Example, name: str) -> Values:
    """Returns the values of a feature: of a user feature all, of a feature of events that of the newest event."""
    feature = example.features.feature
    if name not in feature:
        return ()
    found = getattr(feature[name], feature[name].WhichOneof("kind") or "bytes_list").value
    values = (v.decode(errors="replace") if isinstance(v, bytes) else v for v in found)
    kept = list(values)[-1:] if name.startswith(_PER_EVENT) else values
    return tuple(v for v in kept if v != "" and not (isinstance(v, float) and math.isnan(v)))


def _answers(log: Any, tasks: Sequence[str], features: Sequence[str]) -> Iterator[Answer | str]:
    spec, call = log.log_metadata.model_spec, log.predict_log
    outputs = call.response.outputs
    if (spec.signature_name or call.request.model_spec.signature_name) not in RECOMMENDING or _COUNT not in outputs:
        yield "of other signatures"
        return
    version = spec.version.value or call.response.model_spec.version.value
    counts = _array(outputs[_COUNT]).tolist()
    items = _array(outputs[feature_names.ITEM_ID])
    scores = {task: _array(outputs[task]) for task in tasks if task in outputs}
    for row, (user, time, history, values) in enumerate(_requests(call.request.inputs, features)):
        if not version or not (time or log.log_metadata.timestamp_secs):
            yield "without a version or a time"
            continue
        count = counts[row]
        yield Answer(
            version=int(version),
            time=int(time or log.log_metadata.timestamp_secs),
            user=user,
            items=_texts(items[row, :count]),
            scores={task: tuple(of[row, :count].tolist()) for task, of in scores.items()},
            history=history,
            features=values,
        )


def _requests(inputs: Any, features: Sequence[str]) -> Iterator[tuple[str, int, tuple[str, ...], Mapping[str, Values]]]:
    """Yields user, time (0: none), history and features of each row of a call."""
    if "examples" in inputs:
        for serialized in _array(inputs["examples"]).tolist():
            example = tf.train.Example.FromString(serialized)
            history = _texts(example.features.feature[feature_names.ITEM_ID].bytes_list.value)
            times = example.features.feature[feature_names.TIME].int64_list.value
            users = _texts(example.features.feature[feature_names.USER_ID].bytes_list.value)
            found = {name: feature_values(example, name) for name in features}
            yield users[0] if users else "", times[-1] if len(times) > len(history) else 0, history, found
        return
    ids, histories = _array(inputs[feature_names.USER_ID]), _array(inputs[feature_names.ITEM_ID])
    moments = _array(inputs[_REQUEST_TIME]) if _REQUEST_TIME in inputs else np.zeros(len(ids), np.int64)
    for user, time, items in zip(_texts(ids, keep=True), moments.tolist(), histories, strict=True):
        yield user, time, _texts(items), dict.fromkeys(features, ())


def _texts(values: Iterable[bytes], keep: bool = False) -> tuple[str, ...]:
    """Decodes ids, without empty ones unless they are to be kept."""
    return tuple(value.decode(errors="replace") for value in values if value or keep)


def _array(tensor: Any) -> np.ndarray:
    return np.asarray(tf.make_ndarray(tensor))
