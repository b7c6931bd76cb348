"""What TFMA reads of an example: its bytes and the few features that cut slices.

A window has a dozen features of up to a hundred values; TFMA would turn each into a tensor and split it by example.
The model reads the serialized example anyway, so only the slicing features are kept. Of a feature of the event, the
last value is the target's.
"""

from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow_model_analysis as tfma

from pipeline import layout

_EVENT_PREFIX = layout.context_feature("")
_MAX_ROWS = 512
"""A batch's rows at most: the model scores rows x catalogue at once."""


def custom_extractors(eval_shared_model: Any, eval_config: Any, tensor_adapter_config: Any) -> list[Any]:
    """TFX's Evaluator calls this: TFMA's own extractors behind the one that drops what nobody reads."""
    first = tfma.extractors.Extractor(
        stage_name="KeepSlicingFeatures", ptransform=beam.FlatMap(_keep, slicing_features(eval_config))
    )
    rest = tfma.default_extractors(
        eval_shared_model=eval_shared_model, eval_config=eval_config, tensor_adapter_config=tensor_adapter_config
    )
    return [first, *rest]


def slicing_features(eval_config: Any) -> list[str]:
    """The features that the slicing specs name, sorted."""
    names = {name for spec in eval_config.slicing_specs for name in (*spec.feature_keys, *spec.feature_values)}
    return sorted(names)


def _keep(extracts: dict[str, Any], features: list[str]) -> list[dict[str, Any]]:
    batch = extracts[tfma.ARROW_RECORD_BATCH_KEY]
    columns = {tfma.constants.ARROW_INPUT_COLUMN: batch.column(tfma.constants.ARROW_INPUT_COLUMN)}
    for name in features:
        column = _values(batch, name)
        if column is not None:
            columns[name] = column
    kept = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    starts = range(0, kept.num_rows, _MAX_ROWS)
    return [{**extracts, tfma.ARROW_RECORD_BATCH_KEY: kept.slice(start, _MAX_ROWS)} for start in starts]


def _values(batch: pa.RecordBatch, name: str) -> pa.Array | None:
    """The feature as a list array without nulls; of an event's feature the last value. None: no row has a value."""
    index = batch.schema.get_field_index(name)
    kind = batch.schema.field(index).type if index >= 0 else pa.null()
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        return None
    rows = [row or [] for row in batch.column(index).to_pylist()]
    if name.startswith(_EVENT_PREFIX):
        rows = [[value for value in row[-1:] if value] for row in rows]
    return pa.array(rows, kind) if any(rows) else None
