"""Examples of the eval split as requests: what was known just before the target event."""

from dataclasses import dataclass
from typing import Any, Final

import tensorflow as tf

from pipeline import layout

_ANSWERS: Final = ("outcome_", "label_", "weight_", "is_")
"""Prefixes of features that are not known before the event."""
_BOOKKEEPING: Final = frozenset({layout.SEEN_ITEM_ID, layout.TARGET_COUNT, layout.SPLIT})
_OUTCOME: Final = "outcome_"


@dataclass(frozen=True)
class Probe:
    """A request, and the items that its answer must not hold."""

    example: bytes
    k: int
    forbidden: frozenset[str]


def read_probes(files: str, count: int, k: int, exclude_history: bool) -> list[Probe]:
    """The first `count` examples of the gzipped TFRecord files that match the pattern, as requests for `k` items.

    The target event is taken away, and its item excluded by name; the request's own time and context stay. A request
    that knows nothing is added. `exclude_history`: the model is to leave out what the history holds.
    """
    records = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(files)), "GZIP").take(count)
    probes = [_probe(record, k, exclude_history) for record in records.as_numpy_iterator()]
    nobody = tf.train.Example()
    _set(nobody, layout.K, [k])
    return [*probes, Probe(nobody.SerializeToString(), k, frozenset())]


def as_request(window: tf.train.Example) -> tf.train.Example:
    """The request of an eval window: its last event has not happened yet."""
    request = tf.train.Example()
    for name, feature in window.features.feature.items():
        values = _values(feature)
        if name in _BOOKKEEPING or not values:
            continue
        if name == layout.ITEM_ID or name.startswith(_OUTCOME):
            values = values[:-1]
        elif name.startswith(_ANSWERS):
            continue
        if values:
            _set(request, name, values)
    return request


def _probe(record: bytes, k: int, exclude_history: bool) -> Probe:
    window = tf.train.Example.FromString(record)
    items = _values(window.features.feature[layout.ITEM_ID])
    request = as_request(window)
    _set(request, layout.EXCLUDE_ITEM_ID, items[-1:])
    _set(request, layout.K, [k])
    forbidden = items if exclude_history else items[-1:]
    return Probe(request.SerializeToString(), k, frozenset(item.decode() for item in forbidden))


def _values(feature: Any) -> list[Any]:
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def _set(example: tf.train.Example, name: str, values: list[Any]) -> None:
    feature = example.features.feature[name]
    if not values:
        return
    if isinstance(values[0], bytes):
        feature.bytes_list.value.extend(values)
    elif isinstance(values[0], int):
        feature.int64_list.value.extend(values)
    else:
        feature.float_list.value.extend(values)
