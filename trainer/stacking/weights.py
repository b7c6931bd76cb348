"""The weights of a blend's parts: a regression on eval labels that is shrunk to the bias model (Breiman, 1996)."""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Final, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import feature_names
from config.tasks import BIAS, NETWORK
from trainer.data.user_sample import UserSample
from trainer.data.windows import Window
from trainer.model.recommender import RecommenderModel
from trainer.stacking.blend import Link
from trainer.stacking.rating_baseline import RatingBaseline

_Floats = NDArray[np.float64]
_Columns = tuple[tf.Tensor, tf.Tensor, tf.Tensor]

_SPREADS: Final = (0.1, 0.3, 1.0, 3.0, 10.0)
"""The standard deviations of the weights' prior that are tried. A weight of 1 takes a part at its own scale."""
_FOLDS: Final = 10
_BATCH_SIZE: Final = 128


class LabelledEvents(NamedTuple):
    """Labelled events of the eval sample.

    Attributes:
        parts: float64 [E, P], the parts of each event's prediction.
        label: float64 [E].
        user: int64 [E].
    """

    parts: _Floats
    label: _Floats
    user: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> "LabelledEvents":
        """Selects the events where `chosen` [E] is true."""
        return LabelledEvents(self.parts[chosen], self.label[chosen], self.user[chosen])


class StackedWeights(NamedTuple):
    """The chosen weights.

    Attributes:
        weights: float64 [P].
        error: Their cross-validated error, in the link's metric.
        bias_error: The bias model's.
        users: The number of users in the cross-validation.
    """

    weights: _Floats
    error: float
    bias_error: float
    users: int


class _Rule(NamedTuple):
    """A way to fit weights; with a `spread` of 0 they are the bias model's."""

    spread: float
    allow_negative: bool


def stack(link: Link, events: LabelledEvents, intercept: float, bias: int) -> StackedWeights:
    """Weighs parts by a regression on them (Breiman, "Stacked regressions", 1996).

    The weights are normal around those of the bias model, which takes the bias terms alone, and not negative. The
    prior's spread is chosen by cross-validation over users, with the bias model itself as one of the choices. Negative
    weights are allowed only if that lowers the error by more than one standard error of the difference (the
    one-standard-error rule; Breiman et al., "Classification and regression trees", 1984, section 3.4.3).

    Args:
        link: The link of the task.
        events: E labelled events.
        intercept: Added to the weighted sum of parts.
        bias: The column of the bias model.
    """
    users, user = np.unique(events.user, return_inverse=True)
    events = events._replace(user=user)
    folds = min(_FOLDS, len(users))
    if folds < 2:
        alone = _fit(_Rule(0.0, False), link, events, intercept, bias)
        error = link.error(intercept + events.parts @ alone, events.label)
        return StackedWeights(alone, error, error, len(users))
    of_bias = _Rule(0.0, False)
    rules = [of_bias, *(_Rule(*pair) for pair in product(_SPREADS, (False, True)))]
    losses = {rule: _cross_validate(rule, link, events, intercept, bias, folds) for rule in rules}
    best, signed = (
        min((rule for rule in rules if rule.allow_negative == allow), key=lambda rule: losses[rule].mean())
        for allow in (False, True)
    )
    gain = losses[best] - losses[signed]
    by_user = np.bincount(user, gain - gain.mean())
    standard_error = float(np.sqrt(len(by_user)) * by_user.std(ddof=1) / len(gain))  # users are independent, not events
    if gain.mean() > standard_error:
        best = signed
    weights = _fit(best, link, events, intercept, bias)
    return StackedWeights(weights, link.summarise(losses[best]), link.summarise(losses[of_bias]), len(users))


