"""Two sets of examples that were compared, and how it is kept."""

import json
import posixpath
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

from tfx.dsl.io import fileio

from pipeline.validation.measures import Kind, Measure

FILE: Final = "distances.json"


@dataclass(frozen=True)
class Distance:
    """How far a feature is from where it is compared.

    Attributes:
      feature: Its name in the examples.
      measure: By which it was measured.
      found: From 0 to 1; None where the examples hold no values to compare, and the reference does.
      threshold: The longest that is near enough.
      value: Of an L-infinity distance that is too far: the value whose share differs most.
    """

    feature: str
    measure: Measure
    found: float | None
    threshold: float
    value: str = ""

    @property
    def is_too_far(self) -> bool:
        """Values that are gone are farther than any."""
        return self.found is None or self.found > self.threshold


@dataclass(frozen=True)
class Comparison:
    """What was compared with what.

    Attributes:
      kind: `drift` or `skew`.
      split: The split that was compared.
      statistics: The folder of its statistics.
      reference: The folder of the statistics that it was compared with.
      distances: By feature.
    """

    kind: Kind
    split: str
    statistics: str
    reference: str
    distances: tuple[Distance, ...]

    @property
    def too_far(self) -> tuple[Distance, ...]:
        """The distances that are longer than their thresholds."""
        return tuple(distance for distance in self.distances if distance.is_too_far)


def write_comparisons(folder: str, comparisons: Sequence[Comparison]) -> None:
    """Keeps the comparisons in `folder`, which is made where it is missing."""
    fileio.makedirs(folder)
    with fileio.open(posixpath.join(folder, FILE), "w") as file:
        file.write(json.dumps([asdict(comparison) for comparison in comparisons], indent=2))


def read_comparisons(folder: str) -> list[Comparison]:
    """What `write_comparisons` wrote."""
    with fileio.open(posixpath.join(folder, FILE)) as file:
        found = json.loads(file.read())
    return [Comparison(**{**c, "distances": tuple(Distance(**d) for d in c["distances"])}) for c in found]
