"""A catalogue of 200 items with raw attributes, an exported model of them, and random requests."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from config import Config
from tests.trainer.served import DTYPES, history, serialized, shop
from tests.transform.conftest import analyse
from trainer.data.attributes import Attributes, Numbers, words
from trainer.data.batching import LabelStatistics
from trainer.data.catalogue import load_catalogue
from trainer.export.saved_model import ExportedModel
from trainer.model.recommender import RecommenderModel
from trainer.stacking.recommender import StackedRecommender
from transform.features import model_features, user_vocabulary_size

ITEMS = [f"m{n:03d}" for n in range(200)]
GENRES = ["comedy", "drama", "noir", "opera", "war"]
SERVING: dict[str, Any] = {
    "candidates": 40,
    "default_k": 5,
    "max_k": 250,
    "utility": {"retrieval": 1.0, "rating": 0.5, "like": -1.0},
    "allow_list": True,
    "filters": ["genres", "year"],
    "diversity": {"shortlist": 60, "caps": {"genres": 0}},
}
FEATURES = {
    **shop().model_dump(exclude_unset=True)["features"],
    "item": [{"name": "genres", "kind": "multi_valued"}, {"name": "year", "kind": "numeric"}],
}


def market(**serving: Any) -> Config:
    """The shop's configuration with a year for items, and what requests may ask."""
    return shop(features=FEATURES, serving={**SERVING, **serving})


def market_graph(folder: Path) -> tft.TFTransformOutput:
    """Two users; item 0 is the most frequent, and items of the same count are in falling order of their ids."""
    rows = [history("u0", ITEMS[:4], user_gender=["F"]), history("u1", ITEMS[:2])]
    rows += [{"catalogue_id": [i], "item_genres": [GENRES[n % 5]], "item_year": [1980.0]} for n, i in enumerate(ITEMS)]
    return analyse(market(), rows, {**DTYPES, "item_year": tf.float32}, folder)


def market_attributes(item_ids: np.ndarray) -> Attributes:
    """Up to three genres and a year of 1980 to 2019 for most items; `item_ids` in the catalogue's order."""
    rng = np.random.default_rng(5)
    pairs = [(genre, item) for item in range(len(item_ids)) for genre in rng.choice(GENRES, rng.integers(0, 4))]
    values = np.array([genre.encode() for genre, _ in pairs], object)
    years = rng.integers(1980, 2020, len(item_ids)).astype(np.float32)
    years[rng.random(len(years)) < 0.1] = np.nan
    return {"genres": words(values, np.array([item for _, item in pairs])), "year": Numbers(years)}


def market_model(config: Config, graph: tft.TFTransformOutput) -> RecommenderModel:
    """Random weights; of the items 100 to 119 each has the tables' rows of the item 20 positions before it."""
    tf.keras.utils.set_random_seed(3)
    features, catalogue = model_features(config, graph), load_catalogue([], graph, config)
    statistics = {"rating": LabelStatistics(3.0, 2.0), "like": LabelStatistics(0.5, 0.5)}
    model = RecommenderModel(config, features, catalogue, user_vocabulary_size(graph), statistics)
    rng = np.random.default_rng(4)
    for weight in model.trainable_variables:
        values = weight.numpy() + rng.normal(0, 0.3, weight.shape)
        if len(values.shape) and len(values) == len(ITEMS) + 1:
            values[100:120] = values[80:100]
        weight.assign(values)
    return model


def market_module(graph: tft.TFTransformOutput, **serving: Any) -> ExportedModel:
    """The exported functions with the raw attributes."""
    config = market(**serving)
    model = market_model(config, graph)
    return ExportedModel(StackedRecommender(model), graph, config, attributes=market_attributes(np.array(ITEMS)))


def draw_requests(count: int, seed: int) -> list[dict[str, list]]:
    """Requests with and without everything that they may hold."""
    rng = np.random.default_rng(seed)
    return [_draw(rng) for _ in range(count)]


def _draw(rng: np.random.Generator) -> dict[str, list]:
    ids = np.array([*ITEMS, "unknown"])
    request: dict[str, list] = {}
    if rng.random() < 0.02:
        return request
    if rng.random() < 0.7:
        request["user_id"] = [str(rng.choice(["u0", "u1", "nobody"]))]
    if events := int(rng.integers(0, 9)):
        request["item_id"] = rng.choice(ids, events).tolist()
        request["time"] = np.cumsum(rng.integers(1, 9999, events + 1)).tolist()
    if rng.random() < 0.5:
        request["exclude_item_id"] = rng.choice(ids, int(rng.choice([3, 50, 600]))).tolist()
    elif rng.random() < 0.1:
        request["exclude_item_id"] = ITEMS
    if rng.random() < 0.3:
        request["allow_item_id"] = rng.choice(ids, int(rng.choice([1, 10, 150]))).tolist()
    elif rng.random() < 0.1:
        request["allow_item_id"] = ["unknown", "?"]
    if rng.random() < 0.4:
        request["filter_genres"] = rng.choice([*GENRES, "?"], int(rng.integers(1, 4))).tolist()
    for name in ("min_year", "max_year"):
        if rng.random() < 0.3:
            request[name] = [float(rng.integers(1980, 2020))]
    if rng.random() < 0.9:
        request["k"] = [int(rng.choice([-1, 0, 1, 3, 10, 60, 200, 1000]))]
    return request


def batches(requests: list[dict[str, list]], size: int) -> list[tf.Tensor]:
    """The requests as serialized examples, batch by batch."""
    return [serialized(*requests[i : i + size]) for i in range(0, len(requests), size)]
