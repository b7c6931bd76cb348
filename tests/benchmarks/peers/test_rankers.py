import numpy as np
import pytest

from benchmarks.peers.evaluation import Evaluation
from benchmarks.peers.rankers import DAY, EASE, Blend, FitOnce, ItemKNN, Popularity, RecentPopularity, Transitions
from benchmarks.peers.ranking import choose, metrics, ranks
from benchmarks.peers.tfrs_tutorial import TFRSTutorial
from tests.benchmarks.peers.toy import queries, training


def fitted(ranker, histories, items):
    ranker.fit(training(histories, items))
    return ranker


def test_popularity_counts_events():
    ranker = fitted(Popularity(), [[0, 1], [1, 2]], 4)
    assert ranker.score(queries([[], [0]], 4)).tolist() == [[1, 2, 1, 0]] * 2


def test_recent_popularity_counts_the_days_before_the_request_or_the_end_of_the_data():
    events = training([[0, 1, 1], [2]], 3)
    events.time[:] = np.array([0, 5, 9, 10]) * DAY
    ranker = RecentPopularity(days=3)
    ranker.fit(events)
    # At day 8 only day 5 counts; the event at the request's own second does not; long after the end: days 9 and 10.
    assert ranker.score(queries([[]] * 3, 3, time=[8 * DAY, 9 * DAY, 99 * DAY])).tolist() == [
        [0, 1, 0],
        [0, 0, 0],
        [0, 1, 1],
    ]


def test_item_knn_is_the_shrunk_cosine_by_hand():
    ranker = fitted(ItemKNN(neighbours=3, shrinkage=1), [[0, 1], [0, 1], [0, 2]], 3)
    expected = [[0, 2 / (6**0.5 + 1), 1 / (3**0.5 + 1)]]
    assert ranker.score(queries([[0]], 3)) == pytest.approx(np.array(expected), abs=1e-6)


def test_item_knn_keeps_only_the_nearest():
    ranker = fitted(ItemKNN(neighbours=1, shrinkage=0), [[0, 1], [0, 1], [0, 2]], 3)
    # Items 1 and 2 have item 0 as their nearest; of item 0 only item 1 is near.
    assert np.count_nonzero(ranker.score(queries([[0], [1], [2]], 3))) == 3


def test_ease_is_its_closed_form():
    histories = [[0, 1], [0, 1, 2], [2, 3], [3]]
    ranker = fitted(EASE(l2=2.0), histories, 4)
    users = training(histories, 4).matrix().toarray().astype(np.float64)
    weights = np.zeros((4, 4))
    for item in range(4):  # the definition: ridge regression of each item on all others
        rest = [other for other in range(4) if other != item]
        gram = users[:, rest].T @ users[:, rest] + 2 * np.eye(3)
        weights[rest, item] = np.linalg.solve(gram, users[:, rest].T @ users[:, item])
    assert ranker.score(queries(histories, 4)) == pytest.approx(users @ weights, abs=1e-5)


def test_ease_leaves_rare_items_at_zero():
    ranker = fitted(EASE(l2=1.0, max_items=2), [[0, 1, 2], [0, 1]], 3)
    scores = ranker.score(queries([[0, 2]], 3))
    assert scores[0, 1] > 0
    assert scores[0, 2] == 0


def test_transitions_by_hand():
    # 0 -> 1 at distance 1 (twice), 0 -> 2 at distance 2, 1 -> 2 at distance 1; nothing across users.
    ranker = fitted(Transitions(window=2, distance_decay=0.5, history_decay=0.5, damping=0), [[0, 1, 2], [0, 1]], 3)
    scores = ranker.score(queries([[0], [1, 0], [2], []], 3))
    after_0, after_1 = np.array([0, 2 / 2.5, 0.5 / 2.5]), np.array([0, 0, 1])
    assert scores == pytest.approx(np.array([after_0, after_0 + 0.5 * after_1, [0] * 3, [0] * 3]), abs=1e-6)


def test_transitions_damp_what_is_popular_anyway():
    ranker = fitted(Transitions(damping=1), [[0, 1], [0, 2], [2], [2]], 3)
    scores = ranker.score(queries([[0]], 3))[0]
    assert scores[1] == pytest.approx(3 * scores[2])


class Fixed:
    """Scores that are given; counts its fits."""

    def __init__(self, scores):
        self.scores, self.fits = np.array(scores, np.float32), 0

    def fit(self, training):
        self.fits += 1

    def score(self, queries):
        return np.broadcast_to(self.scores, (len(queries), len(self.scores)))


