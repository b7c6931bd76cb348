import json
from types import SimpleNamespace

import pytest

from pipeline.runners.metrics import metric
from tests.pipeline.evaluation.runs import make_config

EVALUATION = {"loss": 7.5, "ndcg@10": 0.12, "ndcg@100": 0.24, "hr@10": 0.3, "like/auc": 0.85, "stars/rmse": 0.9}


@pytest.mark.parametrize(
    ("training", "best_epoch", "evaluation", "line"),
    [
        ("{}", 3, EVALUATION, "epoch 3 of 8 kept; eval ndcg@100 0.240, like/auc 0.850, stars/rmse 0.900"),
        ("{early_stopping: {metric: hr@10}}", 3, {"hr@10": 0.3, "loss": 7.5}, "epoch 3 of 8 kept; eval hr@10 0.300"),
        ("{}", 3, {"ndcg@100": 0.24, "like/auc": None}, "epoch 3 of 8 kept; eval ndcg@100 0.240, like/auc undefined"),
        ("{early_stopping: null}", 0, {"loss": 7.5}, "8 epochs; eval loss 7.500"),
        ("{}", 0, {}, "8 epochs"),
    ],
)
def test_the_line_of_a_training_is_of_the_epoch_that_was_kept(tmp_path, training, best_epoch, evaluation, line):
    result = {"epochs": 8, "best_epoch": best_epoch, "train": {"retrieval": 5.5}, "evaluation": evaluation}
    (tmp_path / "training.json").write_text(json.dumps(result))
    config = make_config("{ks: [10, 100]}", f"training: {training}")
    assert metric("Trainer", {"model_run": [SimpleNamespace(uri=str(tmp_path))]}, config) == line
