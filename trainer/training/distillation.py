"""Distillation: a small model learns from a large one's scores."""

import posixpath

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import feature_names
from config.training import DistillationConfig
from trainer.data.windows import MASK, Window
from trainer.distributed.collectives import global_concat, global_sum
from trainer.losses.draws import FrequencyDraws
from trainer.model.recommender import RecommenderModel

QUERY, CANDIDATES = "query", "candidates"
KEY = "training.distillation.teacher"
LOSS = "distillation/loss"

Answers = dict[str, tf.Tensor]
"""`query` float [B, L, D + 1] and `candidates` float [n, D + 1], without trend (both with a retrieval task only); by
name of each other task the scores of the T target events, float [T], of a multiclass one [T, C]."""


def answers(model: RecommenderModel, window: Window, item: tf.Tensor, training: bool = False) -> Answers:
    """Computes a model's scores at every target event of a window batch: log-odds, numbers in the label's unit.

    Args:
        model: Teacher or student.
        window: `teachable` [B, L].
        item: int64 [n] in [0, V].
        training: Whether to apply dropout.
    """
    index = target_indices(window)
    all_vectors = model.candidates.vectors(window[feature_names.ITEM_ID], training)
    state = model.encode(window, training, all_vectors)
    attended = model.attended(all_vectors, state)
    if attended is not None:
        attended = tf.gather_nd(attended, index)[:, tf.newaxis]
    items, vectors = (
        tf.gather_nd(values, index)[:, tf.newaxis] for values in (window[feature_names.ITEM_ID], all_vectors)
    )
    hidden = {name: tf.gather_nd(values, index) for name, values in state.hidden.items()}
    state_of = model.sharing.state_of
    pairs = model.interaction({own: hidden[own] for own in map(state_of, model.heads)}, vectors, attended)
    dropped = {n: model.head_dropouts[n](pairs[state_of(n)], training=training) for n in model.heads}
    found = {name: head.distilled(head(dropped[name], items))[:, 0] for name, head in model.heads.items()}
    found |= {name: head(hidden[state_of(name)]) for name, head in model.classifiers.items()}
    if model.config.retrieval is not None:
        width = model.config.model.dimension + 1
        found[QUERY] = state.embedding[..., :width]
        found[CANDIDATES] = model.embed_items(item, training)[:, :width]
    return found


def target_indices(window: Window) -> tf.Tensor:
    """Returns row and position of every target event: int64 [T, 2]."""
    return tf.where(window[MASK] & window[feature_names.IS_TARGET])


def teachable(model: RecommenderModel) -> dict[str, tf.TensorSpec]:
    """Returns the specs of the features of a window that a model's queries are made of."""
    events = {feature_names.ITEM_ID: tf.int64, feature_names.TIME: tf.int64}
    events |= dict.fromkeys((MASK, feature_names.IS_POSITIVE, feature_names.IS_TARGET), tf.bool)
    specs = {name: tf.TensorSpec([None, None], dtype, name) for name, dtype in events.items()}
    specs[feature_names.USER_ID] = tf.TensorSpec([None], tf.int64, feature_names.USER_ID)
    for feature in model.spec.features:
        if feature.section != "item":
            is_single = feature.section == "user" and feature.form != "categories"
            dtype = tf.float32 if feature.form == "number" else tf.int64
            specs[feature.name] = tf.TensorSpec([None] if is_single else [None, None], dtype, feature.name)
    return specs


def teach_function(model: RecommenderModel) -> tf.types.experimental.PolymorphicFunction:
    """Returns `answers` of a model as a function that a SavedModel can hold; it is no signature."""
    signature = [teachable(model), tf.TensorSpec([None], tf.int64, "item")]
    return tf.function(lambda window, item: answers(model, window, item), input_signature=signature, autograph=False)


