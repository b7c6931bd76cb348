"""What a user is interested in: the most probable classes of the next event, for every multiclass task."""

from collections.abc import Mapping

import tensorflow as tf

from trainer.export.signatures.reader import RequestReader
from trainer.model.recommender import RecommenderModel


class Interests:
    """Names the classes of multiclass tasks.

    Args:
        model: the trained model.
        class_names: string [C] by task, variables that the exported object tracks.
        reader: of the requests.
    """

    def __init__(self, model: RecommenderModel, class_names: Mapping[str, tf.Variable], reader: RequestReader) -> None:
        self._model = model
        self._names = class_names
        self._reader = reader

    def interests(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        """The signature `interests`: string [B] -> by task `<task>` string [B, K], the most probable classes first,
        and `<task>_probability` float [B, K]. A row's positions behind its own `k` are "" and 0."""
        request = self._reader.from_examples(examples)
        found = self._model.interests(self._model.encode_newest(request.window))
        answers = {}
        for task, probabilities in found.items():
            width = tf.minimum(tf.maximum(tf.reduce_max(request.k), 1), tf.shape(probabilities)[1])
            best, index = tf.math.top_k(probabilities, width)
            is_asked = tf.range(width) < request.k[:, tf.newaxis]
            answers[task] = tf.where(is_asked, tf.gather(self._names[task], index), "")
            answers[f"{task}_probability"] = tf.where(is_asked, best, 0)
        return answers
