"""The Trainer component."""

from tfx import v1 as tfx
from tfx.types import BaseChannel

from pipeline import paths
from pipeline.config import Config, dump_config
from pipeline.config.dump import TRAINER
from pipeline.fingerprint import code_fingerprint


def make_trainer(config: Config, examples: BaseChannel, transform_graph: BaseChannel) -> tfx.components.Trainer:
    """The Trainer on transformed `examples`; `run_fn` finds the splits `train`, `eval` and `items` there."""
    return tfx.components.Trainer(
        run_fn="trainer.run.run_fn",
        examples=examples,
        transform_graph=transform_graph,
        train_args=tfx.proto.TrainArgs(splits=["train"]),
        eval_args=tfx.proto.EvalArgs(splits=["eval"]),
        custom_config={
            "config": dump_config(config, *TRAINER),
            "checkpoint_folder": paths.checkpoints(config),
            "fingerprint": code_fingerprint("trainer", "transform", "pipeline/config"),
        },
    )
