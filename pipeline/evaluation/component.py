"""The Evaluator."""

from tfx import types
from tfx import v1 as tfx

from config import Config
from pipeline.evaluation.eval_config import make_eval_config

_EXTRACTORS = "pipeline.evaluation.extractors"


def make_evaluator(
    config: Config, examples: types.BaseChannel, model: types.BaseChannel, baseline_model: types.BaseChannel
) -> tfx.components.Evaluator:
    """TFX's Evaluator: measures a model on the splits of `evaluation.splits`, and blesses it when the gates hold.

    Args:
      config: The validated configuration.
      examples: Raw examples with the splits `eval` and `test`.
      model: The exported model, with the signatures `evaluate` and `evaluation_labels`.
      baseline_model: The latest blessed model; empty on a first run, which then has nothing to fall behind.
    """
    return tfx.components.Evaluator(
        examples=examples,
        model=model,
        baseline_model=baseline_model,
        example_splits=list(config.evaluation.splits),
        eval_config=make_eval_config(config),
        module_path=_EXTRACTORS,
    )
