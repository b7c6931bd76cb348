import numpy as np
import pytest
import tensorflow as tf

from trainer.distributed.randomness import Randomness
from trainer.losses.negatives import AllItems, BatchDraws, FrequencyDraws, SampledNegatives, UniformDraws, positions_in
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


def test_places_of_items_that_are_not_there():
    items = tf.constant([2, 5, 9], tf.int64)
    assert positions_in(items, tf.constant([[5, 0, 9], [10, 2, 3]], tf.int64)).numpy().tolist() == [
        [1, 3, 2],
        [3, 0, 3],
    ]
    assert positions_in(items[:0], tf.constant([4], tf.int64)).numpy().tolist() == [0]
