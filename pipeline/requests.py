"""Windows of the eval split as requests: what was known just before the target event."""

from typing import Any, Final

import tensorflow as tf

from pipeline import layout

_ANSWERS: Final = ("outcome_", "label_", "weight_", "is_")
"""Prefixes of features that are not known before the event."""
_BOOKKEEPING: Final = frozenset({layout.SEEN_ITEM_ID, layout.TARGET_COUNT, layout.SPLIT})
_OUTCOME: Final = "outcome_"


def read_windows(pattern: str, count: int) -> list[tf.train.Example]:
    """The first `count` examples of the gzipped TFRecord files that match the pattern."""
    records = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(pattern)), "GZIP").take(count)
    return [tf.train.Example.FromString(record) for record in records.as_numpy_iterator()]


def as_request(window: tf.train.Example) -> tf.train.Example:
    """The request of an eval window: its last event has not happened yet."""
    request = tf.train.Example()
    for name, feature in window.features.feature.items():
        values = values_of(feature)
        if name in _BOOKKEEPING or not values:
            continue
        if name == layout.ITEM_ID or name.startswith(_OUTCOME):
            values = values[:-1]
        elif name.startswith(_ANSWERS):
            continue
        set_values(request, name, values)
    return request


def values_of(feature: Any) -> list[Any]:
    """A feature's values, whatever their type."""
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


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
