"""Windows of the features that targets are made of."""

import numpy as np
import tensorflow as tf

from trainer.data.windows import Window
from trainer.losses.targets import Targets


def window(task: str, *rows: dict[str, list]) -> Window:
    """Rows of `label` (None: missing), `target` (all by default), `item` (0, 1, ... by default) and `session`, padded
    in front."""
    length = max(len(row["label"]) for row in rows)
    return {
        "mask": _pad([[True] * len(row["label"]) for row in rows], length, False),
        "item_id": _pad([row.get("item", range(len(row["label"]))) for row in rows], length, 99),
        "is_target": _pad([row.get("target", [True] * len(row["label"])) for row in rows], length, False),
        f"label_{task}": _pad([[v or 0.0 for v in row["label"]] for row in rows], length, 0.0),
        f"weight_{task}": _pad([[float(v is not None) for v in row["label"]] for row in rows], length, 0.0),
        f"session_{task}": _pad([row.get("session", [-1] * len(row["label"])) for row in rows], length, -1),
    }


def single(label: list[float]) -> Targets:
    """Targets of events that stand alone."""
    rows = len(label)
    column = tf.constant(label)[:, tf.newaxis]
    return Targets(
        tf.zeros([rows, 2], tf.int64),
        tf.zeros([rows, 1], tf.int64),
        tf.zeros([rows, 1], tf.int64),
        column,
        tf.ones([rows, 1], tf.bool),
        tf.ones(rows),
    )


def compared(label: list[list[float]], is_member: list[list[bool]] | None = None) -> Targets:
    """Targets of events that are compared."""
    rows, width = len(label), len(label[0])
    member = tf.ones([rows, width], tf.bool) if is_member is None else tf.constant(is_member)
    return Targets(
        tf.zeros([rows, 2], tf.int64),
        tf.zeros([rows, width], tf.int64),
        tf.zeros([rows, width], tf.int64),
        tf.constant(label),
        member,
        tf.ones(rows),
    )


def _pad(rows: list, length: int, value: object) -> tf.Tensor:
    return tf.constant(np.array([[value] * (length - len(row)) + list(row) for row in rows]), dtype=_dtype(value))


def _dtype(value: object) -> tf.DType:
    return {bool: tf.bool, int: tf.int64, float: tf.float32}[type(value)]
