"""Two workers, each a thread, that read the files of a folder."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests.trainer.small import draw_rows, small_config, small_spec, write_rows
from trainer.data import dataset
from trainer.data.batching import BatchPlan
from trainer.data.dataset import WindowData
from trainer.distributed.sharding import WorkerShare, file_owners

SPEC = small_spec(small_config())
PLANS = {"mixed": BatchPlan.mixed(4, windows=20), "by length": BatchPlan((4,), (5, 3), steps=9, windows=20)}
DIVISIONS = {"files": (3, 7, 6, 4), "one file": (20,)}


class Exchange:
    """Gives each of two threads the arrays of both."""

    def __init__(self) -> None:
        self._arrays = [np.zeros(0)] * 2
        self._barrier = threading.Barrier(2, timeout=30)

    def share(self, worker: int) -> WorkerShare:
        def gather(values):
            self._arrays[worker] = values
            self._barrier.wait()
            found = list(self._arrays)
            self._barrier.wait()
            return found

        return WorkerShare(worker, 2, 1, gather)


def write(folder: Path, counts: tuple[int, ...]) -> str:
    rows = [{**row, "user_id": [number]} for number, row in enumerate(draw_rows(0, sum(counts)))]
    ends = np.cumsum(counts).tolist()
    for end, count in zip(ends, counts, strict=True):
        write_rows(folder / f"{end}.gz", rows[end - count : end])
    return str(folder / "*.gz")


def both(function):
    with ThreadPoolExecutor(2) as pool:
        exchange = Exchange()
        return list(pool.map(lambda worker: function(exchange.share(worker)), range(2)))


def users(data, plan, **part):
    return [batch["user_id"].numpy().tolist() for batch in data.training_batches(plan, seed=1, epoch=3, **part)]


@pytest.mark.parametrize(
    ("kept", "division", "plan"),
    [
        (True, "files", "mixed"),
        (True, "one file", "by length"),
        (False, "files", "by length"),
        (False, "one file", "mixed"),
    ],
)
def test_the_rows_of_both_workers_are_the_batches_of_one(kept, division, plan, tmp_path, monkeypatch):
    pattern, plan = write(tmp_path, DIVISIONS[division]), PLANS[plan]
    alone = WindowData([pattern], SPEC)
    expected = alone.summary(), users(alone, plan), users(alone, plan, done=2, steps=3)
    monkeypatch.setattr(dataset, "_CACHED_BYTES", 1 << 30 if kept else 0)

    def of_worker(share):
        data = WindowData([pattern], SPEC, share)
        return data.summary(), users(data, plan), users(data, plan, done=2, steps=3)

    one, other = both(of_worker)
    for summary in (one[0], other[0]):
        np.testing.assert_array_equal(summary.windows_of_length, expected[0].windows_of_length)
        np.testing.assert_array_equal(summary.targets_of_length, expected[0].targets_of_length)
        assert summary.labels["rating"].mean == pytest.approx(expected[0].labels["rating"].mean)
    for part in (1, 2):
        joined = [sorted(a + b) for a, b in zip(one[part], other[part], strict=True)]
        assert joined == [sorted(batch) for batch in expected[part]]
    assert 8 <= sum(map(len, one[1])) <= 12  # of 20 windows


@pytest.mark.parametrize("kept", [True, False])
def test_a_worker_reads_no_file_of_the_other(kept, tmp_path, monkeypatch):
    pattern = write(tmp_path, (5, 5, 5, 5))
    sizes = {path: path.stat().st_size for path in tmp_path.iterdir()}
    monkeypatch.setattr(dataset, "_CACHED_BYTES", 1 << 30 if kept else 0)
    paths = sorted(sizes)
    owners = file_owners([sizes[path] for path in paths], 2)
    for worker in range(2):
        own = sum(sizes[path] for path, owner in zip(paths, owners, strict=True) if owner == worker)
        assert own <= 0.6 * sum(sizes.values())
    counts = [5, 5, 5, 5]
    of_other = iter(
        [
            None,  # the files' digest: the same
            np.where(owners == 0, 0, counts),
            np.full(10, 4, np.int32),  # lengths
            *([None] * 3),  # the summary's sums, which do not matter here
        ]
    )

    def gather(values):
        found = next(of_other)
        return [values, values if found is None else found]

    data = WindowData([pattern], SPEC, WorkerShare(0, 2, 1, gather))
    for path, owner in zip(paths, owners, strict=True):
        if owner == 1:
            path.write_bytes(b"not to be read")
    data.summary()
    rows = users(data, PLANS["mixed"])
    assert [len(rows), sum(map(len, rows))] == [5, 10]


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("division", DIVISIONS)
def test_workers_that_do_not_wait_read_their_own_windows_again_and_again(division, plan, tmp_path):
    data = WindowData([write(tmp_path, DIVISIONS[division])], SPEC)
    sizes, seen = set(PLANS[plan].sizes), []
    for worker in range(2):
        batches = data.endless_batches(PLANS[plan], 0, tf.constant(worker), 2).take(30)
        users = [window["user_id"].numpy() for window in batches]
        assert {len(batch) for batch in users} <= sizes  # none is cut short
        seen.append(set(np.concatenate(users).tolist()))
    assert seen[0] | seen[1] == set(range(20))
    assert not seen[0] & seen[1]


def test_workers_with_other_files_say_so(tmp_path):
    pattern = write(tmp_path, (2,))

    def gather(values):
        return [values, values + 1]

    with pytest.raises(RuntimeError, match="Received by worker 0: 1 files with"):
        WindowData([pattern], SPEC, WorkerShare(0, 2, 1, gather))
