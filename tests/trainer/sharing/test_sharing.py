import numpy as np
import pytest
import tensorflow as tf

from pipeline.config import parse_config
from tests.trainer.small import YAML, draw_rows, small_config, small_model, sparse_features
from trainer.sharing import make_sharing
from trainer.sharing.cross_stitch import CrossStitch
from trainer.sharing.mmoe import MixtureOfExperts
from trainer.sharing.ple import ProgressiveExtraction
from trainer.windows import dense_windows

METHODS = ("cross_stitch", "mmoe", "ple")
STATE = tf.random.stateless_normal([2, 3, 4], [1, 2])


@pytest.fixture(scope="module", params=METHODS)
def model(request):
    sharing = {"method": request.param, "levels": 2, "expert_width": 6}
    return small_model(small_config(model={**small_config().model.model_dump(), "sharing": sharing}))


def test_hard_sharing_has_no_weights_and_one_state():
    sharing = make_sharing(small_config())
    states = sharing(STATE)
    assert sharing.variables == []
    assert sharing.gates(STATE) == {}
    assert {sharing.state_of(task) for task in ("retrieval", "rating", "like")} == set(states)
    np.testing.assert_array_equal(states[sharing.state_of("like")], STATE)


def test_cross_stitch_with_identities_is_separate_towers():
    sharing = CrossStitch(("a", "b"), levels=2, width=5)
    sharing(STATE)
    for stitch in sharing.stitches:
        stitch.assign(tf.eye(2))
    for task, state in sharing(STATE).items():
        values = STATE
        for layer in sharing.towers[task]:
            values = layer(values)
        np.testing.assert_allclose(state, values, rtol=1e-6)


def test_cross_stitch_mixes_the_tasks_activations():
    sharing = CrossStitch(("a", "b", "c"), levels=1, width=5)
    towers = [sharing.towers[task][0](STATE) for task in sharing.tasks]
    states = sharing(STATE)
    np.testing.assert_allclose(states["b"], 0.05 * towers[0] + 0.9 * towers[1] + 0.05 * towers[2], rtol=1e-5, atol=1e-7)
    gates = {name: float(weight[0, 0]) for name, weight in sharing.gates(STATE).items()}
    assert gates["level_0/b/b"] == pytest.approx(0.9)
    assert gates["level_0/b/a"] == pytest.approx(0.05)


def test_an_mmoe_state_is_the_experts_weighed_by_the_tasks_gate():
    sharing = MixtureOfExperts(("a", "b"), experts=3, width=5)
    states, gates = sharing(STATE), sharing.gates(STATE)
    experts = sharing.experts(STATE).numpy()
    for task in "ab":
        weights = np.stack([gates[f"{task}/expert_{e}"] for e in range(3)], axis=-1)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)
        np.testing.assert_allclose(states[task], np.einsum("ble,blew->blw", weights, experts), rtol=1e-5, atol=1e-6)


def test_ple_weighs_own_and_common_experts_level_by_level():
    sharing = ProgressiveExtraction(("a", "b"), experts=2, task_experts=1, levels=2, width=5)
    found, gates = sharing(STATE), {name: weight.numpy() for name, weight in sharing.gates(STATE).items()}

    def mixed(level, gate, states, sources):
        experts = np.concatenate([sharing.levels[level].experts[s](states[s]) for s in sources], axis=-2)
        counts = {"a": 1, "b": 1, "shared": 2}
        names = [f"level_{level}/{gate}/{s}_{e}" for s in sources for e in range(counts[s])]
        weights = np.stack([gates.pop(name) for name in names], axis=-1)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-6)
        return np.einsum("ble,blew->blw", weights, experts)

    states = dict.fromkeys(("a", "b", "shared"), STATE.numpy())
    states = {
        "a": mixed(0, "a", states, ("a", "shared")),
        "b": mixed(0, "b", states, ("b", "shared")),
        "shared": mixed(0, "shared", states, ("a", "b", "shared")),
    }
    for task in "ab":
        np.testing.assert_allclose(found[task], mixed(1, task, states, (task, "shared")), rtol=1e-5, atol=1e-6)
    assert set(found) == {"a", "b"}
    assert gates == {}


def test_another_tasks_own_experts_do_not_reach_a_ple_task_of_one_level():
    sharing = ProgressiveExtraction(("a", "b"), experts=2, task_experts=1, levels=1, width=5)
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(sharing(STATE)["a"])
    gradients = tape.gradient(total, sharing.levels[0].experts["b"].trainable_variables)
    assert gradients == [None, None]


def test_every_weight_learns_and_positions_stay_apart(model):
    window = dense_windows(sparse_features(draw_rows(3, 16)), model.spec)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(window, training=True)
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
