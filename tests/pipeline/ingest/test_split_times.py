import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st

from config.data import SplitConfig
from pipeline.ingest.split_times import DIGITS, FindSplitTimes, Selection
from pipeline.ingest.splits import split_ranks
from tests.pipeline.ingest.reference import beam_pipeline

SPLIT = SplitConfig(method="global_time", eval_share=0.2, test_share=0.15)


def _sorted_out(time, ordinal):
    """The keys at the cut ranks, found by sorting."""
    order = np.lexsort((ordinal, time))
    return tuple((int(time[order[rank]]), int(ordinal[order[rank]])) for rank in split_ranks(len(time), SPLIT))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from([-(2**33) + 1, -5, 0, 3, 4, 2**17, 2**17 + 1, 2**33 - 1]), min_size=1, max_size=30))
def test_selection_is_that_of_sorting(times):
    time = np.array(times)
    ordinal = np.random.default_rng(0).permutation(len(times)) * 2**28  # up to the highest digit
    selection = Selection()
    for _ in range(DIGITS):
        selection = selection.narrowed(selection.histograms(time, ordinal), SPLIT)
    split_times = selection.split_times()
    assert (split_times.eval_start, split_times.test_start) == _sorted_out(time, ordinal)


def test_selection_over_many_buckets_in_beam():
    rng = np.random.default_rng(1)
    time, ordinal = rng.integers(0, 50, 5000), rng.permutation(5000)
    parts = [np.stack([t, o]) for t, o in zip(np.split(time, 10), np.split(ordinal, 10), strict=True)]
    with beam_pipeline() as pipeline:
        split_times = (
            pipeline | beam.Create(parts) | FindSplitTimes(SPLIT) | beam.Map(lambda c: (c.eval_start, c.test_start))
        )
        assert_that(split_times, equal_to([_sorted_out(time, ordinal)]))


def test_a_fold_has_an_end_too():
    split = SplitConfig(method="global_time", fold={"number": 1, "of": 3})
    keys = np.stack([np.arange(40), np.arange(40)])
    with beam_pipeline() as pipeline:
        split_times = (
            pipeline
            | beam.Create([keys])
            | FindSplitTimes(split)
            | beam.Map(lambda c: (c.eval_start, c.test_start, c.end))
        )
        assert_that(split_times, equal_to([((8, 8), (10, 10), (20, 20))]))


def test_too_many_rows():
    with pytest.raises(ValueError, match=r"should have less than 17179869184 rows\. Received: row 17179869184"):
        Selection().histograms(np.array([0]), np.array([2**34]))
