"""The components from examples to a validated schema."""

from dataclasses import dataclass

from tfx import v1 as tfx
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.types import BaseChannel

from pipeline.config import Config
from pipeline.fingerprint import code_fingerprint
from pipeline.validation.curated_schema import CuratedSchema
from pipeline.validation.schema_gen import SchemaGen
from pipeline.validation.validator import ExampleValidator


@dataclass(frozen=True)
class Validation:
    """What `make_validation` makes.

    Attributes:
      components: All of them, in the order in which they run.
      schema: The channel of the schema.
      validator: The component that fails on anomalies; whatever trusts the data runs after it.
    """

    components: tuple[BaseComponent, ...]
    schema: BaseChannel
    validator: BaseComponent


def make_validation(config: Config, examples: BaseChannel) -> Validation:
    """Statistics, schema (curated where the configuration names one, else inferred) and validation of `examples`.

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
    return Validation((statistics_gen, schema_gen, validator), schema_gen.outputs["schema"], validator)
