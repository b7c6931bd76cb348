import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.metrics.ordering import OrderMetrics, Scores, order_metrics


def scores(*rows: tuple[int, float, float]) -> Scores:
    """Rows of user, label and score."""
    user, label, score = (np.array(column) for column in zip(*rows, strict=True))
    return Scores(user.astype(np.int64), label.astype(float), score.astype(float))


def read(*batches: Scores) -> dict[str, float]:
    metrics = OrderMetrics()
    return metrics.read(metrics.merge(metrics.add(metrics.start(), batch) for batch in batches))


def discount(position: int) -> float:
    return 1 / math.log2(1 + position)


def test_by_hand() -> None:
    """User 1: labels 3, 1, 2 by falling score, of whose three pairs one is wrong. User 2: a tie. User 3: one target.
    User 4: no two labels differ."""
    first = scores((1, 3, 0.9), (2, 1, 0.5), (1, 2, 0.1), (4, 5, 1.0))
    second = scores((2, 0, 0.5), (1, 1, 0.4), (3, 1, 0.0), (4, 5, 2.0))
    found = read(first, second)
    best = 3 * discount(1) + 2 * discount(2) + 1 * discount(3)
    ndcg = [(3 * discount(1) + 1 * discount(2) + 2 * discount(3)) / best, (discount(1) + discount(2)) / 2]
    assert found == pytest.approx(
        {
            "users": 2,
            "examples": 8,
            "pairwise_accuracy": (2 / 3 + 1 / 2) / 2,
            "stderr_pairwise_accuracy": np.std([2 / 3, 1 / 2], ddof=1) / math.sqrt(2),
            "ndcg": np.mean(ndcg),
            "stderr_ndcg": np.std(ndcg, ddof=1) / math.sqrt(2),
        }
    )


def test_without_a_pair_nothing_is_known() -> None:
    for found in (read(), read(scores((1, 1, 0.5), (2, 0, 0.5)))):
        assert found["users"] == 0
        assert all(math.isnan(value) for name, value in found.items() if name not in ("users", "examples"))


def test_without_a_positive_label_there_are_pairs_but_no_gain() -> None:
    (accuracy,), (ndcg,) = order_metrics(scores((1, -1, 0.5), (1, -2, 0.1)))
    assert accuracy == 1
    assert math.isnan(ndcg)


ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=25)


@given(ROWS)
def test_equals_a_count_of_pairs_and_a_sum_over_positions(rows: list[tuple[int, int, int]]) -> None:
    accuracy, ndcg = order_metrics(scores(*rows))
    for position, user in enumerate(sorted({user for user, *_ in rows})):
        own = [(label, score) for u, label, score in rows if u == user]
        pairs = [(a, b) for a, b in itertools.product(own, own) if a[0] > b[0]]
        if not pairs:
            assert np.isnan([accuracy[position], ndcg[position]]).all()
            continue
        right = [(a[1] > b[1]) + (a[1] == b[1]) / 2 for a, b in pairs]
        assert accuracy[position] == pytest.approx(np.mean(right))
        ideal = sum(label * discount(n) for n, (label, _) in enumerate(sorted(own, reverse=True), 1))
        assert ndcg[position] == pytest.approx(_gain(own) / ideal)


def _gain(own: list[tuple[int, int]]) -> float:
    """Each label times the mean discount of the positions that its equals in score take."""
    total, position = 0.0, 1
    for score in sorted({score for _, score in own}, reverse=True):
        labels = [label for label, s in own if s == score]
        total += sum(labels) * np.mean([discount(position + n) for n in range(len(labels))])
        position += len(labels)
    return total
