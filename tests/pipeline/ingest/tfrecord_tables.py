"""Tables as TFRecords of tf.Examples."""

from pathlib import Path

import pandas as pd
import tensorflow as tf


def write_tfrecord(path: Path, table: pd.DataFrame) -> None:
    """One example for each row; an empty value is no feature."""
    with tf.io.TFRecordWriter(str(path)) as writer:
        for row in table.to_dict("records"):
            features = {
                name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
                for name, value in row.items()
                if value
            }
            writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
