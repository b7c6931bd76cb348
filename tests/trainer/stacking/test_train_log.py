import numpy as np
import pytest
import scipy.sparse as sp

from tests.trainer.small import ITEMS, USERS, draw_row, small_config, small_spec, write_rows
from trainer.data.dataset import WindowData
from trainer.stacking import train_log
from trainer.stacking.train_log import MatrixSum, read_log


def row(user, items, targets=None, positive=None):
    """A window of one user's items; all are positive targets unless given."""
    count = len(items)
    flags = {"is_target": targets or [1] * count, "is_positive": positive or [1] * count}
    return draw_row(np.random.default_rng(0), count, user_id=[user], item_id=items, **flags)


def read(tmp_path, rows, window=2, decay=0.5):
    data = WindowData([write_rows(tmp_path / "a.gz", rows)], small_spec(small_config()))
    found = read_log(data, ITEMS, USERS, window, decay)
    return found.interactions.toarray(), found.transitions.toarray()


def test_a_transition_counts_less_with_its_distance(tmp_path):
    users, transitions = read(tmp_path, [row(3, [5, 2, 7, 5])])
    np.testing.assert_array_equal(np.flatnonzero(users[0]), [2, 5, 7])
    assert users.max() == 1
    expected = np.zeros([ITEMS, ITEMS])
    expected[5, 2], expected[2, 7], expected[7, 5] = 1, 1, 1
    expected[5, 7], expected[2, 5] = 0.5, 0.5
    np.testing.assert_array_equal(transitions, expected)


def test_context_has_transitions_but_counts_once(tmp_path):
    """The second window repeats the first one's last event as context."""
    users, transitions = read(tmp_path, [row(3, [0, 1]), row(3, [1, 2], targets=[0, 1])])
    assert users.shape == (1, ITEMS)
    np.testing.assert_array_equal(np.flatnonzero(users[0]), [0, 1, 2])
    np.testing.assert_array_equal(np.argwhere(transitions), [[0, 1], [1, 2]])


def test_only_positives_of_known_items_count(tmp_path):
    users, transitions = read(tmp_path, [row(3, [0, 1, ITEMS, 2], positive=[1, 0, 1, 1])])
    np.testing.assert_array_equal(np.flatnonzero(users[0]), [0, 2])
    np.testing.assert_array_equal(np.argwhere(transitions), [[0, 2]])


@pytest.mark.parametrize("batch", [1, 256])
def test_unknown_users_stay_apart(tmp_path, monkeypatch, batch):
    monkeypatch.setattr(train_log, "_READ_BATCH", batch)
    users, _ = read(tmp_path, [row(USERS, [0, 1]), row(USERS, [0, 2]), row(1, [3])])
    assert sorted(tuple(np.flatnonzero(u)) for u in users) == [(0, 1), (0, 2), (3,)]


def padded_log(data, window, decay):
    """Reads padded windows instead, one event after the other."""
    transitions, users = np.zeros([ITEMS, ITEMS]), {}
    for index, (batch,) in enumerate([value] for value in data.evaluation_batches(1)):
        values = {name: column.numpy()[0] for name, column in batch.items()}
        counts = values["mask"] & values["is_positive"] & (values["item_id"] < ITEMS)
        item, is_target = values["item_id"][counts], values["is_target"][counts]
        user = int(values["user_id"])
        users.setdefault(user if user < USERS else USERS + index, set()).update(item[is_target].tolist())
        for later in range(len(item)):
            for distance in range(1, min(window, later) + 1):
                transitions[item[later - distance], item[later]] += is_target[later] * decay ** (distance - 1)
    return [sorted(items) for _, items in sorted(users.items()) if items], transitions


@pytest.mark.parametrize("chunk", [1, 1 << 20])
def test_flat_events_are_those_of_padded_windows(tmp_path, monkeypatch, chunk):
    """Long windows, unknown items and users, context, events that are not positive, and flags that are absent."""
    monkeypatch.setattr(train_log, "_CHUNK_EVENTS", chunk)
    monkeypatch.setattr(train_log, "_READ_BATCH", 7)
    rng = np.random.default_rng(3)
    rows = []
    for _ in range(40):
        count = int(rng.integers(1, 12))
        flags = {name: rng.integers(0, 2, count).tolist() for name in ("is_target", "is_positive")}
        items, user = rng.integers(0, ITEMS + 1, count).tolist(), [int(rng.integers(USERS + 1))]
        rows.append(draw_row(rng, count, item_id=items, user_id=user, **flags))
    rows[3]["is_target"], rows[4]["is_positive"], rows[5]["user_id"] = rows[3]["is_target"][:-1], [], []
    data = WindowData([write_rows(tmp_path / "a.gz", rows)], small_spec(small_config()))
    found = read_log(data, ITEMS, USERS, 3, 0.5)
    interactions, transitions = padded_log(data, 3, 0.5)
    assert [np.flatnonzero(row).tolist() for row in found.interactions.toarray()] == interactions
    np.testing.assert_allclose(found.transitions.toarray(), transitions)


def test_no_term_is_added_to_a_much_larger_one(monkeypatch):
    """With each of 256 terms added to the sum of all before it, 256 * 257 / 2 times as many cells would be read."""
    rng, read = np.random.default_rng(0), []
    terms = [
        sp.csr_matrix(([1.0], ([n // 20], [n % 20])), shape=(20, 20), dtype=np.float32) for n in rng.permutation(256)
    ]
    plus = sp.csr_matrix.__add__
    monkeypatch.setattr(sp.csr_matrix, "__add__", lambda a, b: read.append(a.nnz + b.nnz) or plus(a, b))
    total = MatrixSum(20)
    for term in terms:
        total.add(term)
    np.testing.assert_array_equal(total.total().toarray().ravel(), np.arange(400) < 256)
    assert sum(read) <= 256 * 10
