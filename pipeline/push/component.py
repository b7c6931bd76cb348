"""The Pusher: TFX's with an atomic push, of models that both blessings allow."""

import posixpath
from typing import Any

from absl import logging
from tfx import v1 as tfx
from tfx.components.pusher import executor
from tfx.dsl.components.base import executor_spec
from tfx.types import artifact_utils
from tfx.utils import io_utils, proto_utils

from config import Config, paths
from pipeline.push.versions import push_version
from serving.manifest import MANIFEST, make_manifest

_BLESSINGS = ("model_blessing", "infra_blessing")


class Executor(executor.Executor):
    """Pushes a model that both blessings allow. `pushed_model` says whether, where and as which version.

    TFX's executor pushes a model without blessings and keeps a copy in `pushed_model`. The model is in the Trainer's
    artifact and with the servers already, so only the manifest of its files is kept here.
    """

    def Do(  # noqa: N802 (TFX's name)
        self, input_dict: dict[str, list[Any]], output_dict: dict[str, list[Any]], exec_properties: dict[str, Any]
    ) -> None:
        """Runs the push. Raises `ValueError` when a blessing is not among the inputs."""
        missing = [name for name in _BLESSINGS if not input_dict.get(name)]
        if missing:
            raise ValueError(f"a model is pushed only with {' and '.join(_BLESSINGS)}. Missing: {', '.join(missing)}")
        pushed = artifact_utils.get_single_instance(output_dict["pushed_model"])
        if not self.CheckBlessing(input_dict):
            logging.info("Push: not pushed, the model is not blessed")
            self._MarkNotPushed(pushed)
            return
        destination = tfx.proto.PushDestination()
        proto_utils.json_to_proto(exec_properties["push_destination"], destination)
        model_path = self.GetModelPath(input_dict)
        manifest = make_manifest(model_path)
        # Before the push: once servers see the version, nothing may fail.
        io_utils.write_string_file(posixpath.join(pushed.uri, MANIFEST), manifest)
        version, path = push_version(model_path, destination.filesystem.base_directory, manifest)
        self._MarkPushed(pushed, pushed_destination=path, pushed_version=str(version))
        logging.info("Push: version %d is in %s", version, path)


class Pusher(tfx.components.Pusher):
    """TFX's Pusher with `Executor`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def make_pusher(
    config: Config,
    model: tfx.types.BaseChannel,
    blessing: tfx.types.BaseChannel,
    infra_blessing: tfx.types.BaseChannel,
) -> Pusher:
    """Makes the component of a configuration, which pushes to `paths.serving(config)`."""
    filesystem = tfx.proto.PushDestination.Filesystem(base_directory=paths.serving(config))
    destination = tfx.proto.PushDestination(filesystem=filesystem)
    return Pusher(model=model, model_blessing=blessing, infra_blessing=infra_blessing, push_destination=destination)
