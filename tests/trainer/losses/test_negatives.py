import numpy as np
import pytest
import tensorflow as tf

from config.tasks import WHOLE_CATALOGUE, HardNegatives
from tests.trainer.small import small_config
from trainer.data.catalogue import Catalogue
from trainer.distributed.randomness import Randomness
from trainer.losses.draws import BatchDraws, FrequencyDraws, UniformDraws
from trainer.losses.negatives import (
    AllItems,
    MinedNegatives,
    Negatives,
    SampledNegatives,
    make_negatives,
    make_sampler,
    positions_in,
)
from trainer.losses.targets import RetrievalTargets

FREQUENCIES = np.array([7, 3, 1, 0], np.float32)
SHARE = np.array([8, 4, 2, 1]) / 15
NO_QUERY = tf.zeros([0, 3])


def targets(event_item=(), blocked=(), window_item=()):
    """Targets of one position each, as far as negatives look at them."""
    rows = len(event_item)
    return RetrievalTargets(
        index=tf.stack([tf.range(rows, dtype=tf.int64), tf.zeros([rows], tf.int64)], axis=1),
        item=tf.constant(event_item, tf.int64, [rows, 1]),
        weight=tf.ones([rows, 1]),
        event_item=tf.constant(event_item, tf.int64, [rows]),
        blocked=tf.constant(blocked, tf.int64) if blocked else tf.zeros([rows, 0], tf.int64),
        window_item=tf.constant(window_item, tf.int64) if window_item else tf.zeros([rows, 0], tf.int64),
    )


def randomness(step=0):
    return Randomness(5, tf.Variable(step, dtype=tf.int64))


def frequency(samples, step=0):
    return SampledNegatives([FrequencyDraws(FREQUENCIES, samples, randomness(step))])


def draw(sampler, found=None):
    return sampler(found or targets(), NO_QUERY)


def weights(negatives):
    return dict(zip(negatives.item.numpy().tolist(), np.exp(negatives.log_weight.numpy()).tolist(), strict=True))


def test_all_items_count_once():
    found = draw(AllItems(3), targets([1], blocked=[[1, 3]]))
    assert weights(found) == {0: 1, 1: 1, 2: 1}
    assert found.blocked.numpy().tolist() == [[1, 3]]


def test_items_are_drawn_by_frequency_plus_one():
    draws = 20000
    found = weights(draw(frequency(draws)))
    np.testing.assert_allclose([found[i] * SHARE[i] for i in range(4)], SHARE, atol=0.01)


def test_items_are_drawn_uniformly():
    draws = 20000
    found = weights(draw(SampledNegatives([UniformDraws(4, draws, randomness())])))
    np.testing.assert_allclose([found[i] for i in range(4)], 1, atol=0.05)


@pytest.mark.parametrize("samples", [3, 40])
def test_an_item_is_there_once_with_the_weight_of_its_draws(samples):
    found = draw(frequency(samples))
    items = found.item.numpy().tolist()
    assert items == sorted(set(items))
    counts = np.exp(found.log_weight) * samples * SHARE[found.item]
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-4)
    np.testing.assert_allclose(counts.sum(), samples, rtol=1e-5)


def test_the_batchs_events_are_corrected_by_their_train_frequency():
    found = weights(draw(SampledNegatives([BatchDraws(FREQUENCIES)]), targets([0, 2, 0, 1, 0])))
    # 5 draws; the shares are 7, 3 and 1 of 11.
    assert found == pytest.approx({0: 3 / (5 * 7 / 11), 1: 1 / (5 * 3 / 11), 2: 1 / (5 * 1 / 11)}, rel=1e-5)


def test_an_event_of_an_item_without_train_events_counts_as_one_of_one():
    found = weights(draw(SampledNegatives([BatchDraws(FREQUENCIES)]), targets([3])))
    assert found == pytest.approx({3: 11}, rel=1e-5)


class TwoDraws(UniformDraws):
    """Items 1 and 3."""

    def draw(self, targets):
        return tf.constant([3, 1], tf.int64)


def test_a_mixture_is_corrected_by_the_expectation_over_all_its_draws():
    mixture = SampledNegatives([BatchDraws(FREQUENCIES), TwoDraws(4, 2, randomness())])
    found = weights(draw(mixture, targets([0, 1, 1])))
    # 3 draws from the batch, 2 uniform ones among 4 items: item 1 is there 2 + 1 times.
    expected = {0: 1 / (3 * 7 / 11 + 2 / 4), 1: 3 / (3 * 3 / 11 + 2 / 4), 3: 1 / (3 * 1 / 11 + 2 / 4)}
    assert found == pytest.approx(expected, rel=1e-5)


