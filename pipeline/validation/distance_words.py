"""How a person reads distances."""

from collections.abc import Sequence
from typing import Final

from pipeline.validation.comparison import Comparison, Distance
from pipeline.validation.measures import Kind

_SHOWN: Final = 3
"""So many distances that are too far fit into a line."""


class DistributionError(ValueError):
    """Distributions are too far apart. The message names features, distances, both artifacts and what to do."""


def describe_distance(distance: Distance) -> str:
    """Feature, distance, threshold: "`user_age`: L-infinity distance 0.412, threshold 0.1, most of it by 'F'"."""
    if distance.found is None:
        return f"`{distance.feature}`: no values to compare, and the reference has some"
    by = f", most of it by {distance.value!r}" if distance.value else ""
    return f"`{distance.feature}`: {distance.measure} {distance.found:.3g}, threshold {distance.threshold:g}{by}"


def distribution_message(comparisons: Sequence[Comparison]) -> str:
    """The error of a run that distances stop; "" where none is too far."""
    far = [comparison for comparison in comparisons if comparison.too_far]
    if not far:
        return ""
    count = sum(len(comparison.too_far) for comparison in far)
    subject = "1 distribution is" if count == 1 else f"{count} distributions are"
    lines = [f"{subject} too far from the reference:"]
    for comparison in far:
        lines.append(f"  {comparison.kind} of {comparison.split}: {comparison.statistics} from {comparison.reference}")
        lines += [f"    {describe_distance(distance)}" for distance in comparison.too_far]
    return "\n".join([*lines, _remedy(list(dict.fromkeys(comparison.kind for comparison in far)))])


def summary(comparisons: Sequence[Comparison]) -> str:
    """All that was measured, in a line: what is too far, else the distance that is nearest to its threshold."""
    if far := [f"{c.kind} of {c.split}: {describe_distance(d)}" for c in comparisons for d in c.too_far]:
        more = f"; {len(far) - _SHOWN} more" if len(far) > _SHOWN else ""
        return f"too far: {'; '.join(far[:_SHOWN])}{more}"
    near = [(d.threshold - (d.found or 0), c, d) for c in comparisons for d in c.distances]
    if not near:
        return "nothing to compare with"
    _, comparison, distance = min(near, key=lambda found: found[0])
    found = f"{comparison.kind} of {comparison.split}: {describe_distance(distance)}"
    return f"{len(near)} distances, nearest to its threshold: {found}"


def _remedy(kinds: Sequence[Kind]) -> str:
    raised = " and ".join(f"`pipeline.{kind}.features`" for kind in kinds)
    off = " and ".join(f"`pipeline.{kind}.stop: false`" for kind in kinds)
    lets = "lets" if len(kinds) == 1 else "let"
    return f"Correct the data. Where the change is meant, raise the thresholds in {raised}; {off} {lets} the run go on."
