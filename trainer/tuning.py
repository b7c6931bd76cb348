"""The entry of TFX's Tuner: a search for the hyperparameters that the Trainer then uses."""

import hashlib
import json
import posixpath
from typing import Any

import attr
import keras_tuner
import tensorflow as tf
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial
from tfx.components.trainer.fn_args_utils import FnArgs
from tfx.components.tuner.component import TunerFnResult

from config import Config, dump_config, parse_config
from config.load import changed_config
from config.progress import say
from config.tuner import Parameter, TunerConfig
from trainer.arguments import RunArguments
from trainer.distributed.strategies import make_strategy
from trainer.run import TrainingJob
from trainer.training.early_stopping import is_lower_better, metric_of


def tuner_fn(fn_args: FnArgs) -> TunerFnResult:
    """Builds the search that `tuner` configures.

    Its state is in the checkpoint folder: a search that was killed resumes after its last finished trial.

    Args:
        fn_args: TFX's arguments, with the `custom_config` of `trainer.run.run_fn`.
    """
    config = parse_config(fn_args.custom_config["config"], "custom_config")
    if config.tuner is None:
        raise ValueError("`tuner` should be configured. Received: None")
    return TunerFnResult(tuner=TrainingTuner(config, config.tuner, fn_args), fit_kwargs={})


class TrainingTuner(BaseTuner):
    """Runs one training per trial.

    Args:
        config: The configuration that trials change.
        search: Its section `tuner`.
        fn_args: The files and folders.
    """

    def __init__(self, config: Config, search: TunerConfig, fn_args: FnArgs) -> None:
        self._config, self._search, self._fn_args = config, search, fn_args
        super().__init__(
            make_oracle(search),
            directory=fn_args.custom_config["checkpoint_folder"],
            project_name=f"tuner-{_digest(fn_args)}",
        )

    def run_trial(self, trial: Trial) -> dict[str, float]:
        """Trains with the trial's values and returns the objective.

        Raises:
            FatalValueError: The objective is undefined on the eval split, which ends the search.
            FailedTrialError: A loss is not finite with these values.
        """
        values = trial.hyperparameters.values
        say(f"trial {int(trial.trial_id) + 1} of {self._search.trials}: {values}")
        config = trial_config(self._config, self._search, values)
        try:
            evaluation = self._train(config, posixpath.join(self.project_dir, "logs", trial.trial_id))
        except FloatingPointError as error:
            raise keras_tuner.errors.FailedTrialError(str(error)) from error
        try:
            return {self._search.objective: metric_of(evaluation, self._search.objective, "tuner.objective")}
        except ValueError as error:
            raise keras_tuner.errors.FatalValueError(str(error)) from error

    def on_search_end(self) -> None:
        """Removes the state that only a resumed search needs."""
        tf.io.gfile.rmtree(self.project_dir)

    def _train(self, config: Config, log_folder: str) -> dict[str, float]:
        custom_config = {**self._fn_args.custom_config, "config": dump_config(config)}
        fn_args = attr.evolve(self._fn_args, model_run_dir=log_folder, custom_config=custom_config)
        job = TrainingJob(RunArguments.of(fn_args), make_strategy(config.training))
        result = job.train()
        job.loop.remove_checkpoints()
        return result.evaluation


def trial_config(config: Config, search: TunerConfig, values: dict[str, Any]) -> Config:
    """Returns the configuration of a trial: on this machine, and fitted on train only, since eval judges it."""
    keys = ["training.epochs", *(["training.warm_start.epochs"] if config.training.warm_start else [])]
    epochs = {} if search.epochs is None else dict.fromkeys(keys, search.epochs)
    alone = {"training.strategy": _own_strategy()} if config.training.strategy == "multi_worker" else {}
    return changed_config(config, {"training.fit_on": ["train"], **alone, **epochs, **values})


def _own_strategy() -> str:
    """Returns the strategy of trials where several workers train in the end: this machine's devices alone.

    The same global batches give the same losses with either, so that trials tell the same.
    """
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one_device"


def make_oracle(search: TunerConfig) -> keras_tuner.Oracle:
    """Builds the oracle that chooses the values of trials."""
    space = keras_tuner.HyperParameters()
    for key, parameter in search.parameters.items():
        _add(space, key, parameter)
    direction = "min" if is_lower_better(search.objective) else "max"
    makers = {
        "random": keras_tuner.oracles.RandomSearchOracle,
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    }
    return makers[search.algorithm](
        objective=keras_tuner.Objective(search.objective, direction),
        max_trials=search.trials,
        seed=search.seed,
        hyperparameters=space,
        allow_new_entries=False,
        tune_new_entries=False,
    )


def _add(space: keras_tuner.HyperParameters, key: str, parameter: Parameter) -> None:
    if parameter.choices:
        space.Choice(key, list(parameter.choices))
    elif isinstance(parameter.min, int) and isinstance(parameter.max, int):
        space.Int(key, parameter.min, parameter.max, sampling=parameter.scale)
    else:
        space.Float(key, parameter.min, parameter.max, sampling=parameter.scale)


def _digest(fn_args: FnArgs) -> str:
    custom = fn_args.custom_config
    files = [fn_args.train_files, fn_args.eval_files, fn_args.base_model]
    key = json.dumps([custom["config"], custom["fingerprint"], *files])
    return hashlib.sha256(key.encode()).hexdigest()[:16]
