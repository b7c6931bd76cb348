"""Examples as batches for the model: a user's windows together where they share the list of seen items.

Each window holds a part of its user's list (docs/reference/data-layout.md), and the model joins the parts of the
windows of a batch. So the windows of a user come into one batch, or each of the user's batches gets the whole list.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow as tf
import tensorflow_model_analysis as tfma
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from config import feature_names

MAX_ROWS = 512
"""A batch's rows at most: the model scores rows x catalogue at once."""
_MAX_CELLS = 1 << 24
"""A batch's users times the longest list of seen items, at most: 128 MiB in the model. One user may have more."""
_EVENT_PREFIX = feature_names.context_feature("")


@dataclass(frozen=True)
class Rows:
    """N windows.

    Attributes:
      serialized: bytes [N], the tf.Examples.
      user: bytes [N], the ids of the users.
      split: bytes [N].
      start: int64 [N], the position of a window's part of the list of seen items.
      count: int64 [N], the number of the list's items that were seen; -1 of windows that share no list.
      part: object [N], the part itself as a tuple; None of windows that share no list.
      features: The slicing features by name: object arrays [N] of tuples, a row's values, none where missing.
    """

    serialized: np.ndarray
    user: np.ndarray
    split: np.ndarray
    start: np.ndarray
    count: np.ndarray
    part: np.ndarray
    features: dict[str, np.ndarray]

    def take(self, index: Any) -> "Rows":
        """Returns the rows at the indices."""
        features = {name: values[index] for name, values in self.features.items()}
        columns = {name: getattr(self, name)[index] for name in _COLUMNS}
        return Rows(**columns, features=features)

    def extracts(self) -> dict[str, Any]:
        """Returns the batch as TFMA's extracts."""
        return {tfma.INPUT_KEY: self.serialized, tfma.FEATURES_KEY: self.features}


_COLUMNS = [column.name for column in fields(Rows) if column.name != "features"]


class ReadBatches(beam.PTransform):
    """Reads TFMA's Arrow batches as batches for the model, which any worker may take.

    Args:
      names: The slicing features.
      steps: From `Rows` to `Rows`, one after another, such as to those of the sampled users; None is no step.
    """

    def __init__(self, names: list[str], steps: Sequence[beam.PTransform | None] = ()) -> None:
        super().__init__()
        self._names, self._steps = names, [step for step in steps if step is not None]

    def expand(self, extracts: Any) -> Any:
        """Builds the graph."""
        rows = extracts | "Read" >> beam.Map(read_rows, self._names)
        for step in self._steps:
            rows = rows | type(step).__name__ >> step
        parts = rows | "Part" >> beam.FlatMap(by_user).with_outputs(_SHARED, main=_ALONE)
        alone = parts[_ALONE] | "Spread" >> beam.Reshuffle()
        shared = parts[_SHARED] | "GroupByUser" >> beam.GroupByKey() | "Pack" >> beam.ParDo(_Pack())
        return [alone, shared] | "Batches" >> beam.Flatten() | "Extracts" >> beam.Map(Rows.extracts)


def read_rows(extracts: dict[str, Any], names: list[str]) -> Rows:
    """Reads the rows of an Arrow batch with their slicing features; of a context feature the last value."""
    batch = extracts[tfma.ARROW_RECORD_BATCH_KEY]
    start, count = (
        np.array([value[0] if value else _NO_LIST for value in _column(batch, name)], np.int64)
        for name in (feature_names.SEEN_START, feature_names.SEEN_COUNT)
    )
    user, split = (_objects([v[0] if v else b"" for v in _column(batch, n)]) for n in _KEYS)
    serialized = _objects(np.asarray(batch.column(tfma.constants.ARROW_INPUT_COLUMN).flatten()).tolist())
    return Rows(serialized, user, split, start, count, _parts(batch, count), _features(batch, names))


def by_user(rows: Rows) -> Iterator[Any]:
    """Returns batches of the rows that hold all that they need, and pairs of user and rows of the others."""
    is_whole = rows.count == _NO_LIST
    yield from cut(rows.take(is_whole))
    others = rows.take(~is_whole)
    order = np.argsort(others.user, kind="stable")
    users, first = np.unique(others.user[order], return_index=True)
    for user, own in zip(users, np.split(order, first)[1:], strict=True):
        yield beam.pvalue.TaggedOutput(_SHARED, (user, others.take(own)))


