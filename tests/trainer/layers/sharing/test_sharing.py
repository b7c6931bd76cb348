import numpy as np
import pytest
import tensorflow as tf

from config import parse_config
from tests.trainer.small import YAML, draw_rows, small_config, small_model, sparse_features
from trainer.data.windows import dense_windows
from trainer.layers.sharing import make_sharing

METHODS = ("cross_stitch", "mmoe", "ple")
STATE = tf.random.stateless_normal([2, 3, 4], [1, 2])


@pytest.fixture(scope="module", params=METHODS)
def model(request):
    sharing = {"method": request.param, "levels": 2, "expert_width": 6, "residual": False}
    return small_model(small_config(model={**small_config().model.model_dump(), "sharing": sharing}))


def test_every_weight_learns_and_positions_stay_apart(model):
    window = dense_windows(sparse_features(draw_rows(3, 16)), model.spec)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(window, training=True).total
    gradients = tape.gradient(loss, model.trainable_variables)
    assert [v.name for v, g in zip(model.trainable_variables, gradients, strict=True) if g is None] == []
    changed = tf.concat([STATE[:, :2], STATE[:, 2:] + 1], axis=1)
    sharing = make_sharing(model.config)
    for before, after in zip(sharing(STATE).values(), sharing(changed).values(), strict=True):
        np.testing.assert_array_equal(before[:, :2], after[:, :2])
        assert np.abs(before[:, 2] - after[:, 2]).min(axis=-1).max() > 0


def test_a_tasks_predictions_are_made_of_its_own_state(model):
    state = model.encode(dense_windows(sparse_features(draw_rows(3, 2)), model.spec)).newest()
    assert set(state.hidden) == {"rating", "like"}
    item = tf.constant([[1, 2]] * 2, tf.int64)
    before = model.rank(state, item)
    hidden = {**state.hidden, "like": state.hidden["like"] + 1}
    after = model.rank(state._replace(hidden=hidden), item)
    np.testing.assert_array_equal(before["rating"], after["rating"])
    assert np.abs(before["like"] - after["like"]).min() > 1e-5


def test_the_methods_name_alone_may_stand_for_the_section():
    config = parse_config(YAML.replace("model: {", "model: {sharing: mmoe, "))
    assert config.model.sharing.method == "mmoe"


def test_ple_keeps_the_name_shared_for_itself():
    with pytest.raises(ValueError, match="should not name one `shared`"):
        small_config(model={"sharing": "ple"}, tasks={"shared": {"kind": "binary", "label": "a"}})


@pytest.mark.parametrize("method", METHODS)
def test_a_residual_adds_to_the_shared_state(method):
    config = small_config(model={"dimension": 4, "sharing": method})
    sharing = make_sharing(config)
    states = sharing(STATE)
    for name, mixed in sharing.mix(STATE).items():
        np.testing.assert_allclose(states[name], STATE + mixed, rtol=1e-6)
        assert np.abs(mixed).max() > 0


def test_a_residual_is_as_wide_as_the_state():
    with pytest.raises(ValueError, match="`expert_width` should be left out, or `residual` false"):
        small_config(model={"sharing": {"method": "mmoe", "expert_width": 6}})
