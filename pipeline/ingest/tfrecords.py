"""TFRecord files of tf.Examples as Arrow tables."""

import itertools
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import tensorflow as tf
from apache_beam.io.tfrecordio import _TFRecordUtil
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

from pipeline.ingest.tables import TableError


def records(path: str, file: BinaryIO) -> Iterator[bytes]:
    """The file's records. Raises `TableError` when a length or checksum does not fit."""
    try:
        while (record := _TFRecordUtil.read_record(file)) is not None:
            yield record
    except ValueError as error:
        raise TableError(f"{path}: is not a TFRecord file ({error})") from error


def feature_names(path: str, file: BinaryIO, rows: int) -> Iterator[list[str]]:
    """The names of the features of each of the first `rows` examples. Raises `TableError`."""
    for record in itertools.islice(records(path, file), rows):
        try:
            yield sorted(tf.train.Example.FromString(record).features.feature)
        except Exception as error:  # DecodeError differs between protobuf's implementations
            raise TableError(f"{path}: is not a TFRecord file of tf.Examples ({error})") from error


def decode(path: str, batch: list[bytes]) -> pa.Table:
    """One row for each example, one list column for each feature. Raises `TableError`."""
    try:
        return pa.Table.from_batches([ExamplesToRecordBatchDecoder().DecodeBatch(batch)])
    except RuntimeError as error:
        raise TableError(f"{path}: is not a TFRecord file of tf.Examples ({error})") from error
