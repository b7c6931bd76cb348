"""A small model that learns from a big one's answers."""

import posixpath

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import feature_names
from config.training import DistillationConfig
from trainer.data.windows import MASK, Window
from trainer.distributed.strategies import global_concat, global_sum
from trainer.losses.negatives import FrequencyDraws
from trainer.model.recommender import RecommenderModel

QUERY, CANDIDATES = "query", "candidates"

Answers = dict[str, tf.Tensor]
"""`query` float [B, L, D + 1] and `candidates` float [n, D + 1], without trend (both with a retrieval task only); by
name of each other task the scores of the T target events, float [T], of a multiclass one [T, C]."""


def answers(model: RecommenderModel, window: Window, item: tf.Tensor, training: bool = False) -> Answers:
    """A model's scores at every target event of a window batch: log-odds, numbers in the label's unit.

    Args:
        model: teacher or student.
        window: `teachable` [B, L].
        item: int64 [n] in [0, V].
        training: whether to drop out.
    """
    state, found = model.event_scores(window, target_indices(window), training)
    if model.config.retrieval is not None:
        width = model.config.model.dimension + 1
        found[QUERY] = state.embedding[..., :width]
        found[CANDIDATES] = model.embed_items(item, training)[:, :width]
    return found


def target_indices(window: Window) -> tf.Tensor:
    """int64 [T, 2]: row and position of every target event."""
    return tf.where(window[MASK] & window[feature_names.IS_TARGET])


def teachable(model: RecommenderModel) -> dict[str, tf.TensorSpec]:
    """The features of a window that a model's queries are made of."""
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
    """`answers` of a model as a function that a SavedModel can hold; no signature of it."""
    signature = [teachable(model), tf.TensorSpec([None], tf.int64, "item")]
    return tf.function(lambda window, item: answers(model, window, item), input_signature=signature, autograph=False)


KEY = "training.distillation.teacher"
LOSS = "distillation/loss"


class Distillation:
    """The losses of a student beside its tasks' own: see `DistillationConfig`.

    Args:
        config: weight, temperature, samples.
        model: the student.
        teacher: the loaded SavedModel, see `load_teacher`.
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
        """This replica's share of the global batch's metrics, scalars: `distillation/<task>`, and their weighted sum
        `LOSS`, which is what is minimised."""
        item = self._items(window)
        known = {name: window[name] for name in teachable(self._model)}
        taught = {name: tf.stop_gradient(values) for name, values in self._teacher.teach(known, item).items()}
        learned = answers(self._model, known, item, training=True)
        losses = {name: self._task_loss(name, learned[name], taught[name]) for name in self._tasks(learned, taught)}
        if QUERY in learned and QUERY in taught:
            index = target_indices(window)
            is_positive = tf.gather_nd(window[feature_names.IS_POSITIVE], index)
            ours, theirs = (_scores(found, index[is_positive]) for found in (learned, taught))
            losses["retrieval"] = self._softmax_loss(ours, theirs)
        metrics = {f"distillation/{name}": loss for name, loss in losses.items()}
        return metrics | {LOSS: self._config.weight * tf.add_n(list(losses.values()))}

    def _items(self, window: Window) -> tf.Tensor:
        """The sample of the step, distinct: int64 [n], the same on every replica."""
        positive = window[MASK] & window[feature_names.IS_TARGET] & window[feature_names.IS_POSITIVE]
        positive &= window[feature_names.ITEM_ID] < self._model.spec.item_count
        batch = global_concat(tf.boolean_mask(window[feature_names.ITEM_ID], positive))
        return tf.unique(tf.concat([self._draws.sample(), batch], axis=0)).y

    def _tasks(self, learned: dict[str, tf.Tensor], taught: dict[str, tf.Tensor]) -> list[str]:
        return [name for name in learned if name in taught and name not in (QUERY, CANDIDATES)]

    def _task_loss(self, name: str, learned: tf.Tensor, taught: tf.Tensor) -> tf.Tensor:
        if learned.shape.rank == 2:
            return self._softmax_loss(learned, taught)
        return _mean(((learned - taught) * self._model.heads[name].unit) ** 2)

    def _softmax_loss(self, learned: tf.Tensor, taught: tf.Tensor) -> tf.Tensor:
        """Scores float [T, n] of student and teacher -> scalar: what the student lacks, 0 where both agree."""
        heat = self._config.temperature
        wanted = tf.nn.softmax(taught / heat)
        gap = tf.nn.log_softmax(taught / heat) - tf.nn.log_softmax(learned / heat)
        return heat**2 * _mean(tf.reduce_sum(wanted * gap, axis=1))


def load_teacher(path: str, item_ids: NDArray[np.object_]) -> tf.Module:
    """Loads a teacher.

    Args:
        path: a SavedModel, or a folder of numbered versions.
        item_ids: bytes [V], the student's items.

    Raises:
        FileNotFoundError: there is no SavedModel.
        ValueError: the model cannot teach, or has other items.
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
    """The SavedModel at a path, or the newest version in it; raises FileNotFoundError where there is neither."""
    if tf.io.gfile.exists(posixpath.join(path, "saved_model.pb")):
        return path
    names = [name.rstrip("/") for name in tf.io.gfile.listdir(path)] if tf.io.gfile.isdir(path) else []
    versions = sorted((int(name) for name in names if name.isdigit()), reverse=True)
    for version in versions:
        if tf.io.gfile.exists(posixpath.join(path, str(version), "saved_model.pb")):
            return posixpath.join(path, str(version))
    raise FileNotFoundError(f"`{KEY}` should be a SavedModel, or a folder of pushed versions. Received: {path}")


def _scores(found: dict[str, tf.Tensor], index: tf.Tensor) -> tf.Tensor:
    """float [T, n]."""
    return tf.matmul(tf.gather_nd(found[QUERY], index), found[CANDIDATES], transpose_b=True)


def _mean(losses: tf.Tensor) -> tf.Tensor:
    """This replica's share of the mean over the global batch: float [T] -> scalar."""
    count = global_sum(tf.cast(tf.size(losses), losses.dtype))
    return tf.math.divide_no_nan(tf.reduce_sum(losses), count)
