"""The training curves, from the event files that the Trainer writes for TensorBoard."""

import posixpath
from collections import defaultdict

import tensorflow as tf

Curve = list[tuple[int, float]]
"""(step, value), by step."""


def read_curves(model_run: str) -> dict[str, dict[str, Curve]]:
    """The curves below `train` and `eval` of the `model_run` artifact: {"train": {"loss": [(step, value), ...]}}.

    Of a metric written twice for a step (a resumed training), the later one counts. Empty where nothing was logged.
    """
    curves = {part: _read(posixpath.join(model_run, part, "*tfevents*")) for part in ("train", "eval")}
    return {part: metrics for part, metrics in curves.items() if metrics}


def _read(pattern: str) -> dict[str, Curve]:
    points: dict[str, dict[int, float]] = defaultdict(dict)
    for path in sorted(tf.io.gfile.glob(pattern)):
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            event = tf.compat.v1.Event.FromString(record)
            for value in event.summary.value:
                if value.HasField("tensor"):
                    points[value.tag][event.step] = float(tf.make_ndarray(value.tensor))
    return {name: sorted(curve.items()) for name, curve in points.items()}
