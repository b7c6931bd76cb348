"""The catalogue in partitions, and what its items differ from the partitions' centroids."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.export.index import packing

LANES = 8
UNIT = LANES * packing.FIELDS
"""Items in a unit: a partition fills one or more, a query scans a fixed number of them."""
_CHUNK = packing.CHUNK // LANES


class Partitions(NamedTuple):
    """The catalogue in units of one partition each, partition after partition.

    Attributes:
        items: int32 [units, UNIT], V where a partition does not fill its last unit.
        centroids: float32 [P, D], the means.
        first: int32 [P + 1], each partition's first unit, and the number of units.
    """

    items: NDArray[np.int32]
    centroids: NDArray[np.float32]
    first: NDArray[np.int32]

    @classmethod
    def of(cls, vectors: NDArray[Any], labels: NDArray[np.int64]) -> "Partitions":
        """From vectors [V, D] and their partitions [V], numbered without gaps."""
        sizes = np.bincount(labels)
        first = np.concatenate([[0], np.cumsum(-(-sizes // UNIT))])
        order = np.argsort(labels, kind="stable")
        begin = np.cumsum(sizes) - sizes
        position = first[labels[order]] * UNIT + np.arange(len(order)) - begin[labels[order]]
        items = np.full(first[-1] * UNIT, len(vectors), np.int32)
        items[position] = order
        centroids = tf.math.unsorted_segment_mean(vectors.astype(np.float32), labels, len(sizes)).numpy()
        return cls(items.reshape(-1, UNIT), centroids, first.astype(np.int32))

    @property
    def owners(self) -> NDArray[np.int64]:
        """int64 [units], the partition of each unit."""
        return np.repeat(np.arange(len(self.centroids)), np.diff(self.first))


class Residuals:
    """The differences of the items to their centroids, scaled, unit by unit.

    Where a partition does not fill its last unit stands what its queries score lowest: the opposite of the centroid.

    Args:
        embeddings: float32 [V + 1, D].
        queries: float32 [N, D], a sample.
        partitions: of the V items.

    Attributes:
        scales: of items and queries.
        norm: float32 [P], the length of each partition's longest difference.
    """

    def __init__(self, embeddings: NDArray[Any], queries: NDArray[Any], partitions: Partitions) -> None:
        self._embeddings = embeddings
        self._partitions = partitions
        self._owners = partitions.owners
        self._units = len(partitions.items)
        units = np.sort(np.random.default_rng(0).permutation(self._units)[:_CHUNK])
        self.scales = packing.Scales.of(self._differences(units)[self._is_item(units)], queries)
        longest = [np.linalg.norm(self._scaled(units), axis=2).max(axis=1) for units in self._chunks()]
        self.norm = np.maximum.reduceat(np.concatenate(longest), partitions.first[:-1]).astype(np.float32)

    def packed(self) -> tuple[NDArray[np.float32], float]:
        """As lanes [units + 1, LANES, D], of which the last unit is empty, and the integers' greatest length."""
        dimension = self._embeddings.shape[1]
        lanes, longest = np.zeros((self._units + 1, LANES, dimension), np.float32), 1.0
        away = self._partitions.centroids * self.scales.item
        away *= -(self.norm / np.maximum(np.linalg.norm(away, axis=1), 1e-30))[:, np.newaxis]
        for units in self._chunks():
            owners = self._owners[units]
            vectors = np.where(self._is_item(units)[..., np.newaxis], self._scaled(units), away[owners][:, np.newaxis])
            norms = np.repeat(self.norm[owners], UNIT)
            integers = packing.quantise(vectors.reshape(-1, dimension), norms, packing.FINE)
            longest = max(longest, packing.longest(integers))
            fields = integers.reshape(-1, packing.FIELDS, LANES, dimension).transpose(0, 2, 1, 3)
            lanes[units] = packing.pack(fields)
        return lanes, longest

    def _chunks(self) -> list[NDArray[np.int64]]:
        return [np.arange(i, min(i + _CHUNK, self._units)) for i in range(0, self._units, _CHUNK)]

    def _is_item(self, units: NDArray[np.int64]) -> NDArray[np.bool_]:
        is_item: NDArray[np.bool_] = self._partitions.items[units] < len(self._embeddings) - 1
        return is_item

    def _differences(self, units: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [N, UNIT, D], 0 where no item is."""
        vectors = self._embeddings[self._partitions.items[units]].astype(np.float32)
        vectors -= self._partitions.centroids[self._owners[units]][:, np.newaxis]
        vectors[~self._is_item(units)] = 0
        return vectors

    def _scaled(self, units: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._differences(units) * self.scales.item
