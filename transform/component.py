"""The Transform component."""

from typing import Final

from tfx import v1 as tfx
from tfx.dsl.components.base import executor_spec
from tfx.types import BaseChannel

from config import Config, dump_config, feature_names
from config.dump import TRANSFORM
from config.fingerprint import code_fingerprint
from transform.executor import FILES, Executor

_FILES: Final = 24
"""The least number of files of a split that several workers read: they are divided evenly among up to nine."""


class DividedTransform(tfx.components.Transform):
    """Transform with an executor that writes several files."""

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(Executor)


def make_transform(config: Config, examples: BaseChannel, schema: BaseChannel) -> tfx.components.Transform:
    """Transforms all splits of `examples`; what it learns of the data it learns from `train` and `items` alone.

    TFX's statistics before and after Transform are off: they cost as much as Transform itself, and the raw examples
    have theirs from StatisticsGen.
    """
    is_divided = config.training.has_cluster
    component = DividedTransform if is_divided else tfx.components.Transform
    return component(
        examples=examples,
        schema=schema,
        preprocessing_fn="transform.preprocessing.preprocessing_fn",
        splits_config=tfx.proto.SplitsConfig(
            analyze=["train", feature_names.ITEMS_SPLIT],
            transform=[*feature_names.WINDOW_SPLITS, feature_names.ITEMS_SPLIT],
        ),
        disable_analyzer_cache=True,
        disable_statistics=True,
        custom_config={
            "config": dump_config(config, *TRANSFORM),
            "fingerprint": code_fingerprint("transform", "config"),
            **({FILES: _FILES} if is_divided else {}),
        },
    ).with_id("Transform")