class Distillation:
    """The losses of a student beside its tasks' own: see `DistillationConfig`.

    Regression, binary and ordering tasks learn the teacher's scores by the squared error, retrieval and multiclass
    tasks by h^2 KL(softmax(teacher / h) | softmax(student / h)) with the temperature h (Hinton, Vinyals and Dean,
    "Distilling the Knowledge in a Neural Network", 2015).

    Args:
        config: Weight, temperature, samples.
        model: The student.
        teacher: The loaded SavedModel, see `load_teacher`.
        frequencies: float [V], positive train events.
    """

    def __init__(
        self,
        config: DistillationConfig,
        model: RecommenderModel,
        teacher: tf.Module,
        frequencies: NDArray[np.float32],
    ) -> None:
        self._config = config
        self._model = model
        self._teacher = teacher
        self._draws = FrequencyDraws(frequencies, config.samples, model.randomness)

    def losses(self, window: Window) -> dict[str, tf.Tensor]:
        """Computes this replica's share of the global batch's losses.

        Returns:
            Scalars: `distillation/<task>`, and their weighted sum `LOSS`, which is minimised.
        """
        item = self._items(window)
        known = {name: window[name] for name in teachable(self._model)}
        taught = {name: tf.stop_gradient(values) for name, values in self._teacher.teach(known, item).items()}
        learned = answers(self._model, known, item, training=True)
        names = [name for name in learned if name in taught and name not in (QUERY, CANDIDATES)]
        losses = {name: self._task_loss(name, learned[name], taught[name]) for name in names}
        if QUERY in learned and QUERY in taught:
            index = target_indices(window)
            index = index[tf.gather_nd(window[feature_names.IS_POSITIVE], index)]
            scores = [
                tf.matmul(tf.gather_nd(found[QUERY], index), found[CANDIDATES], transpose_b=True)
                for found in (learned, taught)
            ]
            losses["retrieval"] = self._softmax_loss(*scores)
        metrics = {f"distillation/{name}": loss for name, loss in losses.items()}
        return metrics | {LOSS: self._config.weight * tf.add_n(list(losses.values()))}

    def _items(self, window: Window) -> tf.Tensor:
        """Returns the step's sample and the batch's items, distinct: int64 [n], the same on every replica."""
        positive = window[MASK] & window[feature_names.IS_TARGET] & window[feature_names.IS_POSITIVE]
        positive &= window[feature_names.ITEM_ID] < self._model.spec.item_count
        batch = global_concat(tf.boolean_mask(window[feature_names.ITEM_ID], positive))
        return tf.unique(tf.concat([self._draws.sample(), batch], axis=0)).y

    def _task_loss(self, name: str, learned: tf.Tensor, taught: tf.Tensor) -> tf.Tensor:
        if learned.shape.rank == 2:
            return self._softmax_loss(learned, taught)
        return _mean(((learned - taught) * self._model.heads[name].unit) ** 2)

    def _softmax_loss(self, learned: tf.Tensor, taught: tf.Tensor) -> tf.Tensor:
        """Computes the divergence of scores float [T, n] of student and teacher: a scalar, 0 where both agree."""
        heat = self._config.temperature
        wanted = tf.nn.softmax(taught / heat)
        gap = tf.nn.log_softmax(taught / heat) - tf.nn.log_softmax(learned / heat)
        return heat**2 * _mean(tf.reduce_sum(wanted * gap, axis=1))


def _mean(losses: tf.Tensor) -> tf.Tensor:
    """Computes this replica's share of the mean over the global batch: float [T] to scalar."""
    count = global_sum(tf.cast(tf.size(losses), losses.dtype))
    return tf.math.divide_no_nan(tf.reduce_sum(losses), count)


def load_teacher(path: str, item_ids: NDArray[np.object_]) -> tf.Module:
    """Loads a teacher.

    Args:
        path: A SavedModel, or a folder of numbered versions.
        item_ids: bytes [V], the student's items.

    Raises:
        FileNotFoundError: If there is no SavedModel.
        ValueError: If the model cannot teach, or has other items.
    """
    folder = newest_version(path)
    teacher = tf.saved_model.load(folder)
    if not hasattr(teacher, "teach"):
        raise ValueError(f"`{KEY}` should be a model exported with `serving.teaches: true`. Received: {folder}")
    if not np.array_equal(teacher.item_ids.numpy(), item_ids):
        wanted = "should know the same items in the same order, from training on the same data"
        raise ValueError(f"`{KEY}` {wanted}. Received: {folder}")
    return teacher


def newest_version(path: str) -> str:
    """Returns the SavedModel at a path, or the newest version in it.

    Raises:
        FileNotFoundError: If there is neither.
    """
    if tf.io.gfile.exists(posixpath.join(path, "saved_model.pb")):
        return path
    names = [name.rstrip("/") for name in tf.io.gfile.listdir(path)] if tf.io.gfile.isdir(path) else []
    versions = sorted((int(name) for name in names if name.isdigit()), reverse=True)
    for version in versions:
        if tf.io.gfile.exists(posixpath.join(path, str(version), "saved_model.pb")):
            return posixpath.join(path, str(version))
    raise FileNotFoundError(f"`{KEY}` should be a SavedModel, or a folder of pushed versions. Received: {path}")
