"""How much network and baseline count, chosen on the eval split."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from config import feature_names
from config.progress import say
from config.tasks import BIAS, NETWORK
from trainer.data.user_sample import UserSample
from trainer.data.windows import Window
from trainer.model.recommender import RecommenderModel
from trainer.stacking.rating_baseline import RatingBaseline
from trainer.stacking.regression import Events, stack

_BATCH_SIZE = 128

Say = Callable[[str], object]
"""What a sentence goes to."""


def choose_weights(
    model: RecommenderModel, known: Sequence[RatingBaseline], sample: UserSample, tell: Say = say
) -> None:
    """Gives the blends without weights those that predict the eval labels best. Says what it did.

    Args:
        model: trained.
        known: baseline with blends.
        sample: of the eval split.
        tell: is observed what was chosen and why.
    """
    for baseline, targets in zip(known, _targets(model, known, sample), strict=True):
        for name, events in targets.items():
            if baseline.blends[name].weights is None and events.label.size:
                baseline.blends[name].weights = _weights(name, baseline, events, tell)


def _weights(name: str, baseline: RatingBaseline, events: Events, tell: Say) -> dict[str, float]:
    link, start, parts = baseline.blends[name].link, baseline.blends[name].start, (NETWORK, *baseline.names)
    found = stack(link, events, start, parts.index(BIAS))
    chosen = dict(zip(parts, found.weights.tolist(), strict=True))
    contribution = ", ".join(f"{part} {weight:.3g}" for part, weight in chosen.items() if weight)
    network = link.error(start + events.parts[:, 0], events.label)
    metrics = f"network alone {network:.4f}, bias_terms alone {found.error_of_bias:.4f}, together {found.error:.4f}"
    tell(f"{name}: {contribution or 'the mean'}; {link.measure} on eval ({found.users:,} users): {metrics}")
    return chosen


def _targets(model: RecommenderModel, known: Sequence[RatingBaseline], sample: UserSample) -> list[dict[str, Events]]:
    """By task, of each of the baseline. Every window is encoded once for all."""
    batches = sample.batches(_BATCH_SIZE)

    @tf.function(input_signature=[batches.element_spec], autograph=False)
    def answers(window: Window) -> list[dict[str, tuple[tf.Tensor, tf.Tensor, tf.Tensor]]]:
        state, item = model.encode_newest(window), window[feature_names.ITEM_ID][:, -1:]
        network = model.rank(state, item)
        return [_labelled(baseline, network, baseline.parts(state, item), window) for baseline in known]

    found = zip(*map(answers, batches), strict=True)
    return [{name: _joined([batch[name] for batch in own], sample.user) for name in own[0]} for own in found]


def _labelled(
    baseline: RatingBaseline, network: Mapping[str, tf.Tensor], parts: Mapping[str, tf.Tensor], window: Window
) -> dict[str, tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
    """By task the parts float [B, P], labels [B] and whether there is one, bool [B]."""
    found = {}
    for name, blend in baseline.blends.items():
        known = blend.with_network(network[name], parts)
        columns = tf.concat([known[part] for part in (NETWORK, *baseline.names)], axis=1)
        found[name] = columns, window[feature_names.label(name)][:, -1], window[feature_names.weight(name)][:, -1] > 0
    return found


def _joined(batches: Sequence[tuple[tf.Tensor, tf.Tensor, tf.Tensor]], user: NDArray[np.int64]) -> Events:
    parts, label, is_labelled = (np.concatenate(columns) for columns in zip(*batches, strict=True))
    return Events(parts.astype(np.float64), label.astype(np.float64), user).only(is_labelled)
