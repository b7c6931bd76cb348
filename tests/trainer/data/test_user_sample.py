import numpy as np
import pytest

from tests.trainer.small import ITEMS, draw_eval_rows, draw_row, many_tasks_config, small_config, small_spec, write_rows
from trainer.data import user_sample
from trainer.data.dataset import WindowData
from trainer.data.user_sample import Scan, choose_windows, eval_sample, sample_users


def scan_of(users, cold=(), order=None):
    """The scan of a split with so many windows of each user; `order` is that of the windows in the files."""
    user = np.repeat(np.arange(len(users)), users).astype(np.uint64)
    rows = np.arange(len(user)) if order is None else order
    window = np.arange(len(user), dtype=np.uint64)
    return Scan(user[rows], window[rows], np.isin(user, np.array([*cold], np.uint64))[rows], (window % 2 == 0)[rows])


def chosen_keys(scan, **settings):
    found = choose_windows(scan, **settings)
    return scan.window[found.window].tolist(), found


def test_a_small_split_is_taken_whole():
    windows, found = chosen_keys(scan_of([3, 1, 2], cold=[1]), windows=6, seed=0)
    assert sorted(windows) == [0, 1, 2, 3, 4, 5]
    assert str(found.coverage) == "3 users (2 warm, 1 cold), 6 windows"
    # User by user, each with the positive targets (even windows) of the whole split: 0 and 2; none; 4.
    positives = dict(zip(found.user, (scan_of([3, 1, 2]).user[found.window]).tolist(), strict=True))
    assert [found.positives[own] for own, _ in sorted(positives.items(), key=lambda pair: pair[1])] == [2, 0, 1]


def test_heavy_users_give_no_more_windows_than_others():
    scan = scan_of([100, 5, 100, 20])
    _, found = chosen_keys(scan, windows=50, seed=0)
    # 5 + 3 x 15 are 50.
    assert sorted(np.bincount(found.user)) == [5, 15, 15, 15]
    assert found.coverage.windows == 50
    assert found.coverage.all_windows == 225


def test_of_many_users_warm_and_cold_ones_are_drawn_in_their_shares():
    scan = scan_of([2] * 1000, cold=range(0, 1000, 4))
    _, found = chosen_keys(scan, windows=100, seed=0)
    assert (found.coverage.warm, found.coverage.cold, found.coverage.windows) == (75, 25, 100)
    assert str(found.coverage) == "100 of 1,000 users (75 warm, 25 cold), 100 windows"


def test_the_only_cold_user_is_drawn():
    _, found = chosen_keys(scan_of([1] * 500, cold=[7]), windows=10, seed=3)
    assert found.coverage.cold == 1


def test_users_whose_windows_are_compared_come_with_several():
    _, found = chosen_keys(scan_of([8] * 100), windows=100, seed=0, per_user=5)
    assert np.bincount(found.user).tolist() == [5] * 20


@pytest.mark.parametrize("windows", [40, 300])
def test_the_order_of_the_files_does_not_matter(windows):
    rng = np.random.default_rng(0)
    users = rng.integers(1, 10, 100)
    size = int(users.sum())
    first, again, other = (
        chosen_keys(scan_of(users, order=order), windows=windows, seed=seed)
        for order, seed in ((None, 1), (rng.permutation(size), 1), (None, 2))
    )
    assert first[0] == again[0]
    np.testing.assert_array_equal(first[1].user, again[1].user)
    np.testing.assert_array_equal(first[1].positives, again[1].positives)
    assert first[0] != other[0]


def rows_of(users):
    """Windows of users whom the vocabulary does not know."""
    rng = np.random.default_rng(0)
    marks = {"is_target": [0, 0, 1], "seen_item_id": [], "is_cold_user": [1], "user_id": [9]}
    return [draw_row(rng, 3, user_key=[1000 + user], **marks) for user in np.repeat(np.arange(len(users)), users)]


