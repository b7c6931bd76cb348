"""The components from examples to a validated schema."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2
from tfx import v1 as tfx
from tfx.components.distribution_validator import component as distribution_validator
from tfx.components.distribution_validator import executor
from tfx.dsl.components.base import executor_spec
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.dsl.components.base.base_node import BaseNode
from tfx.dsl.io import fileio
from tfx.proto import distribution_validator_pb2
from tfx.types import BaseChannel, Channel, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter
from tfx.utils import io_utils, proto_utils

from config import Config, feature_names
from config.evaluation import DistanceConfig
from config.fingerprint import code_fingerprint
from pipeline.validation.distances import Comparators, comparators, distribution_config, thresholds
from pipeline.validation.gate import AnomalyGate
from pipeline.validation.measures import measures
from pipeline.validation.reference import REFERENCE, statistics_before
from pipeline.validation.schema import ExampleValidator, SchemaGen

MakeReference = Callable[[Config, BaseChannel], Sequence[BaseNode]]
"""From the configuration and this run's statistics to the nodes that find those that they are compared with; the last
one's output is `REFERENCE`."""


class DistributionValidatorSpec(standard_component_specs.DistributionValidatorSpec):
    """TFX's, with an optional baseline: a first run has none."""

    INPUTS = {
        **standard_component_specs.DistributionValidatorSpec.INPUTS,
        "baseline_statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
    }


_PROTO: Any = distribution_validator_pb2


class DistributionExecutor(executor.Executor):
    """TFX's, for runners that pass every execution property as text: it expects a message."""

    def Do(  # noqa: N802 (TFX's name)
        self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]
    ) -> None:
        """Compares the distributions."""
        key = standard_component_specs.DISTRIBUTION_VALIDATOR_CONFIG_KEY
        if isinstance(found := exec_properties[key], str):
            message = _PROTO.DistributionValidatorConfig()
            proto_utils.json_to_proto(found, message)
            exec_properties = exec_properties | {key: message}
        super().Do(input_dict, output_dict, exec_properties)


class DistributionValidator(distribution_validator.DistributionValidator):
    """TFX's DistributionValidator with an optional baseline.

    Args:
      statistics: A channel of ExampleStatistics.
      baseline: A channel of the ExampleStatistics that they are compared with.
      found: The comparators by feature.
      pairs: The pairs of a split and a split of the baseline; None compares splits of the same name.
    """

    SPEC_CLASS = DistributionValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(DistributionExecutor)

    def __init__(
        self,
        statistics: BaseChannel,
        baseline: BaseChannel,
        found: Comparators,
        pairs: Sequence[tuple[str, str]] | None = None,
    ) -> None:
        spec = DistributionValidatorSpec(
            statistics=statistics,
            baseline_statistics=baseline,
            distribution_validator_config=distribution_config(found),
            include_split_pairs=json.dumps(pairs),
            anomalies=Channel(type=standard_artifacts.ExampleAnomalies),
        )
        BaseComponent.__init__(self, spec=spec)


@dataclass(frozen=True)
class Validation:
    """The result of `make_validation`.

    Attributes:
      components: All components, and what finds earlier statistics, in the order in which they run.
      statistics: The channel of the statistics.
      schema: The channel of the schema.
      gate: The component that stops the run on anomalies. Components that rely on valid data run after it.
    """

    components: tuple[BaseNode, ...]
    statistics: BaseChannel
    schema: BaseChannel
    gate: BaseNode


def make_validation(
    config: Config, examples: BaseChannel, make_reference: MakeReference = statistics_before
) -> Validation:
    """Makes the components for statistics, schema and validation of `examples`.

    Args:
      config: The configuration.
      examples: A channel of Examples.
      make_reference: Makes the nodes that find earlier statistics.

    Raises:
      ValueError: If `pipeline.schema_file` does not exist.
    """
    settings = config.pipeline
    fingerprint = code_fingerprint("pipeline/validation")
    curated, digest = _curated(settings.schema_file or "")
    statistics_gen = tfx.components.StatisticsGen(examples=examples)
    statistics = statistics_gen.outputs["statistics"]
    schema_gen = SchemaGen(
        statistics=statistics, schema_file=settings.schema_file or "", digest=digest, fingerprint=fingerprint
    )
    schema = schema_gen.outputs["schema"]
    validator = ExampleValidator(statistics=statistics, schema=schema)
    components: list[BaseNode] = [statistics_gen, schema_gen, validator]
    inputs: dict[str, BaseChannel] = {"statistics": statistics, "anomalies": validator.outputs["anomalies"]}
    judged: dict[str, Any] = {"schema_file": settings.schema_file or "", "stop": settings.stop_on_anomalies}
    if settings.drift is not None:
        found = comparators("drift", settings.drift, measures(config), curated)
        found_by = make_reference(config, statistics)
        inputs["reference"] = found_by[-1].outputs[REFERENCE]
        drift = DistributionValidator(statistics, inputs["reference"], found).with_id("DriftValidator")
        components += [*found_by, drift]
        inputs["drift"] = drift.outputs["anomalies"]
        judged["drift"] = _judged(settings.drift, found, [(s, s) for s in ("train", feature_names.ITEMS_SPLIT)])
    if settings.skew is not None:
        found = comparators("skew", settings.skew, measures(config), curated)
        pairs = [(split, "train") for split in settings.skew.splits]
        skew = DistributionValidator(statistics, statistics, found, pairs).with_id("SkewValidator")
        components.append(skew)
        inputs["skew"] = skew.outputs["anomalies"]
        judged["skew"] = _judged(settings.skew, found, pairs)
    gate = AnomalyGate(**inputs, settings=json.dumps(judged, sort_keys=True), fingerprint=fingerprint)
    return Validation((*components, gate), statistics, schema, gate)


def _judged(settings: DistanceConfig, found: Comparators, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {"stop": settings.stop, "pairs": pairs, "thresholds": thresholds(found)}


def _curated(schema_file: str) -> tuple[schema_pb2.Schema, str]:
    """Returns the curated schema and a digest of its file; an empty one where none is configured."""
    if not schema_file:
        return schema_pb2.Schema(), ""
    if not fileio.exists(schema_file):
        raise ValueError(f"`pipeline.schema_file` should name a TFDV schema in text form. Not found: {schema_file}")
    with fileio.open(schema_file, "rb") as file:
        digest = hashlib.sha256(file.read()).hexdigest()[:16]
    return io_utils.SchemaReader().read(schema_file), digest
