"""How many threads an operation of a graph may use.

TensorFlow makes one pool of them for the process, when it loads the first model: what is right has to be known then.
"""

from typing import Final

import tensorflow as tf
from tensorflow_serving.config import model_server_config_pb2

from serving.versions import aspired_versions, find_versions

ALL_CORES: Final = 0
SMALL: Final = 16 << 20
"""Bytes of a model's variables below which no product is long enough to be shared out: to wake another thread takes
longer than to multiply a query with 10,000 items of 64 dimensions."""


def operation_threads(models: model_server_config_pb2.ModelServerConfig) -> int:
    """1 where the models that are there are all small, else `ALL_CORES`; so too where there is none yet."""
    paths = [path for model in models.model_config_list.config for path in _versions(model)]
    return 1 if paths and all(_bytes_of_variables(path) < SMALL for path in paths) else ALL_CORES


def _versions(model: model_server_config_pb2.ModelConfig) -> list[str]:
    try:
        return list(aspired_versions(model, find_versions(model.base_path)).values())
    except tf.errors.OpError:  # who loads the model says what is wrong with its folder
        return []


def _bytes_of_variables(path: str) -> int:
    files = tf.io.gfile.glob(tf.io.gfile.join(path, "variables", "variables.data-*"))
    return sum(tf.io.gfile.stat(file).length for file in files)
