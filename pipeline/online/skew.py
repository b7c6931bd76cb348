"""Whether a feature is distributed in the requests as in the training examples, or only as nearly as chance allows.

Values of one user are alike, so a chi-square test over values would take noise for a shift. Here users are the sampled
units: the statistic is divided by the design effect, the variance of the shares over users relative to that of as many
independent values (Rao and Scott, "The Analysis of Categorical Data from Complex Sample Surveys", 1981, their first-
order correction), in the F form of Thomas and Rao (1987).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import f as f_distribution

from pipeline.online.answers import Values
from pipeline.validation.measures import L_INFINITY, Measure

ERROR: Final = 0.001
"""The probability that a version of which nothing has shifted is said to have: it is divided between its features."""
_MOST_VALUES: Final = 1000
"""The most frequent values of a category, as TFDV counts them; all others are one."""
_OTHER: Final = "(other values)"
_LEAST_EXPECTED: Final = 10.0
"""Independent values that a bin should be expected to hold; rarer ones are one bin."""


@dataclass(frozen=True)
class Bins:
    """The bins of a feature's values: those of the training examples, or the deciles of their numbers.

    Attributes:
      measure: The distance of the distributions.
      values: Of a category, the values that have a bin of their own; a last bin is for all others.
      edges: Of a number, the inner edges of the bins.
    """

    measure: Measure
    values: tuple[str, ...] = ()
    edges: tuple[float, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The bins' names: values, or the ranges of numbers."""
        if self.measure == L_INFINITY:
            return (*self.values, _OTHER)
        if not self.edges:
            return ("all",)
        inner = (f"{low:g} to {high:g}" for low, high in pairwise(self.edges))
        return (f"below {self.edges[0]:g}", *inner, f"{self.edges[-1]:g} and more")

    def counts(self, values: Values) -> Counter[int]:
        """Returns the number of values in each bin that has any."""
        if self.measure == L_INFINITY:
            place = {value: index for index, value in enumerate(self.values)}
            return Counter(place.get(str(value), len(self.values)) for value in values)
        return Counter(np.searchsorted(self.edges, [float(value) for value in values], "right").tolist())


def make_bins(measure: Measure, values: Counter[str | float]) -> Bins:
    """Returns the bins of a feature with these values in the training examples."""
    if measure == L_INFINITY:
        return Bins(measure, values=tuple(str(value) for value, _ in values.most_common(_MOST_VALUES)))
    if not values:
        return Bins(measure)
    numbers = np.repeat(np.array(list(values), float), list(values.values()))
    return Bins(measure, edges=tuple(np.unique(np.quantile(numbers, np.arange(0.1, 1, 0.1))).tolist()))


SkewSums = Counter[tuple[str, int]]
"""What adds up over users: `users`, `square` (of the user's number of values), and by bin `count`, `squares` and
`products` (with the user's number of values)."""


def user_sums(counts: Mapping[int, int]) -> SkewSums:
    """Returns the sums of one user, from the number of values in each bin."""
    total = sum(counts.values())
    sums: SkewSums = Counter({("users", 0): 1, ("square", 0): total**2}) if total else Counter()
    for index, count in counts.items():
        sums["count", index], sums["squares", index], sums["products", index] = count, count**2, count * total
    return sums


class Sample:
    """The distribution of a feature in a sample of users.

    Attributes:
      size: The number of values.
      users: The number of users that have any.
      shares: Of each bin, float [bins].
      design_effect: The variance of the shares relative to that of as many independent values, at least 1.
    """

    def __init__(self, sums: SkewSums, bins: int) -> None:
        count, squares, products = (
            np.array([sums[name, index] for index in range(bins)], float) for name in ("count", "squares", "products")
        )
        self.size, self.users = float(count.sum()), sums["users", 0]
        self.shares = count / max(self.size, 1)
        self.design_effect = 1.0
        used = (self.shares > 0) & (self.shares < 1)
        if self.users > 1 and used.any():
            p = self.shares
            deviations = squares - 2 * p * products + p**2 * sums["square", 0]
            variance = self.users / (self.users - 1) * deviations / self.size**2
            effects = (variance / np.where(used, p * (1 - p) / self.size, 1))[used]
            self.design_effect = max(1.0, float(np.average(effects, weights=1 - p[used])))


@dataclass(frozen=True)
class Skew:
    """How far a feature of a version's requests is from the training examples.

    Attributes:
      feature: Its name in the examples.
      measure: The distance's measure.
      found: The distance, from 0 to 1; None where either side has no values.
      value: The bin whose share differs most.
      p_value: The probability of a distance as large where nothing has shifted.
      is_significant: Whether that is below `ERROR`, divided by the number of the version's features.
      missing: The share of the requests without a value.
      missing_in_training: The same of the training examples.
    """

    feature: str
    measure: Measure
    found: float | None
    value: str
    p_value: float
    is_significant: bool
    missing: float
    missing_in_training: float


def distance(bins: Bins, shares: np.ndarray, reference: np.ndarray) -> float:
    """Returns the distance as TFDV defines it: L-infinity, or the Jensen-Shannon divergence to base 2."""
    if bins.measure == L_INFINITY:
        return float(np.abs(shares - reference).max())
    return float(jensenshannon(shares, reference, base=2) ** 2)


def p_value(sample: Sample, reference: Sample) -> float:
    """Returns the p-value of the test that both samples are of one distribution; 1 where they are too small for it."""
    sizes = np.array([of.size / of.design_effect for of in (sample, reference)])
    if not sizes.all():
        return 1.0
    shares = np.stack([sample.shares, reference.shares])
    is_rare = sizes.min() * (sizes @ shares / sizes.sum()) < _LEAST_EXPECTED
    kept = np.concatenate([shares[:, ~is_rare], shares[:, is_rare].sum(1, keepdims=True)], 1)
    pooled = sizes @ kept / sizes.sum()
    if pooled[-1] * sizes.min() < _LEAST_EXPECTED and kept.shape[1] > 1:  # still too rare together
        smallest = int(np.argmin(pooled[:-1]))
        kept[:, smallest] += kept[:, -1]
        kept, pooled = kept[:, :-1], sizes @ kept[:, :-1] / sizes.sum()
    freedom = kept.shape[1] - 1
    if freedom < 1:
        return 1.0
    statistic = float(((kept[0] - kept[1]) ** 2 / pooled).sum() / (1 / sizes).sum())
    clusters = min(sample.users, reference.users) - 1
    return float(f_distribution.sf(statistic / freedom, freedom, freedom * clusters)) if clusters else 1.0


def significant(p_values: Iterable[float]) -> list[bool]:
    """Returns which of a version's tests are significant together: Bonferroni's correction."""
    found = list(p_values)
    return [p < ERROR / len(found) for p in found]