def test_files_are_sampled_alike_however_they_are_cut(tmp_path):
    spec = small_spec(small_config())
    rows = rows_of([4, 1, 2, 5, 3])
    whole = WindowData([write_rows(tmp_path / "whole.gz", rows)], spec)
    for number in range(4):
        write_rows(tmp_path / f"part-{number}.gz", rows[number::4][::-1])
    cut = WindowData([str(tmp_path / "part-*.gz")], spec)
    first, again = (sample_users(data, windows=11, seed=5) for data in (whole, cut))
    assert first.coverage == again.coverage
    assert (first.coverage.cold, first.coverage.windows) == (5, 9)
    for one, other in zip(first.batches(4), again.batches(4), strict=True):
        assert all((one[name].numpy() == other[name].numpy()).all() for name in one)


def test_windows_without_a_key_are_users_of_their_own(tmp_path):
    rows = [{name: values for name, values in row.items() if name != "user_key"} for row in rows_of([3, 2])]
    data = WindowData([write_rows(tmp_path / "a.gz", rows)], small_spec(small_config()))
    assert sample_users(data, windows=100, seed=0).coverage.cold == 5


def test_tasks_that_compare_get_several_windows_of_a_user(tmp_path, monkeypatch):
    monkeypatch.setattr(user_sample, "WINDOWS", 8)
    monkeypatch.setattr(user_sample, "COMPARED", 4)
    data = WindowData([write_rows(tmp_path / "a.gz", rows_of([6] * 8))], small_spec(small_config()))
    assert eval_sample(data, small_config()).coverage.cold == 8
    assert eval_sample(data, many_tasks_config()).coverage.cold == 2


def test_the_order_of_times_keeps_windows_with_their_users(tmp_path):
    rows = [{**row, "user_id": [n % 3], "user_key": [n % 3]} for n, row in enumerate(draw_eval_rows(0, 9))]
    data = WindowData([write_rows(tmp_path / "a.gz", rows)], small_spec(small_config()))
    sample = sample_users(data, 9, seed=0)
    (before,), (after,) = sample.batches(9), sample.by_time().batches(9)
    times = after["time"].numpy()[:, -1]
    np.testing.assert_array_equal(times, np.sort(before["time"].numpy()[:, -1]))

    def users_of(windows, user):
        return dict(zip(user.tolist(), windows["user_id"].numpy().tolist(), strict=True))

    assert users_of(after, sample.by_time().user) == users_of(before, sample.user)


def test_windows_get_what_their_users_have_seen_from_the_parts_of_all(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        draw_row(
            rng, 3, is_target=[0, 0, 1], is_cold_user=[0], user_id=[9], user_key=[user], seen_item_id=part, **shared
        )
        for user, part, shared in [
            (1, [5, 3], {"seen_start": [0], "seen_count": [4]}),
            (2, [7], {}),
            (1, [2], {"seen_start": [2], "seen_count": [1]}),
            (1, [8, 4], {"seen_start": [3], "seen_count": [5]}),
        ]
    ]
    data = WindowData([write_rows(tmp_path / "a.gz", rows)], small_spec(small_config()))
    everything = sample_users(data, windows=100, seed=0)
    assert sorted(seen_of(everything)) == [[2, 3, 4, 5, 8], [2, 3, 5, 8], [5], [7]]
    assert sorted(seen_of(everything.by_time())) == sorted(seen_of(everything))
    # One window of each user: the other two of user 1 are read for their parts alone.
    few = sample_users(data, windows=2, seed=0)
    assert len(few.user) == 2
    assert all(seen in seen_of(everything) for seen in seen_of(few))


def seen_of(sample):
    return [sorted(set(row.tolist()) - {ITEMS}) for batch in sample.batches(3) for row in batch["seen_item_id"].numpy()]


def test_a_part_of_a_sample_has_whole_users(tmp_path):
    data = WindowData([write_rows(tmp_path / "a.gz", rows_of([3] * 5))], small_spec(small_config()))
    sample = sample_users(data, windows=100, seed=0)
    assert sample.first(15) is sample
    part = sample.first(8)
    assert part.user.tolist() == [0] * 3 + [1] * 3
    assert (len(part.positives), part.coverage.windows) == (2, 6)
    assert sum(len(batch["item_id"]) for batch in part.batches(4)) == 6
