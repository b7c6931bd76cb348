"""The Transform component."""

from tfx import v1 as tfx
from tfx.types import BaseChannel

from config import Config, dump_config, feature_names
from config.dump import TRANSFORM
from config.fingerprint import code_fingerprint


def make_transform(config: Config, examples: BaseChannel, schema: BaseChannel) -> tfx.components.Transform:
    """Transforms all splits of `examples`; what it learns of the data it learns from `train` and `items` alone.

    TFX's statistics before and after Transform are off: they cost as much as Transform itself, and the raw examples
    have theirs from StatisticsGen.
    """
    return tfx.components.Transform(
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
        },
    )
