"""The Transform of the benchmark's stock pipeline: one row an example, the vocabularies that windows get."""

import tensorflow as tf
import tensorflow_transform as tft

TEXTS = ("user", "item", "device")
NUMBERS = ("time", "rating")


def preprocessing_fn(inputs: dict[str, tf.SparseTensor]) -> dict[str, tf.SparseTensor]:
    """Replaces texts by their indexes in vocabularies, and passes numbers on. For the Transform component."""
    indexes = {name: tft.compute_and_apply_vocabulary(inputs[name], num_oov_buckets=1) for name in TEXTS}
    return indexes | {name: inputs[name] for name in NUMBERS}
