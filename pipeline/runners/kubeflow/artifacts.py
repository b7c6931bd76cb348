"""Artifacts between KFP and TFX.

KFP knows artifacts as a URI and metadata. Their types are generic in its metadata (`system.Model`, `system.Dataset`,
`system.Artifact`), and inputs arrive without any, while TFX makes Python objects by type. KFP's launcher copies inputs
to local files before a container starts and uploads its outputs afterwards, so that a container needs no access to the
object store: here TFX's executors read and write these files, under whatever scheme KFP keeps them.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from kfp.pipeline_spec import pipeline_spec_pb2
from tfx import types

_FOLDERS: Final = {"gs": "gcs", "minio": "minio", "s3": "s3"}
"""By scheme of a URI: the folder of KFP's launcher."""
SCHEMES: Final = tuple(f"{scheme}://" for scheme in _FOLDERS)
_ABSENT: Final = "absent"

Titles = Mapping[str, Mapping[str, str]]
"""By `inputs` and `outputs`, and by key: the title of the artifact's type, such as `tfx.Examples`."""


def mark_absent(artifact: types.Artifact) -> None:
    """Marks an output as missing. In KFP every output exists; components that follow do not get this one."""
    artifact.set_int_custom_property(_ABSENT, 1)


def local_path(artifact: Any) -> str:
    """Returns where KFP's launcher has the files of a RuntimeArtifact. Raises ValueError for another scheme."""
    if artifact.custom_path:
        return str(artifact.custom_path)
    scheme, _, rest = artifact.uri.partition("://")
    if scheme not in _FOLDERS:
        raise ValueError(f"an artifact's URI should begin with one of {', '.join(SCHEMES)}. Received: {artifact.uri!r}")
    return str(PurePosixPath("/", _FOLDERS[scheme], rest))


def to_tfx(executor_input: pipeline_spec_pb2.ExecutorInput, titles: Titles) -> None:
    """Gives artifacts their types and local paths, and removes inputs that are marked as absent.

    Args:
      executor_input: What KFP passes to the container; changed in place.
      titles: The types.
    """
    inputs, outputs = executor_input.inputs.artifacts, executor_input.outputs.artifacts
    for found in inputs.values():
        if any(_ABSENT in artifact.metadata.fields for artifact in found.artifacts):
            del found.artifacts[:]
    for key in set(outputs) - set(titles["outputs"]):  # the log, which the launcher writes
        del outputs[key]
    for kind, found_by_key in (("inputs", inputs), ("outputs", outputs)):
        for key, found in found_by_key.items():
            for artifact in found.artifacts:
                artifact.uri = local_path(artifact)
                artifact.type.schema_title = titles[kind][key]


def to_kfp(executor_output: pipeline_spec_pb2.ExecutorOutput, executor_input: pipeline_spec_pb2.ExecutorInput) -> None:
    """Gives output artifacts their URIs again.

    Args:
      executor_output: What TFX passes to KFP; changed in place.
      executor_input: What KFP passed to the container.
    """
    uris = {key: found.artifacts[0].uri for key, found in executor_input.outputs.artifacts.items()}
    for key, found in executor_output.artifacts.items():
        (artifact,) = found.artifacts
        artifact.uri = uris[key]
        for name in [name for name, value in artifact.metadata.fields.items() if value.HasField("null_value")]:
            del artifact.metadata.fields[name]  # KFP cannot store it
