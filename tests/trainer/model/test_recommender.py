import numpy as np
import pytest
import tensorflow as tf

from config import feature_names
from tests.trainer.small import (
    FEATURES,
    ITEMS,
    draw_rows,
    encoder_config,
    small_catalogue,
    small_config,
    small_model,
    small_spec,
    sparse_features,
)
from trainer.data.windows import MASK, dense_windows, request_windows

CONFIG = small_config()
ATTENDING = encoder_config("decay", target_attention=True)
KINDS = ("full", "in_batch", "uniform", "frequency", "mixed", "hard")


def batch(config=CONFIG, seed=3, count=4):
    return dense_windows(sparse_features(draw_rows(seed, count)), small_spec(config))


@pytest.fixture(scope="module")
def model():
    return small_model(CONFIG)


def states(model, window):
    state = model.encode(window)
    return np.concatenate([part.numpy() for part in (state.embedding, *state.hidden.values())], axis=-1)


def change(values):
    """Another item, category, time or label than before at every position."""
    if values.dtype == np.bool_:
        return ~values
    return (values + 1) % 2 if values.dtype == np.int64 else values + 1


@pytest.mark.parametrize("encoder", ["mean", "decay", "attention", "attention+decay", "hstu", "mingru+decay"])
def test_a_query_sees_neither_its_event_nor_later_ones(encoder):
    config = encoder_config(encoder)
    model = small_model(config)
    window = batch(config)
    before = states(model, window)
    known_at_once = {feature_names.TIME, "context_device", MASK}
    for position in range(window[MASK].shape[1]):
        other = {}
        for name, values in window.items():
            values = values.numpy()
            if values.ndim == 2 and name != "user_tags":
                start = position + 1 if name in known_at_once else position
                values[:, start:] = change(values[:, start:])
            other[name] = tf.constant(values)
        other[MASK] = window[MASK]
        np.testing.assert_allclose(states(model, other)[:, : position + 1], before[:, : position + 1], atol=1e-5)


@pytest.mark.parametrize("encoder", ["decay", "attention", "gru+decay"])
@pytest.mark.parametrize("rows", ["windows", "requests", "no history"])
def test_the_newest_query_alone_is_that_at_the_last_position(encoder, rows):
    config = encoder_config(encoder, target_attention=True)
    model = small_model(config)
    features = sparse_features(draw_rows(7, 1 if rows == "no history" else 5))
    if rows == "no history":
        features = {name: tf.sparse.slice(values, [0, 0], [1, 0]) for name, values in features.items()}
    window = (dense_windows if rows == "windows" else request_windows)(features, model.spec)
    expected, found = model.encode(window).newest(), model.encode_newest(window)
    tf.nest.map_structure(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), expected, found)


def test_a_query_sees_its_own_context_and_the_history(model):
    window = batch(count=1)
    before = states(model, window)[0, -1]
    for name, position in [("context_device", -1), ("item_id", -2), ("outcome_stars", -2), ("outcome_dwell", -2)]:
        values = window[name].numpy()
        values[0, position] = change(values[0, position])
        changed = states(model, {**window, name: tf.constant(values)})[0, -1]
        assert np.abs(changed - before).max() > 1e-4, name


def test_events_that_are_no_positives_are_no_history(model):
    window = batch(count=1)
    positive = window["is_positive"].numpy()
    positive[0, -2] = False
    window["is_positive"] = tf.constant(positive)
    before = states(model, window)[0, -1]
    item = window["item_id"].numpy()
    item[0, -2] = (item[0, -2] + 1) % ITEMS
    np.testing.assert_allclose(states(model, {**window, "item_id": tf.constant(item)})[0, -1], before, atol=1e-6)


