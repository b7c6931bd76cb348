"""The model of TensorFlow Recommenders' basic retrieval tutorial."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

from benchmarks.peers.evaluation import Queries, Training


class _TwoTower(tfrs.Model):
    def __init__(self, users: int, items: int, dimension: int):
        super().__init__()
        self.users = tf.keras.layers.Embedding(users, dimension)
        self.items = tf.keras.layers.Embedding(items, dimension)
        self.task = tfrs.tasks.Retrieval()

    def compute_loss(self, inputs: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> tf.Tensor:
        user, item = inputs
        return self.task(self.users(user), self.items(item), compute_metrics=False)


@dataclass
class TFRSTutorial:
    """Two towers that know ids alone; an in-batch softmax. The defaults are the tutorial's."""

    dimension: int = 32
    epochs: int = 3
    batch_size: int = 8192
    learning_rate: float = 0.1
    seed: int = 42

    def fit(self, training: Training) -> None:
        """Trains with Adagrad on shuffled events."""
        tf.keras.utils.set_random_seed(self.seed)
        self._model = _TwoTower(training.users, training.items, self.dimension)
        self._model.compile(optimizer=tf.keras.optimizers.Adagrad(self.learning_rate))
        events = tf.data.Dataset.from_tensor_slices((training.user, training.item))
        events = events.shuffle(100_000, reshuffle_each_iteration=False).batch(self.batch_size)
        self._model.fit(events.cache(), epochs=self.epochs, verbose=0)

    def score(self, queries: Queries) -> np.ndarray:
        """The products of the embeddings: float32 [B, V]. A user without events has a random embedding."""
        return self._model.users(queries.user).numpy() @ self._model.items.embeddings.numpy().T
