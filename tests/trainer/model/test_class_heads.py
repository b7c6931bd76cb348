import math

import numpy as np
import tensorflow as tf

from config.tasks import MulticlassTask
from tests.trainer.small import small_catalogue
from trainer.model.class_heads import ClassHead, class_shares, dense_shares

LOGITS = tf.constant([[0.0, 1.0, -1.0]])
LOG_SUM = math.log(1 + math.e + 1 / math.e)


def head(**options):
    return ClassHead("genre", MulticlassTask(kind="multiclass", attribute="genres", **options), 3, small_catalogue())


def shares(values, count=3):
    return dense_shares(class_shares(tf.constant(values), count), count).numpy().tolist()


def test_several_values_share_evenly_and_what_is_no_class_has_none():
    assert shares([[0, 2], [1, -1], [-1, -1], [3, 4], [1, 3], [2, 2]]) == [
        [0.5, 0, 0.5],
        [0, 1, 0],
        [0, 0, 0],
        [0, 0, 0],
        [0, 1, 0],
        [0, 0, 1],
    ]


def test_a_feature_of_one_value_has_one_class():
    assert shares([1, 3, 0]) == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]


def test_the_loss_is_the_cross_entropy_with_the_shares():
    genre = head()
    found = [genre.losses_of(LOGITS, class_shares(tf.constant([v]), 3))[0] for v in ([1, -1], [1, 2])]
    np.testing.assert_allclose(found, [LOG_SUM - 1, LOG_SUM - 0], rtol=1e-6)


def test_smoothing_spreads_a_share_over_all_classes():
    found = head(label_smoothing=0.3).losses_of(LOGITS, class_shares(tf.constant([[1, -1]]), 3))
    np.testing.assert_allclose(found, [0.7 * (LOG_SUM - 1) + 0.3 * (LOG_SUM - 0)], rtol=1e-6)


def test_targets_are_weighted_target_events_with_a_class():
    window = {
        "mask": tf.constant([[False, True, True, True, True]]),
        "is_target": tf.constant([[True, True, False, True, True]]),
        "weight_genre": tf.constant([[1.0, 1.0, 1.0, 0.0, 1.0]]),
    }
    found = head().targets(window, tf.constant([[1, 2, 1, 1, 0]]))
    assert found.index.numpy().tolist() == [[0, 1], [0, 4]]
    found = head().targets(window, tf.constant([[1, 3, 1, 1, 0]]))
    assert found.index.numpy().tolist() == [[0, 4]]
    assert found.classes.index.numpy().tolist() == [[0]]
    assert found.weight.numpy().tolist() == [1]


def test_a_head_starts_at_the_classes_shares_of_the_training_targets():
    """Of twelve items the frequencies are 12, 11, ..., the genre is n % 4, of which three are classes; the last has
    none."""
    counts = [1 + sum(12 - n for n in range(11) if n % 4 == c) for c in range(3)]
    np.testing.assert_allclose(
        head(hidden=()).probabilities(tf.zeros([1, 6]))[0], np.array(counts) / sum(counts), rtol=1e-5
    )
