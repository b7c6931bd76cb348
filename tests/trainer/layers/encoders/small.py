"""Small histories, and what the encoders' tests share."""

import numpy as np
import tensorflow as tf

from config.model import HistoryConfig
from trainer.distributed.randomness import Randomness
from trainer.layers.encoders.history import HistoryEncoder

EVENTS = tf.constant([[[1.0, 0.0], [3.0, 2.0], [5.0, 1.0]]])
VISIBLE = tf.constant([[True, False, True]])
TIMES = tf.constant([[100, 110, 130]], tf.int64)


def randomness() -> Randomness:
    """Of the first step."""
    return Randomness(1, tf.Variable(0, dtype=tf.int64))


def encoder(name: str, **changes: object) -> HistoryEncoder:
    """An encoder without dropout."""
    return HistoryEncoder(HistoryConfig(encoder=name, max_events=8, dropout=0, **changes), randomness())


def draw(rng: np.random.Generator, batch: int, length: int, dimension: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Random events float [B, L, D] and increasing times int64 [B, L]."""
    events = rng.normal(size=[batch, length, dimension]).astype(np.float32)
    return events, np.cumsum(rng.integers(1, 5000, [batch, length]), axis=1)


def randomise(layer: tf.keras.layers.Layer, seed: int = 0) -> None:
    """Gives every weight a random value: those that start at zero take part then."""
    rng = np.random.default_rng(seed)
    for weight in layer.trainable_variables:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))


def layer_norm(values: np.ndarray) -> np.ndarray:
    """Over the last axis, with scale 1 and offset 0."""
    centred = values - values.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(values.var(axis=-1, keepdims=True) + 1e-6)


def sigmoid(values: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-values))
