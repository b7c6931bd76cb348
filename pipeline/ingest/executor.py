"""The executor of InteractionExampleGen: checks the tables, runs the Beam graph, checks the report."""

import json
import posixpath
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final

import apache_beam as beam
from absl import logging
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from google.protobuf import struct_pb2
from tfx import types
from tfx.components.example_gen.base_example_gen_executor import BaseExampleGenExecutor
from tfx.components.example_gen.write_split import DEFAULT_FILE_NAME
from tfx.components.util import examples_utils
from tfx.types import artifact_utils
from tfx.types import standard_component_specs as specs
from tfx.utils import proto_utils
from tfx.v1 import proto

from config import Config, feature_names, parse_config
from config.data import Table
from config.load import changed_config
from pipeline.ingest import report, verdicts
from pipeline.ingest.columns import Plan
from pipeline.ingest.graph import Files, Ingest
from pipeline.ingest.headers import check_columns, check_has_rows, file_columns
from pipeline.ingest.spans import SpanPattern
from pipeline.ingest.tables import TableSource, table_source
from pipeline.ingest.writing import WriteExamples
from pipeline.messages import KEY as WARNINGS

SPLITS: Final = (*feature_names.WINDOW_SPLITS, feature_names.ITEMS_SPLIT)
_SOURCES: Final = "sources"
"""The execution property with the result of `find_sources`: the report names the spans that were read."""


class IngestExecutor(BaseExampleGenExecutor):
    """Writes the splits `train`, `eval`, `test` and `items`, and `ingest.json`, into one Examples artifact."""

    def GetInputSourceToExamplePTransform(self) -> beam.PTransform:  # noqa: N802
        """Raises NotImplementedError: the splits are made from all tables together, not each from one input."""
        raise NotImplementedError("IngestExecutor overrides GenerateExamplesByBeam")

    def GenerateExamplesByBeam(  # noqa: N802
        self, pipeline: beam.Pipeline, exec_properties: dict[str, Any]
    ) -> dict[str, Any]:
        """Returns serialized tf.Examples by split.

        Raises:
          TableError: If a table lacks a column.
        """
        plan = Plan(read_config(exec_properties))
        files = {name: source.files for name, source in exec_properties[_SOURCES].items()}
        check_tables(plan, files)
        return pipeline | "Ingest" >> Ingest(plan, files, exec_properties[report.FILE])

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs ingest. TFX's own `Do` shuffles at random; here the same tables give the same files.

        Raises:
          TableError: If a table has no file or lacks a column.
          IngestError: If a file cannot be read to its end, too many rows are bad or a split is empty.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        artifact = artifact_utils.get_single_instance(output_dict[specs.EXAMPLES_KEY])
        artifact.split_names = artifact_utils.encode_split_names(list(SPLITS))
        path, config = posixpath.join(artifact.uri, report.FILE), read_config(exec_properties)
        sources = find_sources(config, exec_properties)
        with self._make_beam_pipeline() as pipeline:
            splits = self.GenerateExamplesByBeam(pipeline, exec_properties | {report.FILE: path, _SOURCES: sources})
            for split, examples in splits.items():
                prefix = posixpath.join(artifact_utils.get_split_uri([artifact], split), DEFAULT_FILE_NAME)
                _ = examples | f"Write[{split}]" >> WriteExamples(prefix)
        examples_utils.set_payload_format(artifact, proto.PayloadFormat.Value("FORMAT_TF_EXAMPLE"))
        examples_utils.set_file_format(artifact, "tfrecords_gzip")
        _check_report(path, config, sources)


def read_config(exec_properties: Mapping[str, Any]) -> Config:
    """Returns the configuration in the execution properties, with the span of the run."""
    packed, values = proto.CustomConfig(), struct_pb2.Struct()
    proto_utils.json_to_proto(exec_properties[specs.CUSTOM_CONFIG_KEY], packed)
    packed.custom_config.Unpack(values)
    config = parse_config(values["config"], "custom_config")
    return changed_config(config, {"data.span": values["span"]}) if "span" in values else config


def read_input(exec_properties: Mapping[str, Any]) -> proto.Input:
    """Returns the input splits in the execution properties: tables by name, with spans after the driver ran."""
    found = proto.Input()
    proto_utils.json_to_proto(exec_properties[specs.INPUT_CONFIG_KEY], found)
    return found


def tables(config: Config) -> Iterator[tuple[str, Table]]:
    """Returns the configured tables by name, `interactions` first."""
    for name in report.TABLES:
        table = getattr(config.data, name)
        if table is not None:
            yield name, table


def find_sources(config: Config, exec_properties: Mapping[str, Any]) -> dict[str, TableSource]:
    """Finds the files and spans of each configured table, up to the last span that the driver found.

    Where no driver of this project ran, as on Vertex AI, the patterns are those of the configuration.

    Raises:
      TableError: If a table has no file, or not the span.
    """
    patterns = {split.name: split.pattern for split in read_input(exec_properties).splits}
    found = {}
    for name, table in tables(config):
        form = SpanPattern(table.path)
        numbers = form.numbers(patterns.get(name, table.path))
        last = config.data.span if numbers is None else form.span_of(numbers[0])
        found[name] = table_source(exec_properties[specs.INPUT_BASE_KEY], table, last)
    return found


def check_tables(plan: Plan, files: Files) -> None:
    """Raises `TableError` where the first file of a table does not fit the configuration, or no file has a row."""
    data = plan.config.data
    wanted = {"interactions": plan.event_sources}
    if data.items:
        wanted["items"] = plan.entity_sources(data.items, plan.item)
    if data.users:
        wanted["users"] = plan.entity_sources(data.users, plan.user)
    for name, table in tables(plan.config):
        path = files[name][0]
        check_columns(path, table, wanted[name], file_columns(path, table))
        check_has_rows(files[name], table)


def _check_report(path: str, config: Config, sources: Mapping[str, TableSource]) -> None:
    """Adds the spans and warnings to the report, logs it, and raises `IngestError` where the data cannot be used."""
    with FileSystems.open(path) as file:
        found = json.load(file)
    found |= report.of_spans({name: source.spans for name, source in sources.items()})
    found[WARNINGS] = verdicts.warnings(found, config, time.time())
    with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.write(report.as_json(found).encode())
    for line in report.lines(found):
        logging.info("%s", line)
    for warning in found[WARNINGS]:
        logging.warning("%s", warning)
    verdicts.check(found, config)
