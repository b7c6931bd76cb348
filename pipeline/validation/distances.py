"""Distances between distributions: their thresholds, their values in TFDV's anomalies, and how they are described."""

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2
from tfx.dsl.io import fileio
from tfx.proto import distribution_validator_pb2

from config.evaluation import DistanceConfig
from pipeline.validation.measures import JENSEN_SHANNON, L_INFINITY, Kind, Measure

FILE: Final = "distances.json"

_QUANTILES: Final = schema_pb2.HistogramSelection.QUANTILES
"""TFDV's other histogram has buckets of equal width: one outlier puts all other values into one bucket, and a constant
is at distance 1 from a feature that is nearly constant."""
_MOST_IN_A_LINE: Final = 3

Comparators = dict[str, schema_pb2.FeatureComparator]
Thresholds = Mapping[str, tuple[Measure, float]]
"""By feature: the measure, and the largest distance that is allowed."""


@dataclass(frozen=True)
class Distance:
    """The distance of a feature's distribution from that of the reference.

    Attributes:
      feature: The feature's name in the examples.
      measure: The measure.
      found: The distance, from 0 to 1; None where the examples hold no values to compare and the reference does.
      threshold: The largest distance that is allowed.
      value: Of an L-infinity distance above its threshold: the value whose share differs most.
    """

    feature: str
    measure: Measure
    found: float | None
    threshold: float
    value: str = ""

    @property
    def is_too_far(self) -> bool:
        """Whether the distance exceeds its threshold. Missing values always do."""
        return self.found is None or self.found > self.threshold

    def __str__(self) -> str:
        """Returns "`user_age`: L-infinity distance 0.412, threshold 0.1, most of it by 'F'"."""
        if self.found is None:
            return f"`{self.feature}`: no values to compare, and the reference has some"
        by = f", most of it by {self.value!r}" if self.value else ""
        return f"`{self.feature}`: {self.measure} {self.found:.3g}, threshold {self.threshold:g}{by}"


@dataclass(frozen=True)
class Comparison:
    """A split that was compared with a reference.

    Attributes:
      kind: `drift` or `skew`.
      split: The split that was compared.
      statistics: The folder of its statistics.
      reference: The folder of the statistics that it was compared with.
      distances: The distances, sorted by feature.
    """

    kind: Kind
    split: str
    statistics: str
    reference: str
    distances: tuple[Distance, ...]

    @property
    def too_far(self) -> tuple[Distance, ...]:
        """The distances that exceed their thresholds."""
        return tuple(distance for distance in self.distances if distance.is_too_far)


def comparators(
    kind: Kind, settings: DistanceConfig, measures: Mapping[str, Measure], curated: schema_pb2.Schema
) -> Comparators:
    """Returns TFDV's comparator of every feature that has a threshold.

    Args:
      kind: Which comparators of the curated schema are read.
      settings: The configured thresholds.
      measures: The measure by feature.
      curated: The curated schema. Its comparators take precedence over `settings.threshold`, and `settings.features`
        over them.

    Returns:
      Comparators by the feature's name in the examples.
    """
    field = f"{kind}_comparator"
    found = {} if settings.threshold is None else {n: _comparator(m, settings.threshold) for n, m in measures.items()}
    found |= {feature.name: getattr(feature, field) for feature in curated.feature if feature.HasField(field)}
    return found | {name: _comparator(measures[name], threshold) for name, threshold in settings.features.items()}


def _comparator(measure: Measure, threshold: float) -> schema_pb2.FeatureComparator:
    if measure == L_INFINITY:
        return schema_pb2.FeatureComparator(infinity_norm={"threshold": threshold})
    divergence = {"threshold": threshold, "source": {"type": _QUANTILES}}
    return schema_pb2.FeatureComparator(jensen_shannon_divergence=divergence)


def distribution_config(found: Comparators) -> Any:
    """Returns the `DistributionValidatorConfig` of these comparators."""
    features = [{"path": {"step": [name]}, "distribution_comparator": comparator} for name, comparator in found.items()]
    proto: Any = distribution_validator_pb2
    return proto.DistributionValidatorConfig(default_slice_config={"feature": features})


