"""The component: Model and Examples in, InfraBlessing out."""

from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from pipeline.config import Config, dump_config
from pipeline.config.dump import INFRA
from pipeline.infra.executor import Executor


class InfraValidatorSpec(types.ComponentSpec):
    """The channels of TFX's InfraValidator; the configuration takes the place of its serving spec."""

    PARAMETERS = {"config": ExecutionParameter(type=str)}
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class InfraValidator(base_component.BaseComponent):
    """Blesses a model that the embedded server can load and that answers `recommend` sensibly.

    TFX's own InfraValidator needs Docker or a Kubeflow V1 pod; this one runs, and compiles, wherever Python does.
    """

    SPEC_CLASS = InfraValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def make_infra_validator(
    config: Config, model: tfx.types.BaseChannel, examples: tfx.types.BaseChannel
) -> InfraValidator:
    """The component for a configuration; `examples` should hold the split `eval`."""
    blessing = types.Channel(type=standard_artifacts.InfraBlessing)
    return InfraValidator(
        InfraValidatorSpec(config=dump_config(config, *INFRA), model=model, examples=examples, blessing=blessing)
    )
