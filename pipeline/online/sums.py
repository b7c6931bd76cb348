"""What adds up: the answers to one user, joined with the user's events, as sums by version."""

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from pipeline.online.answers import Answer
from pipeline.online.skew import SkewSums, user_sums
from pipeline.online.training import Training, known_ids

CALIBRATION_BINS: Final = 10
"""Of equal width."""

Sums = Counter[tuple[str | int, ...]]
"""Numbers by (version, what, of which ...)."""
User = tuple[str, str]
"""A user's id and ""; or "" and what identifies a request without a user."""


class Event(NamedTuple):
    """An event of the interactions.

    Attributes:
      time: Seconds since 1970.
      item: The item's id.
      is_positive: Whether it is a click: an event that `positive` of the configuration holds for.
      labels: By task, of the tasks that it has a label of.
    """

    time: int
    item: str
    is_positive: bool
    labels: Mapping[str, float]


@dataclass(frozen=True)
class Joining:
    """How answers and events are joined.

    Attributes:
      window: Seconds after an answer in which an event of one of its items is its outcome.
      trainings: What versions were trained on, by version.
    """

    window: float
    trainings: Mapping[int, Training]


class Outcome(NamedTuple):
    """What followed an answer: the ranks (from 0) that were clicked, and the first label of each rank and task."""

    clicked: set[int]
    labels: dict[tuple[int, str], float]


def join(answers: Sequence[Answer], events: Iterable[Event], window: float) -> list[Outcome]:
    """Returns the outcomes of one user's answers.

    An event counts for the newest answer before it that showed its item, if that is not older than the window.
    """
    outcomes = [Outcome(set(), {}) for _ in answers]
    shown: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for index, answer in enumerate(answers):
        for rank, item in enumerate(answer.items):
            shown[item].append((answer.time, index, rank))
    for places in shown.values():
        places.sort()
    for event in sorted(events, key=lambda event: event.time):
        places = shown.get(event.item, [])
        place = bisect_right(places, (event.time, math.inf)) - 1
        if place < 0 or event.time > places[place][0] + window:
            continue
        _, index, rank = places[place]
        if event.is_positive:
            outcomes[index].clicked.add(rank)
        for task, label in event.labels.items():
            outcomes[index].labels.setdefault((rank, task), label)
    return outcomes


def sums_of_user(user: User, answers: Sequence[Answer], events: Iterable[Event], end: int, joining: Joining) -> Sums:
    """Returns the sums of one user's requests, or of one request without a user.

    Args:
      user: The user.
      answers: Their answers, of any versions.
      events: Their events.
      end: The time of the last of all users' events. Answers whose window ends later have no click-through rate yet.
      joining: How they are joined.
    """
    sums: Sums = Counter()
    outcomes = join(answers, events, joining.window) if user[0] else [Outcome(set(), {}) for _ in answers]
    clicks: Counter[int] = Counter()
    shown: Counter[int] = Counter()
    for answer, outcome in zip(answers, outcomes, strict=True):
        v = answer.version
        sums[v, "requests"] += 1
        sums.update(_unknown_ids(answer, joining.trainings.get(v)))
        if not user[0]:
            continue
        for (rank, task), label in outcome.labels.items():
            if task in answer.scores:
                sums.update(_calibration(v, task, answer.scores[task][rank], label))
        if answer.time + joining.window > end:
            sums[v, "pending"] += 1
            continue
        sums[v, "judged"] += 1
        clicks[v] += len(outcome.clicked)
        shown[v] += len(answer.items)
        for rank in range(len(answer.items)):
            sums[v, "shown", rank + 1] += 1
            sums[v, "clicked", rank + 1] += rank in outcome.clicked
    for v in shown:
        squares = {"cc": clicks[v] ** 2, "cs": clicks[v] * shown[v], "ss": shown[v] ** 2, "users": 1}
        sums.update({(v, "ctr", name): value for name, value in squares.items()})
    sums.update(_features(answers, joining.trainings))
    return sums


def add(parts: Iterable[Sums]) -> Sums:
    """Returns the sum of sums."""
    total: Sums = Counter()
    for part in parts:
        total.update(part)
    return total


def _unknown_ids(answer: Answer, training: Training | None) -> Sums:
    v = answer.version
    sums: Sums = Counter({(v, "of users"): int(bool(answer.user)), (v, "of items"): len(answer.history)})
    if training is not None:
        users, items = known_ids(training.transform_graph)
        sums[v, "unknown users"] = int(bool(answer.user) and answer.user not in users)
        sums[v, "unknown items"] = sum(item not in items for item in answer.history)
    return sums


def _calibration(version: int, task: str, prediction: float, label: float) -> Sums:
    index = min(int(prediction * CALIBRATION_BINS), CALIBRATION_BINS - 1)
    found = {"labelled": 1, "predicted": prediction, "label": label}
    return Counter({(version, name, task, index): value for name, value in found.items()})


def _features(answers: Iterable[Answer], trainings: Mapping[int, Training]) -> Sums:
    """Returns the sums over users that `pipeline.online.skew` reads, and the numbers of missing values."""
    counts: dict[tuple[int, str], Counter[int]] = defaultdict(Counter)
    sums: Sums = Counter()
    for answer in answers:
        training = trainings.get(answer.version)
        for name, reference in training.features.items() if training else ():
            values = answer.features.get(name, ())
            counts[answer.version, name].update(reference.bins.counts(values) if values else {})
            sums[answer.version, "missing", name] += not values
    for (version, name), found in counts.items():
        of_user: SkewSums = user_sums(found)
        sums.update({(version, "feature", name, what, index): number for (what, index), number in of_user.items()})
    return sums
