"""Which items are embedded without their id."""

import tensorflow as tf

from trainer.negatives import Negatives
from trainer.randomness import Randomness
from trainer.softmax import BLOCKED

_DRAWS = 1 << 16
"""Numbers drawn for a step at most: items whose indexes differ by a multiple of this lose their ids together."""


class MissingIds:
    """Items without a training positive have no id that means anything; training takes it from a share of the others.

    Volkovs, Yu and Poutanen, "DropoutNet: Addressing Cold Start in Recommender Systems" (2017). An item that loses its
    id does so in every place of the global batch, so that one replica sees what many see.

    Args:
        rate: the share of the items that lose their ids in a step of training.
        warm: W: items [0, W) have training positives, [W, V] have none.
        size: V.
        randomness: of the choice.
    """

    def __init__(self, rate: float, warm: int, size: int, randomness: Randomness) -> None:
        self.warm = warm
        self._draws = min(size + 1, _DRAWS)
        self._rate = rate
        self._randomness = randomness
        self._site = randomness.new_site()

    def __call__(self, item: tf.Tensor, training: bool = False) -> tf.Tensor:
        """int64 [...] in [0, V] -> bool [...]."""
        is_cold = item >= self.warm
        if not training:
            return is_cold
        drawn = tf.random.stateless_uniform([self._draws], self._randomness.global_seed(self._site))
        return is_cold | tf.gather(drawn < self._rate, item % self._draws)

    def known_only(self, negatives: Negatives) -> Negatives:
        """The negatives without the items that training does not know.

        They are never a positive: as negatives they would teach that content such as theirs is not wanted.
        """
        unknown = tf.cast(negatives.item >= self.warm, negatives.log_weight.dtype)
        return negatives._replace(log_weight=negatives.log_weight + BLOCKED * unknown)
