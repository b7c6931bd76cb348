"""What every index answers."""

from abc import abstractmethod

import tensorflow as tf


class Index(tf.Module):
    """The candidates' embeddings, searched by dot product.

    Attributes:
        kind: the name of the method, as in `serving.index`.
        size: V, the number of items that can be found.
        few: up to one in so many items are looked up faster than all are scored.
    """

    kind: str
    size: int
    few: int

    @abstractmethod
    def filled_scores(self, query: tf.Tensor) -> tf.Tensor:
        """The exact scores of all items, and whatever fills the last block: float [B, D] -> [B, whole blocks]."""

    def scores(self, query: tf.Tensor) -> tf.Tensor:
        """The exact scores of all items: float [B, D] -> [B, V]."""
        return self.filled_scores(query)[:, : self.size]

    @abstractmethod
    def search(self, query: tf.Tensor, k: tf.Tensor, exclude: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Finds the best items; of equal scores the smaller index comes first. Scores are exact in every index.

        Args:
            query: float [B, D].
            k: int32 [], a positive number.
            exclude: int64 [B, E], items that are not wanted; entries outside [0, V) are padding.

        Returns:
            scores float [B, K] and items int64 [B, K], K = min(k, V). Where a row has fewer items left, the score is
            minus infinity and the item -1.
        """

    @abstractmethod
    def embeddings(self, items: tf.Tensor) -> tf.Tensor:
        """The embeddings of items: int64 [...] in [0, V] -> float [..., D]."""

    @property
    @abstractmethod
    def scanned(self) -> list[tf.Variable]:
        """The tables that a query is compared with; in others only the best items are looked up."""

    @property
    def parameters(self) -> dict[str, int]:
        """What was chosen for this catalogue, by name."""
        return {}

    @property
    def scanned_bytes(self) -> int:
        """Bytes of the tables that a query is compared with."""
        return sum(_bytes(table) for table in self.scanned)

    @property
    def total_bytes(self) -> int:
        """Bytes of all tables."""
        return sum(_bytes(table) for table in self.variables)


def _bytes(table: tf.Variable) -> int:
    return int(table.shape.num_elements() * table.dtype.size)
