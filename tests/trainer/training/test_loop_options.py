"""What a training may do besides: prune, average, generate, learn from a teacher."""

import numpy as np
import tensorflow as tf

from tests.trainer.model.cold import GENERATOR, cold_config, cold_model
from tests.trainer.small import draw_rows, write_rows
from trainer.data.batching import BatchPlan
from trainer.data.dataset import WindowData
from trainer.model.generator import LOSS as GENERATION
from trainer.training.distillation import LOSS as DISTILLATION
from trainer.training.loop import TrainingLoop
from trainer.training.pruning import prunable


class Teacher:
    """Wants every item's bias to be 3."""

    def __init__(self, model):
        self._model = model
        self.traces = 0

    def losses(self, window):
        self.traces += 1
        return {DISTILLATION: 100 * tf.reduce_sum((self._model.candidates.bias - 3) ** 2)}


def test_a_training_with_all_of_them(tmp_path):
    pruning = {"sparsity": 0.5, "start": 0, "end": 0.5, "every_steps": 1}
    training = {"epochs": 2, "pruning": pruning, "averaging": {"decay": 0.5}}
    model = cold_model(
        cold_config(GENERATOR, model={"history": {"encoder": "mean", "max_events": 6}}, training=training)
    )
    kept = {v.name: v.numpy() for v in model.adversary.trainable_variables}
    bias = model.candidates.bias.numpy()
    data = WindowData([write_rows(tmp_path / "data.gz", draw_rows(1, 9))], model.spec)
    strategy, teacher, plan = tf.distribute.get_strategy(), Teacher(model), BatchPlan.mixed(4, 9)
    loop = TrainingLoop(model, strategy, data, plan, None, str(tmp_path / "state"), str(tmp_path), teacher)
    result = loop.run()
    assert teacher.traces == 1  # although an epoch's last batch is smaller
    assert {GENERATION, "generator/distance", "generator/slope_penalty", DISTILLATION} <= set(result.train)
    for kernel in prunable(model.trainable_variables):
        share = np.mean(kernel.numpy() == 0)
        np.testing.assert_allclose(share, 0.5, atol=0.5 / kernel.shape.num_elements() + 1e-6, err_msg=kernel.name)
    moved = {v.name for v in model.adversary.trainable_variables if np.abs(v.numpy() - kept[v.name]).max() > 0}
    assert any("critic" in name for name in moved)
    assert any("correct" in name for name in moved)
    assert (np.abs(model.candidates.bias.numpy() - 3) < np.abs(bias - 3)).all()
