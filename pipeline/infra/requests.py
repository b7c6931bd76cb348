"""Requests whose answers can be judged without knowing the model."""

from collections.abc import Sequence
from dataclasses import dataclass

import tensorflow as tf

from config import feature_names
from trainer.export.eval_requests import as_of_now, as_request, read_windows, set_values, values_named


@dataclass(frozen=True)
class Probe:
    """A request, and the items that its answer must not hold."""

    example: bytes
    k: int
    forbidden: frozenset[str]


def read_probes(pattern: str, count: int, k: int, exclude_history: bool) -> list[Probe]:
    """The first `count` examples of the gzipped TFRecord files that match the pattern, as requests for `k` items.

    The target event is taken away, and its item excluded by name; the request's own context stays, and its own time of
    every second one: the others are of now. A request that knows nothing is added. `exclude_history`: the model is to
    leave out what the history holds.
    """
    windows = enumerate(read_windows(pattern, count))
    probes = [_probe(window, k, exclude_history, is_now=number % 2 == 0) for number, window in windows]
    nobody = tf.train.Example()
    set_values(nobody, feature_names.K, [k])
    return [*probes, Probe(nobody.SerializeToString(), k, frozenset())]


def batches(probes: Sequence[Probe], most: int) -> list[Sequence[Probe]]:
    """The probes in their order, in as few batches of at most `most` as there can be, all of about one size."""
    count = -(-len(probes) // most)
    return [probes[len(probes) * n // count : len(probes) * (n + 1) // count] for n in range(count)]


def _probe(window: tf.train.Example, k: int, exclude_history: bool, is_now: bool) -> Probe:
    items = values_named(window, feature_names.ITEM_ID)
    request = as_of_now(as_request(window)) if is_now else as_request(window)
    set_values(request, feature_names.EXCLUDE_ITEM_ID, items[-1:])
    set_values(request, feature_names.K, [k])
    forbidden = [*(values_named(request, feature_names.ITEM_ID) if exclude_history else ()), *items[-1:]]
    return Probe(request.SerializeToString(), k, frozenset(item.decode() for item in forbidden))
