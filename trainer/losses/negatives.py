"""The negatives of a retrieval target: the whole catalogue, a sample of it, or the items that the model scores best."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import tensorflow as tf

from config import Config
from config.tasks import HardNegatives
from trainer.data.catalogue import Catalogue
from trainer.distributed.collectives import global_concat
from trainer.distributed.randomness import Randomness
from trainer.losses.draws import BatchDraws, Draws, FrequencyDraws, UniformDraws
from trainer.losses.targets import RetrievalTargets
from trainer.metrics.ranks import top_items

_SCORES = 1 << 24
"""The number of scores that a search for hard negatives computes at a time."""
_ITEMS = 1 << 16
"""The number of items that are embedded at a time."""


class Negatives(NamedTuple):
    """The items that a softmax runs over besides its targets.

    Attributes:
        item: int64 [N], distinct.
        log_weight: float [N], added to their scores: the logarithm of how many items each stands for.
        blocked: int64 [T, M], the positions in `item` of those that are no negatives in each row; distinct, N pads.
    """

    item: tf.Tensor
    log_weight: tf.Tensor
    blocked: tf.Tensor


class NegativeSampler(Protocol):
    """A kind of negatives."""

    def __call__(self, targets: RetrievalTargets, query: tf.Tensor) -> Negatives:
        """Returns the negatives of this step, the same on every replica.

        Args:
            targets: The T positions of this replica.
            query: float [T, D + 1 + W] of them.
        """


class AllItems:
    """The whole catalogue of V items."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, targets: RetrievalTargets, query: tf.Tensor) -> Negatives:
        """See `NegativeSampler`."""
        return Negatives(tf.range(self._size, dtype=tf.int64), tf.zeros([self._size]), targets.blocked)


class SampledNegatives:
    """Items drawn in one or more ways, each taken once, corrected for how often it was expected.

    Where n_s draws are made in way s, which gives item i with probability q_s(i), the expected count of i is
    e(i) = sum_s n_s q_s(i). Drawn c times in all, it stands for c / e(i) items of the full softmax: log(c / e(i)) is
    added to its score, and the sum over the sample is an unbiased estimate of the sum over the catalogue (logQ: Bengio
    and Senecal, "Adaptive Importance Sampling to Accelerate Training of a Neural Probabilistic Language Model", 2008;
    the e of a mixture: Yang et al., "Mixed Negative Sampling for Learning Two-tower Neural Networks in
    Recommendations", 2020). Targets take part uncorrected, since they are always there (Khrylchenko et al.,
    "Correcting the LogQ Correction", 2025).

    Args:
        ways: Of drawing.
    """

    def __init__(self, ways: Sequence[Draws]) -> None:
        self._ways = ways
        self._has_batch = any(isinstance(way, BatchDraws) for way in ways)

    def __call__(self, targets: RetrievalTargets, query: tf.Tensor) -> Negatives:
        """See `NegativeSampler`."""
        drawn = [way.draw(targets) for way in self._ways]
        item, _, count = tf.unique_with_counts(tf.concat(drawn, axis=0))
        expected = [
            tf.math.log(tf.cast(tf.size(d), tf.float32)) + way.log_share(item)
            for d, way in zip(drawn, self._ways, strict=True)
        ]
        log_weight = tf.math.log(tf.cast(count, tf.float32)) - tf.reduce_logsumexp(tf.stack(expected), axis=0)
        return make_negatives(item, log_weight, targets.window_item if self._has_batch else targets.blocked)


