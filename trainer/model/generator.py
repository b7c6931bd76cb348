"""The generator of vectors for cold items from their content, trained against a critic."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from config import Config
from config.model import GeneratorConfig
from trainer.distributed.randomness import Randomness
from trainer.model.candidate_tower import CandidateTower
from trainer.model.cold_items import ContentGenerator

LOSS = "generator/loss"
_SMALLEST = 1e-12


class Critic(tf.keras.layers.Layer):
    """Scores a vector given its item's content: high for learned vectors, low for generated ones.

    Args:
        widths: Of the hidden layers.
    """

    def __init__(self, widths: Sequence[int], name: str = "critic") -> None:
        super().__init__(name=name)
        self.hidden = [tf.keras.layers.Dense(w, "gelu", name=f"hidden_{i}") for i, w in enumerate(widths)]
        self.score = tf.keras.layers.Dense(1, name="score")

    def call(self, vectors: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
        """Scores vectors and contents, float [n, D] each: float [n]."""
        states = tf.concat([vectors, content], axis=-1)
        for layer in self.hidden:
            states = layer(states)
        return self.score(states)[..., 0]

    def slope_penalty(
        self, learned: tf.Tensor, generated: tf.Tensor, content: tf.Tensor, share: tf.Tensor
    ) -> tf.Tensor:
        """Computes the gradient penalty, the mean of (|d critic(x) / dx| - 1)^2 at points x between two vectors.

        Args:
            learned: float [n, D].
            generated: float [n, D].
            content: float [n, D].
            share: float [n, 1] in [0, 1]; x = share * learned + (1 - share) * generated.

        Returns:
            float scalar.
        """
        between = share * learned + (1 - share) * generated
        with tf.GradientTape() as tape:
            tape.watch(between)
            score = self(between, content)
        slope = tape.gradient(score, between)
        norm = tf.sqrt(tf.reduce_sum(slope**2, axis=-1) + _SMALLEST)
        return tf.reduce_mean((norm - 1) ** 2)


class Adversary(tf.keras.layers.Layer):
    """The losses of generator and critic on items drawn anew at each step.

    Gulrajani et al., "Improved Training of Wasserstein GANs" (2017): the critic minimises E[critic(generated)] -
    E[critic(learned)] plus the gradient penalty, the generator maximises E[critic(generated)]. Both take a step at
    once, with the gradient reversed between them (Ganin and Lempitsky, "Unsupervised Domain Adaptation by
    Backpropagation", 2015). No gradient reaches the tower: neither its ids nor its content encoder.

    Every replica draws the same items and computes its share of the losses.

    Args:
        config: Layers of the critic, samples, penalty, weight.
        generator: Of the candidate tower.
        warm: W: items [0, W) have training positives.
        randomness: Of items, noise and points between vectors.
        parts: Returns the vectors of items int64 [n] with their ids and of their content alone, float [n, D] each.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        generator: ContentGenerator,
        warm: int,
        randomness: Randomness,
        parts: Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]],
    ) -> None:
        super().__init__(name="adversary")
        self._config = config
        self._warm = warm
        self._randomness = randomness
        self._sites = [randomness.new_site() for _ in range(3)]
        self._parts = parts
        self.generator = generator
        self.critic = Critic(config.critic_layers)

    def losses(self) -> dict[str, tf.Tensor]:
        """Computes this replica's share of the losses.

        Returns:
            Scalars: `LOSS`, which is minimised, `generator/distance` (E[critic(learned)] - E[critic(generated)]) and
            `generator/slope_penalty`.
        """
        seeds = [self._randomness.global_seed(site) for site in self._sites]
        count = self._config.samples
        item = tf.random.stateless_uniform([count], seeds[0], 0, max(self._warm, 1), tf.int64)
        learned, content = (tf.stop_gradient(vectors) for vectors in self._parts(item))
        noise = tf.random.stateless_normal([count, self._config.noise], seeds[1])
        distance, penalty = self.compare(learned, content, noise, tf.random.stateless_uniform([count, 1], seeds[2]))
        loss = self._config.weight * (self._config.gradient_penalty * penalty - distance)
        metrics = {LOSS: loss, "generator/distance": distance, "generator/slope_penalty": penalty}
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return {name: value / replicas for name, value in metrics.items()}

    def compare(
        self, learned: tf.Tensor, content: tf.Tensor, noise: tf.Tensor, share: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Computes the critic's distance and its gradient penalty; the arguments are those of generator and critic."""
        generated = self.generator(content, noise)
        score = self.critic(reversed_gradient(generated), content)
        distance = tf.reduce_mean(self.critic(learned, content)) - tf.reduce_mean(score)
        return distance, self.critic.slope_penalty(learned, tf.stop_gradient(generated), content, share)


def make_adversary(config: Config, tower: CandidateTower, randomness: Randomness) -> Adversary | None:
    """Makes the adversary of the tower's generator; None without one."""
    settings, cold = config.model.generator, tower.without_id
    if settings is None or cold is None or cold.generator is None:
        return None
    return Adversary(settings, cold.generator, cold.is_missing.warm, randomness, tower.parts)


@tf.custom_gradient
def reversed_gradient(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Returns the values; the gradient changes its sign: what lowers the loss behind them raises it before them."""
    return tf.identity(values), tf.negative
