"""The component: TFX's Pusher with this project's executor."""

from tfx import v1 as tfx
from tfx.dsl.components.base import executor_spec

from config import Config, paths
from pipeline.push.executor import Executor


class Pusher(tfx.components.Pusher):
    """Pushes to a folder that model servers poll; see `pipeline.push.executor`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def make_pusher(
    config: Config,
    model: tfx.types.BaseChannel,
    blessing: tfx.types.BaseChannel,
    infra_blessing: tfx.types.BaseChannel,
) -> Pusher:
    """The component for a configuration: pushes to `paths.serving(config)`."""
    filesystem = tfx.proto.PushDestination.Filesystem(base_directory=paths.serving(config))
    destination = tfx.proto.PushDestination(filesystem=filesystem)
    return Pusher(model=model, model_blessing=blessing, infra_blessing=infra_blessing, push_destination=destination)
