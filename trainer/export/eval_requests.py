"""Requests made of eval windows, as serialized tf.Examples and as the inputs of any exported signature."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import tensorflow as tf

from config import feature_names
from trainer.export.signatures.inputs import absent

Inputs = Mapping[str, tf.Tensor]
Specs = Mapping[str, tf.TensorSpec]

_TRAINING_ONLY: Final = ("label_", "weight_", "session_", "is_")
"""Prefixes of features that no request brings."""
_UNKNOWN_OF_LAST: Final = (feature_names.ITEM_ID, "outcome_")
"""Prefixes of features that are unknown of the last event."""
_PER_EVENT: Final = (*_UNKNOWN_OF_LAST, feature_names.TIME, "context_")
"""Prefixes of features with a value for each event."""
_BOOKKEEPING: Final = frozenset(
    {
        feature_names.SEEN_ITEM_ID,
        feature_names.SEEN_START,
        feature_names.SEEN_COUNT,
        feature_names.TARGET_COUNT,
        feature_names.SPLIT,
    }
)
_TAKE_WINDOWS: Final = ("evaluate", "evaluation_labels")
"""Signatures whose examples are windows with the target event."""
_TAKE_CANDIDATES: Final = ("rank", "explain")


def read_windows(pattern: str, count: int) -> list[tf.train.Example]:
    """Reads the first `count` examples of the gzipped TFRecord files that match the pattern."""
    records = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(pattern)), "GZIP").take(count)
    return [tf.train.Example.FromString(record) for record in records.as_numpy_iterator()]


def as_request(window: tf.train.Example) -> tf.train.Example:
    """Makes the request that a client could have sent just before the window's last event.

    Events that are not positive are left out, as every event of a request counts as positive. For example, the items
    [a, b, c] with the times [1, 2, 9], of which b is not positive, become the items [a] with the times [1, 9].
    """
    request = tf.train.Example()
    positive = values_named(window, feature_names.IS_POSITIVE)[:-1]
    for name, feature in window.features.feature.items():
        values = values_of(feature)
        if name in _BOOKKEEPING or name.startswith(_TRAINING_ONLY) or not values:
            continue
        if name.startswith(_PER_EVENT):
            past = [value for n, value in enumerate(values[:-1]) if n >= len(positive) or positive[n]]
            values = past if name.startswith(_UNKNOWN_OF_LAST) else [*past, values[-1]]
        set_values(request, name, values)
    return request


def as_of_now(request: tf.train.Example) -> tf.train.Example:
    """Returns the request without its own time, which a server takes for now."""
    now = tf.train.Example()
    now.CopyFrom(request)
    events = len(values_named(now, feature_names.ITEM_ID))
    set_values(now, feature_names.TIME, values_named(now, feature_names.TIME)[:events])
    return now


def values_of(feature: Any) -> list[Any]:
    """Returns a feature's values, whatever their type."""
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def values_named(example: tf.train.Example, name: str) -> list[Any]:
    """Returns the values of the named feature; none where the example lacks it."""
    features = example.features.feature
    return values_of(features[name]) if name in features else []


def set_values(example: tf.train.Example, name: str, values: list[Any]) -> None:
    """Sets a feature to values that are all bytes, integers or floats; removes it without values."""
    feature = example.features.feature[name]
    if not values:
        del example.features.feature[name]
    elif isinstance(values[0], bytes):
        feature.bytes_list.value[:] = values
    elif isinstance(values[0], int):
        feature.int64_list.value[:] = values
    else:
        feature.float_list.value[:] = values


@dataclass(frozen=True)
class Rows:
    """The rows of a batch, from which the inputs of every signature are made.

    Attributes:
        windows: B eval windows; a request does not know the last event of its window.
        items: item ids: the candidates of `rank` and `explain`, and the input of `embed_candidate`.
    """

    windows: Sequence[tf.train.Example]
    items: Sequence[bytes]

    def inputs(self, signature: str, specs: Specs) -> Inputs:
        """Makes the inputs of a signature.

        Args:
            signature: its name.
            specs: its inputs. Those other than users, histories and times are absent in every row.
        """
        if set(specs) == {"examples"}:
            return {"examples": tf.constant([self._example(signature, w) for w in self.windows], tf.string)}
        if set(specs) == {feature_names.ITEM_ID}:
            return {feature_names.ITEM_ID: tf.constant(self.items, tf.string)}
        return self._plain(specs)

    def _example(self, signature: str, window: tf.train.Example) -> bytes:
        if signature in _TAKE_WINDOWS:
            return bytes(window.SerializeToString())
        request = as_request(window)
        if signature in _TAKE_CANDIDATES:
            set_values(request, feature_names.CANDIDATE_ITEM_ID, list(self.items))
        return bytes(request.SerializeToString())

    def _plain(self, specs: Specs) -> Inputs:
        requests = [as_request(window).features.feature for window in self.windows]
        items = [values_of(r[feature_names.ITEM_ID]) for r in requests]
        times = [values_of(r[feature_names.TIME]) for r in requests]
        past = [own[: len(i)] + [0] * (len(i) - len(own)) for own, i in zip(times, items, strict=True)]
        known = {
            feature_names.USER_ID: [(values_of(r[feature_names.USER_ID]) or [b""])[0] for r in requests],
            feature_names.ITEM_ID: tf.ragged.constant(items, dtype=tf.string, ragged_rank=1).to_tensor(),
            feature_names.TIME: tf.ragged.constant(past, dtype=tf.int64, ragged_rank=1).to_tensor(),
            "request_time": [(own[len(i) :] or [0])[0] for own, i in zip(times, items, strict=True)],
        }
        return {name: _tensor(known.get(name), spec, len(requests)) for name, spec in specs.items()}


def _tensor(values: Any, spec: tf.TensorSpec, rows: int) -> tf.Tensor:
    if values is None:
        return tf.fill([rows] + [0] * (spec.shape.rank - 1), tf.constant(absent(spec.dtype), spec.dtype))
    return tf.convert_to_tensor(values, spec.dtype)
