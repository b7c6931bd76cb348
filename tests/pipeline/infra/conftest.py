from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from config import Config, parse_config
from tests.serving.models import save_model
from trainer.export.eval_requests import Rows
from trainer.export.prediction_log import GOLDEN_RESPONSES_FILE, input_specs, prediction_log, write_prediction_log

CONFIG = """
name: tiny
data:
  folder: nowhere
  interactions: {path: interactions.csv}
tasks:
  retrieval: {kind: retrieval}
  like: {kind: binary, label: rating >= 4}
serving: {default_k: 2, infra: {requests: 3, latency_requests: 5}}
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


def write_model_and_answers(folder: Path, offset: float = 0.0) -> None:
    """The artifacts `model` and `model_run`: a tiny model and what it answers when its weight is 0."""
    (folder / "model").mkdir(parents=True)
    path = save_model(folder / "model" / "Format-Serving")
    signatures = tf.saved_model.load(str(path)).signatures
    rows = Rows([window(["a", "c", "b"]), tf.train.Example()], [b"a", b"b"])
    logs = []
    for name, function in signatures.items():
        inputs = rows.inputs(name, input_specs(function))
        logs.append(prediction_log(name, inputs, function(**inputs)))
    write_prediction_log(str(folder / "model_run" / GOLDEN_RESPONSES_FILE), logs)
    if offset:
        path.rename(folder / "as-trained")
        save_model(path, offset)
