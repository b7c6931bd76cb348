"""How much network and habits count, chosen on the eval split."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline import layout
from pipeline.config.habits import NETWORK
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


def choose_weights(
    model: RecommenderModel, habits: Mapping[str, Habits], data: WindowData
) -> Iterator[tuple[str, dict[str, float]]]:
    """The weights of each task's parts that predict the eval labels best. Says what it did.

    Args:
        model: trained, without habits.
        habits: by task.
        data: the eval split.

    Yields:
        Tasks and the weights by part; a task without a label is missing.
    """
    for name, (parts, label) in _targets(model, habits, data).items():
        if not label.size:
            continue
        link, start = habits[name].link, habits[name].start
        weights = link.weights(parts, label, start)
        before, after = (link.error(start + parts @ w, label) for w in (np.eye(len(weights))[0], weights))
        chosen = dict(zip((NETWORK, *habits[name].names), weights.tolist(), strict=True))
        said = ", ".join(f"{part} {weight:.3g}" for part, weight in chosen.items())
        print(f"{name}: {said}; {link.measure} on eval {before:.4f} -> {after:.4f}")
        yield name, chosen


def _targets(model: RecommenderModel, habits: Mapping[str, Habits], data: WindowData) -> dict[str, _Targets]:
    """Every window is encoded once, for all tasks."""
    batches = data.evaluation_batches(_BATCH_SIZE).take(_BATCHES)

    @tf.function(input_signature=[batches.element_spec], autograph=False)
    def answers(window: Window) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        state, item = model.encode(window).newest(), window[layout.ITEM_ID][:, -1:]
        network = model.rank(state, item)
        parts = {name: own.parts(network[name], state, item) for name, own in habits.items()}
        return {name: _labelled(name, habits[name], found, window) for name, found in parts.items()}

    found = [answers(window) for window in batches]
    return {name: _joined([batch[name] for batch in found]) for name in habits}


def _labelled(name: str, habits: Habits, parts: Mapping[str, tf.Tensor], window: Window) -> tuple[tf.Tensor, tf.Tensor]:
    columns = tf.concat([parts[part] for part in (NETWORK, *habits.names)], axis=1)
    is_labelled = window[layout.weight(name)][:, -1] > 0
    return tf.boolean_mask(columns, is_labelled), tf.boolean_mask(window[layout.label(name)][:, -1], is_labelled)


def _joined(batches: Sequence[tuple[tf.Tensor, tf.Tensor]]) -> _Targets:
    parts, label = zip(*batches, strict=True)
    return _Targets(np.concatenate(parts).astype(np.float64), np.concatenate(label).astype(np.float64))
