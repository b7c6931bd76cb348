"""The resolvers of the model that a training starts from (`training.warm_start`)."""

from typing import Any

from tfx import types
from tfx import v1 as tfx
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import LatestBlessedModelStrategy
from tfx.types import standard_artifacts

from config import Config
from pipeline.evaluation.baseline import BLESSING, MODEL, blessed_of, served_before

DATA = "data"
_ID = "base_model"


class BlessedBeforeData(ResolverStrategy):
    """Resolves the latest blessed model that is older than this run's transform graph, and was not withdrawn.

    A run again of the same data takes the transform graph from the cache. So it resolves the same model as before, and
    not the one that these data have been trained into already; the Trainer then comes from the cache, too.
    """

    def resolve_artifacts(
        self, store: Any, input_dict: dict[str, list[types.Artifact]]
    ) -> dict[str, list[types.Artifact]]:
        """Keeps at most one model, and its blessing; see the base class."""
        data = input_dict[DATA]
        first = min((graph.id for graph in data), default=0)
        older = served_before(store, input_dict[MODEL], first)
        return {**blessed_of(store, older, input_dict[BLESSING]), DATA: data}


def blessed_before_data(transform_graph: types.BaseChannel) -> list[tfx.dsl.Resolver]:
    """Resolves the model that a training on this run's data starts from. For the local runner."""
    resolver = tfx.dsl.Resolver(strategy_class=BlessedBeforeData, data=transform_graph, **_blessed_models())
    return [resolver.with_id(_ID)]


def latest_base(transform_graph: types.BaseChannel) -> list[tfx.dsl.Resolver]:
    """Does so by TFX's own strategy, which Vertex AI supports; ignores the argument, so that a run again of
    the same data there trains once more, from the model that these data have been trained into."""
    del transform_graph
    return [tfx.dsl.Resolver(strategy_class=LatestBlessedModelStrategy, **_blessed_models()).with_id(_ID)]


def starts_from_blessed(config: Config) -> bool:
    """Returns whether trainings start from the newest blessed model."""
    return config.training.warm_start is not None and config.training.warm_start.model is None


def _blessed_models() -> dict[str, Any]:
    return {
        MODEL: tfx.dsl.Channel(type=standard_artifacts.Model),
        BLESSING: tfx.dsl.Channel(type=standard_artifacts.ModelBlessing),
    }