def test_a_blend_weighs_scores_of_equal_deviation():
    blend = Blend((1.0, 2.0), (Fixed([0, 2]), Fixed([30, 10])))
    assert blend.score(queries([[]], 2)).tolist() == [[0 + 2 * 3, 2 + 2 * 1]]


def test_a_constant_part_of_a_blend_changes_no_order():
    scores = Blend((1.0, 1.0), (Fixed([1, 1]), Fixed([0, 2]))).score(queries([[]], 2))
    assert scores[0, 1] > scores[0, 0]


def test_parts_of_blends_are_fitted_once_per_data():
    part, events = FitOnce(Fixed([1])), training([[0]], 1)
    part.fit(events)
    part.fit(events)
    part.fit(training([[0]], 1))
    assert part.ranker.fits == 2


def evaluation(histories, seen, target_query, target_item, items):
    return Evaluation(
        training=training(histories, items),
        queries=queries(histories, items),
        seen=np_csr(seen, items),
        target_query=np.array(target_query),
        target_item=np.array(target_item),
        cold=np.zeros(len(target_item), bool),
        one_list=True,
    )


def np_csr(rows, items):
    import scipy.sparse as sp

    dense = np.zeros((len(rows), items), bool)
    for row, columns in enumerate(rows):
        dense[row, columns] = True
    return sp.csr_matrix(dense)


@pytest.mark.parametrize("block", [1, 4, 1 << 24])
def test_ranks_mask_what_was_seen_and_do_not_depend_on_the_blocks(monkeypatch, block):
    monkeypatch.setattr("benchmarks.peers.ranking.BLOCK", block)
    question = evaluation([[0], [1], []], [[0], [1], []], [0, 0, 1, 2, 2], [1, 0, 3, 0, 4], 4)
    assert ranks(Fixed([4, 3, 2, 1]), question).tolist() == [1, np.inf, 3, 1, np.inf]


def test_the_best_candidate_on_the_evaluation_is_chosen():
    question = evaluation([[0]], [[0]], [0], [2], 3)
    good, bad = Fixed([0, 0, 1]), Fixed([0, 1, 0])
    assert choose([bad, good], question) is good
    assert metrics(good, question)["warm"]["ndcg@10"].mean == 1


def clusters():
    """Two groups of users with items of their own: every user interacted with all but one of the group's."""
    even = [[item for item in range(0, 12, 2) if item != left] for left in range(0, 12, 2)]
    odd = [[item for item in range(1, 12, 2) if item != left] for left in range(1, 12, 2)]
    return even + odd, list(range(0, 12, 2)) + list(range(1, 12, 2))


def recovered(ranker):
    """The share of users whose left-out item comes first."""
    histories, missing = clusters()
    question = evaluation(histories, histories, list(range(12)), missing, 12)
    ranker.fit(question.training)
    return np.mean(ranks(ranker, question) == 1)


def test_every_collaborative_peer_finds_the_item_that_a_group_shares():
    assert recovered(ItemKNN()) == 1
    assert recovered(EASE(l2=1.0)) == 1


def test_the_factorisations_find_the_item_that_a_group_shares():
    factors = pytest.importorskip("benchmarks.peers.factors", reason="needs `implicit`: pip install -e .[bench]")
    assert recovered(factors.ImplicitALS(factors=4, regularization=0.1)) == 1
    assert recovered(factors.BPR(factors=8, learning_rate=0.1, iterations=300)) >= 0.8


def test_als_follows_a_grown_history_and_bpr_gives_a_cold_user_the_biases():
    factors = pytest.importorskip("benchmarks.peers.factors", reason="needs `implicit`: pip install -e .[bench]")
    histories, _ = clusters()
    als = fitted(factors.ImplicitALS(factors=4, regularization=0.1), histories, 12)
    scores = als.score(queries([[1, 3, 5]], 12))[0]
    assert scores[1::2].min() > scores[0::2].max()
    bpr = fitted(factors.BPR(factors=4), [*histories, []], 12)
    assert np.allclose(bpr.score(queries([[]], 12, user=[12]))[0], bpr._model.item_factors[:, -1])


def test_the_tutorials_model_learns_the_groups():
    assert recovered(TFRSTutorial(dimension=8, epochs=40, batch_size=60)) >= 0.8
