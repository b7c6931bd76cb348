"""What the quantised and the partitioned index have in common, beside the exact one."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from trainer.export.index.exact import ExactIndex
from trainer.export.index.ivf import IvfIndex
from trainer.export.index.partitions import UNIT, Partitions, partition
from trainer.export.index.quantised import Int8Index

SIZE, DIMENSION = 4000, 16
NOTHING = np.zeros((1, 0), np.int64)


def clustered(size=SIZE, queries=40, seed=0):
    """Items [V + 1, D] round 50 centres with a bias, the unknown item last, and queries of the same kind."""
    generator = np.random.default_rng(seed)
    centres = generator.standard_normal((50, DIMENSION - 1))

    def draw(count, scale):
        vectors = centres[generator.integers(0, 50, count)] + 0.5 * generator.standard_normal((count, DIMENSION - 1))
        return scale * vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    items = np.concatenate([draw(size, 1), generator.standard_normal((size, 1)) / 2], axis=1)
    items = np.concatenate([items, np.full((1, DIMENSION), 1e3)])
    return items.astype(np.float32), np.concatenate([draw(queries, 8), np.ones((queries, 1))], 1).astype(np.float32)


def make_ivf(items, queries, units, shortlist, partitions=60):
    labels = partition(items[:-1], partitions)
    made = Partitions.of(items[:-1], labels)
    return IvfIndex(items, queries, made, units=units, probes=len(made.centroids), shortlist=shortlist)


MAKERS = {
    "int8": lambda items, queries, shortlist=300: Int8Index(items, queries, shortlist),
    "ivf": lambda items, queries, shortlist=300: make_ivf(items, queries, 60, shortlist),
}


@pytest.fixture(scope="module")
def data():
    return clustered()


@pytest.fixture(scope="module", params=list(MAKERS))
def index(request, data):
    index = MAKERS[request.param](*data)
    index.max_queries = 100
    return compiled(index)


@pytest.fixture(scope="module")
def exact(data):
    return compiled(ExactIndex(data[0]))


def compiled(index):
    signature = [tf.TensorSpec([None, None]), tf.TensorSpec([], tf.int32), tf.TensorSpec([None, None], tf.int64)]
    index.compiled = tf.function(index.search, input_signature=signature, autograph=False)
    return index


def search(index, query, k, exclude=None):
    exclude = np.zeros((len(query), 0), np.int64) if exclude is None else exclude
    scores, items = index.compiled(tf.constant(query), tf.constant(k), tf.constant(exclude, tf.int64))
    return scores.numpy(), items.numpy()


def assert_same(found, expected):
    np.testing.assert_array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", MAKERS)
def test_a_shortlist_of_everything_is_exact(kind, exact, data):
    items, queries = data
    index = compiled(Int8Index(items, queries, SIZE) if kind == "int8" else make_ivf(items, queries, 10**6, SIZE))
    candidates = index.candidates(tf.constant(queries[:1]), tf.constant(5500), tf.constant(7))
    assert set(range(SIZE)) <= set(candidates.numpy()[0].tolist())
    for row in range(3):
        assert_same(search(index, queries[row : row + 1], 50), search(exact, queries[row : row + 1], 50))


def test_the_best_items_are_found(index, exact, data):
    queries = data[1]
    found, best = search(index, queries, 20)[1], search(exact, queries, 20)[1]
    assert np.mean([np.isin(b, f).mean() for b, f in zip(best, found, strict=True)]) > 0.97


def test_scores_are_exact_and_fall(index, data):
    items, queries = data
    scores, found = search(index, queries, 30)
    np.testing.assert_allclose(scores, np.einsum("bkd,bd->bk", items[found], queries), rtol=1e-4, atol=1e-4)
    assert (np.diff(scores, axis=1) <= 0).all()
    assert all(len(set(row)) == 30 for row in found.tolist())


def test_exclusions_take_no_room_from_others(index, exact, data):
    queries = data[1][:8]
    best = search(exact, queries, 50)[1]
    found = search(index, queries, 20, best)[1]
    expected = search(exact, queries, 20, best)[1]
    assert np.mean([np.isin(e, f).mean() for e, f in zip(expected, found, strict=True)]) > 0.9
    assert all(not np.isin(f, b).any() for f, b in zip(found, best, strict=True))


def test_padding_excludes_nothing(index, data):
    query = data[1][:1]
    padding = np.array([[-1, SIZE, SIZE + 7, 10**12]])
    assert_same(search(index, query, 10, padding), search(index, query, 10))


def test_where_nearly_everything_is_excluded_the_rest_is_found(index, data):
    left = [3, 1777, 3999]
    exclude = np.setdiff1d(np.arange(SIZE), left)[np.newaxis]
    scores, items = search(index, data[1][:1], 5, exclude)
    assert sorted(items[0, :3]) == left
    assert items[0, 3:].tolist() == [-1, -1]
    assert np.isneginf(scores[0, 3:]).all()


def test_an_exclusion_of_everything_leaves_nothing(index, data):
    assert (search(index, data[1][:2], 3, np.tile(np.arange(SIZE), (2, 1)))[1] == -1).all()


def test_more_than_the_catalogue_is_the_catalogue(index, exact, data):
    found = search(index, data[1][:1], SIZE + 5)
    assert found[1].shape == (1, SIZE)
    assert_same(found, search(exact, data[1][:1], SIZE))


def test_more_than_the_partitions_hold_is_completed(exact, data):
    items, queries = data
    index = compiled(IvfIndex(items, queries, Partitions.of(items[:-1], partition(items[:-1], 60)), 1, 1, 10))
    assert_same(search(index, queries[:1], 90), search(exact, queries[:1], 90))


def test_a_batch_answers_each_query_as_if_alone(index, data):
    queries = data[1][:19]
    scores, items = search(index, queries, 12)
    for row in range(19):
        assert_same((scores[row : row + 1], items[row : row + 1]), search(index, queries[row : row + 1], 12))


@pytest.mark.parametrize("kind", MAKERS)
def test_many_queries_of_a_small_catalogue_are_answered_exactly(kind, data, exact):
    index = compiled(MAKERS[kind](*data, 15))
    few, many = data[1][:4], data[1][:5]
    assert_same(search(index, many, 15), search(exact, many, 15))
    assert search(index, few, 15)[1].tolist() != search(exact, few, 15)[1].tolist()


def test_an_empty_batch_has_an_empty_answer(index, data):
    assert search(index, data[1][:0], 4)[1].shape == (0, 4)


def test_a_query_that_is_not_a_number_finds_nothing(index, data):
    query = np.concatenate([data[1][:1], np.full((1, DIMENSION), np.nan, np.float32)])
    items = search(index, query, 4)[1]
    assert (items[1] == -1).all()
    assert (items[0] >= 0).all()


def test_a_query_of_zeros_finds_something(index):
    assert len(set(search(index, np.zeros((1, DIMENSION), np.float32), 4)[1][0])) == 4


@pytest.mark.parametrize("kind", MAKERS)
def test_of_equal_items_the_smaller_index_comes_first(kind):
    items, queries = clustered(200, 4)
    items[:-1] = np.tile(items[:4], (50, 1))
    index = compiled(MAKERS[kind](items, queries, 200))
    assert_same(search(index, queries, 120), search(compiled(ExactIndex(items)), queries, 120))


def test_embeddings_and_scores_are_those_of_the_table(index, data):
    items, queries = data
    positions = np.array([[0, SIZE], [7, 7]])
    np.testing.assert_array_equal(index.embeddings(tf.constant(positions)).numpy(), items[positions])
    np.testing.assert_allclose(index.scores(tf.constant(queries)), queries @ items[:-1].T, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("shape", [(1, 4), (4,)])
def test_an_empty_table_is_refused(kind, shape):
    empty = Partitions(np.zeros((0, UNIT), np.int32), np.zeros((0, 4), np.float32), np.zeros(1, np.int32))
    with pytest.raises(ValueError, match=r"should have the shape \[V \+ 1, D\] with V > 0"):
        Int8Index(np.zeros(shape), np.zeros((0, 4)), 5) if kind == "int8" else IvfIndex(
            np.zeros(shape), np.zeros((0, 4)), empty, 1, 1, 5
        )


def test_saved_indexes_answer_without_this_code(data, tmp_path):
    queries = data[1][:3]
    np.save(tmp_path / "query.npy", queries)
    indexes = {kind: compiled(make(*data)) for kind, make in MAKERS.items()}
    for kind, index in indexes.items():
        tf.saved_model.save(index, str(tmp_path / kind))
    code = (
        "import numpy as np, sys, tensorflow as tf\n"
        "for kind in sys.argv[1:]:\n"
        "    model = tf.saved_model.load(kind)\n"
        "    answer = model.compiled(np.load('query.npy'), 7, np.zeros((3, 0), np.int64))\n"
        "    np.save(kind + '.npy', answer[1])\n"
        "assert not [name for name in sys.modules if name.startswith('trainer')]\n"
    )
    subprocess.run([sys.executable, "-c", code, *indexes], check=True, cwd=tmp_path)
    for kind, index in indexes.items():
        np.testing.assert_array_equal(np.load(tmp_path / f"{kind}.npy"), search(index, queries, 7)[1])


@pytest.mark.parametrize("kind", MAKERS)
def test_no_gather_makes_whole_reads_of_the_table_copy_it(kind, data):
    """One `ResourceGather` of a variable puts it into a mode in which each read of all of it is a copy."""
    index = MAKERS[kind](*data)
    lookup = tf.function(index.embeddings).get_concrete_function(tf.TensorSpec([None], tf.int64))
    assert "ResourceGather" not in {operation.type for operation in lookup.graph.get_operations()}
    query = tf.constant(data[1][:1])
    np.testing.assert_allclose(
        index.scores(query)[0, :3], tf.linalg.matvec(index.embeddings([0, 1, 2]), query[0]), rtol=1e-5
    )


@pytest.mark.parametrize("kind", ["exact", *MAKERS])
def test_hidden_items_are_never_found(data, kind):
    items, queries = data
    best = np.argmax(queries[:1] @ items[:-1].T)
    index = ExactIndex(items) if kind == "exact" else MAKERS[kind](items, queries)
    assert index.search(queries[:1], tf.constant(5), tf.constant(NOTHING))[1][0, 0] == best
    index.hide(np.array([best, SIZE - 1]), DIMENSION - 1)
    scores, found = index.search(queries[:1], tf.constant(SIZE), tf.constant(NOTHING))
    assert not np.isin([best, SIZE - 1], found[0]).any()
    assert list(found[0, -2:]) == [-1, -1], "of all items these two are not there"
    assert np.isneginf(scores[0, -2:]).all()
