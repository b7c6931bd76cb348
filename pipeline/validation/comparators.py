"""The thresholds of the configuration and of a curated schema as TFDV's comparators."""

from collections.abc import Mapping
from typing import Final

from tensorflow_metadata.proto.v0 import schema_pb2

from config.evaluation import DistanceConfig
from pipeline.validation.measures import JENSEN_SHANNON, L_INFINITY, Kind, Measure

_QUANTILES: Final = schema_pb2.HistogramSelection.QUANTILES
"""TFDV's other histogram has buckets of equal width: one outlier puts all else into one of them, and a constant is at
distance 1 from what is nearly constant."""


def comparing_schema(
    kind: Kind, settings: DistanceConfig, measures: Mapping[str, Measure], schema: schema_pb2.Schema
) -> schema_pb2.Schema:
    """A schema of comparators and nothing else.

    Args:
      kind: Which of the schema's comparators are read and made.
      settings: The configured thresholds.
      measures: By feature.
      schema: Of all splits. Comparators of a curated one go before `settings.threshold`, after `settings.features`.

    Returns:
      The features that have a threshold, each with its type and its one comparator.
    """
    field = f"{kind}_comparator"
    by_default = measures if settings.threshold is not None else {}
    found = {name: _comparator(measures[name], settings.threshold) for name in by_default}
    found |= {feature.name: getattr(feature, field) for feature in schema.feature if feature.HasField(field)}
    found |= {name: _comparator(measures[name], threshold) for name, threshold in settings.features.items()}
    types = {feature.name: feature.type for feature in schema.feature}
    comparing = schema_pb2.Schema()
    for name, comparator in found.items():
        comparing.feature.add(name=name, type=types.get(name) or _type(comparator), **{field: comparator})
    return comparing


def thresholds(kind: Kind, comparing: schema_pb2.Schema) -> dict[str, tuple[Measure, float]]:
    """What `comparing_schema` made, by feature: the measure and the longest distance that is near enough."""
    return {feature.name: _threshold(getattr(feature, f"{kind}_comparator")) for feature in comparing.feature}


def _comparator(measure: Measure, threshold: float | None) -> schema_pb2.FeatureComparator:
    if measure == L_INFINITY:
        return schema_pb2.FeatureComparator(infinity_norm={"threshold": threshold})
    divergence = {"threshold": threshold, "source": {"type": _QUANTILES}}
    return schema_pb2.FeatureComparator(jensen_shannon_divergence=divergence)


def _type(comparator: schema_pb2.FeatureComparator) -> int:
    """TFDV measures nothing of a feature of unknown type."""
    return schema_pb2.BYTES if comparator.HasField("infinity_norm") else schema_pb2.FLOAT


def _threshold(comparator: schema_pb2.FeatureComparator) -> tuple[Measure, float]:
    if comparator.HasField("infinity_norm"):
        return L_INFINITY, comparator.infinity_norm.threshold
    return JENSEN_SHANNON, comparator.jensen_shannon_divergence.threshold
