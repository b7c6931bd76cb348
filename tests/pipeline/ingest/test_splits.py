import numpy as np
import pytest

from config.data import ColdItems, SplitConfig
from pipeline.ingest import splits
from pipeline.ingest.splits import Events, SplitTimes, split_ranks


def _events(counts, time=None):
    size = sum(counts)
    first = np.concatenate([[0], np.cumsum(counts)])
    users = np.array([f"u{n}" for n in range(len(counts))], object)
    return Events(users, first, np.array(time if time else range(size)), np.arange(size))


def test_leave_last_out_by_hand():
    assert splits.leave_last_out(_events([1, 2, 3, 4])).tolist() == [0, 0, 2, 0, 1, 2, 0, 0, 1, 2]


def test_global_time_cuts_inside_ties():
    events = _events([3, 3], time=[1, 5, 9, 5, 5, 9])  # ordinals 0..5
    split_times = SplitTimes(eval_start=(5, 3), test_start=(9, 5))
    assert splits.global_time(events, split_times).tolist() == [0, 0, 1, 1, 1, 2]


@pytest.mark.parametrize(
    ("rows", "eval_share", "test_share", "expected"),
    [
        (10, 0.1, 0.1, (8, 9)),
        (100_000, 0.1, 0.1, (80_000, 90_000)),
        (10, 0.1, 0.2, (7, 8)),
        (7, 0.1, 0.1, (5, 6)),
        (1000, 0.3, 0.3, (400, 700)),
    ],
)
def test_cut_ranks(rows, eval_share, test_share, expected):
    assert split_ranks(rows, SplitConfig(eval_share=eval_share, test_share=test_share)) == expected


def test_permutation_is_that_of_the_protocol():
    order = np.random.RandomState(42).permutation(1000)
    parts = splits.permutation_parts(1000, SplitConfig(eval_share=0.1, test_share=0.2))
    assert (parts[order[:700]] == 0).all()
    assert (parts[order[700:800]] == 1).all()
    assert (parts[order[800:]] == 2).all()
    other = splits.permutation_parts(1000, SplitConfig(eval_share=0.05, test_share=0.2))
    assert ((parts == 2) == (other == 2)).all()


def test_hashes_hold_the_shares_and_depend_on_the_seed():
    events = _events([1] * 20_000)
    for method in (splits.user_hash, splits.hashed_parts):
        parts = method(events, SplitConfig(eval_share=0.1, test_share=0.2, seed=1))
        np.testing.assert_allclose(np.bincount(parts) / 20_000, [0.7, 0.1, 0.2], atol=0.01)
        other = method(events, SplitConfig(eval_share=0.1, test_share=0.2, seed=2))
        assert 0.4 < (parts == other).mean() < 0.7  # 0.54 by chance


def _folds(method, of, **values):
    for number in range(1, of + 1):
        yield SplitConfig(method=method, fold={"number": number, "of": of}, **values)


def test_every_row_tests_in_one_random_fold():
    found = [splits.permutation_parts(10, split) for split in _folds("random", 3, eval_share=0.2)]
    assert [np.bincount(parts).tolist() for parts in found] == [[5, 2, 3], [5, 2, 3], [4, 2, 4]]
    assert (sum((parts == 2).astype(int) for parts in found) == 1).all()


@pytest.mark.parametrize("method", ["user_hash", "random"])
def test_every_hash_tests_in_one_fold(method):
    divide = {"user_hash": splits.user_hash, "random": splits.hashed_parts}[method]
    found = [divide(_events([1] * 5000), split) for split in _folds(method, 5, eval_share=0.1)]
    assert (sum((parts == 2).astype(int) for parts in found) == 1).all()
    np.testing.assert_allclose([np.bincount(parts) / 5000 for parts in found], [[0.7, 0.1, 0.2]] * 5, atol=0.02)


def test_folds_by_time_expand():
    ranks = [splits.time_ranks(120, split) for split in _folds("global_time", 3, eval_share=0.1)]
    # Of 4 parts of 30 rows: the fold sees 60, 90, 120 rows, the last 30 of them test and a tenth evaluates.
    assert ranks == [(24, 30, 60), (51, 60, 90), (78, 90, 120)]


def test_what_is_later_than_a_fold_is_unused():
    events = _events([3, 3], time=[1, 5, 9, 5, 5, 9])
    split_times = SplitTimes(eval_start=(5, 1), test_start=(5, 3), end=(9, 2))
    assert splits.global_time(events, split_times).tolist() == [0, 1, 3, 2, 2, 3]


def test_folds_of_leave_last_out_forget_the_newest_events():
    assert splits.leave_last_out(_events([1, 2, 3, 4]), unused=1).tolist() == [3, 0, 3, 0, 2, 3, 0, 1, 2, 3]


def test_a_fold_needs_something_to_train_on():
    with pytest.raises(
        ValueError, match=r"`eval_share` should be below 0.5, what fold 1 does not test on. Received: 0.5"
    ):
        SplitConfig(method="global_time", eval_share=0.5, fold={"number": 1, "of": 3})
    with pytest.raises(ValueError, match=r"`number` should be at most `of` \(3\)\. Received: 4"):
        SplitConfig(fold={"number": 4, "of": 3})


def test_user_hash_keeps_users_whole():
    parts = splits.user_hash(_events([5] * 200), SplitConfig())
    assert (parts.reshape(200, 5) == parts.reshape(200, 5)[:, :1]).all()
    assert set(parts.tolist()) == {0, 1, 2}


def test_hash_of_a_text_never_changes():
    # Fixed numbers: a user must stay in its split over runs, machines and releases.
    assert splits.hash_text(np.array(["u1", "ä"], object)).tolist() == HASHES


HASHES = [2984610181246591869, 169404545344139998]


def test_the_held_out_items_are_a_share_that_the_seed_chooses():
    items = np.array([f"i{n}" for n in range(20_000)], object)
    first, other = (splits.is_held_out(items, ColdItems(share=0.2, seed=seed)) for seed in (1, 2))
    np.testing.assert_allclose([first.mean(), other.mean()], 0.2, atol=0.01)
    np.testing.assert_allclose((first & other).mean(), 0.04, atol=0.01)
    np.testing.assert_array_equal(splits.is_held_out(items[::-1], ColdItems(share=0.2, seed=1))[::-1], first)
    assert not (first & ~splits.is_held_out(items, ColdItems(share=0.3, seed=1))).any()
