"""The place of a target among the items that training never saw."""

import tensorflow as tf

from trainer.ranks import target_ranks


class ColdRanks:
    """Ranks among the cold items: those without a positive train event.

    Args:
        frequencies: float [V], positive train events; a variable that the exported object tracks.
        mask_seen: whether seen items are taken out of the ranking.
    """

    def __init__(self, frequencies: tf.Variable, mask_seen: bool) -> None:
        self._frequencies = frequencies
        self._mask_seen = mask_seen

    def is_cold(self, item: tf.Tensor) -> tf.Tensor:
        """int64 [B] -> float [B]: 1 for a cold item; the unknown one, V, is none."""
        size = tf.shape(self._frequencies, tf.int64)[0]
        count = tf.gather(self._frequencies, tf.minimum(item, size - 1))
        return tf.cast((count == 0) & (item < size), tf.float32)

    def ranks(self, scores: tf.Tensor, target: tf.Tensor, seen: tf.Tensor) -> tf.Tensor:
        """Scores float [B, V], cold targets int64 [B], seen int64 [B, S] -> float [B]; see `target_ranks`."""
        among = tf.where(self._frequencies == 0, scores, scores.dtype.min)
        return target_ranks(among, target, seen, self._mask_seen)
