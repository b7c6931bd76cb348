"""Chooses, fits and evaluates peers, one after the other."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers import ranking, rating
from benchmarks.peers.exam import History, State, final_exam, selection_exam
from benchmarks.peers.examples import Log
from benchmarks.peers.ranking import Ranker
from benchmarks.peers.registry import BLENDED, RANKERS, RATERS
from benchmarks.protocol import Metric

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
    selection = selection_exam(log)
    exams = {state: final_exam(log, state, history) for state in states}
    chosen: dict[str, Ranker] = {}
    needed = {*only, *(BLENDED if "blend" in only else ())}
    for name in [name for name in RANKERS if name in needed]:
        start = time.monotonic()
        chosen[name] = ranking.choose(RANKERS[name](chosen), selection)
        choosing = time.monotonic() - start
        if name in only:
            yield from _results(name, chosen[name], exams, ranking.metrics, choosing)


def run_raters(log: Log, states: Sequence[State], only: Sequence[str]) -> Iterator[Result]:
    """Evaluates rating peers; none where the log has no ratings. `papers` is `train` and left out beside it."""
    if not (np.isfinite(log.train.label).any() and np.isfinite(log.test.events.label).any()):
        return
    selection = rating.selection_exam(log)
    exams = {state: rating.final_exam(log, state) for state in states if state != "papers" or "train" not in states}
    for name in [name for name in RATERS if name in only]:
        start = time.monotonic()
        chosen = rating.choose(RATERS[name](), selection)
        yield from _results(name, chosen, exams, rating.metrics, time.monotonic() - start)


def _results(
    name: str, peer: Any, exams: Mapping[State, Any], metrics: Callable[..., Metrics], choosing: float
) -> Iterator[Result]:
    fitted = None
    for state, exam in exams.items():
        start = time.monotonic()
        if (state == "refit") != fitted:  # `train` and `papers` have the same weights
            peer.fit(exam.training)
            fitted = state == "refit"
        found = metrics(peer, exam)
        yield Result(name, str(peer), state, found, choosing + time.monotonic() - start)
