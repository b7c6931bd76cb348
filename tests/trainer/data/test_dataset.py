from itertools import chain

import numpy as np
import pytest

from tests.trainer.small import ITEMS, draw_eval_rows, draw_rows, small_config, small_spec, write_rows
from trainer.data.batching import BatchPlan
from trainer.data.dataset import WindowData

SPEC = small_spec(small_config())
PLAN = BatchPlan.mixed(4, windows=9)


def numbered(count):
    return [{**row, "user_id": [n]} for n, row in enumerate(draw_rows(0, count))]


@pytest.fixture
def data(tmp_path):
    rows = numbered(9)
    write_rows(tmp_path / "a.gz", rows[:4])
    write_rows(tmp_path / "b.gz", rows[4:])
    return WindowData([str(tmp_path / "*.gz")], SPEC)


def users(batches):
    return [batch["user_id"].numpy().tolist() for batch in batches]


def test_an_epoch_has_every_window_once(data):
    batches = users(data.training_batches(PLAN, seed=1, epoch=0))
    assert [len(b) for b in batches] == [4, 4, 1]
    assert sorted(chain(*batches)) == list(range(9))


def test_the_order_depends_on_seed_and_epoch_only(data):
    first = users(data.training_batches(PLAN, seed=1, epoch=0))
    second = users(data.training_batches(PLAN, seed=1, epoch=1))
    assert first == users(data.training_batches(PLAN, seed=1, epoch=0))
    assert second == users(data.training_batches(PLAN, seed=1, epoch=1))
    assert first != second
    assert first != users(data.training_batches(PLAN, seed=2, epoch=0))


def test_windows_of_like_length_share_batches_and_none_is_lost(tmp_path):
    lengths = [1, 5, 2, 9, 3, 4, 1, 2, 8, 3]
    rows = [{"item_id": list(range(n)), "user_id": [i]} for i, n in enumerate(lengths)]
    data = WindowData([write_rows(tmp_path / "a.gz", rows)], SPEC)
    plan = BatchPlan(bounds=(3, 5), sizes=(3, 2, 2), steps=6, windows=10)
    batches = users(data.training_batches(plan, seed=1, epoch=0))
    assert sorted(chain(*batches)) == list(range(10))
    groups = [[sum(lengths[user] >= bound for bound in plan.bounds) for user in batch] for batch in batches]
    assert sorted((group[0], len(group)) for group in groups) == [(0, 1), (0, 3), (1, 1), (1, 2), (2, 1), (2, 2)]
    assert all(len(set(group)) == 1 for group in groups)
    assert batches != users(data.training_batches(plan, seed=1, epoch=1))


def test_evaluation_has_every_window_once_and_always_in_the_same_order(data):
    first, again = (users(data.evaluation_batches(4)) for _ in range(2))
    assert sorted(chain(*first)) == list(range(9))
    assert first == again


def test_no_tuner_runs_beside_the_batches(data):
    """TensorFlow's own tuner held iterators up at the end of an epoch, for seconds and once for minutes."""
    for batches in (data.training_batches(PLAN, seed=1, epoch=0).take(2), data.evaluation_batches(4)):
        assert batches.options().autotune.enabled is False


def test_evaluation_knows_the_seen_items(tmp_path):
    rows = draw_eval_rows(0, 3)
    rows[1]["seen_item_id"], rows[2]["is_cold_user"] = [], [1]
    data = WindowData([write_rows(tmp_path / "a.gz", rows)], SPEC)
    (batch,) = data.evaluation_batches(3)
    assert [[i for i in row if i < ITEMS] for row in batch["seen_item_id"].numpy().tolist()] == [
        rows[0]["seen_item_id"],
        [],
        rows[2]["seen_item_id"],
    ]
    assert batch["is_cold_user"].numpy().tolist() == [0, 0, 1]


def test_the_summary_counts_windows_and_measures_the_targets_labels(tmp_path):
    events = {"item_id": [1, 2, 3], "is_target": [0, 1, 1], "label_rating": [9.0, 1.0, 4.0]}
    rows = [{**events, "weight_rating": [1.0, 1.0, 1.0]}, {**events, "weight_rating": [1.0, 0.0, 1.0]}]
    summary = WindowData([write_rows(tmp_path / "a.gz", rows)], SPEC).summary()
    assert summary.windows == 2
    assert summary.targets == 4
    assert summary.windows_of_length.tolist() == [0, 0, 0, 2, *[0] * (len(summary.windows_of_length) - 4)]
    assert summary.targets_of_length[3] == 4
    assert summary.labels["rating"].mean == pytest.approx(3)
    assert summary.labels["rating"].deviation == pytest.approx(np.sqrt(2))
    assert (summary.labels["like"].mean, summary.labels["like"].deviation) == (0, 1)


def test_an_empty_file_has_no_windows(tmp_path):
    assert WindowData([write_rows(tmp_path / "a.gz", [])], SPEC).summary().windows == 0


def test_missing_files_are_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing-\*.gz: no file matches"):
        WindowData([str(tmp_path / "nothing-*.gz")], SPEC)
