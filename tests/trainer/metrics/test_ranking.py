import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.metrics.ranking import Targets, ideal_gain, metrics_by_user, standard_error

LOG = 1 / np.log2([2, 3, 4, 5, 6])


def targets(*rows: tuple[int, float, float]) -> Targets:
    user, rank, popularity = zip(*rows, strict=True)
    return Targets(np.array(user), np.array(rank, float), np.array(popularity, float))


def test_a_user_with_one_target() -> None:
    model, baseline = metrics_by_user(targets((7, 2, 4)), (1, 3), one_list=True)
    #                                    recall  ndcg       hr    mrr
    np.testing.assert_allclose(model, [[0, 1, 0, LOG[1], 0, 1, 1 / 2]])
    np.testing.assert_allclose(baseline, [[0, 0, 0, 0, 0, 0, 1 / 4]])


def test_users_with_several_targets_in_one_list() -> None:
    events = targets((5, 3, 1), (9, 4, 9), (5, 1, 2), (5, 9, 3))
    model, _ = metrics_by_user(events, (2, 4), one_list=True)
    first = [1 / 3, 2 / 3, LOG[0] / LOG[:2].sum(), (LOG[0] + LOG[2]) / LOG[:3].sum(), 1, 1, 1]
    second = [0, 1, 0, LOG[3], 0, 1, 1 / 4]
    np.testing.assert_allclose(model, [first, second])


def test_in_lists_of_their_own_two_first_ranks_are_the_best_possible() -> None:
    events = targets((5, 1, 1), (5, 1, 3))
    model, baseline = metrics_by_user(events, (2,), one_list=False)
    np.testing.assert_allclose(model, [[1, 1, 1, 1]])
    np.testing.assert_allclose(baseline, [[1 / 2, 1 / 2, 1, 1]])


def test_the_ideal_list_is_no_longer_than_k() -> None:
    np.testing.assert_allclose(ideal_gain(2, np.array([1, 2, 50])), [LOG[0], LOG[:2].sum(), LOG[:2].sum()])


def test_the_standard_error_of_one_value_is_undefined() -> None:
    assert standard_error(np.array([1.0, 3.0])) == 1.0
    assert np.isnan(standard_error(np.array([1.0])))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 30)), min_size=1, max_size=40, unique=True), st.booleans())
def test_equals_a_loop_over_users(rows: list[tuple[int, int]], one_list: bool) -> None:
    events = targets(*((user, rank, 31 - rank) for user, rank in rows))
    model, _ = metrics_by_user(events, (5,), one_list)
    for metrics, user in zip(model, sorted({user for user, _ in rows}), strict=True):
        ranks = [rank for owner, rank in rows if owner == user]
        gain = sum(1 / np.log2(1 + rank) for rank in ranks if rank <= 5)
        best = LOG[: min(5, len(ranks))].sum() if one_list else len(ranks)
        hits = sum(rank <= 5 for rank in ranks)
        assert metrics == pytest.approx([hits / len(ranks), gain / best, float(hits > 0), 1 / min(ranks)])
        assert (metrics <= 1 + 1e-9).all()
