import numpy as np
import pytest

from pipeline.ingest.splits import EVAL, TEST, Events
from pipeline.ingest.windows import Limits, Order, target_windows, train_windows
from tests.pipeline.ingest.reference import config_of


def _order(parts_by_user):
    counts = [len(parts) for parts in parts_by_user]
    size = sum(counts)
    users = np.array([f"u{n}" for n in range(len(counts))], object)
    events = Events(users, np.concatenate([[0], np.cumsum(counts)]), np.arange(size), np.arange(size))
    return Order.of(events, np.array([p for parts in parts_by_user for p in parts], np.int8))


def _ranges(windows):
    return list(zip(windows.start.tolist(), windows.stop.tolist(), windows.context.tolist(), strict=True))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (0, []),
        (1, [(0, 1, 0)]),
        (4, [(0, 4, 0)]),
        (5, [(0, 4, 0), (3, 5, 1)]),
        (7, [(0, 4, 0), (3, 7, 1)]),
        (8, [(0, 4, 0), (3, 7, 1), (6, 8, 1)]),
    ],
)
def test_train_windows_by_hand(events, expected):
    windows = train_windows(_order([[0] * events]), Limits(4, 1, "rolling"))
    assert _ranges(windows) == expected


def test_windows_of_several_users():
    windows = train_windows(_order([[0] * 3, [], [2], [0, 0]]), Limits(2, 1, "rolling"))
    assert windows.user.tolist() == [0, 0, 3]
    assert _ranges(windows) == [(0, 2, 0), (1, 3, 1), (4, 6, 0)]


@pytest.mark.parametrize(
    ("history", "expected"),
    [("frozen", [(1, 3, 4), (1, 3, 5)]), ("rolling", [(2, 4, 4), (3, 5, 5)])],
)
def test_histories_by_hand(history, expected):
    windows = target_windows(_order([[0, 0, 0, 1, 2, 2]]), TEST, Limits(3, 1, history))
    assert list(zip(windows.start.tolist(), windows.stop.tolist(), windows.target.tolist(), strict=True)) == expected
    positions, is_target = windows.take(np.array([0])).positions()
    assert positions.tolist() == [*range(*expected[0][:2]), expected[0][2]]
    assert is_target.tolist() == [False, False, True]


def test_users_of_their_own_start_with_their_second_event():
    windows = target_windows(_order([[1], [1, 1, 1]]), EVAL, Limits(9, 1, "own"))
    assert list(zip(windows.start.tolist(), windows.target.tolist(), strict=True)) == [(1, 2), (1, 3)]


def test_a_random_split_puts_train_first():
    order = _order([[2, 0, 1, 0]])
    assert order.events.tolist() == [1, 3, 2, 0]
    windows = target_windows(order, TEST, Limits(9, 1, "train"))
    assert windows.positions()[0].tolist() == [0, 1, 3]


def test_a_random_split_with_times_shows_the_train_events_before_the_target():
    order = _order([[0, 2, 0, 1, 0], [1, 0]])  # in time; the positions are 0: 0, 1: 2, 2: 4, 3: 3, 4: 1 and 5: 1, 6: 0
    limits = Limits(9, 1, "earlier_train")
    assert target_windows(order, TEST, limits).positions()[0].tolist() == [0, 4]
    assert target_windows(order, EVAL, limits).positions()[0].tolist() == [0, 1, 3, 6]


def test_a_frozen_history_of_a_random_split_has_the_nearest_train_events_on_both_sides():
    order = _order([[0, 0, 0, 2, 0, 0], [2, 0, 0, 0, 2]])  # the positions: 0 to 4 and 5 (2), 6 to 8 and 9 (2), 10 (2)
    windows = target_windows(order, TEST, Limits(4, 1, "near_train"))
    # Of three, one comes after the target where there are two before it.
    assert _histories(windows) == [([1, 2, 3], 5), ([6, 7, 8], 9), ([6, 7, 8], 10)]
    windows = target_windows(order, TEST, Limits(3, 1, "near_train"))
    assert _histories(windows) == [([2, 3], 5), ([6, 7], 9), ([7, 8], 10)]


def _histories(windows):
    ends = zip(windows.start, windows.stop, windows.target, strict=True)
    return [(list(range(start, stop)), target) for start, stop, target in ends]


def test_a_random_split_without_times_shows_all_train_events():
    tables = {"folder": "data", "interactions": {"path": "log.csv", "time": None}}
    config = config_of(split={"method": "random"}, data=tables)
    assert Limits.of(config).history == "train"


@pytest.mark.parametrize(
    ("split", "history", "expected"),
    [
        ({"method": "random"}, {"max_events": 10, "min_context": 3}, Limits(10, 3, "earlier_train")),
        ({"method": "random", "history": "frozen"}, {"max_events": 20}, Limits(20, 10, "near_train")),
        ({"method": "user_hash", "history": "frozen"}, {"max_events": 10, "min_context": 10}, Limits(10, 5, "own")),
        ({"history": "frozen"}, {"max_events": 20}, Limits(20, 10, "frozen")),
    ],
)
def test_limits(split, history, expected):
    assert Limits.of(config_of(split=split, model={"history": history})) == expected