def test_a_request_equals_the_window_that_ends_with_its_event(model):
    rows = draw_rows(4, 3, longest=6)
    trained = model.encode(dense_windows(sparse_features(rows), model.spec))
    requests = []
    for row in rows:
        shorter = {n: v[:-1] for n, v in row.items() if n.startswith("outcome_") or n == "item_id"}
        whole = {n: row[n] for n in ("user_id", "user_gender", "user_tags", "time", "context_device")}
        requests.append({**whole, **shorter})
    asked = model.encode(request_windows(sparse_features(requests), model.spec))
    np.testing.assert_allclose(asked.embedding[:, -1], trained.embedding[:, -1], atol=1e-5)
    np.testing.assert_allclose(asked.hidden["shared"][:, -1], trained.hidden["shared"][:, -1], atol=1e-5)


def test_the_score_is_temperature_times_cosine_plus_bias(model):
    query = model.encode(batch()).embedding[:, -1].numpy()
    candidates = model.candidate_embeddings().numpy()
    assert candidates.shape == (ITEMS, 9)
    np.testing.assert_allclose(np.linalg.norm(query[:, :-1], axis=1), 1 / 0.07, rtol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(candidates[:, :-1], axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(query[:, -1], 1)
    frequencies = small_catalogue().frequencies + 1
    np.testing.assert_allclose(candidates[:, -1], np.log(frequencies / frequencies.sum()), rtol=1e-5)


def test_predictions_are_in_the_labels_unit_and_bounds(model):
    state = model.encode(batch()).newest()
    state = state._replace(hidden={name: values * 100 for name, values in state.hidden.items()})
    found = model.rank(state, tf.constant([[0, 5, ITEMS]] * 4, tf.int64))
    assert found["rating"].shape == found["like"].shape == (4, 3)
    assert 1 <= found["rating"].numpy().min() <= found["rating"].numpy().max() <= 5
    assert 0 <= found["like"].numpy().min() <= found["like"].numpy().max() <= 1


def test_a_ranking_loss_is_the_mean_over_its_weighted_targets(model):
    window = batch()
    weight = window["weight_rating"].numpy()
    weight[0], weight[1, -1] = 0, 2
    window["weight_rating"] = tf.constant(weight)
    total = count = 0.0
    state = model.encode(window)
    for row, position in zip(*np.nonzero(window[MASK].numpy() & (weight > 0)), strict=True):
        item = window["item_id"][row : row + 1, position : position + 1]
        hidden = {"rating": state.hidden["shared"][row : row + 1, position]}
        pair = model.interaction(hidden, model.candidates.vectors(item))["rating"]
        label = (window["label_rating"][row, position] - 3.0) / 1.5
        total += weight[row, position] * (model.heads["rating"](pair, item)[0, 0] - label) ** 2
        count += weight[row, position]
    np.testing.assert_allclose(model.compute_loss(window).tasks["rating"], total / count, rtol=1e-4)


def test_the_loss_is_the_weighted_sum_of_the_tasks():
    tasks = {"rating": {"kind": "regression", "label": "rating", "weight": 0.5}}
    model = small_model(small_config(tasks=tasks))
    window = batch(model.config)
    losses = model.compute_loss(window).tasks
    np.testing.assert_allclose(
        model.compute_loss(window).total, losses["retrieval"] + 0.5 * losses["rating"] + losses["like"], rtol=1e-6
    )


def test_a_batch_without_targets_has_no_loss_and_no_gradient(model):
    window = batch()
    window["is_target"] = tf.zeros_like(window["is_target"])
    with tf.GradientTape() as tape:
        loss = model.compute_loss(window, training=True).total
    gradients = [g for g in tape.gradient(loss, model.trainable_variables) if g is not None]
    assert float(loss) == 0
    assert max(float(tf.reduce_max(tf.abs(tf.convert_to_tensor(g)))) for g in gradients) == 0


def with_negatives(kind, **options):
    return small_config(tasks={"retrieval": {"kind": "retrieval", "next_events": 2, "negatives": kind, **options}})


@pytest.mark.parametrize("kind", ["uniform", "frequency", "hard"])
def test_sampling_the_whole_catalogue_many_times_comes_near_the_full_softmax(kind):
    full, sampled = small_model(CONFIG), small_model(with_negatives(kind, samples=200_000))
    sampled.refresh_negatives()
    expected, found = (float(m.compute_loss(batch()).tasks["retrieval"]) for m in (full, sampled))
    assert found == pytest.approx(expected, rel=5e-3)


def test_mining_the_whole_catalogue_is_the_full_softmax():
    full, mined = small_model(CONFIG), small_model(with_negatives("hard", samples=1, hard={"per_window": ITEMS}))
    mined.refresh_negatives()
    # What is blocked at the target that one window mines for, another window mines: nothing is missing.
    window = batch(count=9)
    expected, found = (float(m.compute_loss(window).tasks["retrieval"]) for m in (full, mined))
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_batch_without_targets_needs_no_negatives(kind):
    model = small_model(with_negatives(kind))
    window = batch(model.config)
    window["is_target"] = tf.zeros_like(window["is_target"])
    assert float(model.compute_loss(window, training=True).tasks["retrieval"]) == 0


@pytest.mark.parametrize(
    "config", [*(with_negatives(kind, samples=5) for kind in KINDS), ATTENDING], ids=[*KINDS, "target attention"]
)
def test_every_weight_learns(config):
    model = small_model(config)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(batch(config, count=16), training=True).total
    gradients = tape.gradient(loss, model.trainable_variables)
    still = [v.name for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None]
    assert still == []


def test_ranking_without_retrieval():
    config = small_config(tasks={"like": {"kind": "binary", "label": "a"}})
    tasks = {"like": config.tasks["like"]}
    model = small_model(config.model_copy(update={"tasks": tasks}))
    assert set(model.compute_loss(batch(model.config)).tasks) == {"like"}


def test_a_heads_dropout_is_its_own_and_of_training_alone():
    rating = small_config().tasks["rating"].model_dump(exclude_unset=True)
    plain, dropped = small_model(CONFIG), small_model(small_config(tasks={"rating": {**rating, "dropout": 0.5}}))
    window = batch()

    def differing(training):
        losses = [model.compute_loss(window, training=training).tasks for model in (plain, dropped)]
        return {name for name in losses[0] if float(losses[0][name]) != float(losses[1][name])}

    assert (differing(training=False), differing(training=True)) == (set(), {"rating"})


def test_dropout_draws_anew_at_every_step_and_the_same_at_the_same_step():
    model = small_model(encoder_config("decay", dropout=0.5, item_dropout=0.3))
    window = batch(model.config)
    first, again = (float(model.compute_loss(window, training=True).total) for _ in range(2))
    model.step.assign_add(1)
    assert first == again != float(model.compute_loss(window, training=True).total)


@pytest.mark.parametrize("user_id", ["none", "ranking", "both"])
def test_the_user_id_takes_part_where_configured(user_id):
    model = small_model(small_config(model={"user_id": user_id}))
    window = batch(model.config)
    before = model.encode(window)
    after = model.encode({**window, "user_id": (window["user_id"] + 1) % 9})
    assert (np.abs(after.embedding - before.embedding).max() > 1e-4) == (user_id == "both")
    hidden, changed = (state.hidden["shared"][..., 8:] for state in (before, after))
    assert (np.abs(changed - hidden).max(initial=0) > 1e-4) == (user_id != "none")


def test_towers_with_layers():
    model = small_model(small_config(model={"query_layers": [16], "candidate_layers": [16, 12]}))
    assert model.candidate_embeddings().shape == (ITEMS, 9)
    assert np.isfinite(model.compute_loss(batch(model.config)).total)


def test_without_any_feature():
    from trainer.model.recommender import RecommenderModel

    catalogue = small_catalogue()
    bare = RecommenderModel(CONFIG, (), type(catalogue)(catalogue.item_ids, catalogue.frequencies, {}), 9)
    window = dense_windows(sparse_features(draw_rows(0, 3)), bare.spec)
    assert set(window) & {f.name for f in FEATURES} == set()
    assert np.isfinite(bare.compute_loss(window).total)
