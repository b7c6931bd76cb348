import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.model.generator.small import GENERATOR, WARM, cold_config, cold_model
from tests.trainer.small import ITEMS, draw_rows, sparse_features
from trainer.data.windows import dense_windows
from trainer.model.generator.adversary import LOSS

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
