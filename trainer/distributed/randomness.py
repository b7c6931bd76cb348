"""Randomness that depends on nothing but the seed, the step and the replica: a resumed run repeats it exactly."""

import tensorflow as tf

_SITE, _REPLICA = 1 << 32, 1 << 48
"""Apart in the seed, so that no two positions and replicas share one."""


class Randomness:
    """Hands out seeds for TensorFlow's stateless operations.

    Args:
        seed: of the whole run.
        step: int64 scalar variable, the number of optimizer steps done.
    """

    def __init__(self, seed: int, step: tf.Variable) -> None:
        self._seed = seed
        self._step = step
        self._sites = 0

    def new_site(self) -> int:
        """A number for one position that draws: two positions never draw the same numbers."""
        self._sites += 1
        return self._sites

    def global_seed(self, site: int) -> tf.Tensor:
        """int64 [2]: the same on every replica."""
        return tf.stack([tf.constant(self._seed + site * _SITE, tf.int64), tf.cast(self._step, tf.int64)])

    def replica_seed(self, site: int) -> tf.Tensor:
        """int64 [2]: different on every replica."""
        replica = tf.cast(tf.distribute.get_replica_context().replica_id_in_sync_group, tf.int64)
        return self.global_seed(site) + tf.stack([replica * _REPLICA, tf.zeros_like(replica)])


class Dropout(tf.keras.layers.Layer):
    """Sets a share of the values to zero in training and scales up the others (Srivastava et al., 2014)."""

    def __init__(self, rate: float, randomness: Randomness, name: str = "dropout") -> None:
        super().__init__(name=name)
        self._rate = rate
        self._randomness = randomness
        self._site = randomness.new_site()

    def call(self, values: tf.Tensor, training: bool = False) -> tf.Tensor:
        """float [...] -> float [...]."""
        if not training or self._rate == 0:
            return values
        return tf.nn.experimental.stateless_dropout(values, self._rate, self._randomness.replica_seed(self._site))


class EventDropout(tf.keras.layers.Layer):
    """Hides a share of the history's events in training."""

    def __init__(self, rate: float, randomness: Randomness, name: str = "event_dropout") -> None:
        super().__init__(name=name)
        self._rate = rate
        self._randomness = randomness
        self._site = randomness.new_site()

    def call(self, visible: tf.Tensor, training: bool = False) -> tf.Tensor:
        """bool [B, L] -> bool [B, L]."""
        if not training or self._rate == 0:
            return visible
        drawn = tf.random.stateless_uniform(tf.shape(visible), self._randomness.replica_seed(self._site))
        return visible & (drawn >= self._rate)


class BlankHistory(tf.keras.layers.Layer):
    """Takes the whole history from a share of the positions in training."""

    def __init__(self, rate: float, randomness: Randomness, name: str = "blank_history") -> None:
        super().__init__(name=name)
        self._rate = rate
        self._randomness = randomness
        self._site = randomness.new_site() if rate else 0

    def call(self, last: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The position of the last event before each position, int [B, L] -> the same with more of -1, for none."""
        if not training or self._rate == 0:
            return last
        drawn = tf.random.stateless_uniform(tf.shape(last), self._randomness.replica_seed(self._site))
        return tf.where(drawn < self._rate, -1, last)