def test_what_is_no_negative_is_blocked_where_it_was_drawn():
    drawn = SampledNegatives([TwoDraws(5, 2, randomness())])
    found = draw(drawn, targets([1, 1], blocked=[[3, 0, 5], [4, 5, 5]], window_item=[[1], [1]]))
    assert found.item.numpy().tolist() == [1, 3]
    assert found.blocked.numpy().tolist() == [[1, 2, 2], [2, 2, 2]]


@pytest.mark.parametrize(
    "ways", [[BatchDraws(FREQUENCIES)], [BatchDraws(FREQUENCIES), UniformDraws(4, 9, randomness())]]
)
def test_no_item_of_the_own_window_is_a_negative_from_the_batch(ways):
    found = draw(SampledNegatives(ways), targets([0, 2], blocked=[[0], [2]], window_item=[[0, 1], [2, 4]]))
    for row, own in enumerate([{0, 1}, {2}]):
        positions = found.blocked[row].numpy()
        assert {int(found.item[position]) for position in positions if position < len(found.item)} == own & set(
            weights(found)
        )


@pytest.mark.parametrize("kind", ["frequency", "uniform", "batch", "mixture"])
def test_the_sum_of_weights_estimates_the_full_sum(kind):
    scores = np.array([0.5, -1, 2, 1])
    step = tf.Variable(0, dtype=tf.int64)
    rng = np.random.default_rng(3)
    seen = np.array([7, 3, 1, 2], np.float32)
    chance = Randomness(5, step)
    ways = {
        "frequency": [FrequencyDraws(FREQUENCIES, 4, chance)],
        "uniform": [UniformDraws(4, 4, chance)],
        "batch": [BatchDraws(seen)],
        "mixture": [BatchDraws(seen), UniformDraws(4, 2, chance)],
    }
    sampler = SampledNegatives(ways[kind])
    sums = []
    for number in range(200):
        step.assign(number)
        found = draw(sampler, targets(rng.choice(4, 4, p=seen / seen.sum()).tolist()))
        sums.append(sum(np.exp(scores[item]) * weight for item, weight in weights(found).items()))
    error = np.std(sums) / np.sqrt(len(sums))
    assert abs(np.mean(sums) - np.exp(scores).sum()) < 4 * error


def test_a_step_draws_the_same_again_and_another_step_does_not():
    first, again, other = (weights(draw(frequency(50, step))) for step in (0, 0, 1))
    assert first == again != other


def test_a_batch_without_targets_has_no_negatives_of_its_own():
    found = draw(SampledNegatives([BatchDraws(FREQUENCIES)]))
    assert found.item.shape == found.log_weight.shape == (0,)
    mixture = draw(SampledNegatives([BatchDraws(FREQUENCIES), TwoDraws(4, 2, randomness())]))
    assert weights(mixture) == pytest.approx({1: 2, 3: 2})


def test_positions_of_items_that_are_absent():
    items = tf.constant([2, 5, 9], tf.int64)
    assert positions_in(items, tf.constant([[5, 0, 9], [10, 2, 3]], tf.int64)).numpy().tolist() == [
        [1, 3, 2],
        [3, 0, 3],
    ]
    assert positions_in(items[:0], tf.constant([4], tf.int64)).numpy().tolist() == [0]


SIZE, DIMENSION = 30, 4
EMBEDDINGS = tf.constant(np.random.default_rng(0).normal(size=[SIZE, DIMENSION]), tf.float32)


class Others:
    """Items 4, 5 and 6, of weight 2."""

    def __call__(self, mined_targets, query):
        return make_negatives(tf.constant([4, 5, 6], tf.int64), tf.math.log([2.0, 2.0, 2.0]), mined_targets.blocked)


def miner(per_window, step=0):
    config = HardNegatives(per_window=per_window, refresh_steps=10)
    mined = MinedNegatives(config, SIZE, DIMENSION, Others(), Randomness(1, tf.Variable(step, dtype=tf.int64)))
    mined.refresh(lambda item: tf.gather(EMBEDDINGS, item))
    return mined


def mined_targets(windows, blocked):
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
    found = miner(5).mine(mined_targets([0, 3], blocked), query).numpy().tolist()
    assert found == best(query[0], 5, blocked[0]) + best(query[1], 5, blocked[1])


def test_every_window_asks_with_one_of_its_targets():
    query = queries(6)
    answers = {tuple(best(query[row], 3, [])) for row in range(2, 6)}
    asked = set()
    for step in range(12):
        found = miner(3, step).mine(mined_targets([0, 1, 4, 4, 4, 4], [[SIZE]] * 6), query).numpy().tolist()
        assert found[:6] == best(query[0], 3, []) + best(query[1], 3, [])
        asked.add(tuple(found[6:]))
    assert asked <= answers
    assert len(asked) > 1


