"""The schema: curated or inferred from all splits, and the part of it that each split is validated against.

TFX's SchemaGen and ExampleValidator take all splits to have the same features. Here the windows (`train`, `eval`,
`test`) and the catalogue (`items`) share none, so two steps are kept by hand: inference, as TFX's marks features that
one split lacks as deprecated, which hides them from Transform; and the choice of a split's features in validation.
"""

import os
from collections.abc import Iterable, Mapping
from typing import Any, Final

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx import v1 as tfx
from tfx.components.example_validator import executor, labels
from tfx.components.schema_gen.executor import DEFAULT_FILE_NAME
from tfx.components.statistics_gen.stats_artifact_utils import load_statistics
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.utils import io_utils, writer_utils

from config import feature_names

_BYTES, _INT = schema_pb2.BYTES, schema_pb2.INT
_WINDOW_KEYS: Final = {
    feature_names.USER_ID: _BYTES,
    feature_names.ITEM_ID: _BYTES,
    feature_names.IS_POSITIVE: _INT,
    feature_names.IS_TARGET: _INT,
}
_CATALOGUE_KEYS: Final = {feature_names.CATALOGUE_ID: _BYTES}
_EVALUATION_ONLY: Final = frozenset(
    (
        feature_names.SEEN_ITEM_ID,
        feature_names.SEEN_START,
        feature_names.SEEN_COUNT,
        feature_names.IS_COLD_USER,
        feature_names.TARGET_COUNT,
        feature_names.SPLIT,
    )
)
_ITEM_PREFIX: Final = feature_names.item_feature("")
_PER_EVENT_PREFIXES: Final = tuple(
    prefix("")
    for prefix in (
        feature_names.context_feature,
        feature_names.outcome_feature,
        feature_names.label,
        feature_names.weight,
        feature_names.session,
    )
)
_WITHOUT_DOMAIN: Final = frozenset(
    (
        feature_names.USER_ID,
        feature_names.ITEM_ID,
        feature_names.SEEN_ITEM_ID,
        feature_names.CATALOGUE_ID,
        feature_names.TARGET_COUNT,
        feature_names.SEEN_START,
        feature_names.SEEN_COUNT,
    )
)


@component
def SchemaGen(  # noqa: N802 (a component, named as TFX's)
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
    schema: OutputArtifact[standard_artifacts.Schema],
    schema_file: Parameter[str],
    digest: Parameter[str],
    fingerprint: Parameter[str],
) -> None:
    """Writes the curated schema where there is one, else the schema that `infer_schema` infers.

    Args:
      statistics: Statistics of all splits.
      schema: The output.
      schema_file: A TFDV schema in text form; "" infers the schema.
      digest: A digest of the file's content. It is part of the cache key: TFX's ImportSchemaGen knows the path only,
        and returns the cached schema after the file was edited.
      fingerprint: A digest of the code, also for the cache key.

    Raises:
      ValueError: If the schema is inferred and no split has an example.
    """
    del digest, fingerprint
    if schema_file:
        found = io_utils.SchemaReader().read(schema_file)
    else:
        splits = artifact_utils.decode_split_names(statistics.split_names)
        found = infer_schema({split: load_statistics(statistics, split).proto() for split in splits})
    io_utils.write_pbtxt_file(os.path.join(schema.uri, DEFAULT_FILE_NAME), found)


class SplitValidatorExecutor(executor.Executor):
    """TFX's executor, which validates each split against its own part of the schema and in its own environment."""

    def _Validate(self, inputs: dict[str, Any], outputs: dict[str, Any]) -> anomalies_pb2.Anomalies:  # noqa: N802
        """See the base class. The split's name is read from its output folder, `Split-<name>`."""
        folder = outputs[labels.SCHEMA_DIFF_PATH]
        split = os.path.basename(folder).removeprefix("Split-")
        statistics = inputs[standard_component_specs.STATISTICS_KEY]
        anomalies = validate_split(statistics, inputs[standard_component_specs.SCHEMA_KEY], split)
        writer_utils.write_anomalies(os.path.join(folder, executor.DEFAULT_FILE_NAME), anomalies)
        return anomalies


