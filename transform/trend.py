"""The trend: positive training targets counted by item and bucket of time.

The buckets are equal and cover the training targets' span of time. A bucket is a day (less where a shorter window is
configured), or more where the span is long: there are at most `MAX_BUCKETS`, so the file grows with the items and not
with the log. Outliers long before or after all other events, most often errors, do not extend the span and do not
count.
"""

import io
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow_transform.beam import experimental

from config import feature_names
from config.features import Trend
from transform.features import item_vocabulary
from transform.raw import RawExamples
from transform.times import DAY, Span, Times

TREND_FILE: Final = "trend"
"""The Parquet file of the counts; no vocabulary of a feature has this name."""
MAX_BUCKETS: Final = 1024

_Batch = tuple[np.ndarray, np.ndarray]
"""Items (bytes) and seconds, aligned."""

_ITEM, _BUCKET, _COUNT = "item", "bucket", "count"
_SCHEMA = pa.schema([(_ITEM, pa.binary()), (_BUCKET, pa.int32()), (_COUNT, pa.int64())])
_COMPACT_ROWS = 1 << 20


class Buckets(NamedTuple):
    """The division of time into buckets.

    Attributes:
      start: Of the first bucket, seconds since 1970.
      width: Of a bucket, seconds.
      size: The number of buckets.
    """

    start: int
    width: int
    size: int

    @classmethod
    def of(cls, span: Span, trend: Trend) -> "Buckets":
        """Makes buckets from the first to the last second, both included; no bucket without a span."""
        width = narrowest(trend)
        if span is None:
            return cls(0, width, 0)
        first, last = span
        width = max(width, -(-(last - first + 1) // (MAX_BUCKETS - 1)))
        start = first // width * width
        return cls(start, width, (last - start) // width + 1)


@dataclass(frozen=True, eq=False)
class TrendCounts:
    """The counts that are not zero, in no order.

    Attributes:
      buckets: The division of time.
      item: The item's index, int64 [E].
      bucket: In [0, buckets.size), int64 [E].
      count: Positive training targets, int64 [E].
    """

    buckets: Buckets
    item: np.ndarray
    bucket: np.ndarray
    count: np.ndarray


def narrowest(trend: Trend) -> int:
    """Returns the width of a bucket where the log is short: a day, or the shortest window."""
    return max(1, round(DAY * min(1.0, *trend.days)))


def count_trend(raw: RawExamples, trend: Trend) -> None:
    """Counts the positive training targets of the analysed data; the file travels with the graph as an asset."""
    items = raw.strings(feature_names.ITEM_ID)
    events = tf.sparse.retain(
        items, raw.flag(feature_names.IS_TARGET, items) & raw.flag(feature_names.IS_POSITIVE, items)
    )
    tft.experimental.ptransform_analyzer(
        inputs=[events.values, raw.integers_at(feature_names.TIME, events)],
        ptransform=WriteTrend(trend),
        output_dtypes=[tf.string],
        output_shapes=[[]],
        output_asset_default_values=[b"-"],
        name="trend",
    )


def item_trend(tft_output: tft.TFTransformOutput) -> TrendCounts:
    """Reads the counts of the items in the vocabulary.

    Raises:
      ValueError: If the transform graph was made without `features.trend`.
    """
    path = tft_output.vocabulary_file_by_name(TREND_FILE)
    if path is None:
        raise ValueError(
            f"The transform graph should hold `{TREND_FILE}` where `features.trend` is configured. "
            f"Received: {tft_output.transform_savedmodel_dir}"
        )
    with tf.io.gfile.GFile(path, "rb") as file:
        table = pq.read_table(io.BytesIO(file.read()))
    index = pc.index_in(table[_ITEM].combine_chunks(), pa.array(item_vocabulary(tft_output), pa.binary()))
    table = table.append_column("index", index).filter(pc.is_valid(index))
    columns = (table[name].to_numpy().astype(np.int64) for name in ("index", _BUCKET, _COUNT))
    return TrendCounts(_from_metadata(table.schema.metadata), *columns)


class WriteTrend(experimental.PTransformAnalyzer):
    """Maps batches of items and seconds to the path of the written file.

    Counting is distributed; one worker merges the counts and writes them, at most `MAX_BUCKETS` for each item.
    """

    def __init__(self, trend: Trend) -> None:
        super().__init__()
        self._trend = trend

    def expand(self, batches: beam.PCollection[_Batch]) -> beam.PCollection[np.ndarray]:
        """Finds the span of time, counts and writes."""
        buckets = (
            batches
            | "Times" >> beam.Map(lambda batch, width: Times.of(batch[1], width), narrowest(self._trend))
            | "Merge" >> beam.CombineGlobally(Times.merged)
            | "Span" >> beam.Map(Times.usual_span, max(self._trend.days))
            | "Buckets" >> beam.Map(Buckets.of, self._trend)
        )
        every = beam.pvalue.AsSingleton(buckets)
        return (
            batches
            | "Count" >> beam.Map(count_cells, every)
            | "Sum" >> beam.CombineGlobally(_SumCells())
            | "Write" >> beam.Map(_write, every, self.base_temp_dir)
        )


def count_cells(batch: _Batch, buckets: Buckets) -> pa.Table:
    """Counts the events of a batch that are in a bucket: columns `item`, `bucket` and `count`."""
    bucket = (batch[1] - buckets.start) // buckets.width
    is_counted = (bucket >= 0) & (bucket < buckets.size)
    cells = pa.table(
        {
            _ITEM: pa.array(batch[0][is_counted], pa.binary()),
            _BUCKET: pa.array(bucket[is_counted].astype(np.int32)),
            _COUNT: pa.array(np.ones(np.count_nonzero(is_counted), np.int64)),
        }
    )
    return _summed(cells)


class _SumCells(beam.CombineFn):
    """Adds the counts of equal cells. The accumulator is a list of tables."""

    def create_accumulator(self) -> list[pa.Table]:
        return []

    def add_input(self, accumulator: list[pa.Table], element: pa.Table) -> list[pa.Table]:
        accumulator.append(element)
        return accumulator if sum(map(len, accumulator)) < _COMPACT_ROWS else [_summed(pa.concat_tables(accumulator))]

    def merge_accumulators(self, accumulators: Iterable[list[pa.Table]]) -> list[pa.Table]:
        tables = [table for tables in accumulators for table in tables]
        return [_summed(pa.concat_tables(tables))] if tables else []

    def extract_output(self, accumulator: list[pa.Table]) -> pa.Table:
        return _summed(pa.concat_tables([_SCHEMA.empty_table(), *accumulator]))


def _summed(cells: pa.Table) -> pa.Table:
    summed = cells.group_by([_ITEM, _BUCKET]).aggregate([(_COUNT, "sum")])
    return summed.rename_columns({f"{_COUNT}_sum": _COUNT}).select(_SCHEMA.names).cast(_SCHEMA)


def _write(cells: pa.Table, buckets: Buckets, folder: str) -> np.ndarray:
    """Writes the counts sorted, so that equal counts make equal files."""
    cells = cells.sort_by([(_BUCKET, "ascending"), (_ITEM, "ascending")])
    cells = cells.replace_schema_metadata({name: str(value) for name, value in buckets._asdict().items()})
    written = io.BytesIO()
    pq.write_table(cells, written)
    tf.io.gfile.makedirs(folder)
    path = posixpath.join(folder, TREND_FILE)
    with tf.io.gfile.GFile(path, "wb") as out:
        out.write(written.getvalue())
    return np.array(path)


def _from_metadata(metadata: dict[bytes, bytes]) -> Buckets:
    return Buckets(*(int(metadata[name.encode()]) for name in Buckets._fields))
