"""A schema from the statistics of all splits, each of which has features of its own."""

from collections.abc import Iterable, Mapping

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import schema_pb2, statistics_pb2

from config import feature_names

_IDS = frozenset((feature_names.USER_ID, feature_names.ITEM_ID, feature_names.SEEN_ITEM_ID, feature_names.CATALOGUE_ID))
_PER_EVENT = tuple(
    prefix("")
    for prefix in (
        feature_names.context_feature,
        feature_names.outcome_feature,
        feature_names.label,
        feature_names.weight,
        feature_names.session,
    )
)


def infer_schema(statistics: Mapping[str, statistics_pb2.DatasetFeatureStatisticsList]) -> schema_pb2.Schema:
    """Infers types, presence and domains so that the data they come from have no anomaly.

    Every feature has variable length: a request may lack any. Ids get no domain, for new users and items are no
    anomaly; neither do lengths of windows bind. So the result, kept in a file and tightened, serves as the curated
    schema of later runs.

    Args:
      statistics: TFDV's statistics by the split's name. Splits without examples are passed over.

    Returns:
      One schema of all splits.

    Raises:
      ValueError: If no split has an example.
    """
    filled = {split: s for split, s in statistics.items() if example_count(s) > 0}
    if not filled:
        raise ValueError(f"The examples should have at least one row. Received: none in {', '.join(statistics)}")
    schema = _infer_all(s for split, s in filled.items() if split != feature_names.ITEMS_SPLIT)
    catalogue = _infer_all(s for split, s in filled.items() if split == feature_names.ITEMS_SPLIT)
    schema.feature.extend(catalogue.feature)
    schema.string_domain.extend(catalogue.string_domain)
    for feature in schema.feature:
        _generalise(feature)
    return _without_unused_domains(schema)


def example_count(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> int:
    """The number of examples that statistics were made of."""
    return sum(dataset.num_examples for dataset in statistics.datasets)


def _infer_all(statistics: Iterable[statistics_pb2.DatasetFeatureStatisticsList]) -> schema_pb2.Schema:
    schema = None
    for split in statistics:
        if schema is None:
            schema = tfdv.infer_schema(split, infer_feature_shape=False)
        else:
            schema = tfdv.update_schema(schema, split, infer_feature_shape=False)
    return schema or schema_pb2.Schema()


def _generalise(feature: schema_pb2.Feature) -> None:
    """Takes back what the data happen to show but need not."""
    if feature.lifecycle_stage == schema_pb2.DEPRECATED:  # TFDV's word for: another split lacks it
        feature.ClearField("lifecycle_stage")
        feature.ClearField("presence")
    if (
        feature.name in _IDS
        or feature.name == feature_names.TARGET_COUNT
        or feature.name.startswith(feature_names.session(""))
    ):
        feature.ClearField(feature.WhichOneof("domain_info") or "domain")
    if feature.name.startswith(_PER_EVENT) or feature.name in (feature_names.ITEM_ID, feature_names.SEEN_ITEM_ID):
        feature.ClearField("value_count")


def _without_unused_domains(schema: schema_pb2.Schema) -> schema_pb2.Schema:
    used = {f.domain for f in schema.feature if f.HasField("domain")}
    domains = [d for d in schema.string_domain if d.name in used]
    del schema.string_domain[:]
    schema.string_domain.extend(domains)
    return schema
