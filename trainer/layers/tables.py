"""Embedding tables: one row for each id, or fewer rows that ids share (`model.tables`).

A table maps ids, int [...] in [0, size), to vectors float [..., D]. Every form consists of Keras' Embedding layers, of
whose rows a step touches few, so that optimizers, averages and quantisation treat all forms alike.
"""

import tensorflow as tf
from tensorflow_recommenders.layers.feature_multiplexing.unified_embedding import UnifiedEmbeddingConfig

from config import Config

_DEVIATION = 0.05


def embedding_table(size: int, dimension: int, name: str, mean: float = 0.0) -> tf.keras.layers.Embedding:
    """Makes a table of small random vectors around a mean."""
    return tf.keras.layers.Embedding(size, dimension, tf.keras.initializers.RandomNormal(mean, _DEVIATION), name=name)


class SharedRows(tf.keras.layers.Layer):
    """A table whose ids share the rows of its parts.

    Attributes:
        parts: The tables of rows.
    """

    def __init__(self, parts: list[tf.keras.layers.Layer], name: str) -> None:
        super().__init__(name=name)
        self.parts = parts


class HashedTable(SharedRows):
    """The hashing trick: an id's row is its hash, SipHash of its digits, modulo the number of rows.

    Weinberger et al., "Feature Hashing for Large Scale Multitask Learning" (2009). The last id, which stands for all
    unknown ones or for a missing value, has the last row for itself: it occurs much more often than an id.

    Args:
        size: The number of ids.
        dimension: D.
        rows: The number of rows, those of the hash and the last id's.
        seed: Of the hash.
    """

    def __init__(self, size: int, dimension: int, rows: int, seed: int, name: str) -> None:
        super().__init__([embedding_table(rows, dimension, "hashed")], name)
        self._last = size - 1
        self._rows = rows
        self._hash = tf.keras.layers.Hashing(rows - 1, salt=[seed, seed])

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Looks vectors up: int [...] in [0, size) -> float [..., D]."""
        rows = tf.where(ids == self._last, tf.cast(self._rows - 1, tf.int64), self._hash(ids))
        return self.parts[0](rows)


class QuotientRemainderTable(SharedRows):
    """The vector of an id is that of id // m combined with that of id % m, so that no two ids share both.

    Shi et al., "Compositional Embeddings Using Complementary Partitions for Memory-Efficient Recommendation Systems"
    (2020), section 3, with two partitions. The quotients' factors start around 1, so that products start as large as
    the vectors of other tables. As items are numbered by falling frequency, the m most frequent ones differ in the
    remainder alone.

    Args:
        dimension: D.
        remainders: m.
        quotients: The number of quotients.
        combine: `product` or `sum`.
    """

    def __init__(self, dimension: int, remainders: int, quotients: int, combine: str, name: str) -> None:
        first = embedding_table(remainders, dimension, "remainder")
        second = embedding_table(quotients, dimension, "quotient", mean=1.0 if combine == "product" else 0.0)
        super().__init__([first, second], name)
        self._remainders = remainders
        self._combine = tf.multiply if combine == "product" else tf.add

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Looks vectors up: int [...] in [0, size) -> float [..., D]."""
        remainder, quotient = self.parts
        return self._combine(remainder(ids % self._remainders), quotient(ids // self._remainders))


class UnifiedTable(SharedRows):
    """The vector of an id is several rows, by as many hashes, of tables that are shared with other features.

    Coleman et al., "Unified Embedding: Battle-Tested Feature Representations for Web-Scale ML Systems" (2023). Hashes
    and tables are those of TFRS's `UnifiedEmbedding`, which itself embeds all features in one call, and trains on a TPU
    by an optimizer of its own; the towers embed feature by feature.

    Args:
        parts: The shared tables.
        chunks: Of each row of the vector, the position of its table in `parts` and its hash.
    """

    def __init__(
        self, parts: list[tf.keras.layers.Layer], chunks: list[tuple[int, tf.keras.layers.Hashing]], name: str
    ) -> None:
        super().__init__(parts, name)
        self._chunks = [part for part, _ in chunks]
        self._hashes = [hashing for _, hashing in chunks]

    def call(self, ids: tf.Tensor) -> tf.Tensor:
        """Looks vectors up: int [...] -> float [..., D]."""
        pairs = zip(self._chunks, self._hashes, strict=True)
        return tf.concat([self.parts[part](hashing(ids)) for part, hashing in pairs], axis=-1)


class EmbeddingTables:
    """Makes a model's embedding tables in their configured forms.

    Args:
        config: `model.tables` and `model.unified`.
    """

    def __init__(self, config: Config) -> None:
        self._model = config.model
        self._seed = config.training.seed
        self._unified: dict[str, UnifiedTable] = {}
        self._shared: list[tf.keras.layers.Layer] = []
        settings = config.model.unified
        if settings is not None:
            names = [f"unified_{number}" for number in range(settings.tables)]
            self._shared = [embedding_table(settings.rows, settings.width, name) for name in names]
            self._hashes = UnifiedEmbeddingConfig(settings.rows, settings.width, settings.tables, "unified")

    def make(self, table: str, size: int, dimension: int, name: str) -> tf.keras.layers.Layer:
        """Makes a table.

        Args:
            table: Its key in `model.tables`.
            size: The number of ids; the last one is unknown, or a missing value.
            dimension: D.
            name: Of the layer.

        Returns:
            A layer from ids int [...] to vectors float [..., D]. A feature that is `unified` has one for all encoders.
        """
        form = self._model.table(table)
        if form.method == "unified":
            if table not in self._unified:
                self._unified[table] = self._make_unified(table, dimension, name)
            return self._unified[table]
        rows = form.rows_of_parts(size)
        if rows == (size,):
            return embedding_table(size, dimension, name)
        if form.method == "hash":
            return HashedTable(size, dimension, rows[0], self._seed, name)
        remainders, quotients = rows
        return QuotientRemainderTable(dimension, remainders, quotients, form.combine, name)

    def _make_unified(self, table: str, dimension: int, name: str) -> UnifiedTable:
        settings = self._model.unified
        if settings is None or dimension % settings.width:
            raise ValueError(f"`model.unified` should have a `width` that divides {dimension}. Received: {settings}")
        self._hashes.add_feature(table, dimension // settings.width)
        numbers = {shared.name: number for number, shared in enumerate(self._shared)}
        hashes = self._hashes.hashing_config[table]
        # TFRS joins the rows in the order of these names.
        chunks = [
            (numbers[chunk.table.name], tf.keras.layers.Hashing(**hashes[key]))
            for key, chunk in sorted(self._hashes.embedding_config[table].items())
        ]
        return UnifiedTable(self._shared, chunks, name)
