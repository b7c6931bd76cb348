"""A small examples artifact, and the arrays that peers take."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.peers.evaluation import Queries, Training


def example(**features):
    return tf.train.Example(
        features=tf.train.Features(feature={name: _feature(values) for name, values in features.items() if values})
    ).SerializeToString()


def write_split(folder: Path, split: str, *files):
    target = folder / f"Split-{split}"
    target.mkdir(parents=True)
    for number, examples in enumerate(files):
        options = tf.io.TFRecordOptions(compression_type="GZIP")
        with tf.io.TFRecordWriter(
            str(target / f"data_tfrecord-{number:05d}-of-{len(files):05d}.gz"), options
        ) as writer:
            for serialized in examples:
                writer.write(serialized)


def window(user, items, times, target, rating=None, positive=None, **more):
    count = len(items)
    return example(
        user_id=[user],
        item_id=items,
        time=times,
        is_positive=positive or [1] * count,
        is_target=target,
        label_rating=[float(r or 0) for r in rating or [0] * count],
        weight_rating=[1.0 if r else 0.0 for r in rating or [0] * count],
        **more,
    )


def target(user, items, times, seen, cold=0, **more):
    return window(user, items, times, [0] * (len(items) - 1) + [1], seen_item_id=seen, is_cold_user=[cold], **more)


def training(histories, items):
    """Histories of users 0, 1, ...; the times are 1, 2, ..."""
    user = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    item = np.array([item for history in histories for item in history], np.int64)
    return Training(user, item, np.arange(1, len(item) + 1), len(histories), items)


def queries(histories, items, time=None, user=None):
    lengths = np.array([len(history) for history in histories])
    stop = np.cumsum(lengths)
    return Queries(
        np.arange(len(histories)) if user is None else np.array(user),
        np.array(time if time is not None else [10**9] * len(histories)),
        stop - lengths,
        stop,
        np.array([item for history in histories for item in history], np.int64),
        items,
    )


def _feature(values):
    if values and isinstance(values[0], str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode() for value in values]))
    if values and isinstance(values[0], float):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
