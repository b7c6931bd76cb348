"""Ingest without TFX's driver: one container fingerprints the tables' files, the next one is cached by what it found.

KFP takes a component from its cache by the component's spec and inputs, and looks at no file. So the first container
runs each time, and its finding is an input parameter of the second.
"""

import json
from typing import Any, Final

from tfx import types
from tfx import v1 as tfx
from tfx.components.example_gen import driver, utils
from tfx.dsl.component.experimental.annotations import OutputDict, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import artifact_utils, standard_artifacts, standard_component_specs
from tfx.types import standard_component_specs as specs
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from config import Config, dump_config, parse_config
from config.dump import INGEST
from config.load import changed_config
from pipeline.ingest import component as ingest
from pipeline.ingest.executor import IngestExecutor

SPAN: Final = "span"
"""The runtime parameter of compiled pipelines: the last span to read."""
EACH_RUN: Final = "{{$.pipeline_job_uuid}}"
"""KFP replaces it by the run's id, so a component with it among its parameters is never taken from the cache."""
_RESOLVED: Final = "resolved"


@component
def IngestDriver(  # noqa: N802 (a component)
    config: Parameter[str], span: Parameter[str], run: Parameter[str]
) -> OutputDict(resolved=str):  # type: ignore[valid-type]
    """Finds the spans and a fingerprint of all files, as the driver of InteractionExampleGen does in a local run.

    Args:
      config: Ingest's part of the configuration.
      span: The last span to read, a number or a date; "" is the newest.
      run: The run's id.

    Returns:
      `resolved`, InteractionExampleGen's execution properties, as JSON.
    """
    del run
    return {_RESOLVED: resolve(config, span)}


def resolve(config: str, span: str) -> str:
    """Returns what `IngestDriver` does. Raises ValueError for a span of tables without."""
    parsed = parse_config(config, "config of IngestDriver")
    if span:
        if not parsed.data.interactions.has_spans:
            log = parsed.data.interactions.path
            raise ValueError(f"the parameter `{SPAN}` needs `{{SPAN}}` or a date in the path of the log. It is {log!r}")
        parsed = changed_config(parsed, {"data.span": span})
    unused: Any = None  # TFX's metadata, pipeline and component, which this driver does not read
    properties = dict(ingest.InteractionExampleGen(parsed).exec_properties)
    resolved = ingest.IngestDriver(unused).resolve_exec_properties(properties, unused, unused)
    return json.dumps({name: value for name, value in resolved.items() if value is not None}, sort_keys=True)


class ResolvedExecutor(IngestExecutor):
    """Runs ingest with the execution properties that `IngestDriver` found."""

    def Do(  # noqa: N802
        self,
        input_dict: dict[str, list[types.Artifact]],
        output_dict: dict[str, list[types.Artifact]],
        exec_properties: dict[str, Any],
    ) -> None:
        """Runs ingest; the Examples get their span, version and fingerprint, which a driver else gives them."""
        version: dict[str, Any] = {utils.VERSION_PROPERTY_NAME: None}
        properties = version | exec_properties | json.loads(exec_properties[_RESOLVED])
        examples = artifact_utils.get_single_instance(output_dict[specs.EXAMPLES_KEY])
        driver.update_output_artifact(properties, examples.mlmd_artifact)
        super().Do(input_dict, output_dict, properties)


class ResolvedExampleGenSpec(types.ComponentSpec):
    """The specification of InteractionExampleGen with one more parameter. Values are JSON already."""

    PARAMETERS = {
        name: ExecutionParameter(type=int if parameter.type is int else str, optional=parameter.optional)
        for name, parameter in standard_component_specs.FileBasedExampleGenSpec.PARAMETERS.items()
    } | {_RESOLVED: ExecutionParameter(type=str)}
    INPUTS: dict[str, Any] = {}
    OUTPUTS = {specs.EXAMPLES_KEY: ChannelParameter(type=standard_artifacts.Examples)}


class ResolvedExampleGen(base_beam_component.BaseBeamComponent):
    """InteractionExampleGen after an `IngestDriver`."""

    SPEC_CLASS = ResolvedExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(ResolvedExecutor)


def make_ingest(config: Config) -> list[BaseNode]:
    """Makes both components, with the runtime parameter `SPAN`."""
    default = "" if config.data.span is None else str(config.data.span)
    found = IngestDriver(
        config=dump_config(config, *INGEST),
        span=tfx.dsl.experimental.RuntimeParameter(name=SPAN, ptype=str, default=default),
        run=EACH_RUN,
    )
    properties = {k: v for k, v in ingest.InteractionExampleGen(config).exec_properties.items() if v is not None}
    resolved = found.outputs[_RESOLVED].future()[0].value
    spec = ResolvedExampleGenSpec(
        **properties, resolved=resolved, examples=types.Channel(type=standard_artifacts.Examples)
    )
    return [found, ResolvedExampleGen(spec).with_id("InteractionExampleGen")]
