"""The component that brings a curated schema into the pipeline."""

import hashlib

from tfx import types
from tfx.components.schema_gen.import_schema_gen import executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.dsl.io import fileio
from tfx.types import component_spec, standard_artifacts


class CuratedSchemaSpec(component_spec.ComponentSpec):
    """A file in, a schema out."""

    PARAMETERS = {
        "schema_file": component_spec.ExecutionParameter(type=str),
        "digest": component_spec.ExecutionParameter(type=str),
    }
    INPUTS: dict[str, component_spec.ChannelParameter] = {}
    OUTPUTS = {"schema": component_spec.ChannelParameter(type=standard_artifacts.Schema)}


class CuratedSchema(base_component.BaseComponent):
    """Copies a schema file, as TFX's ImportSchemaGen does, which however answers from the cache after an edit.

    Args:
      schema_file: A TFDV schema in text form, local or on an object store.

    Raises:
      ValueError: If the file cannot be read.
    """

    SPEC_CLASS = CuratedSchemaSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, schema_file: str) -> None:
        schema = types.Channel(type=standard_artifacts.Schema)
        super().__init__(CuratedSchemaSpec(schema_file=schema_file, digest=_digest(schema_file), schema=schema))


def _digest(schema_file: str) -> str:
    if not fileio.exists(schema_file):
        raise ValueError(f"`pipeline.schema_file` should name a TFDV schema in text form. Not found: {schema_file}")
    with fileio.open(schema_file, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()[:16]
