"""Partitions of many vectors: k-means in two levels, in the time of the square root of the number of partitions."""

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

_ITERATIONS = 8
_SAMPLE = 64
"""Vectors for each centroid that k-means looks at."""
_CELLS = 1 << 22
"""Distances held at once."""


def partition(vectors: Floats, count: int, seed: int = 0) -> Integers:
    """Puts near vectors into one partition.

    Args:
        vectors: float32 [V, D].
        count: about so many partitions; those that stay empty are left out.
        seed: of the sample and the first centroids.

    Returns:
        int64 [V], the partitions, numbered from 0 without gaps.
    """
    generator = np.random.default_rng(seed)
    coarse = nearest(vectors, centroids(vectors, max(1, round(count**0.5)), generator))
    fine = np.empty(len(vectors), np.int64)
    begin = 0
    for members in _groups(coarse):
        group = vectors[members]
        share = max(1, round(count * len(group) / len(vectors)))
        fine[members] = begin + nearest(group, centroids(group, share, generator))
        begin += share
    return np.unique(fine, return_inverse=True)[1]


def centroids(vectors: Floats, count: int, generator: np.random.Generator) -> Floats:
    """Lloyd's algorithm on a sample: float32 [V, D] -> [min(count, V), D]."""
    size = min(len(vectors), count * _SAMPLE)
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
    """The nearest mean of each vector: [V, D], [M, D] -> int64 [V]."""
    half = tf.reduce_sum(tf.square(means), axis=1) / 2
    rows = max(1, _CELLS // len(means))
    return np.concatenate(
        [
            tf.argmax(tf.matmul(vectors[i : i + rows], means, transpose_b=True) - half, axis=1).numpy()
            for i in range(0, len(vectors), rows)
        ]
    )


def _groups(labels: Integers) -> list[Integers]:
    """The positions of each label."""
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
