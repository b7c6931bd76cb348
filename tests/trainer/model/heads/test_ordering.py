import math

import numpy as np
import pytest
import tensorflow as tf

from config.tasks import PairwiseTask
from tests.trainer.model.heads.windows import compared
from trainer.data.batching import LabelStatistics
from trainer.model.heads.ordering import PairwiseHead

OUTPUT = tf.constant([[2.0, 0.5], [2.0, 0.5], [0.0, 0.0]])
LABEL = [[5.0, 1.0], [0.0, 1.0], [3.0, 4.0]]
"""The better one is ahead by 1.5, behind by 1.5, level."""


def head(**options):
    task = PairwiseTask(kind="pairwise", label="rating", hidden=(), **options)
    return PairwiseHead("order", task, 4, LabelStatistics(3.0, 2.0))


def test_bpr_is_the_logistic_loss_of_the_difference():
    expected = [math.log1p(math.exp(-d)) for d in (1.5, -1.5, 0)]
    np.testing.assert_allclose(head().losses_of(OUTPUT, compared(LABEL)), expected, rtol=1e-6)


@pytest.mark.parametrize(("margin", "expected"), [(1.0, [0, 2.5, 1]), (2.0, [0.5, 3.5, 2])])
def test_hinge_wants_a_margin(margin, expected):
    np.testing.assert_allclose(head(loss="hinge", margin=margin).losses_of(OUTPUT, compared(LABEL)), expected)


def test_the_prediction_is_the_score():
    np.testing.assert_array_equal(head().prediction(OUTPUT), OUTPUT)


def test_only_differences_count_so_nothing_is_added_to_every_score():
    order = head()
    order(tf.zeros([1, 1, 6]), tf.zeros([1, 1], tf.int64))
    assert not order.project.use_bias
