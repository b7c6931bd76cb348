import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.protocol import Metric, ranking_metrics, rating_metrics, target_ranks, user_metrics

INF = math.inf


def ranks(scores, row, item):
    return target_ranks(np.array(scores, np.float32), np.array(row), np.array(item)).tolist()


def test_the_rank_counts_the_items_ahead_and_the_smaller_index_wins_a_tie():
    assert ranks([[0.1, 0.9, 0.5, 0.7]], [0, 0, 0, 0], [0, 1, 2, 3]) == [4, 1, 3, 2]
    assert ranks([[1, 2, 1, 1]], [0, 0, 0, 0], [0, 1, 2, 3]) == [2, 1, 3, 4]


def test_masked_items_do_not_count_and_a_masked_or_unknown_target_is_never_found():
    assert ranks([[-INF, 3, -INF, 1], [4, 3, 2, 1]], [0, 0, 1], [3, 2, 4]) == [2, INF, INF]


def test_a_score_that_is_no_number_is_an_error():
    with pytest.raises(ValueError, match="Received: 1 NaN"):
        ranks([[math.nan, 1.0]], [0], [0])


@given(st.lists(st.integers(0, 3), min_size=1, max_size=8), st.data())
def test_the_rank_is_the_place_in_the_stably_sorted_catalogue(scores, data):
    item = data.draw(st.integers(0, len(scores) - 1))
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    assert ranks([scores], [0], [item]) == [order.index(item) + 1]


def test_the_metrics_of_two_users_by_hand():
    # User 3: ranks 1, 4, 11 of three targets; user 7: one target at 2.
    metrics = user_metrics(np.array([11, 2, 1, 4]), np.array([3, 7, 3, 3]), ks=(2, 10))
    ideal = 1 + 1 / math.log2(3) + 1 / 2
    assert metrics["hr@2"].tolist() == [1, 1]
    assert metrics["recall@2"].tolist() == [1 / 3, 1]
    assert metrics["recall@10"].tolist() == [2 / 3, 1]
    assert metrics["ndcg@10"] == pytest.approx([(1 + 1 / math.log2(5)) / ideal, 1 / math.log2(3)])
    assert metrics["ndcg@2"] == pytest.approx([1 / (1 + 1 / math.log2(3)), 1 / math.log2(3)])


def test_a_target_that_is_never_found_gains_nothing():
    metrics = user_metrics(np.array([INF, 1.0]), np.array([0, 0]))
    assert metrics["recall@100"].tolist() == [0.5]
    assert metrics["ndcg@10"] == pytest.approx([1 / (1 + 1 / math.log2(3))])


def test_with_lists_of_their_own_the_ideal_is_one_for_each_target():
    metrics = user_metrics(np.array([1, 1, 3]), np.array([0, 0, 0]), one_list=False)
    assert metrics["ndcg@10"] == pytest.approx([(1 + 1 + 1 / 2) / 3])


def test_averages_are_over_users_with_cold_ones_apart():
    metrics = ranking_metrics(np.array([1, 50, 2, 200]), np.array([0, 1, 2, 2]), np.array([False, False, True, True]))
    assert metrics["warm"]["hr@10"] == Metric(0.5, 0.5, 2)
    assert metrics["warm"]["recall@100"] == Metric(1.0, 0.0, 2)
    assert metrics["cold"]["recall@100"].mean == 0.5
    assert metrics["cold"]["hr@10"].count == 1
    assert "cold" not in ranking_metrics(np.array([1]), np.array([0]), np.array([False]))


def test_the_error_is_the_deviation_over_the_root_of_the_count():
    metric = Metric.of(np.array([1.0, 2.0, 3.0, 6.0]))
    assert (metric.mean, metric.count) == (3.0, 4)
    assert metric.error == pytest.approx(math.sqrt(14 / 3) / 2)
    assert math.isnan(Metric.of(np.array([1.0])).error)


def test_ratings_are_clipped_to_the_scale_and_warm_rows_stand_apart():
    metrics = rating_metrics(np.array([7.0, 2.0, 0.0]), np.array([5.0, 4.0, 2.0]), np.array([0, 0, 1], bool), (1, 5))
    assert metrics["all"]["rmse"].mean == pytest.approx(math.sqrt((0 + 4 + 1) / 3))
    assert metrics["warm"]["rmse"].mean == pytest.approx(math.sqrt(2))
    assert metrics["warm"]["rmse"].count == 2
