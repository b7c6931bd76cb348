"""The small model with items that training never saw."""

import dataclasses

import tensorflow as tf

from config import Config
from tests.trainer.small import FEATURES, STATISTICS, USERS, small_catalogue, small_config
from trainer.model.recommender import RecommenderModel

WARM = 9
"""Items 9, 10, 11 and the unknown one have no training positive."""
GENERATOR = {"layers": [5], "critic_layers": [6], "noise": 2, "samples": 7}


def cold_config(generator: dict | None = None, **changes: object) -> Config:
    """Half of the ids are hidden in training."""
    model = {"id_dropout": 0.5, "generator": generator, **changes.pop("model", {})}  # type: ignore[dict-item]
    item = [{"name": "genres", "kind": "multi_valued"}, {"name": "price", "kind": "numeric"}]
    return small_config(model={**small_config().model.model_dump(), **model}, features={"item": item}, **changes)


def cold_model(config: Config) -> RecommenderModel:
    """A model with random weights whose last three items are cold."""
    tf.keras.utils.set_random_seed(1)
    frequencies = small_catalogue().frequencies.copy()
    frequencies[WARM:] = 0
    catalogue = dataclasses.replace(small_catalogue(), frequencies=frequencies)
    return RecommenderModel(config, FEATURES, catalogue, USERS, STATISTICS)
