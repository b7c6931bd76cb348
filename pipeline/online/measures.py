"""What was measured of each version, from its sums."""

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from config import Config
from config.tasks import BinaryTask
from pipeline.online.skew import Sample, Skew, distance, p_value, significant
from pipeline.online.sums import CALIBRATION_BINS, Sums
from pipeline.online.training import Training, known_ids


@dataclass(frozen=True)
class Rank:
    """A rank, from 1: how often an item was shown there, and how many of these were clicked."""

    rank: int
    shown: int
    clicked: int

    @property
    def ctr(self) -> float:
        """The click-through rate."""
        return self.clicked / self.shown


@dataclass(frozen=True)
class CalibrationBin:
    """The labelled items whose prediction is in one bin: their number, mean prediction and mean label."""

    count: int
    predicted: float
    label: float


@dataclass(frozen=True)
class Calibration:
    """The predictions of a task that predicts a probability, of the shown items that got a label.

    Attributes:
      task: The task's name.
      bins: The bins that hold items, by rising prediction.
    """

    task: str
    bins: tuple[CalibrationBin, ...]

    @property
    def count(self) -> int:
        """The number of labelled items."""
        return sum(b.count for b in self.bins)

    @property
    def predicted(self) -> float:
        """The mean prediction."""
        return sum(b.count * b.predicted for b in self.bins) / self.count

    @property
    def label(self) -> float:
        """The mean label."""
        return sum(b.count * b.label for b in self.bins) / self.count

    @property
    def error(self) -> float:
        """The expected calibration error (Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3)."""
        return sum(b.count * abs(b.predicted - b.label) for b in self.bins) / self.count


@dataclass(frozen=True)
class Measured:
    """The requests of one version. Values that cannot be known are None.

    Attributes:
      version: The version.
      requests: The number of requests.
      judged: The requests of known users whose window is over: the click-through rate is theirs.
      pending: The requests of known users whose window is not over.
      ranks: The ranks that were shown.
      ctr: Clicked items of all that were shown.
      ctr_error: Its standard error, with users as the sampled units; None for one user.
      coverage: The share of the catalogue that was recommended at least once.
      unknown_users: The share of the requests with a user id whose user the model does not know.
      unknown_items: The share of the items in histories that the model does not know.
      calibrations: The tasks that predict a probability and have labels.
      skews: The features by falling distance.
    """

    version: int
    requests: int
    judged: int
    pending: int
    ranks: tuple[Rank, ...]
    ctr: float | None
    ctr_error: float | None
    coverage: float | None
    unknown_users: float | None
    unknown_items: float | None
    calibrations: tuple[Calibration, ...]
    skews: tuple[Skew, ...]

    @property
    def ctr_text(self) -> str:
        """The click-through rate with its standard error, as far as they are known."""
        error = "" if self.ctr_error is None else f" ± {self.ctr_error:.4f}"
        return "unknown" if self.ctr is None else f"{self.ctr:.4f}{error}"

    @property
    def shifted(self) -> tuple[Skew, ...]:
        """The features whose distance is significant."""
        return tuple(skew for skew in self.skews if skew.is_significant)


def probability_tasks(config: Config) -> tuple[str, ...]:
    """Returns the tasks whose predictions are probabilities."""
    return tuple(name for name, task in config.tasks.items() if isinstance(task, BinaryTask))


def measure(sums: Sums, trainings: Mapping[int, Training], tasks: Collection[str]) -> list[Measured]:
    """Returns what was measured of each version, the newest first."""
    versions = sorted({int(key[0]) for key in sums if len(key) > 1 and key[1] == "requests"}, reverse=True)
    return [_measured(version, sums, trainings.get(version), tasks) for version in versions]


def _measured(v: int, sums: Sums, training: Training | None, tasks: Collection[str]) -> Measured:
    count = sum(key[:2] == (v, "shown") for key in sums)
    ranks = tuple(Rank(r, int(sums[v, "shown", r]), int(sums[v, "clicked", r])) for r in range(1, count + 1))
    shown, clicked = sum(r.shown for r in ranks), sum(r.clicked for r in ranks)
    catalogue = len(known_ids(training.transform_graph)[1]) if training else 0
    return Measured(
        version=v,
        requests=int(sums[v, "requests"]),
        judged=int(sums[v, "judged"]),
        pending=int(sums[v, "pending"]),
        ranks=ranks,
        ctr=_share(clicked, shown),
        ctr_error=_ratio_error(sums, v, clicked / shown, shown) if shown else None,
        coverage=_share(sums[v, "items"], catalogue),
        unknown_users=_share(sums[v, "unknown users"], sums[v, "of users"]) if training else None,
        unknown_items=_share(sums[v, "unknown items"], sums[v, "of items"]) if training else None,
        calibrations=tuple(c for task in tasks if (c := _calibration(v, task, sums)).bins),
        skews=_skews(v, sums, training) if training else (),
    )


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _ratio_error(sums: Sums, v: int, ctr: float, shown: float) -> float | None:
    """Returns the standard error of clicks / shown items over users, by linearisation."""
    users = sums[v, "ctr", "users"]
    squares = sums[v, "ctr", "cc"] - 2 * ctr * sums[v, "ctr", "cs"] + ctr**2 * sums[v, "ctr", "ss"]
    return math.sqrt(max(squares, 0) * users / (users - 1)) / shown if users > 1 else None


def _calibration(v: int, task: str, sums: Sums) -> Calibration:
    counts = [(index, int(sums[v, "labelled", task, index])) for index in range(CALIBRATION_BINS)]
    bins = [
        CalibrationBin(n, sums[v, "predicted", task, index] / n, sums[v, "label", task, index] / n)
        for index, n in counts
        if n
    ]
    return Calibration(task, tuple(bins))


def _skews(v: int, sums: Sums, training: Training) -> tuple[Skew, ...]:
    found: list[Skew] = []
    by_feature: dict[str, Counter[tuple[str, int]]] = {name: Counter() for name in training.features}
    for key, number in sums.items():
        if key[:2] == (v, "feature") and key[2] in by_feature:
            by_feature[str(key[2])][str(key[3]), int(key[4])] = number
    for name, reference in training.features.items():
        bins = reference.bins
        ours, theirs = (Sample(of, len(bins.names)) for of in (by_feature[name], reference.sums))
        far = distance(bins, ours.shares, theirs.shares) if ours.size and theirs.size else None
        most = bins.names[int(abs(ours.shares - theirs.shares).argmax())] if far is not None else ""
        p = p_value(ours, theirs)
        missing = sums[v, "missing", name] / sums[v, "requests"]
        found.append(Skew(name, bins.measure, far, most, p, False, missing, reference.missing))
    return _by_distance(found)


def _by_distance(found: Sequence[Skew]) -> tuple[Skew, ...]:
    """Marks the significant ones among those that could be tested."""
    flags = iter(significant(skew.p_value for skew in found if skew.found is not None))
    marked = [Skew(**{**vars(s), "is_significant": s.found is not None and next(flags)}) for s in found]
    return tuple(sorted(marked, key=lambda skew: -(skew.found or 0)))
