"""The candidate tower: encodes an item's id and features."""

from collections.abc import Sequence

import tensorflow as tf

from config import Config, feature_names
from trainer.data.catalogue import Catalogue, CatalogueTable
from trainer.distributed.randomness import Randomness
from trainer.layers.blocks import FeatureEncoder, HiddenLayers
from trainer.layers.tables import EmbeddingTables
from trainer.model.cold_items import content_items
from transform.features import ModelFeature


class CandidateTower(tf.keras.layers.Layer):
    """Encodes items: as a vector for histories and ranking, and as the candidate embedding computed from it.

    Args:
        config: The dimensions and layers.
        features: Every feature; those of items are used.
        catalogue: The items.
        randomness: Of the ids that training drops.
        tables: Makes the embeddings.
    """

    def __init__(
        self,
        config: Config,
        features: Sequence[ModelFeature],
        catalogue: Catalogue,
        randomness: Randomness,
        tables: EmbeddingTables,
    ) -> None:
        super().__init__(name="candidate_tower")
        model = config.model
        self.size = catalogue.size
        self.table = CatalogueTable(catalogue)
        self.ids = tables.make(feature_names.ITEM_ID, self.size + 1, model.dimension, "item_embedding")
        own, widths = [f for f in features if f.section == "item"], (model.feature_dimension, model.dimension)
        self.content = FeatureEncoder(own, tables, *widths, "item_features") if own else None
        self.hidden = HiddenLayers(model.candidate_layers, name="hidden", batch_norm=model.batch_norm)
        self.project = tf.keras.layers.Dense(model.dimension, name="project") if model.candidate_layers else None
        # The logarithm of each item's share of the events; 0 for the unknown item.
        counts = catalogue.frequencies + 1
        start = tf.concat([tf.math.log(counts / tf.reduce_sum(counts)), [0]], axis=0)
        self.bias = self.add_weight(
            name="bias", shape=[self.size + 1], initializer=tf.keras.initializers.Constant(start)
        )
        self.without_id = content_items(config, catalogue, start.numpy(), randomness)

    def vectors(self, item: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Encodes items int64 [...] in [0, V]: float [..., D], id embedding plus content."""
        learned, content = self.parts(item)
        if self.without_id is None:
            return learned
        return self.without_id.vectors(item, learned, content, training)

    def embed(self, item: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes the candidate embeddings of items int64 [...] in [0, V]: float [..., D + 1]."""
        return self(item, self.vectors(item, training), training=training)

    def parts(self, item: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Encodes items int64 [...] by id and content, and by content alone: float [..., D] each."""
        vectors = self.ids(item)
        if self.content is None:
            return vectors, None
        content = self.content(self.table.lookup(item))
        return vectors + content, content

    def call(self, item: tf.Tensor, vectors: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Computes candidate embeddings, a unit vector and the item's bias.

        Args:
            item: int64 [...].
            vectors: float [..., D], of `vectors`.
            training: Whether some items lose their ids, and batch normalisation uses the batch.

        Returns:
            float [..., D + 1].
        """
        bias = tf.gather(self.bias, item)
        if self.without_id is not None:
            bias = self.without_id.biases(item, vectors, bias, training)
        if self.project is not None:
            vectors = self.project(self.hidden(vectors, training=training))
        unit = tf.math.l2_normalize(vectors, axis=-1, epsilon=1e-6)
        return tf.concat([unit, bias[..., tf.newaxis]], axis=-1)


class BatchItems:
    """The encoded items of a batch: the whole catalogue, or the distinct items of its windows and the unknown one.

    Args:
        tower: The candidate tower, of V items.
        item: int64 [B, L], the windows' items. None: the catalogue; else a step's work does not grow with it.
        training: Whether some items lose their ids.
    """

    def __init__(self, tower: CandidateTower, item: tf.Tensor | None, training: bool = False) -> None:
        self.is_catalogue = item is None
        if item is None:
            self._item = tf.range(tower.size + 1, dtype=tf.int64)
        else:
            unknown = tf.constant([tower.size], tf.int64)
            self._item = tf.sort(tf.unique(tf.concat([tf.reshape(item, [-1]), unknown], axis=0)).y)
        self._vectors = tower.vectors(self._item, training)
        self._embeddings = tower(self._item, self._vectors, training=training)

    def vectors(self, item: tf.Tensor) -> tf.Tensor:
        """Returns the vectors of the batch's items, int64 [...]: float [..., D]."""
        return tf.gather(self._vectors, self._position(item))

    def embeddings(self, item: tf.Tensor) -> tf.Tensor:
        """Returns the candidate embeddings of the batch's items, int64 [...]: float [..., D + 1]."""
        return tf.gather(self._embeddings, self._position(item))

    def catalogue_embeddings(self) -> tf.Tensor:
        """Returns the embeddings of the catalogue in its order: float [V, D + 1]."""
        return self._embeddings[:-1]

    def _position(self, item: tf.Tensor) -> tf.Tensor:
        """Finds items among the sorted `_item`, where an item of the catalogue has its own index."""
        if self.is_catalogue:
            return item
        return tf.reshape(tf.searchsorted(self._item, tf.reshape(item, [-1])), tf.shape(item))
