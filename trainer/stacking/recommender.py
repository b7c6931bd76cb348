"""The trained model with what is fitted on it: the model that is evaluated, exported and served."""

from collections.abc import Iterable, Sequence

import tensorflow as tf

from config.progress import say
from config.tasks import NETWORK
from trainer.data.windows import Window
from trainer.model.query_tower import QueryState
from trainer.model.recommender import RecommenderModel
from trainer.stacking.neighbours import Neighbours
from trainer.stacking.rating_baseline import RatingBaseline


class StackedRecommender(tf.Module):
    """Stacks item neighbours and rating baselines on a trained network (Breiman, "Stacked regressions", 1996).

    The network is frozen. The retrieval score of item i for a query with the history H is

        s(i) = s_network(i) + sum_k w_k sum_(j in H) d_k^age(j) l_k(j, i)

    with the links l_k, the weight w_k and the decay d_k of each kind k of item neighbourhood. The prediction of a
    regression or binary task with the mean label mu is

        y(i) = g^-1( g(mu) + w_network (g(y_network(i)) - g(mu)) + sum_p w_p part_p(i) )

    with the link g (the identity, or the log-odds of a binary task) and the parts p of `RatingBaseline`: bias terms,
    neighbours, factors, session biases and attributes. All other scores are the network's.

    Args:
        network: The trained model.
        neighbours: Item neighbourhoods, with their weights. None: the retrieval scores are the network's.
        baselines: Rating baselines with the blends of the tasks that they predict.
    """

    def __init__(
        self, network: RecommenderModel, neighbours: Neighbours | None = None, baselines: Sequence[RatingBaseline] = ()
    ) -> None:
        super().__init__(name="stacked_recommender")
        self.network = network
        self.neighbours = neighbours
        self.baselines = list(baselines)

    def retrieval_scores(self, window: Window, state: QueryState, candidates: tf.Tensor) -> tf.Tensor:
        """Computes `RecommenderModel.retrieval_scores` plus the scores of the histories' neighbourhoods."""
        scores = self.network.retrieval_scores(window, state, candidates)
        return scores if self.neighbours is None else scores + self.neighbours.scores(state.items)

    def rank(self, state: QueryState, item: tf.Tensor) -> dict[str, tf.Tensor]:
        """Computes `RecommenderModel.rank`, blended with the baselines."""
        scores = self.network.rank(state, item)
        for baseline in self.baselines:
            scores |= baseline.predictions(scores, state, item)
        return scores

    def weights(self) -> dict[str, dict[str, float]]:
        """Returns the weight of each part by task, for tasks whose scores are stacked."""
        weights = {n: dict(blend.weights or {}) for baseline in self.baselines for n, blend in baseline.blends.items()}
        if self.neighbours is not None and self.network.retrieval_name is not None:
            weights[self.network.retrieval_name] = {NETWORK: 1.0, **self.neighbours.weights}
        return {name: weights[name] for name in self.network.config.tasks if name in weights}


class LeftOut:
    """Collects the configured parts that a model lacks, since the data do not determine them or they do not help.

    Attributes:
        reasons: The reason by task and part.
    """

    def __init__(self) -> None:
        self.reasons: dict[str, dict[str, str]] = {}

    def add(self, task: str, parts: Iterable[str], reason: str) -> None:
        """Reports that a task's score lacks these parts, and keeps the reason for the run's report."""
        names = list(parts)
        if names:
            say(f"{task}: without {', '.join(names)}: {reason}")
            self.reasons.setdefault(task, {}).update(dict.fromkeys(names, reason))
