import pytest
import tensorflow as tf
from pydantic import ValidationError
from tfx.components.trainer.fn_args_utils import FnArgs

from config import dump_config
from config.load import changed_config
from config.tuner import Parameter, TunerConfig
from tests.trainer.served import shop, transform_graph
from tests.trainer.small import encoder_config, small_config
from tests.trainer.test_run import write_splits
from trainer.tuning import make_oracle, trial_config, tuner_fn

LEARNING_RATE = "training.optimizer.learning_rate"


@pytest.fixture(scope="module", autouse=True)
def eager():
    """Tracing would take longer than these few steps."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def fn_args(tmp_path):
    config = shop(
        tasks={"retrieval": {"kind": "retrieval"}},
        model=encoder_config("mean").model.model_dump(),
        serving={},
        training={"epochs": 5, "batch_size": 8, "fit_on": ["train", "eval"]},
        tuner={"parameters": {LEARNING_RATE: {"choices": [1e-9, 0.05]}}, "objective": "loss", "trials": 2, "epochs": 2},
    )
    write_splits(tmp_path / "examples")
    return FnArgs(
        working_dir=str(tmp_path),
        train_files=[str(tmp_path / "examples/Split-train/*")],
        eval_files=[str(tmp_path / "examples/Split-eval/*")],
        transform_graph_path=transform_graph(config, tmp_path / "graph").transform_savedmodel_dir.rsplit("/", 1)[0],
        custom_config={
            "config": dump_config(config),
            "checkpoint_folder": str(tmp_path / "checkpoints"),
            "fingerprint": "f",
        },
    )


def test_a_search_finds_the_rate_that_learns(fn_args, tmp_path):
    tuner = tuner_fn(fn_args).tuner
    tuner.search()
    first, second = tuner.oracle.get_best_trials(2)
    assert first.hyperparameters.values == {LEARNING_RATE: 0.05}
    assert second.hyperparameters.values == {LEARNING_RATE: 1e-9}
    assert first.score < second.score
    assert list((tmp_path / "checkpoints").iterdir()) == []


@pytest.mark.parametrize(("objective", "direction"), [("loss", "min"), ("rating/rmse", "min"), ("ndcg@10", "max")])
def test_the_objective_has_a_direction(objective, direction):
    search = TunerConfig(parameters={"model.dimension": Parameter(choices=(8, 16))}, objective=objective)
    assert make_oracle(search).objective.direction == direction


@pytest.mark.parametrize("algorithm", ["random", "bayesian"])
def test_values_are_drawn_from_choices_and_ranges(algorithm):
    parameters = {
        "model.dimension": Parameter(choices=(8, 16)),
        "training.batch_size": Parameter(min=2, max=5),
        LEARNING_RATE: Parameter(min=1e-4, max=1e-1, scale="log"),
    }
    oracle = make_oracle(TunerConfig(parameters=parameters, algorithm=algorithm, trials=20))
    drawn = [oracle.populate_space(str(number))["values"] for number in range(3)]
    assert all(set(values) == set(parameters) for values in drawn)
    assert {values["model.dimension"] for values in drawn} <= {8, 16}
    assert {values["training.batch_size"] for values in drawn} <= {2, 3, 4, 5}
    assert all(1e-4 <= values[LEARNING_RATE] <= 1e-1 for values in drawn)


def test_a_trial_changes_keys_and_fits_train_only():
    search = TunerConfig(parameters={"tasks.like.weight": Parameter(choices=(0.1, 1.0))}, epochs=2)
    config = small_config(training={"fit_on": ["train", "eval"]})
    found = trial_config(config, search, {"tasks.like.weight": 0.1})
    assert (found.tasks["like"].weight, found.training.epochs, found.training.fit_on) == (0.1, 2, ("train",))
    assert found.model == config.model


def test_powers_of_ten_are_numbers():
    assert Parameter(choices=["1e-3", 0.5, 1]).choices == (0.001, 0.5, 1.0)
    assert Parameter(choices=["adam", "1e"]).choices == ("adam", "1e")
    assert (Parameter(min="1e-5", max=1).min, Parameter(min=1, max=3).max) == (1e-5, 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "either `choices` or both"),
        ({"choices": [1], "min": 1, "max": 2}, "either `choices` or both"),
        ({"min": 1}, "either `choices` or both"),
        ({"choices": [1, "a"]}, "of one type"),
        ({"min": 2, "max": 1}, r"`min` should be below `max` \(1\). Received: 2"),
        ({"min": 0, "max": 1, "scale": "log"}, "above 0 with the scale `log`"),
    ],
)
def test_a_parameter_without_values_is_refused(values, message):
    with pytest.raises(ValidationError, match=message):
        Parameter(**values)


def test_trials_train_on_this_machine_where_several_workers_do_afterwards():
    search = TunerConfig(parameters={LEARNING_RATE: Parameter(choices=(0.1,))})
    config = changed_config(small_config(), {"training.strategy": "multi_worker"})
    assert trial_config(config, search, {LEARNING_RATE: 0.1}).training.strategy == "one_device"
