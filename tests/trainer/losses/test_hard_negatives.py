import numpy as np
import pytest
import tensorflow as tf

from config.tasks import HardNegatives
from trainer.distributed.randomness import Randomness
from trainer.losses.hard_negatives import MinedNegatives
from trainer.losses.negatives import Negatives, make_negatives
from trainer.losses.targets import RetrievalTargets

SIZE, DIMENSION = 30, 4
EMBEDDINGS = tf.constant(np.random.default_rng(0).normal(size=[SIZE, DIMENSION]), tf.float32)


class Others:
    """Items 4, 5 and 6, of weight 2."""

    def __call__(self, targets, query):
        return make_negatives(tf.constant([4, 5, 6], tf.int64), tf.math.log([2.0, 2.0, 2.0]), targets.blocked)


def miner(per_window, step=0):
    config = HardNegatives(per_window=per_window, refresh_steps=10)
    mined = MinedNegatives(config, SIZE, DIMENSION, Others(), Randomness(1, tf.Variable(step, dtype=tf.int64)))
    mined.refresh(lambda item: tf.gather(EMBEDDINGS, item))
    return mined


def targets(windows, blocked):
    """One target of each entry of `windows`, the row of its window."""
    rows = len(windows)
    position = tf.stack([tf.constant(windows, tf.int64), tf.range(rows, dtype=tf.int64)], axis=1)
    blocked = tf.constant(blocked, tf.int64, [rows, len(blocked[0]) if blocked else 0])
    nothing = tf.zeros([rows], tf.int64)
    return RetrievalTargets(position, nothing[:, tf.newaxis], tf.ones([rows, 1]), nothing, blocked, blocked)


def queries(rows, seed=1):
    return tf.constant(np.random.default_rng(seed).normal(size=[rows, DIMENSION]), tf.float32)


def best(query, count, blocked):
    scores = EMBEDDINGS.numpy() @ query.numpy()
    scores[[i for i in blocked if i < SIZE]] = -np.inf
    return np.argsort(-scores)[:count].tolist()


def test_the_best_items_that_are_not_blocked_are_mined():
    query = queries(2)
    blocked = [[*best(query[0], 2, []), SIZE], [7, SIZE, SIZE]]
    found = miner(5).mine(targets([0, 3], blocked), query).numpy().tolist()
    assert found == best(query[0], 5, blocked[0]) + best(query[1], 5, blocked[1])


def test_every_window_asks_with_one_of_its_targets():
    query = queries(6)
    answers = {tuple(best(query[row], 3, [])) for row in range(2, 6)}
    asked = set()
    for step in range(12):
        found = miner(3, step).mine(targets([0, 1, 4, 4, 4, 4], [[SIZE]] * 6), query).numpy().tolist()
        assert found[:6] == best(query[0], 3, []) + best(query[1], 3, [])
        asked.add(tuple(found[6:]))
    assert asked <= answers
    assert len(asked) > 1


def test_mined_items_stand_for_themselves_and_the_sample_for_the_others():
    query = 100 * EMBEDDINGS[4:5]
    count = best(query[0], SIZE, [5]).index(4) + 1
    found = miner(count)(targets([0], [[5]]), query)
    mined = best(query[0], count, [5])
    assert 6 not in mined
    weights = dict(zip(found.item.numpy().tolist(), np.exp(found.log_weight.numpy()).tolist(), strict=True))
    assert weights == pytest.approx({6: 2.0, 5: 2.0, **dict.fromkeys(mined, 1.0)})
    assert found.item.numpy().tolist() == sorted(weights)
    assert found.item.numpy()[found.blocked.numpy()[0, 0]] == 5


def test_an_item_that_two_windows_mine_is_there_once():
    query = tf.concat([queries(1)] * 2, axis=0)
    found = miner(3)(targets([0, 1], [[SIZE], [SIZE]]), query)
    assert found.item.numpy().tolist() == sorted({4, 5, 6, *best(query[0], 3, [])})


def test_more_than_there_is_mines_everything():
    found = miner(SIZE + 5)(targets([0], [[3, 8]]), queries(1))
    assert found.item.numpy().tolist() == [i for i in range(SIZE) if i not in (3, 8)]


def test_without_targets_only_the_sample_is_there():
    found = miner(3)(targets([], []), queries(0))
    assert found.item.numpy().tolist() == [4, 5, 6]


def test_large_searches_are_made_in_parts(monkeypatch):
    query = queries(5)
    whole = miner(3).mine(targets([0, 1, 2, 3, 4], [[SIZE]] * 5), query).numpy().tolist()
    monkeypatch.setattr("trainer.losses.hard_negatives._SCORES", 2 * SIZE)
    monkeypatch.setattr("trainer.losses.hard_negatives._ITEMS", 7)
    assert miner(3).mine(targets([0, 1, 2, 3, 4], [[SIZE]] * 5), query).numpy().tolist() == whole
    assert len(whole) == 15


def test_the_index_is_renewed_every_so_many_steps():
    mined = miner(2)
    assert [step for step in range(25) if mined.is_due(step)] == [0, 10, 20]
    query = queries(1)
    mined.refresh(lambda item: -tf.gather(EMBEDDINGS, item))
    assert mined.mine(targets([0], [[SIZE]]), query).numpy().tolist() == best(-query[0], 2, [])


def test_the_sum_of_weights_estimates_the_full_sum():
    """The sample is a single uniform draw; what is mined is exact."""

    class OneDraw:
        def __call__(self, targets, query):
            item = tf.constant([rng.integers(SIZE)], tf.int64)
            return Negatives(item, tf.math.log([float(SIZE)]), targets.blocked)

    rng = np.random.default_rng(2)
    query = queries(1)
    mined = miner(6)
    mined._others = OneDraw()
    sums = []
    for _ in range(60):
        found = mined(targets([0], [[SIZE]]), query)
        scores = EMBEDDINGS.numpy()[found.item.numpy()] @ query[0].numpy()
        sums.append(np.exp(scores + found.log_weight.numpy()).sum())
    expected = np.exp(EMBEDDINGS.numpy() @ query[0].numpy()).sum()
    assert abs(np.mean(sums) - expected) < 4 * np.std(sums) / np.sqrt(len(sums))


def test_it_runs_in_a_graph_of_unknown_shapes():
    mined = miner(3)
    query, found = queries(4), targets([0, 1, 1, 2], [[3, SIZE]] * 4)
    function = tf.function(mined, input_signature=[signature(found), tf.TensorSpec([None, DIMENSION])])
    for one, other in zip(function(found, query), mined(found, query), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def signature(found):
    return type(found)(*(tf.TensorSpec([None] * len(values.shape), values.dtype) for values in found))
