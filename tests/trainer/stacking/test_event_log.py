import numpy as np
import pytest

from tests.trainer.small import ITEMS, USERS, draw_row, small_config, small_spec, write_rows
from trainer.data.dataset import WindowData
from trainer.stacking import event_log
from trainer.stacking.event_log import read_log


def row(user, items, targets=None, positive=None):
    """A window of one user's items; all are positive targets unless observed."""
    count = len(items)
    flags = {"is_target": targets or [1] * count, "is_positive": positive or [1] * count}
    return draw_row(np.random.default_rng(0), count, user_id=[user], item_id=items, **flags)


def read(tmp_path, rows, window=2, decay=0.5):
    data = WindowData([write_rows(tmp_path / "a.gz", rows)], small_spec(small_config()))
    found = read_log(data, ITEMS, USERS, window, decay)
    return found.users.toarray(), found.followed.toarray()


def test_what_follows_counts_less_with_the_distance(tmp_path):
    users, followed = read(tmp_path, [row(3, [5, 2, 7, 5])])
    np.testing.assert_array_equal(np.flatnonzero(users[0]), [2, 5, 7])
    assert users.max() == 1
    expected = np.zeros([ITEMS, ITEMS])
    expected[5, 2], expected[2, 7], expected[7, 5] = 1, 1, 1
    expected[5, 7], expected[2, 5] = 0.5, 0.5
    np.testing.assert_array_equal(followed, expected)


def test_context_is_followed_but_counts_once(tmp_path):
    """The second window repeats the first one's last event as context."""
    users, followed = read(tmp_path, [row(3, [0, 1]), row(3, [1, 2], targets=[0, 1])])
    assert users.shape == (1, ITEMS)
    np.testing.assert_array_equal(np.flatnonzero(users[0]), [0, 1, 2])
    np.testing.assert_array_equal(np.argwhere(followed), [[0, 1], [1, 2]])


def test_only_positives_of_known_items_count(tmp_path):
    users, followed = read(tmp_path, [row(3, [0, 1, ITEMS, 2], positive=[1, 0, 1, 1])])
    np.testing.assert_array_equal(np.flatnonzero(users[0]), [0, 2])
    np.testing.assert_array_equal(np.argwhere(followed), [[0, 2]])


@pytest.mark.parametrize("batch", [1, 256])
def test_unknown_users_stay_apart(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(event_log, "_READ_BATCH", batch)
    users, _ = read(tmp_path, [row(USERS, [0, 1]), row(USERS, [0, 2]), row(1, [3])])
    assert sorted(tuple(np.flatnonzero(u)) for u in users) == [(0, 1), (0, 2), (3,)]
