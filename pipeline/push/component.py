"""The Pusher: TFX's with an atomic push, of models that both blessings allow."""

import posixpath
from typing import Any, Final

from absl import logging
from tfx import v1 as tfx
from tfx.components.pusher import executor
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import Channel, artifact_utils, standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ExecutionParameter
from tfx.utils import io_utils, proto_utils

from config import Config, dump_config, paths
from config.dump import TRAINER
from pipeline.push.records import write_record
from pipeline.push.versions import push_version
from serving.manifest import MANIFEST, make_manifest

_BLESSINGS = ("model_blessing", "infra_blessing")
DESTINATION: Final = "push_destination"
"""The runtime parameter of compiled pipelines: the folder of versions."""
_FOLDER: Final = "push_folder"
_RECORDS: Final = "records"
_STATISTICS: Final = "statistics"
_CONFIG: Final = "trained_with"


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
        model_path = self.GetModelPath(input_dict)
        manifest = make_manifest(model_path)
        # Before the push: once servers see the version, nothing may fail.
        io_utils.write_string_file(posixpath.join(pushed.uri, MANIFEST), manifest)
        version, path = push_version(model_path, _folder(exec_properties), manifest)
        if records := exec_properties.get(_RECORDS):
            statistics = artifact_utils.get_single_uri(input_dict[_STATISTICS])
            write_record(records, version, path, manifest, statistics, exec_properties[_CONFIG])
        self._MarkPushed(pushed, pushed_destination=path, pushed_version=str(version))
        logging.info("Push: version %d is in %s", version, path)


def _folder(exec_properties: dict[str, Any]) -> str:
    """Returns the folder of versions: the runtime parameter, or the configured one."""
    if folder := exec_properties.get(_FOLDER):
        return str(folder)
    destination = tfx.proto.PushDestination()
    proto_utils.json_to_proto(exec_properties["push_destination"], destination)
    return str(destination.filesystem.base_directory)


class Pusher(tfx.components.Pusher):
    """TFX's Pusher with `Executor`."""

    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


class RecordingPusherSpec(standard_component_specs.PusherSpec):
    """TFX's with the statistics of the run, and what the record of a pushed version needs."""

    PARAMETERS = {
        _FOLDER: ExecutionParameter(type=str),
        _RECORDS: ExecutionParameter(type=str),
        _CONFIG: ExecutionParameter(type=str),
    }
    INPUTS = {
        **standard_component_specs.PusherSpec.INPUTS,
        _STATISTICS: ChannelParameter(type=standard_artifacts.ExampleStatistics),
    }


class RecordingPusher(base_component.BaseComponent):
    """The Pusher of runs without ML Metadata: it leaves a record of each version (`pipeline/push/records.py`)."""

    SPEC_CLASS = RecordingPusherSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(Executor)


def make_pusher(
    config: Config,
    model: tfx.types.BaseChannel,
    blessing: tfx.types.BaseChannel,
    infra_blessing: tfx.types.BaseChannel,
    statistics: tfx.types.BaseChannel | None = None,
) -> Pusher:
    """Makes the component of a configuration, which pushes to `paths.serving(config)`; `statistics` are not read."""
    del statistics
    filesystem = tfx.proto.PushDestination.Filesystem(base_directory=paths.serving(config))
    destination = tfx.proto.PushDestination(filesystem=filesystem)
    return Pusher(model=model, model_blessing=blessing, infra_blessing=infra_blessing, push_destination=destination)


def make_recording_pusher(
    config: Config,
    model: tfx.types.BaseChannel,
    blessing: tfx.types.BaseChannel,
    infra_blessing: tfx.types.BaseChannel,
    statistics: tfx.types.BaseChannel,
) -> RecordingPusher:
    """Makes the component of runs without ML Metadata, with the runtime parameter `DESTINATION`."""
    spec = RecordingPusherSpec(
        model=model,
        model_blessing=blessing,
        infra_blessing=infra_blessing,
        statistics=statistics,
        push_folder=tfx.dsl.experimental.RuntimeParameter(name=DESTINATION, ptype=str, default=paths.serving(config)),
        records=paths.records(config),
        trained_with=dump_config(config, *TRAINER),
        pushed_model=Channel(type=standard_artifacts.PushedModel),
    )
    return RecordingPusher(spec).with_id("Pusher")
