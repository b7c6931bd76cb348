"""Slices with few users, which would tell of single ones, become one (k-anonymity: Sweeney, 2002)."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray

from config import feature_names
from pipeline.evaluation.reading import Rows
from pipeline.evaluation.sample import row_count_settings
from pipeline.ingest.splits import hash_text

_GROUP = (feature_names.SPLIT, feature_names.IS_COLD_USER)
"""The features that all slices have: these alone are no slices of a value."""


class _Slice(NamedTuple):
    """A value of a slicing feature in a group of `_GROUP`."""

    group: tuple[Any, ...]
    name: str
    value: Any


_Users = dict[_Slice, NDArray[np.uint64]]
"""The smallest hashes of the users of each slice, distinct and rising."""


class MergeSmallSlices(beam.PTransform):
    """Replaces values of slicing features that fewer than `users` users of a split have, warm or cold ones.

    All such values of a feature become one, `other (fewer than 5 users)`, or are missing where also together they have
    too few users: rows with a missing value are in no slice. The slices of a whole split and of its warm and cold users
    stay.

    Args:
      users: The number of users that a slice needs.
    """

    def __init__(self, users: int) -> None:
        super().__init__()
        self._users = users

    @classmethod
    def of(cls, eval_config: Any) -> "MergeSmallSlices | None":
        """Returns what the metric `RowCount` is configured with; None where slices of all sizes are wanted."""
        users = row_count_settings(eval_config).get("min_slice_users")
        return cls(users) if users else None

    def expand(self, rows: Any) -> Any:
        """Builds the graph: `Rows` to `Rows`."""
        replaced = (
            rows
            | "UsersOfSlices" >> beam.Map(_users_of_slices)
            | "CountUsers" >> beam.CombineGlobally(_Replacements(self._users))
        )
        return rows | "Replace" >> beam.Map(_with_replacements, beam.pvalue.AsSingleton(replaced))


class _Replacements(beam.CombineFn):
    """Combines the users of slices to what small ones become: a tuple of values, [0] or [1], by slice."""

    def __init__(self, users: int) -> None:
        self._users = users

    def create_accumulator(self) -> _Users:
        return {}

    def add_input(self, accumulator: _Users, element: _Users) -> _Users:
        return self.merge_accumulators([accumulator, element])

    def merge_accumulators(self, accumulators: Iterable[_Users]) -> _Users:
        merged: _Users = {}
        for users in accumulators:
            for key, own in users.items():
                merged[key] = np.union1d(merged.get(key, own), own)[: self._users]
        return merged

    def extract_output(self, accumulator: _Users) -> dict[_Slice, tuple[Any, ...]]:
        small = {key: users for key, users in accumulator.items() if len(users) < self._users}
        others: _Users = {}
        for key, users in small.items():
            other = key._replace(value=f"other (fewer than {self._users} users)".encode())
            others = self.merge_accumulators([others, {other: users}])
        kept = {(key.group, key.name): (key.value,) for key, users in others.items() if len(users) == self._users}
        return {key: kept.get((key.group, key.name), ()) for key in small}


def _slices(rows: Rows) -> Iterable[tuple[str, int, list[_Slice]]]:
    """Yields the feature, the row and the slices of each value."""
    groups = list(zip(*(rows.features[name] for name in _GROUP), strict=True))
    for name in rows.features.keys() - set(_GROUP):
        for row, values in enumerate(rows.features[name]):
            yield name, row, [_Slice(groups[row], name, value) for value in values]


def _users_of_slices(rows: Rows) -> _Users:
    hashes, members = hash_text(rows.user), dict[_Slice, list[int]]()
    for _, row, slices in _slices(rows):
        for key in slices:
            members.setdefault(key, []).append(row)
    return {key: np.unique(hashes[own]) for key, own in members.items()}


def _with_replacements(rows: Rows, replaced: dict[_Slice, tuple[Any, ...]]) -> Rows:
    features = {name: values.copy() for name, values in rows.features.items()}
    for name, row, slices in _slices(rows):
        if any(key in replaced for key in slices):
            values = (value for key in slices for value in replaced.get(key, (key.value,)))
            features[name][row] = tuple(dict.fromkeys(values))
    return Rows(**{**vars(rows), "features": features})
