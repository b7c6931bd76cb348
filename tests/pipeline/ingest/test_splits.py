import numpy as np
import pytest

from pipeline.config.data import SplitConfig
from pipeline.ingest import splits
from pipeline.ingest.splits import Cuts, Events, cut_ranks


def _events(counts, time=None):
    size = sum(counts)
    first = np.concatenate([[0], np.cumsum(counts)])
    users = np.array([f"u{n}" for n in range(len(counts))], object)
    return Events(users, first, np.array(time if time else range(size)), np.arange(size))


def test_leave_last_out_by_hand():
    assert splits.leave_last_out(_events([1, 2, 3, 4])).tolist() == [0, 0, 2, 0, 1, 2, 0, 0, 1, 2]


def test_global_time_cuts_inside_ties():
    events = _events([3, 3], time=[1, 5, 9, 5, 5, 9])  # ordinals 0..5
    cuts = Cuts(eval_start=(5, 3), test_start=(9, 5))
    assert splits.global_time(events, cuts).tolist() == [0, 0, 1, 1, 1, 2]


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
    assert cut_ranks(rows, SplitConfig(eval_share=eval_share, test_share=test_share)) == expected


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


def test_user_hash_keeps_users_whole():
    parts = splits.user_hash(_events([5] * 200), SplitConfig())
    assert (parts.reshape(200, 5) == parts.reshape(200, 5)[:, :1]).all()
    assert set(parts.tolist()) == {0, 1, 2}


def test_hash_of_a_text_never_changes():
    # Fixed numbers: a user must stay in its split over runs, machines and releases.
    assert splits.hash_text(np.array(["u1", "ä"], object)).tolist() == HASHES


HASHES = [2984610181246591869, 169404545344139998]
