"""The component that holds the examples to the schema and stops the run where they do not fit."""

import os
from typing import Any

from absl import logging
from tensorflow_metadata.proto.v0 import anomalies_pb2
from tfx import types
from tfx.components.example_validator.executor import (
    ARTIFACT_PROPERTY_BLESSED_KEY,
    BLESSED_VALUE,
    DEFAULT_FILE_NAME,
    NOT_BLESSED_VALUE,
)
from tfx.components.statistics_gen.stats_artifact_utils import load_statistics
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils, writer_utils

from pipeline.validation.anomalies import AnomaliesError, anomalies_message, describe_anomalies, find_anomalies


class ExampleValidatorSpec(component_spec.ComponentSpec):
    """Statistics and schema in, anomalies out."""

    PARAMETERS = {
        "stop_on_anomalies": component_spec.ExecutionParameter(type=int),
        "schema_file": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)}


class Executor(base_executor.BaseExecutor):
    """Writes the anomalies of each split as TFX's ExampleValidator does, then raises if there are any."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Validates every split. Raises AnomaliesError when one has anomalies and `stop_on_anomalies` is set."""
        self._log_startup(input_dict, output_dict, exec_properties)
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        schema_folder = artifact_utils.get_single_uri(input_dict["schema"])
        schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_folder))
        by_split = {
            split: find_anomalies(load_statistics(statistics, split).proto(), schema, split)
            for split in artifact_utils.decode_split_names(statistics.split_names)
        }
        _write(by_split, artifact_utils.get_single_instance(output_dict["anomalies"]), statistics)
        lines = describe_anomalies(by_split)
        if lines:
            message = anomalies_message(lines, exec_properties["schema_file"])
            logging.error("%s", message)
            if exec_properties["stop_on_anomalies"]:
                raise AnomaliesError(message)


def _write(by_split: dict[str, anomalies_pb2.Anomalies], artifact: types.Artifact, statistics: types.Artifact) -> None:
    artifact.split_names = artifact_utils.encode_split_names(list(by_split))
    artifact.span = statistics.span
    blessed = {}
    for split, anomalies in by_split.items():
        folder = artifact_utils.get_split_uri([artifact], split)
        writer_utils.write_anomalies(os.path.join(folder, DEFAULT_FILE_NAME), anomalies)
        blessed[split] = NOT_BLESSED_VALUE if describe_anomalies({split: anomalies}) else BLESSED_VALUE
    artifact.set_json_value_custom_property(ARTIFACT_PROPERTY_BLESSED_KEY, blessed)


class ExampleValidator(base_component.BaseComponent):
    """Validates every split against its own part of the schema; anomalies stop the run where asked.

    Args:
      statistics: A channel of ExampleStatistics.
      schema: A channel of Schema.
      stop_on_anomalies: Whether anomalies fail the component.
      schema_file: The curated schema's file, for the message; "" where the schema was inferred.
      fingerprint: Of the code; another one does not answer from the cache.
    """

    SPEC_CLASS = ExampleValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        *,
        stop_on_anomalies: bool,
        schema_file: str,
        fingerprint: str,
    ) -> None:
        spec = ExampleValidatorSpec(
            statistics=statistics,
            schema=schema,
            stop_on_anomalies=int(stop_on_anomalies),
            schema_file=schema_file,
            fingerprint=fingerprint,
            anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
        )
        super().__init__(spec)
