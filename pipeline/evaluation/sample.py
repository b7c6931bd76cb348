"""A seeded sample of users, whose windows are all evaluated: by every model and every gate the same."""

import json
from collections.abc import Iterable
from typing import Any

import apache_beam as beam
import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.reading import Rows
from pipeline.ingest.splits import hash_text, mix_bits

_Keys = dict[bytes, NDArray[np.uint64]]
"""The smallest hashes of users by split, distinct and rising."""


def row_count_settings(eval_config: Any) -> dict[str, Any]:
    """Returns the arguments of the metric `RowCount`, which hold what an `EvalConfig` has no other place for."""
    metrics = (metric for spec in eval_config.metrics_specs for metric in spec.metrics)
    found = (json.loads(metric.config) for metric in metrics if metric.class_name == "RowCount")
    return next(found, {})


class UserSample(beam.PTransform):
    """Keeps the rows of the users of each split whose seeded hashes are the smallest.

    Each set of users of a split is as likely as any other, whatever the order and number of the files. Metrics are
    averages over users, so those of the sample estimate those of all users without bias.

    Args:
      users: The number of users of each split that are kept at most.
      seed: Of the hashes.
    """

    def __init__(self, users: int, seed: int) -> None:
        super().__init__()
        self._users, self._seed = users, seed

    @classmethod
    def of(cls, eval_config: Any) -> "UserSample | None":
        """Returns the sample that the metric `RowCount` is configured with; None for all users."""
        sample = row_count_settings(eval_config).get("sample")
        return cls(**sample) if sample else None

    def expand(self, rows: Any) -> Any:
        """Builds the graph: `Rows` to `Rows`."""
        largest = (
            rows
            | "Users" >> beam.Map(_user_keys, self._seed)
            | "Smallest" >> beam.CombineGlobally(_Smallest(self._users))
        )
        return rows | "Keep" >> beam.Map(_kept, self._seed, beam.pvalue.AsSingleton(largest))


class _Smallest(beam.CombineFn):
    def __init__(self, size: int) -> None:
        self._size = size

    def create_accumulator(self) -> _Keys:
        return {}

    def add_input(self, accumulator: _Keys, element: _Keys) -> _Keys:
        return self.merge_accumulators([accumulator, element])

    def merge_accumulators(self, accumulators: Iterable[_Keys]) -> _Keys:
        merged: _Keys = {}
        for keys in accumulators:
            for split, own in keys.items():
                merged[split] = np.union1d(merged.get(split, own), own)[: self._size]
        return merged

    def extract_output(self, accumulator: _Keys) -> dict[bytes, np.uint64]:
        return {split: keys[-1] for split, keys in accumulator.items()}


def _user_keys(rows: Rows, seed: int) -> _Keys:
    keys = _hashed(rows, seed)
    return {split: np.unique(keys[rows.split == split]) for split in set(rows.split)}


def _kept(rows: Rows, seed: int, largest: dict[bytes, np.uint64]) -> Rows:
    limits = np.array([largest[split] for split in rows.split], np.uint64)
    return rows.take(_hashed(rows, seed) <= limits)


def _hashed(rows: Rows, seed: int) -> NDArray[np.uint64]:
    return mix_bits(hash_text(rows.user), seed)
