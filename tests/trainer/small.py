"""A small model on transformed windows that are drawn here: what the trainer's tests share."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf

from config import Config, parse_config
from trainer.data.batching import LabelStatistics
from trainer.data.catalogue import Catalogue
from trainer.data.dataset import WindowData
from trainer.data.user_sample import UserSample, sample_users
from trainer.data.windows import WindowSpec
from trainer.model.recommender import RecommenderModel
from transform.features import ModelFeature
from transform.trend import Buckets, TrendCounts

YAML = """
name: small
data:
  folder: data
  interactions: {path: events.csv}
features: {trend: {days: []}}
tasks:
  retrieval: {kind: retrieval, next_events: 2}
  rating: {kind: regression, label: rating, min: 1, max: 5}
  like: {kind: binary, label: rating >= 4}
model: {dimension: 8, feature_dimension: 4, history: {max_events: 6, dropout: 0, item_dropout: 0, blank: 0}}
training: {epochs: 3, batch_size: 4, hide: null, optimizer: {warmup_steps: 2}}
evaluation: {ks: [3]}
"""
FEATURES = (
    ModelFeature("user_gender", "user", "category", 3),
    ModelFeature("user_tags", "user", "categories", 5),
    ModelFeature("context_device", "context", "category", 3),
    ModelFeature("outcome_stars", "outcome", "category", 6),
    ModelFeature("outcome_dwell", "outcome", "number", None),
    ModelFeature("item_genres", "item", "categories", 4),
    ModelFeature("item_price", "item", "number", None),
)
ITEMS, USERS = 12, 9
STATISTICS = {"rating": LabelStatistics(3.0, 1.5), "like": LabelStatistics(0.5, 0.5), "page": LabelStatistics(0.5, 0.5)}
MANY_TASKS = {
    "buy": {"kind": "binary", "label": "rating == 5", "positive_weight": 3.0, "label_smoothing": 0.1},
    "genre": {"kind": "multiclass", "attribute": "genres", "label_smoothing": 0.1},
    "order": {"kind": "pairwise", "label": "rating", "within": 3},
    "page": {"kind": "listwise", "label": "rating >= 4", "session": "page"},
}
"""Tasks of the other kinds, for `many_tasks_config`."""


def small_config(**changes: object) -> Config:
    """The configuration; `changes` are sections, merged one level deep into those above."""
    values = parse_config(YAML).model_dump(exclude_unset=True)
    for section, change in changes.items():
        old = values.get(section)
        values[section] = {**old, **change} if isinstance(old, dict) and isinstance(change, dict) else change
    return Config.model_validate(values)


def many_tasks_config(**changes: object) -> Config:
    """The configuration with tasks of every kind; `changes` as for `small_config`."""
    item = [{"name": "genres", "kind": "multi_valued"}, {"name": "price", "kind": "numeric"}]
    tasks = {**MANY_TASKS, **changes.pop("tasks", {})}  # type: ignore[dict-item]
    features = {"item": item, **changes.pop("features", {})}  # type: ignore[dict-item]
    return small_config(features=features, tasks=tasks, **changes)


def encoder_config(encoder: str, **history: object) -> Config:
    """The configuration with another history encoder."""
    model = small_config().model.model_dump()
    return small_config(model={**model, "history": {**model["history"], "encoder": encoder, **history}})


def small_spec(config: Config) -> WindowSpec:
    """Twelve items and nine users."""
    return WindowSpec(config, FEATURES, ITEMS, USERS)


def small_catalogue() -> Catalogue:
    """Item 0 is the most frequent one; the last item and the unknown one have no features."""
    genres = np.array([[n % 4, -1] for n in range(ITEMS - 1)] + [[-1, -1]] * 2, np.int32)
    prices = np.linspace(-1, 1, ITEMS + 1, dtype=np.float32)
    ids = np.array([f"i{n}".encode() for n in range(ITEMS)], dtype=object)
    frequencies = np.arange(ITEMS, 0, -1).astype(np.float32)
    return Catalogue(ids, frequencies, {"item_genres": genres, "item_price": prices}, small_trend())


def small_trend() -> TrendCounts:
    """Twenty buckets of 400 seconds with up to four events of an item."""
    counts = np.random.default_rng(2).integers(0, 5, [20, ITEMS])
    bucket, item = np.nonzero(counts)
    return TrendCounts(Buckets(0, 400, 20), item, bucket, counts[bucket, item])


def small_model(config: Config, seed: int = 1, labels: Mapping[str, LabelStatistics] = STATISTICS) -> RecommenderModel:
    """A model with random weights."""
    tf.keras.utils.set_random_seed(seed)
    return RecommenderModel(config, FEATURES, small_catalogue(), USERS, labels)


def draw_row(rng: np.random.Generator, length: int, **features: list) -> dict[str, list]:
    """A transformed window of random events in which every event is a positive target."""
    rating = rng.integers(1, 6, length)
    row = {
        "user_id": [int(rng.integers(USERS))],
        "user_gender": [int(rng.integers(2))],
        "user_tags": rng.integers(0, 4, rng.integers(0, 3)).tolist(),
        "item_id": rng.integers(0, ITEMS, length).tolist(),
        "time": np.cumsum(rng.integers(1, 1000, length)).tolist(),
        "context_device": rng.integers(0, 2, length).tolist(),
        "outcome_stars": rating.tolist(),
        "outcome_dwell": rng.normal(size=length).tolist(),
        "label_rating": rating.astype(float).tolist(),
        "weight_rating": [1.0] * length,
        "label_like": (rating >= 4).astype(float).tolist(),
        "weight_like": [1.0] * length,
        "label_buy": (rating == 5).astype(float).tolist(),
        "weight_buy": [1.0] * length,
        "weight_genre": [1.0] * length,
        "label_order": rating.astype(float).tolist(),
        "weight_order": [1.0] * length,
        "label_page": (rating >= 4).astype(float).tolist(),
        "weight_page": [1.0] * length,
        "session_page": [n // 3 for n in range(length)],
        "is_positive": [1] * length,
        "is_target": [1] * length,
    }
    row |= features
    return {"user_key": row["user_id"], **row}


def draw_rows(seed: int, count: int, longest: int = 8) -> list[dict[str, list]]:
    """Windows of two events and more."""
    rng = np.random.default_rng(seed)
    return [draw_row(rng, int(rng.integers(2, longest + 1))) for _ in range(count)]


def draw_eval_rows(seed: int, count: int) -> list[dict[str, list]]:
    """Windows whose last event is the target."""
    rows = draw_rows(seed, count)
    marks = [[0] * (len(row["item_id"]) - 1) + [1] for row in rows]
    seen = [sorted(set(row["item_id"][:-1])) for row in rows]
    return [
        {**r, "is_target": m, "seen_item_id": s, "is_cold_user": [0]} for r, m, s in zip(rows, marks, seen, strict=True)
    ]


def sampled(data: WindowData) -> UserSample:
    """Every window of a split of few."""
    return sample_users(data, windows=1000, seed=0)


def sparse_features(rows: list[dict[str, list]]) -> dict[str, tf.SparseTensor]:
    """What parsing the rows' examples gives."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: tf.ragged.constant([r.get(name, []) for r in rows], _dtype(name)).to_sparse() for name in names}


def write_rows(path: Path, rows: list[dict[str, list]]) -> str:
    """Writes a gzipped TFRecord file of transformed examples and returns its path."""
    with tf.io.TFRecordWriter(str(path), tf.io.TFRecordOptions(compression_type="GZIP")) as writer:
        for row in rows:
            example = tf.train.Example()
            for name, values in row.items():
                feature = example.features.feature[name]
                kind = feature.float_list if _dtype(name) == tf.float32 else feature.int64_list
                kind.value.extend(values)
            writer.write(example.SerializeToString())
    return str(path)


def _dtype(name: str) -> tf.DType:
    return tf.float32 if name.startswith(("label_", "weight_")) or name == "outcome_dwell" else tf.int64
