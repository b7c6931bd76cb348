"""The trained model with what is fitted on it: the model that is evaluated, exported and served."""

from collections.abc import Sequence

import tensorflow as tf

from config.tasks import NETWORK
from trainer.data.windows import Window
from trainer.model.query_tower import QueryState
from trainer.model.recommender import RecommenderModel
from trainer.stacking.neighbours import Neighbours
from trainer.stacking.rating_baseline import RatingBaseline


class StackedRecommender(tf.Module):
    """Stacks item neighbours and rating baselines on a trained network (Breiman, 1996, Stacked Regressions).

    The network is used as it is: whatever is fitted on it stands here, and not in its weights.

    Args:
        network: The trained model.
        neighbours: Whose scores are added to the towers'. None: the towers' are the retrieval scores.
        baselines: Of labels; each predicts the tasks that it is blended with, the network all others.
    """

    def __init__(
        self, network: RecommenderModel, neighbours: Neighbours | None = None, baselines: Sequence[RatingBaseline] = ()
    ) -> None:
        super().__init__(name="stacked_recommender")
        self.network = network
        self.neighbours = neighbours
        self.baselines = list(baselines)

    def retrieval_scores(self, window: Window, state: QueryState, candidates: tf.Tensor) -> tf.Tensor:
        """The network's (`RecommenderModel.retrieval_scores`) with those of the histories' neighbourhoods."""
        scores = self.network.retrieval_scores(window, state, candidates)
        return scores if self.neighbours is None else scores + self.neighbours.scores(state.items)

    def rank(self, state: QueryState, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """As `RecommenderModel.rank`, blended with the baselines."""
        found = self.network.rank(state, item)
        for baseline in self.baselines:
            found |= baseline.predictions(found, state, item)
        return found

    def weights(self) -> dict[str, dict[str, float]]:
        """By task: the weight of each part of its score, where one was stacked on the network's."""
        weights = {n: dict(blend.weights or {}) for baseline in self.baselines for n, blend in baseline.blends.items()}
        if self.neighbours is not None and self.network.retrieval_name is not None:
            weights[self.network.retrieval_name] = {NETWORK: 1.0, **self.neighbours.weights}
        return {name: weights[name] for name in self.network.config.tasks if name in weights}
