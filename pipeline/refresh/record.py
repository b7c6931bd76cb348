"""Writes a refresh into ML Metadata: an execution from the trained model to the pushed version."""

from typing import Any, Final

from ml_metadata.proto import metadata_store_pb2 as mlmd

from pipeline.lineage import REFRESH_OF
from pipeline.metadata import pipeline_context

EXECUTION: Final = "CatalogueRefresh"


def record_refresh(store: Any, pipeline: str, model: Any, version: int, path: str, source: int, table: str) -> None:
    """Records a pushed version, as the Pusher does for `pipeline.lineage.read_history`.

    Args:
      store: The `ml_metadata.MetadataStore`.
      pipeline: The pipeline's name, which has run before.
      model: The Trainer's Model artifact.
      version: The pushed version.
      path: Its folder.
      source: The version that it is a refresh of.
      table: The new items table.
    """
    proto: Any = mlmd
    execution_type = store.put_execution_type(proto.ExecutionType(name=EXECUTION))
    execution = proto.Execution(type_id=execution_type, last_known_state=proto.Execution.COMPLETE)
    execution.custom_properties["items"].string_value = table
    pushed = proto.Artifact(type_id=store.get_artifact_type("PushedModel").id, uri=path, state=proto.Artifact.LIVE)
    values = {"pushed": 1, "pushed_destination": path, "pushed_version": str(version), REFRESH_OF: source}
    for name, value in values.items():
        own = pushed.custom_properties[name]
        if isinstance(value, int):
            own.int_value = value
        else:
            own.string_value = value
    made = proto.Event(type=proto.Event.OUTPUT)
    made.path.steps.add().key = "pushed_model"
    made.path.steps.add().index = 0
    read = proto.Event(type=proto.Event.INPUT, artifact_id=model.id)
    read.path.steps.add().key = "model"
    read.path.steps.add().index = 0
    store.put_execution(execution, [(model, read), (pushed, made)], [pipeline_context(store, pipeline)])
