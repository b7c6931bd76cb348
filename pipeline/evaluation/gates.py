"""From the gates of the configuration to bounds on metrics: plain values, before TFMA's protos.

The headline is the warm users of a split: those with training events. With `user_hash` every user of eval and test is
new, so there the headline is all users.
"""

from typing import Literal, NamedTuple

from config import Config
from trainer.metrics.names import EXAMPLES, LIFT, baseline_gate, direction

Kind = Literal["value", "change"]


class Bound(NamedTuple):
    """A metric's allowed range on the headline slice of a split.

    For `change` the range is of the difference to the latest blessed model.
    """

    metric: str
    split: str
    kind: Kind
    min: float | None
    max: float | None


def bounds(config: Config) -> list[Bound]:
    """All bounds of the gates.

    Without any gate a model is blessed once the split was evaluated at all: TFMA blesses nothing without a bound, so
    there is one that holds for every split with an example.
    """
    gates = config.evaluation.gates
    result = [
        Bound(gate.metric, gate.split, "value", gate.min, gate.max)
        for gate in gates
        if gate.min is not None or gate.max is not None
    ]
    result += [
        _change(gate.metric, gate.split, gate.max_regression) for gate in gates if gate.max_regression is not None
    ]
    margin = baseline_gate(config)
    if margin is not None:
        result.append(Bound(LIFT + margin.metric, margin.split, "value", margin.margin, None))
    return result or [Bound(EXAMPLES, config.evaluation.splits[0], "value", 1, None)]


def headline_slice(config: Config, bound: Bound) -> dict[str, str]:
    """The slice that a bound is on, as feature values."""
    if bound.metric == EXAMPLES or config.split.method == "user_hash":
        return {"split": bound.split}
    return {"split": bound.split, "is_cold_user": "0"}


def _change(metric: str, split: str, allowed: float) -> Bound:
    if direction(metric) == "lower":
        return Bound(metric, split, "change", None, allowed)
    return Bound(metric, split, "change", -allowed, None)
