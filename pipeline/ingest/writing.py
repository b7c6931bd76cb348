"""Writes examples as TFRecord files, compressed lightly: with Beam's own sink gzip is half of ingest's time."""

from typing import Any, Final

import apache_beam as beam
import tensorflow as tf
from apache_beam.coders import BytesCoder
from apache_beam.io.filebasedsink import FileBasedSink
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.iobase import Write

_LEVEL: Final = 1
"""Of zlib: the files are a fifth larger than at its default, 6, and written in a third of the time."""


class WriteExamples(beam.PTransform):
    """Writes serialized examples to files such as `<prefix>-00000-of-00002.gz`.

    Args:
      prefix: The beginning of the files' names, of a file system that TensorFlow knows.
    """

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def expand(self, examples: Any) -> Any:
        """Writes the examples."""
        return examples | Write(_Sink(self._prefix, BytesCoder(), ".gz", compression_type=CompressionTypes.GZIP))


class _Sink(FileBasedSink):
    def open(self, temp_path: str) -> tf.io.TFRecordWriter:
        return tf.io.TFRecordWriter(temp_path, tf.io.TFRecordOptions(compression_type="GZIP", compression_level=_LEVEL))

    def write_encoded_record(self, file_handle: tf.io.TFRecordWriter, encoded_value: bytes) -> None:
        file_handle.write(encoded_value)
