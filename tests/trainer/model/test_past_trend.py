import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.model.test_popularity import BUCKETS, counted, events
from trainer.model.popularity import make_past_trend
from transform.trend import Buckets, TrendCounts

WINDOWS = np.array([1, 3])
SIZE = 5
KEPT, ADDED_UP = {}, {"kept": 0}
both_ways = pytest.mark.parametrize("options", [KEPT, ADDED_UP], ids=["kept", "added up"])


def past(log, options, buckets=BUCKETS):
    cells, count = np.unique(np.array(log, np.int64).reshape(-1, 2), axis=0, return_counts=True)
    order = np.random.default_rng(0).permutation(len(count))
    return make_past_trend(TrendCounts(buckets, *cells[order].T, count[order]), WINDOWS, SIZE, **options)


def of_moments(trend, moments, item=None):
    """float [T, W, N]."""
    found = trend.features(tf.constant(moments, tf.int64), item)
    return tf.gather(found.features, found.row).numpy()


@both_ways
@settings(max_examples=25, deadline=None)
@given(events, st.lists(st.integers(0, 8), min_size=1, max_size=5))
def test_features_are_plain_counting(options, log, moments):
    expected = np.array([counted(log, SIZE, moment) for moment in moments])
    assert of_moments(past(log, options), moments) == pytest.approx(expected)


@both_ways
def test_items_are_asked_for_in_any_order(options):
    log = [(0, 0), (4, 0), (4, 1), (2, 3)]
    expected = np.array([counted(log, SIZE, moment) for moment in (4, 1)])
    features = of_moments(past(log, options), [4, 1], tf.constant([4, 1, 2, 0], tf.int64))
    assert features == pytest.approx(expected[..., [4, 1, 2, 0]])


@both_ways
def test_an_empty_log_has_no_trend(options):
    features = of_moments(past([], options, Buckets(0, 86_400, 0)), [0])
    assert features.tolist() == np.zeros([1, 2, SIZE]).tolist()