class ExampleValidator(tfx.components.ExampleValidator):
    """TFX's ExampleValidator with `SplitValidatorExecutor`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(SplitValidatorExecutor)


def validate_split(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, schema: schema_pb2.Schema, split: str
) -> anomalies_pb2.Anomalies:
    """Validates a split against its part of the schema.

    Args:
      statistics: Statistics of the split.
      schema: The schema of all splits. Where it names the split as an environment, TFDV's environments apply too.
      split: The split's name.

    Returns:
      TFDV's anomalies, with `data_missing` for a split without examples.
    """
    if example_count(statistics) == 0:
        return anomalies_pb2.Anomalies(data_missing=True)
    environment = split if split in schema.default_environment else None
    return tfdv.validate_statistics(statistics, split_schema(schema, split), environment=environment)


def example_count(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> int:
    """Returns the number of examples that the statistics were computed from."""
    return sum(dataset.num_examples for dataset in statistics.datasets)


def belongs(feature: str, split: str) -> bool:
    """Returns whether a split has a feature, by the feature's name in the examples."""
    of_catalogue = feature == feature_names.CATALOGUE_ID or (
        feature.startswith(_ITEM_PREFIX) and feature != feature_names.ITEM_ID
    )
    if split == feature_names.ITEMS_SPLIT:
        return of_catalogue
    return not of_catalogue and not (split == "train" and feature in _EVALUATION_ONLY)


def split_schema(schema: schema_pb2.Schema, split: str) -> schema_pb2.Schema:
    """Returns a copy of the schema with the features of one split.

    Args:
      schema: The schema of all splits.
      split: `train`, `eval`, `test` or `items`.

    Returns:
      The schema of the split. The keys that every example needs (`user_id`, `item_id`, `is_positive` and `is_target`
      of windows, `catalogue_id` of items) are required also where the schema does not name them.
    """
    own = schema_pb2.Schema()
    own.CopyFrom(schema)
    del own.feature[:]
    own.feature.extend(feature for feature in schema.feature if belongs(feature.name, split))
    present = {feature.name for feature in own.feature}
    for name, kind in (_CATALOGUE_KEYS if split == feature_names.ITEMS_SPLIT else _WINDOW_KEYS).items():
        if name not in present:
            own.feature.add(name=name, type=kind, presence={"min_fraction": 1.0, "min_count": 1})
    return own


def infer_schema(statistics: Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]) -> schema_pb2.Schema:
    """Infers types, presence and domains such that the data themselves have no anomaly.

    Every feature has variable length, as a request may lack any. Ids have no domain, as new users and items are no
    anomaly, and the lengths of windows are not bounded. The result can be kept in a file, tightened, and used as the
    curated schema of later runs.

    Args:
      statistics: TFDV's statistics by the split's name. Splits without examples are passed over.

    Returns:
      One schema of all splits.

    Raises:
      ValueError: If no split has an example.
    """
    filled = {split: found for split, found in statistics.items() if example_count(found) > 0}
    if not filled:
        raise ValueError(f"The examples should have at least one row. Received: none in {', '.join(statistics)}")
    schema = _infer_all(found for split, found in filled.items() if split != feature_names.ITEMS_SPLIT)
    catalogue = _infer_all(found for split, found in filled.items() if split == feature_names.ITEMS_SPLIT)
    schema.feature.extend(catalogue.feature)
    for feature in schema.feature:
        _generalise(feature)
    used = {feature.domain for feature in schema.feature if feature.HasField("domain")}
    domains = [domain for domain in (*schema.string_domain, *catalogue.string_domain) if domain.name in used]
    del schema.string_domain[:]
    schema.string_domain.extend(domains)
    return schema


def _infer_all(statistics: Iterable[statistics_pb2.DatasetFeatureStatisticsList]) -> schema_pb2.Schema:
    schema = None
    for split in statistics:
        if schema is None:
            schema = tfdv.infer_schema(split, infer_feature_shape=False)
        else:
            schema = tfdv.update_schema(schema, split, infer_feature_shape=False)
    return schema or schema_pb2.Schema()


def _generalise(feature: schema_pb2.Feature) -> None:
    """Removes constraints that hold for the data by chance."""
    if feature.lifecycle_stage == schema_pb2.DEPRECATED:  # TFDV's mark for a feature that another split lacks
        feature.ClearField("lifecycle_stage")
        feature.ClearField("presence")
    if feature.name in _WITHOUT_DOMAIN or feature.name.startswith(feature_names.session("")):
        feature.ClearField(feature.WhichOneof("domain_info") or "domain")
    if feature.name.startswith(_PER_EVENT_PREFIXES) or feature.name in (
        feature_names.ITEM_ID,
        feature_names.SEEN_ITEM_ID,
    ):
        feature.ClearField("value_count")
