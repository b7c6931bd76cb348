import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.small import ITEMS, draw_rows, small_config, small_model, sparse_features
from trainer.data.windows import MASK, dense_windows
from trainer.model import popularity
from trainer.model.popularity import TrendTable, make_past_trend
from transform.trend import Buckets, TrendCounts

DAYS = (1.0, 3.0)
BUCKETS = Buckets(1000, 86_400, 8)
TREND = {"features": {"trend": {"days": [0.005, 0.02]}}}
"""Of 432 and 1728 seconds: the windows' events are up to 1000 seconds apart."""


def table(events, size=3, buckets=BUCKETS):
    """From pairs of item and bucket."""
    cells, count = np.unique(np.array(events, np.int64).reshape(-1, 2), axis=0, return_counts=True)
    return TrendTable(TrendCounts(buckets, cells[:, 0], cells[:, 1], count), DAYS, size)


def counted(events, size, bucket):
    """The features [W, V] of one bucket, counted one by one."""
    return [
        [np.log1p(sum(i == item and bucket - days <= b < bucket for i, b in events)) for item in range(size)]
        for days in (1, 3)
    ]


def test_features_count_the_buckets_before():
    trend = table([(0, 0), (0, 0), (2, 1), (0, 3), (1, 3)])
    assert trend.of_all(tf.constant([0, 1, 2, 4], tf.int64)).numpy() == pytest.approx(
        np.log1p([[[0, 0, 0], [0, 0, 0]], [[2, 0, 0], [2, 0, 0]], [[0, 0, 1], [2, 0, 1]], [[1, 1, 0], [1, 1, 1]]])
    )


def test_a_moment_sees_no_bucket_that_has_not_passed():
    seconds = tf.constant([-5, 999, 1000, 87_399, 87_400, 1000 + 8 * 86_400, 10**9], tf.int64)
    assert table([(0, 7)]).bucket(seconds).numpy().tolist() == [0, 0, 0, 0, 1, 8, 8]


def test_past_the_last_event_the_newest_features_stay():
    trend = table([(0, 7), (1, 5), (1, 4)])
    newest = trend.newest(tf.range(4, dtype=tf.int64)).numpy()
    assert newest == pytest.approx(np.log1p([[1, 1], [0, 1], [0, 0], [0, 0]]))
    later = trend.of_all(trend.bucket(tf.constant([10**9], tf.int64)))
    assert later.numpy()[0] == pytest.approx(newest[:3].T)


events = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7)), max_size=30)


@settings(max_examples=25, deadline=None)
@given(events)
def test_both_ways_to_the_features_are_plain_counting(log):
    trend, bucket = table(log, size=5), tf.range(9, dtype=tf.int64)
    expected = np.array([counted(log, 5, b) for b in range(9)])
    assert trend.of_all(bucket).numpy() == pytest.approx(expected)
    items = trend.of_items(bucket[:, tf.newaxis], tf.range(6, dtype=tf.int64)).numpy()
    assert items[:, :5] == pytest.approx(expected.transpose(0, 2, 1))
    assert not items[:, 5].any()  # the unknown item


@settings(max_examples=25, deadline=None)
@given(events, events, st.integers(1000, 1000 + 8 * 86_400 - 1))
def test_nothing_from_an_events_own_bucket_on_is_in_its_features(log, other, moment):
    own = (moment - 1000) // 86_400
    past = [event for event in log if event[1] < own]
    before, after = (
        trend.of_all(trend.bucket(tf.constant([moment], tf.int64))).numpy()
        for trend in (table(log, size=5), table(past + [event for event in other if event[1] >= own], size=5))
    )
    np.testing.assert_array_equal(before, after)


def test_an_empty_log_has_no_trend():
    trend = table([], buckets=Buckets(0, 86_400, 0))
    assert not trend.of_all(trend.bucket(tf.constant([7, 10**9], tf.int64))).numpy().any()


@pytest.mark.parametrize("dense", [3, 0])
def test_scores_are_weighed_features(monkeypatch, dense):
    monkeypatch.setattr(popularity, "_DENSE", dense)
    log = [(0, 0), (1, 1), (1, 1), (2, 2), (0, 3)]
    trend, rng = table(log), np.random.default_rng(0)
    time = tf.constant([1000 + 4 * 86_400, 1000 + 86_400, 1000 + 4 * 86_400 + 5], tf.int64)
    weights = rng.normal(size=(3, 2)).astype(np.float32)
    expected = np.stack([w @ np.array(counted(log, 3, b)) for w, b in zip(weights, (4, 1, 4), strict=True)])
    np.testing.assert_allclose(trend.catalogue_scores(weights, time), expected, rtol=1e-5)
    target = tf.constant([[1, 3], [0, 0], [2, 1]], tf.int64)
    past = trend.past_scores(time, tf.constant(weights), target, None)
    own = np.take_along_axis(np.pad(expected, [(0, 0), (0, 1)]), target.numpy(), axis=1)
    np.testing.assert_allclose(past.target, own, rtol=1e-5)
    features, row = past.negatives.moments
    scores = tf.einsum("tw,twn->tn", past.negatives.weights, tf.gather(features, row))
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


