"""The component: Model, ModelRun and Examples in, InfraBlessing out."""

from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ExecutionParameter

from config import Config, dump_config
from config.dump import INFRA
from config.fingerprint import INFRA_CODE, code_fingerprint
from pipeline.infra.executor import Executor


class InfraValidatorSpec(types.ComponentSpec):
    """The channels of TFX's InfraValidator; the configuration takes the place of its serving spec."""

    PARAMETERS = {"config": ExecutionParameter(type=str), "fingerprint": ExecutionParameter(type=str)}
    INPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
        "examples": ChannelParameter(type=standard_artifacts.Examples),
    }
    OUTPUTS = {"blessing": ChannelParameter(type=standard_artifacts.InfraBlessing)}


class InfraValidator(base_component.BaseComponent):
    """Blesses a model that a server can load, and whose answers are sensible and the Trainer's own.

    TFX's own InfraValidator needs Docker or a Kubeflow V1 pod; this one runs, and compiles, wherever Python does.
    """

    SPEC_CLASS = InfraValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def make_infra_validator(
    config: Config, model: tfx.types.BaseChannel, model_run: tfx.types.BaseChannel, examples: tfx.types.BaseChannel
) -> InfraValidator:
    """The component for a configuration; `examples` should hold the split `eval`."""
    spec = InfraValidatorSpec(
        config=dump_config(config, *INFRA),
        fingerprint=code_fingerprint(*INFRA_CODE),
        model=model,
        model_run=model_run,
        examples=examples,
        blessing=types.Channel(type=standard_artifacts.InfraBlessing),
    )
    return InfraValidator(spec)
