import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.small import draw_rows, small_config, small_model, sparse_features
from trainer.data.windows import dense_windows
from trainer.training.diagnostics import Diagnostics


@pytest.fixture(scope="module", autouse=True)
def eager():
    """Tracing would take longer than one batch."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def measured(config):
    model = small_model(config)
    window = dense_windows(sparse_features(draw_rows(5, 4)), model.spec)
    window["is_target"] &= tf.range(tf.shape(window["mask"])[1]) % 2 == 0
    batch_spec = tf.nest.map_structure(tf.TensorSpec.from_tensor, window)
    return model, window, Diagnostics(model, tf.distribute.get_strategy(), batch_spec).measure(window)


def test_gates_are_means_over_the_targets():
    model, window, found = measured(small_config(model={"sharing": {"method": "mmoe", "experts": 2}}))
    targets = (window["mask"] & window["is_target"]).numpy()
    for name, weight in model.gates(window).items():
        assert found[f"gate/{name}"] == pytest.approx(weight.numpy()[targets].mean(), rel=1e-5)
    assert found["gate/like/expert_0"] + found["gate/like/expert_1"] == pytest.approx(1)


def test_cosines_are_those_of_the_shared_dense_gradients():
    model, window, found = measured(small_config())
    names = [v.name for v in model.trainable_variables]
    vectors = {}
    for task in ("rating", "like"):
        with tf.GradientTape() as tape:
            loss = model.compute_loss(window).tasks[task]
        gradients = dict(zip(names, tape.gradient(loss, model.trainable_variables), strict=True))
        dense = [g for g in gradients.values() if g is not None and not isinstance(g, tf.IndexedSlices)]
        own = [g for name, g in gradients.items() if name.startswith(f"{task}/") and isinstance(g, tf.Tensor)]
        vectors[task] = np.concatenate([g.numpy().ravel() for g in dense if not any(g is o for o in own)])
    a, b = vectors.values()
    expected = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert found["gradient_cosine/rating/like"] == pytest.approx(expected, rel=1e-4)
    assert {name for name in found if name.startswith("gradient_cosine")} == {
        "gradient_cosine/retrieval/rating",
        "gradient_cosine/retrieval/like",
        "gradient_cosine/rating/like",
    }


def test_one_task_has_its_weight_alone():
    config = small_config()
    _, _, found = measured(config.model_copy(update={"tasks": {"like": config.tasks["like"]}}))
    assert found == {"weight/like": 1}
