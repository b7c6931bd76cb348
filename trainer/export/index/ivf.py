"""Partitioned search: of many small partitions the nearest are scanned in 8 bits, the best items scored exactly."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.export.index import packing
from trainer.export.index.rerank import RerankedIndex
from trainer.export.index.residuals import LANES, UNIT, Partitions, Residuals
from trainer.export.index.sample import FEW, TOP, Sample

_LARGE = 1 << 19
"""From so many items on, a query is faster answered alone than as one of a product with all items."""


class IvfIndex(RerankedIndex):
    """An inverted file (Jégou et al. 2011, "Product quantization for nearest neighbor search") in plain TensorFlow ops.

    Query . centroid orders the partitions. Of the best ones a fixed number of units is scanned, so every query costs
    the same. What is quantised is an item's difference to its centroid, which needs fewer levels than the item
    itself; the scale of each partition is its own.

    Args:
        embeddings: float32 [V + 1, D], V > 0; the last row is the unknown item's.
        queries: float32 [N, D], a sample of queries.
        partitions: of the V items.
        units: scanned when at most `TOP` items are wanted.
        probes: the partitions that are looked through for these units.
        shortlist: the items that are scored exactly.
    """

    kind = "ivf"
    rows = 1

    def __init__(
        self,
        embeddings: NDArray[Any],
        queries: NDArray[Any],
        partitions: Partitions,
        units: int,
        probes: int,
        shortlist: int,
        name: str = "ivf_index",
    ) -> None:
        super().__init__(embeddings, shortlist, name)
        self.most_queries = FEW if self.size < _LARGE else np.iinfo(np.int32).max
        self._unit_count = len(partitions.items)
        self.units = min(units, self._unit_count)
        self.probes = min(probes, len(partitions.centroids))
        residuals = Residuals(embeddings, queries, partitions)
        lanes, item_length = residuals.packed()
        self._length = packing.query_length(item_length, lanes.shape[-1])
        first = partitions.first
        with self.name_scope:
            self.packed = tf.Variable(lanes, trainable=False, name="packed")
            items = np.pad(partitions.items, [(0, 1), (0, 0)], constant_values=self.size)
            self.items = tf.Variable(items.reshape(-1), trainable=False, name="items")
            self.centroids = tf.Variable(
                np.ascontiguousarray(partitions.centroids.T), trainable=False, name="centroids"
            )
            self.scale = tf.Variable(residuals.norm / packing.FINE, trainable=False, name="scale")
            self.spans = tf.Variable(np.stack([first[:-1], np.diff(first)], 1), trainable=False, name="spans")
            self.query_scale = tf.Variable(residuals.scales.query, trainable=False, name="query_scale")

    @property
    def parameters(self) -> dict[str, int]:
        """What was chosen for this catalogue, by name."""
        own = {"partitions": self.centroids.shape[1], "probes": self.probes, "units": self.units}
        return {**own, **super().parameters}

    @property
    def scanned(self) -> list[tf.Variable]:
        """The tables that a query is compared with."""
        return [self.packed, self.centroids]

    def candidates(self, query: tf.Tensor, length: tf.Tensor, depth: tf.Tensor) -> tf.Tensor:
        """As `RerankedIndex.candidates`: one query [1, D]."""
        chosen = self._chosen_units(query, depth)
        integers, step = packing.split_query(query * self.query_scale, self._length)
        lanes = tf.reshape(tf.gather(self.packed, chosen.unit), [-1, self.packed.shape[-1]])
        products = tf.reshape(tf.matmul(lanes, integers, transpose_b=True), [1, -1, LANES, 2])
        digits = packing.join_scores(tf.concat(packing.unpack(products), axis=0))
        scores = digits * (chosen.scale * step)[:, tf.newaxis] + chosen.score[:, tf.newaxis]
        scores = tf.reshape(scores, [-1])
        _, position = tf.math.top_k(scores, tf.minimum(length, tf.size(scores)), sorted=False)
        count = tf.shape(lanes)[0]
        field, lane = position // count, position % count
        unit = tf.gather(chosen.unit, lane // LANES)
        return tf.sort(tf.gather(self.items, unit * UNIT + field * LANES + lane % LANES))[tf.newaxis]

    def _chosen_units(self, query: tf.Tensor, depth: tf.Tensor) -> "_Chosen":
        """The units of the best partitions, filled up with the empty unit."""
        factor = tf.maximum(depth, TOP)
        wanted = tf.minimum(self.units * factor // TOP, self._unit_count)
        probes = tf.minimum(self.probes * factor // TOP, self.centroids.shape[1])
        score, partition = tf.math.top_k(tf.matmul(query, self.centroids)[0], probes)
        first, count = tf.unstack(tf.gather(self.spans, partition), axis=1)
        ends = tf.cumsum(count)
        slot = tf.range(wanted)
        owner = tf.searchsorted(ends, slot, side="right")
        is_unit = owner < probes
        owner = tf.minimum(owner, probes - 1)
        unit = tf.where(is_unit, tf.gather(first - ends + count, owner) + slot, self._unit_count)
        scale = tf.gather(self.scale, partition)
        return _Chosen(unit, tf.gather(score, owner), tf.gather(scale, owner))


def fitting_units(partitions: Partitions, labels: NDArray[np.int64], sample: Sample, share: float) -> tuple[int, int]:
    """How many units hold that share of the sample's best items, and how many partitions are looked through for them.

    Args:
        partitions: of the items.
        labels: int64 [V], each item's partition.
        sample: queries and their best items.
        share: in [0, 1].
    """
    order = np.argsort(-(sample.queries @ partitions.centroids.T), axis=1)
    units = np.diff(partitions.first)[order].cumsum(axis=1)
    position = np.empty_like(order)
    np.put_along_axis(position, order, np.arange(order.shape[1])[np.newaxis], axis=1)
    needed = np.take_along_axis(units, np.take_along_axis(position, labels[sample.top], axis=1), axis=1)
    wanted = int(np.quantile(needed, share, method="higher"))
    return wanted, int((units < wanted).sum(axis=1).max()) + 1


class _Chosen(NamedTuple):
    """Units to scan: their indexes int32 [U], their centroids' scores and the worth of one integer level, float [U]."""

    unit: tf.Tensor
    score: tf.Tensor
    scale: tf.Tensor
