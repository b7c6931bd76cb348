"""One transform graph of a small data set with every kind of feature, analysed once for all tests."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform import beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

from config import Config, dump_config, parse_config
from transform.preprocessing import preprocessing_fn

YAML = """
name: kinds
data:
  folder: data
  interactions: {path: events.csv}
  items: {path: items.csv, id: item_id}
  users: {path: users.csv, id: user_id}
features:
  item_id: {min_count: 2}
  user:
    - {name: age, kind: numeric}
    - {name: gender, kind: categorical}
    - {name: tags, kind: multi_valued}
    - {name: born, kind: time, part: weekday}
    - {name: job, kind: categorical}
    - {name: team, kind: categorical}
    - {name: gender_city, kind: cross, of: [gender, city], buckets: 50}
  item:
    - {name: genres, kind: multi_valued, max_values: 2, oov_buckets: 3}
    - {name: title, kind: text, min_count: 2, max_tokens: 3}
    - {name: year, kind: numeric, scale: quantile, buckets: 4}
  context:
    - {name: device, kind: categorical, min_count: 2, oov_buckets: 2}
    - {name: hour, kind: time, part: hour}
    - {name: slot, kind: time}
    - {name: price, kind: numeric}
    - {name: position, kind: cross, of: [device, page], buckets: 20}
  outcome:
    - {name: rating, kind: categorical}
  trend: {days: []}
tasks:
  retrieval: {kind: retrieval}
  rating: {kind: regression, label: rating}
  page: {kind: listwise, label: rating, session: visit}
model: {user_min_count: 2}
"""

# `user_job` never has a value; `user_team` is not even in the schema.
STRINGS = (
    "user_id user_gender user_city user_job user_tags item_id seen_item_id catalogue_id item_genres item_title "
    "context_device context_page outcome_rating split session_page"
)
INTEGERS = "user_born time is_positive is_target is_cold_user target_count context_hour context_slot"
FLOATS = "user_age item_year context_price label_rating weight_rating"
DTYPES = {
    **dict.fromkeys(STRINGS.split(), tf.string),
    **dict.fromkeys(INTEGERS.split(), tf.int64),
    **dict.fromkeys(FLOATS.split(), tf.float32),
}

NAN = float("nan")

WINDOWS: list[dict[str, list]] = [
    {
        "user_id": ["ann"],
        "user_age": [20.0],
        "user_gender": ["F"],
        "user_city": ["Rome"],
        "user_tags": ["x", "y"],
        "item_id": ["b", "a", "b", "c d"],
        "time": [10, 20, 30, 40],
        "is_positive": [1, 1, 1, 0],
        "is_target": [1, 1, 1, 1],
        "context_device": ["tv", "tv", "", "pc"],
        "context_page": ["home", "home", "", "list"],
        "context_price": [1.0, 3.0, NAN, 1.0],
        "outcome_rating": ["5", "4", "", "1"],
        "session_page": ["7", "", "8", "7"],
        "label_rating": [5.0, 4.0, 0.0, 1.0],
        "weight_rating": [1.0, 1.0, 0.0, 1.0],
    },
    {  # ann's second window: the first event is context, told already
        "user_id": ["ann"],
        "user_age": [20.0],
        "item_id": ["b", "c d"],
        "time": [30, 50],
        "is_positive": [1, 1],
        "is_target": [0, 1],
        "context_device": ["phone", "phone"],
        "context_price": [999.0, 3.0],
    },
    {
        "user_id": ["bob"],
        "user_age": [40.0],
        "user_gender": ["M"],
        "item_id": ["rare"],
        "time": [60],
        "is_positive": [1],
        "is_target": [1],
        "context_device": ["pc"],
        "context_price": [NAN],
    },
]

ITEMS: list[dict[str, list]] = [
    {"catalogue_id": ["a"], "item_genres": ["drama", "war"], "item_title": ["The Thing"], "item_year": [1990.0]},
    {"catalogue_id": ["b"], "item_genres": ["drama"], "item_title": ["A thing, a THING!"], "item_year": [1991.0]},
    {"catalogue_id": ["unsold"], "item_genres": ["war", "noir"], "item_year": [1992.0]},
    {"catalogue_id": ["plain"], "item_title": ["Été: l'ÉTÉ the the"], "item_year": [1993.0]},
]


@pytest.fixture(scope="session")
def config() -> Config:
    return parse_config(YAML)


@pytest.fixture(scope="session")
def tft_output(config: Config, tmp_path_factory: pytest.TempPathFactory) -> tft.TFTransformOutput:
    return analyse(config, WINDOWS + ITEMS, DTYPES, tmp_path_factory.mktemp("transform"))


def analyse(
    config: Config, rows: list[dict[str, list]], dtypes: dict[str, tf.DType], folder: Path
) -> tft.TFTransformOutput:
    """Runs the analysis in memory and writes the transform graph to `folder`."""
    spec = {name: tf.io.VarLenFeature(dtype) for name, dtype in dtypes.items()}
    metadata = dataset_metadata.DatasetMetadata(schema_utils.schema_from_feature_spec(spec))
    custom = {"config": dump_config(config)}
    with tft_beam.Context(temp_dir=str(folder / "temp")):
        dataset = [{name: row.get(name, []) for name in spec} for row in rows], metadata
        transform_fn = dataset | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, custom))
        transform_fn | tft_beam.WriteTransformFn(str(folder))
    metadata_io.write_metadata(metadata, str(folder / tft.TFTransformOutput.RAW_METADATA_DIR))
    return tft.TFTransformOutput(str(folder))


@pytest.fixture(scope="session")
def transform(tft_output: tft.TFTransformOutput) -> Callable[..., dict[str, list[list]]]:
    """A function from rows to the transformed values of each row, through serialized Examples as at serving."""
    layer = tft_output.transform_features_layer()

    def run(*rows: dict[str, list]) -> dict[str, list[list]]:
        serialized = tf.constant([as_example(row).SerializeToString() for row in rows])
        outputs = layer(tf.io.parse_example(serialized, tft_output.raw_feature_spec()))
        return {name: per_row(value) for name, value in outputs.items()}

    return run


def as_example(row: dict[str, list]) -> tf.train.Example:
    example = tf.train.Example()
    for name, values in row.items():
        feature = example.features.feature[name]
        if DTYPES[name] == tf.string:
            feature.bytes_list.value.extend(v.encode() for v in values)
        elif DTYPES[name] == tf.int64:
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    return example


def per_row(values: tf.SparseTensor) -> list[list]:
    rows: list[list] = [[] for _ in range(values.dense_shape[0])]
    for (row, _), value in zip(values.indices.numpy(), np.asarray(values.values), strict=True):
        rows[row].append(value)
    return rows
