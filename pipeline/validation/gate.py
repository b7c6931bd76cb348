"""The component that stops the run on anomalies, drift and skew: TFX's validators only report them."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from absl import logging
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.components.statistics_gen.stats_artifact_utils import load_statistics
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.io import fileio
from tfx.types import artifact_utils, standard_artifacts

from pipeline.validation.distances import (
    Comparison,
    Thresholds,
    distribution_message,
    read_distances,
    write_comparisons,
)
from pipeline.validation.measures import Kind
from pipeline.validation.schema import belongs, example_count


class AnomaliesError(ValueError):
    """The data have anomalies. The message names split, feature, values and remedy."""


@component
def AnomalyGate(  # noqa: N802 (a component)
    statistics: InputArtifact[standard_artifacts.ExampleStatistics],
    anomalies: InputArtifact[standard_artifacts.ExampleAnomalies],
    comparisons: OutputArtifact[standard_artifacts.ExampleAnomalies],
    settings: Parameter[str],
    fingerprint: Parameter[str],
    reference: InputArtifact[standard_artifacts.ExampleStatistics] = None,
    drift: InputArtifact[standard_artifacts.ExampleAnomalies] = None,
    skew: InputArtifact[standard_artifacts.ExampleAnomalies] = None,
) -> None:
    """Raises if there are anomalies, or distances above their thresholds, that the configuration stops on.

    Args:
      statistics: Statistics of this run.
      anomalies: Anomalies that the ExampleValidator found.
      comparisons: The output: every distance, in `distances.json`.
      settings: JSON: `schema_file`, `stop`, and by `drift` and `skew` a mapping of `stop`, `pairs` (the split, and the
        split of the reference) and `thresholds`.
      fingerprint: A digest of the code, for the cache key.
      reference: Statistics of the earlier run that drift is measured from; none on a first run.
      drift: Anomalies of the DriftValidator.
      skew: Anomalies of the SkewValidator.

    Raises:
      AnomaliesError: There are anomalies to stop on. Without `stop` they are logged.
    """
    del fingerprint
    values = json.loads(settings)
    found: list[Comparison] = []
    if drift is not None and reference is not None:
        found += _comparisons("drift", statistics, reference, drift, values["drift"])
    if skew is not None:
        found += _comparisons("skew", statistics, statistics, skew, values["skew"])
    write_comparisons(artifact_utils.get_single_uri([comparisons]), found)
    lines = describe_anomalies(_read_anomalies(anomalies))
    schema_message = anomalies_message(lines, values["schema_file"]) if lines else ""
    for message in filter(None, (schema_message, distribution_message(found))):
        logging.error("%s", message)
    stopping = distribution_message([comparison for comparison in found if values[comparison.kind]["stop"]])
    if message := "\n".join(filter(None, (schema_message if values["stop"] else "", stopping))):
        raise AnomaliesError(message)


def describe_anomalies(by_split: Iterable[tuple[str, anomalies_pb2.Anomalies]]) -> list[str]:
    """Returns one line for each anomaly: the split, the feature, and TFDV's description with the values."""
    lines = []
    for split, anomalies in by_split:
        if anomalies.data_missing:
            lines.append(f"{split}: has no example")
        if anomalies.HasField("dataset_anomaly_info"):
            lines.append(f"{split}: {_text(anomalies.dataset_anomaly_info)}")
        lines.extend(f"{split}: `{name}`: {_text(info)}" for name, info in sorted(anomalies.anomaly_info.items()))
    return lines


def anomalies_message(lines: list[str], schema_file: str) -> str:
    """Returns the error of a run that anomalies stop.

    Args:
      lines: The anomalies, from `describe_anomalies`.
      schema_file: The curated schema, "" where the schema was inferred.
    """
    remedy = f"Correct the data, or widen {schema_file}" if schema_file else "Correct the data"
    found = "\n".join(f"  {line}" for line in lines)
    return (
        f"The examples have {len(lines)} anomal{'y' if len(lines) == 1 else 'ies'}:\n{found}\n"
        f"{remedy}; `pipeline.stop_on_anomalies: false` lets the run go on."
    )


def _text(info: anomalies_pb2.AnomalyInfo) -> str:
    return f"{info.short_description}. {info.description}"


def _read_anomalies(artifact: Any) -> Iterator[tuple[str, anomalies_pb2.Anomalies]]:
    for split in artifact_utils.decode_split_names(artifact.split_names):
        yield split, _read(os.path.join(artifact_utils.get_split_uri([artifact], split), DEFAULT_FILE_NAME))


def _read(path: str) -> anomalies_pb2.Anomalies:
    with fileio.open(path, "rb") as file:
        return anomalies_pb2.Anomalies.FromString(file.read())


def _comparisons(
    kind: Kind, statistics: Any, reference: Any, anomalies: Any, settings: Mapping[str, Any]
) -> Iterator[Comparison]:
    """Reads the distances of each configured pair of splits that has examples on both sides."""
    for split, of_reference in settings["pairs"]:
        sides = ((statistics, split), (reference, of_reference))
        if not all(name in artifact_utils.decode_split_names(side.split_names) for side, name in sides):
            continue
        found, compared = (load_statistics(side, name).proto() for side, name in sides)
        if not example_count(found) or not example_count(compared):
            continue
        # A configuration names the features of all splits: those of others are not missing in this one.
        limits: Thresholds = {
            name: limit
            for name, limit in settings["thresholds"].items()
            if belongs(name, split) and belongs(name, of_reference)
        }
        path = os.path.join(anomalies.uri, f"SplitPair-{split}_{of_reference}", DEFAULT_FILE_NAME)
        folder, of_compared = (artifact_utils.get_split_uri([side], name) for side, name in sides)
        yield Comparison(kind, split, folder, of_compared, read_distances(_read(path), compared, limits))
