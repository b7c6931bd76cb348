"""Partitioned search: the nearest of many small partitions are scanned in 8 bits, the best items scored exactly."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from trainer.export.index import packing
from trainer.export.index.exact import SMALL_BATCH, TOP
from trainer.export.index.partitions import LANES, UNIT, Partitions, Residuals
from trainer.export.index.quantised import RerankedIndex

_LARGE = 1 << 19
"""From so many items on, each query of a batch is answered faster alone than by a product with all items."""


class IvfIndex(RerankedIndex):
    """An inverted file (Jégou et al. 2011, "Product quantization for nearest neighbor search") in plain TensorFlow ops.

    The dot products of query and centroids order the partitions, of whose best a fixed number of units is scanned, so
    that every query costs the same. The score of an item is that of the centroid plus that of the item's difference
    from it, which needs fewer levels than the item itself; each partition has a scale of its own.

    Args:
        embeddings: float32 [V + 1, D], V > 0; the last row is the unknown item's.
        queries: float32 [N, D], a sample of queries.
        partitions: the partitions of the V items.
        units: the number of units that are scanned when at most `TOP` items are wanted.
        probes: the number of partitions that are searched for these units.
        shortlist: the number of items that are scored exactly.
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
        self.max_queries = SMALL_BATCH if self.size < _LARGE else np.iinfo(np.int32).max
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
        """Returns the parameters that were chosen for this catalogue, by name."""
        own = {"partitions": self.centroids.shape[1], "probes": self.probes, "units": self.units}
        return {**own, **super().parameters}

    @property
    def scanned(self) -> list[tf.Variable]:
        """Returns the tables that a query is compared with."""
        return [self.packed, self.centroids]

    def candidates(self, query: tf.Tensor, length: tf.Tensor, depth: tf.Tensor) -> tf.Tensor:
        """As `RerankedIndex.candidates`, for one query [1, D].

        Unpacked, the scores of U units are ordered by field, then by lane: the position f (U LANES) + u LANES + l is
        the item at f LANES + l of the unit u.
        """
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
        """The units of the best partitions, padded with the empty unit.

        For example, if the best partitions have 2 and 3 units, from the units 7 and 0 on, four slots are the units 7, 8
        of the first partition and 0, 1 of the second: `ends` is [2, 5], and the slot 2, whose owner is the partition 1,
        is the unit 0 - 5 + 3 + 2 = 0.
        """
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


class _Chosen(NamedTuple):
    """Units to scan: their indexes int32 [U], their centroids' scores and the size of an integer step, float [U]."""

    unit: tf.Tensor
    score: tf.Tensor
    scale: tf.Tensor
