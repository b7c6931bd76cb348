"""The Trainer and Tuner components."""

import json

from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter

from config import Config, dump_config, paths
from config.dump import TRAINER, TUNER
from config.fingerprint import TRAINER_CODE, code_fingerprint
from trainer.executor import RAW_EXAMPLES, Executor


class TrainerSpec(standard_component_specs.TrainerSpec):
    """The specification of TFX's Trainer with the examples before Transform as one more input."""

    INPUTS = {
        **standard_component_specs.TrainerSpec.INPUTS,
        RAW_EXAMPLES: ChannelParameter(type=standard_artifacts.Examples),
    }


class Trainer(base_component.BaseComponent):
    """Trains on transformed examples; the exported model's golden responses are computed from raw ones."""

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def make_trainer(
    config: Config,
    examples: types.BaseChannel,
    transform_graph: types.BaseChannel,
    raw_examples: types.BaseChannel,
    hyperparameters: types.BaseChannel | None = None,
    base_model: types.BaseChannel | None = None,
) -> Trainer:
    """Builds the Trainer.

    Args:
        config: The configuration.
        examples: The transformed examples, with the splits `train`, `eval` and `items`.
        transform_graph: The transform graph.
        raw_examples: The examples before Transform.
        hyperparameters: The Tuner's best values, if there is a Tuner.
        base_model: The model that training starts from, if any was found.
    """
    spec = TrainerSpec(
        run_fn="trainer.chief.run_fn" if config.training.has_cluster else "trainer.run.run_fn",
        examples=examples,
        transform_graph=transform_graph,
        raw_examples=raw_examples,
        hyperparameters=hyperparameters,
        base_model=base_model,
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        custom_config=json.dumps(_custom_config(config, *TRAINER)),
        model=types.Channel(type=standard_artifacts.Model),
        model_run=types.Channel(type=standard_artifacts.ModelRun),
    )
    return Trainer(spec)


def make_tuner(
    config: Config,
    examples: types.BaseChannel,
    transform_graph: types.BaseChannel,
    base_model: types.BaseChannel | None = None,
) -> tfx.components.Tuner | None:
    """Builds the Tuner on transformed examples; None if `tuner` is not configured. Its trials start from `base_model`
    as the Trainer does."""
    if config.tuner is None:
        return None
    return tfx.components.Tuner(
        tuner_fn="trainer.tuning.tuner_fn",
        examples=examples,
        transform_graph=transform_graph,
        base_model=base_model,
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        custom_config=_custom_config(config, *TUNER),
    )


def _custom_config(config: Config, *keys: str) -> dict[str, str]:
    return {
        "config": dump_config(config, *keys),
        "checkpoint_folder": paths.checkpoints(config),
        "fingerprint": code_fingerprint(*TRAINER_CODE),
    }
