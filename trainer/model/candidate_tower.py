"""The candidate tower: an item's id and features as a vector."""

from collections.abc import Sequence
from typing import Protocol

import tensorflow as tf

from config import Config
from trainer.data.catalogue import Catalogue, CatalogueTable
from trainer.distributed.randomness import Randomness
from trainer.layers.feature_encoders import FeatureEncoder, HiddenLayers, embedding_table
from trainer.model.generator.content import content_items
from transform.features import ModelFeature


class CandidateTower(tf.keras.layers.Layer):
    """An item as a vector: one for histories and ranking, and the candidate embedding made of it.

    Args:
        config: the dimensions and layers.
        features: every feature; those of items are used.
        catalogue: the items.
        randomness: of the ids that training takes away.
    """

    def __init__(
        self, config: Config, features: Sequence[ModelFeature], catalogue: Catalogue, randomness: Randomness
    ) -> None:
        super().__init__(name="candidate_tower")
        model = config.model
        self.size = catalogue.size
        self.table = CatalogueTable(catalogue)
        self.ids = embedding_table(self.size + 1, model.dimension, name="item_embedding")
        own = [f for f in features if f.section == "item"]
        self.content = FeatureEncoder(own, model.feature_dimension, model.dimension, "item_features") if own else None
        self.hidden = HiddenLayers(model.candidate_layers, name="hidden", batch_norm=model.batch_norm)
        self.project = tf.keras.layers.Dense(model.dimension, name="project") if model.candidate_layers else None
        start = _log_popularity(catalogue)
        self.bias = self.add_weight(
            name="bias", shape=[self.size + 1], initializer=tf.keras.initializers.Constant(start)
        )
        self.without_id = content_items(config, catalogue, start.numpy(), randomness)

    def vectors(self, item: tf.Tensor, training: bool = False) -> tf.Tensor:
        """int64 [...] in [0, V] -> float [..., D]: id embedding plus content, shared by histories and candidates."""
        learned, content = self.parts(item)
        if self.without_id is None:
            return learned
        return self.without_id.vectors(item, learned, content, training)

    def embed(self, item: tf.Tensor, training: bool = False) -> tf.Tensor:
        """int64 [...] in [0, V] -> float [..., D + 1]: the candidate embeddings."""
        return self(item, self.vectors(item, training), training=training)

    def parts(self, item: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """int64 [...] -> what id and content give and what the content alone does, float [..., D]."""
        vectors = self.ids(item)
        if self.content is None:
            return vectors, None
        content = self.content(self.table.lookup(item))
        return vectors + content, content

    def call(self, item: tf.Tensor, vectors: tf.Tensor, training: bool = False) -> tf.Tensor:
        """int64 [...], float [..., D] of `vectors` -> float [..., D + 1]: a unit vector and the item's bias."""
        bias = tf.gather(self.bias, item)
        if self.without_id is not None:
            bias = self.without_id.biases(item, vectors, bias, training)
        if self.project is not None:
            vectors = self.project(self.hidden(vectors, training=training))
        unit = tf.math.l2_normalize(vectors, axis=-1, epsilon=1e-6)
        return tf.concat([unit, bias[..., tf.newaxis]], axis=-1)


def _log_popularity(catalogue: Catalogue) -> tf.Tensor:
    """float [V + 1]: the logarithm of each item's share of the events; 0 for the unknown item."""
    counts = catalogue.frequencies + 1
    return tf.concat([tf.math.log(counts / tf.reduce_sum(counts)), [0]], axis=0)


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
        return tf.gather(self._vectors, self._position(item))

    def embeddings(self, item: tf.Tensor) -> tf.Tensor:
        """See `BatchItems`."""
        return tf.gather(self._embeddings, self._position(item))

    def _position(self, item: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.searchsorted(self._item, tf.reshape(item, [-1])), tf.shape(item))
