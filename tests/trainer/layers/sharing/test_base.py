import numpy as np
import pytest
import tensorflow as tf

from config import parse_config
from tests.trainer.served import ITEMS, serialized, shop, untrained_model
from tests.trainer.small import YAML, draw_rows, small_config, small_model, sparse_features
from trainer.data.windows import dense_windows
from trainer.export.saved_model import EXAMPLES, ExportedModel
from trainer.layers.sharing import make_sharing
from trainer.layers.sharing.base import CrossStitch
from trainer.stacking.recommender import StackedRecommender

HARD_STATE = tf.random.stateless_normal([2, 3, 4], [1, 2])


def test_hard_sharing_has_no_weights_and_one_state():
    sharing = make_sharing(small_config())
    states = sharing(HARD_STATE)
    assert sharing.variables == []
    assert sharing.gates(HARD_STATE) == {}
    assert {sharing.state_of(task) for task in ("retrieval", "rating", "like")} == set(states)
    np.testing.assert_array_equal(states[sharing.state_of("like")], HARD_STATE)


STITCH_STATE = tf.random.stateless_normal([2, 3, 4], [1, 2])


def test_cross_stitch_with_identities_is_separate_towers():
    sharing = CrossStitch(("a", "b"), levels=2, width=5)
    sharing(STITCH_STATE)
    for stitch in sharing.stitches:
        stitch.assign(tf.eye(2))
    for task, state in sharing(STITCH_STATE).items():
        values = STITCH_STATE
        for layer in sharing.towers[task]:
            values = layer(values)
        np.testing.assert_allclose(state, values, rtol=1e-6)


def test_cross_stitch_mixes_the_tasks_activations():
    sharing = CrossStitch(("a", "b", "c"), levels=1, width=5)
    towers = [sharing.towers[task][0](STITCH_STATE) for task in sharing.tasks]
    states = sharing(STITCH_STATE)
    np.testing.assert_allclose(states["b"], 0.05 * towers[0] + 0.9 * towers[1] + 0.05 * towers[2], rtol=1e-5, atol=1e-7)
    gates = {name: float(weight[0, 0]) for name, weight in sharing.gates(STITCH_STATE).items()}
    assert gates["level_0/b/b"] == pytest.approx(0.9)
    assert gates["level_0/b/a"] == pytest.approx(0.05)


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


REQUESTS = ({"user_id": ["u0"], "item_id": ITEMS[1:3], "time": [1000, 2000, 3000]}, {})


@pytest.mark.parametrize("method", ["cross_stitch", "mmoe", "ple"])
def test_a_saved_model_recommends_what_the_model_does(method, shop_graph, shop_config, tmp_path):
    model = {**shop_config.model.model_dump(), "sharing": method, "cross_layers": 1, "cross_rank": 3}
    config = shop(model=model, serving={**shop_config.serving.model_dump(exclude_unset=True), "teaches": False})
    module = ExportedModel(StackedRecommender(untrained_model(config, shop_graph)), shop_graph, config)
    recommend = tf.function(module.functions.recommend, [EXAMPLES], autograph=False).get_concrete_function()
    module.weights = list(recommend.variables)
    tf.saved_model.save(module, str(tmp_path), signatures={"recommend": recommend})
    examples = serialized(*REQUESTS)
    expected = module.functions.recommend(examples)
    found = tf.saved_model.load(str(tmp_path)).signatures["recommend"](examples=examples)
    assert found["item_id"].numpy().tolist() == expected["item_id"].numpy().tolist()
    assert found["count"].numpy().tolist() == [3, 3]
    for name in ("score", "retrieval_score", "rating", "like"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-5, atol=1e-6)
