from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from pipeline.config import Config, parse_config

CONFIG = """
name: tiny
data:
  folder: nowhere
  interactions: {path: interactions.csv}
tasks:
  retrieval: {kind: retrieval}
  like: {kind: binary, label: rating >= 4}
serving: {default_k: 2, infra_validation_requests: 3}
"""


@pytest.fixture
def config() -> Config:
    return parse_config(CONFIG)


def window(items: list[str], **features: list[Any]) -> tf.train.Example:
    """An eval window; strings, integers and floats go into the features of their kind."""
    example = tf.train.Example()
    for name, values in {"user_id": ["u"], "item_id": items, **features}.items():
        feature = example.features.feature[name]
        if isinstance(values[0], str):
            feature.bytes_list.value.extend(value.encode() for value in values)
        elif isinstance(values[0], int):
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    return example


def write_split(folder: Path, windows: list[tf.train.Example]) -> str:
    """Writes `Split-eval` as TFX does. Returns the pattern of its files."""
    split = folder / "Split-eval"
    split.mkdir(parents=True)
    path = split / "data_tfrecord-00000-of-00001.gz"
    with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
        for example in windows:
            writer.write(example.SerializeToString())
    return str(split / "*")
