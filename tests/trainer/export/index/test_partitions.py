import numpy as np

from trainer.export.index.partitions import UNIT, Partitions, centroids, nearest, partition


def blobs(count, size, seed=0):
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((count, 8)) * 10
    return (np.repeat(centres, size, axis=0) + generator.standard_normal((count * size, 8)) * 0.1).astype(np.float32)


def test_the_nearest_mean():
    means = np.array([[0, 0], [10, 0]], np.float32)
    assert nearest(np.array([[4, 9], [6, -9]], np.float32), means).tolist() == [0, 1]


def test_blobs_are_told_apart():
    labels = partition(blobs(9, 50), 36).reshape(9, 50)
    owners = [set(row) for row in labels.tolist()]
    assert all(not owners[i] & owners[j] for i in range(9) for j in range(i))
    assert 9 <= labels.max() + 1 <= 40


def test_labels_have_no_gaps_and_do_not_depend_on_anything_but_the_seed():
    vectors = blobs(3, 40)
    labels = partition(vectors, 7)
    assert sorted(set(labels.tolist())) == list(range(labels.max() + 1))
    assert partition(vectors, 7).tolist() == labels.tolist()


def test_equal_vectors_are_one_partition():
    assert set(partition(np.ones((50, 4), np.float32), 5)) == {0}


def test_as_many_partitions_as_vectors():
    assert partition(np.eye(5, dtype=np.float32), 5).max() < 5
    assert centroids(np.eye(3, dtype=np.float32), 9, np.random.default_rng(0)).shape == (3, 3)


def test_units_hold_every_item_once():
    labels = np.array([1] * (UNIT + 1) + [0] * 3 + [2])
    made = Partitions.of(np.arange(len(labels), dtype=np.float32)[:, np.newaxis], labels)
    assert made.first.tolist() == [0, 1, 3, 4]
    assert made.items[0].tolist() == [UNIT + 1, UNIT + 2, UNIT + 3] + [len(labels)] * (UNIT - 3)
    assert sorted(made.items[made.items < len(labels)].tolist()) == list(range(len(labels)))
    assert made.centroids[:, 0].tolist() == [UNIT + 2, UNIT / 2, UNIT + 4]
    assert made.owners.tolist() == [0, 1, 1, 2]
