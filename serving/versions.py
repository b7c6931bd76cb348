"""Which directories under a model's base path are versions, and which of these should be served."""

import re
from typing import Final

import tensorflow as tf
from tensorflow_serving.config import file_system_storage_path_source_pb2, model_server_config_pb2

_NUMBER: Final = re.compile(r"[0-9]+")
_LARGEST: Final = (1 << 63) - 1

VersionPolicy = file_system_storage_path_source_pb2.FileSystemStoragePathSourceConfig.ServableVersionPolicy


def find_versions(base_path: str) -> dict[int, str]:
    """Version number -> its path, for every child of `base_path` whose name is a number; others are not looked at.

    Raises `tf.errors.NotFoundError` when there is no such directory. Local paths and object stores both work.
    """
    children = (child.rstrip("/") for child in tf.io.gfile.listdir(base_path))
    numbers = ((int(child), child) for child in sorted(children) if _NUMBER.fullmatch(child))
    return {number: tf.io.gfile.join(base_path, child) for number, child in numbers if number <= _LARGEST}


def aspired_versions(config: model_server_config_pb2.ModelConfig, found: dict[int, str]) -> dict[int, str]:
    """Those of the versions found that the model's version policy wants: the newest one when it says nothing."""
    policy = config.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return found
    if kind == "specific":
        return {v: found[v] for v in policy.specific.versions if v in found}
    newest = sorted(found, reverse=True)[: max(policy.latest.num_versions, 1)]
    return {v: found[v] for v in newest}
