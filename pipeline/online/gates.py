"""The gates of the configuration, on the version that answers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from config.online import OnlineGates
from pipeline.online.measures import Measured

MIN_REQUESTS: Final = "min_requests"
_NORMAL: Final = 1.959964
"""The standard normal distribution's 97.5th percentile."""


@dataclass(frozen=True)
class Verdict:
    """A gate.

    Attributes:
      gate: Its key in `online.gates`.
      wanted: The bound, in words.
      found: What was measured, in words.
      passed: Whether it holds; None where it was not judged.
    """

    gate: str
    wanted: str
    found: str
    passed: bool | None

    def __str__(self) -> str:
        return f"{self.gate}: wanted {self.wanted}, found {self.found}"


def judge(gates: OnlineGates, version: int, measured: Sequence[Measured]) -> list[Verdict]:
    """Returns the verdict of each gate on a version.

    Args:
      gates: The bounds.
      version: The version to judge.
      measured: All versions in the logs, the newest first.
    """
    found = next((m for m in measured if m.version == version), None)
    requests = found.requests if found else 0
    verdicts = [Verdict(MIN_REQUESTS, f"at least {gates.min_requests}", str(requests), requests >= gates.min_requests)]
    before = next((m for m in measured if m.version < version), None)
    for verdict in _bounds(gates, found, before) if found else ():
        if requests < gates.min_requests:
            verdict = Verdict(verdict.gate, verdict.wanted, f"too few requests ({verdict.found})", None)
        verdicts.append(verdict)
    return verdicts


def should_withdraw(verdicts: Sequence[Verdict]) -> bool:
    """Returns whether a gate on the answers fails. Too few requests say nothing about the model."""
    return any(verdict.passed is False for verdict in verdicts if verdict.gate != MIN_REQUESTS)


def _bounds(gates: OnlineGates, found: Measured, before: Measured | None) -> Iterator[Verdict]:
    if gates.min_ctr_ratio is not None:
        yield _ctr(gates.min_ctr_ratio, gates.min_requests, found, before)
    if gates.max_skew is not None:
        yield _skew(gates.max_skew, found)
    shares = {"max_unknown_users": found.unknown_users, "max_unknown_items": found.unknown_items}
    for name, share in shares.items():
        bound = getattr(gates, name)
        if bound is not None:
            text = "nothing was measured" if share is None else f"{share:.4f}"
            yield Verdict(name, f"at most {bound:g}", text, share is not None and share <= bound)


def _ctr(bound: float, min_requests: int, found: Measured, before: Measured | None) -> Verdict:
    """Judges the ratio of two rates by the upper end of its interval: chance alone should withdraw no version."""
    name, wanted = "min_ctr_ratio", f"at least {bound:g}"
    if before is None:
        return Verdict(name, wanted, "no version before it", True)
    if min(found.judged, before.judged) < min_requests:
        text = f"too few requests whose window is over: {found.judged}, and {before.judged} of version {before.version}"
        return Verdict(name, wanted, text, None)
    if not before.ctr or found.ctr is None:
        return Verdict(name, wanted, f"no click on version {before.version}", True)
    ratio = found.ctr / before.ctr
    # The error of the ratio, to first order: exact enough where the rate before is not near 0.
    errors = [math.inf if m.ctr_error is None else m.ctr_error for m in (found, before)]
    error = math.hypot(errors[0], ratio * errors[1]) / before.ctr
    highest = ratio + _NORMAL * error
    text = f"{ratio:.3f} of version {before.version}, up to {highest:.3f} with 95 % confidence"
    return Verdict(name, wanted, text, highest >= bound)


def _skew(bound: float, found: Measured) -> Verdict:
    name, wanted = "max_skew", f"at most {bound:g}"
    if all(skew.found is None for skew in found.skews):
        return Verdict(name, wanted, "nothing was measured", False)
    far = [skew for skew in found.shifted if (skew.found or 0) > bound]
    if far:
        texts = (f"`{s.feature}`: {s.measure} {s.found:.3g}, most of it by {s.value!r}" for s in far)
        return Verdict(name, wanted, "; ".join(texts), False)
    most = max(found.skews, key=lambda skew: skew.found or 0)
    by_chance = "" if most.is_significant else ", which chance explains"
    return Verdict(name, wanted, f"{most.found:.3g} of `{most.feature}`{by_chance}", True)