def _cross_validate(
    rule: _Rule, link: Link, events: LabelledEvents, intercept: float, bias: int, folds: int
) -> _Floats:
    """Computes the losses of events by weights that are fitted without their user's fold: float64 [E]."""
    losses = np.empty(len(events.label))
    for fold in range(folds):
        is_held_out = events.user % folds == fold
        weights = _fit(rule, link, events.where(~is_held_out), intercept, bias)
        held_out = events.where(is_held_out)
        losses[is_held_out] = link.losses(intercept + held_out.parts @ weights, held_out.label)
    return losses


def _fit(rule: _Rule, link: Link, events: LabelledEvents, intercept: float, bias: int) -> _Floats:
    """Fits weights [P] by a rule, around those of the bias model."""
    prior = np.zeros(events.parts.shape[1])
    own = events.parts[:, [bias]]
    prior[bias] = link.fit_weights(own, events.label, intercept, np.ones(1), max(_SPREADS), allow_negative=False)[0]
    if not rule.spread:
        return prior
    return link.fit_weights(events.parts, events.label, intercept, prior, rule.spread, rule.allow_negative)


def choose_weights(
    model: RecommenderModel,
    baselines: Sequence[RatingBaseline],
    sample: UserSample,
    report: Callable[[str], object],
) -> None:
    """Chooses the weights of all blends that have none, if the eval split has labels for them.

    Args:
        model: The trained model.
        baselines: Rating baselines with blends, whose weights are set in place.
        sample: A sample of the eval split.
        report: Receives one line per task: the weights and the errors.
    """
    for baseline, events in zip(baselines, _labelled_events(model, baselines, sample), strict=True):
        parts = (NETWORK, *baseline.names)
        for task, own in events.items():
            blend = baseline.blends[task]
            if blend.weights is not None or not own.label.size:
                continue
            chosen = stack(blend.link, own, blend.intercept, parts.index(BIAS))
            blend.weights = dict(zip(parts, chosen.weights.tolist(), strict=True))
            used = ", ".join(f"{part} {weight:.3g}" for part, weight in blend.weights.items() if weight)
            alone = blend.link.error(blend.intercept + own.parts[:, 0], own.label)
            errors = f"network alone {alone:.4f}, bias terms {chosen.bias_error:.4f}, together {chosen.error:.4f}"
            report(f"{task}: {used or 'the mean'}; {blend.link.metric} on eval ({chosen.users:,} users): {errors}")


def _labelled_events(
    model: RecommenderModel, baselines: Sequence[RatingBaseline], sample: UserSample
) -> list[dict[str, LabelledEvents]]:
    """Computes the parts of each baseline's tasks on the eval targets. Each window is encoded once for all of them."""
    batches = sample.batches(_BATCH_SIZE)

    @tf.function(input_signature=[batches.element_spec], autograph=False)
    def compute_parts(window: Window) -> list[dict[str, _Columns]]:
        state, item = model.encode_newest(window), window[feature_names.ITEM_ID][:, -1:]
        network = model.rank(state, item)
        return [_columns(baseline, network, baseline.parts(state, item), window) for baseline in baselines]

    events = []
    for computed in zip(*map(compute_parts, batches), strict=True):
        by_task = {}
        for task in computed[0]:
            columns = zip(*(batch[task] for batch in computed), strict=True)
            parts, label, is_labelled = (np.concatenate(column) for column in columns)
            every = LabelledEvents(parts.astype(np.float64), label.astype(np.float64), sample.user)
            by_task[task] = every.where(is_labelled)
        events.append(by_task)
    return events


def _columns(
    baseline: RatingBaseline, network: Mapping[str, tf.Tensor], parts: Mapping[str, tf.Tensor], window: Window
) -> dict[str, _Columns]:
    """Returns the parts float [B, P], the labels [B] and whether there is one, bool [B], by task."""
    columns = {}
    for task, blend in baseline.blends.items():
        known = blend.with_network(network[task], parts)
        stacked = tf.concat([known[part] for part in (NETWORK, *baseline.names)], axis=1)
        label, weight = window[feature_names.label(task)][:, -1], window[feature_names.weight(task)][:, -1]
        columns[task] = stacked, label, weight > 0
    return columns
