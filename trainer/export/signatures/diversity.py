"""Diverse answers: maximal marginal relevance, and caps on how many items may share an attribute's value."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from config import feature_names
from config.serving import DiversityConfig
from trainer.data.attributes import Attributes, Words
from trainer.export.signatures.inputs import Extras


class DiversityOptions(NamedTuple):
    """The diversity that a batch of requests asks for.

    Attributes:
        weight: float [B] in [0, 1], the weight of dissimilarity against relevance.
        caps: int32 [B] by attribute, how many items may share a value; 0 for any number.
    """

    weight: tf.Tensor
    caps: dict[str, tf.Tensor]

    def is_diverse(self) -> tf.Tensor:
        """Whether a request has any option: bool [B]."""
        return tf.reduce_any([self.weight > 0, *(cap > 0 for cap in self.caps.values())], axis=0)


class Diversity(tf.Module):
    """Chooses the items of an answer from a shortlist, one after the other.

    Args:
        config: the shortlist's length and the defaults of the options.
        attributes: the raw attributes by name.
        size: V.

    Raises:
        ValueError: a capped attribute is not among the attributes.
    """

    def __init__(self, config: DiversityConfig, attributes: Attributes, size: int) -> None:
        super().__init__(name="diversity")
        capped = {name: attributes.get(name) for name in config.caps}
        own = {name: words for name, words in capped.items() if isinstance(words, Words)}
        missing = sorted(set(capped) - set(own))
        if missing:
            raise ValueError(f"`attributes` should hold every capped attribute. Missing: {', '.join(missing)}")
        self._config = config
        self.values = {name: ItemValues(words, size, name) for name, words in own.items()}

    def options(self, extras: Extras) -> DiversityOptions:
        """Reads the requests' options; absent ones are the configuration's, and a negative cap is none."""
        weight = extras[feature_names.DIVERSITY]
        weight = tf.clip_by_value(tf.where(tf.math.is_nan(weight), self._config.weight, weight), 0, 1)
        caps = {}
        for name, default in self._config.caps.items():
            cap = extras[feature_names.cap(name)]
            caps[name] = tf.maximum(tf.where(cap == 0, default, cap), 0)
        return DiversityOptions(weight, caps)

    def shortlist(self, options: DiversityOptions, width: tf.Tensor) -> tf.Tensor:
        """Returns the length of the shortlist for answers of `width`: int32 []."""
        longer = tf.maximum(width, self._config.shortlist)
        return tf.where(tf.reduce_any(options.is_diverse()), longer, width)

    def choose(
        self, options: DiversityOptions, utility: tf.Tensor, item: tf.Tensor, vectors: tf.Tensor, width: tf.Tensor
    ) -> tf.Tensor:
        """Chooses greedily by maximal marginal relevance.

        The next item maximizes (1 - weight) relevance - weight (the largest cosine to the items chosen before), where
        relevance is the utility scaled to [0, 1] (Carbonell and Goldstein, "The use of MMR, diversity-based reranking
        for reordering documents and producing summaries", 1998).

        For example, with the weight 0.5, the utilities [10, 9, 0] and the vectors [1, 0], [1, 0], [0, 1] item 0 comes
        first; then item 2 has the value 0.5 x 0 - 0.5 x 0 = 0 and item 1 the value 0.5 x 0.9 - 0.5 x 1 = -0.05.

        Args:
            options: the requests' options.
            utility: float [B, N], descending; minus infinity where there is no item.
            item: int64 [B, N], the shortlist; -1 where there is no item.
            vectors: float [B, N, D], of length 1.
            width: int32 [], K.

        Returns:
            int32 [B, K]: positions in the shortlist; -1 where no item is left that may be chosen.
        """
        relevance = _scaled(utility)
        caps = [_Cap(self.values[name].of(item), cap) for name, cap in options.caps.items()]
        state = _State(
            tf.fill(tf.shape(utility), -1.0),
            utility > utility.dtype.min,
            [tf.zeros_like(cap.values, tf.int32) for cap in caps],
        )
        weight = options.weight[:, tf.newaxis]
        chosen = tf.TensorArray(tf.int32, size=width, element_shape=[None])

        def step(number: tf.Tensor, state: _State, chosen: tf.TensorArray) -> tuple[tf.Tensor, _State, tf.TensorArray]:
            may = tf.reduce_all([state.is_left, *(c.has_room(n) for c, n in zip(caps, state.counts, strict=True))], 0)
            value = tf.where(may, (1 - weight) * relevance - weight * state.similarity, float("-inf"))
            position = tf.argmax(value, axis=1, output_type=tf.int32)
            similarity = tf.linalg.matvec(vectors, tf.gather(vectors, position, batch_dims=1))
            following = _State(
                tf.maximum(state.similarity, similarity),
                state.is_left & (tf.range(tf.shape(utility)[1]) != position[:, tf.newaxis]),
                [c.counted(n, position) for c, n in zip(caps, state.counts, strict=True)],
            )
            found = tf.where(tf.reduce_any(may, axis=1), position, -1)
            return number + 1, following, chosen.write(number, found)

        _, _, chosen = tf.while_loop(lambda number, *_: number < width, step, (0, state, chosen))
        return tf.transpose(chosen.stack())


class ItemValues(tf.Module):
    """The values of each item's attribute, item after item.

    Args:
        words: the attribute.
        size: V.
    """

    def __init__(self, words: Words, size: int, name: str) -> None:
        super().__init__(name=name)
        starts = np.searchsorted(words.item, np.arange(size + 1))
        with self.name_scope:
            self.values = tf.Variable(words.value.astype(np.int32), trainable=False, name="values")
            self.starts = tf.Variable(starts, trainable=False, dtype=tf.int64, name="starts")

    def of(self, item: tf.Tensor) -> tf.Tensor:
        """Looks values up: int64 [B, N], -1 for none -> int32 [B, N, M], -1 behind an item's last value."""
        lists = tf.RaggedTensor.from_row_splits(self.values, self.starts, validate=False)
        found = tf.gather(lists, tf.reshape(tf.maximum(item, 0), [-1])).to_tensor(-1)
        return tf.reshape(found, tf.concat([tf.shape(item), [tf.shape(found)[1]]], axis=0))


class _State(NamedTuple):
    """The state of the choice.

    Attributes:
        similarity: float [B, N], the largest to a chosen item.
        is_left: bool [B, N], whether the item has not been chosen.
        counts: by cap int32 [B, N, M], how many chosen items have each value of the item.
    """

    similarity: tf.Tensor
    is_left: tf.Tensor
    counts: list[tf.Tensor]


class _Cap(NamedTuple):
    """An attribute's values in the shortlist, int32 [B, N, M], -1 for none, and its cap int32 [B], 0 for none."""

    values: tf.Tensor
    cap: tf.Tensor

    def has_room(self, counts: tf.Tensor) -> tf.Tensor:
        """Which items may be chosen, bool [B, N], given the counts of their values, int32 [B, N, M]."""
        cap = self.cap[:, tf.newaxis, tf.newaxis]
        return tf.reduce_all((counts < cap) | (cap == 0) | (self.values < 0), axis=2)

    def counted(self, counts: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        """Returns the counts once the items at the positions [B] are chosen too."""
        own = tf.gather(self.values, position, batch_dims=1)
        is_same = self.values[..., tf.newaxis] == own[:, tf.newaxis, tf.newaxis]
        return counts + tf.cast(tf.reduce_any(is_same, axis=3), tf.int32)


def _scaled(utility: tf.Tensor) -> tf.Tensor:
    """Scales each row to [0, 1]: [10, 9, 0] -> [1, 0.9, 0]; all 0 where the numbers are equal."""
    is_item = utility > utility.dtype.min
    most = tf.reduce_max(utility, axis=1, keepdims=True)
    least = tf.reduce_min(tf.where(is_item, utility, most), axis=1, keepdims=True)
    return tf.where(is_item, tf.math.divide_no_nan(utility - least, most - least), 0)
