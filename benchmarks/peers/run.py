"""The peers by name, each with the settings among which eval chooses, and their runs one after the other."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import product
from typing import Any, Final

import numpy as np

from benchmarks.peers import ranking, rating
from benchmarks.peers.evaluation import History, State, final_evaluation, selection_evaluation
from benchmarks.peers.examples import Log
from benchmarks.peers.rankers import EASE, Blend, FitOnce, ItemKNN, Popularity, RecentPopularity, Transitions
from benchmarks.peers.ranking import Ranker
from benchmarks.peers.raters import SVD, BiasModel
from benchmarks.peers.rating import Rater
from benchmarks.protocol import Metric

Rankers = Callable[[Mapping[str, Ranker]], Sequence[Ranker]]
"""From the peers chosen before, by name, to the candidates."""

BLENDED: Final = ("transitions", "EASE", "recent popularity")


def _blends(chosen: Mapping[str, Ranker]) -> Sequence[Ranker]:
    parts = tuple(FitOnce(chosen[name]) for name in BLENDED)
    return [Blend((1.0, *weights), parts) for weights in product((0.25, 0.5, 1.0, 2.0), (0.0, 0.1, 0.25, 0.5))]


def _made(module: str, name: str, *settings: Mapping[str, Any]) -> list[Any]:
    """Returns the peers of an optional library, which is imported when they are evaluated."""
    peer = getattr(import_module(f"benchmarks.peers.{module}"), name)
    return [peer(**values) for values in settings]


def _grid(**values: Sequence[Any]) -> list[dict[str, Any]]:
    return [dict(zip(values, row, strict=True)) for row in product(*values.values())]


_ALS: Final = _grid(factors=(32, 128), regularization=(1.0, 10.0), alpha=(1.0, 5.0))
_BPR: Final = _grid(factors=(32, 64, 128), regularization=(0.01, 0.05))
_TRANSITIONS: Final = _grid(distance_decay=(0.8, 0.9), history_decay=(0.6, 0.8, 0.9), damping=(0.0, 0.2, 0.4))
_DAMPING: Final = _grid(user_damping=(1.0, 3.0, 10.0), item_damping=(1.0, 3.0, 10.0))

RANKERS: Final[dict[str, Rankers]] = {
    "popularity": lambda _: [Popularity()],
    "recent popularity": lambda _: [RecentPopularity(days) for days in (30.0, 7.0)],
    "ItemKNN": lambda _: [ItemKNN(*settings) for settings in ((20, 0.0), (50, 0.0), (200, 50.0))],
    "EASE": lambda _: [EASE(l2) for l2 in (100.0, 250.0, 500.0, 1000.0)],
    "implicit ALS": lambda _: _made("factors", "ImplicitALS", *_ALS),
    "BPR": lambda _: _made("factors", "BPR", *_BPR),
    "TFRS tutorial": lambda _: _made("tfrs_tutorial", "TFRSTutorial", {}),
    "transitions": lambda _: [Transitions(10, **settings) for settings in _TRANSITIONS],
    "blend": _blends,
}
RATERS: Final[dict[str, Callable[[], Sequence[Rater]]]] = {
    "bias": lambda: [BiasModel(**damping) for damping in _DAMPING],
    "SVD": lambda: [SVD(l2=l2) for l2 in (0.1, 0.15, 0.2, 0.3, 0.5)],
    "Bayesian FM, ids": lambda: _made("bayesian_fm", "BayesianFM", {}),
    "Bayesian FM, everything": lambda: _made("bayesian_fm", "BayesianFM", {"everything": True}),
}

Metrics = dict[str, dict[str, Metric]]
"""By slice, by metric."""


@dataclass(frozen=True)
class Result:
    """A peer's metrics on test.

    Attributes:
      peer: Its name.
      settings: What eval chose.
      state: What it knew.
      metrics: By slice, by metric.
      seconds: The time of choosing, fitting (where the state before had other weights) and scoring.
    """

    peer: str
    settings: str
    state: State
    metrics: Metrics
    seconds: float


def names() -> list[str]:
    """The names of all peers, in the order in which they run."""
    return [*RANKERS, *RATERS]


def run_rankers(log: Log, states: Sequence[State], history: History, only: Sequence[str]) -> Iterator[Result]:
    """Evaluates ranking peers.

    Args:
      log: The examples.
      states: What the peers may know; settings are chosen once.
      history: Whether histories end with the split or before the target.
      only: The peers' names.
    """
    selection = selection_evaluation(log)
    evaluations = {state: final_evaluation(log, state, history) for state in states}
    chosen: dict[str, Ranker] = {}
    needed = {*only, *(BLENDED if "blend" in only else ())}
    for name in [name for name in RANKERS if name in needed]:
        start = time.monotonic()
        chosen[name] = ranking.choose(RANKERS[name](chosen), selection)
        choosing = time.monotonic() - start
        if name in only:
            yield from _results(name, chosen[name], evaluations, ranking.metrics, choosing)


def run_raters(log: Log, states: Sequence[State], only: Sequence[str]) -> Iterator[Result]:
    """Evaluates rating peers; none where the log has no ratings. `papers` is `train` and left out beside it."""
    if not (np.isfinite(log.train.label).any() and np.isfinite(log.test.events.label).any()):
        return
    selection = rating.selection_evaluation(log)
    evaluations = {
        state: rating.final_evaluation(log, state) for state in states if state != "papers" or "train" not in states
    }
    for name in [name for name in RATERS if name in only]:
        start = time.monotonic()
        chosen = rating.choose(RATERS[name](), selection)
        yield from _results(name, chosen, evaluations, rating.metrics, time.monotonic() - start)


def _results(
    name: str, peer: Any, evaluations: Mapping[State, Any], metrics: Callable[..., Metrics], choosing: float
) -> Iterator[Result]:
    fitted = None
    for state, evaluation in evaluations.items():
        start = time.monotonic()
        if (state == "refit") != fitted:  # `train` and `papers` have the same weights
            peer.fit(evaluation.training)
            fitted = state == "refit"
        found = metrics(peer, evaluation)
        yield Result(name, str(peer), state, found, choosing + time.monotonic() - start)
