import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.model.cold import GENERATOR, WARM, cold_config, cold_model
from tests.trainer.small import ITEMS, draw_rows, sparse_features
from trainer.data.windows import dense_windows
from trainer.distributed.randomness import Randomness
from trainer.losses.negatives import Negatives
from trainer.model.cold_items import MissingIds
from trainer.model.generator import LOSS


def missing(rate=0.25, warm=6, size=10_000, step=0):
    return MissingIds(rate, warm, size, Randomness(1, tf.Variable(step, dtype=tf.int64)))


def test_outside_of_training_items_without_positives_have_no_id():
    found = missing()(tf.constant([[0, 5], [6, 7]], tf.int64))
    assert found.numpy().tolist() == [[False, False], [True, True]]


def test_training_takes_the_share_of_ids_by_seed_and_step():
    item = tf.range(10_000, dtype=tf.int64)
    first = missing(warm=10_000)(item, training=True).numpy()
    assert abs(first.mean() - 0.25) < 0.02
    np.testing.assert_array_equal(missing(warm=10_000)(item[::-1], training=True)[::-1], first)
    assert (missing(warm=10_000, step=1)(item, training=True).numpy() != first).any()


def test_items_that_training_does_not_know_are_no_negatives():
    item = tf.constant([1, 5, 6, 9], tf.int64)
    blocked = tf.zeros([0, 1], tf.int64)
    found = missing().known_only(Negatives(item, tf.constant([0.5, 1.0, 2.0, 0.0]), blocked))
    assert found.log_weight.numpy()[:2].tolist() == [0.5, 1.0]
    assert (found.log_weight.numpy()[2:] < -1e8).all()


ALL = tf.range(ITEMS + 1, dtype=tf.int64)


@pytest.fixture(scope="module", params=[None, GENERATOR])
def model(request):
    return cold_model(cold_config(request.param))


def batch(model, **changes):
    rows = [{**row, **changes} for row in draw_rows(3, 4)]
    return dense_windows(sparse_features(rows), model.spec)


def test_a_cold_items_embedding_does_not_know_its_id(model):
    before = model.candidate_embeddings().numpy()
    model.candidates.ids.embeddings.assign_add(tf.random.normal([ITEMS + 1, 8], seed=1))
    model.candidates.bias.assign_add(tf.ones([ITEMS + 1]))
    after = model.candidate_embeddings().numpy()
    np.testing.assert_array_equal(after[WARM:], before[WARM:])
    assert (np.abs(after[:WARM] - before[:WARM]).max(axis=1) > 1e-3).all()


def test_a_cold_items_bias_starts_at_the_mean_of_the_known_ones(model):
    bias = cold_model(model.config).candidate_embeddings().numpy()[:, -1]
    np.testing.assert_allclose(bias[WARM:], bias[:WARM].mean(), rtol=1e-5)


def test_the_generator_makes_the_vectors_of_cold_items():
    model = cold_model(cold_config(GENERATOR))
    _, content = model.candidates.parts(ALL)
    without_id = model.candidates.without_id
    without_id.generator.correct.bias.assign(np.arange(8))
    vectors = model.candidates.vectors(ALL)
    np.testing.assert_allclose(vectors[WARM:], content[WARM:] + np.arange(8), rtol=1e-5)


def test_in_training_one_item_has_the_same_vector_everywhere(model):
    twice = tf.concat([ALL, ALL], axis=0)
    vectors = model.candidates.vectors(twice, training=True).numpy()
    np.testing.assert_allclose(vectors[: ITEMS + 1], vectors[ITEMS + 1 :], rtol=1e-6)
    lost = np.abs(vectors[: ITEMS + 1] - model.candidates.vectors(ALL)).max(axis=1) > 1e-6
    assert 0 < lost[:WARM].sum() < WARM
    assert not lost[WARM:].any()


def test_cold_items_are_no_negatives(model):
    items = draw_rows(3, 1, longest=6)[0]["item_id"]
    window = batch(model, item_id=[n % WARM for n in items])
    window = {**window, "item_id": tf.minimum(window["item_id"] % WARM, WARM - 1)}
    with tf.GradientTape() as tape:
        loss = model.compute_loss(window).tasks["retrieval"]
    gradient = tape.gradient(loss, model.candidates.without_id.bias.trainable_variables)
    assert all(g is None or not np.abs(g).max() for g in gradient)


def test_losing_ids_teaches_the_content_and_its_popularity(model):
    with tf.GradientTape() as tape:
        loss = model.compute_loss(batch(model), training=True).tasks["retrieval"]
    learned = model.candidates.without_id.trainable_variables
    gradients = tape.gradient(loss, learned)
    moved = [v.name for v, g in zip(learned, gradients, strict=True) if g is not None and np.abs(g).max() > 0]
    assert any(name.startswith("bias") or "/bias/" in name for name in moved)
    assert model.config.model.generator is None or any("correct" in name for name in moved)


def test_only_a_generator_adds_to_the_losses(model):
    losses = model.generation_losses()
    names = {LOSS, "generator/distance", "generator/slope_penalty"} if model.config.model.generator else set()
    assert set(losses) == names


def test_the_critics_items_are_drawn_by_seed_and_step():
    model = cold_model(cold_config(GENERATOR))
    first = {name: float(value) for name, value in model.generation_losses().items()}
    assert {name: float(value) for name, value in model.generation_losses().items()} == first
    model.step.assign_add(1)
    assert float(model.generation_losses()[LOSS]) != first[LOSS]