def cut(rows: Rows) -> Iterator[Rows]:
    """Cuts rows into batches."""
    for start in range(0, len(rows.user), MAX_ROWS):
        yield rows.take(slice(start, start + MAX_ROWS))


def user_batches(rows: Rows) -> Iterator[Rows]:
    """Cuts the rows of one user. The first row of each batch gets the whole list, if there are several batches."""
    if len(rows.user) <= MAX_ROWS:
        yield rows
        return
    whole = _whole_list(rows)
    for batch in cut(rows):
        # Of a map's entries of the same key, protobuf keeps the last.
        batch.serialized[0] = batch.serialized[0] + whole
        yield batch


class _Pack(beam.DoFn):
    """Packs the rows of several users into batches."""

    def start_bundle(self) -> None:
        self._waiting: list[Rows] = []

    def process(self, element: tuple[bytes, Iterable[Rows]]) -> Iterator[Rows]:
        _, parts = element
        for rows in user_batches(_joined(list(parts))):
            if self._is_full(rows):
                yield from self._packed()
            self._waiting.append(rows)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        for rows in self._packed():
            yield WindowedValue(rows, GlobalWindow().max_timestamp(), (GlobalWindow(),))

    def _is_full(self, rows: Rows) -> bool:
        every = [*self._waiting, rows]
        longest = max(int(own.count.max()) for own in every)
        return sum(len(own.user) for own in every) > MAX_ROWS or len(every) * longest > _MAX_CELLS

    def _packed(self) -> Iterator[Rows]:
        if self._waiting:
            yield _joined(self._waiting)
        self._waiting = []


_KEYS = (feature_names.USER_ID, feature_names.SPLIT)
_ALONE, _SHARED = "alone", "shared"
_NO_LIST = -1


def _joined(parts: list[Rows]) -> Rows:
    features = {name: np.concatenate([own.features[name] for own in parts]) for name in parts[0].features}
    columns = {name: np.concatenate([getattr(own, name) for own in parts]) for name in _COLUMNS}
    return Rows(**columns, features=features)


def _whole_list(rows: Rows) -> bytes:
    """Returns a serialized tf.Example with a user's whole list of seen items, to be appended to a window's."""
    found: dict[int, tuple[bytes, ...]] = {}
    for start, part in zip(rows.start.tolist(), rows.part, strict=True):
        if len(part) > len(found.get(start, ())):
            found[start] = part
    items: list[bytes] = []
    for start in sorted(found):  # eval and test windows divide their lists differently: parts overlap
        items += found[start][len(items) - start :]
    features = {
        feature_names.SEEN_ITEM_ID: tf.train.Feature(bytes_list=tf.train.BytesList(value=items)),
        feature_names.SEEN_START: tf.train.Feature(int64_list=tf.train.Int64List(value=[0])),
    }
    return bytes(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def _parts(batch: Any, count: np.ndarray) -> np.ndarray:
    index = batch.schema.get_field_index(feature_names.SEEN_ITEM_ID)
    column = None if index < 0 else batch.column(index)
    parts = _objects([None] * batch.num_rows)
    for row in np.flatnonzero(count >= 0):
        parts[row] = tuple(column[int(row)].as_py() or ()) if column is not None else ()
    return parts


def _features(batch: Any, names: list[str]) -> dict[str, np.ndarray]:
    found = {}
    for name in names:
        rows = _column(batch, name)
        if name.startswith(_EVENT_PREFIX):
            rows = [[value for value in (row or [])[-1:] if value] for row in rows]
        found[name] = _objects([tuple(row or ()) for row in rows])
    return found


def _column(batch: Any, name: str) -> list[Any]:
    index = batch.schema.get_field_index(name)
    return batch.column(index).to_pylist() if index >= 0 else [None] * batch.num_rows


def _objects(values: list[Any]) -> np.ndarray:
    column = np.empty(len(values), object)
    column[:] = values
    return column