@pytest.fixture(scope="module")
def model():
    model = small_model(small_config(**TREND))
    model.queries.trend.bias.assign([0.7, -0.4])
    model.queries.trend.kernel.assign(np.random.default_rng(5).normal(size=model.queries.trend.kernel.shape))
    return model


@pytest.fixture(scope="module")
def window(model):
    return dense_windows(sparse_features(draw_rows(3, 4)), model.spec)


def test_the_softmax_runs_over_the_catalogue_as_of_each_event(model, window):
    """Position by position: candidates with the features of that time, the history left out."""
    candidates = model.candidate_embeddings().numpy()
    embedding = model.encode(window).embedding.numpy()
    losses, weights = 0.0, 0.0
    for row, position in np.argwhere(window[MASK].numpy()):
        item, bucket = window["item_id"].numpy()[row], model.trend.bucket(window["time"][row, position])
        candidates[:, -2:] = model.trend.of_items(bucket, tf.range(ITEMS, dtype=tf.int64))
        scores = candidates @ embedding[row, position]
        past = item[:position][window[MASK].numpy()[row, :position]]
        following = dict.fromkeys(i for i in item[position : position + 2] if i not in past)
        share = {i: 1 / (1 + list(item[position:]).index(i)) for i in following}
        log_sum = np.log(np.exp(np.delete(scores, np.unique(past).astype(int))).sum())
        losses += sum(w / sum(share.values()) * (log_sum - scores[i]) for i, w in share.items())
        weights += bool(share)
    sums = model.loss_sums(window)[1]["retrieval"]
    assert float(sums.weight) == pytest.approx(weights)
    assert float(sums.loss) == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("negatives", ["uniform", "hard"])
def test_a_large_sample_has_the_loss_of_the_whole_catalogue(window, negatives):
    losses = []
    for task in ({}, {"negatives": negatives, "samples": 4000}):
        model = small_model(small_config(**TREND, tasks={"retrieval": {"kind": "retrieval", **task}}))
        model.queries.trend.bias.assign([3.0, 2.0])
        model.refresh_negatives()
        sums = model.loss_sums(window)[1]["retrieval"]
        losses.append(float(sums.loss / sums.weight))
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_the_weights_of_trend_learn_and_its_counts_do_not(model, window):
    with tf.GradientTape() as tape:
        loss = model.loss_sums(window)[1]["retrieval"].loss
    for gradient in tape.gradient(loss, model.queries.trend.trainable_variables):
        assert np.abs(gradient.numpy()).max() > 1e-3
    assert not model.trend.trainable_variables


def test_training_starts_from_the_popularity_of_the_whole_log(window):
    """Started from the trend instead, a log of 4,000 items learned much slower."""
    with_trend, without = (small_model(small_config(features=f)) for f in (TREND["features"], {"trend": {"days": []}}))
    bias = with_trend.candidates.bias.numpy()
    assert np.ptp(bias) > 0
    np.testing.assert_array_equal(bias, without.candidates.bias.numpy())
    assert np.unique(with_trend.encode(window).embedding.numpy()[..., -3:], axis=1).tolist() == [[[1, 0, 0]]] * 4


def test_scores_as_of_a_time_are_those_of_the_candidates_then(model, window):
    query, candidates = model.encode(window).newest().embedding, model.candidate_embeddings()
    time = tf.constant([100, 2000, 3500, 10**9], tf.int64)
    scores = model.scores_as_of(time, query, lambda q: tf.matmul(q, candidates, transpose_b=True)).numpy()
    for row, then in enumerate(model.trend.bucket(time)):
        features = model.trend.of_items(then, tf.range(ITEMS, dtype=tf.int64))
        then_candidates = np.concatenate([candidates[:, :-2], features], axis=1)
        np.testing.assert_allclose(scores[row], then_candidates @ query.numpy()[row], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores[3], candidates.numpy() @ query.numpy()[3], rtol=1e-4, atol=1e-5)


def test_a_catalogue_without_counts_is_named():
    from trainer.data.catalogue import Catalogue
    from trainer.model.recommender import RecommenderModel

    empty = Catalogue(np.array([b"a"], object), np.ones(1, np.float32), {})
    config = small_config(**TREND)
    with pytest.raises(ValueError, match=r"should hold the items' trend where `features.trend` is on"):
        RecommenderModel(config, [], empty, 1, {})


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
def test_items_come_in_any_order(options):
    log = [(0, 0), (4, 0), (4, 1), (2, 3)]
    expected = np.array([counted(log, SIZE, moment) for moment in (4, 1)])
    features = of_moments(past(log, options), [4, 1], tf.constant([4, 1, 2, 0], tf.int64))
    assert features == pytest.approx(expected[..., [4, 1, 2, 0]])


@both_ways
def test_an_empty_log_has_no_past_trend(options):
    features = of_moments(past([], options, Buckets(0, 86_400, 0)), [0])
    assert features.tolist() == np.zeros([1, 2, SIZE]).tolist()