class MinedNegatives(tf.Module):
    """The items that the model scores best for one target of every window of the global batch, and a sample of others.

    The mined items are certain to be in the softmax, so each stands for itself and its score is not corrected; the
    sample stands for the items that are not mined, by its own correction. The sum over both is an unbiased estimate of
    the sum over the catalogue whose largest terms are exact (Mussmann, Levy and Ermon, "Fast Amortized Inference and
    Learning in Log-linear Models with Randomly Perturbed Nearest Neighbor Search", 2017). Without the sample the model
    would learn about the items at the top only.

    The index is a copy of the candidate embeddings that `refresh` updates (Xiong et al., "Approximate Nearest Neighbor
    Negative Contrastive Learning for Dense Text Retrieval", 2021), and a part of every checkpoint.

    Args:
        config: How many items are mined.
        size: V.
        dimension: D + 1 + W, of embeddings; their trend is the newest, whatever the target's time.
        others: Draws the sample.
        randomness: Of the choice of targets.
    """

    def __init__(
        self, config: HardNegatives, size: int, dimension: int, others: NegativeSampler, randomness: Randomness
    ) -> None:
        super().__init__(name="mined_negatives")
        self._refresh_steps = config.refresh_steps
        self._count = config.per_window
        self._others = others
        self._randomness = randomness
        self._site = randomness.new_site()
        with self.name_scope:
            self._index = tf.Variable(tf.zeros([size, dimension]), trainable=False, name="index")

    def is_due(self, step: int) -> bool:
        """Returns whether the index is refreshed before the step (counted from 0)."""
        return step % self._refresh_steps == 0

    def refresh(self, embed: Callable[[tf.Tensor], tf.Tensor]) -> None:
        """Updates the index.

        Args:
            embed: Returns the embeddings of items, int64 [n] to float [n, D + 1 + W].
        """
        size = self._index.shape[0]
        parts = [embed(tf.range(start, min(start + _ITEMS, size), dtype=tf.int64)) for start in range(0, size, _ITEMS)]
        self._index.assign(tf.concat(parts, axis=0))

    def __call__(self, targets: RetrievalTargets, query: tf.Tensor) -> Negatives:
        """See `NegativeSampler`."""
        mined = tf.sort(tf.unique(global_concat(self.mine(targets, query))).y)
        mined = mined[tf.searchsorted(mined, tf.constant([0], tf.int64))[0] :]  # without the -1
        others = self._others(targets, query)
        is_other = positions_in(mined, others.item) == tf.size(mined, tf.int64)
        item = tf.concat([mined, others.item[is_other]], axis=0)
        log_weight = tf.concat([tf.zeros_like(mined, tf.float32), others.log_weight[is_other]], axis=0)
        return make_negatives(item, log_weight, targets.blocked)

    def mine(self, targets: RetrievalTargets, query: tf.Tensor) -> tf.Tensor:
        """Finds the best items of one target of each window of this replica: int64 [windows x count], -1 pads."""
        index = self._choose_targets(targets)
        size = self._index.shape[0]
        rows = max(1, _SCORES // size)

        def search(start: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
            part = index[start * rows : (start + 1) * rows]
            scores = tf.matmul(tf.gather(query, part), self._index, transpose_b=True)
            best = top_items(scores, self._count, tf.gather(targets.blocked, part), mask_seen=True)
            return start + 1, found.write(start, tf.reshape(best, [-1]))

        parts = tf.maximum(1, (tf.size(index) + rows - 1) // rows)
        found = tf.TensorArray(tf.int64, parts, infer_shape=False, element_shape=[None])
        _, found = tf.while_loop(lambda start, _: start < parts, search, (tf.constant(0), found))
        return found.concat()

    def _choose_targets(self, targets: RetrievalTargets) -> tf.Tensor:
        """Chooses one of the T targets of each window: int32 [windows].

        Example:
            For targets in rows [0, 0, 0, 2], the counts are [3, 1] and the first targets of the windows [0, 3]; a draw
            of 0.5 chooses targets 0 + floor(0.5 * 3) = 1 and 3 + 0 = 3.
        """
        count = tf.unique_with_counts(targets.index[:, 0]).count
        drawn = tf.random.stateless_uniform([], self._randomness.global_seed(self._site))
        chosen = tf.cast(drawn * tf.cast(count, tf.float32), tf.int32)
        return tf.cumsum(count, exclusive=True) + tf.minimum(chosen, count - 1)


def make_negatives(item: tf.Tensor, log_weight: tf.Tensor, blocked: tf.Tensor) -> Negatives:
    """Makes `Negatives` of items int64 [N] with weights float [N], and of items int64 [T, M] that are no negatives."""
    order = tf.argsort(item)
    item = tf.gather(item, order)
    return Negatives(item, tf.gather(log_weight, order), positions_in(item, blocked))


def positions_in(sorted_items: tf.Tensor, item: tf.Tensor) -> tf.Tensor:
    """Finds items [...] among N sorted ones: int64 [...], N where absent. Of [2, 5, 9], [5, 6] has positions [1, 3]."""
    count = tf.size(sorted_items, tf.int64)
    position = tf.searchsorted(sorted_items, tf.reshape(item, [-1]), out_type=tf.int64)
    position = tf.reshape(position, tf.shape(item))
    return tf.where(tf.gather(tf.concat([sorted_items, [-1]], axis=0), position) == item, position, count)


def make_sampler(config: Config, catalogue: Catalogue, randomness: Randomness) -> NegativeSampler | None:
    """Makes the sampler that `retrieval.negatives` configures; None without a retrieval task."""
    task = config.retrieval
    if task is None:
        return None
    kind = task.negatives_of(catalogue.size)
    if kind == "full":
        return AllItems(catalogue.size)
    ways: list[Draws] = []
    if kind in ("in_batch", "mixed"):
        ways.append(BatchDraws(catalogue.frequencies))
    if kind in ("uniform", "mixed"):
        ways.append(UniformDraws(catalogue.size, task.samples, randomness))
    if kind in ("frequency", "hard"):
        ways.append(FrequencyDraws(catalogue.frequencies, task.samples, randomness))
    sample = SampledNegatives(ways)
    if kind == "hard":
        trends = len(config.trend.days) if config.trend else 0
        return MinedNegatives(task.hard, catalogue.size, config.model.dimension + 1 + trends, sample, randomness)
    return sample
