"""Fitting inputs for every signature of an exported model, from the same few rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from config import feature_names
from trainer.export.eval_requests import as_request, set_values, values_of
from trainer.export.signatures.inputs import absent

Inputs = Mapping[str, tf.Tensor]
Specs = Mapping[str, tf.TensorSpec]

_OF_WINDOWS = ("evaluate", "evaluation_labels")
"""Signatures that are asked with windows whose last event has happened."""

_OF_CANDIDATES = ("rank", "explain")


@dataclass(frozen=True)
class Rows:
    """What a batch of B calls is about.

    Attributes:
        windows: B eval windows; the last event of each is the one that a request does not know yet.
        items: ids: the candidates of `rank` and `explain`, and what `embed_candidate` is asked for.
    """

    windows: Sequence[tf.train.Example]
    items: Sequence[bytes]

    def inputs(self, signature: str, specs: Specs) -> Inputs:
        """The rows as the inputs of a signature.

        Args:
            signature: its name.
            specs: its inputs. One that is not known here gets what stands for no value, or no values where it takes any
                number.
        """
        if set(specs) == {"examples"}:
            return {"examples": tf.constant([self._example(signature, w) for w in self.windows], tf.string)}
        if set(specs) == {feature_names.ITEM_ID}:
            return {feature_names.ITEM_ID: tf.constant(self.items, tf.string)}
        return self._plain(specs)

    def _example(self, signature: str, window: tf.train.Example) -> bytes:
        if signature in _OF_WINDOWS:
            return bytes(window.SerializeToString())
        request = as_request(window)
        if signature in _OF_CANDIDATES:
            set_values(request, feature_names.CANDIDATE_ITEM_ID, list(self.items))
        return bytes(request.SerializeToString())

    def _plain(self, specs: Specs) -> Inputs:
        requests = [as_request(window).features.feature for window in self.windows]
        items = [values_of(r[feature_names.ITEM_ID]) for r in requests]
        times = [values_of(r[feature_names.TIME]) for r in requests]
        known = {
            feature_names.USER_ID: [(values_of(r[feature_names.USER_ID]) or [b""])[0] for r in requests],
            feature_names.ITEM_ID: _padded(items, b""),
            feature_names.TIME: _padded(
                [t[: len(i)] + [0] * (len(i) - len(t)) for t, i in zip(times, items, strict=True)], 0
            ),
            "request_time": [(t[len(i) :] or [0])[0] for t, i in zip(times, items, strict=True)],
        }
        return {name: _tensor(known.get(name), spec, len(requests)) for name, spec in specs.items()}


def _padded(rows: list[list[Any]], value: Any) -> list[list[Any]]:
    width = max(map(len, rows), default=0)
    return [row + [value] * (width - len(row)) for row in rows]


def _tensor(values: Any, spec: tf.TensorSpec, rows: int) -> tf.Tensor:
    if values is None:
        return tf.fill([rows] + [0] * (spec.shape.rank - 1), tf.constant(absent(spec.dtype), spec.dtype))
    return tf.reshape(tf.constant(values, spec.dtype), [rows, -1][: spec.shape.rank])
