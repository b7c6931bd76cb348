"""The items of a batch, each embedded once."""

from typing import Protocol

import tensorflow as tf

from trainer.towers.candidate import CandidateTower


class BatchItems(Protocol):
    """Looks up what the candidate tower makes of the batch's items."""

    def vectors(self, item: tf.Tensor) -> tf.Tensor:
        """int64 [...] of the batch's items -> float [..., D]."""

    def embeddings(self, item: tf.Tensor) -> tf.Tensor:
        """int64 [...] of the batch's items -> float [..., D + 1]."""


class CatalogueItems:
    """All items.

    Args:
        tower: the candidate tower, of V items.
        training: whether some items lose their ids.
    """

    def __init__(self, tower: CandidateTower, training: bool = False) -> None:
        item = tf.range(tower.size + 1, dtype=tf.int64)
        self._vectors = tower.vectors(item, training)
        self._embeddings = tower(item, self._vectors, training=training)

    def vectors(self, item: tf.Tensor) -> tf.Tensor:
        """See `BatchItems`."""
        return tf.gather(self._vectors, item)

    def embeddings(self, item: tf.Tensor) -> tf.Tensor:
        """See `BatchItems`."""
        return tf.gather(self._embeddings, item)

    def known(self) -> tf.Tensor:
        """float [V, D + 1], the known items in the catalogue's order."""
        return self._embeddings[:-1]


class WindowItems:
    """The items of a window batch and the unknown one, however large the catalogue is.

    Args:
        tower: the candidate tower, of V items.
        item: int64 [B, L], with repetitions.
        training: whether some items lose their ids.
    """

    def __init__(self, tower: CandidateTower, item: tf.Tensor, training: bool = False) -> None:
        unknown = tf.constant([tower.size], tf.int64)
        self._item = tf.sort(tf.unique(tf.concat([tf.reshape(item, [-1]), unknown], axis=0)).y)
        self._vectors = tower.vectors(self._item, training)
        self._embeddings = tower(self._item, self._vectors, training=training)

    def vectors(self, item: tf.Tensor) -> tf.Tensor:
        """See `BatchItems`."""
        return tf.gather(self._vectors, self._place(item))

    def embeddings(self, item: tf.Tensor) -> tf.Tensor:
        """See `BatchItems`."""
        return tf.gather(self._embeddings, self._place(item))

    def _place(self, item: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.searchsorted(self._item, tf.reshape(item, [-1])), tf.shape(item))
