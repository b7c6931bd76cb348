"""How TFMA sees the examples: in groups of rows, not one by one.

TFMA's own way turns every feature of a window into a tensor, cuts batches into single examples and adds each to each
metric of each slice in Python; with two ranking tasks that took 2.5 ms an example. Here only the features that cut
slices are read (of an event's feature the last value, the target's), the model sees whole batches, and the rows of
a batch that fall into the same slices stay together: a metric gets arrays. So TFMA's own metrics, which expect one
example at a time, cannot be used beside ours.
"""

from typing import Any

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma

from config import feature_names

_EVENT_PREFIX = feature_names.context_feature("")
_MAX_ROWS = 512
"""A batch's rows at most: the model scores rows x catalogue at once."""


def custom_extractors(eval_shared_model: Any, eval_config: Any, tensor_adapter_config: Any) -> list[Any]:
    """TFX's Evaluator calls this for the stages between reading and metrics."""
    del tensor_adapter_config
    names = slicing_features(eval_config)
    extractors = tfma.extractors
    labels = [extractors.TransformedFeaturesExtractor(eval_config, eval_shared_model)]
    return [
        extractors.Extractor("ReadSlicingFeatures", beam.FlatMap(read_features, names)),
        *(labels if eval_config.model_specs[0].preprocessing_function_names else []),
        extractors.PredictionsExtractor(eval_config, eval_shared_model),
        extractors.Extractor("GroupRows", beam.FlatMap(group_rows)),
        extractors.SliceKeyExtractor(eval_config=eval_config, materialize=False),
    ]


def slicing_features(eval_config: Any) -> list[str]:
    """The features that the slicing specs name, sorted."""
    return sorted({name for spec in eval_config.slicing_specs for name in spec.feature_keys})


def read_features(extracts: dict[str, Any], names: list[str]) -> list[dict[str, Any]]:
    """From Arrow batches to batches of serialized examples [N] beside their slicing features.

    Returns:
      Batches of at most 512 rows. A feature is an object array [N] of tuples: a row's values, none where missing.
    """
    batch = extracts[tfma.ARROW_RECORD_BATCH_KEY]
    serialized = np.asarray(batch.column(tfma.constants.ARROW_INPUT_COLUMN).flatten())
    columns = {name: _values(batch, name) for name in names}
    return [
        {
            tfma.INPUT_KEY: serialized[start : start + _MAX_ROWS],
            tfma.FEATURES_KEY: {name: column[start : start + _MAX_ROWS] for name, column in columns.items()},
        }
        for start in range(0, len(serialized), _MAX_ROWS)
    ]


def group_rows(extracts: dict[str, Any]) -> list[dict[str, Any]]:
    """Splits a batch into one group of rows for each combination of values of the slicing features."""
    features = extracts[tfma.FEATURES_KEY]
    members: dict[tuple[Any, ...], list[int]] = {}
    for row, values in enumerate(zip(*features.values(), strict=True)):
        members.setdefault(values, []).append(row)
    kept = {
        key: extracts[key] for key in (tfma.PREDICTIONS_KEY, tfma.constants.TRANSFORMED_FEATURES_KEY) if key in extracts
    }
    return [
        {
            tfma.FEATURES_KEY: {name: np.array(v) for name, v in zip(features, values, strict=True) if v},
            **_take(kept, np.array(rows)),
        }
        for values, rows in members.items()
    ]


def _values(batch: Any, name: str) -> np.ndarray:
    index = batch.schema.get_field_index(name)
    rows = batch.column(index).to_pylist() if index >= 0 else [None] * batch.num_rows
    if name.startswith(_EVENT_PREFIX):
        rows = [[value for value in (row or [])[-1:] if value] for row in rows]
    values = np.empty(len(rows), object)
    values[:] = [tuple(row or ()) for row in rows]
    return values


def _take(tree: dict[str, Any], rows: np.ndarray) -> dict[str, Any]:
    """The rows of every array in nested dictionaries."""
    return {key: _take(value, rows) if isinstance(value, dict) else value[rows] for key, value in tree.items()}
