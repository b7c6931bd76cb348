import numpy as np
import pytest
import tensorflow as tf

from trainer.distributed.sharding import SHARED, WorkerShare, file_owners


def share(worker=0, workers=2, replicas=1):
    return WorkerShare(worker, workers, replicas, gather=lambda values: [values] * workers)


@pytest.mark.parametrize(
    ("sizes", "workers", "owners"),
    [
        ([5, 5], 2, [0, 1]),
        ([2, 9, 4, 3], 2, [1, 0, 1, 1]),  # 9 and 9
        ([1, 2, 3, 4], 3, [2, 2, 1, 0]),  # 4, 3 and 3
        ([6, 5], 2, [0, 1]),
        ([8, 4], 2, [SHARED, SHARED]),  # 67 % would be one worker's
        ([7], 2, [SHARED]),
        ([], 2, []),
    ],
)
def test_files_are_divided_evenly_or_read_by_all(sizes, workers, owners):
    assert file_owners(sizes, workers).tolist() == owners


def test_24_equal_files_are_divided_among_up_to_nine_workers():
    for workers in range(2, 10):
        counts = np.bincount(file_owners([100] * 24, workers))
        assert counts.max() <= 1.2 * 24 / workers


def test_a_worker_keeps_its_rows_of_every_batch_in_a_part_for_each_replica():
    batches = tf.data.Dataset.from_tensor_slices([b"a", b"", b"b", b"c", b"", b""]).batch(4)
    assert [part.tolist() for part in share(replicas=2).split(batches).as_numpy_iterator()] == [
        [b"a", b"b"],
        [b"c"],
        [],
        [],
    ]
