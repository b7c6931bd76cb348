"""The components from examples to a validated schema."""

from collections.abc import Callable
from dataclasses import dataclass

from tfx import v1 as tfx
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import BaseChannel

from config import Config
from config.fingerprint import code_fingerprint
from pipeline.validation.curated_schema import CuratedSchema
from pipeline.validation.distribution_validator import DistributionValidator
from pipeline.validation.reference import REFERENCE, statistics_before
from pipeline.validation.schema_gen import SchemaGen
from pipeline.validation.validator import ExampleValidator

MakeReference = Callable[[BaseChannel], tfx.dsl.Resolver]


@dataclass(frozen=True)
class Validation:
    """What `make_validation` makes.

    Attributes:
      components: All of them, and the resolver of earlier statistics, in the order in which they run.
      schema: The channel of the schema.
      validator: The last component that may stop the run; whatever trusts the data runs after it.
    """

    components: tuple[BaseNode, ...]
    schema: BaseChannel
    validator: BaseNode


def make_validation(
    config: Config, examples: BaseChannel, make_reference: MakeReference = statistics_before
) -> Validation:
    """Statistics, schema (curated where the configuration names one, else inferred) and validation of `examples`.

    Args:
      config: The configuration.
      examples: A channel of Examples.
      make_reference: From this run's statistics to the resolver of those that they are compared with.

    Raises:
      ValueError: If `pipeline.schema_file` does not exist.
    """
    fingerprint = code_fingerprint("pipeline/validation")
    statistics_gen = tfx.components.StatisticsGen(examples=examples)
    statistics = statistics_gen.outputs["statistics"]
    schema_file = config.pipeline.schema_file or ""
    schema_gen = CuratedSchema(schema_file) if schema_file else SchemaGen(statistics, fingerprint)
    schema_gen = schema_gen.with_id("SchemaGen")
    validator = ExampleValidator(
        statistics,
        schema_gen.outputs["schema"],
        stop_on_anomalies=config.pipeline.stop_on_anomalies,
        schema_file=schema_file,
        fingerprint=fingerprint,
    )
    schema = schema_gen.outputs["schema"]
    components = (statistics_gen, schema_gen, validator, *_comparing(config, statistics, schema, make_reference))
    last = components[-1]
    if last is not validator:
        last.add_upstream_node(validator)
    return Validation(components, schema, last)


def _comparing(
    config: Config, statistics: BaseChannel, schema: BaseChannel, make_reference: MakeReference
) -> list[BaseNode]:
    """What compares distributions: nothing, a validator, or a resolver and a validator."""
    if config.pipeline.drift is not None:
        resolver = make_reference(statistics)
        return [resolver, DistributionValidator(statistics, resolver.outputs[REFERENCE], schema, config)]
    if config.pipeline.skew is not None:
        return [DistributionValidator(statistics, None, schema, config)]
    return []
