import numpy as np
import pytest
import tensorflow as tf

from trainer.distributed.sharding import BatchShard


def parts(share, batch=4, count=9):
    return [part.tolist() for part in share.of(tf.data.Dataset.range(count).batch(batch)).as_numpy_iterator()]


def test_every_worker_has_a_part_of_every_batch():
    assert parts(BatchShard(0, 1, 2)) == [[0, 1], [4, 5], [8]]
    assert parts(BatchShard(1, 1, 2)) == [[2, 3], [6, 7], []]


def test_a_worker_with_two_replicas_has_two_parts():
    assert parts(BatchShard(2, 2, 4), batch=8) == [[4, 5], [6, 7], [], []]


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_all_shares_together_are_the_batches(workers):
    shares = [parts(BatchShard(index, 1, workers)) for index in range(workers)]
    whole = [np.concatenate(step).tolist() for step in zip(*shares, strict=True)]
    assert whole == [[0, 1, 2, 3], [4, 5, 6, 7], [8]]


def test_the_share_of_an_input_pipeline():
    context = tf.distribute.InputContext(num_input_pipelines=3, input_pipeline_id=1, num_replicas_in_sync=6)
    assert BatchShard.of_pipeline(context) == BatchShard(2, 2, 6)
