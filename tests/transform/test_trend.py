from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow_transform as tft
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st

from config import parse_config
from config.features import Trend
from tests.transform.conftest import DTYPES, analyse
from transform.times import DAY, Times
from transform.trend import MAX_BUCKETS, Buckets, WriteTrend, count_cells, item_trend

CONFIG = parse_config("""
name: shop
data: {folder: data, interactions: {path: events.csv}}
features: {item_id: {min_count: 2}, trend: {days: [1, 2]}}
""")


def test_buckets_are_days_and_begin_with_a_day() -> None:
    assert Buckets.of((5 * DAY + 7, 8 * DAY), Trend(days=(1, 30))) == (5 * DAY, DAY, 4)
    assert Buckets.of((-1, -1), Trend()) == (-DAY, DAY, 1)


def test_buckets_are_no_wider_than_the_shortest_window() -> None:
    assert Buckets.of((0, 7200), Trend(days=(1 / 24, 1))) == (0, 3600, 3)


def test_a_log_without_events_has_no_buckets() -> None:
    assert Buckets.of(None, Trend()) == (0, DAY, 0)


@given(st.integers(-(10**10), 10**10), st.integers(0, 10**10))
def test_few_buckets_cover_all_seconds(first: int, length: int) -> None:
    start, width, size = Buckets.of((first, first + length), Trend())
    assert start <= first
    assert start + (size - 1) * width <= first + length < start + size * width
    assert size <= MAX_BUCKETS


def _span(days: np.ndarray, width: int = DAY) -> tuple[int, int] | None:
    seconds = (np.asarray(days, np.float64) * DAY).astype(np.int64)
    halves = [Times.of(part, width) for part in (seconds[::2], seconds[1::2], seconds[:0])]
    return Times.merged(halves).usual_span(30)


def test_a_few_events_far_from_all_others_do_not_stretch_the_span() -> None:
    log = 18_000 + np.arange(310) / 10 + 0.5  # 31 days
    ends = (int(log[0] * DAY), int(log[-1] * DAY))
    assert _span(log) == ends
    assert _span([*log, *[47_482.0] * 5]) == ends  # the year 2100
    assert _span([0.0, *log, 19_000.25]) == ends
    near = 18_000 + 59.0
    assert _span([*log, near]) == (ends[0], int(near * DAY))  # as far as the log is long is no error
    assert _span([*log, *[47_482.0] * 20]) == (ends[0], 47_482 * DAY)  # nor is what makes six hundredths of it
    assert _span([1.0, 9_000.0]) == (DAY, 9_000 * DAY)  # of two no one can say
    assert _span([]) is None


def test_what_is_in_no_bucket_is_not_counted() -> None:
    batch = (column("a", "b", "a", "c"), np.array([-1, 0, 3 * DAY - 1, 3 * DAY]))
    cells = count_cells(batch, Buckets(0, DAY, 3))
    assert cells.to_pydict() == {"item": [b"b", b"a"], "bucket": [0, 2], "count": [1, 1]}


def column(*items: str) -> np.ndarray:
    return np.array([item.encode() for item in items], dtype=object)


@pytest.mark.parametrize(
    ("batches", "cells", "buckets"),
    [
        (
            [
                (column("b", "a", "b"), np.array([0, DAY, DAY - 1])),
                (column(), np.array([], np.int64)),
                (column("b", "a", "b"), np.array([3 * DAY, DAY + 5, 10])),
            ],
            [(b"b", 0, 3), (b"a", 1, 2), (b"b", 3, 1)],
            Buckets(0, DAY, 4),
        ),
        ([(column(), np.array([], np.int64))], [], Buckets(0, DAY, 0)),
    ],
)
def test_cells_add_up_over_all_batches(tmp_path: Path, batches: list, cells: list, buckets: Buckets) -> None:
    transform = WriteTrend(Trend())
    transform.base_temp_dir = str(tmp_path)
    with beam.Pipeline(options=PipelineOptions(["--direct_running_mode=in_memory"])) as pipeline:
        path = pipeline | beam.Create(batches, reshuffle=False) | transform
        assert_that(path, equal_to([str(tmp_path / "trend")]))
    table = pq.read_table(tmp_path / "trend")
    assert list(zip(*(column.to_pylist() for column in table.columns), strict=True)) == cells
    assert {name.decode(): int(value) for name, value in table.schema.metadata.items()} == buckets._asdict()


def window(items: list[str], days: list[float], positive: list[int], target: list[int]) -> dict[str, list]:
    times = [int(day * DAY) for day in days]
    return {"user_id": ["ann"], "item_id": items, "time": times, "is_positive": positive, "is_target": target}


def test_positive_training_targets_are_counted_once(tmp_path: Path) -> None:
    rows = [
        window(["a", "b", "a", "a", "rare"], [3, 3.5, 3.9, 5, 8], [1, 1, 1, 0, 1], [1, 1, 1, 1, 1]),
        window(["b", "b"], [3.5, 4.5], [1, 1], [0, 1]),  # the first event was a target of the window above
    ]
    counts = item_trend(analyse(CONFIG, rows, DTYPES, tmp_path))
    assert counts.buckets == (3 * DAY, DAY, 6)
    cells = sorted(zip(counts.item.tolist(), counts.bucket.tolist(), counts.count.tolist(), strict=True))
    assert cells == [(0, 0, 2), (1, 0, 1), (1, 1, 1)]  # of a and b; too rare an item is not in the vocabulary


def test_a_graph_without_trend_says_so(tft_output: tft.TFTransformOutput) -> None:
    with pytest.raises(ValueError, match=r"should hold `trend` where `features.trend` is configured"):
        item_trend(tft_output)
