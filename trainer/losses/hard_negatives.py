"""Hard negatives: the items that the model itself scores best."""

from collections.abc import Callable

import tensorflow as tf

from config.tasks import HardNegatives
from trainer.distributed.randomness import Randomness
from trainer.distributed.strategies import global_concat
from trainer.losses.negatives import Negatives, NegativeSampler, make_negatives, positions_in
from trainer.losses.targets import RetrievalTargets
from trainer.metrics.ranks import top_items

_SCORES = 1 << 24
"""How many scores a search makes at a time."""
_ITEMS = 1 << 16
"""How many items are embedded at a time."""


class MinedNegatives(tf.Module):
    """The best items of one target of every window of the global batch, and a sample of the others.

    The mined items are in the softmax for certain, so each stands for itself and its score is not corrected; the
    sample stands for the items that are not mined, by its own correction. So the sum over both estimates the sum over
    the catalogue without bias, and the largest terms are exact (Mussmann, Levy and Ermon, "Fast Amortized Inference
    and Learning in Log-linear Models with Randomly Perturbed Nearest Neighbor Search", 2017). Without the second part
    the model would learn about the items at the top only.

    The index is a copy of the candidates' embeddings that `refresh` renews (Xiong et al., "Approximate Nearest
    Neighbor Negative Contrastive Learning for Dense Text Retrieval", 2021), and a part of every checkpoint.

    Args:
        config: how many items are mined.
        size: V.
        dimension: D + 1 + W, of embeddings; their trend is the newest, whatever the target's time.
        others: draws the sample.
        randomness: of the choice of targets.
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
        """Whether the index should be renewed before the step (counted from 0)."""
        return step % self._refresh_steps == 0

    def refresh(self, embed: Callable[[tf.Tensor], tf.Tensor]) -> None:
        """Renews the index.

        Args:
            embed: gives the embeddings of items, int64 [n] -> float [n, D + 1 + W].
        """
        size = self._index.shape[0]
        parts = [embed(tf.range(start, min(start + _ITEMS, size), dtype=tf.int64)) for start in range(0, size, _ITEMS)]
        self._index.assign(tf.concat(parts, axis=0))

    def __call__(self, targets: RetrievalTargets, query: tf.Tensor) -> Negatives:
        """See `NegativeSampler`."""
        mined = tf.sort(tf.unique(global_concat(self.mine(targets, query))).y)
        mined = mined[tf.searchsorted(mined, tf.constant([0], tf.int64))[0] :]
        others = self._others(targets, query)
        is_other = positions_in(mined, others.item) == tf.size(mined, tf.int64)
        item = tf.concat([mined, others.item[is_other]], axis=0)
        log_weight = tf.concat([tf.zeros_like(mined, tf.float32), others.log_weight[is_other]], axis=0)
        return make_negatives(item, log_weight, targets.blocked)

    def mine(self, targets: RetrievalTargets, query: tf.Tensor) -> tf.Tensor:
        """The best items of one target of each window of this replica: int64 [number of items], -1 where too few."""
        index = self._places(targets)
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

    def _places(self, targets: RetrievalTargets) -> tf.Tensor:
        """One of the T targets of each window: int32 [windows]."""
        count = tf.unique_with_counts(targets.index[:, 0]).count
        drawn = tf.random.stateless_uniform([], self._randomness.global_seed(self._site))
        chosen = tf.cast(drawn * tf.cast(count, tf.float32), tf.int32)
        return tf.cumsum(count, exclusive=True) + tf.minimum(chosen, count - 1)
