"""How much each part of a prediction counts: a regression drawn to the bias model, as strongly as cross-validation
says."""

from itertools import product
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainer.stacking.link import Link

_Floats = NDArray[np.float64]

_SPREADS: Final = (0.1, 0.3, 1.0, 3.0, 10.0)
"""How far weights may be expected from the bias model's: standard deviations. 1 is what a part's own scale means."""
_FOLDS: Final = 10


class Events(NamedTuple):
    """Labelled events of the eval sample: the parts float64 [E, P], the labels float64 [E], the users int64 [E]."""

    parts: _Floats
    label: _Floats
    user: NDArray[np.int64]

    def only(self, chosen: NDArray[np.bool_]) -> "Events":
        """The events where `chosen` [E] holds."""
        return Events(self.parts[chosen], self.label[chosen], self.user[chosen])


class Stack(NamedTuple):
    """What was chosen.

    Attributes:
        weights: float64 [P].
        error: in cross-validation, as the link measures it.
        error_of_bias: of the bias model.
        users: that the cross-validation is over.
    """

    weights: _Floats
    error: float
    error_of_bias: float
    users: int


class _Rule(NamedTuple):
    """How weights are found: at `spread` 0 they are the bias model's."""

    spread: float
    signs: bool


def stack(link: Link, events: Events, start: float, bias: int) -> Stack:
    """Weighs parts by a regression on them (Breiman, "Stacked regressions", 1996).

    Weights are normal around those of the bias model, which is one part alone, and not below 0. How wide is chosen by
    cross-validation over users, and the bias model itself is one of the choices. Weights below 0 are taken only where
    they are better by more than a standard error of the difference (Breiman et al., "Classification and regression
    trees", 1984, section 3.4.3).

    Args:
        link: from labels to the parts' sum.
        events: E of them.
        start: what the parts are added to.
        bias: the column of the bias model.
    """
    users, user = np.unique(events.user, return_inverse=True)
    events = events._replace(user=user)
    folds = min(_FOLDS, len(users))
    if folds < 2:
        alone = _weights(_Rule(0.0, False), link, events, start, bias)
        error = link.error(start + events.parts @ alone, events.label)
        return Stack(alone, error, error, len(users))
    rules = [_Rule(0.0, False), *(_Rule(*pair) for pair in product(_SPREADS, (False, True)))]
    losses = {rule: _losses(rule, link, events, start, bias, folds) for rule in rules}
    best, signed = (min(_of(rules, signs), key=lambda r: losses[r].mean()) for signs in (False, True))
    gain = losses[best] - losses[signed]
    if gain.mean() > _error(gain, user):
        best = signed
    of_bias = link.summed(losses[rules[0]])
    return Stack(_weights(best, link, events, start, bias), link.summed(losses[best]), of_bias, len(users))


def _of(rules: list[_Rule], signs: bool) -> list[_Rule]:
    return [rule for rule in rules if rule.signs == signs]


def _losses(rule: _Rule, link: Link, events: Events, start: float, bias: int, folds: int) -> _Floats:
    """Of each event by weights that its user interactions no part in: float64 [E]. Users come in random order."""
    losses = np.empty(len(events.label))
    for fold in range(folds):
        held = events.user % folds == fold
        weights = _weights(rule, link, events.only(~held), start, bias)
        asked = events.only(held)
        losses[held] = link.losses(start + asked.parts @ weights, asked.label)
    return losses


def _weights(rule: _Rule, link: Link, events: Events, start: float, bias: int) -> _Floats:
    """float64 [P]."""
    prior = np.zeros(events.parts.shape[1])
    own = events.parts[:, [bias]]
    prior[bias] = link.weights(own, events.label, start, np.ones(1), max(_SPREADS), signs=False)[0]
    if not rule.spread:
        return prior
    return link.weights(events.parts, events.label, start, prior, rule.spread, rule.signs)


def _error(gain: _Floats, user: NDArray[np.int64]) -> float:
    """The standard error of the events' mean, over users."""
    of_user = np.bincount(user, gain - gain.mean())
    return float(np.sqrt(len(of_user)) * of_user.std(ddof=1) / len(gain))
