"""The component that infers the schema where the configuration names none."""

import os
from typing import Any

from tfx import types
from tfx.components.schema_gen.executor import DEFAULT_FILE_NAME
from tfx.components.statistics_gen.stats_artifact_utils import load_statistics
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils

from pipeline.validation.inference import infer_schema


class SchemaGenSpec(component_spec.ComponentSpec):
    """Statistics of all splits in, one schema out."""

    PARAMETERS = {"fingerprint": component_spec.ExecutionParameter(type=str)}
    INPUTS = {"statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics)}
    OUTPUTS = {"schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class Executor(base_executor.BaseExecutor):
    """Writes the schema of `infer_schema`."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Reads the statistics of every split. Raises ValueError when no split has an example."""
        self._log_startup(input_dict, output_dict, exec_properties)
        statistics = artifact_utils.get_single_instance(input_dict["statistics"])
        splits = artifact_utils.decode_split_names(statistics.split_names)
        schema = infer_schema({split: load_statistics(statistics, split).proto() for split in splits})
        folder = artifact_utils.get_single_uri(output_dict["schema"])
        io_utils.write_pbtxt_file(os.path.join(folder, DEFAULT_FILE_NAME), schema)


class SchemaGen(base_component.BaseComponent):
    """Infers one schema of splits that have different features, which TFX's own SchemaGen marks as deprecated.

    Args:
      statistics: A channel of ExampleStatistics.
      fingerprint: Of the code; another one does not answer from the cache.
    """

    SPEC_CLASS = SchemaGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(self, statistics: types.BaseChannel, fingerprint: str) -> None:
        schema = types.Channel(type=standard_artifacts.Schema)
        super().__init__(SchemaGenSpec(statistics=statistics, schema=schema, fingerprint=fingerprint))
