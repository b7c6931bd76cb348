"""The distances between two sets of examples, measured by TFDV."""

from collections.abc import Iterator

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from pipeline.validation.comparators import thresholds
from pipeline.validation.comparison import Distance
from pipeline.validation.measures import Kind


def compare(
    kind: Kind,
    statistics: statistics_pb2.DatasetFeatureStatisticsList,
    reference: statistics_pb2.DatasetFeatureStatisticsList,
    comparing: schema_pb2.Schema,
) -> anomalies_pb2.Anomalies:
    """TFDV's measurements, and its anomalies of the features that are compared.

    Args:
      kind: Which comparators of the schema apply.
      statistics: What may have drifted; of skew, the split that is not `train`.
      reference: What it is compared with; of skew, `train`.
      comparing: See `comparing_schema`.
    """
    if kind == "drift":
        found = tfdv.validate_statistics(statistics, comparing, previous_statistics=reference)
    else:
        found = tfdv.validate_statistics(reference, comparing, serving_statistics=statistics)
    compared = {feature.name for feature in comparing.feature}
    for name in set(found.anomaly_info) - compared:  # new to a schema that holds nothing else
        del found.anomaly_info[name]
    return found


def read_distances(
    kind: Kind,
    anomalies: anomalies_pb2.Anomalies,
    reference: statistics_pb2.DatasetFeatureStatisticsList,
    comparing: schema_pb2.Schema,
) -> list[Distance]:
    """The distances that `compare` measured.

    Args:
      kind: As for `compare`, like the other arguments.
      anomalies: What `compare` returned.

    Returns:
      One for each feature of `comparing` that the reference has values of, by name: what is new has no distance.
    """
    return sorted(_distances(kind, anomalies, reference, comparing), key=lambda distance: distance.feature)


def _distances(
    kind: Kind,
    anomalies: anomalies_pb2.Anomalies,
    reference: statistics_pb2.DatasetFeatureStatisticsList,
    comparing: schema_pb2.Schema,
) -> Iterator[Distance]:
    infos = {info.path.step[0]: getattr(info, f"{kind}_measurements") for info in anomalies.drift_skew_info}
    known = _with_values(reference)
    for name, (measure, threshold) in thresholds(kind, comparing).items():
        if infos.get(name):
            yield Distance(name, measure, infos[name][0].value, threshold, _farthest_value(anomalies, name))
        elif name in known:
            yield Distance(name, measure, None, threshold)


def _farthest_value(anomalies: anomalies_pb2.Anomalies, name: str) -> str:
    """From TFDV's words, the only place where it is."""
    if name not in anomalies.anomaly_info:
        return ""
    return anomalies.anomaly_info[name].description.partition("with maximum difference is: ")[2]


def _with_values(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> set[str]:
    features = [feature for dataset in statistics.datasets for feature in dataset.features]
    return {feature.path.step[0] for feature in features if _common(feature).num_non_missing}


def _common(feature: statistics_pb2.FeatureNameStatistics) -> statistics_pb2.CommonStatistics:
    return getattr(feature, feature.WhichOneof("stats")).common_stats
