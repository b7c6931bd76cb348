"""Windows of the eval split as requests: what was known just before the target event."""

from typing import Any, Final

import tensorflow as tf

from config import feature_names

_ANSWERS: Final = ("label_", "weight_", "session_", "is_")
"""Prefixes of features that no request brings."""
_KNOWN_LATER: Final = (feature_names.ITEM_ID, "outcome_")
"""Beginnings of features that are not known of the last event."""
_OF_EVENTS: Final = (*_KNOWN_LATER, feature_names.TIME, "context_")
"""Beginnings of features with a value for each event."""
_BOOKKEEPING: Final = frozenset({feature_names.SEEN_ITEM_ID, feature_names.TARGET_COUNT, feature_names.SPLIT})


def read_windows(pattern: str, count: int) -> list[tf.train.Example]:
    """The first `count` examples of the gzipped TFRecord files that match the pattern."""
    records = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(pattern)), "GZIP").take(count)
    return [tf.train.Example.FromString(record) for record in records.as_numpy_iterator()]


def as_request(window: tf.train.Example) -> tf.train.Example:
    """The request of an eval window: its last event has not happened yet.

    Events that are not positive are left out: they are no history, and of a request every event is.
    """
    request = tf.train.Example()
    positive = values_named(window, feature_names.IS_POSITIVE)[:-1]
    for name, feature in window.features.feature.items():
        values = values_of(feature)
        if name in _BOOKKEEPING or name.startswith(_ANSWERS) or not values:
            continue
        if name.startswith(_OF_EVENTS):
            past = [value for n, value in enumerate(values[:-1]) if n >= len(positive) or positive[n]]
            values = past if name.startswith(_KNOWN_LATER) else [*past, values[-1]]
        set_values(request, name, values)
    return request


def as_of_now(request: tf.train.Example) -> tf.train.Example:
    """The request without its own time, which is thus now."""
    now = tf.train.Example()
    now.CopyFrom(request)
    events = len(values_named(now, feature_names.ITEM_ID))
    set_values(now, feature_names.TIME, values_named(now, feature_names.TIME)[:events])
    return now


def values_of(feature: Any) -> list[Any]:
    """A feature's values, whatever their type."""
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def values_named(example: tf.train.Example, name: str) -> list[Any]:
    """The values of the feature with that name; none where the example has no such feature."""
    features = example.features.feature
    return values_of(features[name]) if name in features else []


def set_values(example: tf.train.Example, name: str, values: list[Any]) -> None:
    """Gives a feature its values, bytes or integers or floats alone; without values there is no feature."""
    feature = example.features.feature[name]
    if not values:
        del example.features.feature[name]
    elif isinstance(values[0], bytes):
        feature.bytes_list.value[:] = values
    elif isinstance(values[0], int):
        feature.int64_list.value[:] = values
    else:
        feature.float_list.value[:] = values
