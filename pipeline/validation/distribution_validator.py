"""The component that compares distributions and stops the run where they are too far apart."""

import os
from dataclasses import dataclass
from typing import Any

from absl import logging
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import types
from tfx.components.example_validator.executor import DEFAULT_FILE_NAME
from tfx.components.statistics_gen.stats_artifact_utils import load_statistics
from tfx.dsl.components.base import base_component, base_executor, executor_spec
from tfx.types import artifact_utils, component_spec, standard_artifacts
from tfx.utils import io_utils, writer_utils

from config import Config, dump_config, feature_names, parse_config
from config.dump import DISTRIBUTIONS
from config.evaluation import DistanceConfig
from config.fingerprint import code_fingerprint
from pipeline.validation.comparators import comparing_schema
from pipeline.validation.comparison import Comparison, write_comparisons
from pipeline.validation.distance_words import DistributionError, distribution_message
from pipeline.validation.distances import compare, read_distances
from pipeline.validation.inference import example_count
from pipeline.validation.measures import Kind, measures
from pipeline.validation.scope import belongs


class DistributionValidatorSpec(component_spec.ComponentSpec):
    """Statistics, those that they are compared with, and schema in, anomalies out."""

    PARAMETERS = {
        "config": component_spec.ExecutionParameter(type=str),
        "fingerprint": component_spec.ExecutionParameter(type=str),
    }
    INPUTS = {
        "statistics": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "reference": component_spec.ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
        "schema": component_spec.ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {"anomalies": component_spec.ChannelParameter(type=standard_artifacts.ExampleAnomalies)}


class Executor(base_executor.BaseExecutor):
    """Writes every distance and TFDV's anomalies, then raises if a distance is too far."""

    def Do(  # noqa: N802 (TFX's name)
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Compares drift, where there is something earlier, and skew, as configured.

        Raises:
          DistributionError: A distance is too far and its `stop` is set.
        """
        self._log_startup(input_dict, output_dict, exec_properties)
        config = parse_config(exec_properties["config"])
        schema_folder = artifact_utils.get_single_uri(input_dict["schema"])
        schema = io_utils.SchemaReader().read(io_utils.get_only_uri_in_dir(schema_folder))
        anomalies = artifact_utils.get_single_instance(output_dict["anomalies"])
        pairs = _pairs(config, input_dict["statistics"], input_dict.get("reference") or [])
        comparisons = [_compare(pair, config, schema, anomalies.uri) for pair in pairs]
        write_comparisons(anomalies.uri, comparisons)
        anomalies.split_names = artifact_utils.encode_split_names([_name(comparison) for comparison in comparisons])
        if message := distribution_message(comparisons):
            logging.error("%s", message)
        if message := distribution_message([c for c in comparisons if _settings(config, c.kind).stop]):
            raise DistributionError(message)


@dataclass(frozen=True)
class _Pair:
    """A split and what it is compared with."""

    kind: Kind
    statistics: types.Artifact
    split: str
    reference: types.Artifact
    reference_split: str

    def is_filled(self) -> bool:
        """Whether there are examples on both sides."""
        sides = ((self.statistics, self.split), (self.reference, self.reference_split))
        return all(
            split in artifact_utils.decode_split_names(artifact.split_names)
            and example_count(load_statistics(artifact, split).proto())
            for artifact, split in sides
        )


def _pairs(config: Config, statistics: list[types.Artifact], references: list[types.Artifact]) -> list[_Pair]:
    current = artifact_utils.get_single_instance(statistics)
    pairs = []
    if config.pipeline.drift is not None:
        splits = ("train", feature_names.ITEMS_SPLIT)
        pairs += [_Pair("drift", current, split, reference, split) for reference in references for split in splits]
    if config.pipeline.skew is not None:
        pairs += [_Pair("skew", current, split, current, "train") for split in config.pipeline.skew.splits]
    return [pair for pair in pairs if pair.is_filled()]


def _compare(pair: _Pair, config: Config, schema: schema_pb2.Schema, folder: str) -> Comparison:
    """Measures, and writes TFDV's anomalies as TFX's DistributionValidator does."""
    statistics = load_statistics(pair.statistics, pair.split).proto()
    reference = load_statistics(pair.reference, pair.reference_split).proto()
    comparing = comparing_schema(pair.kind, _settings(config, pair.kind), measures(config), schema)
    own = schema_pb2.Schema(feature=[f for f in comparing.feature if _is_in(f.name, pair)])
    anomalies = compare(pair.kind, statistics, reference, own)
    comparison = Comparison(
        kind=pair.kind,
        split=pair.split,
        statistics=artifact_utils.get_split_uri([pair.statistics], pair.split),
        reference=artifact_utils.get_split_uri([pair.reference], pair.reference_split),
        distances=tuple(read_distances(pair.kind, anomalies, reference, own)),
    )
    writer_utils.write_anomalies(os.path.join(folder, f"SplitPair-{_name(comparison)}", DEFAULT_FILE_NAME), anomalies)
    return comparison


def _is_in(feature: str, pair: _Pair) -> bool:
    return belongs(feature, pair.split) and belongs(feature, pair.reference_split)


def _name(comparison: Comparison) -> str:
    return f"{comparison.kind}_{comparison.split}"


def _settings(config: Config, kind: Kind) -> DistanceConfig:
    settings = config.pipeline.drift if kind == "drift" else config.pipeline.skew
    return settings or DistanceConfig()


class DistributionValidator(base_component.BaseComponent):
    """Compares the distributions of the features with those of earlier statistics and between splits.

    Args:
      statistics: A channel of ExampleStatistics, of this run.
      reference: A channel of ExampleStatistics, of an earlier run, which may hold none; None where nothing is compared
        with it.
      schema: A channel of Schema; its types and comparators count.
      config: With `pipeline.drift`, `pipeline.skew` or both.
    """

    SPEC_CLASS = DistributionValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        reference: types.BaseChannel | None,
        schema: types.BaseChannel,
        config: Config,
    ) -> None:
        spec = DistributionValidatorSpec(
            statistics=statistics,
            reference=reference,
            schema=schema,
            config=dump_config(config, *DISTRIBUTIONS),
            fingerprint=code_fingerprint("pipeline/validation", "config"),
            anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
        )
        super().__init__(spec)
