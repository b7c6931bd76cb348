"""A small shop, its transform graph and an untrained model on it: what the tests of export and signatures share."""

from pathlib import Path

import tensorflow as tf
import tensorflow_transform as tft

from config import Config, parse_config
from tests.transform.conftest import analyse
from trainer.data.batching import LabelStatistics
from trainer.data.catalogue import load_catalogue
from trainer.model.recommender import RecommenderModel
from transform.features import model_features, user_vocabulary_size

YAML = """
name: shop
data:
  folder: data
  interactions: {path: events.csv}
  items: {path: items.csv, id: item_id}
features:
  user: [{name: gender, kind: categorical}]
  item: [{name: genres, kind: multi_valued}]
  context:
    - {name: device, kind: categorical}
    - {name: hour, kind: time, part: hour, column: timestamp}
  outcome: [{name: rating, kind: categorical}]
  trend: {days: []}
tasks:
  retrieval: {kind: retrieval}
  rating: {kind: regression, label: rating, min: 1, max: 5}
  like: {kind: binary, label: rating >= 4}
  genre: {kind: multiclass, attribute: genres}
  order: {kind: pairwise, label: rating}
model: {dimension: 8, feature_dimension: 4, history: {max_events: 6}}
evaluation: {ks: [3, 5]}
serving: {candidates: 5, default_k: 3, max_k: 50, teaches: true, utility: {retrieval: 1.0, rating: 2.0, like: -3.0}}
"""
_STRINGS = "user_id user_gender item_id seen_item_id catalogue_id item_genres split context_device outcome_rating"
_INTEGERS = "time context_hour is_positive is_target is_cold_user target_count seen_start seen_count"
_FLOATS = "label_rating weight_rating label_like weight_like weight_genre label_order weight_order"
DTYPES = {
    **dict.fromkeys(_STRINGS.split(), tf.string),
    **dict.fromkeys(_INTEGERS.split(), tf.int64),
    **dict.fromkeys(_FLOATS.split(), tf.float32),
}
REQUEST_DTYPES = {
    **dict.fromkeys(("exclude_item_id", "candidate_item_id", "allow_item_id", "filter_genres"), tf.string),
    **dict.fromkeys(("min_year", "max_year", "diversity"), tf.float32),
    **dict.fromkeys(("k", "cap_genres"), tf.int64),
}
ITEMS = [f"i{n}" for n in range(8)]
"""By falling frequency: i0 is bought most."""


def shop(**changes: object) -> Config:
    """The shop's configuration; `changes` replace whole sections."""
    config = parse_config(YAML)
    return Config.model_validate({**config.model_dump(exclude_unset=True), **changes})


def history(user: str, items: list[str], **features: list) -> dict[str, list]:
    """A training window in which every event is a positive target."""
    ones, n = [1] * len(items), len(items)
    events = {"time": [1000 * (t + 1) for t in range(n)], "context_hour": [1000 * (t + 1) for t in range(n)]}
    labels = {"label_rating": [4.0] * n, "label_like": [1.0] * n, "label_order": [4.0] * n}
    labels |= {f"weight_{task}": [1.0] * n for task in ("rating", "like", "genre", "order")}
    window = {"user_id": [user], "item_id": items, "is_positive": ones, "is_target": ones, **events, **labels}
    return {**window, "context_device": ["tv"] * n, "outcome_rating": ["4"] * n, **features}


def transform_graph(config: Config, folder: Path) -> tft.TFTransformOutput:
    """Item i<n> has 8 - n positive training targets; of two users only `u0` tells a gender."""
    rows = [history("u0", ITEMS[:4], user_gender=["F"]), *(history("u1", ITEMS[:n]) for n in (1, 2, 3, 4, 5, 6, 7))]
    rows += [{"catalogue_id": [i], "item_genres": ["drama"] if n % 2 else ["war", "noir"]} for n, i in enumerate(ITEMS)]
    return analyse(config, rows, DTYPES, folder)


def untrained_model(config: Config, tft_output: tft.TFTransformOutput) -> RecommenderModel:
    """A model with random weights; of all items only i1 has features, the genre of category 0."""
    tf.keras.utils.set_random_seed(1)
    features, catalogue = model_features(config, tft_output), load_catalogue([], tft_output, config)
    catalogue.features["item_genres"][1] = 0
    statistics = {"rating": LabelStatistics(3.0, 2.0), "like": LabelStatistics(0.5, 0.5)}
    return RecommenderModel(config, features, catalogue, user_vocabulary_size(tft_output), statistics)


def serialized(*rows: dict[str, list]) -> tf.Tensor:
    """Rows as serialized tf.Examples, string [B]."""
    return tf.constant([_example(row).SerializeToString() for row in rows])


def _example(row: dict[str, list]) -> tf.train.Example:
    example, dtypes = tf.train.Example(), {**DTYPES, **REQUEST_DTYPES}
    for name, values in row.items():
        feature = example.features.feature[name]
        if dtypes[name] == tf.string:
            feature.bytes_list.value.extend(v.encode() for v in values)
        elif dtypes[name] == tf.int64:
            feature.int64_list.value.extend(values)
        else:
            feature.float_list.value.extend(values)
    return example