def test_mined_items_stand_for_themselves_and_the_sample_for_the_others():
    query = 100 * EMBEDDINGS[4:5]
    count = best(query[0], SIZE, [5]).index(4) + 1
    found = miner(count)(mined_targets([0], [[5]]), query)
    mined = best(query[0], count, [5])
    assert 6 not in mined
    weights = dict(zip(found.item.numpy().tolist(), np.exp(found.log_weight.numpy()).tolist(), strict=True))
    assert weights == pytest.approx({6: 2.0, 5: 2.0, **dict.fromkeys(mined, 1.0)})
    assert found.item.numpy().tolist() == sorted(weights)
    assert found.item.numpy()[found.blocked.numpy()[0, 0]] == 5


def test_an_item_that_two_windows_mine_is_there_once():
    query = tf.concat([queries(1)] * 2, axis=0)
    found = miner(3)(mined_targets([0, 1], [[SIZE], [SIZE]]), query)
    assert found.item.numpy().tolist() == sorted({4, 5, 6, *best(query[0], 3, [])})


def test_more_than_there_is_mines_everything():
    found = miner(SIZE + 5)(mined_targets([0], [[3, 8]]), queries(1))
    assert found.item.numpy().tolist() == [i for i in range(SIZE) if i not in (3, 8)]


def test_without_targets_only_the_sample_is_there():
    found = miner(3)(mined_targets([], []), queries(0))
    assert found.item.numpy().tolist() == [4, 5, 6]


def test_large_searches_are_made_in_parts(monkeypatch):
    query = queries(5)
    whole = miner(3).mine(mined_targets([0, 1, 2, 3, 4], [[SIZE]] * 5), query).numpy().tolist()
    monkeypatch.setattr("trainer.losses.negatives._SCORES", 2 * SIZE)
    monkeypatch.setattr("trainer.losses.negatives._ITEMS", 7)
    assert miner(3).mine(mined_targets([0, 1, 2, 3, 4], [[SIZE]] * 5), query).numpy().tolist() == whole
    assert len(whole) == 15


def test_the_index_is_renewed_every_so_many_steps():
    mined = miner(2)
    assert [step for step in range(25) if mined.is_due(step)] == [0, 10, 20]
    query = queries(1)
    mined.refresh(lambda item: -tf.gather(EMBEDDINGS, item))
    assert mined.mine(mined_targets([0], [[SIZE]]), query).numpy().tolist() == best(-query[0], 2, [])


def test_mined_and_sampled_weights_estimate_the_full_sum():
    """The sample is a single uniform draw; what is mined is exact."""

    class OneDraw:
        def __call__(self, mined_targets, query):
            item = tf.constant([rng.integers(SIZE)], tf.int64)
            return Negatives(item, tf.math.log([float(SIZE)]), mined_targets.blocked)

    rng = np.random.default_rng(2)
    query = queries(1)
    mined = miner(6)
    mined._others = OneDraw()
    sums = []
    for _ in range(60):
        found = mined(mined_targets([0], [[SIZE]]), query)
        scores = EMBEDDINGS.numpy()[found.item.numpy()] @ query[0].numpy()
        sums.append(np.exp(scores + found.log_weight.numpy()).sum())
    expected = np.exp(EMBEDDINGS.numpy() @ query[0].numpy()).sum()
    assert abs(np.mean(sums) - expected) < 4 * np.std(sums) / np.sqrt(len(sums))


def test_it_runs_in_a_graph_of_unknown_shapes():
    mined = miner(3)
    query, found = queries(4), mined_targets([0, 1, 1, 2], [[3, SIZE]] * 4)
    function = tf.function(mined, input_signature=[signature(found), tf.TensorSpec([None, DIMENSION])])
    for one, other in zip(function(found, query), mined(found, query), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def signature(found):
    return type(found)(*(tf.TensorSpec([None] * len(values.shape), values.dtype) for values in found))


@pytest.mark.parametrize(("size", "kind"), [(WHOLE_CATALOGUE, AllItems), (WHOLE_CATALOGUE + 1, SampledNegatives)])
def test_by_default_only_a_large_catalogue_is_sampled(size, kind):
    ids = np.arange(size).astype(bytes).astype(object)
    catalogue = Catalogue(ids, np.ones(size, np.float32), {})
    sampler = make_sampler(small_config(), catalogue, Randomness(1, tf.Variable(0, dtype=tf.int64)))
    assert type(sampler) is kind
