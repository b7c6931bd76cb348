"""Files of records that name their own fields: JSON, and TFRecords of tf.Examples."""

import itertools
import json
import re
from collections.abc import Iterator
from json.scanner import make_scanner
from typing import Any, BinaryIO, Final

import pyarrow as pa

from config.data import Table
from pipeline.ingest.encodings import as_utf8
from pipeline.ingest.tables import TableError

_DECODER: Final = json.JSONDecoder()
_SCAN: Final = make_scanner(_DECODER)  # type: ignore[arg-type]
_BETWEEN: Final = re.compile("[ \t\r\n,\ufeff]*")
"""What may stand between two values, byte order marks included."""
_PART: Final = 1 << 20
_HEAD: Final = 1 << 16
"""Characters in which a first value that spans lines should end to be found."""


class JsonError(ValueError):
    """A file is not JSON from some line on, so that the values after it cannot be read. The message names the line."""


JsonValue = tuple[Any, int, str]
"""A value, None where the text is not JSON; the line where it begins, counted from 1; and its text, of a value over
several lines the beginning. A plain tuple, because there is one for each row."""


def json_values(file: BinaryIO, table: Table) -> Iterator[JsonValue]:
    """Returns the values of a file in their order.

    Where the first line that is not blank is one value, every line is. Otherwise the file holds one array of values, or
    values one after the other, each over any number of lines.

    Raises:
      UnicodeError: If the bytes are not of the table's encoding.
      JsonError: While it is read, where a value over several lines is broken.
    """
    lines = ((number, line.decode()) for number, line in enumerate(as_utf8(file, table), start=1))
    head = list(itertools.islice((entry for entry in lines if not entry[1].isspace()), 1))
    if not head:
        return iter(())
    first, begun = head[0]
    start = _BETWEEN.sub("", begun, count=1)
    texts = (text for _, text in lines)
    if start.startswith("["):
        return _spread(first, itertools.chain([begun], texts))
    if start.startswith("{") and _parse(begun) is None:
        size = len(begun)
        while size < _HEAD and (entry := next(lines, None)) is not None:
            head.append(entry)
            size += len(entry[1])
        joined = "".join(text for _, text in head)
        try:
            _DECODER.raw_decode(_BETWEEN.sub("", joined, count=1))
        except ValueError:
            pass  # a broken first line, not a value over several lines
        else:
            return _spread(first, itertools.chain([joined], texts))
    every = itertools.chain(head, lines)
    return ((_parse(line), number, line) for number, line in every if not line.isspace())


def _parse(text: str) -> Any:
    """Returns the value of a line; None where it is not JSON."""
    try:
        value, end = _SCAN(text, 0)  # what `json.loads` calls, in half its time
    except (StopIteration, ValueError):
        end = 0
    if end == len(text) or (end and text[end:].isspace()):
        return value
    try:
        return json.loads(text.lstrip("\ufeff"))  # files with a byte order mark that were concatenated
    except ValueError:
        return None


def _spread(line: int, lines: Iterator[str]) -> Iterator[JsonValue]:
    """Returns the values of a text, and of the arrays in it, wherever its lines end; `line` is its first."""
    text, position, is_last = "", 0, False
    while True:
        begin = _BETWEEN.match(text, position).end()  # type: ignore[union-attr]
        line, position = line + text.count("\n", position, begin), begin
        if position < len(text):
            if text[position] in "[]":  # around the values, not a value
                position += 1
                continue
            try:
                value, end = _DECODER.raw_decode(text, position)
            except json.JSONDecodeError as error:
                if is_last or len(text) - error.pos > 2 * _PART:  # more text would not help
                    line += text.count("\n", position, error.pos)
                    raise JsonError(
                        f"line {line}: is not JSON ({error.msg}), and the rows after it cannot be read"
                    ) from error
            else:
                if is_last or end < len(text) or not isinstance(value, int | float):  # 12 may go on as 123
                    yield value, line, text[position : min(end, position + 200)]
                    line, position = line + text.count("\n", position, end), end
                    continue
        elif is_last:
            return
        more: list[str] = []
        size = 0
        while size < _PART and (next_line := next(lines, None)) is not None:
            more.append(next_line)
            size += len(next_line)
        text, position, is_last = text[position:] + "".join(more), 0, not more


def tfrecords(path: str, file: BinaryIO) -> Iterator[bytes]:
    """Returns a file's records. Raises `TableError` where a length or checksum does not fit."""
    from apache_beam.io.tfrecordio import _TFRecordUtil  # Beam and TensorFlow, which other formats do without

    try:
        while (record := _TFRecordUtil.read_record(file)) is not None:
            yield record
    except ValueError as error:
        raise TableError(f"{path}: is not a TFRecord file ({error})") from error


def example_features(path: str, file: BinaryIO, rows: int) -> Iterator[list[str]]:
    """Returns the names of the features of each of the first `rows` tf.Examples. Raises `TableError`."""
    import tensorflow as tf

    for record in itertools.islice(tfrecords(path, file), rows):
        try:
            yield sorted(tf.train.Example.FromString(record).features.feature)
        except Exception as error:  # DecodeError differs between protobuf's implementations
            raise TableError(f"{path}: is not a TFRecord file of tf.Examples ({error})") from error


def decode_examples(path: str, records: list[bytes]) -> pa.Table:
    """Returns one row for each tf.Example, one list column for each feature. Raises `TableError`."""
    from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder

    try:
        return pa.Table.from_batches([ExamplesToRecordBatchDecoder().DecodeBatch(records)])
    except RuntimeError as error:
        raise TableError(f"{path}: is not a TFRecord file of tf.Examples ({error})") from error
