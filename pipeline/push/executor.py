"""TFX's Pusher with an atomic push and without its leniency: no model goes out that was not judged."""

from typing import Any

from absl import logging
from tfx import v1 as tfx
from tfx.components.pusher import executor
from tfx.types import artifact_utils
from tfx.utils import io_utils, proto_utils

from pipeline.push.versions import push_version

_BLESSINGS = ("model_blessing", "infra_blessing")


class Executor(executor.Executor):
    """Pushes a model that both blessings allow. `pushed_model` says whether, where and as which version."""

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
        io_utils.copy_dir(model_path, pushed.uri)  # before the push: once servers see the version, nothing may fail
        version, path = push_version(model_path, destination.filesystem.base_directory)
        self._MarkPushed(pushed, pushed_destination=path, pushed_version=str(version))
        logging.info("Push: version %d is in %s", version, path)
