"""Warm-up requests: a server answers them before a version turns available, so no caller pays for a first call.

They are stored in clear in the SavedModel, so they hold nothing of any person: features have the names and types of the
schema and made-up values, items are the catalogue's, which the model holds anyway.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import tensorflow as tf

from config import feature_names
from trainer.export.eval_requests import set_values
from trainer.export.prediction_log import prediction_log
from trainer.export.signatures.sample_inputs import Rows, Specs

_SKIPPED: Final = ("evaluate", "evaluation_labels")
_BATCHES: Final = (1, 8)
_WORD: Final = b"warm-up"
_VALUES: Final[dict[tf.DType, Any]] = {tf.string: _WORD, tf.int64: 0, tf.float32: 0.0}
_PER_EVENT: Final = (feature_names.context_feature(""), feature_names.outcome_feature(""))


def warmup_requests(
    specs: Mapping[str, Specs], schema: Mapping[str, tf.io.VarLenFeature], items: Sequence[bytes], max_events: int
) -> Iterator[Any]:
    """PredictionLogs for every signature that callers use: no history, a full one, and a batch of both.

    Args:
        specs: the inputs of each signature.
        schema: the raw features.
        items: some of the catalogue's ids.
        max_events: the length of a full history.
    """
    empty, full = synthetic_window(schema, items, 0), synthetic_window(schema, items, max_events)
    for windows in ([empty], *([full] * size for size in _BATCHES)):
        rows = Rows(windows, items)
        for name in sorted(set(specs) - set(_SKIPPED)):
            yield prediction_log(name, rows.inputs(name, specs[name]))


def synthetic_window(
    schema: Mapping[str, tf.io.VarLenFeature], items: Sequence[bytes], events: int
) -> tf.train.Example:
    """A window of `events` events and the one that is asked for; made-up values in every feature of the schema."""
    window = tf.train.Example()
    for name, kind in schema.items():
        if name == feature_names.ITEM_ID:
            values = [items[n % len(items)] for n in range(events + 1)]
        elif name == feature_names.TIME or name.startswith(_PER_EVENT):
            values = [_VALUES[kind.dtype]] * (events + 1)
        else:
            values = [_VALUES[kind.dtype]]
        set_values(window, name, values)
    return window
