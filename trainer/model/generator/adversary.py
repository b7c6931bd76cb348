"""Generator against critic: what training adds to the tasks' losses."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from config.model import GeneratorConfig
from trainer.distributed.randomness import Randomness
from trainer.model.generator.content import ContentGenerator

_SMALLEST = 1e-12


class Critic(tf.keras.layers.Layer):
    """A score of a vector beside the content of its item: high for learned vectors, low for generated ones.

    Args:
        widths: of the hidden layers.
    """

    def __init__(self, widths: Sequence[int], name: str = "critic") -> None:
        super().__init__(name=name)
        self.hidden = [tf.keras.layers.Dense(w, "gelu", name=f"hidden_{i}") for i, w in enumerate(widths)]
        self.score = tf.keras.layers.Dense(1, name="score")

    def call(self, vectors: tf.Tensor, content: tf.Tensor) -> tf.Tensor:
        """float [n, D] twice -> float [n]."""
        states = tf.concat([vectors, content], axis=-1)
        for layer in self.hidden:
            states = layer(states)
        return self.score(states)[..., 0]

    def slope_penalty(
        self, learned: tf.Tensor, generated: tf.Tensor, content: tf.Tensor, share: tf.Tensor
    ) -> tf.Tensor:
        """How far the critic's slope is from 1 between a learned and a generated vector.

        Args:
            learned, generated, content: float [n, D].
            share: float [n, 1] in [0, 1], how much of each point is learned.

        Returns:
            float scalar, the mean of (|gradient| - 1) squared.
        """
        between = share * learned + (1 - share) * generated
        with tf.GradientTape() as tape:
            tape.watch(between)
            score = self(between, content)
        slope = tape.gradient(score, between)
        norm = tf.sqrt(tf.reduce_sum(slope**2, axis=-1) + _SMALLEST)
        return tf.reduce_mean((norm - 1) ** 2)


LOSS = "generator/loss"


class Items(NamedTuple):
    """Items' vectors: float [n, D] each.

    Attributes:
        learned: of id and content.
        content: of the content alone.
    """

    learned: tf.Tensor
    content: tf.Tensor


class Adversary(tf.keras.layers.Layer):
    """The loss of generator and critic on items drawn anew at each step.

    Gulrajani et al., "Improved Training of Wasserstein GANs" (2017): the critic minimises E[generated] - E[learned]
    plus the penalty of its slope, the generator maximises E[generated]. One step of each is made at once, with the
    gradient turned round between them (Ganin and Lempitsky, "Unsupervised Domain Adaptation by Backpropagation",
    2015). What the tower has learned is looked at and not moved: neither ids nor the content's encoding have a
    gradient here.

    Every replica draws the same items and has its share of the loss.

    Args:
        config: layers of the critic, samples, penalty, weight.
        generator: of the candidate tower.
        warm: W: items [0, W) have training positives.
        randomness: of items, noise and points between vectors.
    """

    def __init__(self, config: GeneratorConfig, generator: ContentGenerator, warm: int, randomness: Randomness) -> None:
        super().__init__(name="adversary")
        self._config = config
        self._warm = warm
        self._randomness = randomness
        self._sites = [randomness.new_site() for _ in range(3)]
        self.generator = generator
        self.critic = Critic(config.critic_layers)

    def losses(self, items_of: Callable[[tf.Tensor], Items]) -> dict[str, tf.Tensor]:
        """This replica's share of the metrics; `LOSS` is what is minimised.

        Args:
            items_of: looks items up, int64 [n].

        Returns:
            Scalars: the loss, `generator/distance` (E[learned] - E[generated]: how well the critic tells them apart)
            and `generator/slope_penalty`.
        """
        seeds = [self._randomness.global_seed(site) for site in self._sites]
        count = self._config.samples
        item = tf.random.stateless_uniform([count], seeds[0], 0, max(self._warm, 1), tf.int64)
        learned, content = (tf.stop_gradient(vectors) for vectors in items_of(item))
        noise = tf.random.stateless_normal([count, self._config.noise], seeds[1])
        distance, penalty = self.compare(learned, content, noise, tf.random.stateless_uniform([count, 1], seeds[2]))
        loss = self._config.weight * (self._config.gradient_penalty * penalty - distance)
        metrics = {LOSS: loss, "generator/distance": distance, "generator/slope_penalty": penalty}
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        return {name: value / replicas for name, value in metrics.items()}

    def compare(
        self, learned: tf.Tensor, content: tf.Tensor, noise: tf.Tensor, share: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The critic's distance and its slope's penalty; the arguments are those of generator and critic."""
        generated = self.generator(content, noise)
        score = self.critic(turned(generated), content)
        distance = tf.reduce_mean(self.critic(learned, content)) - tf.reduce_mean(score)
        return distance, self.critic.slope_penalty(learned, tf.stop_gradient(generated), content, share)


@tf.custom_gradient
def turned(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """The values, whose gradient turns round: what lowers the loss behind them raises it before them."""
    return tf.identity(values), tf.negative
