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
from pipeline.ingest.spans import SpanFiles, SpanPattern
from pipeline.ingest.tables import table_files, table_spans
from pipeline.ingest.writing import WriteExamples
from pipeline.messages import KEY as WARNINGS

SPLITS: Final = (*feature_names.WINDOW_SPLITS, feature_names.ITEMS_SPLIT)


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
          TableError: If a table has no file or lacks a column.
        """
        plan = Plan(read_config(exec_properties))
        files = find_files(plan.config, exec_properties, find_spans(plan.config, exec_properties))
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
        path = posixpath.join(artifact.uri, report.FILE)
        with self._make_beam_pipeline() as pipeline:
            splits = self.GenerateExamplesByBeam(pipeline, exec_properties | {report.FILE: path})
            for split, examples in splits.items():
                prefix = posixpath.join(artifact_utils.get_split_uri([artifact], split), DEFAULT_FILE_NAME)
                _ = examples | f"Write[{split}]" >> WriteExamples(prefix)
        examples_utils.set_payload_format(artifact, proto.PayloadFormat.Value("FORMAT_TF_EXAMPLE"))
        examples_utils.set_file_format(artifact, "tfrecords_gzip")
        config = read_config(exec_properties)
        _check_report(path, config, find_spans(config, exec_properties))


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


def find_spans(config: Config, exec_properties: Mapping[str, Any]) -> dict[str, SpanFiles]:
    """Returns the spans of each table that has some, up to the last one that the driver found.

    Where no driver of this project ran, as on Kubeflow, the patterns are those of the configuration.

    Raises:
      TableError: If there are no such spans.
    """
    patterns = {split.name: split.pattern for split in read_input(exec_properties).splits}
    found = {}
    for name, table in tables(config):
        numbers = SpanPattern(table.path).numbers(patterns.get(name, table.path))
        last = config.data.span if numbers is None else SpanPattern(table.path).span_of(numbers[0])
        spans = table_spans(exec_properties[specs.INPUT_BASE_KEY], table, last)
        if spans is not None:
            found[name] = spans
    return found


def find_files(config: Config, exec_properties: Mapping[str, Any], spans: Mapping[str, SpanFiles]) -> Files:
    """Returns the files of each configured table. Raises `TableError`."""
    folder = exec_properties[specs.INPUT_BASE_KEY]
    last = {name: own.last for name, own in spans.items()}
    return {name: table_files(folder, table, last.get(name)) for name, table in tables(config)}


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


def _check_report(path: str, config: Config, spans: Mapping[str, SpanFiles]) -> None:
    """Adds the spans and warnings to the report, logs it, and raises `IngestError` where the data cannot be used."""
    with FileSystems.open(path) as file:
        found = json.load(file)
    found |= report.of_spans(spans)
    found[WARNINGS] = verdicts.warnings(found, config, time.time())
    with FileSystems.create(path, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.write(report.as_json(found).encode())
    for line in report.lines(found):
        logging.info("%s", line)
    for warning in found[WARNINGS]:
        logging.warning("%s", warning)
    verdicts.check(found, config)
