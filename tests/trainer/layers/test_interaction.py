import numpy as np
import pytest
import tensorflow as tf

from config.model import ModelConfig
from tests.trainer.layers.encoders.small import layer_norm, randomise
from tests.trainer.small import ITEMS, draw_rows, encoder_config, small_model, sparse_features
from trainer.data.windows import MASK, dense_windows, request_windows
from trainer.layers.interaction import History, Interaction, TargetAttention

STATE = {"like": tf.constant([[1.0, 2.0]])}
CANDIDATES = tf.constant([[[3.0], [4.0]]])


def made(**changes):
    """The query is projected to the sum of its values, the candidate to its double."""
    layer = Interaction(ModelConfig(dimension=1, **changes))
    layer(STATE, CANDIDATES)
    layer.query.kernel.assign([[1.0], [1.0]])
    layer.candidate.kernel.assign([[2.0]])
    return layer


def test_a_pair_is_query_candidate_and_product():
    np.testing.assert_allclose(made()(STATE, CANDIDATES)["like"], [[[3, 6, 18], [3, 8, 24]]])


def test_what_the_history_says_joins_the_pair():
    layer = Interaction(ModelConfig(dimension=1))
    assert layer(STATE, CANDIDATES, tf.constant([[[7.0], [8.0]]]))["like"][0, :, 3].numpy().tolist() == [7, 8]


def test_a_cross_layer_multiplies_the_pair_by_a_linear_map_of_itself():
    layer = made(cross_layers=2)
    for cross in layer.crosses:
        cross._dense.kernel.assign(np.eye(3)[[1, 2, 0]])
        cross._dense.bias.assign([1.0, 0.0, 0.0])
    start = np.array([3.0, 6.0, 18.0])
    first = start * (start[[2, 0, 1]] + [1, 0, 0]) + start
    second = start * (first[[2, 0, 1]] + [1, 0, 0]) + first
    np.testing.assert_allclose(layer(STATE, CANDIDATES)["like"][0, 0], second, rtol=1e-6)


def test_a_low_rank_cross_has_few_weights():
    (cross,) = made(cross_layers=1, cross_rank=1).crosses
    assert sum(int(tf.size(v)) for v in cross.trainable_variables) == 3 + 3 + 3


def test_every_state_is_paired_with_every_candidate():
    found = made()({"like": STATE["like"], "buy": 2 * STATE["like"]}, CANDIDATES)
    np.testing.assert_allclose(found["buy"], [[[6, 6, 36], [6, 8, 48]]])
    np.testing.assert_allclose(found["like"], [[[3, 6, 18], [3, 8, 24]]])


VISIBLE = tf.constant([[True, False, True, True], [False, False, False, True]])


@pytest.fixture(scope="module")
def attention():
    layer = TargetAttention(3)
    layer(tf.zeros([1, 1, 3]), History(tf.zeros([1, 1, 3]), tf.ones([1, 1, 1], tf.bool)))
    randomise(layer)
    for norm in layer.norms:
        norm.gamma.assign(np.ones(3))
        norm.beta.assign(np.zeros(3))
    return layer


@pytest.fixture(scope="module")
def model():
    made = small_model(encoder_config("decay", target_attention=True))
    randomise(made.target_attention)
    return made


def drawn(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def activation(layer, event, candidate):
    """The unit over one event and one candidate, as the paper draws it: a dense layer of both and their product."""
    kernel = np.concatenate([layer.event.kernel, layer.candidate.kernel, tf.transpose(layer.product)])
    hidden = np.concatenate([event, candidate, event * candidate]) @ kernel + layer.event.bias.numpy()
    return np.where(hidden > 0, hidden, 0.2 * hidden) @ layer.score.numpy() + layer.offset.numpy()


def test_a_position_sees_the_visible_events_strictly_before_it():
    history = History.of(tf.zeros([2, 4, 1]), VISIBLE)
    assert history.sees[0].numpy().astype(int).tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0]]
    assert not history.sees[1].numpy().any()
    assert history.newest().sees.numpy().astype(int).tolist() == [[[1, 0, 1, 0]], [[0, 0, 0, 0]]]


def test_events_are_weighed_by_the_activation_unit(attention):
    events, candidates = drawn(1, 2, 4, 3), drawn(2, 2, 5, 3)
    found = attention(candidates, History.of(events, VISIBLE).newest())
    for n, candidate in enumerate(layer_norm(candidates[0])):
        weighted = [
            activation(attention, e, candidate) * (e @ attention.value.kernel.numpy()) for e in layer_norm(events[0])
        ]
        np.testing.assert_allclose(found[0, n], (weighted[0] + weighted[2]) / 2**0.5, rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(found[1], np.zeros([5, 3]))


def test_each_position_may_have_a_candidate_of_its_own(attention):
    events, candidates = drawn(3, 1, 4, 3), drawn(4, 1, 4, 3)
    found = attention(candidates, History.of(events, VISIBLE[:1]))
    for index in range(4):
        history = History.of(events[:, : index + 1], VISIBLE[:1, : index + 1]).newest()
        expected = attention(candidates[:, index : index + 1], history)
        np.testing.assert_allclose(found[:, index], expected[:, 0], atol=1e-5)


def test_training_scores_a_target_as_serving_ranks_it(model):
    window = dense_windows(sparse_features(draw_rows(3, 2)), model.spec)
    losses = []
    for row, index in zip(*np.nonzero(window[MASK]), strict=True):
        cut = until(window, row, index)
        probability = model.rank(model.encode(cut).newest(), cut["item_id"][:, -1:])["like"][0, 0]
        losses.append(-np.log(probability if window["label_like"][row, index] > 0 else 1 - probability))
    np.testing.assert_allclose(model.compute_loss(window).tasks["like"], np.mean(losses), rtol=1e-4)


def until(window, row, index):
    """A row of the window that ends at a index."""
    events = {name for name, values in window.items() if values.shape.rank == 2 and not name.startswith("user_")}
    return {n: v[row : row + 1, : index + 1] if n in events else v[row : row + 1] for n, v in window.items()}


def test_a_request_ranks_as_the_window_that_ends_with_its_event(model):
    rows = draw_rows(4, 3, longest=6)
    item = tf.constant([[1, 5, ITEMS]] * 3, tf.int64)
    trained = model.rank(model.encode(dense_windows(sparse_features(rows), model.spec)).newest(), item)
    known = ("user_id", "user_gender", "user_tags", "time", "context_device")
    past = ("item_id", "outcome_stars", "outcome_dwell")
    requests = [{n: v if n in known else v[:-1] for n, v in row.items() if n in known + past} for row in rows]
    asked = model.rank(model.encode(request_windows(sparse_features(requests), model.spec)).newest(), item)
    for task, values in trained.items():
        np.testing.assert_allclose(asked[task], values, atol=1e-5)


def test_the_candidate_decides_what_matters(model):
    window = dense_windows(sparse_features(draw_rows(5, 1)), model.spec)
    state = model.encode(window).newest()
    attended = model.target_attention(model.candidates.vectors(tf.constant([[1, 2]], tf.int64)), state.history)
    assert np.abs(attended[0, 0] - attended[0, 1]).max() > 1e-3


def test_without_ranking_tasks_there_is_nothing_to_attend():
    config = encoder_config("decay", target_attention=True)
    retrieval = {name: task for name, task in config.tasks.items() if task.kind == "retrieval"}
    assert small_model(config.model_copy(update={"tasks": retrieval})).target_attention is None
