"""The small shop's transform graph, model and SavedModel, made once for all tests."""

from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from config import Config
from tests.trainer.market import market_graph
from tests.trainer.market import market_module as export_market
from tests.trainer.served import shop, transform_graph, untrained_model
from trainer.export.saved_model import ExportedModel, export_model
from trainer.model.recommender import RecommenderModel
from trainer.stacking.recommender import StackedRecommender

Signature = Callable[..., dict[str, np.ndarray]]


@pytest.fixture(scope="session")
def shop_config() -> Config:
    return shop()


@pytest.fixture(scope="session")
def shop_graph(shop_config: Config, tmp_path_factory: pytest.TempPathFactory) -> tft.TFTransformOutput:
    return transform_graph(shop_config, tmp_path_factory.mktemp("transform"))


@pytest.fixture(scope="session")
def shop_model(shop_config: Config, shop_graph: tft.TFTransformOutput) -> RecommenderModel:
    return untrained_model(shop_config, shop_graph)


@pytest.fixture(scope="session")
def saved_model_path(
    shop_config: Config,
    shop_graph: tft.TFTransformOutput,
    shop_model: RecommenderModel,
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    path = str(tmp_path_factory.mktemp("saved_model"))
    export_model(StackedRecommender(shop_model), shop_graph, shop_config, path)
    return path


@pytest.fixture(scope="session")
def saved_model(saved_model_path: str) -> tf.Module:
    return tf.saved_model.load(saved_model_path)


@pytest.fixture(scope="session")
def call(saved_model: tf.Module) -> Signature:
    """Calls a signature of the loaded SavedModel by name."""

    def answer(signature: str, **inputs: object) -> dict[str, np.ndarray]:
        tensors = {name: tf.convert_to_tensor(values) for name, values in inputs.items()}
        return {name: values.numpy() for name, values in saved_model.signatures[signature](**tensors).items()}

    return answer


@pytest.fixture(scope="session")
def market_graph_output(tmp_path_factory: pytest.TempPathFactory) -> tft.TFTransformOutput:
    return market_graph(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="session")
def market_module(market_graph_output: tft.TFTransformOutput) -> ExportedModel:
    """The exported functions of the market, not saved."""
    return export_market(market_graph_output)
