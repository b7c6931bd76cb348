"""How much network and habits count, chosen on the eval split."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline import layout
from pipeline.config.habits import NETWORK
from pipeline.progress import say
from trainer.data import WindowData
from trainer.habits.habits import Habits
from trainer.model import RecommenderModel
from trainer.windows import Window

_BATCH_SIZE, _BATCHES = 128, 160
"""The weights are few: about 20,000 eval windows tell them well."""


class _Targets(NamedTuple):
    """A task's labelled eval targets: the parts of its prediction float64 [E, P], the network first, and the labels
    float64 [E]."""

    parts: NDArray[np.float64]
    label: NDArray[np.float64]


def choose_weights(model: RecommenderModel, known: Sequence[Habits], data: WindowData) -> None:
    """Gives the blends without weights those that predict the eval labels best. Says what it did.

    Args:
        model: trained, without habits.
        known: habits with blends.
        data: the eval split.
    """
    for habits, targets in zip(known, _targets(model, known, data), strict=True):
        for name, (parts, label) in targets.items():
            if habits.blends[name].weights is None and label.size:
                habits.blends[name].weights = _weights(name, habits, parts, label)


def _weights(name: str, habits: Habits, parts: NDArray[np.float64], label: NDArray[np.float64]) -> dict[str, float]:
    link, start = habits.blends[name].link, habits.blends[name].start
    weights = link.weights(parts, label, start)
    before, after = (link.error(start + parts @ w, label) for w in (np.eye(len(weights))[0], weights))
    chosen = dict(zip((NETWORK, *habits.names), weights.tolist(), strict=True))
    said = ", ".join(f"{part} {weight:.3g}" for part, weight in chosen.items())
    say(f"{name}: {said}; {link.measure} on eval {before:.4f} -> {after:.4f}")
    return chosen


def _targets(model: RecommenderModel, known: Sequence[Habits], data: WindowData) -> list[dict[str, _Targets]]:
    """By task, of each of the habits. Every window is encoded once for all."""
    batches = data.evaluation_batches(_BATCH_SIZE).take(_BATCHES)

    @tf.function(input_signature=[batches.element_spec], autograph=False)
    def answers(window: Window) -> list[dict[str, tuple[tf.Tensor, tf.Tensor]]]:
        state, item = model.encode_newest(window), window[layout.ITEM_ID][:, -1:]
        network = model.rank(state, item)
        return [_labelled(habits, network, habits.parts(state, item), window) for habits in known]

    found = zip(*map(answers, batches), strict=True)
    return [{name: _joined([batch[name] for batch in own]) for name in own[0]} for own in found]


def _labelled(
    habits: Habits, network: Mapping[str, tf.Tensor], parts: Mapping[str, tf.Tensor], window: Window
) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
    found = {}
    for name, blend in habits.blends.items():
        known = blend.with_network(network[name], parts)
        columns = tf.concat([known[part] for part in (NETWORK, *habits.names)], axis=1)
        is_labelled = window[layout.weight(name)][:, -1] > 0
        label = tf.boolean_mask(window[layout.label(name)][:, -1], is_labelled)
        found[name] = tf.boolean_mask(columns, is_labelled), label
    return found


def _joined(batches: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> _Targets:
    parts, label = zip(*batches, strict=True)
    return _Targets(np.concatenate(parts).astype(np.float64), np.concatenate(label).astype(np.float64))
