"""Randomness that depends on the seed, the step and the replica alone: a resumed run repeats it exactly."""

from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

_SITE, _REPLICA = 1 << 32, 1 << 48
"""Factors in the seed, so that no two sites and replicas share one: seed + site * 2^32 + replica * 2^48."""


class Randomness:
    """Returns seeds for TensorFlow's stateless operations.

    Args:
        seed: Of the whole run.
        step: int64 scalar variable, the number of finished optimizer steps.
    """

    def __init__(self, seed: int, step: tf.Variable) -> None:
        self._seed = seed
        self._step: tf.Variable | tf.Tensor = step
        self._sites = 0

    def new_site(self) -> int:
        """Returns a number for one place in the code that draws: two of them never draw the same numbers."""
        self._sites += 1
        return self._sites

    @contextmanager
    def at(self, step: tf.Tensor) -> Iterator[None]:
        """Draws as at a step, int64 scalar, inside: where steps run side by side, the variable's is not their own."""
        variable, self._step = self._step, step
        try:
            yield
        finally:
            self._step = variable

    def global_seed(self, site: int) -> tf.Tensor:
        """Returns a seed that is the same on every replica: int64 [2]."""
        return tf.stack([tf.constant(self._seed + site * _SITE, tf.int64), tf.cast(self._step, tf.int64)])

    def replica_seed(self, site: int) -> tf.Tensor:
        """Returns a seed that differs between replicas: int64 [2]."""
        replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
        return self.global_seed(site) + tf.stack([replica * _REPLICA, tf.zeros_like(replica)])


class Dropout(tf.keras.layers.Layer):
    """Sets a share of the values to zero in training and scales the others up (Srivastava et al., 2014).

    Unlike tf.keras.layers.Dropout it repeats its draws when a run is resumed.
    """

    def __init__(self, rate: float, randomness: Randomness, name: str = "dropout") -> None:
        super().__init__(name=name)
        self._rate = rate
        self._randomness = randomness
        self._site = randomness.new_site()

    def call(self, values: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Drops values float [...]."""
        if not training or self._rate == 0:
            return values
        return tf.nn.experimental.stateless_dropout(values, self._rate, self._randomness.replica_seed(self._site))


class EventDropout(Dropout):
    """Hides a share of the history's events in training."""

    def __init__(self, rate: float, randomness: Randomness, name: str = "event_dropout") -> None:
        super().__init__(rate, randomness, name)

    def call(self, visible: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Returns bool [B, L] with some of the visible events hidden."""
        if not training or self._rate == 0:
            return visible
        drawn = tf.random.stateless_uniform(tf.shape(visible), self._randomness.replica_seed(self._site))
        return visible & (drawn >= self._rate)


class BlankHistory(tf.keras.layers.Layer):
    """Removes the whole history at a share of the positions in training."""

    def __init__(self, rate: float, randomness: Randomness, name: str = "blank_history") -> None:
        super().__init__(name=name)
        self._rate = rate
        self._randomness = randomness
        self._site = randomness.new_site() if rate else 0

    def call(self, last: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Replaces some positions of the last event before each position, int [B, L], by -1, for no history."""
        if not training or self._rate == 0:
            return last
        drawn = tf.random.stateless_uniform(tf.shape(last), self._randomness.replica_seed(self._site))
        return tf.where(drawn < self._rate, -1, last)
