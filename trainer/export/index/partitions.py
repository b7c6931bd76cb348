"""The catalogue in partitions: k-means, and what the items of a partition differ from its centroid by."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.export.index import packing

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

LANES = 8
UNIT = LANES * packing.FIELDS
"""Items in a unit: a partition fills one or more, and a query scans a fixed number of units."""
_CHUNK = packing.CHUNK // LANES
_ITERATIONS = 8
_VECTORS_PER_MEAN = 64
"""k-means looks at a sample of so many vectors for each mean."""
_CELLS = 1 << 22
"""Distances held at once."""


def partition(vectors: Floats, count: int, seed: int = 0) -> Integers:
    """Puts near vectors into one partition, by k-means in two levels.

    The time is that of the square root of the number of partitions. scikit-learn's MiniBatchKMeans takes 10 times the
    CPU time in one level and 45 times in two at 10^5 vectors (6.7 s and 31 s instead of 0.7 s), and its partitions must
    be scanned as deep.

    Args:
        vectors: float32 [V, D].
        count: about so many partitions; those that stay empty are left out.
        seed: the seed of the sample and of the first centroids.

    Returns:
        int64 [V], the partitions, numbered from 0 without gaps.
    """
    generator = np.random.default_rng(seed)
    coarse = nearest(vectors, centroids(vectors, max(1, round(count**0.5)), generator))
    fine = np.empty(len(vectors), np.int64)
    begin = 0
    order = np.argsort(coarse, kind="stable")
    for members in np.split(order, np.flatnonzero(np.diff(coarse[order])) + 1):
        group = vectors[members]
        share = max(1, round(count * len(group) / len(vectors)))
        fine[members] = begin + nearest(group, centroids(group, share, generator))
        begin += share
    return np.unique(fine, return_inverse=True)[1]


def centroids(vectors: Floats, count: int, generator: np.random.Generator) -> Floats:
    """Computes means by Lloyd's algorithm on a sample: float32 [V, D] -> [min(count, V), D]."""
    size = min(len(vectors), count * _VECTORS_PER_MEAN)
    sample = vectors if size == len(vectors) else vectors[generator.choice(len(vectors), size, replace=False)]
    means = sample[generator.choice(size, min(count, size), replace=False)]
    for _ in range(_ITERATIONS):
        position = nearest(sample, means)
        members = np.bincount(position, minlength=len(means))
        sums = tf.math.unsorted_segment_sum(sample, position, len(means)).numpy()
        others = sample[generator.choice(size, len(means))]
        means = np.where(members[:, np.newaxis] > 0, sums / np.maximum(members, 1)[:, np.newaxis], others)
        means = means.astype(np.float32)
    return means


def nearest(vectors: Floats, means: Floats) -> Integers:
    """Finds each vector's nearest mean: [V, D], [M, D] -> int64 [V]."""
    half = tf.reduce_sum(tf.square(means), axis=1) / 2
    rows = max(1, _CELLS // len(means))
    return np.concatenate(
        [
            tf.argmax(tf.matmul(vectors[i : i + rows], means, transpose_b=True) - half, axis=1).numpy()
            for i in range(0, len(vectors), rows)
        ]
    )


class Partitions(NamedTuple):
    """The catalogue in units of items of one partition each, partition after partition.

    For example, with units of 2 items the partitions [0, 1, 0, 0] of the items 0 to 3 are the units [[0, 2], [3, 4],
    [1, 4]], in which 4 is padding, with `first` = [0, 2, 3].

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
        """Makes units from vectors [V, D] and their partitions int64 [V], numbered without gaps."""
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
        """Returns the partition of each unit: int64 [units]."""
        return np.repeat(np.arange(len(self.centroids)), np.diff(self.first))


class Residuals:
    """The differences of the items from their centroids, scaled, unit by unit.

    A partition's last unit is padded with the vector that its queries score lowest: the opposite of the centroid.

    Args:
        embeddings: float32 [V + 1, D].
        queries: float32 [N, D], a sample of queries.
        partitions: the partitions of the V items.

    Attributes:
        scales: the scales of items and queries.
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
        """Packs the differences into lanes float32 [units + 1, LANES, D], of which the last unit is empty.

        The item at the position f LANES + l of a unit is the field f of the lane l.

        Returns:
            The lanes, and the greatest length of the quantised differences.
        """
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
        """The differences of the units' items, 0 for padding: float32 [N, UNIT, D]."""
        vectors = self._embeddings[self._partitions.items[units]].astype(np.float32)
        vectors -= self._partitions.centroids[self._owners[units]][:, np.newaxis]
        vectors[~self._is_item(units)] = 0
        return vectors

    def _scaled(self, units: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._differences(units) * self.scales.item
