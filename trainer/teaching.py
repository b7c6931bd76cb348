"""What a model tells a smaller one that learns from it."""

import tensorflow as tf

from pipeline import layout
from trainer.model import RecommenderModel
from trainer.windows import MASK, Window

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
    state, found = model.event_scores(window, target_places(window), training)
    if model.config.retrieval is not None:
        width = model.config.model.dimension + 1
        found[QUERY] = state.embedding[..., :width]
        found[CANDIDATES] = model.embed_items(item, training)[:, :width]
    return found


def target_places(window: Window) -> tf.Tensor:
    """int64 [T, 2]: row and position of every target event."""
    return tf.where(window[MASK] & window[layout.IS_TARGET])


def teachable(model: RecommenderModel) -> dict[str, tf.TensorSpec]:
    """The features of a window that a model's queries are made of."""
    events = {layout.ITEM_ID: tf.int64, layout.TIME: tf.int64}
    events |= dict.fromkeys((MASK, layout.IS_POSITIVE, layout.IS_TARGET), tf.bool)
    specs = {name: tf.TensorSpec([None, None], dtype, name) for name, dtype in events.items()}
    specs[layout.USER_ID] = tf.TensorSpec([None], tf.int64, layout.USER_ID)
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