def thresholds(found: Comparators) -> Thresholds:
    """Returns the measure and the threshold of each comparator."""
    return {
        name: (L_INFINITY, comparator.infinity_norm.threshold)
        if comparator.HasField("infinity_norm")
        else (JENSEN_SHANNON, comparator.jensen_shannon_divergence.threshold)
        for name, comparator in found.items()
    }


def read_distances(
    anomalies: anomalies_pb2.Anomalies,
    reference: statistics_pb2.DatasetFeatureStatisticsList,
    limits: Thresholds,
) -> tuple[Distance, ...]:
    """Reads the distances that the DistributionValidator measured.

    Args:
      anomalies: Its anomalies of a pair of splits.
      reference: The statistics that the split was compared with.
      limits: The thresholds of the features to read.

    Returns:
      One distance for each feature that the reference has values of, sorted by feature: a feature that is new has none.
    """
    measured = {info.path.step[0]: info.drift_measurements for info in anomalies.drift_skew_info}
    known = {
        feature.path.step[0]
        for dataset in reference.datasets
        for feature in dataset.features
        if getattr(feature, feature.WhichOneof("stats")).common_stats.num_non_missing
    }
    distances = []
    for name, (measure, threshold) in sorted(limits.items()):
        if measured.get(name):
            # TFDV names the value only in its description.
            texts = [reason.description for reason in anomalies.anomaly_info[name].reason]
            value = next((found for t in texts if (found := t.partition("with maximum difference is: ")[2])), "")
            distances.append(Distance(name, measure, measured[name][0].value, threshold, value))
        elif name in known:
            distances.append(Distance(name, measure, None, threshold))
    return tuple(distances)


def write_comparisons(folder: str, comparisons: Sequence[Comparison]) -> None:
    """Writes the comparisons to `folder`, which is made where it is missing."""
    fileio.makedirs(folder)
    with fileio.open(posixpath.join(folder, FILE), "w") as file:
        file.write(json.dumps([asdict(comparison) for comparison in comparisons], indent=2))


def read_comparisons(folder: str) -> list[Comparison]:
    """Reads what `write_comparisons` wrote."""
    with fileio.open(posixpath.join(folder, FILE)) as file:
        found = json.loads(file.read())
    return [Comparison(**{**c, "distances": tuple(Distance(**d) for d in c["distances"])}) for c in found]


def distribution_message(comparisons: Sequence[Comparison]) -> str:
    """Returns the error that names every distance above its threshold and the remedy; "" where there is none."""
    far = [comparison for comparison in comparisons if comparison.too_far]
    if not far:
        return ""
    count = sum(len(comparison.too_far) for comparison in far)
    lines = [f"{'1 distribution is' if count == 1 else f'{count} distributions are'} too far from the reference:"]
    for comparison in far:
        lines.append(f"  {comparison.kind} of {comparison.split}: {comparison.statistics} from {comparison.reference}")
        lines += [f"    {distance}" for distance in comparison.too_far]
    kinds = list(dict.fromkeys(comparison.kind for comparison in far))
    features = " and ".join(f"`pipeline.{kind}.features`" for kind in kinds)
    off = " and ".join(f"`pipeline.{kind}.stop: false`" for kind in kinds)
    lines.append(
        f"Correct the data. Where the change is meant, raise the thresholds in {features}; "
        f"{off} {'lets' if len(kinds) == 1 else 'let'} the run go on."
    )
    return "\n".join(lines)


def summary(comparisons: Sequence[Comparison]) -> str:
    """Returns a line: the distances above their thresholds, else the distance that is nearest to its threshold."""
    if far := [f"{c.kind} of {c.split}: {distance}" for c in comparisons for distance in c.too_far]:
        more = f"; {len(far) - _MOST_IN_A_LINE} more" if len(far) > _MOST_IN_A_LINE else ""
        return f"too far: {'; '.join(far[:_MOST_IN_A_LINE])}{more}"
    near = [(d.threshold - (d.found or 0), c, d) for c in comparisons for d in c.distances]
    if not near:
        return "nothing to compare with"
    _, comparison, distance = min(near, key=lambda found: found[0])
    return f"{len(near)} distances, nearest to its threshold: {comparison.kind} of {comparison.split}: {distance}"
