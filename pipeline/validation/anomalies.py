"""Anomalies of a split, and how a person reads them."""

from collections.abc import Mapping

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from pipeline.validation.inference import example_count
from pipeline.validation.scope import split_schema


class AnomaliesError(ValueError):
    """The data do not fit the schema. The message names split, feature, what is wrong and what to do."""


def find_anomalies(
    statistics: statistics_pb2.DatasetFeatureStatisticsList, schema: schema_pb2.Schema, split: str
) -> anomalies_pb2.Anomalies:
    """Holds a split to its part of the schema.

    Args:
      statistics: Of the split.
      schema: Of all splits. Where it names the split as an environment, TFDV's environments apply too.
      split: The split's name.

    Returns:
      TFDV's anomalies; a split without examples is one.
    """
    if example_count(statistics) == 0:
        return anomalies_pb2.Anomalies(data_missing=True)
    environment = split if split in schema.default_environment else None
    return tfdv.validate_statistics(statistics, split_schema(schema, split), environment=environment)


def describe_anomalies(by_split: Mapping[str, anomalies_pb2.Anomalies]) -> list[str]:
    """One line for each anomaly: split, feature, what is wrong. Empty when all is well."""
    lines = []
    for split, anomalies in by_split.items():
        if anomalies.data_missing:
            lines.append(f"{split}: has no example")
        if anomalies.HasField("dataset_anomaly_info"):
            lines.append(f"{split}: {_text(anomalies.dataset_anomaly_info)}")
        lines.extend(f"{split}: `{name}`: {_text(info)}" for name, info in sorted(anomalies.anomaly_info.items()))
    return lines


def anomalies_message(lines: list[str], schema_file: str) -> str:
    """The error of a run that anomalies stop.

    Args:
      lines: What `describe_anomalies` returned.
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
