"""Which model a training starts from, and what a warm training's configuration is."""

from types import SimpleNamespace
from typing import Any

import pytest

from config import ConfigError
from tests.trainer.small import small_config
from trainer.training.base_model import BaseModel


def config(**training: Any) -> Any:
    return small_config(training={"epochs": 3, **training})


def test_without_a_state_the_reason_is_given(tmp_path: Any) -> None:
    assert BaseModel(config(), str(tmp_path / "Format-Serving")).report == ()
    (sentence,) = BaseModel(config(warm_start={}), None).report
    assert "no model that is older than this run's data was blessed yet" in sentence
    (sentence,) = BaseModel(config(warm_start={}), str(tmp_path / "Format-Serving")).report
    assert f"{tmp_path} was trained without `training.warm_start`: training starts from random" in sentence
    with pytest.raises(ConfigError, match=r"`training.warm_start.model` should be the folder .* no Format-Training"):
        BaseModel(config(warm_start={"model": str(tmp_path)}), None)


def test_a_warm_training_has_its_own_epochs_and_learning_rates() -> None:
    both = {"embeddings": {"name": "adagrad", "learning_rate": 0.1}, "learning_rate": 0.004, "warmup_steps": 7}
    asked = config(warm_start={"epochs": 2, "learning_rate_factor": 0.5}, optimizer=both)
    base = BaseModel(asked, None)
    assert base.changed(asked) == asked
    base.state = SimpleNamespace(name="small", optimizer="adamw, embeddings adagrad")  # type: ignore[assignment]
    warm = base.changed(asked).training
    assert (warm.epochs, warm.optimizer.learning_rate, warm.optimizer.warmup_steps) == (2, 0.002, 0)
    assert warm.optimizer.embeddings is not None
    assert warm.optimizer.embeddings.learning_rate == 0.05
    base.state = SimpleNamespace(name="other", optimizer="adamw")  # type: ignore[assignment]
    other = base.changed(config(warm_start={"epochs": None}, optimizer=both)).training
    assert (other.epochs, other.optimizer.warmup_steps) == (3, 7), "the slots are another optimizer's"


@pytest.mark.parametrize(("name", "ids", "moves"), [("small", None, True), ("b", None, False), ("b", True, True)])
def test_ids_are_those_of_a_pipeline_of_the_same_name(name: str, ids: bool | None, moves: bool) -> None:
    asked = config(warm_start={"ids": ids})
    base = BaseModel(asked, None)
    base.state = SimpleNamespace(name=name)  # type: ignore[assignment]
    assert base.moves_ids(asked) is moves
