"""A snapshot of the users' histories and features inside the model, for requests that bring a user id alone."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import feature_names
from trainer.data.catalogue import PADDING
from trainer.data.dataset import WindowData
from trainer.data.windows import WindowSpec, row_lengths

_BATCH = 256
Arrays = dict[str, NDArray[Any]]


class Lists(NamedTuple):
    """Rows of unequal length, one after the other: row i is `values[starts[i] : starts[i + 1]]`.

    For example, the values [7, 8, 9] with the starts [0, 2, 2, 3] are the rows [7, 8], [] and [9].
    """

    values: NDArray[Any]
    starts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The newest events and the features of U users and of the unknown one, whose rows are empty.

    Attributes:
        starts: int64 [U + 2]; the events of user i are at [starts[i], starts[i + 1]), the oldest first.
        events: [n] by name: `item_id`, `time`, transformed context and outcome features.
        features: the user features by name.
    """

    starts: NDArray[np.int64]
    events: Mapping[str, NDArray[Any]]
    features: Mapping[str, Lists]


def load_snapshot(data: WindowData, spec: WindowSpec) -> Snapshot:
    """Collects the newest `model.history.max_events` positive events with a known item of each user.

    Every event is a target in exactly one window, from which it is taken. Events of the same second are in the windows'
    order. For example, the sorted user ids [0, 0, 0, 1] have the positions from the end [3, 2, 1, 1]: with two events
    kept the first is left out, and of U = 2 users the starts are [0, 2, 3, 3].

    Args:
        data: the windows of the splits to take the events from.
        spec: the model's features and sizes.
    """
    batches = list(_events(data, spec))
    columns = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    order = np.lexsort(
        [columns[key] for key in ("position", "window", "begin", "end", feature_names.TIME, feature_names.USER_ID)]
    )
    user = columns[feature_names.USER_ID][order]
    from_end = np.searchsorted(user, user, side="right") - np.arange(len(user))
    kept = order[from_end <= spec.config.model.history.max_events]
    starts = np.searchsorted(columns[feature_names.USER_ID][kept], np.arange(spec.user_count + 2))
    events = {name: columns[name][kept] for name, _ in _columns(spec)}
    return Snapshot(starts, events, _user_features(data, spec))


def _columns(spec: WindowSpec) -> Iterator[tuple[str, Any]]:
    """Yields name and dtype of what is kept of an event."""
    yield feature_names.ITEM_ID, np.int32
    if spec.config.data.interactions.time is not None:
        yield feature_names.TIME, np.int64
    for feature in spec.features:
        if feature.section in ("context", "outcome"):
            yield feature.name, np.float32 if feature.form == "number" else np.int32


def _events(data: WindowData, spec: WindowSpec) -> Iterator[Arrays]:
    """Yields the kept events of each batch of windows, [n] by name, with the keys that they are sorted by."""
    first = 0
    for window in data.evaluation_batches(_BATCH):
        arrays = {name: values.numpy() for name, values in window.items()}
        item, user, time = arrays[feature_names.ITEM_ID], arrays[feature_names.USER_ID], arrays[feature_names.TIME]
        is_kept = arrays[feature_names.IS_TARGET] & arrays[feature_names.IS_POSITIVE] & (item != spec.item_count)
        row, position = np.nonzero(is_kept & (user < spec.user_count)[:, np.newaxis])
        begin = np.where(arrays["mask"], time, np.iinfo(np.int64).max).min(axis=1, initial=np.iinfo(np.int64).max)
        yield {
            **{name: arrays[name][row, position].astype(dtype) for name, dtype in _columns(spec)},
            feature_names.USER_ID: user[row],
            feature_names.TIME: time[row, position],
            "begin": begin[row],
            "end": time.max(axis=1, initial=0)[row],
            "window": row + first,
            "position": position,
        }
        first += len(user)


def _user_features(data: WindowData, spec: WindowSpec) -> dict[str, Lists]:
    """Takes each user's features from one of the user's windows."""
    own = [f for f in spec.features if f.section == "user"]
    rows: dict[str, dict[int, NDArray[Any]]] = {f.name: {} for f in own}
    for window in data.evaluation_batches(_BATCH) if own else ():
        users = window[feature_names.USER_ID].numpy()
        for feature in own:
            values = window[feature.name].numpy()
            values = values.reshape(len(values), -1)
            rows[feature.name].update(zip(users.tolist(), values, strict=True))
    return {f.name: _lists(rows[f.name], spec.user_count, f.form == "number") for f in own}


def _lists(rows: Mapping[int, NDArray[Any]], users: int, is_number: bool) -> Lists:
    known = {user: values if is_number else values[values != PADDING] for user, values in rows.items() if user < users}
    lengths = np.array([len(known.get(user, ())) for user in range(users)], np.int64)
    values = np.concatenate([np.zeros(0), *(known[user] for user in sorted(known))])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    return Lists(values.astype(np.float32 if is_number else np.int32), np.append(starts, starts[-1]))


class SnapshotTable(tf.Module):
    """A snapshot as variables of the served graph."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__(name="snapshot")
        with self.name_scope:
            self.starts = _table(snapshot.starts, "starts")
            self.events = {name: _table(values, name) for name, values in snapshot.events.items()}
            self.features = {
                name: {"values": _table(lists.values, name), "starts": _table(lists.starts, f"{name}_starts")}
                for name, lists in snapshot.features.items()
            }
        self._unknown = len(snapshot.starts) - 2

    def completed(self, features: Mapping[str, tf.SparseTensor]) -> dict[str, tf.SparseTensor]:
        """Completes transformed requests: [B, *] by name.

        A request without history gets the user's, and absent user features become the user's. The context and time of
        a request without history are those of its own event, and stay behind the history's.
        """
        user = features[feature_names.USER_ID]
        unknown = tf.constant(self._unknown, tf.int64)
        user = tf.pad(tf.sparse.to_dense(user, unknown), [[0, 0], [0, 1]], constant_values=unknown)[:, 0]
        names = {*self.events, *self.features}
        own = {name: tf.RaggedTensor.from_sparse(values) for name, values in features.items() if name in names}
        without_history = tf.where(row_lengths(features[feature_names.ITEM_ID]) > 0, unknown, user)
        for name, values in self.events.items():
            own[name] = tf.concat([_rows(values, self.starts, without_history, own[name].dtype), own[name]], axis=1)
        for name, table in self.features.items():
            without = tf.where(own[name].row_lengths() > 0, unknown, user)
            own[name] = tf.concat(
                [own[name], _rows(table["values"], table["starts"], without, own[name].dtype)], axis=1
            )
        return {**features, **{name: values.to_sparse() for name, values in own.items()}}


def _rows(values: tf.Variable, starts: tf.Variable, row: tf.Tensor, dtype: tf.DType) -> tf.RaggedTensor:
    lists = tf.RaggedTensor.from_row_splits(values, starts, validate=False)
    return tf.cast(tf.gather(lists, row), dtype)


def _table(values: NDArray[Any], name: str) -> tf.Variable:
    return tf.Variable(values, trainable=False, name=name)
