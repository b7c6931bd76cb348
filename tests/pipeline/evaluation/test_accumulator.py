import pickle

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.accumulator import Events, UserAverages, best_positions
from trainer.metrics.ranking import Targets, metrics_by_user

KS = (1, 3)


def events(users: list[int], ranks: list[float], size: int = 6) -> Events:
    user = np.array(users, np.int64)
    count = np.array([users.count(u) for u in users], float)
    top = np.stack([np.arange(2) + u % 4 for u in users]) if users else np.empty((0, 2), np.int64)
    targets = Targets(user, np.array(ranks, float), np.full(len(users), 2.0))
    return Events(targets, count, top, np.zeros_like(top), size)


def test_average_standard_error_and_lift() -> None:
    averages = UserAverages(KS, one_list=True)
    read = averages.averages(averages.add(averages.start(), events([1, 2, 3], [1, 2, 6])))
    assert read.users == 3
    np.testing.assert_allclose(read.mean[:, 0], [1 / 3, 0, 1 / 3])
    np.testing.assert_allclose(read.mean[:, 1], [2 / 3, 1, -1 / 3])
    # Of 1, 0, 0 the deviation (n - 1) is sqrt(1/3), over sqrt(3).
    np.testing.assert_allclose(read.standard_error[:, 0], [1 / 3, 0, 1 / 3])


def test_coverage_counts_items_once_and_over_the_whole_catalogue() -> None:
    averages = UserAverages(KS, one_list=True)
    read = averages.averages(averages.add(averages.start(), events([0, 4, 1], [1, 1, 1])))
    # Lists 0,1 and 0,1 and 1,2: first places 0 and 1, within three places 0, 1 and 2; the baseline lists item 0.
    np.testing.assert_allclose(read.coverage, [[2 / 6, 3 / 6], [1 / 6, 1 / 6]])


def test_positions_skip_the_padding_of_short_lists() -> None:
    assert best_positions(np.array([[2, -1], [0, 2]]), 4).tolist() == [0, 255, 0, 255]


def test_without_users_everything_is_undefined() -> None:
    averages = UserAverages(KS, one_list=True)
    read = averages.averages(averages.add(averages.start(), events([], [], size=0)))
    assert read.users == 0
    assert np.isnan(read.mean).all()
    assert np.isnan(read.standard_error).all()
    assert np.isnan(read.coverage).all()


def test_one_user_has_no_standard_error() -> None:
    averages = UserAverages(KS, one_list=True)
    read = averages.averages(averages.add(averages.start(), events([1], [1])))
    assert read.mean[0, 0] == 1
    assert np.isnan(read.standard_error).all()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 6)), max_size=30), st.data())
def test_any_way_of_cutting_and_merging_gives_the_same(rows: list[tuple[int, int]], data: st.DataObject) -> None:
    averages = UserAverages(KS, one_list=False)
    whole = events([user for user, _ in rows], [rank for _, rank in rows])
    at = data.draw(st.integers(0, len(rows)))
    parts = [_cut(whole, slice(0, at)), _cut(whole, slice(at, None))]
    memories = [pickle.loads(pickle.dumps(averages.add(averages.start(), part))) for part in parts]
    read = averages.averages(averages.merge(memories))
    expected = metrics_by_user(whole.targets, KS, one_list=False)
    assert read.users == expected.shape[1]
    if rows:
        np.testing.assert_allclose(read.mean[:2], expected.mean(axis=1))
        np.testing.assert_allclose(read.coverage, averages.averages(averages.add(averages.start(), whole)).coverage)


def _cut(whole: Events, rows: slice) -> Events:
    targets = Targets(*(column[rows] for column in whole.targets))
    count, top, popular = whole.target_count[rows], whole.top_items[rows], whole.popularity_top_items[rows]
    return Events(targets, count, top, popular, whole.catalogue_size)
