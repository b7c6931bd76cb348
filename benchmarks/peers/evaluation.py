"""What a peer may learn from, what it is queried and what is right, in each of QUALITY.md's states."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp

from benchmarks.peers.examples import Events, Log

State = Literal["train", "papers", "refit"]
"""`train`: weights and history from train; `papers`: weights from train, history from train and eval; `refit`: both
from train and eval."""
History = Literal["frozen", "rolling"]
"""`frozen`: one query per user, its history ends with the split; `rolling`: one per target, with all before it."""


@dataclass(frozen=True)
class Training:
    """The positive events to learn from, by user, then time; aligned arrays [E], see `Events`."""

    user: np.ndarray
    item: np.ndarray
    time: np.ndarray
    users: int
    items: int

    def matrix(self) -> sp.csr_matrix:
        """Which user interacted with which item: float32 [U, V], ones."""
        ones = np.ones(len(self.user), np.float32)
        return _binary(ones, self.user, self.item, (self.users, self.items))


@dataclass(frozen=True)
class Queries:
    """Requests of users for items.

    Attributes:
      user: int64 [B] in [0, U).
      time: int64 [B], the time of the request; 0 where the log has no times.
      start, stop: int64 [B]; the history of query b is item[start[b]:stop[b]], oldest first.
      item: int64 [E], the positive events of all users.
      items: V.
    """

    user: np.ndarray
    time: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    item: np.ndarray
    items: int

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, rows: slice) -> "Queries":
        return replace(self, user=self.user[rows], time=self.time[rows], start=self.start[rows], stop=self.stop[rows])

    def matrix(self) -> sp.csr_matrix:
        """The histories as sets: float32 [B, V], ones."""
        lengths = self.stop - self.start
        row = np.repeat(np.arange(len(self)), lengths)
        item = self.item[np.arange(lengths.sum()) + np.repeat(self.start - np.cumsum(lengths) + lengths, lengths)]
        known = item < self.items
        return _binary(np.ones(known.sum(), np.float32), row[known], item[known], (len(self), self.items))

    def recent(self, count: int) -> np.ndarray:
        """The last `count` items of each history, the newest first: int64 [B, count], V where there is none."""
        position = self.stop[:, None] - 1 - np.arange(count)
        inside = position >= self.start[:, None]
        if not len(self.item):
            return np.full(position.shape, self.items)
        return np.where(inside, self.item[np.where(inside, position, 0)], self.items)


@dataclass(frozen=True)
class Evaluation:
    """One evaluation. Its items are the V that `training` holds, in the log's order: peers know no others.

    Attributes:
      training: What the peer is fitted to.
      queries: B queries.
      seen: CSR bool [B, V], the items masked in each.
      target_query: int64 [T].
      target_item: int64 [T]; V for an item that `training` lacks: no peer finds it.
      cold: bool [T], whether the target's user has no train event.
      one_list: Whether a user's targets stand in one ranked list.
    """

    training: Training
    queries: Queries
    seen: sp.csr_matrix
    target_query: np.ndarray
    target_item: np.ndarray
    cold: np.ndarray
    one_list: bool


def selection_evaluation(log: Log) -> Evaluation:
    """The evaluation on eval by which hyper-parameters are chosen: weights and frozen history from train."""
    return _on(log, "eval", log.train, log.train, "frozen")


def final_evaluation(log: Log, state: State, history: History = "frozen") -> Evaluation:
    """The evaluation on test.

    A rolling history adds to the state's events those of test before the target.
    """
    both = log.train + log.eval.events
    return _on(log, "test", both if state == "refit" else log.train, log.train if state == "train" else both, history)


def _on(log: Log, split: Literal["eval", "test"], fitted: Events, known: Events, history: History) -> Evaluation:
    targets = getattr(log, split)
    rows = np.flatnonzero(targets.events.positive)
    queried = targets.events[rows]
    known = known[known.positive]
    fitted = fitted[fitted.positive & (fitted.item < len(log.items))]
    items = np.unique(fitted.item)
    position = np.full(len(log.items) + 1, len(items))
    position[items] = np.arange(len(items))
    query, first = _one_query_per_user(queried) if history == "frozen" else (np.arange(len(rows)), np.arange(len(rows)))
    start, stop, known = _frozen(known, queried[first]) if history == "frozen" else _rolling(known, queried)
    return Evaluation(
        training=Training(fitted.user, position[fitted.item], fitted.time, len(log.users), len(items)),
        queries=Queries(queried.user[first], queried.time[first], start, stop, position[known.item], len(items)),
        seen=targets.seen[rows[first]][:, items],
        target_query=query,
        target_item=position[queried.item],
        cold=targets.cold[rows],
        one_list=history == "frozen",
    )


def _one_query_per_user(queried: Events) -> tuple[np.ndarray, np.ndarray]:
    """Of each target its query, of each query its first target."""
    _, first, query = np.unique(queried.user, return_index=True, return_inverse=True)
    return query, first


def _frozen(known: Events, queried: Events) -> tuple[np.ndarray, np.ndarray, Events]:
    return (
        np.searchsorted(known.user, queried.user),
        np.searchsorted(known.user, queried.user, "right"),
        known,
    )


def _rolling(known: Events, queried: Events) -> tuple[np.ndarray, np.ndarray, Events]:
    joined = Events(*(np.concatenate(pair) for pair in zip(vars(known).values(), vars(queried).values(), strict=True)))
    # Stable, and `known` comes first: of two events at one time the one of the earlier split stands before.
    order = np.lexsort((joined.time, joined.user))
    position = np.empty(len(order), np.int64)
    position[order] = np.arange(len(order))
    joined = joined[order]
    return np.searchsorted(joined.user, queried.user), position[len(known) :], joined


def _binary(ones: np.ndarray, row: np.ndarray, column: np.ndarray, shape: tuple[int, int]) -> sp.csr_matrix:
    matrix = sp.csr_matrix((ones, (row, column)), shape=shape)
    matrix.data[:] = 1
    return matrix
